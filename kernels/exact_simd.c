/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/exact.h"

/* Eight channels; where registers are shorter the compiler takes several. */
typedef double channels __attribute__((vector_size(64)));

void VARIANT(exact_section)(const struct exact_section *c, double *z, double *x, ptrdiff_t step, size_t nframes)
{
	for (size_t g = 0; g < LANES; g += 8) {
		channels z0 = *(const channels *)(z + g), z1 = *(const channels *)(z + LANES + g);
		double *at = x + g;
		for (size_t t = 0; t < nframes; t++, at += step) {
			const channels v = *(const channels *)at, y = c->b0 * v + z0;
			z0 = c->b1 * v - c->a1 * y + z1;
			z1 = c->b2 * v - c->a2 * y;
			*(channels *)at = y;
		}
		*(channels *)(z + g) = z0;
		*(channels *)(z + LANES + g) = z1;
	}
}
