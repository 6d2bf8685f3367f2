/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A private HDF5 file driver over a descriptor that is already open.
 *
 * libhdf5 cannot open anything through it but that one descriptor, once: whatever a file says of other files leads nowhere. While recording,
 * reads of raw data are noted (address, bytes) and not done: that is how a chunk's address is found in O(log n) on libraries without
 * H5Dchunk_iter, where H5Dget_chunk_info walks the whole index for each chunk.
 */
#ifndef DAEMON_HELPER_DRIVER_H
#define DAEMON_HELPER_DRIVER_H

#include "daemon/helper/h5.h"

#include <stdbool.h>
#include <stdint.h>

struct driver_read {
	unsigned count;   /* raw-data reads since driver_record_start */
	uint64_t address; /* of the last one, from the first byte of the file (user block included) */
	uint64_t nbytes;
};

/* A file access property list for the descriptor, which stays the caller's; negative on failure. */
hid_t driver_fapl(int fd, bool writable);

void driver_record_start(void);
struct driver_read driver_record_stop(void);

#endif
