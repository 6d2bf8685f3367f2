/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/matched.h"

typedef float lanes __attribute__((vector_size(LANES * sizeof(float)), aligned(4)));

#define LOAD(x) (*(const lanes *)(x))

static void store(const lanes *v, float *out, size_t stride, size_t nlanes)
{
	for (size_t i = 0; i < nlanes; i++)
		out[i * stride] = (*v)[i];
}

/* Four frames at a time, so that four sums are under way. */
void VARIANT(matched_correlate_tile)(const float *x, size_t n, const float *p, size_t length, float *out, size_t stride, size_t nlanes)
{
	size_t t = 0;
	for (; t + 4 <= n; t += 4) {
		lanes a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };
		for (size_t k = 0; k < length; k++) {
			const float *at = x + (t + k) * LANES;
			a += p[k] * LOAD(at);
			b += p[k] * LOAD(at + LANES);
			c += p[k] * LOAD(at + 2 * LANES);
			d += p[k] * LOAD(at + 3 * LANES);
		}
		store(&a, out + t, stride, nlanes);
		store(&b, out + t + 1, stride, nlanes);
		store(&c, out + t + 2, stride, nlanes);
		store(&d, out + t + 3, stride, nlanes);
	}
	for (; t < n; t++) {
		lanes a = { 0 };
		for (size_t k = 0; k < length; k++)
			a += p[k] * LOAD(x + (t + k) * LANES);
		store(&a, out + t, stride, nlanes);
	}
}

void VARIANT(matched_add)(float *restrict y, const float *restrict x, float w, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] += w * x[i];
}

size_t VARIANT(matched_scan)(const float *y, size_t from, size_t end, float least)
{
	size_t i = from;
	for (; i + 32 <= end; i += 32) {
		int any = 0;
		for (size_t k = 0; k < 32; k++)
			any |= __builtin_fabsf(y[i + k]) >= least;
		if (any)
			break;
	}
	for (; i < end; i++)
		if (__builtin_fabsf(y[i]) >= least)
			return i;
	return end;
}
