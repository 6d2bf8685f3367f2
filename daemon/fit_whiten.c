/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Whitening: the mean if it is to be taken away, then the covariance (and how large samples are, for eps), then perhaps a closer look at how large, each
 * a pass over the chunks; then the matrix. Numbers: [nchannels][nchannels] the matrix, then [nchannels] the mean if there is one.
 */
#include "daemon/fit.h"
#include "daemon/neighbours.h"
#include "kernels/covariance.h"
#include "kernels/magnitudes.h"
#include "kernels/whitening.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum pass { PASS_MEAN, PASS_COVARIANCE, PASS_SIZE, SOLVING };

enum { LOCAL_STEP = 16 };        /* channels for each thread */

struct fit {
	const struct stage_fit *asked;
	size_t n, stage, nframes;    /* channels, stage, frames of the pass */
	enum pass pass;
	struct neighbours around;    /* local */
	struct tile_pair *pairs;
	size_t npairs;
	double *sums;                /* [npairs][LANES][LANES] */
	double *sum;                 /* [ntiles * LANES] */
	float *mean;                 /* [ntiles * LANES] */
	struct slab centred;         /* a chunk without the mean */
	const struct slab *chunk;
	struct magnitudes *sizes;
	double eps;
	double *covariance;          /* [n][n] */
	struct whitening *global;
	size_t at;                   /* local: the next channel */
	double *numbers;
};

static enum status no_memory(struct error *e)
{
	return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for a whitening matrix");
}

static bool has_mean(const struct fit *f)
{
	return f->asked->mean;
}

/* --- what is needed --- */

static enum status wrong(const struct fit *f, const char *key, const char *hint, const char *what, size_t number, struct error *e)
{
	char field[64];
	snprintf(field, sizeof field, "preprocess[%zu].%s", f->stage, key);
	return error_set(e, STATUS_TOO_LARGE, field, hint, "%s: %zu %s", field, number, what);
}

static enum status find_neighbours(struct fit *f, const struct fit_wanted *w, struct error *e)
{
	const struct pipeline_spec *spec = w->spec;
	if (!spec->locations)
		return error_set(e, STATUS_INVALID, "channel_locations", "give the array channel_locations (channels, 2 or 3) in um, or use mode global",
				 "preprocess[%zu]: local whitening needs to know where the channels are", f->stage);
	enum status status = neighbours_new(&f->around, spec->locations, f->n, spec->ndim, f->asked->radius_um, w->budget / 4, e);
	for (size_t c = 0; c < f->n && !status; c++)
		if (f->around.start[c + 1] - f->around.start[c] > FIT_MAX_LOCAL)
			status = wrong(f, "radius_um", "use a smaller radius", "channels are within the radius of one; at most 256",
				       f->around.start[c + 1] - f->around.start[c], e);
	return status;
}

/* Tiles that hold two channels which one channel has around it. */
static void mark_local(const struct fit *f, size_t ntiles, uint8_t *marks)
{
	for (size_t c = 0; c < f->n; c++)
		for (size_t i = f->around.start[c]; i < f->around.start[c + 1]; i++)
			for (size_t j = f->around.start[c]; j < f->around.start[c + 1]; j++)
				marks[f->around.index[i] / LANES * ntiles + f->around.index[j] / LANES] = 1;
}

static enum status list_pairs(struct fit *f, struct error *e)
{
	const size_t ntiles = (f->n + LANES - 1) / LANES;
	uint8_t *marks = calloc(ntiles, ntiles);
	if (!marks)
		return no_memory(e);
	if (f->asked->local)
		mark_local(f, ntiles, marks);
	else
		memset(marks, 1, ntiles * ntiles);
	for (size_t a = 0; a < ntiles; a++)
		for (size_t b = a; b < ntiles; b++)
			f->npairs += marks[a * ntiles + b];
	f->pairs = calloc(f->npairs, sizeof *f->pairs);
	size_t at = 0;
	for (size_t a = 0; a < ntiles && f->pairs; a++)
		for (size_t b = a; b < ntiles; b++)
			if (marks[a * ntiles + b])
				f->pairs[at++] = (struct tile_pair){ (uint32_t)a, (uint32_t)b };
	free(marks);
	return f->pairs ? STATUS_OK : no_memory(e);
}

static enum status allocate(struct fit *f, const struct fit_wanted *w, struct error *e)
{
	const size_t ntiles = (f->n + LANES - 1) / LANES, tile = w->chunk * LANES, square = f->n * f->n * sizeof(double);
	size_t bytes = f->npairs * LANES * LANES * sizeof(double) + 2 * square + (has_mean(f) ? ntiles * tile * sizeof(float) : 0);
	if (!f->asked->local)
		bytes += eigen_bytes(f->n) + 2 * square;
	if (bytes > w->budget) {
		error_set(e, STATUS_TOO_LARGE, "preprocess", "raise limits.work_bytes, or use mode local",
			  "preprocess[%zu]: whitening %zu channels takes %zu MiB, too much for limits.work_bytes", f->stage, f->n, bytes >> 20);
		e->limit = (long long)w->budget;
		return STATUS_TOO_LARGE;
	}
	f->sums = calloc(f->npairs, LANES * LANES * sizeof *f->sums);
	f->sum = calloc(ntiles * LANES, sizeof *f->sum);
	f->mean = calloc(ntiles * LANES, sizeof *f->mean);
	f->covariance = calloc(f->n, f->n * sizeof *f->covariance);
	f->numbers = calloc(f->n + 1, f->n * sizeof *f->numbers);
	f->centred = (struct slab){ .nchannels = f->n, .ntiles = ntiles, .tile_stride = tile };
	if (has_mean(f))
		f->centred.x = aligned_alloc(64, ntiles * tile * sizeof(float));
	bool enough = f->sums && f->sum && f->mean && f->covariance && f->numbers && (!has_mean(f) || f->centred.x);
	return enough ? STATUS_OK : no_memory(e);
}

static void whiten_free(struct fit *f)
{
	if (!f)
		return;
	neighbours_fini(&f->around);
	free(f->pairs);
	free(f->sums);
	free(f->sum);
	free(f->mean);
	free(f->centred.x);
	magnitudes_free(f->sizes);
	free(f->covariance);
	whitening_free(f->global);
	free(f->numbers);
	free(f);
}

static enum status whiten_new(struct fit **out, const struct fit_wanted *w, struct error *e)
{
	struct fit *f = *out = calloc(1, sizeof *f);
	enum status status = STATUS_OK;
	if (!f)
		return no_memory(e);
	f->asked = &w->spec->stages[w->stage].fit;
	f->n = w->spec->nchannels;
	f->stage = w->stage;
	f->pass = has_mean(f) ? PASS_MEAN : PASS_COVARIANCE;
	f->eps = f->asked->eps;
	if (!f->asked->local && f->n > FIT_MAX_GLOBAL)
		return wrong(f, "mode", "use mode local", "channels at once; at most 1024", f->n, e);
	if (f->n > w->budget / sizeof(double) / f->n)
		return wrong(f, "mode", "raise limits.work_bytes, or use fewer channels", "channels make a matrix too large for limits.work_bytes", f->n, e);
	if (f->asked->local)
		status = find_neighbours(f, w, e);
	if (!status)
		status = list_pairs(f, e);
	if (!status)
		status = allocate(f, w, e);
	if (!status && f->eps == 0)
		status = magnitudes_new(&f->sizes, w->nthreads, e);
	return status;
}

/* --- passes --- */

static void sum_tile(void *arg, size_t tile)
{
	struct fit *f = arg;
	const float *x = slab_at(f->chunk, tile, 0);
	for (size_t t = 0; t < f->chunk->nframes; t++)
		for (size_t lane = 0; lane < LANES; lane++)
			f->sum[tile * LANES + lane] += (double)x[t * LANES + lane];
}

static void centre_tile(void *arg, size_t tile)
{
	struct fit *f = arg;
	const float *x = slab_at(f->chunk, tile, 0), *mean = f->mean + tile * LANES;
	float *y = slab_at(&f->centred, tile, 0);
	for (size_t t = 0; t < f->chunk->nframes; t++)
		for (size_t lane = 0; lane < LANES; lane++)
			y[t * LANES + lane] = x[t * LANES + lane] - mean[lane];
}

static enum status whiten_add(struct fit *f, const struct slab *chunk, const struct executor *ex, struct error *e)
{
	const struct slab *x = chunk;
	(void)e;
	f->chunk = chunk;
	f->nframes += chunk->nframes;
	if (f->pass == PASS_MEAN) {
		ex->run(ex->ctx, chunk->ntiles, sum_tile, f);
		return STATUS_OK;
	}
	if (has_mean(f)) {
		ex->run(ex->ctx, chunk->ntiles, centre_tile, f);
		f->centred.nframes = chunk->nframes;
		x = &f->centred;
	}
	if (f->pass == PASS_COVARIANCE)
		covariance_add(x, f->pairs, f->npairs, ex, f->sums);
	if (f->sizes)
		magnitudes_add(f->sizes, x, ex);
	return STATUS_OK;
}

static void take_mean(struct fit *f)
{
	for (size_t c = 0; c < f->n; c++) {
		f->mean[c] = (float)(f->sum[c] / (double)f->nframes);
		f->numbers[f->n * f->n + c] = (double)f->mean[c];
	}
}

static enum status take_covariance(struct fit *f, struct error *e)
{
	for (size_t i = 0; i < f->npairs * LANES * LANES; i++) {
		const struct tile_pair *p = &f->pairs[i / (LANES * LANES)];
		size_t a = p->a * LANES + i / LANES % LANES, b = p->b * LANES + i % LANES;
		if (a >= f->n || b >= f->n)
			continue;
		double value = f->sums[i] / (double)f->nframes;
		if (!isfinite(value))
			return error_set(e, STATUS_INVALID, "preprocess", "blank or silence them before",
					 "preprocess[%zu]: channel %zu or %zu holds samples that are not finite, or too large for float32", f->stage, a, b);
		f->covariance[a * f->n + b] = f->covariance[b * f->n + a] = value;
	}
	return STATUS_OK;
}

/* SpikeInterface's: small, but for traces that are themselves. */
static double eps_of(float median_square)
{
	const double eps = (double)(median_square * 1e-3f);
	return median_square > 0 && median_square < 1 && eps > 1e-16 ? eps : 1e-16;
}

static enum status end_pass(struct fit *f, enum fit_next *next, struct error *e)
{
	enum status status = STATUS_OK;
	*next = FIT_PASS;
	if (f->pass == PASS_MEAN) {
		take_mean(f);
		f->pass = PASS_COVARIANCE;
	} else if (f->pass == PASS_COVARIANCE) {
		status = take_covariance(f, e);
		f->pass = f->sizes && magnitudes_bound(f->sizes) < 1 ? PASS_SIZE : SOLVING;
		if (f->pass == SOLVING && f->sizes)
			f->eps = eps_of(1);
	} else {
		f->eps = eps_of(magnitudes_median_square(f->sizes));
		f->pass = SOLVING;
	}
	f->nframes = 0;
	if (f->pass == SOLVING)
		*next = FIT_THINK;
	if (f->pass == SOLVING && !status && !f->asked->local)
		status = whitening_new(&f->global, f->n, f->covariance, f->eps, e);
	return status;
}

/* --- the matrix --- */

struct local {
	struct fit *f;
	enum status *status;
	struct error *errors;
};

/* Column c is the row of c in the matrix of the channels around it. */
static void whiten_channel(void *arg, size_t i)
{
	struct local *l = arg;
	struct fit *f = l->f;
	const size_t c = f->at + i, n = f->around.start[c + 1] - f->around.start[c], *index = f->around.index + f->around.start[c];
	double *covariance = malloc((n * n + n) * sizeof *covariance), *row = covariance + n * n;
	size_t mine = 0;
	l->status[i] = covariance ? STATUS_OK : no_memory(&l->errors[i]);
	for (size_t a = 0; a < n && covariance; a++) {
		mine = index[a] == c ? a : mine;
		for (size_t b = 0; b < n; b++)
			covariance[a * n + b] = f->covariance[index[a] * f->n + index[b]];
	}
	if (covariance)
		l->status[i] = whitening_row(n, covariance, f->eps, mine, row, &l->errors[i]);
	for (size_t a = 0; a < n && !l->status[i]; a++)
		f->numbers[index[a] * f->n + c] = row[a];
	free(covariance);
}

static enum status whiten_some(struct fit *f, const struct executor *ex, bool *done, struct error *e)
{
	size_t most = LOCAL_STEP * ex->nthreads, n = f->n - f->at < most ? f->n - f->at : most;
	struct local l = { f, calloc(n, sizeof *l.status), calloc(n, sizeof *l.errors) };
	enum status status = l.status && l.errors ? STATUS_OK : no_memory(e);
	if (!status)
		ex->run(ex->ctx, n, whiten_channel, &l);
	for (size_t i = 0; i < n && !status; i++)
		if (l.status[i]) {
			*e = l.errors[i];
			status = l.status[i];
		}
	free(l.status);
	free(l.errors);
	f->at += n;
	*done = f->at == f->n;
	return status;
}

static enum status whiten_think(struct fit *f, const struct executor *ex, enum fit_next *next, struct error *e)
{
	bool done = false;
	if (f->pass != SOLVING)
		return end_pass(f, next, e);
	enum status status = f->asked->local ? whiten_some(f, ex, &done, e) : whitening_step(f->global, ex, f->numbers, &done, e);
	*next = done ? FIT_DONE : FIT_THINK;
	return status;
}

static const double *whiten_numbers(const struct fit *f, size_t *n)
{
	*n = f->n * f->n + (has_mean(f) ? f->n : 0);
	return f->numbers;
}

static enum status whiten_apply(struct stage_spec *s, size_t nchannels, const double *numbers, size_t n, struct error *e)
{
	const size_t square = nchannels * nchannels;
	double *matrix = malloc(square * sizeof *matrix), *mean = n > square ? malloc(nchannels * sizeof *mean) : NULL;
	s->matrix = matrix;
	s->value.at = mean;
	if (!matrix || (n > square && !mean))
		return no_memory(e);
	memcpy(matrix, numbers, square * sizeof *matrix);
	if (mean)
		memcpy(mean, numbers + square, nchannels * sizeof *mean);
	s->value.n = mean ? nchannels : 0;
	s->fit.wanted = true;
	return STATUS_OK;
}

const struct fit_method fit_whiten = { .new = whiten_new, .free = whiten_free, .add = whiten_add, .think = whiten_think, .numbers = whiten_numbers,
				       .apply = whiten_apply };
