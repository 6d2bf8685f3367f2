/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Where a dataset's bytes lie: contiguous address, or chunk table and filters, or "helper" where the daemon cannot decode them itself.
 */
#ifndef DAEMON_HELPER_STORAGE_H
#define DAEMON_HELPER_STORAGE_H

#include "daemon/helper/dataset.h"
#include "daemon/helper/reply.h"

enum {
	STORAGE_MAX_FILTERS = 8,
	STORAGE_MAX_CHUNKS = 8 << 20,        /* 128 MiB of table */
	STORAGE_MAX_CHUNK_BYTES = 1 << 30,   /* decoded */
};

/* UNSUPPORTED if a filter of the dataset is not at hand: it can be described, but not read. */
enum status storage_check_filters(const struct dataset *d, struct error *e);

/* Adds storage, address, chunk_dims, filters, partial_unfiltered and fill to the result, and the array `chunks`. */
enum status storage_describe(const struct dataset *d, uint64_t file_size, struct reply *reply, struct error *e);

#endif
