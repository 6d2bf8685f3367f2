/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/eigen.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PART = 8, ROWS = 32, MAX_TRIES = 60, STEP_ELEMENTS = 1 << 22 };

/* Rotations of one QL step: `n` pairs of rows, the highest row first. */
struct sweep {
	size_t top, n, first; /* its first pair in cs */
};

struct eigen {
	size_t n, stride, nstrips;
	enum { REDUCING, SOLVING, TURNING, DONE } phase;
	size_t column;                  /* reducing: the next one */
	size_t strip;                   /* turning: the next one */
	double scale;                   /* a power of 2: the largest |a| becomes 1/2 to 1 */
	double *a;                      /* [n][stride] the matrix; what is reduced becomes the vectors of the reflections */
	double *v[2], *w, *p;           /* [stride] the reflection to apply, the one to come */
	double *tau, *d, *e;            /* [n] */
	double *z;                      /* [nstrips][n][LANES] */
	double *cs;
	struct sweep *sweeps;
	size_t ncs, cs_room, nsweeps, sweeps_room;
};

/* An odd number of cache lines, so that rows do not fall into the same sets of the cache. */
static size_t stride_of(size_t n)
{
	return ((n + PART - 1) / PART | 1) * PART;
}

size_t eigen_bytes(size_t n)
{
	size_t vectors = (n + LANES - 1) / LANES * LANES, bytes;
	if (n > UINT32_MAX || __builtin_mul_overflow(n * sizeof(double), stride_of(n) + vectors + 8, &bytes))
		return SIZE_MAX;
	return bytes;
}

static double *room(size_t n)
{
	double *at = aligned_alloc(64, (n * sizeof *at + 127) / 64 * 64);
	if (at)
		memset(at, 0, (n * sizeof *at + 127) / 64 * 64);
	return at;
}

enum status eigen_new(struct eigen **out, size_t n, const double *a, struct error *e)
{
	struct eigen *g = calloc(1, sizeof *g);
	double most = 0;
	if (!g || eigen_bytes(n) == SIZE_MAX) {
		free(g);
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for the eigenvectors of %zu channels", n);
	}
	g->n = n;
	g->stride = stride_of(n);
	g->nstrips = (n + LANES - 1) / LANES;
	double **const all[] = { &g->a, &g->z, &g->v[0], &g->v[1], &g->w, &g->p, &g->tau, &g->d, &g->e };
	const size_t sizes[] = { n * g->stride, g->nstrips * n * LANES, g->stride, g->stride, g->stride, g->stride, n, n, n };
	bool enough = true;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		enough &= (*all[i] = room(sizes[i])) != NULL;
	if (!enough) {
		eigen_free(g);
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for the eigenvectors of %zu channels", n);
	}
	for (size_t i = 0; i < n * n; i++)
		most = fabs(a[i]) > most ? fabs(a[i]) : most;
	int exponent = 0;
	if (most > 0)
		frexp(most, &exponent);
	g->scale = ldexp(1, exponent < -1000 ? -1000 : exponent);
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++)
			g->a[i * g->stride + j] = a[i * n + j] / g->scale;
	*out = g;
	return STATUS_OK;
}

void eigen_free(struct eigen *g)
{
	if (!g)
		return;
	free(g->a);
	free(g->z);
	free(g->v[0]);
	free(g->v[1]);
	free(g->w);
	free(g->p);
	free(g->tau);
	free(g->d);
	free(g->e);
	free(g->cs);
	free(g->sweeps);
	free(g);
}

const double *eigen_values(const struct eigen *g)
{
	return g->d;
}

double *eigen_strip(struct eigen *g, size_t strip)
{
	return g->z + strip * g->n * LANES;
}

/* --- to a tridiagonal matrix --- */

/* The reflection that takes x[from ...] to (beta, 0, 0, ...): v, tau. */
static double reflection(const double *x, size_t from, size_t n, double *v, double *tau)
{
	double sum = 0;
	for (size_t j = from + 1; j < n; j++)
		sum += x[j] * x[j];
	memset(v, 0, n * sizeof *v);
	*tau = 0;
	if (sum == 0)
		return x[from];
	double beta = -copysign(sqrt(x[from] * x[from] + sum), x[from]), first = x[from] - beta;
	for (size_t j = from + 1; j < n; j++)
		v[j] = x[j] / first;
	v[from] = 1;
	*tau = -first / beta;
	return beta;
}

struct rows {
	struct eigen *g;
	const double *v, *next;
	size_t first, from;
};

/* What the last reflection leaves of these rows, and their products with the next. */
static void take_rows(void *arg, size_t piece)
{
	const struct rows *r = arg;
	struct eigen *g = r->g;
	size_t i = r->first + piece * ROWS, end = i + ROWS < g->n ? i + ROWS : g->n;
	for (; i < end; i++)
		g->p[i] = ISA_PICK(eigen_row)(g->a + i * g->stride, r->v, g->w, r->v[i], g->w[i], r->next, r->from, g->stride);
}

/* Column k: its row is brought up to date first, since the next reflection comes from it. */
static void reduce_column(struct eigen *g, size_t k, const struct executor *ex)
{
	const size_t n = g->n;
	double *v = g->v[k % 2], *next = g->v[(k + 1) % 2], *row = g->a + k * g->stride, half = 0;
	for (size_t j = k; j < n; j++)
		row[j] -= v[k] * g->w[j] + g->w[k] * v[j];
	g->d[k] = row[k];
	g->tau[k] = 0;
	if (k + 1 < n)
		g->e[k] = reflection(row, k + 1, n, next, &g->tau[k]);
	struct rows rows = { g, v, next, k + 1, (k + 1) / PART * PART };
	size_t npieces = (n - k - 1 + ROWS - 1) / ROWS;
	const struct executor *by = npieces > 4 ? ex : &executor_serial;
	by->run(by->ctx, npieces, take_rows, &rows);
	memset(g->w, 0, n * sizeof *g->w);
	for (size_t i = k + 1; i < n; i++) {
		g->p[i] *= g->tau[k];
		half += g->p[i] * next[i];
	}
	half *= g->tau[k] / 2;
	for (size_t i = k + 1; i < n; i++)
		g->w[i] = g->p[i] - half * next[i];
	memcpy(row, next, n * sizeof *row);
}

static void reduce_some(struct eigen *g, const struct executor *ex)
{
	for (size_t did = 0; did < STEP_ELEMENTS && g->column < g->n; g->column++) {
		reduce_column(g, g->column, ex);
		did += (g->n - g->column) * (g->n - g->column);
	}
	if (g->column == g->n)
		g->phase = SOLVING;
}

/* --- the tridiagonal matrix: values, and the rotations that lead to the vectors --- */

static bool grow(void **at, size_t *capacity, size_t wanted, size_t item)
{
	if (wanted <= *capacity)
		return true;
	size_t n = 2 * wanted + 1024;
	void *more = realloc(*at, n * item);
	if (!more)
		return false;
	*at = more;
	*capacity = n;
	return true;
}

/* What couples two rows counts as 0 where rounding has changed as much already: beside them, or beside the largest element, which is 1/2 to 1. */
static bool coupled(const struct eigen *g, size_t m)
{
	const double e = fabs(g->e[m]);
	return e > DBL_EPSILON / 2 * (fabs(g->d[m]) + fabs(g->d[m + 1])) && e > DBL_EPSILON / 8;
}

static size_t block_end(const struct eigen *g, size_t l)
{
	size_t m = l;
	while (m + 1 < g->n && coupled(g, m))
		m++;
	return m;
}

/* One QL step on rows l to m. */
static bool sweep(struct eigen *g, size_t l, size_t m)
{
	double *d = g->d, *e = g->e;
	if (!grow((void **)&g->cs, &g->cs_room, g->ncs + 2 * (m - l), sizeof *g->cs) ||
	    !grow((void **)&g->sweeps, &g->sweeps_room, g->nsweeps + 1, sizeof *g->sweeps))
		return false;
	double shift = (d[l + 1] - d[l]) / (2 * e[l]), x = d[m] - d[l] + e[l] / (shift + copysign(sqrt(shift * shift + 1), shift));
	double s = 1, c = 1, p = 0;
	size_t i = m;
	struct sweep *now = &g->sweeps[g->nsweeps++];
	*now = (struct sweep){ m, 0, g->ncs };
	while (i-- > l) {
		const double f = s * e[i], b = c * e[i], r = sqrt(f * f + x * x);
		e[i + 1] = r;
		if (r == 0) {
			d[i + 1] -= p;
			e[m] = 0;
			return true;
		}
		s = f / r;
		c = x / r;
		x = d[i + 1] - p;
		const double q = (d[i] - x) * s + 2 * c * b;
		p = s * q;
		d[i + 1] = x + p;
		x = c * q - b;
		g->cs[g->ncs++] = c;
		g->cs[g->ncs++] = s;
		now->n++;
	}
	d[l] -= p;
	e[l] = x;
	e[m] = 0;
	return true;
}

static enum status solve(struct eigen *g, struct error *e)
{
	for (size_t l = 0; l < g->n; l++) {
		size_t m, tries = 0;
		while ((m = block_end(g, l)) != l) {
			if (tries++ == MAX_TRIES)
				return error_set(e, STATUS_INTERNAL, NULL, NULL, "the eigenvalues of %zu channels do not converge", g->n);
			if (!sweep(g, l, m))
				return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for the eigenvectors of %zu channels", g->n);
		}
	}
	for (size_t i = 0; i < g->n; i++)
		g->d[i] *= g->scale;
	g->phase = TURNING;
	return STATUS_OK;
}

/* --- the vectors --- */

static void turn_strip(void *arg, size_t i)
{
	struct eigen *g = arg;
	size_t strip = g->strip + i, first = strip * LANES;
	double *z = eigen_strip(g, strip);
	for (size_t r = first; r < first + LANES && r < g->n; r++)
		z[r * LANES + r - first] = 1;
	for (size_t k = 0; k + 1 < g->n; k++)
		if (g->tau[k] != 0)
			ISA_PICK(eigen_reflect)(z, g->a + k * g->stride, g->tau[k], k + 1, g->n);
	for (size_t k = 0; k < g->nsweeps; k++)
		ISA_PICK(eigen_rotate)(z, g->sweeps[k].top, g->sweeps[k].n, g->cs + g->sweeps[k].first);
}

enum status eigen_step(struct eigen *g, const struct executor *ex, bool *done, struct error *e)
{
	enum status status = STATUS_OK;
	if (g->phase == REDUCING) {
		reduce_some(g, ex);
	} else if (g->phase == SOLVING) {
		status = solve(g, e);
	} else if (g->phase == TURNING) {
		size_t left = g->nstrips - g->strip, n = ex->nthreads < left ? ex->nthreads : left;
		ex->run(ex->ctx, n, turn_strip, g);
		g->strip += n;
		if (g->strip == g->nstrips)
			g->phase = DONE;
	}
	*done = g->phase == DONE;
	return status;
}
