/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/matrix.h"

void matrix_columns(const struct matrix_tile *m, const float *x, size_t tile_stride, size_t nframes, float *y)
{
	ISA_PICK(matrix_frames)(m, x, tile_stride, nframes, y);
}
