/* SPDX-License-Identifier: BSD-3-Clause
 *
 * reduce: per-channel reductions over time, of a recording or an array. Blocks of fixed size are reduced in any order and joined by a fixed tree
 * (kernels/reduce.h), so that neither threads nor the way of the samples change a bit.
 */
#include "kernels/bins.h"
#include "kernels/reduce.h"
#include "daemon/daemon.h"
#include "daemon/feed.h"
#include "daemon/fit_job.h"
#include "daemon/noise_job.h"
#include "daemon/operations/operations.h"
#include "daemon/preprocess.h"
#include "daemon/team.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum phase { PHASE_OPEN, PHASE_FIT, PHASE_START, PHASE_MAD, PHASE_BLOCKS, PHASE_CUMSUM };
enum { GROUP_BLOCKS = 64, GROUP_BYTES = 64 << 20 };

struct reduction {
	struct source source;
	struct pipeline_spec spec;
	const json_t *names;
	unsigned ops;
	bool want_mad, want_cumsum, want_bins, scaled, through_pipeline;
	double threshold;
	double bin_ms;
	struct bins bins;
	uint64_t seed;

	enum phase phase;
	struct fit_job *fit;
	struct feed *feed;
	struct noise_job *noise;
	double *mad;                    /* [nchannels] */
	enum dtype dtype;               /* of the frames that are reduced */
	size_t block, group;            /* frames; blocks of a step, a power of two so that groups are whole subtrees */
	size_t part;
	int64_t at;                     /* next frame of the part */
	bool sought;
	uint8_t *frames;                /* [group * block] frames, or a block for each thread */
	size_t nframes;                 /* collected */
	struct moments *moments;        /* [group][nchannels] */
	struct moments *rows;           /* [nrows][nchannels] one for each group, joined at the end of a part */
	size_t nrows, capacity;
	struct moments *parts;          /* [nparts][nchannels] */
};

static bool is_binned(const char *name)
{
	return strcmp(name, "binned_power") == 0 || strcmp(name, "binned_rate") == 0;
}

static bool is_asked(const struct reduction *d, const char *name)
{
	for (size_t i = 0; i < json_array_size(d->names); i++) {
		const char *other = json_string_value(json_array_get(d->names, i));
		if (other && strcmp(other, name) == 0)
			return true;
	}
	return false;
}

static void parse_names(struct reduction *d, struct params *p)
{
	d->names = params_list(p, "operations");
	if (!json_array_size(d->names) || json_array_size(d->names) > 16)
		params_fail(p, "operations", "for example [\"mean\", \"std\"]", "must be a list of 1 to 16 names");
	for (size_t i = 0; i < json_array_size(d->names); i++) {
		const char *name = json_string_value(json_array_get(d->names, i));
		unsigned op = name ? reduce_op_from_name(name) : 0;
		d->ops |= op;
		if (name && strcmp(name, "mad") == 0)
			d->want_mad = true;
		else if (name && strcmp(name, "cumsum") == 0)
			d->want_cumsum = true;
		else if (name && is_binned(name))
			d->want_bins = true;
		else if (!op)
			params_fail(p, "operations", "see SPEC.md 4.7", "there is no reduction called %.40s", name ? name : "(not a string)");
		for (size_t j = 0; name && j < i; j++)
			if (strcmp(name, json_string_value(json_array_get(d->names, j)) ? json_string_value(json_array_get(d->names, j)) : "") == 0)
				params_fail(p, "operations", NULL, "%.40s is named twice", name);
	}
}

enum step reduce_begin(struct request *r)
{
	struct params p;
	struct reduction *d = calloc(1, sizeof *d);
	r->state = d;
	if (!d)
		return request_fail(r, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	params_init(&p, request_params(r), "", &r->error);
	source_parse(&d->source, r, &p);
	parse_names(d, &p);
	bool needs_threshold = (d->ops & (REDUCE_count_above | REDUCE_weighted_sum)) || is_asked(d, "binned_rate");
	d->bin_ms = params_real(&p, "bin_ms", 0, 0, true, 1e9);
	if (d->want_bins && !params_has(&p, "bin_ms"))
		params_fail(&p, "bin_ms", "give the length of a bin, 20 for example", "binned_power and binned_rate need one");
	d->threshold = params_real(&p, "threshold", 0, -INFINITY, false, INFINITY);
	if (needs_threshold && !params_has(&p, "threshold"))
		params_fail(&p, "threshold", "give a threshold", "count_above, weighted_sum and binned_rate need one");
	params_int(&p, "axis", 0, 0, 0);
	d->scaled = params_bool(&p, "scaled", false);
	d->seed = (uint64_t)params_int(&p, "seed", 0, 0, INT64_MAX);
	preprocess_parse(&p, &d->spec);
	d->through_pipeline = d->spec.nstages > 0 || d->scaled || d->want_bins;
	if (d->want_cumsum && (!d->source.array || d->through_pipeline))
		params_fail(&p, "operations", "read the frames and send them as an array", "cumsum takes an array, without preprocess and scaled");
	if (d->scaled && d->source.array)
		params_fail(&p, "scaled", NULL, "an array has no scale; multiply it yourself");
	if (d->source.array && d->source.fs_hz <= 0 && (d->want_mad || d->want_bins || d->spec.nstages))
		params_fail(&p, "sampling_frequency", "say how many frames a second the array holds", "is missing");
	if (params_end(&p))
		return STEP_DONE;
	if (!d->source.array)
		return STEP_IO;
	/* Nothing to wait for: an array is there already. */
	d->phase = PHASE_FIT;
	return source_open(&d->source, &r->error) == STATUS_OK ? STEP_COMPUTE : STEP_DONE;
}

static enum status no_memory(struct error *e)
{
	return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
}

static size_t row_bytes(const struct reduction *d)
{
	return d->source.nchannels * dtype_size(d->dtype);
}

static enum status prepare_bins(struct reduction *d, struct error *e)
{
	const struct source *s = &d->source;
	size_t most = (size_t)s->request->settings->config.limits_result_bytes;
	double frames = rint(d->bin_ms * s->fs_hz / 1000);
	if (!d->want_bins)
		return STATUS_OK;
	if (!(frames >= 1 && frames <= 1e12))
		return error_set(e, STATUS_INVALID, "bin_ms", "use longer bins", "bins of %g ms are %g frames", d->bin_ms, frames);
	int64_t *nframes = calloc(s->nparts, sizeof *nframes);
	if (!nframes)
		return no_memory(e);
	for (size_t i = 0; i < s->nparts; i++)
		nframes[i] = s->parts[i].stop - s->parts[i].start;
	enum status status = bins_init(&d->bins, s->nchannels, (size_t)frames, s->fs_hz, d->threshold, nframes, s->nparts, most, e);
	free(nframes);
	return status;
}

static enum status start(struct reduction *d, struct error *e)
{
	struct source *s = &d->source;
	const struct noise_wanted noise = { .spec = &d->spec, .method = NOISE_MAD, .seed = d->seed, .scaled = d->scaled,
					    .integers = !d->through_pipeline && s->dtype <= DTYPE_U64 };
	if (!(s->dtype >= DTYPE_I8 && s->dtype <= DTYPE_F64) || s->dtype == DTYPE_F16)
		return error_set(e, STATUS_UNSUPPORTED, "traces", NULL, "frames of dtype %s cannot be reduced", dtype_name(s->dtype));
	d->dtype = d->through_pipeline ? DTYPE_F32 : s->dtype;
	d->block = reduce_block(s->nchannels);
	d->group = GROUP_BLOCKS;
	while (d->group > 1 && d->group * d->block * row_bytes(d) > GROUP_BYTES)
		d->group /= 2;
	/* Frames that lie here already are reduced in place; others need room: a group, or a block for each thread. */
	size_t slots = d->through_pipeline || s->recording ? d->group : s->request->daemon->threads;
	size_t nframes = slots * d->block * row_bytes(d);
	if (nframes > (size_t)s->request->settings->config.limits_work_bytes)
		return error_set(e, STATUS_TOO_LARGE, NULL, "raise limits.work_bytes", "a block of %zu channels has %zu bytes", s->nchannels, nframes);
	d->frames = malloc(nframes);
	d->moments = calloc(d->group * s->nchannels, sizeof *d->moments);
	d->parts = calloc(s->nparts * s->nchannels, sizeof *d->parts);
	if (!d->frames || !d->moments || !d->parts)
		return no_memory(e);
	enum status status = prepare_bins(d, e);
	if (!status && d->through_pipeline)
		status = feed_new(&d->feed, s, &d->spec, e);
	if (!status && d->want_mad)
		status = noise_job_new(&d->noise, s, &noise, e);
	return status;
}

/* --- one group of blocks --- */

struct group {
	struct reduction *d;
	const uint8_t *frames;          /* of the whole group, or NULL: each block is fetched */
	int64_t first;                  /* frame of the part's segment where the group starts */
	size_t nframes;
	enum status status[GROUP_BLOCKS];
	struct error errors[GROUP_BLOCKS];
};

static void reduce_one(void *arg, size_t i)
{
	struct group *g = arg;
	struct reduction *d = g->d;
	struct source *s = &d->source;
	size_t first = i * d->block, n = g->nframes - first < d->block ? g->nframes - first : d->block;
	const uint8_t *x = g->frames ? g->frames + first * row_bytes(d) : NULL;
	if (!x) {
		uint8_t *mine = d->frames + team_thread() * d->block * row_bytes(d);
		size_t segment = s->parts[d->part].segment;
		g->status[i] = source_read(s, segment, g->first + (int64_t)first, n, &executor_serial, mine, &g->errors[i]);
		x = mine;
	}
	if (!g->status[i])
		g->status[i] = reduce_block_moments(d->dtype, x, n, s->nchannels, d->threshold, d->ops, d->moments + i * s->nchannels);
}

static enum status add_row(struct reduction *d, struct error *e)
{
	size_t n = d->source.nchannels;
	if (d->nrows == d->capacity) {
		size_t more = d->capacity ? 2 * d->capacity : 16;
		struct moments *rows = realloc(d->rows, more * n * sizeof *rows);
		if (!rows)
			return no_memory(e);
		d->rows = rows;
		d->capacity = more;
	}
	memcpy(d->rows + d->nrows++ * n, d->moments, n * sizeof *d->rows);
	return STATUS_OK;
}

static enum status reduce_group(struct reduction *d, const uint8_t *frames, int64_t first, size_t nframes, const struct executor *ex, struct error *e)
{
	struct group g = { .d = d, .frames = frames, .first = first, .nframes = nframes };
	size_t nblocks = (nframes + d->block - 1) / d->block;
	ex->run(ex->ctx, nblocks, reduce_one, &g);
	for (size_t i = 0; i < nblocks; i++)
		if (g.status[i]) {
			if (g.errors[i].status)
				*e = g.errors[i];
			else
				error_set(e, g.status[i], NULL, NULL, "a block cannot be reduced");
			return g.status[i];
		}
	reduce_join(d->moments, nblocks, d->source.nchannels);
	return add_row(d, e);
}

static void end_part(struct reduction *d)
{
	size_t n = d->source.nchannels;
	if (d->nrows) {
		reduce_join(d->rows, d->nrows, n);
		memcpy(d->parts + d->part * n, d->rows, n * sizeof *d->parts);
	}
	d->nrows = d->nframes = 0;
	d->sought = false;
	d->part++;
}

/* Stored frames, straight from the source. */
static enum status step_stored(struct reduction *d, const struct executor *ex, struct error *e)
{
	struct source *s = &d->source;
	const struct source_part *part = &s->parts[d->part];
	if (!d->sought) {
		d->at = part->start;
		d->sought = true;
	}
	int64_t left = part->stop - d->at, most = (int64_t)(d->group * d->block);
	size_t n = (size_t)(left < most ? left : most);
	if (!n) {
		end_part(d);
		return STATUS_OK;
	}
	const uint8_t *frames = source_view(s, part->segment, d->at);
	if (!frames && s->recording) {
		enum status status = source_read(s, part->segment, d->at, n, ex, d->frames, e);
		if (status)
			return status;
		frames = d->frames;
	}
	enum status status = reduce_group(d, frames, d->at, n, ex, e);
	d->at += (int64_t)n;
	return status;
}

/* Tiles back to rows. */
static void append(struct reduction *d, const struct slab *s, size_t first, size_t n)
{
	float *rows = (float *)d->frames + d->nframes * s->nchannels;
	for (size_t tile = 0; tile < s->ntiles; tile++) {
		size_t c0 = tile * LANES, width = s->nchannels - c0 < LANES ? s->nchannels - c0 : LANES;
		for (size_t t = 0; t < n; t++)
			memcpy(rows + t * s->nchannels + c0, slab_at(s, tile, first + t), width * sizeof(float));
	}
	d->nframes += n;
}

static enum status step_preprocessed(struct reduction *d, const struct executor *ex, struct error *e)
{
	const struct source_part *part = &d->source.parts[d->part];
	struct slab slab;
	bool end;
	size_t room = d->group * d->block;
	if (!d->sought)
		feed_seek(d->feed, part->segment, part->start, part->stop, false);
	d->sought = true;
	enum status status = feed_step(d->feed, ex, &slab, &end, e);
	if (!status && d->want_bins && slab.nframes)
		bins_add(&d->bins, &slab, ex);
	for (size_t at = 0; at < slab.nframes && d->ops && !status;) {
		size_t n = slab.nframes - at < room - d->nframes ? slab.nframes - at : room - d->nframes;
		append(d, &slab, at, n);
		at += n;
		if (d->nframes == room) {
			status = reduce_group(d, d->frames, 0, room, ex, e);
			d->nframes = 0;
		}
	}
	if (status || !end)
		return status;
	if (d->nframes)
		status = reduce_group(d, d->frames, 0, d->nframes, ex, e);
	if (d->want_bins)
		bins_end(&d->bins);
	end_part(d);
	return status;
}

/* --- cumulative sum, and the reply --- */

static enum status step_cumsum(struct reduction *d, struct request *r, const struct executor *ex)
{
	struct source *s = &d->source;
	const struct source_part *part = &s->parts[0];
	size_t nframes = (size_t)source_total(s), nchunks = (nframes + CUMSUM_CHUNK - 1) / CUMSUM_CHUNK, nbytes;
	if (__builtin_mul_overflow(nframes, s->nchannels * sizeof(double), &nbytes) || nbytes > (size_t)r->settings->config.limits_result_bytes)
		return error_set(&r->error, STATUS_TOO_LARGE, "traces", "raise limits.result_bytes", "the cumulative sum of %zu frames is too large", nframes);
	const void *x = source_view(s, 0, part->start);
	void *copy = x ? NULL : malloc(nframes * source_frame_bytes(s) + 1);
	double *carries = malloc((nchunks + 1) * s->nchannels * sizeof *carries), *y = malloc(nbytes + 1);
	enum status status = (x || copy) && carries && y ? STATUS_OK : no_memory(&r->error);
	if (!status && copy)
		status = source_read(s, 0, part->start, nframes, ex, copy, &r->error);
	if (!status) {
		status = cumsum(s->dtype, x ? x : copy, nframes, s->nchannels, ex, carries, y);
		if (status)
			error_set(&r->error, status, "traces", NULL, "no cumulative sum of dtype %s", dtype_name(s->dtype));
	}
	free(copy);
	free(carries);
	if (status) {
		free(y);
		return status;
	}
	uint64_t shape[2] = { nframes, s->nchannels };
	request_add_array(r, "cumsum", DTYPE_F64, s->array->ndim, shape, y);
	return r->error.status;
}

static bool add_result(struct reduction *d, struct request *r, const char *name)
{
	uint64_t n = d->source.nchannels;
	unsigned op = reduce_op_from_name(name);
	if (strcmp(name, "cumsum") == 0)
		return true;
	if (strcmp(name, "mad") == 0) {
		double *mad = d->mad;
		d->mad = NULL;
		return request_add_array(r, name, DTYPE_F64, 1, &n, mad);
	}
	if (is_binned(name)) {
		uint64_t shape[2] = { d->bins.nbins, n };
		double **from = strcmp(name, "binned_power") == 0 ? &d->bins.power : &d->bins.rate, *bins = *from;
		*from = NULL;
		return request_add_array(r, name, DTYPE_F64, 2, shape, bins);
	}
	double *values = malloc(n * sizeof *values);
	for (size_t c = 0; values && c < n; c++) {
		double value = reduce_result((enum reduce_op)op, &d->parts[c]);
		if (op == REDUCE_count_above) {
			int64_t count = d->parts[c].above;
			memcpy(&values[c], &count, sizeof count);
		} else {
			values[c] = value;
		}
	}
	return request_add_array(r, name, op == REDUCE_count_above ? DTYPE_I64 : DTYPE_F64, 1, &n, values);
}

static void reply(struct reduction *d, struct request *r)
{
	if (d->source.nparts > 1 && d->parts)
		reduce_join(d->parts, d->source.nparts, d->source.nchannels);
	r->result = json_pack("{s:I}", "num_samples", (json_int_t)source_total(&d->source));
	for (size_t i = 0; i < json_array_size(d->names); i++)
		if (!add_result(d, r, json_string_value(json_array_get(d->names, i))))
			return;
}

static enum status step_mad(struct reduction *d, const struct executor *ex, bool *done, struct error *e)
{
	size_t n = d->source.nchannels * sizeof *d->mad;
	enum status status = noise_job_step(d->noise, ex, done, e);
	if (status || !*done)
		return status;
	d->mad = malloc(n);
	if (!d->mad)
		return no_memory(e);
	memcpy(d->mad, noise_job_levels(d->noise), n);
	return STATUS_OK;
}

enum step reduce_step(struct request *r, const struct executor *ex)
{
	struct reduction *d = r->state;
	enum status status = STATUS_OK;
	enum step step;
	bool done = true;
	if (d->phase == PHASE_FIT && fit_job_waits(d->fit, ex, &step, &r->error))
		return step;
	if (d->phase == PHASE_MAD && noise_job_waits(d->noise, ex, &step, &r->error))
		return step;
	if (d->phase == PHASE_BLOCKS && feed_waits(d->feed, ex, &step, &r->error))
		return step;
	switch (d->phase) {
	case PHASE_OPEN:
		status = source_open(&d->source, &r->error);
		if (!status && d->scaled)
			source_scale(&d->source, &d->spec);
		d->phase = PHASE_FIT;
		break;
	case PHASE_FIT:
		status = fit_job_step(&d->fit, &d->source, &d->spec, ex, &done, &r->error);
		if (done)
			d->phase = PHASE_START;
		break;
	case PHASE_START:
		status = start(d, &r->error);
		d->phase = PHASE_MAD;
		break;
	case PHASE_MAD:
		if (d->noise)
			status = step_mad(d, ex, &done, &r->error);
		if (done)
			d->phase = d->want_cumsum ? PHASE_CUMSUM : PHASE_BLOCKS;
		break;
	case PHASE_CUMSUM:
		status = step_cumsum(d, r, ex);
		d->phase = PHASE_BLOCKS;
		break;
	case PHASE_BLOCKS:
		if (d->part == d->source.nparts || !(d->ops || d->want_bins)) {
			reply(d, r);
			return STEP_DONE;
		}
		status = d->through_pipeline ? step_preprocessed(d, ex, &r->error) : step_stored(d, ex, &r->error);
		break;
	}
	if (!status && d->phase == PHASE_BLOCKS && !d->through_pipeline && source_waits(&d->source))
		return STEP_IO;
	return status ? STEP_DONE : STEP_COMPUTE;
}

void reduce_end(struct request *r)
{
	struct reduction *d = r->state;
	source_close(&d->source);
	feed_free(d->feed);
	noise_job_free(d->noise);
	fit_job_free(d->fit);
	free(d->mad);
	free(d->frames);
	free(d->moments);
	free(d->rows);
	free(d->parts);
	preprocess_fini(&d->spec);
	bins_fini(&d->bins);
	free(d);
}
