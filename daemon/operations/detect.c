/* SPDX-License-Identifier: BSD-3-Clause
 *
 * detect: open -> (is the result file done?) -> neighbours -> noise levels -> peaks, segment by segment -> (result file) -> reply.
 */
#include "daemon/daemon.h"
#include "daemon/detection.h"
#include "daemon/feed.h"
#include "daemon/fit_job.h"
#include "daemon/neighbours.h"
#include "daemon/noise_job.h"
#include "daemon/operations/operations.h"
#include "daemon/output.h"
#include "daemon/preprocess.h"
#include "kernels/select.h"

#include <stdlib.h>
#include <string.h>

enum phase { PHASE_OPEN, PHASE_FIT, PHASE_START, PHASE_NOISE, PHASE_SEEK, PHASE_PEAKS, PHASE_WRITE };

enum { DETECT_FRAMES = 8192 }; /* a detector step, at most */

struct detect {
	struct source source;
	struct detection asked;
	struct output output;          /* the result file, if one is wanted */

	enum phase phase;
	struct fit_job *fit;
	struct feed *feed;
	struct noise_job *noise;
	struct detector *detector;
	struct selection *selection;   /* or NULL: all peaks */
	double *levels, *thresholds;   /* [nchannels] */
	bool measure;                  /* the levels are to be measured */
	double *locations;             /* [nchannels][ndim], if the client gave them */
	struct neighbours neighbours;
	size_t sweep;                  /* frames */
	size_t part;                   /* of source.parts */
	struct peaks peaks;
	size_t kept;                   /* so many of the peaks have been looked at */
};

enum step detect_begin(struct request *r)
{
	struct params p;
	struct detect *d = calloc(1, sizeof *d);
	r->state = d;
	if (!d)
		return request_fail(r, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	params_init(&p, request_params(r), "", &r->error);
	source_parse(&d->source, r, &p);
	if (d->source.array && d->source.fs_hz <= 0)
		params_fail(&p, "sampling_frequency", "say how many frames a second the array holds", "is missing");
	detection_parse(&d->asked, r, &p);
	output_parse(&d->output, &p);
	if (params_end(&p))
		return STEP_DONE;
	return d->source.array && !d->output.file ? STEP_COMPUTE : STEP_IO;
}

static enum status no_memory(struct error *e)
{
	return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
}

/* The levels as far as the request says them. */
static enum status take_levels(struct detect *d, struct request *r)
{
	if (d->levels)
		return STATUS_OK;
	d->levels = calloc(d->source.nchannels, sizeof *d->levels);
	return d->levels ? detection_levels(&d->asked, &d->source, r, d->levels, &d->measure) : no_memory(&r->error);
}

/* Locations in the message go before those of the recording. A single channel has no neighbours wherever it is. */
static enum status find_neighbours(struct detect *d, struct request *r)
{
	static const double alone[2] = { 0 };
	const struct source *s = &d->source;
	const double *locations = d->locations;
	size_t ndim = locations ? (size_t)d->asked.places->shape[1] : 2;
	if (d->asked.method != DETECT_LOCALLY_EXCLUSIVE)
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
	return neighbours_new(&d->neighbours, locations, s->nchannels, ndim, d->asked.radius_um, (size_t)r->settings->config.limits_work_bytes / 2, &r->error);
}

/* Frames the detector must see around a part, so that its peaks are those of the whole segment: the sweep, and with locally_exclusive
 * one more, which decides whether the last one of them is a candidate. */
static int64_t margin_of(const struct detect *d)
{
	return (int64_t)d->sweep + (d->asked.method == DETECT_LOCALLY_EXCLUSIVE);
}

/* compat: each part in chunks, which are filtered as pieces. */
static enum status cut_into_chunks(struct detect *d, struct error *e)
{
	const int64_t chunk = d->asked.chunk ? d->asked.chunk : (int64_t)d->source.fs_hz > 0 ? (int64_t)d->source.fs_hz : 1;
	struct pipeline_spec spec = d->asked.spec;
	spec.fs_hz = d->source.fs_hz;
	d->asked.spec.piece_frames = pipeline_piece(&spec, (size_t)(chunk + 2 * margin_of(d)));
	return source_cut(&d->source, chunk, e);
}

static enum status start(struct detect *d, struct request *r)
{
	struct source *s = &d->source;
	const struct noise_wanted what = { .spec = &d->asked.spec, .method = d->asked.noise, .whole = d->asked.whole, .seed = d->asked.seed,
					   .integers = detection_integers(&d->asked, s) };
	/* Truncated, as SpikeInterface does. */
	double frames = d->asked.sweep_ms * s->fs_hz / 1000.0;
	if (frames > 65535)
		return error_set(&r->error, STATUS_INVALID, "exclude_sweep_ms", NULL, "exclude_sweep_ms is %g frames at this sampling rate; at most 65535", frames);
	d->sweep = (size_t)frames;
	d->thresholds = calloc(s->nchannels, sizeof *d->thresholds);
	if (!d->thresholds)
		return no_memory(&r->error);
	d->peaks.limit = (size_t)r->settings->config.limits_result_bytes / sizeof(struct peak);
	enum status status = find_neighbours(d, r);
	if (!status && d->asked.compat)
		status = cut_into_chunks(d, &r->error);
	if (!status)
		status = feed_new(&d->feed, s, &d->asked.spec, &r->error);
	if (!status)
		status = take_levels(d, r);
	if (!status && d->measure && source_total(s) > 0)
		status = noise_job_new(&d->noise, s, &what, &r->error);
	return status;
}

static enum status make_selection(struct detect *d, struct error *e)
{
	const struct detection *a = &d->asked;
	const double fs = d->source.fs_hz;
	struct select_spec spec = { .nchannels = d->source.nchannels, .dead = (int64_t)(a->dead_ms * fs / 1000), .window = fs > 1 ? (int64_t)fs : 1,
				    .limit = (int64_t)a->max_rate };
	double *most = NULL;
	if (!(a->max_threshold > 0) && !spec.dead && !spec.limit)
		return STATUS_OK;
	if (a->max_threshold > 0) {
		most = calloc(spec.nchannels, sizeof *most);
		if (!most)
			return no_memory(e);
		for (size_t c = 0; c < spec.nchannels; c++)
			most[c] = d->levels[c] * a->max_threshold;
	}
	spec.most = most;
	enum status status = selection_new(&d->selection, &spec, e);
	free(most);
	return status;
}

static enum status make_detector(struct detect *d, struct request *r)
{
	enum status status = detection_thresholds(&d->asked, &d->source, r, d->levels, d->thresholds);
	if (!status)
		status = make_selection(d, &r->error);
	if (status)
		return status;
	struct detect_spec spec = { .nchannels = d->source.nchannels, .sign = d->asked.sign, .sweep = d->sweep, .threshold = d->thresholds,
				    .max_frames = DETECT_FRAMES, .method = d->asked.method, .neighbour_start = d->neighbours.start,
				    .neighbour_index = d->neighbours.index, .single = detection_single(&d->asked, &d->source) };
	return detector_new(&d->detector, &spec, &r->error);
}

static void seek(struct detect *d)
{
	const struct source_part *part = &d->source.parts[d->part];
	int64_t n = source_frames(&d->source, part->segment), margin = margin_of(d);
	int64_t start = part->start > margin ? part->start - margin : 0, stop = n - part->stop > margin ? part->stop + margin : n;
	detector_reset(d->detector, (int64_t)part->segment);
	feed_seek(d->feed, part->segment, start, stop, false);
	if (d->selection && (d->part == 0 || part[-1].segment != part->segment))
		selection_reset(d->selection);
}

/* Of the new peaks, drops those of the sweep around the part, and those that are not wanted. */
static void keep_new(struct detect *d)
{
	const struct source_part *part = &d->source.parts[d->part];
	size_t kept = d->kept;
	for (size_t i = d->kept; i < d->peaks.count; i++)
		if (d->peaks.at[i].sample_index >= part->start && d->peaks.at[i].sample_index < part->stop)
			d->peaks.at[kept++] = d->peaks.at[i];
	d->peaks.count = kept;
	if (d->selection)
		selection_apply(d->selection, &d->peaks, d->kept);
	d->kept = d->peaks.count;
}

static enum status search(struct detect *d, const struct slab *slab, const struct executor *ex)
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

static enum status find_peaks(struct detect *d, struct request *r, const struct executor *ex)
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
	keep_new(d);
	if (end) {
		d->part++;
		d->phase = PHASE_SEEK;
	}
	return STATUS_OK;
}

/* How many peaks the rules of selection dropped; a limit of the rate is an emergency, so it is said aloud. */
static void tell_dropped(const struct detect *d, struct request *r)
{
	struct select_counts all = { 0 };
	uint64_t nlimited = 0;
	for (size_t c = 0; c < d->source.nchannels; c++) {
		const struct select_counts *one = &selection_counts(d->selection)[c];
		all.large += one->large;
		all.dead += one->dead;
		all.rate += one->rate;
		nlimited += one->rate > 0;
	}
	json_object_set_new(r->result, "dropped",
			    json_pack("{s:I, s:I, s:I}", "max_threshold", (json_int_t)all.large, "dead_time_ms", (json_int_t)all.dead, "max_rate",
				      (json_int_t)all.rate));
	if (all.rate)
		request_warn(r, "max_rate: %llu peaks of %llu channels were dropped", (unsigned long long)all.rate, (unsigned long long)nlimited);
}

static void reply(struct detect *d, struct request *r)
{
	uint64_t npeaks = d->peaks.count, nchannels = d->source.nchannels;
	r->result = json_pack("{s:I}", "num_peaks", (json_int_t)npeaks);
	if (d->output.file)
		output_describe(&d->output, r->result);
	struct peak *at = d->peaks.at ? d->peaks.at : malloc(1);
	d->peaks.at = NULL;
	d->peaks.count = d->peaks.capacity = 0;
	if (d->selection)
		tell_dropped(d, r);
	if (!request_add_array(r, "peaks", DTYPE_PEAK, 1, &npeaks, at) || d->asked.unit != UNIT_NOISE)
		return;
	if (request_add_array(r, "noise_levels", DTYPE_F64, 1, &nchannels, d->levels))
		d->levels = NULL;
}

static enum step open_source(struct detect *d, struct request *r)
{
	d->phase = PHASE_FIT;
	d->asked.spec.exact = d->asked.compat;
	if (source_open(&d->source, &r->error) != STATUS_OK || detection_locations(&d->asked, &d->source, r, &d->locations) != STATUS_OK)
		return STEP_DONE;
	if (!d->output.file)
		return STEP_COMPUTE;
	if (d->source.array)
		return request_fail(r, STATUS_UNSUPPORTED, "output", "detect in a file, or save the peaks yourself", "a result file needs a recording as source");
	size_t nlocations = d->locations ? (size_t)(d->asked.places->nbytes / sizeof(double)) : 0;
	if (take_levels(d, r) != STATUS_OK || stage_arrays_read(&d->source, &d->asked.spec, &r->error) != STATUS_OK ||
	    output_open(&d->output, r, d->source.recording, d->asked.given ? d->levels : NULL, d->locations, nlocations, d->source.arrays.digest) != STATUS_OK)
		return STEP_DONE;
	if (!d->output.skipped)
		return STEP_COMPUTE;
	r->result = json_object();
	output_describe(&d->output, r->result);
	return STEP_DONE;
}

enum step detect_step(struct request *r, const struct executor *ex)
{
	struct detect *d = r->state;
	enum status status = STATUS_OK;
	enum step step;
	bool done = true;
	if (d->phase == PHASE_FIT && fit_job_waits(d->fit, ex, &step, &r->error))
		return step;
	if (d->phase == PHASE_NOISE && noise_job_waits(d->noise, ex, &step, &r->error))
		return step;
	if (d->phase == PHASE_PEAKS && feed_waits(d->feed, ex, &step, &r->error))
		return step;
	switch (d->phase) {
	case PHASE_OPEN:
		return open_source(d, r);
	case PHASE_FIT:
		status = fit_job_step(&d->fit, &d->source, &d->asked.spec, ex, &done, &r->error);
		if (done)
			d->phase = PHASE_START;
		break;
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
		if (output_write(&d->output, r, d->source.recording, &d->peaks, d->asked.unit == UNIT_NOISE ? d->levels : NULL) == STATUS_OK)
			reply(d, r);
		return STEP_DONE;
	}
	return status ? STEP_DONE : STEP_COMPUTE;
}

void detect_end(struct request *r)
{
	struct detect *d = r->state;
	source_close(&d->source);
	output_close(&d->output);
	feed_free(d->feed);
	noise_job_free(d->noise);
	fit_job_free(d->fit);
	detector_free(d->detector);
	selection_free(d->selection);
	peaks_fini(&d->peaks);
	free(d->levels);
	free(d->thresholds);
	free(d->locations);
	neighbours_fini(&d->neighbours);
	preprocess_fini(&d->asked.spec);
	free(d);
}
