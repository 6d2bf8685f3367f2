/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The whitening matrix of a covariance (ZCA): W = U diag(1 / sqrt(S + eps)) U^T, the symmetric one that changes the channels least. Eigenvalues that
 * rounding made negative count as 0. Symmetric to the bit.
 */
#ifndef KERNELS_WHITENING_H
#define KERNELS_WHITENING_H

#include "kernels/eigen.h"

struct whitening;

/* covariance: [n][n], finite, symmetric; eps > 0. */
enum status whitening_new(struct whitening **out, size_t n, const double *covariance, double eps, struct error *e);
void whitening_free(struct whitening *w);

/* Call until *done, always with the same matrix [n][n]. Some ms. */
enum status whitening_step(struct whitening *w, const struct executor *ex, double *matrix, bool *done, struct error *e);

/* One row of a small one, at once, to out [n]. */
enum status whitening_row(size_t n, const double *covariance, double eps, size_t row, double *out, struct error *e);

#endif
