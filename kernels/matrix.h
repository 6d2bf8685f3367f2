/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A matrix times each frame: y[c] = sum of x[k] * w[k][c] over k in ascending order, in f32, products rounded before they are added. Of each 16
 * columns only the rows with something else than 0 are kept and multiplied, so a local matrix costs what it holds, and a NaN
 * reaches the channels that take part of it (and those that share a tile with one). Same bits on every instruction set.
 */
#ifndef KERNELS_MATRIX_H
#define KERNELS_MATRIX_H

#include "kernels/isa.h"
#include "kernels/slab.h"

/* The rows for one tile of columns. */
struct matrix_tile {
	size_t nrows;
	const uint32_t *row;    /* [nrows] the channel */
	const float *weights;   /* [nrows][LANES], 64-byte aligned */
};

/* x: first frame of tile 0; y: [nframes][LANES] of the columns' tile, outside x. */
void matrix_columns(const struct matrix_tile *m, const float *x, size_t tile_stride, size_t nframes, float *y);

ISA_DECLARE(void, matrix_frames, const struct matrix_tile *m, const float *x, size_t tile_stride, size_t nframes, float *y);

#endif
