/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/covariance.h"
#include "kernels/magnitudes.h"
#include "kernels/whitening.h"
#include "tests/check/check.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct slab slab_of(size_t nchannels, size_t nframes, enum check_fill fill)
{
	struct slab s = { .nchannels = nchannels, .ntiles = (nchannels + LANES - 1) / LANES, .nframes = nframes, .tile_stride = nframes * LANES };
	s.x = check_guard(s.ntiles * s.tile_stride * sizeof *s.x, CHECK_START);
	check_fill_f32(s.x, s.ntiles * s.tile_stride, fill);
	for (size_t t = 0; t < nframes; t++)
		for (size_t c = nchannels; c < s.ntiles * LANES; c++)
			slab_at(&s, c / LANES, t)[c % LANES] = 0;
	return s;
}

/* Each product is rounded once, and a sum of 256 in f32 has 256 roundings; f64 does the rest. */
CHECK_TEST(covariance_sums)
{
	static const size_t frames[] = { 1, 2, 255, 256, 257, 1000 };
	CHECK_EACH_ISA(isa)
		for (size_t k = 0; k < sizeof frames / sizeof *frames; k++) {
			struct slab x = slab_of(40, frames[k], CHECK_NOISE);
			const struct tile_pair pairs[] = { { 0, 0 }, { 0, 2 }, { 1, 2 }, { 2, 2 } };
			double *sums[2];
			for (int way = 0; way < 2; way++) {
				sums[way] = calloc(4 * LANES * LANES, sizeof **sums);
				covariance_add(&x, pairs, 4, way ? &check_threads : &executor_serial, sums[way]);
			}
			check_same("executors", sums[0], sums[1], 4 * LANES * LANES * sizeof **sums);
			check_variants("covariance", sums[0], 4 * LANES * LANES * sizeof **sums);
			for (size_t i = 0; i < 4 * LANES * LANES; i++) {
				const struct tile_pair *p = &pairs[i / (LANES * LANES)];
				double want = 0, size = 0;
				for (size_t t = 0; t < x.nframes; t++) {
					double product = (double)slab_at(&x, p->a, t)[i / LANES % LANES] * (double)slab_at(&x, p->b, t)[i % LANES];
					want += product;
					size += fabs(product);
				}
				check_that(fabs(sums[0][i] - want) <= (COVARIANCE_RUN + 1) * (double)FLT_EPSILON / 2 * size, "sum %zu: %g, not %g", i,
					   sums[0][i], want);
			}
			free(sums[0]);
			free(sums[1]);
			check_release();
		}
}

/* Like channels of a probe: noise of their own and noise they share; shared by all if `rank` is 1. */
static double *covariance_of(size_t n, size_t rank, double own)
{
	double *c = malloc(n * n * sizeof *c), *f = malloc(n * rank * sizeof *f);
	for (size_t i = 0; i < n * rank; i++)
		f[i] = (double)check_f32();
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j <= i; j++) {
			double sum = i == j ? own * (1 + check_uniform()) : 0;
			for (size_t k = 0; k < rank; k++)
				sum += f[i * rank + k] * f[j * rank + k];
			c[i * n + j] = c[j * n + i] = sum;
		}
	free(f);
	return c;
}

static struct eigen *solved(size_t n, const double *c, const struct executor *ex)
{
	struct error e = { 0 };
	struct eigen *g;
	bool done = false;
	check_that(eigen_new(&g, n, c, &e) == STATUS_OK, "eigen_new");
	while (!done)
		if (eigen_step(g, ex, &done, &e) != STATUS_OK) {
			check_fail(__FILE__, __LINE__, "eigen_step: %s", e.message);
			break;
		}
	return g;
}

/* C v = s v, and V^T V = 1, to within some n roundings of the largest value. */
static void check_vectors(size_t n, const double *c, struct eigen *g)
{
	double most = 0, worst = 0, skew = 0;
	const double *s = eigen_values(g);
	for (size_t j = 0; j < n; j++)
		most = fabs(s[j]) > most ? fabs(s[j]) : most;
	for (size_t j = 0; j < n; j++)
		for (size_t i = 0; i < n; i++) {
			double sum = 0, dot = 0;
			for (size_t k = 0; k < n; k++) {
				double v = eigen_strip(g, k / LANES)[j * LANES + k % LANES];
				sum += c[i * n + k] * v;
				dot += v * eigen_strip(g, k / LANES)[i * LANES + k % LANES];
			}
			worst = fmax(worst, fabs(sum - s[j] * eigen_strip(g, i / LANES)[j * LANES + i % LANES]));
			skew = fmax(skew, fabs(dot - (i == j)));
		}
	check_that(worst <= 4 * (double)n * DBL_EPSILON * most, "n %zu: C v is %g away from s v, s up to %g", n, worst, most);
	check_that(skew <= 4 * (double)n * DBL_EPSILON, "n %zu: V is %g away from orthogonal", n, skew);
}

CHECK_TEST(eigen_vectors)
{
	static const size_t sizes[] = { 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 150 };
	CHECK_EACH_ISA(isa)
		for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
			for (int kind = 0; kind < 5; kind++) {
				const size_t n = sizes[k];
				double *c = covariance_of(n, 1 + n / 3, kind == 1 ? 0 : kind == 2 ? 1e-12 : 1);
				for (size_t i = 0; i < n * n; i++)
					c[i] = kind == 3 ? (i % (n + 1) == 0 ? 5 : 0) : kind == 4 && (i / n == n / 2 || i % n == n / 2) ? 0 : c[i] * 1e-13;
				struct eigen *g = solved(n, c, &executor_serial), *h = solved(n, c, &check_threads);
				check_same("values", eigen_values(g), eigen_values(h), n * sizeof *c);
				for (size_t strip = 0; strip * LANES < n; strip++) {
					check_same("vectors", eigen_strip(g, strip), eigen_strip(h, strip), n * LANES * sizeof *c);
					check_variants("vectors", eigen_strip(g, strip), n * LANES * sizeof *c);
				}
				check_vectors(n, c, g);
				eigen_free(g);
				eigen_free(h);
				free(c);
			}
}

static void whiten(size_t n, const double *c, double eps, const struct executor *ex, double *matrix)
{
	struct error e = { 0 };
	struct whitening *w;
	bool done = false;
	check_that(whitening_new(&w, n, c, eps, &e) == STATUS_OK, "whitening_new");
	while (!done && whitening_step(w, ex, matrix, &done, &e) == STATUS_OK)
		;
	whitening_free(w);
}

/* W (C + eps) W = 1; the error of W grows with the condition of C, which is below 1e4 here. */
CHECK_TEST(whitening_matrix)
{
	CHECK_EACH_ISA(isa)
		for (size_t n = 1; n < 130; n += 1 + n / 2) {
			double *c = covariance_of(n, 1 + n / 4, 0.1), *w = malloc(2 * n * n * sizeof *w), *row = malloc(n * sizeof *row), worst = 0;
			whiten(n, c, 0.01, &executor_serial, w);
			whiten(n, c, 0.01, &check_threads, w + n * n);
			check_same("executors", w, w + n * n, n * n * sizeof *w);
			check_variants("whitening", w, n * n * sizeof *w);
			for (size_t i = 0; i < n; i++)
				for (size_t j = 0; j < n; j++) {
					double sum = 0;
					for (size_t a = 0; a < n; a++)
						for (size_t b = 0; b < n; b++)
							sum += w[i * n + a] * (c[a * n + b] + (a == b ? 0.01 : 0)) * w[b * n + j];
					worst = fmax(worst, fabs(sum - (i == j)));
					check_that(w[i * n + j] == w[j * n + i], "not symmetric");
				}
			check_that(worst <= 1e4 * (double)n * DBL_EPSILON, "n %zu: W C W is %g away from 1", n, worst);
			struct error e = { 0 };
			check_that(whitening_row(n, c, 0.01, n / 2, row, &e) == STATUS_OK, "row");
			for (size_t i = 0; i < n; i++)
				check_that(fabs(row[i] - w[n / 2 * n + i]) <= 1e-13 * fabs(w[n / 2 * (n + 1)]), "row %zu", i);
			free(c);
			free(w);
			free(row);
		}
	const size_t n = 1024;
	double *c = NULL, *w = NULL;
	struct error e = { 0 };
	CHECK_EACH_ISA(isa)
		CHECK_BENCH("whitening matrix, 1024 channels", 1) {
			c = c ? c : covariance_of(n, 30, 1);
			w = w ? w : malloc(n * n * sizeof *w);
			whiten(n, c, 1e-16, &check_threads, w);
		}
	(void)e;
	free(c);
	free(w);
	struct slab x = slab_of(384, 2048, CHECK_NOISE);
	struct tile_pair pairs[300];
	size_t npairs = 0;
	for (uint32_t a = 0; a < 24; a++)
		for (uint32_t b = a; b < 24; b++)
			pairs[npairs++] = (struct tile_pair){ a, b };
	double *sums = calloc(npairs * LANES * LANES, sizeof *sums);
	CHECK_EACH_ISA(isa)
		CHECK_BENCH("covariance, 384 channels, products", 2048.0 * 300 * 256)
			covariance_add(&x, pairs, npairs, &executor_serial, sums);
	free(sums);
}

static int ascending(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;
	return (x > y) - (x < y);
}

CHECK_TEST(magnitudes_median)
{
	for (int round = 0; round < 60; round++) {
		enum check_fill fill = (enum check_fill)(round % CHECK_NFILL);
		struct slab x = slab_of(1 + check_below(40), 1 + check_below(300), fill);
		float scale = round % 3 ? 1e-6f : 1.0f, *all = malloc(x.nchannels * x.nframes * 2 * sizeof *all);
		size_t n = 0;
		for (size_t i = 0; i < x.ntiles * x.tile_stride; i++)
			x.x[i] *= scale;
		for (int twice = 0; twice < 2; twice++)
			for (size_t t = 0; t < x.nframes; t++)
				for (size_t c = 0; c < x.nchannels; c++, n++)
					all[n] = slab_get(&x, t, c) * slab_get(&x, t, c);
		qsort(all, n, sizeof *all, ascending);
		float want = (all[(n - 1) / 2] + all[n / 2]) / 2, bound = 0;
		struct magnitudes *m;
		struct error e = { 0 };
		check_that(magnitudes_new(&m, 3, &e) == STATUS_OK, "new");
		for (int pass = 0; pass < 2; pass++) {
			magnitudes_add(m, &x, &check_threads);
			magnitudes_add(m, &x, &executor_serial);
			bound = pass ? bound : magnitudes_bound(m);
		}
		float got = magnitudes_median_square(m);
		check_that(got == want && bound <= want, "median %g, not %g (bound %g)", (double)got, (double)want, (double)bound);
		magnitudes_free(m);
		free(all);
		check_release();
	}
}
