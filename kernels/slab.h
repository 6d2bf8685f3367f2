/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A slab: some frames of all channels, on their way through a pipeline.
 *
 * Channels stand in tiles of 16, one cache line of f32 a frame, so that a filter walks 16 channels in lockstep through memory
 * that lies together, whatever the number of channels:
 *
 *	tile 0: frame 0 (channels 0..15), frame 1 (channels 0..15), ...
 *	tile 1: frame 0 (channels 16..31), ...
 *
 * Lanes past the last channel hold 0. x is 64-byte aligned.
 */
#ifndef KERNELS_SLAB_H
#define KERNELS_SLAB_H

#include <stddef.h>
#include <stdint.h>

enum { LANES = 16 };

struct slab {
	float *x;
	size_t nchannels;
	size_t ntiles;       /* ceil(nchannels / LANES) */
	size_t tile_stride;  /* floats from one tile to the next, >= nframes * LANES */
	size_t nframes;      /* valid frames; may be 0 */
	int64_t first_frame; /* of the segment: where frame 0 stands */
};

/* First float of a frame in a tile. */
static inline float *slab_at(const struct slab *s, size_t tile, size_t frame)
{
	return s->x + tile * s->tile_stride + frame * LANES;
}

/* One sample; for tests and rare paths. */
static inline float slab_get(const struct slab *s, size_t frame, size_t channel)
{
	return slab_at(s, channel / LANES, frame)[channel % LANES];
}

#endif
