/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Eigenvalues and eigenvectors of a symmetric matrix in f64: Householder's reduction to a tridiagonal one, then QL steps with Wilkinson's
 * shift (Parlett, The Symmetric Eigenvalue Problem, ch. 7 and 8). Errors of values are some n * 2^-53 times the largest of them.
 *
 * The same bits for every executor and instruction set: sums have a fixed shape, and each thread owns rows of the matrix, then components of
 * the vectors, on which the recorded rotations of all QL steps act one by one. In steps of some ms; 1024 channels take about a second.
 */
#ifndef KERNELS_EIGEN_H
#define KERNELS_EIGEN_H

#include "kernels/executor.h"
#include "kernels/isa.h"
#include "kernels/slab.h"
#include "protocol/error.h"

#include <stdbool.h>

struct eigen;

/* a: [n][n], finite and symmetric, copied; n >= 1. STATUS_NO_MEMORY. */
enum status eigen_new(struct eigen **out, size_t n, const double *a, struct error *e);
void eigen_free(struct eigen *g);

/* Bytes that it holds at most, but for the rotations, which take about 15 n^2. */
size_t eigen_bytes(size_t n);

/* Call until *done. STATUS_NO_MEMORY, or STATUS_INTERNAL if the steps do not converge. */
enum status eigen_step(struct eigen *g, const struct executor *ex, bool *done, struct error *e);

/* [n], in no order. */
const double *eigen_values(const struct eigen *g);

/* Components [strip * LANES, ...) of all vectors: [n vectors][LANES], 0 past component n; may be written. 64-byte aligned. */
double *eigen_strip(struct eigen *g, size_t strip);

/* row[j] -= vi * w[j] + wi * v[j], then the sum of row[j] * next[j], j in [from, to), both multiples of 8; in 16 partial sums. */
ISA_DECLARE(double, eigen_row, double *row, const double *v, const double *w, double vi, double wi, const double *next, size_t from, size_t to);

/* Rows from ... to - 1 of a strip: z -= v[j] * (tau * sum of v[j] * z[j]). */
ISA_DECLARE(void, eigen_reflect, double *z, const double *v, double tau, size_t from, size_t to);

/* Rotations of rows (top - 1, top), (top - 2, top - 1), ..., n of them, each by cs[2 k] (cosine) and cs[2 k + 1] (sine). */
ISA_DECLARE(void, eigen_rotate, double *z, size_t top, size_t n, const double *cs);

/* sum [LANES][LANES] = the sums over n vectors of a[j][r] * b[j][c], in their order. */
ISA_DECLARE(void, eigen_products, const double *a, const double *b, size_t n, double *sum);

#endif
