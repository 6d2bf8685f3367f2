/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/detection.h"
#include "daemon/client_memory.h"
#include "daemon/preprocess.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CHUNK_FRAMES = 1 << 24 };

static void check_noise_array(const struct array *a, bool depths, struct params *p)
{
	if (a && ((a->dtype != DTYPE_F64 && a->dtype != DTYPE_F32) || a->ndim > (depths ? 2u : 1u) || (a->ndim > 1 && a->fortran)))
		params_fail(p, "noise_levels", depths ? "send <f8 (depths, channels)" : "send <f8 (channels)", "must be a %s array of float64 (or float32)",
			    depths ? "2-D" : "1-D");
}

static void check_locations_array(const struct array *a, struct params *p)
{
	if (a && (a->dtype != DTYPE_F64 || a->ndim != 2 || a->shape[1] < 2 || a->shape[1] > 3))
		params_fail(p, "channel_locations", "send <f8 (channels, 2 or 3), in um", "must be an array (channels, 2 or 3) of float64");
}

static void parse_noise(struct detection *d, const struct request *r, struct params *p)
{
	static const char *const units[] = { [UNIT_NOISE] = "noise", [UNIT_UV] = "uV", [UNIT_RAW] = "raw", NULL };
	static const char *const methods[] = { [NOISE_MAD] = "mad", [NOISE_QUIROGA] = "quiroga", [NOISE_STD] = "std", [NOISE_RMS] = "rms", NULL };
	static const char *const samples[] = { "random", "all", NULL };
	d->unit = (enum threshold_unit)params_word(p, "threshold_unit", units, UNIT_NOISE);
	d->noise = (enum noise_method)params_word(p, "noise_method", methods, NOISE_MAD);
	d->whole = params_word(p, "noise_samples", samples, 0) == 1;
	d->seed = (uint64_t)params_int(p, "seed", 0, 0, INT64_MAX);
	d->given = message_array(&r->msg, "noise_levels");
	check_noise_array(d->given, d->method == DETECT_MATCHED_FILTERING, p);
	if (d->given && d->unit != UNIT_NOISE)
		params_fail(p, "threshold_unit", "leave out one of them", "noise_levels are given, and the threshold is not in their unit");
}

/* What has a meaning for the traces, and not for how well they match a prototype. */
static void parse_matched(struct detection *d, const struct request *r, struct params *p)
{
	matched_parse(&d->matched, r, p);
	d->nrows = d->matched.nz;
	if (d->unit != UNIT_NOISE)
		params_fail(p, "threshold_unit", "use noise", "matched_filtering has no other unit");
	if (d->max_threshold > 0)
		params_fail(p, "max_threshold", "leave it out", "matched_filtering has no such limit");
	if (d->compat)
		params_fail(p, "compat", "leave it out", "matched_filtering is not to be had with SpikeInterface's chunks: it misses peaks at their starts");
	if (params_has(p, "output"))
		params_fail(p, "output", "save the peaks yourself", "a result file cannot say what the prototype was");
}

void detection_parse(struct detection *d, const struct request *r, bool places, struct params *p)
{
	static const char *const methods[] = { [DETECT_BY_CHANNEL] = "by_channel", [DETECT_LOCALLY_EXCLUSIVE] = "locally_exclusive",
					       [DETECT_MATCHED_FILTERING] = "matched_filtering", NULL };
	static const char *const signs[] = { [PEAK_NEG] = "neg", [PEAK_POS] = "pos", [PEAK_BOTH] = "both", NULL };
	static const char *const compats[] = { "spikeinterface", NULL };
	d->method = (enum detect_method)params_word(p, "method", methods, DETECT_BY_CHANNEL);
	d->sign = (enum peak_sign)params_word(p, "peak_sign", signs, PEAK_NEG);
	d->threshold = params_real(p, "detect_threshold", 5, 0, true, 1e30);
	d->sweep_ms = params_real(p, "exclude_sweep_ms", 1.0, 0, false, 1000);
	d->radius_um = params_real(p, "radius_um", 50, 0, false, 1e30);
	d->max_threshold = params_real(p, "max_threshold", 0, 0, false, 1e30);
	d->dead_ms = params_real(p, "dead_time_ms", 0, 0, false, 60000);
	d->max_rate = params_real(p, "max_rate", 0, 0, false, 1e6);
	d->compat = params_word(p, "compat", compats, -1) == 0;
	d->chunk = d->compat ? params_int(p, "chunk_frames", 0, 0, MAX_CHUNK_FRAMES) : 0;
	d->nrows = 1;
	parse_noise(d, r, p);
	if (d->method == DETECT_MATCHED_FILTERING)
		parse_matched(d, r, p);
	if (d->max_threshold > 0 && d->max_threshold <= d->threshold)
		params_fail(p, "max_threshold", "it is the limit above which a peak is an artefact", "%g is not above detect_threshold (%g)", d->max_threshold,
			    d->threshold);
	if (d->max_rate > 0 && d->max_rate < 1)
		params_fail(p, "max_rate", "give peaks a second, for each channel", "%g would let no peak pass", d->max_rate);
	if (places || d->method != DETECT_BY_CHANNEL)
		d->places = message_array(&r->msg, "channel_locations");
	check_locations_array(d->places, p);
	preprocess_parse(p, &d->spec);
}

bool detection_integers(const struct detection *d, const struct source *s)
{
	return (d->spec.nstages == 0 || d->compat) && s->dtype >= DTYPE_I8 && s->dtype <= DTYPE_U64;
}

bool detection_single(const struct detection *d, const struct source *s)
{
	const bool single = d->unit == UNIT_NOISE && (!d->given || d->given->dtype == DTYPE_F32);
	return d->method == DETECT_LOCALLY_EXCLUSIVE && single && !detection_integers(d, s) && s->dtype != DTYPE_F64;
}

/* One for all channels, or one for each (at each depth). */
static enum status take_levels(const struct array *a, struct request *r, double *levels, size_t nchannels, size_t nrows)
{
	const size_t n = nchannels * nrows, ngiven = (size_t)(a->nbytes / dtype_size(a->dtype));
	void *copy = NULL;
	if (ngiven != n && ngiven != 1)
		return error_set(&r->error, STATUS_INVALID, "noise_levels", "give one for each channel, or one for all",
				 "%zu noise levels for %zu channels%s", ngiven, nchannels, nrows > 1 ? " at each depth" : "");
	enum status status = client_memory_copy(r, a, &copy, &r->error);
	for (size_t c = 0; c < n && !status; c++) {
		const size_t i = ngiven == 1 ? 0 : c;
		levels[c] = a->dtype == DTYPE_F32 ? (double)((const float *)copy)[i] : ((const double *)copy)[i];
	}
	free(copy);
	return status;
}

/* A microvolt in the unit of the traces. Its sign does not count: peaks are negative or positive as stored, as in SpikeInterface. */
static enum status microvolts(const struct source *s, double *levels, struct error *e)
{
	if (!s->recording || !s->recording->has_uv)
		return error_set(e, STATUS_INVALID, "threshold_unit", "use raw, noise, or give gain_uV", "the samples have no known scale in microvolts");
	for (size_t c = 0; c < s->nchannels; c++) {
		levels[c] = 1 / fabs(s->recording->gains_uv[c]);
		if (!isfinite(levels[c]))
			return error_set(e, STATUS_INVALID, "threshold_unit", "use raw or noise", "the gain of channel %zu is %g", c,
					 s->recording->gains_uv[c]);
	}
	return STATUS_OK;
}

enum status detection_levels(const struct detection *d, const struct source *s, struct request *r, double *levels, bool *measure)
{
	*measure = !d->given && d->unit == UNIT_NOISE;
	if (d->given)
		return take_levels(d->given, r, levels, s->nchannels, d->nrows);
	if (d->unit == UNIT_UV)
		return microvolts(s, levels, &r->error);
	for (size_t c = 0; c < s->nchannels * d->nrows; c++)
		levels[c] = 1;
	return STATUS_OK;
}

enum status detection_locations(const struct detection *d, const struct source *s, struct request *r, double **locations)
{
	const struct array *a = d->places;
	const size_t n = s->nchannels, ndim = a ? (size_t)a->shape[1] : 0;
	void *copy = NULL;
	*locations = NULL;
	if (!a)
		return STATUS_OK;
	if (a->shape[0] != n)
		return error_set(&r->error, STATUS_INVALID, "channel_locations", "give one for each channel", "%llu locations for %zu channels",
				 (unsigned long long)a->shape[0], n);
	double *out = malloc(a->nbytes);
	enum status status = out ? client_memory_copy(r, a, &copy, &r->error) : error_set(&r->error, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	for (size_t i = 0; i < n * ndim && !status; i++) {
		out[i] = ((const double *)copy)[a->fortran ? i % ndim * n + i / ndim : i];
		if (!isfinite(out[i]))
			status = error_set(&r->error, STATUS_INVALID, "channel_locations", "leave that channel out, or say where it is",
					   "the location of channel %zu is not finite", i / ndim);
	}
	free(copy);
	if (status)
		free(out);
	else
		*locations = out;
	return status;
}

enum status detection_thresholds(const struct detection *d, const struct source *s, struct request *r, const double *levels, double *thresholds)
{
	size_t silent = 0, first = 0;
	const bool single = detection_single(d, s);
	for (size_t i = 0; i < s->nchannels * d->nrows; i++) {
		const size_t c = i % s->nchannels;
		const double t = single ? (double)((float)levels[i] * (float)d->threshold) : levels[i] * d->threshold;
		const bool usable = isfinite(t) && t > 0;
		if (d->given && !usable)
			return error_set(&r->error, STATUS_INVALID, "noise_levels", "noise levels are finite and above 0",
					 "channel %zu: noise level %g times threshold %g", c, levels[i], d->threshold);
		if (!usable && i < s->nchannels && !silent++)
			first = c;
		thresholds[i] = usable ? t : 3e38;
	}
	if (silent && source_total(s))
		request_warn(r, "%zu channel%s no noise (all samples equal, or not finite) and therefore no peaks; the first is %zu", silent,
			     silent == 1 ? " has" : "s have", first);
	return STATUS_OK;
}
