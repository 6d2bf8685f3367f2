/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The last frames of a stream of slabs: the newest slab where it lies, and at least `keep` frames before it, copied. So a window around
 * something that is found late can still be cut out, and memory is bounded however long the stream is.
 *
 * A slab is first shown (borrowed), then, before it goes away, hidden. Frames that are not held count as 0: those outside the stream.
 * A frame is copied at most twice, however short the slabs are; of slabs longer than `keep` only the end is.
 */
#ifndef KERNELS_HISTORY_H
#define KERNELS_HISTORY_H

#include "kernels/executor.h"
#include "kernels/slab.h"
#include "protocol/error.h"

struct history {
	float *x;               /* [ntiles][capacity][LANES]; `used` frames, those before the slab */
	size_t ntiles, keep, capacity, used;
	struct slab slab;       /* shown; first_frame + nframes is the next frame of the stream */
};

/* Frames that lie together in one tile: those from `skip` on of a window. */
struct stretch {
	const float *x;         /* [n][LANES] */
	size_t skip, n;
};

enum status history_new(struct history **out, size_t nchannels, size_t keep, struct error *e);
void history_free(struct history *h);

/* SIZE_MAX if it overflows. */
size_t history_bytes(size_t nchannels, size_t keep);

/* For the next stream, whose first frame may be any. */
void history_reset(struct history *h);

/* Slabs follow each other in time; one without frames changes nothing. */
void history_show(struct history *h, const struct slab *slab);
void history_hide(struct history *h, const struct executor *ex);

/* The frames of a tile in [from, from + n) that are held, in order; returns how many stretches. */
size_t history_stretches(const struct history *h, size_t tile, int64_t from, size_t n, struct stretch out[2]);

/* One sample; for few of them. */
float history_get(const struct history *h, int64_t frame, size_t channel);

#endif
