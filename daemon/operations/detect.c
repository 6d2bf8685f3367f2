/* SPDX-License-Identifier: BSD-3-Clause
 *
 * detect: open -> (is the result file done?) -> neighbours -> noise levels -> peaks, segment by segment -> (result file) -> reply.
 */
#include "kernels/detect.h"
#include "daemon/client_memory.h"
#include "daemon/daemon.h"
#include "daemon/feed.h"
#include "daemon/neighbours.h"
#include "daemon/noise_job.h"
#include "daemon/operations/operations.h"
#include "daemon/output.h"
#include "daemon/preprocess.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum phase { PHASE_OPEN, PHASE_START, PHASE_NOISE, PHASE_SEEK, PHASE_PEAKS, PHASE_WRITE };

enum { DETECT_FRAMES = 8192 }; /* a detector step, at most */

struct detection {
	struct source source;
	struct pipeline_spec spec;
	enum detect_method method;
	enum peak_sign sign;
	double threshold, sweep_ms, radius_um;
	uint64_t seed;
	const struct array *given;     /* noise levels */
	const struct array *places;    /* channel locations, for a method that needs them */
	struct output output;          /* the result file, if one is wanted */

	enum phase phase;
	struct feed *feed;
	struct noise_job *noise;
	struct detector *detector;
	double *levels, *thresholds;   /* [nchannels] */
	double *locations;             /* [nchannels][ndim], if the client gave them */
	struct neighbours neighbours;
	size_t sweep;                  /* frames */
	size_t part;                   /* of source.parts */
	struct peaks peaks;
	size_t part_first;             /* first peak of this part */
};

static void check_noise_array(struct detection *d, struct params *p)
{
	const struct array *a = d->given;
	if (a && (a->dtype != DTYPE_F64 || a->ndim > 1))
		params_fail(p, "noise_levels", "send <f8 (channels)", "must be a 1-D array of float64");
}

static void check_locations_array(struct detection *d, struct params *p)
{
	const struct array *a = d->places;
	if (a && (a->dtype != DTYPE_F64 || a->ndim != 2 || a->shape[1] < 2 || a->shape[1] > 3))
		params_fail(p, "channel_locations", "send <f8 (channels, 2 or 3), in um", "must be an array (channels, 2 or 3) of float64");
}

enum step detect_begin(struct request *r)
{
	static const char *const methods[] = { [DETECT_BY_CHANNEL] = "by_channel", [DETECT_LOCALLY_EXCLUSIVE] = "locally_exclusive", NULL };
	static const char *const signs[] = { [PEAK_NEG] = "neg", [PEAK_POS] = "pos", [PEAK_BOTH] = "both", NULL };
	struct params p;
	struct detection *d = calloc(1, sizeof *d);
	r->state = d;
	if (!d)
		return request_fail(r, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	params_init(&p, request_params(r), "", &r->error);
	source_parse(&d->source, r, &p);
	if (d->source.array && d->source.fs_hz <= 0)
		params_fail(&p, "sampling_frequency", "say how many frames a second the array holds", "is missing");
	d->method = (enum detect_method)params_word(&p, "method", methods, DETECT_BY_CHANNEL);
	d->sign = (enum peak_sign)params_word(&p, "peak_sign", signs, PEAK_NEG);
	d->threshold = params_real(&p, "detect_threshold", 5, 0, true, 1e30);
	d->sweep_ms = params_real(&p, "exclude_sweep_ms", 1.0, 0, false, 1000);
	d->radius_um = params_real(&p, "radius_um", 50, 0, false, 1e30);
	d->seed = (uint64_t)params_int(&p, "seed", 0, 0, INT64_MAX);
	d->given = message_array(&r->msg, "noise_levels");
	check_noise_array(d, &p);
	if (d->method == DETECT_LOCALLY_EXCLUSIVE)
		d->places = message_array(&r->msg, "channel_locations");
	check_locations_array(d, &p);
	preprocess_parse(&p, &d->spec);
	output_parse(&d->output, &p);
	if (params_end(&p))
		return STEP_DONE;
	return d->source.array && !d->output.file ? STEP_COMPUTE : STEP_IO;
}

/* Makes room for the noise levels, and takes them if the client gave them: one for all channels, or one for each. */
static enum status take_levels(struct detection *d, struct request *r)
{
	const struct array *a = d->given;
	size_t n = d->source.nchannels, ngiven = a ? (size_t)(a->nbytes / sizeof(double)) : 0;
	d->levels = calloc(n, sizeof *d->levels);
	if (!d->levels)
		return error_set(&r->error, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	if (!a)
		return STATUS_OK;
	double *copy = malloc(a->nbytes + sizeof *copy);
	enum status status = STATUS_OK;
	if (!copy)
		status = error_set(&r->error, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	else if (ngiven != n && ngiven != 1)
		status = error_set(&r->error, STATUS_INVALID, "noise_levels", "give one for each channel, or one for all",
				   "%zu noise levels for %zu channels", ngiven, n);
	else if (a->via == VIA_MEMORY)
		status = client_memory_read(r->peer, a->address, copy, a->nbytes, &r->cancel_flag, &r->error);
	else
		memcpy(copy, a->data, a->nbytes);
	for (size_t c = 0; c < n && !status; c++)
		d->levels[c] = copy[ngiven == 1 ? 0 : c];
	free(copy);
	return status;
}

/* Takes the channel locations if the client gave them. */
static enum status take_locations(struct detection *d, struct request *r)
{
	const struct array *a = d->places;
	size_t n = d->source.nchannels, ndim = a ? (size_t)a->shape[1] : 0;
	if (!a)
		return STATUS_OK;
	if (a->shape[0] != n)
		return error_set(&r->error, STATUS_INVALID, "channel_locations", "give one for each channel", "%llu locations for %zu channels",
				 (unsigned long long)a->shape[0], n);
	double *copy = malloc(a->nbytes);
	d->locations = malloc(a->nbytes);
	enum status status = STATUS_OK;
	if (!copy || !d->locations)
		status = error_set(&r->error, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	else if (a->via == VIA_MEMORY)
		status = client_memory_read(r->peer, a->address, copy, a->nbytes, &r->cancel_flag, &r->error);
	else
		memcpy(copy, a->data, a->nbytes);
	for (size_t i = 0; i < n * ndim && !status; i++) {
		d->locations[i] = copy[a->fortran ? i % ndim * n + i / ndim : i];
		if (!isfinite(d->locations[i]))
			status = error_set(&r->error, STATUS_INVALID, "channel_locations", "leave that channel out, or say where it is",
					   "the location of channel %zu is not finite", i / ndim);
	}
	free(copy);
	return status;
}

/* Locations in the message go before those of the recording. A single channel has no neighbours wherever it is. */
static enum status find_neighbours(struct detection *d, struct request *r)
{
	static const double alone[2] = { 0 };
	const struct source *s = &d->source;
	const double *locations = d->locations;
	size_t ndim = locations ? (size_t)d->places->shape[1] : 2;
	if (d->method != DETECT_LOCALLY_EXCLUSIVE)
		return STATUS_OK;
	if (!locations && s->recording && s->recording->locations) {
		locations = s->recording->locations;
		ndim = s->recording->ndim_locations;
	}
	if (!locations && s->nchannels == 1)
		locations = alone;
	if (!locations)
		return error_set(&r->error, STATUS_INVALID, "channel_locations", "give the array channel_locations (channels, 2 or 3) in um, or use by_channel",
				 "locally_exclusive needs to know where the channels are, and %s does not say",
				 s->recording ? "the recording" : "the request");
	/* Half: the detector has a copy. */
	return neighbours_new(&d->neighbours, locations, s->nchannels, ndim, d->radius_um, (size_t)r->settings->config.limits_work_bytes / 2, &r->error);
}

/* Are the traces integers as stored? */
static bool raw_integers(const struct detection *d)
{
	return d->spec.nstages == 0 && d->source.dtype >= DTYPE_I8 && d->source.dtype <= DTYPE_U64;
}

static enum status start(struct detection *d, struct request *r)
{
	struct source *s = &d->source;
	/* Truncated, as SpikeInterface does. */
	double frames = d->sweep_ms * s->fs_hz / 1000.0;
	if (frames > 65535)
		return error_set(&r->error, STATUS_INVALID, "exclude_sweep_ms", NULL, "exclude_sweep_ms is %g frames at this sampling rate; at most 65535", frames);
	d->sweep = (size_t)frames;
	d->thresholds = calloc(s->nchannels, sizeof *d->thresholds);
	if (!d->thresholds)
		return error_set(&r->error, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	d->peaks.limit = (size_t)r->settings->config.limits_result_bytes / sizeof(struct peak);
	enum status status = find_neighbours(d, r);
	if (!status)
		status = feed_new(&d->feed, s, &d->spec, &r->error);
	if (!status && !d->levels)
		status = take_levels(d, r);
	if (!status && !d->given && source_total(s) > 0)
		status = noise_job_new(&d->noise, s, d->feed, raw_integers(d), false, d->seed, &r->error);
	return status;
}

/* Does SpikeInterface compare these traces in float32? Levels it measures on float32 traces are float32, and so are their products with the
 * threshold and quotients by it; with integers, or with levels given (float64), everything is in double. by_channel takes the product in
 * double always. */
static bool in_single(const struct detection *d)
{
	return d->method == DETECT_LOCALLY_EXCLUSIVE && !d->given && !raw_integers(d) && d->source.dtype != DTYPE_F64;
}

/* A silent channel has level 0: it gets a threshold that nothing reaches, and is named. */
static enum status make_detector(struct detection *d, struct request *r)
{
	size_t silent = 0, first = 0;
	bool single = in_single(d);
	for (size_t c = 0; c < d->source.nchannels; c++) {
		double t = single ? (double)((float)d->levels[c] * (float)d->threshold) : d->levels[c] * d->threshold;
		bool usable = isfinite(t) && t > 0;
		if (d->given && !usable)
			return error_set(&r->error, STATUS_INVALID, "noise_levels", "noise levels are finite and above 0",
					 "channel %zu: noise level %g times threshold %g", c, d->levels[c], d->threshold);
		if (!usable && !silent++)
			first = c;
		d->thresholds[c] = usable ? t : 3e38;
	}
	if (silent && source_total(&d->source))
		request_warn(r, "%zu channel%s no noise (all samples equal, or not finite) and therefore no peaks; the first is %zu", silent,
			     silent == 1 ? " has" : "s have", first);
	struct detect_spec spec = { .nchannels = d->source.nchannels, .sign = d->sign, .sweep = d->sweep, .threshold = d->thresholds,
				    .max_frames = DETECT_FRAMES, .method = d->method, .neighbour_start = d->neighbours.start,
				    .neighbour_index = d->neighbours.index, .single = single };
	return detector_new(&d->detector, &spec, &r->error);
}

/* Frames the detector must see around the part, so that its peaks are those of the whole segment: the sweep, and with locally_exclusive
 * one more, which decides whether the last one of them is a candidate. */
static void seek(struct detection *d)
{
	const struct source_part *part = &d->source.parts[d->part];
	int64_t n = source_frames(&d->source, part->segment), margin = (int64_t)d->sweep + (d->method == DETECT_LOCALLY_EXCLUSIVE);
	int64_t start = part->start > margin ? part->start - margin : 0, stop = n - part->stop > margin ? part->stop + margin : n;
	detector_reset(d->detector, (int64_t)part->segment);
	feed_seek(d->feed, part->segment, start, stop, false);
	d->part_first = d->peaks.count;
}

/* Drops the peaks of the sweep around the part. */
static void keep_part(struct detection *d)
{
	const struct source_part *part = &d->source.parts[d->part];
	size_t kept = d->part_first;
	for (size_t i = d->part_first; i < d->peaks.count; i++)
		if (d->peaks.at[i].sample_index >= part->start && d->peaks.at[i].sample_index < part->stop)
			d->peaks.at[kept++] = d->peaks.at[i];
	d->peaks.count = kept;
}

static enum status search(struct detection *d, const struct slab *slab, const struct executor *ex)
{
	enum status status = STATUS_OK;
	for (size_t at = 0; at < slab->nframes && !status; at += DETECT_FRAMES) {
		struct slab piece = *slab;
		piece.x += at * LANES;
		piece.first_frame += (int64_t)at;
		piece.nframes = slab->nframes - at < DETECT_FRAMES ? slab->nframes - at : DETECT_FRAMES;
		status = detector_step(d->detector, &piece, ex, &d->peaks);
	}
	return status;
}

static enum status find_peaks(struct detection *d, struct request *r, const struct executor *ex)
{
	struct slab slab;
	bool end;
	enum status status = feed_step(d->feed, ex, &slab, &end, &r->error);
	if (status)
		return status;
	status = search(d, &slab, ex);
	if (!status && end)
		status = detector_flush(d->detector, ex, &d->peaks);
	if (status)
		return error_set(&r->error, status, NULL, NULL, "no memory for the peaks");
	if (d->peaks.overflow)
		return error_set(&r->error, STATUS_TOO_LARGE, "detect_threshold", "raise detect_threshold, ask for less, or raise limits.result_bytes",
				 "more than %zu peaks", d->peaks.limit);
	if (end) {
		keep_part(d);
		d->part++;
		d->phase = PHASE_SEEK;
	}
	return STATUS_OK;
}

static void reply(struct detection *d, struct request *r)
{
	uint64_t npeaks = d->peaks.count, nchannels = d->source.nchannels;
	r->result = json_pack("{s:I}", "num_peaks", (json_int_t)npeaks);
	if (d->output.file)
		output_describe(&d->output, r->result);
	struct peak *at = d->peaks.at ? d->peaks.at : malloc(1);
	d->peaks.at = NULL;
	d->peaks.count = d->peaks.capacity = 0;
	if (request_add_array(r, "peaks", DTYPE_PEAK, 1, &npeaks, at) && request_add_array(r, "noise_levels", DTYPE_F64, 1, &nchannels, d->levels))
		d->levels = NULL;
}

static enum step open_source(struct detection *d, struct request *r)
{
	d->phase = PHASE_START;
	if (source_open(&d->source, &r->error) != STATUS_OK || take_locations(d, r) != STATUS_OK)
		return STEP_DONE;
	if (!d->output.file)
		return STEP_COMPUTE;
	if (d->source.array)
		return request_fail(r, STATUS_UNSUPPORTED, "output", "detect in a file, or save the peaks yourself", "a result file needs a recording as source");
	size_t nlocations = d->locations ? (size_t)(d->places->nbytes / sizeof(double)) : 0;
	if (take_levels(d, r) != STATUS_OK || stage_arrays_read(&d->source, &d->spec, &r->error) != STATUS_OK ||
	    output_open(&d->output, r, d->source.recording, d->given ? d->levels : NULL, d->locations, nlocations, d->source.arrays.digest) != STATUS_OK)
		return STEP_DONE;
	if (!d->output.skipped)
		return STEP_COMPUTE;
	r->result = json_object();
	output_describe(&d->output, r->result);
	return STEP_DONE;
}

enum step detect_step(struct request *r, const struct executor *ex)
{
	struct detection *d = r->state;
	enum status status = STATUS_OK;
	bool done = true;
	switch (d->phase) {
	case PHASE_OPEN:
		return open_source(d, r);
	case PHASE_START:
		status = start(d, r);
		d->phase = PHASE_NOISE;
		break;
	case PHASE_NOISE:
		if (d->noise)
			status = noise_job_step(d->noise, ex, &done, &r->error);
		if (status || !done)
			break;
		if (d->noise)
			memcpy(d->levels, noise_job_levels(d->noise), d->source.nchannels * sizeof *d->levels);
		noise_job_free(d->noise);
		d->noise = NULL;
		status = make_detector(d, r);
		d->phase = PHASE_SEEK;
		break;
	case PHASE_SEEK:
		if (d->part == d->source.nparts) {
			d->phase = PHASE_WRITE;
			if (d->output.file)
				return STEP_IO;
			reply(d, r);
			return STEP_DONE;
		}
		seek(d);
		d->phase = PHASE_PEAKS;
		break;
	case PHASE_PEAKS:
		status = find_peaks(d, r, ex);
		break;
	case PHASE_WRITE:
		if (output_write(&d->output, r, d->source.recording, &d->peaks, d->levels) == STATUS_OK)
			reply(d, r);
		return STEP_DONE;
	}
	return status ? STEP_DONE : STEP_COMPUTE;
}

void detect_end(struct request *r)
{
	struct detection *d = r->state;
	source_close(&d->source);
	output_close(&d->output);
	feed_free(d->feed);
	noise_job_free(d->noise);
	detector_free(d->detector);
	peaks_fini(&d->peaks);
	free(d->levels);
	free(d->thresholds);
	free(d->locations);
	neighbours_fini(&d->neighbours);
	preprocess_fini(&d->spec);
	free(d);
}
