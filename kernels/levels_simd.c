/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A tile in groups of a register's width; masks are 0 or -1.
 */
#include "kernels/levels.h"
#include "kernels/vector.h"

static inline vf load(const float *x)
{
	return *(const vf *)x;
}

void VARIANT(levels_replace_tile)(float *x, size_t nframes, const float *low, const float *high, const float *value)
{
	for (size_t g = 0; g < LANES; g += WIDTH) {
		const vf bottom = load(low + g), top = load(high + g), other = load(value + g);
		float *at = x + g;
		for (size_t t = 0; t < nframes; t++, at += LANES) {
			vf v = load(at);
			vi out = (v > top) | (v < bottom);
			*(vf *)at = (vf)((out & (vi)other) | (~out & (vi)v));
		}
	}
}

/* How many lanes of the mask are set. */
static inline __attribute__((always_inline)) uint32_t count(vi mask)
{
	int32_t sum = 0;
	for (int i = 0; i < WIDTH; i++)
		sum -= mask[i];
	return (uint32_t)sum;
}

void VARIANT(levels_count_tile)(const float *x, size_t nframes, size_t nnext, const float *low, const float *high, const float *slope,
				uint32_t *beyond, uint32_t *steep)
{
	for (size_t g = 0; g < LANES; g += WIDTH) {
		const vf bottom = load(low + g), top = load(high + g), change = load(slope + g);
		const float *at = x + g;
		for (size_t t = 0; t < nframes; t++, at += LANES) {
			vf v = load(at);
			beyond[t] += count((v > top) | (v < bottom));
			if (t >= nnext)
				continue;
			vf d = load(at + LANES) - v;
			steep[t] += count((d >= change) | (-d >= change));
		}
	}
}
