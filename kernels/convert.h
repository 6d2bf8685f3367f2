/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Frames as stored into f32 tiles of 16 channels (kernels/slab.h).
 */
#ifndef KERNELS_CONVERT_H
#define KERNELS_CONVERT_H

#include "kernels/isa.h"
#include "kernels/slab.h"
#include "protocol/dtype.h"

#include <stdbool.h>

/* Integers of 8 to 64 bits, F32 and F64. */
bool convert_takes(enum dtype dtype);

/* Writes nframes frames into tiles.
 *
 *   frames        [nframes][nchannels] of dtype, C order, any alignment
 *   gain, offset  [nchannels] or both NULL
 *   x             first frame of tile 0, 64-byte aligned; tile i stands i * tile_stride floats behind it
 *
 * Without gain each value becomes the nearest f32 (one rounding, ties to even), f32 itself unchanged. With gain y = x * gain + offset
 * with x as f64, both operations rounded in f64, and the result rounded to f32. NaN and infinity pass. Lanes past the last channel become 0.
 * No state; 32 KB of stack; same bits on every instruction set. */
void convert_frames(enum dtype dtype, const void *frames, size_t nframes, size_t nchannels, const double *gain, const double *offset, float *x,
		    size_t tile_stride);

/* One tile: `frames` is the tile's first value in the first frame, frame_bytes from there to the next; nlanes 1..LANES are there. */
ISA_DECLARE(void, convert_tile, enum dtype dtype, const void *frames, size_t frame_bytes, size_t nframes, size_t nlanes, const double *gain,
	    const double *offset, float *x);

#endif
