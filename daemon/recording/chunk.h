/* SPDX-License-Identifier: BSD-3-Clause
 *
 * One chunk: from the file to decoded bytes.
 */
#ifndef DAEMON_RECORDING_CHUNK_H
#define DAEMON_RECORDING_CHUNK_H

#include "daemon/recording/recording.h"

/* Buffers of one thread; all zero is empty. They grow to the largest chunk seen. */
struct chunk_scratch {
	struct codec_state codecs;
	uint8_t *stored, *work[2], *group;
	size_t nstored, nwork[2], ngroup;
	size_t *from, *to;      /* [nchannels], for copy.h */
};

void chunk_scratch_fini(struct chunk_scratch *s);

/* Bytes of a decoded chunk; 0 if they cannot be counted. */
size_t chunk_bytes(const struct recording *r);

/* Reads chunk number `index` and undoes its filters. `edge`: it reaches past the dataset. If target is given the bytes are put there
 * (chunk_bytes of them); otherwise *out points into the scratch. The chunk must not be missing. */
enum status chunk_decode(const struct recording *r, size_t index, bool edge, struct chunk_scratch *s, void *target, const uint8_t **out,
			 struct error *e);

/* pread of exactly n bytes: CORRUPT if the file is shorter, IO if the system fails. */
enum status chunk_pread(const struct recording *r, void *dst, size_t n, uint64_t address, struct error *e);

#endif
