/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The spectrum is wanted at some tens of frequencies only, so it is a product of a table with windows, folded in the middle (cosines are even, sines odd),
 * by the loops of the covariance: 16 frequencies of 16 channels at once.
 */
#include "kernels/bad_channels.h"
#include "kernels/covariance.h"
#include "kernels/noise.h"
#include "kernels/reference.h"
#include "kernels/spread.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 256 };                   /* frames */

struct bad_channels {
	struct bad_spec spec;
	size_t ntiles, nthreads, stride, rows; /* rows: window / 2 + 1 */
	size_t *order;
	struct slab raw, work;          /* the chunk without its means or medians; the same without a reference */
	const struct slab *chunk;

	float *hann;                    /* [window] */
	size_t nbins, first_bin, ngroups;
	float *cosines, *sines;         /* [ngroups][rows][LANES] */
	float *folded;                  /* [ntiles][2][rows][LANES] */
	double *density, *coherence, *trend; /* [ntiles * LANES] */
	double *ref;                    /* [nframes] */
	double energy;

	struct reference_sets sets;
	char *scratch;                  /* [nthreads] of the reference */
	size_t scratch_bytes;
	void *noise_scratch;
	float *center, *level;          /* [ntiles * LANES] */
	double *r;                      /* [ntiles * LANES] */
};

double bad_channels_median(double *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (isnan(x[i]))
			return NAN;
	/* Shell's sort: n is a few hundred. */
	for (size_t gap = n / 2; gap > 0; gap /= 2)
		for (size_t i = gap; i < n; i++)
			for (size_t j = i; j >= gap && x[j - gap] > x[j]; j -= gap) {
				double swap = x[j];
				x[j] = x[j - gap];
				x[j - gap] = swap;
			}
	return n ? (x[(n - 1) / 2] + x[n / 2]) / 2 : NAN;
}

/* --- tables --- */

/* Frequencies as scipy.fft.rfftfreq gives them, so that none is counted on the other side of the limit. */
static void choose_bins(struct bad_channels *b)
{
	const size_t n = b->spec.window;
	const double step = 1.0 / ((double)n * (1.0 / b->spec.fs_hz)), limit = b->spec.fs_hz / 2 * b->spec.nyquist;
	for (size_t k = 0; k <= n / 2; k++)
		if ((double)k * step > limit && !b->nbins++)
			b->first_bin = k;
	b->ngroups = (b->nbins + LANES - 1) / LANES;
}

static void fill_tables(struct bad_channels *b)
{
	const size_t n = b->spec.window;
	for (size_t j = 0; j < n; j++)
		b->hann[j] = (float)(0.5 - 0.5 * cos(2 * M_PI * (double)j / (double)n));
	for (size_t i = 0; i < b->nbins; i++)
		for (size_t j = 0; j < b->rows; j++) {
			double angle = 2 * M_PI * (double)((b->first_bin + i) * j % n) / (double)n;
			size_t at = (i / LANES * b->rows + j) * LANES + i % LANES;
			b->cosines[at] = (float)cos(angle);
			b->sines[at] = (float)sin(angle);
		}
}

static double distance(const struct bad_spec *s, size_t a, size_t b)
{
	double sum = 0;
	for (size_t k = 0; k < s->ndim; k++)
		sum += (s->locations[a * s->ndim + k] - s->locations[b * s->ndim + k]) * (s->locations[a * s->ndim + k] - s->locations[b * s->ndim + k]);
	return sqrt(sum);
}

/* One set for each channel that has others around it. */
static bool find_sets(struct bad_channels *b, size_t budget)
{
	const struct bad_spec *s = &b->spec;
	size_t total = 0, at = 0;
	for (size_t c = 0; c < s->nchannels; c++)
		for (size_t d = 0; d < s->nchannels; d++)
			total += d != c && distance(s, c, d) < s->radius_um;
	if (total > budget / sizeof(uint32_t) || total >= UINT32_MAX)
		return false;
	uint32_t *start = calloc(s->nchannels + 1, sizeof *start), *source = calloc(total + 1, sizeof *source), *set_of = calloc(s->nchannels, sizeof *set_of);
	b->sets = (struct reference_sets){ 0, start, source, set_of, 0, true };
	if (!start || !source || !set_of)
		return false;
	for (size_t c = 0; c < s->nchannels; c++) {
		size_t first = at;
		for (size_t d = 0; d < s->nchannels; d++)
			if (d != c && distance(s, c, d) < s->radius_um)
				source[at++] = (uint32_t)d;
		set_of[c] = at > first ? (uint32_t)b->sets.nsets : REFERENCE_NONE;
		if (at > first)
			start[++b->sets.nsets] = (uint32_t)at;
		b->sets.largest = at - first > b->sets.largest ? at - first : b->sets.largest;
	}
	b->scratch_bytes = reference_sets_scratch(s->nchannels, b->sets.nsets, b->sets.largest);
	return true;
}

static void *room(size_t n, size_t item)
{
	size_t bytes;
	void *at = __builtin_mul_overflow(n, item, &bytes) || bytes > SIZE_MAX / 2 ? NULL : aligned_alloc(64, (bytes + 127) / 64 * 64);
	if (at)
		memset(at, 0, (bytes + 127) / 64 * 64);
	return at;
}

static enum status no_memory(struct error *e)
{
	return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory to look for bad channels");
}

static enum status allocate(struct bad_channels *b, struct error *e)
{
	const size_t floats = b->ntiles * b->spec.nframes * LANES, lanes = b->ntiles * LANES, table = b->ngroups * b->rows * LANES;
	const struct executor threads = { .nthreads = b->nthreads };
	b->raw = b->work = (struct slab){ .nchannels = b->spec.nchannels, .ntiles = b->ntiles, .tile_stride = b->spec.nframes * LANES, .nframes = b->spec.nframes };
	b->raw.x = room(floats, sizeof(float));
	b->work.x = room(floats, sizeof(float));
	b->hann = room(b->spec.window, sizeof(float));
	b->cosines = room(table, sizeof(float));
	b->sines = room(table, sizeof(float));
	b->folded = room(b->ntiles * 2 * b->rows * LANES, sizeof(float));
	b->density = room(lanes, sizeof(double));
	b->coherence = room(lanes, sizeof(double));
	b->trend = room(lanes + b->spec.nneighbours, 2 * sizeof(double));
	b->ref = room(b->spec.nframes, sizeof(double));
	b->scratch_bytes = (b->scratch_bytes + 63) / 64 * 64;
	b->scratch = room(b->nthreads, b->scratch_bytes);
	b->center = room(lanes, sizeof(float));
	b->level = room(lanes, sizeof(float));
	b->r = room(lanes, sizeof(double));
	b->noise_scratch = b->spec.locations ? room(noise_scratch(&b->raw, &threads), 1) : room(1, 1);
	bool enough = b->raw.x && b->work.x && b->hann && b->cosines && b->sines && b->folded && b->density && b->coherence && b->trend && b->ref && b->scratch &&
		      b->center && b->level && b->r && b->noise_scratch;
	return enough ? STATUS_OK : no_memory(e);
}

/* All that grows with what a request may ask for, in doubles so that nothing overflows. */
static bool fits(const struct bad_spec *s, size_t nthreads, size_t budget)
{
	const double lanes = (double)((s->nchannels + LANES - 1) / LANES * LANES);
	return lanes * (double)s->nframes * 8 + 18.0 * 4 * (double)nthreads * (double)s->nframes + lanes * 2048 * (double)nthreads +
		       (double)s->window * ((double)s->window + lanes * 4) * 4 + (double)s->nneighbours * 16 <
	       (double)budget;
}

enum status bad_channels_new(struct bad_channels **out, const struct bad_spec *spec, size_t nthreads, size_t budget, struct error *e)
{
	if (!fits(spec, nthreads, budget)) {
		error_set(e, STATUS_TOO_LARGE, "chunk_duration_s", "use shorter chunks, or raise limits.work_bytes",
			  "chunks of %zu frames of %zu channels do not fit in limits.work_bytes", spec->nframes, spec->nchannels);
		e->limit = (long long)budget;
		return STATUS_TOO_LARGE;
	}
	struct bad_channels *b = calloc(1, sizeof *b);
	if (!b)
		return no_memory(e);
	b->spec = *spec;
	b->ntiles = (spec->nchannels + LANES - 1) / LANES;
	b->nthreads = nthreads ? nthreads : 1;
	b->rows = spec->window / 2 + 1;
	b->scratch_bytes = reference_scratch(spec->nchannels);
	b->order = room(spec->nchannels, sizeof *b->order);
	enum status status = b->order && (!spec->locations || find_sets(b, budget)) ? STATUS_OK : no_memory(e);
	choose_bins(b);
	if (!status)
		status = allocate(b, e);
	if (status) {
		bad_channels_free(b);
		return status;
	}
	for (size_t c = 0; c < spec->nchannels; c++)
		b->order[c] = spec->order ? spec->order[c] : c;
	fill_tables(b);
	*out = b;
	return STATUS_OK;
}

void bad_channels_free(struct bad_channels *b)
{
	if (!b)
		return;
	void *const all[] = { b->order, b->raw.x, b->work.x, b->hann, b->cosines, b->sines, b->folded, b->density, b->coherence, b->trend, b->ref,
			      (void *)b->sets.start, (void *)b->sets.source, (void *)b->sets.set_of, b->scratch, b->noise_scratch, b->center, b->level, b->r };
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		free(all[i]);
	free(b);
}

/* --- coherence and spectrum --- */

/* One window of a tile, without its mean, folded. */
static void fold(const struct bad_channels *b, const float *x, float *even, float *odd)
{
	const size_t n = b->spec.window;
	double mean[LANES] = { 0 };
	for (size_t j = 0; j < n; j++)
		for (size_t lane = 0; lane < LANES; lane++)
			mean[lane] += (double)x[j * LANES + lane];
	for (size_t j = 0; j < b->rows; j++) {
		const size_t mirror = (n - j) % n;
		for (size_t lane = 0; lane < LANES; lane++) {
			const float m = (float)(mean[lane] / (double)n), y = (x[j * LANES + lane] - m) * b->hann[j];
			const float z = mirror == j ? 0 : (x[mirror * LANES + lane] - m) * b->hann[mirror];
			even[j * LANES + lane] = y + z;
			odd[j * LANES + lane] = y - z;
		}
	}
}

static void add_power(const struct bad_channels *b, size_t group, const float *even, const float *odd, double *power)
{
	double re[LANES * LANES] = { 0 }, im[LANES * LANES] = { 0 };
	const float *cosines = b->cosines + group * b->rows * LANES, *sines = b->sines + group * b->rows * LANES;
	for (size_t j = 0; j < b->rows; j += COVARIANCE_RUN) {
		size_t n = b->rows - j < COVARIANCE_RUN ? b->rows - j : COVARIANCE_RUN;
		ISA_PICK(covariance_run)(cosines + j * LANES, even + j * LANES, n, re);
		ISA_PICK(covariance_run)(sines + j * LANES, odd + j * LANES, n, im);
	}
	for (size_t i = 0; i < LANES; i++) {
		const size_t k = b->first_bin + group * LANES + i;
		const double twice = k == 0 || 2 * k == b->spec.window ? 1 : 2;
		for (size_t lane = 0; lane < LANES; lane++)
			power[lane] += twice * (re[i * LANES + lane] * re[i * LANES + lane] + im[i * LANES + lane] * im[i * LANES + lane]);
	}
}

static void spectrum_of_tile(struct bad_channels *b, size_t tile)
{
	const size_t n = b->spec.window, step = n - n / 2;
	float *even = b->folded + tile * 2 * b->rows * LANES, *odd = even + b->rows * LANES;
	double power[LANES] = { 0 }, squares = 0;
	size_t nwindows = 0;
	for (size_t at = 0; at + n <= b->spec.nframes && b->nbins; at += step, nwindows++) {
		fold(b, slab_at(&b->raw, tile, at), even, odd);
		for (size_t group = 0; group < b->ngroups; group++)
			add_power(b, group, even, odd, power);
	}
	for (size_t j = 0; j < n; j++)
		squares += (double)b->hann[j] * (double)b->hann[j];
	for (size_t lane = 0; lane < LANES; lane++)
		b->density[tile * LANES + lane] = power[lane] / (squares * b->spec.fs_hz) / (double)nwindows / (double)b->nbins;
}

static void centre_tile(void *arg, size_t tile)
{
	struct bad_channels *b = arg;
	const float *x = slab_at(b->chunk, tile, 0);
	float *y = slab_at(&b->raw, tile, 0);
	double sum[LANES] = { 0 };
	for (size_t i = 0; i < b->spec.nframes * LANES; i++)
		sum[i % LANES] += (double)x[i];
	for (size_t i = 0; i < b->spec.nframes * LANES; i++)
		y[i] = x[i] - (float)(sum[i % LANES] / (double)b->spec.nframes);
	memcpy(slab_at(&b->work, tile, 0), y, b->spec.nframes * LANES * sizeof *y);
	spectrum_of_tile(b, tile);
}

/* The median of each frame: what the reference took away, told by the channel nearest to it, where the difference is exact. */
static void take_medians(void *arg, size_t worker, size_t piece)
{
	struct bad_channels *b = arg;
	size_t first = piece * PIECE, n = b->spec.nframes - first < PIECE ? b->spec.nframes - first : PIECE;
	reference_median(slab_at(&b->work, 0, first), b->work.tile_stride, n, b->spec.nchannels, b->scratch + worker * b->scratch_bytes);
	for (size_t t = first; t < first + n; t++) {
		double least = INFINITY;
		b->ref[t] = NAN;
		for (size_t c = 0; c < b->spec.nchannels; c++) {
			const double left = (double)slab_get(&b->work, t, c);
			if (fabs(left) < least) {
				least = fabs(left);
				b->ref[t] = (double)slab_get(&b->raw, t, c) - left;
			}
		}
	}
}

static void centre_reference(struct bad_channels *b)
{
	double sum = 0;
	for (size_t t = 0; t < b->spec.nframes; t++)
		sum += b->ref[t];
	b->energy = 0;
	for (size_t t = 0; t < b->spec.nframes; t++) {
		b->ref[t] -= sum / (double)b->spec.nframes;
		b->energy += b->ref[t] * b->ref[t];
	}
}

static void cohere_tile(void *arg, size_t tile)
{
	struct bad_channels *b = arg;
	const float *x = slab_at(&b->raw, tile, 0);
	double *sum = b->coherence + tile * LANES;
	memset(sum, 0, LANES * sizeof *sum);
	for (size_t t = 0; t < b->spec.nframes; t++)
		for (size_t lane = 0; lane < LANES; lane++)
			sum[lane] += (double)x[t * LANES + lane] * b->ref[t];
	for (size_t lane = 0; lane < LANES; lane++)
		sum[lane] /= b->energy;
}

/* Medians over channels near in order; fewer at the ends. */
static void find_trend(struct bad_channels *b)
{
	const size_t n = b->spec.nchannels, half = b->spec.nneighbours / 2;
	double *some = b->trend + n;
	for (size_t i = 0; i < n; i++) {
		const size_t low = i > half ? i - half : 0, high = n - i > half + 1 ? i + half + 1 : n;
		for (size_t k = low; k < high; k++)
			some[k - low] = b->coherence[b->order[k]];
		b->trend[i] = bad_channels_median(some, high - low);
	}
}

static void judge(const struct bad_channels *b, uint8_t *labels)
{
	const struct bad_spec *s = &b->spec;
	for (size_t i = 0; i < s->nchannels; i++) {
		const size_t c = b->order[i];
		const double beside = b->coherence[c] - b->trend[i];
		labels[c] = beside < s->dead ? CHANNEL_DEAD : CHANNEL_GOOD;
		if (b->density[c] > s->density || beside > s->noisy)
			labels[c] = CHANNEL_NOISE;
	}
	for (size_t i = s->nchannels; s->top && i-- > 0 && b->trend[i] < s->outside + 1;)
		labels[b->order[i]] = CHANNEL_OUT;
	for (size_t i = 0; s->bottom && i < s->nchannels && b->trend[i] < s->outside + 1; i++)
		labels[b->order[i]] = CHANNEL_OUT;
}

void bad_channels_coherence(struct bad_channels *b, const struct slab *chunk, const struct executor *ex, uint8_t *labels)
{
	b->chunk = chunk;
	ex->run(ex->ctx, b->ntiles, centre_tile, b);
	spread(ex, (b->spec.nframes + PIECE - 1) / PIECE, b->nthreads, take_medians, b);
	centre_reference(b);
	ex->run(ex->ctx, b->ntiles, cohere_tile, b);
	find_trend(b);
	judge(b, labels);
}

/* --- correlation with the channels around --- */

static void take_centers(void *arg, size_t tile)
{
	struct bad_channels *b = arg;
	const float *x = slab_at(b->chunk, tile, 0);
	float *y = slab_at(&b->raw, tile, 0);
	for (size_t i = 0; i < b->spec.nframes * LANES; i++)
		y[i] = x[i] - b->center[tile * LANES + i % LANES];
	memcpy(slab_at(&b->work, tile, 0), y, b->spec.nframes * LANES * sizeof *y);
}

static void take_around(void *arg, size_t worker, size_t piece)
{
	struct bad_channels *b = arg;
	size_t first = piece * PIECE, n = b->spec.nframes - first < PIECE ? b->spec.nframes - first : PIECE;
	reference_sets(slab_at(&b->work, 0, first), b->work.tile_stride, n, b->spec.nchannels, &b->sets, b->scratch + worker * b->scratch_bytes);
}

static void correlate_tile(void *arg, size_t tile)
{
	struct bad_channels *b = arg;
	const float *x = slab_at(&b->raw, tile, 0), *left = slab_at(&b->work, tile, 0);
	double own[LANES] = { 0 }, around[LANES] = { 0 }, both[LANES] = { 0 };
	for (size_t i = 0; i < b->spec.nframes * LANES; i++) {
		const double y = (double)x[i] - (double)left[i];
		own[i % LANES] += (double)x[i] * (double)x[i];
		around[i % LANES] += y * y;
		both[i % LANES] += (double)x[i] * y;
	}
	for (size_t lane = 0; lane < LANES; lane++) {
		const double size = sqrt(own[lane] * around[lane]);
		b->r[tile * LANES + lane] = both[lane] / (size == 0 ? 1 : size);
	}
}

void bad_channels_correlation(struct bad_channels *b, const struct slab *chunk, const struct executor *ex, double *r)
{
	b->chunk = chunk;
	memset(b->center, 0, b->ntiles * LANES * sizeof *b->center);
	noise_center_level(NOISE_MAD, chunk, ex, b->noise_scratch, b->center, b->level);
	ex->run(ex->ctx, b->ntiles, take_centers, b);
	spread(ex, (b->spec.nframes + PIECE - 1) / PIECE, b->nthreads, take_around, b);
	ex->run(ex->ctx, b->ntiles, correlate_tile, b);
	for (size_t c = 0; c < b->spec.nchannels; c++)
		r[c] = b->sets.set_of[c] == REFERENCE_NONE ? NAN : b->r[c];
}
