/* SPDX-License-Identifier: BSD-3-Clause
 *
 * detect: open -> (is the result file done?) -> neighbours -> noise levels -> peaks and what is asked about them, segment by segment ->
 * (result file) -> reply.
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
#include "daemon/snippets_job.h"
#include "kernels/select.h"

#include <stdlib.h>
#include <string.h>

enum phase { PHASE_OPEN, PHASE_FIT, PHASE_START, PHASE_NOISE, PHASE_SEEK, PHASE_PEAKS, PHASE_SNIPPETS, PHASE_WRITE };

enum { DETECT_FRAMES = 8192 }; /* a detector step, at most */

struct detect {
	struct source source;
	struct detection asked;
	struct snippets_wanted around; /* waveforms, features */
	struct output output;          /* the result file, if one is wanted */

	enum phase phase;
	struct fit_job *fit;
	struct feed *feed;
	struct noise_job *noise;
	struct detector *detector;     /* or */
	struct matched_filter *filter; /* matched_filtering */
	struct matched *matched;
	struct selection *selection;   /* or NULL: all peaks */
	double *levels, *thresholds;   /* [asked.nrows * nchannels] */
	bool measure;                  /* the levels are to be measured */
	struct snippets_job *snippets; /* or NULL: peaks alone */
	double *locations;             /* [nchannels][ndim], if the client gave them */
	const double *places;          /* [nchannels][ndim], whoever gave them; NULL: nobody needs them */
	size_t ndim;
	struct neighbours neighbours;
	size_t sweep;                  /* frames */
	int64_t reach;                 /* frames that waveforms and features look away from a peak */
	size_t part;                   /* of source.parts */
	bool last;                     /* there are no more frames of this part */
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
	snippets_parse(&d->around, &p);
	detection_parse(&d->asked, r, snippets_need_places(&d->around), &p);
	output_parse(&d->output, &p);
	if (d->output.skip_done && snippets_asked(&d->around))
		params_fail(&p, "output", "leave out skip_done", "a result file that is done holds no waveforms and features to answer with");
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
	d->levels = calloc(d->source.nchannels * d->asked.nrows, sizeof *d->levels);
	return d->levels ? detection_levels(&d->asked, &d->source, r, d->levels, &d->measure) : no_memory(&r->error);
}

/* Locations in the message go before those of the recording. A single channel has no neighbours wherever it is. */
static enum status find_places(struct detect *d, struct error *e)
{
	static const double alone[2] = { 0 };
	static const char *const methods[] = { "a radius or a centre of mass", "locally_exclusive", "matched_filtering" };
	const struct source *s = &d->source;
	const bool compete = d->asked.method != DETECT_BY_CHANNEL;
	if (!compete && !snippets_need_places(&d->around))
		return STATUS_OK;
	d->places = d->locations;
	d->ndim = d->locations ? (size_t)d->asked.places->shape[1] : 2;
	if (!d->places && s->recording && s->recording->locations) {
		d->places = s->recording->locations;
		d->ndim = s->recording->ndim_locations;
	}
	if (!d->places && s->nchannels == 1)
		d->places = alone;
	if (d->places)
		return STATUS_OK;
	return error_set(e, STATUS_INVALID, "channel_locations",
			 compete ? "give the array channel_locations (channels, 2 or 3) in um, or use by_channel" :
				   "give the array channel_locations (channels, 2 or 3) in um, or leave out radius_um and center_of_mass",
			 "%s needs to know where the channels are, and %s does not say", methods[d->asked.method],
			 s->recording ? "the recording" : "the request");
}

static enum status find_neighbours(struct detect *d, struct request *r)
{
	if (d->asked.method == DETECT_BY_CHANNEL)
		return STATUS_OK;
	/* Half: the detector has a copy. */
	return neighbours_new(&d->neighbours, d->places, d->source.nchannels, d->ndim, d->asked.radius_um,
			      (size_t)r->settings->config.limits_work_bytes / 2, &r->error);
}

/* Frames a peak is found late: the sweep, and with locally_exclusive one more, which decides whether the last one of them is a candidate. */
static int64_t late(const struct detect *d)
{
	if (d->filter)
		return (int64_t)matched_late(d->filter, d->sweep);
	return (int64_t)d->sweep + (d->asked.method == DETECT_LOCALLY_EXCLUSIVE);
}

/* Frames to read around a part, so that its peaks, their waveforms and features are those of the whole segment. */
static int64_t margin_of(const struct detect *d)
{
	return late(d) > d->reach ? late(d) : d->reach;
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

/* Of the result, waveforms apart. */
static size_t peak_bytes(const struct detect *d)
{
	return (d->snippets ? snippets_job_row(d->snippets) : sizeof(struct peak)) + (d->filter ? sizeof(float) : 0);
}

static enum status make_snippets(struct detect *d, struct request *r)
{
	const size_t work = (size_t)r->settings->config.limits_work_bytes, used = feed_bytes(d->feed);
	const struct snippets_setting setting = { .places = d->places, .ndim = d->ndim, .late = (size_t)late(d), .offsets = !d->asked.spec.nstages,
						  .work_bytes = work > used ? work - used : 0 };
	return snippets_asked(&d->around) ? snippets_job_new(&d->snippets, &d->source, &d->around, &setting, &r->error) : STATUS_OK;
}

static enum status start(struct detect *d, struct request *r, const struct executor *ex)
{
	struct source *s = &d->source;
	struct noise_wanted what = { .spec = &d->asked.spec, .method = d->asked.noise, .whole = d->asked.whole, .seed = d->asked.seed,
				     .integers = detection_integers(&d->asked, s) };
	/* Truncated, as SpikeInterface does. */
	double frames = d->asked.sweep_ms * s->fs_hz / 1000.0;
	if (frames > 65535)
		return error_set(&r->error, STATUS_INVALID, "exclude_sweep_ms", NULL, "exclude_sweep_ms is %g frames at this sampling rate; at most 65535", frames);
	d->sweep = (size_t)frames;
	d->thresholds = calloc(s->nchannels * d->asked.nrows, sizeof *d->thresholds);
	if (!d->thresholds)
		return no_memory(&r->error);
	enum status status = find_places(d, &r->error);
	if (!status)
		status = find_neighbours(d, r);
	if (!status && d->asked.method == DETECT_MATCHED_FILTERING)
		status = matched_make(&d->filter, &d->asked.matched, d->asked.sign, s, d->places, d->ndim, ex, &r->error);
	what.filter = d->filter;
	if (!status)
		status = snippets_frames(&d->around, s->fs_hz, &d->reach, &r->error);
	if (!status && d->asked.compat)
		status = cut_into_chunks(d, &r->error);
	if (!status)
		status = feed_new(&d->feed, s, &d->asked.spec, &r->error);
	if (!status)
		status = make_snippets(d, r);
	if (!status)
		status = take_levels(d, r);
	if (!status && d->measure && source_total(s) > 0)
		status = noise_job_new(&d->noise, s, &what, &r->error);
	d->peaks.limit = (size_t)r->settings->config.limits_result_bytes / peak_bytes(d);
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

static enum status make_matched(struct detect *d, struct request *r)
{
	const struct matched_spec spec = { .filter = d->filter, .sign = d->asked.sign, .sweep = d->sweep, .threshold = d->thresholds,
					   .neighbour_start = d->neighbours.start, .neighbour_index = d->neighbours.index };
	const size_t bytes = matched_bytes(&spec), work = (size_t)r->settings->config.limits_work_bytes;
	if (bytes > work)
		return error_set(&r->error, STATUS_TOO_LARGE, "method", "raise limits.work_bytes", "matched_filtering of %zu channels needs %zu MiB",
				 d->source.nchannels, bytes >> 20);
	return matched_new(&d->matched, &spec, &r->error);
}

static enum status make_detector(struct detect *d, struct request *r)
{
	enum status status = detection_thresholds(&d->asked, &d->source, r, d->levels, d->thresholds);
	if (!status)
		status = make_selection(d, &r->error);
	if (status)
		return status;
	if (d->filter)
		return make_matched(d, r);
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
	if (d->matched)
		matched_reset(d->matched, (int64_t)part->segment);
	else
		detector_reset(d->detector, (int64_t)part->segment);
	feed_seek(d->feed, part->segment, start, stop, false);
	if (d->snippets)
		snippets_job_seek(d->snippets, d->part);
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
		status = d->matched ? matched_step(d->matched, &piece, ex, &d->peaks) : detector_step(d->detector, &piece, ex, &d->peaks);
	}
	return status;
}

/* To the next frames, or the next part. */
static void go_on(struct detect *d)
{
	d->phase = d->last ? PHASE_SEEK : PHASE_PEAKS;
	d->part += d->last;
}

static enum status find_peaks(struct detect *d, struct request *r, const struct executor *ex)
{
	struct slab slab;
	enum status status = feed_step(d->feed, ex, &slab, &d->last, &r->error);
	if (status)
		return status;
	status = search(d, &slab, ex);
	if (!status && d->last)
		status = d->matched ? matched_flush(d->matched, ex, &d->peaks) : detector_flush(d->detector, ex, &d->peaks);
	if (status)
		return error_set(&r->error, status, NULL, NULL, "no memory for the peaks");
	if (d->peaks.overflow)
		return error_set(&r->error, STATUS_TOO_LARGE, "detect_threshold", "raise detect_threshold, ask for less, or raise limits.result_bytes",
				 "more than %zu peaks", d->peaks.limit);
	keep_new(d);
	if (d->snippets) {
		snippets_job_show(d->snippets, &slab, d->last);
		d->phase = PHASE_SNIPPETS;
	} else {
		go_on(d);
	}
	return STATUS_OK;
}

static enum status cut_snippets(struct detect *d, struct request *r, const struct executor *ex)
{
	bool done;
	enum status status = snippets_job_step(d->snippets, &d->peaks, ex, &done, &r->error);
	if (!status && done)
		go_on(d);
	return status;
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

/* The depths, which stand in the peaks until here. */
static bool reply_depths(struct detect *d, struct request *r)
{
	const uint64_t npeaks = d->peaks.count;
	float *z = malloc(npeaks * sizeof *z + 1);
	for (size_t i = 0; z && i < npeaks; i++)
		z[i] = matched_take_depth(&d->peaks.at[i]);
	return request_add_array(r, "z", DTYPE_F32, 1, &npeaks, z);
}

static void reply(struct detect *d, struct request *r)
{
	const uint64_t npeaks = d->peaks.count, levels[2] = { d->asked.nrows, d->source.nchannels };
	if (d->matched && !reply_depths(d, r))
		return;
	r->result = json_pack("{s:I}", "num_peaks", (json_int_t)npeaks);
	if (d->output.file)
		output_describe(&d->output, r->result);
	struct peak *at = d->peaks.at ? d->peaks.at : malloc(1);
	d->peaks.at = NULL;
	d->peaks.count = d->peaks.capacity = 0;
	if (d->selection)
		tell_dropped(d, r);
	if (d->snippets && !snippets_job_reply(d->snippets, r)) {
		free(at);
		return;
	}
	if (!request_add_array(r, "peaks", DTYPE_PEAK, 1, &npeaks, at) || d->asked.unit != UNIT_NOISE)
		return;
	double *given = d->levels;
	d->levels = NULL;
	request_add_array(r, "noise_levels", DTYPE_F64, d->matched ? 2 : 1, d->matched ? levels : levels + 1, given);
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
		status = start(d, r, ex);
		d->phase = PHASE_NOISE;
		break;
	case PHASE_NOISE:
		if (d->noise)
			status = noise_job_step(d->noise, ex, &done, &r->error);
		if (status || !done)
			break;
		if (d->noise)
			memcpy(d->levels, noise_job_levels(d->noise), d->source.nchannels * d->asked.nrows * sizeof *d->levels);
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
	case PHASE_SNIPPETS:
		status = cut_snippets(d, r, ex);
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
	matched_free(d->matched);
	matched_filter_free(d->filter);
	selection_free(d->selection);
	snippets_job_free(d->snippets);
	peaks_fini(&d->peaks);
	free(d->levels);
	free(d->thresholds);
	free(d->locations);
	neighbours_fini(&d->neighbours);
	preprocess_fini(&d->asked.spec);
	free(d);
}
