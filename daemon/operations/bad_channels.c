/* SPDX-License-Identifier: BSD-3-Clause
 *
 * bad_channels: open -> stages that are measured -> random chunks, judged one by one -> labels.
 */
#include "daemon/chunks.h"
#include "daemon/daemon.h"
#include "daemon/fit.h"
#include "daemon/fit_job.h"
#include "daemon/operations/operations.h"
#include "daemon/preprocess.h"
#include "kernels/bad_channels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum method { BY_COHERENCE, BY_STD, BY_MAD, BY_R2 };
enum { MAX_R2_CHANNELS = 8192 }; /* all pairs are looked at */
enum phase { PHASE_OPEN, PHASE_FIT, PHASE_START, PHASE_CHUNKS, PHASE_THINK };

struct search {
	struct source source;
	struct pipeline_spec spec;
	enum method method;
	double multiple, least_r2;      /* of the median deviation; of the squared correlation */
	double window_ms, chunk_s;
	size_t nchunks;
	uint64_t seed;
	struct bad_spec rule;
	enum phase phase;
	struct fit_job *fit;
	struct chunks *chunks;
	struct pipeline_spec whole;     /* the chain and a stage behind it, for the deviations */
	struct fit *deviations;
	struct bad_channels *bad;
	size_t *order;
	size_t done;                    /* chunks */
	uint8_t *labels;                /* [nchannels] of a chunk, then of all */
	uint32_t *counts;               /* [nchannels][CHANNEL_LABELS] */
	double *r;                      /* [chunks][nchannels] */
};

static void parse_rule(struct search *d, struct params *p)
{
	static const char *const places[] = { "top", "bottom", "both", NULL };
	struct bad_spec *s = &d->rule;
	d->multiple = params_real(p, "std_mad_threshold", 5, 0, true, 1e30);
	s->density = params_real(p, "psd_hf_threshold", 0.02, 0, false, 1e30);
	s->dead = params_real(p, "dead_channel_threshold", -0.5, -1e30, false, 1e30);
	s->noisy = params_real(p, "noisy_channel_threshold", 1, -1e30, false, 1e30);
	s->outside = params_real(p, "outside_channel_threshold", -0.75, -1e30, false, 1e30);
	int place = params_word(p, "outside_channels_location", places, 0);
	s->top = place != 1;
	s->bottom = place != 0;
	s->nneighbours = (size_t)params_int(p, "n_neighbors", 11, 1, 65535);
	s->nyquist = params_real(p, "nyquist_threshold", 0.8, 0, true, 1);
	d->window_ms = params_real(p, "welch_window_ms", 10, 0, true, 1e6);
	d->least_r2 = params_real(p, "neighborhood_r2_threshold", 0.9, 0, false, 1);
	s->radius_um = params_real(p, "neighborhood_r2_radius_um", 30, 0, true, 1e30);
}

/* SpikeInterface filters what is not filtered yet. */
static void add_filter(struct search *d, struct params *p)
{
	const double cutoff = params_real(p, "highpass_filter_cutoff", 300, 0, true, 1e9);
	bool filtered = params_bool(p, "filtered", false);
	for (size_t i = 0; i < d->spec.nstages; i++)
		filtered |= d->spec.stages[i].kind <= STAGE_NOTCH;
	if (filtered)
		return;
	if (d->spec.nstages == PIPELINE_MAX_STAGES)
		params_fail(p, "preprocess", "leave out a stage, or set filtered", "there is no room for the high-pass behind %d stages", PIPELINE_MAX_STAGES);
	else
		d->spec.stages[d->spec.nstages++] = (struct stage_spec){ .kind = STAGE_HIGHPASS, .family = FILTER_BUTTERWORTH, .freq_min_hz = cutoff, .order = 5,
									 .zero_phase = true };
}

enum step bad_channels_begin(struct request *r)
{
	static const char *const methods[] = { "coherence+psd", "std", "mad", "neighborhood_r2", NULL };
	struct params p;
	struct search *d = calloc(1, sizeof *d);
	r->state = d;
	if (!d)
		return request_fail(r, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	params_init(&p, request_params(r), "", &r->error);
	source_parse(&d->source, r, &p);
	if (d->source.array && d->source.fs_hz <= 0)
		params_fail(&p, "sampling_frequency", "say how many frames a second the array holds", "is missing");
	d->method = (enum method)params_word(&p, "method", methods, BY_COHERENCE);
	d->chunk_s = params_real(&p, "chunk_duration_s", 0.3, 0, true, 1e6);
	d->nchunks = (size_t)params_int(&p, "num_random_chunks", 100, 1, 10000);
	d->seed = (uint64_t)params_int(&p, "seed", 0, 0, INT64_MAX);
	parse_rule(d, &p);
	preprocess_parse(&p, &d->spec);
	add_filter(d, &p);
	return params_end(&p) ? STEP_DONE : STEP_IO;
}

/* --- preparing --- */

static enum status no_memory(struct error *e)
{
	return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
}

static enum status open_source(struct search *d, struct request *r)
{
	struct source *s = &d->source;
	enum status status = source_open(s, &r->error);
	if (status || d->method != BY_COHERENCE || !s->recording)
		return status;
	if (!s->recording->has_uv)
		return error_set(&r->error, STATUS_INVALID, "gain_uV", "give gain_uV, or use another method",
				 "coherence+psd has thresholds in microvolts, and the recording does not say how much a microvolt is");
	source_scale(s, &d->spec);
	return STATUS_OK;
}

static int compare_places(const void *a, const void *b, void *arg)
{
	const struct bad_spec *s = arg;
	const size_t i = *(const size_t *)a, j = *(const size_t *)b;
	const double *x = s->locations + i * s->ndim, *y = s->locations + j * s->ndim;
	if (x[1] != y[1])
		return x[1] < y[1] ? -1 : 1;
	if (x[0] != y[0])
		return x[0] < y[0] ? -1 : 1;
	return (i > j) - (i < j);
}

/* From the bottom up, and from left to right; both methods need to know where channels are. */
static enum status locate(struct search *d, struct error *e)
{
	struct bad_spec *s = &d->rule;
	enum status status = stage_arrays_locate(&d->source, &d->spec, e);
	if (status)
		return status;
	if (!d->spec.locations)
		return error_set(e, STATUS_INVALID, "channel_locations", "give the array channel_locations (channels, 2 or 3) in um, or use std or mad",
				 "the rule needs to know where the channels are");
	s->locations = d->spec.locations;
	s->ndim = d->spec.ndim;
	d->order = calloc(s->nchannels, sizeof *d->order);
	if (!d->order)
		return no_memory(e);
	for (size_t c = 0; c < s->nchannels; c++)
		d->order[c] = c;
	qsort_r(d->order, s->nchannels, sizeof *d->order, compare_places, s);
	s->order = d->order;
	if (d->method == BY_COHERENCE)
		s->locations = NULL;
	return STATUS_OK;
}

static enum status start_rule(struct search *d, struct request *r)
{
	struct bad_spec *s = &d->rule;
	const double window = trunc(d->window_ms * s->fs_hz / 1000);
	enum status status = locate(d, &r->error);
	if (status)
		return status;
	s->window = d->method == BY_R2 ? 1 : window < (double)s->nframes ? (size_t)window : s->nframes;
	if (s->window < 1 || s->window > BAD_MAX_WINDOW)
		return error_set(&r->error, STATUS_INVALID, "welch_window_ms", NULL, "welch_window_ms is %g frames at this sampling rate; 1 to %d", window,
				 BAD_MAX_WINDOW);
	const size_t budget = (size_t)r->settings->config.limits_work_bytes / 4, nchunks = chunks_count(d->chunks);
	if (d->method == BY_R2 && (s->nchannels > MAX_R2_CHANNELS || nchunks > budget / sizeof *d->r / s->nchannels))
		return error_set(&r->error, STATUS_TOO_LARGE, "method", "use fewer chunks, or another method",
				 "neighborhood_r2 of %zu chunks of %zu channels; at most %d channels, and limits.work_bytes", nchunks, s->nchannels, MAX_R2_CHANNELS);
	d->counts = calloc(s->nchannels, CHANNEL_LABELS * sizeof *d->counts);
	d->r = d->method == BY_R2 ? calloc(nchunks, s->nchannels * sizeof *d->r) : NULL;
	if (!d->counts || (d->method == BY_R2 && !d->r))
		return no_memory(&r->error);
	return bad_channels_new(&d->bad, s, r->daemon->threads, (size_t)r->settings->config.limits_work_bytes / 2, &r->error);
}

static enum status start_deviations(struct search *d, struct request *r)
{
	d->whole = d->spec;
	d->whole.nchannels = d->rule.nchannels;
	d->whole.stages[0].fit = (struct stage_fit){ .wanted = true, .robust = d->method == BY_MAD };
	const struct fit_wanted wanted = { .spec = &d->whole, .stage = 0, .nchunks = chunks_count(d->chunks), .chunk = d->rule.nframes,
					   .nthreads = r->daemon->threads, .budget = (size_t)r->settings->config.limits_work_bytes / 2 };
	return fit_zscore.new(&d->deviations, &wanted, &r->error);
}

static enum status start(struct search *d, struct request *r)
{
	const struct chunks_wanted wanted = { .spec = &d->spec, .seconds = d->chunk_s, .each = d->nchunks, .seed = d->seed, .field = "chunk_duration_s",
					      .hint = "use a longer recording" };
	enum status status = chunks_new(&d->chunks, &d->source, &wanted, &r->error);
	if (status)
		return status;
	d->rule.nchannels = d->source.nchannels;
	d->rule.fs_hz = d->source.fs_hz;
	d->rule.nframes = (size_t)chunks_frames(d->chunks);
	d->labels = calloc(d->rule.nchannels, 1);
	if (!d->labels)
		return no_memory(&r->error);
	return d->method == BY_COHERENCE || d->method == BY_R2 ? start_rule(d, r) : start_deviations(d, r);
}

/* --- chunks, and what they come to --- */

static enum status take_chunk(struct search *d, const struct executor *ex, struct error *e)
{
	struct slab chunk;
	enum status status = chunks_step(d->chunks, ex, &chunk, e);
	const size_t n = d->rule.nchannels;
	if (chunks_end(d->chunks))
		d->phase = PHASE_THINK;
	if (status || !chunk.nframes)
		return status;
	if (d->deviations)
		return fit_zscore.add(d->deviations, &chunk, ex, e);
	if (d->method == BY_R2)
		bad_channels_correlation(d->bad, &chunk, ex, d->r + d->done * n);
	else
		bad_channels_coherence(d->bad, &chunk, ex, d->labels);
	for (size_t c = 0; c < n && d->method == BY_COHERENCE; c++)
		d->counts[c * CHANNEL_LABELS + d->labels[c]]++;
	d->done++;
	return STATUS_OK;
}

/* The most frequent label; of several the first. */
static void take_modes(struct search *d)
{
	for (size_t c = 0; c < d->rule.nchannels; c++) {
		const uint32_t *counts = d->counts + c * CHANNEL_LABELS;
		d->labels[c] = 0;
		for (uint8_t label = 1; label < CHANNEL_LABELS; label++)
			if (counts[label] > counts[d->labels[c]])
				d->labels[c] = label;
	}
}

/* The median over the chunks that have one. */
static enum status take_correlations(struct search *d, struct error *e)
{
	double *some = calloc(d->done + 1, sizeof *some);
	if (!some)
		return no_memory(e);
	for (size_t c = 0; c < d->rule.nchannels; c++) {
		size_t n = 0;
		for (size_t k = 0; k < d->done; k++)
			if (!isnan(d->r[k * d->rule.nchannels + c]))
				some[n++] = d->r[k * d->rule.nchannels + c];
		const double r = bad_channels_median(some, n);
		d->labels[c] = r * r < d->least_r2 ? CHANNEL_NOISE : CHANNEL_GOOD;
	}
	free(some);
	return STATUS_OK;
}

static enum status take_deviations(struct search *d, struct error *e)
{
	const size_t n = d->rule.nchannels;
	const float *levels = fit_zscore_levels(d->deviations);
	double *sorted = calloc(n, sizeof *sorted);
	if (!sorted)
		return no_memory(e);
	for (size_t c = 0; c < n; c++)
		sorted[c] = (double)levels[c];
	const double limit = d->multiple * bad_channels_median(sorted, n);
	for (size_t c = 0; c < n; c++)
		d->labels[c] = (double)levels[c] > limit ? CHANNEL_NOISE : CHANNEL_GOOD;
	free(sorted);
	return STATUS_OK;
}

static enum status think(struct search *d, const struct executor *ex, bool *done, struct error *e)
{
	enum fit_next next = FIT_DONE;
	enum status status = STATUS_OK;
	if (d->deviations)
		status = fit_zscore.think(d->deviations, ex, &next, e);
	if (next == FIT_PASS) {
		chunks_rewind(d->chunks);
		d->phase = PHASE_CHUNKS;
	}
	*done = next == FIT_DONE;
	if (status || !*done)
		return status;
	if (d->deviations)
		return take_deviations(d, e);
	if (d->method == BY_R2)
		return take_correlations(d, e);
	take_modes(d);
	return STATUS_OK;
}

static void reply(struct search *d, struct request *r)
{
	uint64_t n = d->rule.nchannels;
	size_t nbad = 0;
	for (size_t c = 0; c < n; c++)
		nbad += d->labels[c] != CHANNEL_GOOD;
	r->result = json_pack("{s:I}", "num_bad", (json_int_t)nbad);
	if (d->method == BY_COHERENCE && 3 * nbad > n)
		request_warn(r, "%zu of %zu channels are bad: with so many of them the median over channels misleads, and good ones may be called dead", nbad, (size_t)n);
	request_add_array(r, "labels", DTYPE_U8, 1, &n, d->labels);
	d->labels = NULL;
}

enum step bad_channels_step(struct request *r, const struct executor *ex)
{
	struct search *d = r->state;
	enum status status = STATUS_OK;
	enum step step;
	bool done = false;
	if (d->phase == PHASE_FIT && fit_job_waits(d->fit, ex, &step, &r->error))
		return step;
	if (d->phase == PHASE_CHUNKS && chunks_waits(d->chunks, ex, &step, &r->error))
		return step;
	switch (d->phase) {
	case PHASE_OPEN:
		status = open_source(d, r);
		d->phase = PHASE_FIT;
		break;
	case PHASE_FIT:
		status = fit_job_step(&d->fit, &d->source, &d->spec, ex, &done, &r->error);
		if (done)
			d->phase = PHASE_START;
		break;
	case PHASE_START:
		status = start(d, r);
		d->phase = PHASE_CHUNKS;
		break;
	case PHASE_CHUNKS:
		status = take_chunk(d, ex, &r->error);
		break;
	case PHASE_THINK:
		status = think(d, ex, &done, &r->error);
		if (status || !done)
			break;
		reply(d, r);
		return STEP_DONE;
	}
	return status ? STEP_DONE : STEP_COMPUTE;
}

void bad_channels_end(struct request *r)
{
	struct search *d = r->state;
	fit_job_free(d->fit);
	chunks_free(d->chunks);
	fit_zscore.free(d->deviations);
	bad_channels_free(d->bad);
	source_close(&d->source);
	preprocess_fini(&d->spec);
	free(d->order);
	free(d->labels);
	free(d->counts);
	free(d->r);
	free(d);
}
