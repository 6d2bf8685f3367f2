/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/snippets.h"

unsigned VARIANT(snippet_extremes)(const float *x, size_t n, float *low, float *high)
{
	float least[LANES], most[LANES];
	int bad[LANES] = { 0 };
	unsigned bits = 0;
	for (size_t i = 0; i < LANES; i++) {
		least[i] = low[i];
		most[i] = high[i];
	}
	for (size_t t = 0; t < n; t++)
		for (size_t i = 0; i < LANES; i++) {
			const float v = x[t * LANES + i];
			least[i] = v < least[i] ? v : least[i];
			most[i] = v > most[i] ? v : most[i];
			bad[i] |= v != v;
		}
	for (size_t i = 0; i < LANES; i++) {
		low[i] = least[i];
		high[i] = most[i];
		bits |= (unsigned)bad[i] << i;
	}
	return bits;
}
