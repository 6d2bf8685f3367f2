/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Sums of products of channels over frames, in pairs of tiles: f32 products summed in f32 over COVARIANCE_RUN frames in their order, and
 * these sums added up in f64. Runs are counted from frame 0 of the slab, so bits depend on how frames are cut into slabs, and on nothing else.
 */
#ifndef KERNELS_COVARIANCE_H
#define KERNELS_COVARIANCE_H

#include "kernels/executor.h"
#include "kernels/isa.h"
#include "kernels/slab.h"

enum { COVARIANCE_RUN = 256 };

struct tile_pair {
	uint32_t a, b;
};

/* sums [npairs][LANES][LANES] += x[a] * x[b]. Pairs with the same a should lie together. O(npairs * nframes * LANES * LANES). */
void covariance_add(const struct slab *x, const struct tile_pair *pairs, size_t npairs, const struct executor *ex, double *sums);

/* One run of one pair; nframes <= COVARIANCE_RUN, a and b 64-byte aligned. */
ISA_DECLARE(void, covariance_run, const float *a, const float *b, size_t nframes, double *sum);

#endif
