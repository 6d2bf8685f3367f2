/* SPDX-License-Identifier: BSD-3-Clause
 *
 * 16 x 16 sums, as many of them at once as the registers hold: with AVX-512 all, with AVX2 four rows, else two.
 */
#include "kernels/covariance.h"
#include "kernels/vector.h"

#if defined(__AVX512F__)
enum { ROWS = 16 };
#elif defined(__AVX2__)
enum { ROWS = 4 };
#else
enum { ROWS = 2 };
#endif
enum { NVECTORS = LANES / WIDTH };

static inline __attribute__((always_inline)) void some_rows(const float *a, const float *b, size_t nframes, double *sum)
{
	vf acc[ROWS][NVECTORS];
#pragma GCC unroll 16
	for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 4
		for (int v = 0; v < NVECTORS; v++)
			acc[r][v] = (vf){ 0 };
	for (size_t t = 0; t < nframes; t++) {
		vf y[NVECTORS];
#pragma GCC unroll 4
		for (int v = 0; v < NVECTORS; v++)
			y[v] = *(const vf *)(b + t * LANES + v * WIDTH);
#pragma GCC unroll 16
		for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 4
			for (int v = 0; v < NVECTORS; v++)
				acc[r][v] += y[v] * a[t * LANES + (size_t)r];
	}
	for (int r = 0; r < ROWS; r++)
		for (int v = 0; v < NVECTORS; v++)
			for (int k = 0; k < WIDTH; k++)
				sum[r * LANES + v * WIDTH + k] += (double)acc[r][v][k];
}

void VARIANT(covariance_run)(const float *a, const float *b, size_t nframes, double *sum)
{
	for (int r = 0; r < LANES; r += ROWS)
		some_rows(a + r, b, nframes, sum + r * LANES);
}
