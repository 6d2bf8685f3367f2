/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Eight frames at once: a row of weights is loaded once for eight sums. The weights of a tile of columns (24 KB for 384 channels) stay in L1.
 */
#include "kernels/matrix.h"
#include "kernels/vector.h"

enum { AT_ONCE = 8 };

static inline __attribute__((always_inline)) void some_frames(const struct matrix_tile *m, size_t group, const float *x, size_t tile_stride, float *y,
							      const int n)
{
	vf sum[AT_ONCE];
#pragma GCC unroll 8
	for (int i = 0; i < n; i++)
		sum[i] = (vf){ 0 };
	for (size_t k = 0; k < m->nrows; k++) {
		const vf w = *(const vf *)(m->weights + k * LANES + group);
		const float *from = x + m->row[k] / LANES * tile_stride + m->row[k] % LANES;
#pragma GCC unroll 8
		for (int i = 0; i < n; i++)
			sum[i] += w * from[i * LANES];
	}
#pragma GCC unroll 8
	for (int i = 0; i < n; i++)
		*(vf *)(y + i * LANES + group) = sum[i];
}

void VARIANT(matrix_frames)(const struct matrix_tile *m, const float *x, size_t tile_stride, size_t nframes, float *y)
{
	for (size_t g = 0; g < LANES; g += WIDTH) {
		size_t t = 0;
		for (; t + AT_ONCE <= nframes; t += AT_ONCE)
			some_frames(m, g, x + t * LANES, tile_stride, y + t * LANES, AT_ONCE);
		for (; t < nframes; t++)
			some_frames(m, g, x + t * LANES, tile_stride, y + t * LANES, 1);
	}
}
