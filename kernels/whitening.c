/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Each vector is multiplied by (S + eps)^(-1/4), so that W = Y^T Y is symmetric however products are rounded.
 */
#include "kernels/whitening.h"

#include <math.h>
#include <stdlib.h>

struct whitening {
	size_t n, nstrips;
	struct eigen *eigen;
	double eps;
	double *matrix;
	bool found;             /* the vectors are there, and multiplied */
	size_t at;              /* the next strip of rows */
};

enum status whitening_new(struct whitening **out, size_t n, const double *covariance, double eps, struct error *e)
{
	struct whitening *w = calloc(1, sizeof *w);
	if (!w)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for a whitening matrix");
	w->n = n;
	w->nstrips = (n + LANES - 1) / LANES;
	w->eps = eps;
	enum status status = eigen_new(&w->eigen, n, covariance, e);
	if (status)
		whitening_free(w);
	else
		*out = w;
	return status;
}

void whitening_free(struct whitening *w)
{
	if (w)
		eigen_free(w->eigen);
	free(w);
}

static void multiply(void *arg, size_t strip)
{
	struct whitening *w = arg;
	const double *values = eigen_values(w->eigen);
	double *z = eigen_strip(w->eigen, strip);
	for (size_t j = 0; j < w->n; j++) {
		const double factor = 1 / sqrt(sqrt((values[j] > 0 ? values[j] : 0) + w->eps));
		for (size_t r = 0; r < LANES; r++)
			z[j * LANES + r] *= factor;
	}
}

/* Rows of strip w->at against strip w->at + i and on. */
static void take_products(void *arg, size_t i)
{
	struct whitening *w = arg;
	const size_t n = w->n, r0 = w->at * LANES, c0 = (w->at + i) * LANES;
	double sum[LANES * LANES] __attribute__((aligned(64)));
	ISA_PICK(eigen_products)(eigen_strip(w->eigen, w->at), eigen_strip(w->eigen, w->at + i), n, sum);
	for (size_t r = r0; r < r0 + LANES && r < n; r++)
		for (size_t c = c0; c < c0 + LANES && c < n; c++)
			w->matrix[r * n + c] = w->matrix[c * n + r] = sum[(r - r0) * LANES + c - c0];
}

enum status whitening_step(struct whitening *w, const struct executor *ex, double *matrix, bool *done, struct error *e)
{
	enum status status = STATUS_OK;
	*done = false;
	if (!w->found) {
		status = eigen_step(w->eigen, ex, &w->found, e);
		if (!status && w->found)
			ex->run(ex->ctx, w->nstrips, multiply, w);
		return status;
	}
	w->matrix = matrix;
	ex->run(ex->ctx, w->nstrips - w->at, take_products, w);
	*done = ++w->at == w->nstrips;
	return status;
}

enum status whitening_row(size_t n, const double *covariance, double eps, size_t row, double *out, struct error *e)
{
	struct whitening *w;
	enum status status = whitening_new(&w, n, covariance, eps, e);
	if (status)
		return status;
	while (!status && !w->found)
		status = eigen_step(w->eigen, &executor_serial, &w->found, e);
	for (size_t strip = 0; strip < w->nstrips && !status; strip++)
		multiply(w, strip);
	const double *mine = eigen_strip(w->eigen, row / LANES) + row % LANES;
	for (size_t c = 0; c < n && !status; c++) {
		const double *other = eigen_strip(w->eigen, c / LANES) + c % LANES;
		out[c] = 0;
		for (size_t j = 0; j < n; j++)
			out[c] += mine[j * LANES] * other[j * LANES];
	}
	whitening_free(w);
	return status;
}
