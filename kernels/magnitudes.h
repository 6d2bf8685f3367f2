/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The exact median of x^2 over all samples of many slabs, as NumPy computes it in float32, without keeping them: a first pass counts the upper half
 * of the bits of |x|, a second one the lower half where the middle lies.
 */
#ifndef KERNELS_MAGNITUDES_H
#define KERNELS_MAGNITUDES_H

#include "kernels/executor.h"
#include "kernels/slab.h"
#include "protocol/error.h"

struct magnitudes;
enum status magnitudes_new(struct magnitudes **out, size_t nworkers, struct error *e);
void magnitudes_free(struct magnitudes *m);

/* Counts a slab; no sample is NaN. */
void magnitudes_add(struct magnitudes *m, const struct slab *x, const struct executor *ex);

/* After the first pass: a bound that the median of x^2 is not below, and what the second pass will look at. */
float magnitudes_bound(struct magnitudes *m);

/* After the second pass over the same slabs. */
float magnitudes_median_square(const struct magnitudes *m);

#endif
