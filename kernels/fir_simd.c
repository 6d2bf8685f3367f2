/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Eight frames at once, so that each tap is loaded once for eight sums, which do not wait for each other.
 */
#include "kernels/fir.h"
#include "kernels/vector.h"

enum { AT_ONCE = 8 };

static inline __attribute__((always_inline)) void some_frames(const float *taps, size_t ntaps, const float *x, float *y, const int n)
{
	vf sum[AT_ONCE];
#pragma GCC unroll 8
	for (int i = 0; i < n; i++)
		sum[i] = (vf){ 0 };
	for (size_t k = 0; k < ntaps; k++) {
		const vf tap = *(const vf *)(taps + k * LANES);
#pragma GCC unroll 8
		for (int i = 0; i < n; i++)
			sum[i] += tap * *(const vf *)(x + (k + (size_t)i) * LANES);
	}
#pragma GCC unroll 8
	for (int i = 0; i < n; i++)
		*(vf *)(y + i * LANES) = sum[i];
}

void VARIANT(fir_frames)(const float *taps, size_t ntaps, const float *x, float *y, size_t nframes)
{
	for (size_t g = 0; g < LANES; g += WIDTH) {
		size_t t = 0;
		for (; t + AT_ONCE <= nframes; t += AT_ONCE)
			some_frames(taps + g, ntaps, x + t * LANES + g, y + t * LANES + g, AT_ONCE);
		for (; t < nframes; t++)
			some_frames(taps + g, ntaps, x + t * LANES + g, y + t * LANES + g, 1);
	}
}
