/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A block is a table of rows and columns. With many channels these are frames and channels; with few, several frames stand in one row, so
 * that there are always some tens of columns to work on at once, and the columns of a channel are joined in the end, pairwise.
 *
 *	1 channel:	row 0: frames 0..63	row 1: frames 64..127	...	64 columns -> 32 -> 16 -> ... -> 1
 *
 * Rows are taken 64 at a time, all sums over these before the next, so that the data are read from memory once. The deviations
 * need the block's mean first and read it a second time, then from the cache.
 */
#include "kernels/reduce.h"

#include "kernels/isa.h"

#include <math.h>
#include <string.h>

enum { FEW = 32, COLUMNS = 64, ROWS = 64 };

#define ANY_MEAN (REDUCE_mean | REDUCE_std)

size_t reduce_block(size_t nchannels)
{
	return nchannels == 1 ? 16384 : 1024;
}

unsigned reduce_op_from_name(const char *name)
{
#define R(op, bit)                     \
	if (strcmp(name, #op) == 0)    \
		return REDUCE_##op;
	REDUCE_MAP(R)
#undef R
	return 0;
}

/* --- one block --- */

/* A strip of columns: `fold` frames a row, `nchannels` channels a frame. */
struct strip {
	const struct reduce_loops *loops;
	const char *x;          /* its first column in the first row */
	size_t size;            /* bytes of a value */
	size_t nframes, nchannels, fold;
	size_t width, stride;   /* columns, and values from one row to the next */
	double threshold;
	unsigned ops;
	double sum[REDUCE_NSUM][REDUCE_STRIP], mean[REDUCE_STRIP], out[REDUCE_STRIP];
	char extreme[2][2 * REDUCE_STRIP * 8] __attribute__((aligned(64)));
};

static bool wanted(unsigned ops, enum reduce_sum sum)
{
	static const unsigned needs[REDUCE_NSUM] = {
		[REDUCE_SUM] = REDUCE_sum | ANY_MEAN,
		[REDUCE_SQUARE] = REDUCE_sum_of_squares | REDUCE_rms,
		[REDUCE_ABOVE] = REDUCE_count_above,
		[REDUCE_WEIGHTED] = REDUCE_weighted_sum,
	};
	return ops & needs[sum];
}

/* Adds `nrows` rows of `width` columns that start at x. */
static void add_rows(struct strip *s, const char *x, size_t nrows, size_t width)
{
	for (int i = 0; i < REDUCE_DEVIATION; i++)
		if (wanted(s->ops, (enum reduce_sum)i))
			s->loops->sum[i](x, nrows, width, s->stride, s->threshold, NULL, s->sum[i]);
	if (s->ops & REDUCE_min)
		s->loops->extreme[0](x, nrows, width, s->stride, s->extreme[0]);
	if (s->ops & REDUCE_max)
		s->loops->extreme[1](x, nrows, width, s->stride, s->extreme[1]);
}

/* The columns of each channel into its first. `better` picks an extreme; 0: a sum. */
static void join_columns(const struct strip *s, double *v, int better)
{
	for (size_t n = s->fold; n > 1; n = (n + 1) / 2)
		for (size_t f = 0; f < n / 2; f++)
			for (size_t c = 0; c < s->nchannels; c++) {
				double *a = &v[f * s->nchannels + c], b = v[((n + 1) / 2 + f) * s->nchannels + c];
				if (better == 0)
					*a += b;
				else if (isnan(b) || (better < 0 ? b < *a : b > *a))
					*a = isnan(*a) ? *a : b;
			}
}

static void scan_rows(struct strip *s)
{
	size_t nrows = s->nframes / s->fold, rest = s->nframes % s->fold;
	for (size_t row = 0; row < nrows; row += ROWS)
		add_rows(s, s->x + row * s->stride * s->size, nrows - row < ROWS ? nrows - row : ROWS, s->width);
	if (rest)
		add_rows(s, s->x + nrows * s->stride * s->size, 1, rest * s->nchannels);
	for (int i = 0; i < REDUCE_DEVIATION; i++)
		join_columns(s, s->sum[i], 0);
}

static void scan_deviations(struct strip *s)
{
	size_t nrows = s->nframes / s->fold, rest = s->nframes % s->fold;
	reduce_sum_fn *add = s->loops->sum[REDUCE_DEVIATION];
	for (size_t c = 0; c < s->width; c++)
		s->mean[c] = s->sum[REDUCE_SUM][c % s->nchannels] / (double)s->nframes;
	add(s->x, nrows, s->width, s->stride, 0, s->mean, s->sum[REDUCE_DEVIATION]);
	if (rest)
		add(s->x + nrows * s->stride * s->size, 1, rest * s->nchannels, s->stride, 0, s->mean, s->sum[REDUCE_DEVIATION]);
	join_columns(s, s->sum[REDUCE_DEVIATION], 0);
}

/* A column starts with its channel's first frame. */
static void start_extremes(struct strip *s)
{
	for (int i = 0; i < 2; i++) {
		for (size_t f = 0; f < s->fold; f++)
			memcpy(s->extreme[i] + f * s->nchannels * s->size, s->x, s->nchannels * s->size);
		memset(s->extreme[i] + REDUCE_STRIP * s->size, 0, s->width * s->size);
	}
}

static void finish_extreme(struct strip *s, int which, double *v)
{
	s->loops->out(s->extreme[which], s->width, v);
	join_columns(s, v, which == 0 ? -1 : 1);
}

static void reduce_strip(struct strip *s, struct moments *out)
{
	for (int i = 0; i < REDUCE_NSUM; i++)
		memset(s->sum[i], 0, s->width * sizeof(double));
	if (s->ops & (REDUCE_min | REDUCE_max))
		start_extremes(s);
	scan_rows(s);
	if (s->ops & REDUCE_std)
		scan_deviations(s);
	for (size_t c = 0; c < s->nchannels; c++)
		out[c] = (struct moments){
			.count = (int64_t)s->nframes,
			.above = (int64_t)s->sum[REDUCE_ABOVE][c],
			.sum = s->sum[REDUCE_SUM][c],
			.sum_sq = s->sum[REDUCE_SQUARE][c],
			.weighted = s->sum[REDUCE_WEIGHTED][c],
			.mean = s->sum[REDUCE_SUM][c] / (double)s->nframes,
			.m2 = s->sum[REDUCE_DEVIATION][c],
		};
	for (int i = 0; i < 2; i++) {
		if (!(s->ops & (i == 0 ? REDUCE_min : REDUCE_max)))
			continue;
		finish_extreme(s, i, s->out);
		for (size_t c = 0; c < s->nchannels; c++)
			*(i == 0 ? &out[c].min : &out[c].max) = s->out[c];
	}
}

enum status reduce_block_moments(enum dtype dtype, const void *x, size_t nframes, size_t nchannels, double threshold, unsigned ops,
				 struct moments *out)
{
	const struct reduce_loops *loops = ISA_PICK(reduce_loops)(dtype);
	if (!loops)
		return STATUS_UNSUPPORTED;
	if (nframes > reduce_block(nchannels))
		return STATUS_INVALID;
	if (nframes == 0 || nchannels == 0) {
		memset(out, 0, nchannels * sizeof *out);
		return STATUS_OK;
	}
	struct strip s;
	s.loops = loops;
	s.size = dtype_size(dtype);
	s.nframes = nframes;
	s.threshold = threshold;
	s.ops = ops;
	s.fold = nchannels < FEW ? COLUMNS / nchannels : 1;
	for (size_t first = 0; first < nchannels; first += REDUCE_STRIP) {
		s.x = (const char *)x + first * s.size;
		s.nchannels = nchannels - first < REDUCE_STRIP ? nchannels - first : REDUCE_STRIP;
		s.width = s.nchannels * s.fold;
		s.stride = s.fold == 1 ? nchannels : s.width;
		reduce_strip(&s, out + first);
	}
	return STATUS_OK;
}

/* --- joining blocks --- */

static double extreme_of(double a, double b, bool least)
{
	if (isnan(a) || isnan(b))
		return NAN;
	return (least ? b < a : b > a) ? b : a;
}

/* Chan, Golub, LeVeque 1983, The American Statistician 37:242, for the mean and m2. */
static void join(struct moments *a, const struct moments *b)
{
	if (b->count == 0)
		return;
	if (a->count == 0) {
		*a = *b;
		return;
	}
	double na = (double)a->count, nb = (double)b->count, n = na + nb, delta = b->mean - a->mean;
	a->mean += delta * (nb / n);
	a->m2 += b->m2 + delta * delta * (na * (nb / n));
	a->count += b->count;
	a->above += b->above;
	a->sum += b->sum;
	a->sum_sq += b->sum_sq;
	a->weighted += b->weighted;
	a->min = extreme_of(a->min, b->min, true);
	a->max = extreme_of(a->max, b->max, false);
}

/* Neighbours first, then neighbours of these: block i meets block i + step where i is a multiple of 2 * step. */
void reduce_join(struct moments *m, size_t nblocks, size_t nchannels)
{
	for (size_t step = 1; step < nblocks; step *= 2)
		for (size_t i = 0; i + step < nblocks; i += 2 * step)
			for (size_t c = 0; c < nchannels; c++)
				join(&m[i * nchannels + c], &m[(i + step) * nchannels + c]);
}

double reduce_result(enum reduce_op op, const struct moments *m)
{
	double n = (double)m->count;
	switch (op) {
	case REDUCE_count_above:
		return (double)m->above;
	case REDUCE_sum:
		return m->sum;
	case REDUCE_sum_of_squares:
		return m->sum_sq;
	case REDUCE_weighted_sum:
		return m->weighted;
	case REDUCE_mean:
		return m->count ? m->sum / n : NAN;
	case REDUCE_std:
		return m->count ? sqrt(m->m2 / n) : NAN;
	case REDUCE_rms:
		return m->count ? sqrt(m->sum_sq / n) : NAN;
	case REDUCE_min:
		return m->count ? m->min : NAN;
	case REDUCE_max:
		return m->count ? m->max : NAN;
	}
	return NAN;
}
