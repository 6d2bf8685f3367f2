/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Bad channels: silenced, or made from the good ones around them.
 *
 * Interpolation is SpikeInterface's (interpolate_bad_channels, after the International Brain Laboratory): weights exp(-(d / sigma)^p) of the good
 * channels; those below 0.005 become 0, the others are divided by their sum, and those then below 0.005 become 0. A channel with none left becomes 0.
 * The products are summed in f64 in the order of the channels and rounded to f32.
 */
#include "kernels/channels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PAIRS = 1 << 20 }; /* of a bad channel and another: 0.1 s */
static const double least_weight = 0.005;

struct source {
	uint32_t channel;
	double weight;
};

/* Behind it: [nbad] bad, then [nbad + 1] start, both as uint32, then the sources. */
struct table {
	size_t nbad;
	const uint32_t *bad, *start;
	const struct source *source;
};

static enum stage_form form(const struct stage_spec *s)
{
	(void)s;
	return FORM_FRAMES;
}

static enum status check(const struct pipeline_spec *spec, size_t i, bool *bad, struct error *e)
{
	const struct channel_list *list = &spec->stages[i].channels;
	if (list->n == 0)
		return stage_wrong(e, i, "channels", "leave the stage out if there are none", "needs the channels that are bad");
	return channels_mark(list, i, "channels", spec->nchannels, bad, e);
}

static enum status keep(struct plan_stage *p, const struct channel_list *bad, size_t stage, size_t nsources, struct error *e)
{
	size_t lists = (sizeof(struct table) + (2 * bad->n + 1) * sizeof(uint32_t) + 63) / 64 * 64;
	enum status status = stage_table(p, stage, 1, lists + nsources * sizeof(struct source), e);
	if (status)
		return status;
	struct table *t = p->table;
	uint32_t *at = (uint32_t *)(t + 1);
	memcpy(at, bad->at, bad->n * sizeof *at);
	*t = (struct table){ bad->n, at, at + bad->n, (const struct source *)((char *)p->table + lists) };
	return STATUS_OK;
}

/* --- silence --- */

static enum status plan_silence(struct plan_stage *p, const struct pipeline_spec *spec, size_t i, size_t grid, struct error *e)
{
	bool *bad = calloc(spec->nchannels, sizeof *bad);
	(void)grid;
	enum status status = bad ? check(spec, i, bad, e) : error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	free(bad);
	return status ? status : keep(p, &spec->stages[i].channels, i, 0, e);
}

static void silence(const struct plan_stage *p, float *x, size_t tile_stride, size_t nframes, void *scratch)
{
	const struct table *t = p->table;
	(void)scratch;
	for (size_t i = 0; i < t->nbad; i++) {
		float *at = x + t->bad[i] / LANES * tile_stride + t->bad[i] % LANES;
		for (size_t k = 0; k < nframes; k++)
			at[k * LANES] = 0;
	}
}

const struct stage_type stage_silence = { .name = "silence", .form = form, .plan = plan_silence, .frames = silence };

/* --- interpolation --- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* The most common distance between neighbouring rows (second coordinate), the least of the most common; 0 if all are in one row. y: [nchannels]. */
static double common_distance(const struct pipeline_spec *spec, double *y)
{
	size_t n = spec->nchannels, nrows = 0, best = 0;
	double found = 0;
	for (size_t c = 0; c < n; c++)
		y[c] = spec->locations[c * spec->ndim + 1];
	qsort(y, n, sizeof *y, by_value);
	for (size_t c = 0; c < n; c++)
		if (nrows == 0 || y[c] != y[nrows - 1])
			y[nrows++] = y[c];
	for (size_t i = 0; i + 1 < nrows; i++)
		y[i] = y[i + 1] - y[i];
	if (nrows < 2)
		return 0;
	qsort(y, nrows - 1, sizeof *y, by_value);
	for (size_t i = 0, run = 0; i + 1 < nrows; i++) {
		run = i > 0 && y[i] == y[i - 1] ? run + 1 : 1;
		if (run > best) {
			best = run;
			found = y[i];
		}
	}
	return found;
}

/* weights: [nchannels] of the good channels for one bad one. How many are not 0. */
static size_t weigh(const struct pipeline_spec *spec, const struct stage_spec *s, double sigma, const bool *bad, size_t channel, double *weights)
{
	size_t n = spec->nchannels, count = 0;
	double sum = 0;
	for (size_t c = 0; c < n; c++) {
		double w = bad[c] ? 0 : exp(-pow(channels_distance(spec, c, channel) / sigma, s->p));
		weights[c] = w < least_weight ? 0 : w;
		sum += weights[c];
	}
	for (size_t c = 0; c < n; c++) {
		weights[c] = sum > 0 ? weights[c] / sum : 0;
		if (weights[c] < least_weight)
			weights[c] = 0;
		count += weights[c] > 0;
	}
	return count;
}

static enum status check_kernel(const struct pipeline_spec *spec, size_t i, double *sigma, double *scratch, struct error *e)
{
	const struct stage_spec *s = &spec->stages[i];
	if (s->channels.n > MAX_PAIRS / spec->nchannels)
		return stage_wrong(e, i, "channels", "silence them", "%zu bad channels of %zu are too many to interpolate", s->channels.n, spec->nchannels);
	enum status status = channels_located(spec, i, e);
	if (status)
		return status;
	if (!(s->p > 0 && s->p <= 100))
		return stage_wrong_value(e, i, "p", "1.3 is usual", "not above 0 and at most 100", s->p);
	*sigma = s->sigma_um != 0 ? s->sigma_um : common_distance(spec, scratch);
	if (s->sigma_um == 0 && *sigma == 0)
		return stage_wrong(e, i, "sigma_um", "give the distance between channels", "all channels lie in one row, so it cannot be derived");
	if (!(*sigma > 0 && isfinite(*sigma)))
		return stage_wrong_value(e, i, "sigma_um", "give the distance between channels", "not above 0", *sigma);
	return STATUS_OK;
}

static enum status plan_weights(struct plan_stage *p, const struct pipeline_spec *spec, size_t i, bool *bad, double *weights, struct error *e)
{
	const struct stage_spec *s = &spec->stages[i];
	double sigma = 0;
	size_t nsources = 0;
	enum status status = check(spec, i, bad, e);
	if (!status)
		status = check_kernel(spec, i, &sigma, weights, e);
	for (size_t b = 0; b < s->channels.n && !status; b++)
		nsources += weigh(spec, s, sigma, bad, s->channels.at[b], weights);
	if (!status)
		status = keep(p, &s->channels, i, nsources, e);
	if (status)
		return status;
	struct table *t = p->table;
	uint32_t *start = (uint32_t *)t->start;
	struct source *source = (struct source *)t->source;
	for (size_t b = 0; b < s->channels.n; b++) {
		weigh(spec, s, sigma, bad, s->channels.at[b], weights);
		start[b + 1] = start[b];
		for (size_t c = 0; c < spec->nchannels; c++)
			if (weights[c] > 0)
				source[start[b + 1]++] = (struct source){ (uint32_t)c, weights[c] };
	}
	return STATUS_OK;
}

static enum status plan_interpolate(struct plan_stage *p, const struct pipeline_spec *spec, size_t i, size_t grid, struct error *e)
{
	bool *bad = calloc(spec->nchannels, sizeof *bad);
	double *weights = calloc(spec->nchannels, sizeof *weights);
	(void)grid;
	enum status status = bad && weights ? plan_weights(p, spec, i, bad, weights, e) : error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	free(bad);
	free(weights);
	return status;
}

static void interpolate(const struct plan_stage *p, float *x, size_t tile_stride, size_t nframes, void *scratch)
{
	const struct table *t = p->table;
	(void)scratch;
	for (size_t i = 0; i < t->nbad; i++) {
		double sum[STAGE_PIECE] = { 0 };
		for (size_t k = t->start[i]; k < t->start[i + 1]; k++) {
			const float *from = x + t->source[k].channel / LANES * tile_stride + t->source[k].channel % LANES;
			for (size_t n = 0; n < nframes; n++)
				sum[n] += t->source[k].weight * (double)from[n * LANES];
		}
		float *at = x + t->bad[i] / LANES * tile_stride + t->bad[i] % LANES;
		for (size_t n = 0; n < nframes; n++)
			at[n * LANES] = (float)sum[n];
	}
}

const struct stage_type stage_interpolate = { .name = "interpolate", .form = form, .plan = plan_interpolate, .frames = interpolate };
