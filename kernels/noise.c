/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Noise levels. Exact medians, by selection rather than sorting (after Floyd and Rivest 1975, CACM 18:165): the values of a small sample
 * bracket the wanted rank, one pass keeps what lies inside the bracket, a quarter or so, and that again until few are left.
 * Where the sample misled, or ties keep the bracket full, a step of bisection over the float's bits takes its place; there are no more
 * than 32 of these, so any data cost O(n).
 *
 * For 15000 frames a median costs three to four reads of the channel, all in the cache.
 */
#include "kernels/noise.h"

#include "kernels/isa.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLE = NOISE_FEW, MARGIN = 18 }; /* MARGIN: of the sample's rank, 3 standard deviations, sqrt(SAMPLE) / 2 each, and one */

struct loops {
	unsigned (*transpose)(const float *x, size_t n, float *out, size_t stride);
	int (*deviations)(float *x, size_t n, float m);
	size_t (*split)(const float *x, size_t n, float lo, float hi, float *inside, size_t *below);
	void (*rank)(const float *x, size_t n, size_t k0, size_t k1, float *v0, float *v1);
};

/* --- floats as integers of the same order, with both zeros 0, so that one can halve an interval of them --- */

static int64_t key_of(float x)
{
	int32_t i;
	memcpy(&i, &x, sizeof i);
	return i < 0 ? -(int64_t)(i & INT32_MAX) : i;
}

static float of_key(int64_t key)
{
	int32_t i = (int32_t)(key < 0 ? -key : key);
	float x;
	memcpy(&x, &i, sizeof x);
	return key < 0 ? -x : x;
}

/* --- selection --- */

/* What is left of the search: ranks k0 <= k1 <= k0 + 1 of the n values at x, all within [lo, hi]. */
struct search {
	const float *x;
	size_t n, k0, k1;
	int64_t lo, hi; /* keys */
	float *buffer[2];
	int free;       /* the buffer x is not in */
};

/* Keeps the values in [lo, hi] if they hold both ranks; false, and nothing changed, if they do not. */
static bool narrow(const struct loops *f, struct search *s, int64_t lo, int64_t hi)
{
	size_t below, n = f->split(s->x, s->n, of_key(lo), of_key(hi), s->buffer[s->free], &below);
	if (s->k0 < below || s->k1 - below >= n)
		return false;
	s->x = s->buffer[s->free];
	s->free ^= 1;
	s->n = n;
	s->k0 -= below;
	s->k1 -= below;
	s->lo = lo;
	s->hi = hi;
	return true;
}

/* The bracket a sample gives, evenly spaced so that it is the same for the same values. */
static bool narrow_by_sample(const struct loops *f, struct search *s)
{
	float sample[SAMPLE], lo = of_key(s->lo), hi = of_key(s->hi);
	size_t rank0 = s->k0 * SAMPLE / s->n, rank1 = s->k1 * SAMPLE / s->n;
	for (size_t i = 0; i < SAMPLE; i++)
		sample[i] = s->x[i * s->n / SAMPLE];
	f->rank(sample, SAMPLE, rank0 > MARGIN ? rank0 - MARGIN : 0, rank1 + MARGIN < SAMPLE ? rank1 + MARGIN : SAMPLE - 1, &lo, &hi);
	return narrow(f, s, rank0 > MARGIN ? key_of(lo) : s->lo, rank1 + MARGIN < SAMPLE ? key_of(hi) : s->hi);
}

/* Halves the interval. False if the two ranks lie on different sides: then they are the greatest below and the least above. */
static bool narrow_by_half(const struct loops *f, struct search *s, float *v0, float *v1)
{
	int64_t middle = s->lo + (s->hi - s->lo) / 2;
	if (narrow(f, s, s->lo, middle) || narrow(f, s, middle + 1, s->hi))
		return true;
	float split = of_key(middle);
	*v0 = -INFINITY;
	*v1 = INFINITY;
	for (size_t i = 0; i < s->n; i++) {
		if (s->x[i] <= split && s->x[i] > *v0)
			*v0 = s->x[i];
		if (s->x[i] > split && s->x[i] < *v1)
			*v1 = s->x[i];
	}
	return false;
}

/* Values of rank k0 and k1 = k0 or k0 + 1 (from 0) among the n >= 1 at x, none NaN. x stays as it is. */
static void select_ranks(const struct loops *f, const float *x, size_t n, size_t k0, size_t k1, float *buffer[2], float *v0, float *v1)
{
	struct search s = { x, n, k0, k1, key_of(-INFINITY), key_of(INFINITY), { buffer[0], buffer[1] }, 0 };
	while (s.n > SAMPLE) {
		size_t before = s.n;
		bool sampled = narrow_by_sample(f, &s);
		if (s.lo == s.hi) {
			*v0 = *v1 = of_key(s.lo);
			return;
		}
		if (sampled && s.n <= before - before / 4)
			continue;
		if (!narrow_by_half(f, &s, v0, v1))
			return;
		if (s.lo == s.hi) {
			*v0 = *v1 = of_key(s.lo);
			return;
		}
	}
	f->rank(s.x, s.n, s.k0, s.k1, v0, v1);
}

/* As numpy.median on float32: for an even count the mean, in f32, of the two middle values. */
static float median(const struct loops *f, const float *x, size_t n, float *buffer[2])
{
	float a = 0, b = 0;
	select_ranks(f, x, n, (n - 1) / 2, n / 2, buffer, &a, &b);
	return n % 2 ? a : (a + b) / 2;
}

/* --- noise levels --- */

struct job {
	enum noise_method method;
	const struct slab *slab;
	size_t npieces, stride; /* floats of a channel's row */
	char *scratch;
	float *center, *level;  /* [nchannels]; center may be NULL */
	struct loops loops;
};

static size_t row_floats(size_t nframes)
{
	/* an odd number of cache lines, so that the 16 rows written at once do not fall into the same sets of the cache */
	return ((nframes + NOISE_SLACK + LANES - 1) / LANES | 1) * LANES;
}

static size_t npieces(const struct slab *slab, const struct executor *ex)
{
	return ex->nthreads < slab->ntiles ? ex->nthreads + (ex->nthreads == 0) : slab->ntiles;
}

/* Each piece: 16 rows of a tile, and two buffers for the selection. */
size_t noise_scratch(const struct slab *slab, const struct executor *ex)
{
	size_t nbytes;
	if (slab->nframes > SIZE_MAX / 256 ||
	    __builtin_mul_overflow(row_floats(slab->nframes) * sizeof(float), (LANES + 2) * npieces(slab, ex), &nbytes))
		return SIZE_MAX;
	return nbytes;
}

double noise_scale(enum noise_method method)
{
	return method == NOISE_MAD ? 0.6744897501960817 : method == NOISE_QUIROGA ? 0.6745 : 1.0;
}

/* The mean of (x - centre), or of its square. */
static double mean_of(const float *x, size_t n, double centre, bool squares)
{
	enum { SUMS = 8 };
	double sum[SUMS] = { 0 };
	for (size_t i = 0; i < n; i++) {
		const double d = (double)x[i] - centre;
		sum[i % SUMS] += squares ? d * d : d;
	}
	for (size_t half = SUMS / 2; half > 0; half /= 2)
		for (size_t i = 0; i < half; i++)
			sum[i] += sum[i + half];
	return sum[0] / (double)n;
}

static float level_of(const struct job *job, float *x, size_t n, float *buffer[2], float *center)
{
	const struct loops *f = &job->loops;
	*center = 0;
	if (job->method == NOISE_RMS)
		return (float)sqrt(mean_of(x, n, 0, true));
	if (job->method == NOISE_STD) {
		const double mean = mean_of(x, n, 0, false);
		*center = (float)mean;
		return (float)sqrt(mean_of(x, n, mean, true));
	}
	if (job->method == NOISE_MAD)
		*center = median(f, x, n, buffer);
	if (f->deviations(x, n, *center))
		return NAN; /* infinities on both sides, or the median itself infinite */
	return median(f, x, n, buffer) / (float)noise_scale(job->method);
}

static void run_piece(void *arg, size_t piece)
{
	const struct job *job = arg;
	const struct slab *slab = job->slab;
	size_t n = slab->nframes;
	float *rows = (float *)job->scratch + piece * (LANES + 2) * job->stride;
	float *buffer[2] = { rows + LANES * job->stride, rows + (LANES + 1) * job->stride };
	for (size_t tile = piece; tile < slab->ntiles; tile += job->npieces) {
		size_t left = slab->nchannels - tile * LANES, nlanes = left < LANES ? left : LANES;
		unsigned nan = job->loops.transpose(slab_at(slab, tile, 0), n, rows, job->stride);
		for (size_t lane = 0; lane < nlanes; lane++) {
			float center = NAN;
			job->level[tile * LANES + lane] =
				nan >> lane & 1 ? NAN : level_of(job, rows + lane * job->stride, n, buffer, &center);
			if (job->center)
				job->center[tile * LANES + lane] = center;
		}
	}
}

enum status noise_level(enum noise_method method, const struct slab *slab, const struct executor *ex, void *scratch, float *level)
{
	return noise_center_level(method, slab, ex, scratch, NULL, level);
}

enum status noise_center_level(enum noise_method method, const struct slab *slab, const struct executor *ex, void *scratch, float *center,
			       float *level)
{
	if (slab->nframes == 0)
		return STATUS_INVALID;
	struct job job = {
		method, slab, npieces(slab, ex), row_floats(slab->nframes), scratch, center, level,
		{ ISA_PICK(noise_transpose), ISA_PICK(noise_deviations), ISA_PICK(noise_split), ISA_PICK(noise_rank) },
	};
	ex->run(ex->ctx, job.npieces, run_piece, &job);
	return STATUS_OK;
}
