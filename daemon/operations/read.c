/* SPDX-License-Identifier: BSD-3-Clause
 *
 * read: frames of a recording, as stored, in microvolts or preprocessed, all channels or some; and, if asked for, which of them were recorded.
 */
#include "daemon/feed.h"
#include "daemon/fit_job.h"
#include "daemon/operations/operations.h"
#include "daemon/preprocess.h"

#include <stdlib.h>
#include <string.h>

struct reading {
	struct source source;
	struct pipeline_spec spec;
	const json_t *channels;
	bool scaled, recorded;
	struct fit_job *fit;
	struct feed *feed;          /* of preprocessed frames; NULL without stages */
	size_t *columns, ncolumns;  /* channels wanted */
	uint8_t *out;
	size_t row_out;             /* bytes of a frame of the result */
	uint8_t *block;
	uint8_t *kept, *kept_block; /* which samples were recorded: of the result, of a block */
	size_t capacity;            /* frames */
	int64_t at;                 /* next frame to read */
	bool open;
};

enum { READ_BLOCK_BYTES = 16 << 20, READ_PIECE = 256 }; /* frames that are laid out at once */

enum step read_begin(struct request *r)
{
	struct params p;
	struct reading *d = calloc(1, sizeof *d);
	r->state = d;
	if (!d)
		return request_fail(r, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	params_init(&p, request_params(r), "", &r->error);
	source_parse(&d->source, r, &p);
	if (d->source.array)
		params_fail(&p, "file", NULL, "read takes a file");
	if (d->source.segment < 0)
		d->source.segment = 0;
	d->channels = params_list(&p, "channels");
	d->scaled = params_bool(&p, "scaled", false);
	d->recorded = params_bool(&p, "recorded", false);
	preprocess_parse(&p, &d->spec);
	if (d->recorded && d->spec.nstages)
		params_fail(&p, "recorded", "ask for it without preprocess", "stages mix what was recorded with what was not");
	return params_end(&p) ? STEP_DONE : STEP_IO;
}

static enum status choose_channels(struct reading *d, struct error *e)
{
	size_t n = d->source.nchannels;
	d->ncolumns = d->channels ? json_array_size(d->channels) : n;
	d->columns = calloc(d->ncolumns + 1, sizeof *d->columns);
	if (!d->columns)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	for (size_t i = 0; i < d->ncolumns; i++) {
		json_t *value = d->channels ? json_array_get(d->channels, i) : NULL;
		json_int_t c = d->channels ? json_integer_value(value) : (json_int_t)i;
		if ((value && !json_is_integer(value)) || c < 0 || (size_t)c >= n)
			return error_set(e, STATUS_INVALID, "channels", "give indices, not ids", "channels[%zu] is not an index from 0 to %zu", i, n - 1);
		d->columns[i] = (size_t)c;
	}
	return STATUS_OK;
}

/* Are the traces float32, whatever is stored? */
static bool as_f32(const struct reading *d)
{
	return d->scaled || d->spec.nstages > 0;
}

static enum status allocate(struct reading *d, struct request *r)
{
	const struct config *c = &r->settings->config;
	struct source *s = &d->source;
	size_t item = as_f32(d) ? sizeof(float) : dtype_size(s->dtype), nframes = (size_t)source_total(s), nbytes, all;
	d->row_out = d->ncolumns * item;
	if (__builtin_mul_overflow(nframes, d->row_out, &nbytes) || __builtin_mul_overflow(nframes, d->row_out + d->recorded * d->ncolumns, &all) ||
	    all > (size_t)c->limits_result_bytes) {
		error_set(&r->error, STATUS_TOO_LARGE, "stop", "read fewer frames at once, or raise limits.result_bytes", "%zu frames of %zu channels", nframes,
			  d->ncolumns);
		r->error.limit = c->limits_result_bytes;
		return STATUS_TOO_LARGE;
	}
	if (d->scaled && !s->recording->has_uv)
		request_warn(r, "the file does not say what a count is worth: scaled values are counts times gain_uV, not measured microvolts");
	d->capacity = source_span(s, READ_BLOCK_BYTES / source_frame_bytes(s) + 1, (size_t)c->limits_work_bytes);
	d->out = malloc(nbytes + 1);
	d->block = d->spec.nstages ? NULL : malloc(d->capacity * source_frame_bytes(s));
	d->kept = d->recorded ? malloc(nframes * d->ncolumns + 1) : NULL;
	d->kept_block = d->recorded ? malloc(d->capacity * s->nchannels) : NULL;
	d->at = s->parts[0].start;
	return d->out && (d->block || d->spec.nstages) && (!d->recorded || (d->kept && d->kept_block))
		       ? STATUS_OK
		       : error_set(&r->error, STATUS_NO_MEMORY, NULL, NULL, "no memory for %zu frames", nframes);
}

/* One sample of any type as f64; exact but for 64-bit integers above 2^53. */
static double sample(enum dtype dtype, const uint8_t *p)
{
	switch (dtype) {
#define CASE(name, type) case DTYPE_##name: { type v; memcpy(&v, p, sizeof v); return (double)v; }
	CASE(I8, int8_t)
	CASE(U8, uint8_t)
	CASE(I16, int16_t)
	CASE(U16, uint16_t)
	CASE(I32, int32_t)
	CASE(U32, uint32_t)
	CASE(I64, int64_t)
	CASE(U64, uint64_t)
	CASE(F32, float)
	CASE(F64, double)
#undef CASE
	default:
		return 0;
	}
}

static void pick(const struct reading *d, size_t nframes, uint8_t *dst)
{
	const struct source *s = &d->source;
	size_t size = dtype_size(s->dtype), row = source_frame_bytes(s);
	for (size_t t = 0; t < nframes; t++)
		for (size_t i = 0; i < d->ncolumns; i++) {
			size_t c = d->columns[i];
			const uint8_t *from = d->block + t * row + c * size;
			if (d->scaled) {
				float uv = (float)(sample(s->dtype, from) * s->recording->gains_uv[c] + s->recording->offsets_uv[c]);
				memcpy(dst + (t * d->ncolumns + i) * sizeof uv, &uv, sizeof uv);
			} else {
				memcpy(dst + (t * d->ncolumns + i) * size, from, size);
			}
		}
}

static enum status copy_recorded(struct reading *d, size_t n, const struct executor *ex, struct error *e)
{
	struct source *s = &d->source;
	uint8_t *dst = d->kept + (size_t)(d->at - s->parts[0].start) * d->ncolumns;
	enum status status = source_recorded(s, s->parts[0].segment, d->at, n, ex, d->kept_block, e);
	for (size_t t = 0; t < n && !status; t++)
		for (size_t i = 0; i < d->ncolumns; i++)
			dst[t * d->ncolumns + i] = d->kept_block[t * s->nchannels + d->columns[i]];
	return status;
}

static enum step finish(struct reading *d, struct request *r)
{
	const struct source_part *part = &d->source.parts[0];
	uint64_t shape[2] = { (uint64_t)(part->stop - part->start), d->ncolumns };
	uint8_t *out = d->out, *kept = d->kept;
	d->out = d->kept = NULL;
	r->result = json_object();
	request_add_array(r, "traces", as_f32(d) ? DTYPE_F32 : d->source.dtype, 2, shape, out);
	if (d->recorded)
		request_add_array(r, "recorded", DTYPE_BOOL, 2, shape, kept);
	return STEP_DONE;
}

static enum step copy_block(struct reading *d, struct request *r, const struct executor *ex)
{
	struct source *s = &d->source;
	const struct source_part *part = &s->parts[0];
	int64_t capacity = (int64_t)d->capacity, n = capacity - d->at % capacity;
	if (n > part->stop - d->at)
		n = part->stop - d->at;
	if (n == 0)
		return finish(d, r);
	uint8_t *dst = d->out + (size_t)(d->at - part->start) * d->row_out;
	bool as_stored = !d->scaled && !d->channels;
	if (source_read(s, part->segment, d->at, (size_t)n, ex, as_stored ? dst : d->block, &r->error) != STATUS_OK)
		return STEP_DONE;
	if (!as_stored)
		pick(d, (size_t)n, dst);
	if (d->recorded && copy_recorded(d, (size_t)n, ex, &r->error) != STATUS_OK)
		return STEP_DONE;
	d->at += n;
	return source_waits(s) ? STEP_IO : STEP_COMPUTE;
}

/* --- preprocessed --- */

static enum status make_feed(struct reading *d, struct error *e)
{
	struct source *s = &d->source;
	enum status status = feed_new(&d->feed, s, &d->spec, e);
	if (!status)
		feed_seek(d->feed, s->parts[0].segment, s->parts[0].start, s->parts[0].stop, false);
	return status;
}

struct layout {
	const struct reading *d;
	const struct slab *slab;
	float *rows;
};

/* Tiles back to rows, of the channels wanted. */
static void lay_out(void *arg, size_t piece)
{
	const struct layout *l = arg;
	const struct reading *d = l->d;
	size_t first = piece * READ_PIECE, n = l->slab->nframes - first < READ_PIECE ? l->slab->nframes - first : READ_PIECE;
	for (size_t i = 0; i < d->ncolumns; i++) {
		const float *from = slab_at(l->slab, d->columns[i] / LANES, first) + d->columns[i] % LANES;
		float *to = l->rows + first * d->ncolumns + i;
		for (size_t t = 0; t < n; t++)
			to[t * d->ncolumns] = from[t * LANES];
	}
}

static enum step fit_stages(struct reading *d, struct request *r, const struct executor *ex)
{
	enum step step;
	bool done;
	if (fit_job_waits(d->fit, ex, &step, &r->error))
		return step;
	enum status status = fit_job_step(&d->fit, &d->source, &d->spec, ex, &done, &r->error);
	if (!status && done)
		status = make_feed(d, &r->error);
	return status ? STEP_DONE : STEP_COMPUTE;
}

static enum step take_frames(struct reading *d, struct request *r, const struct executor *ex)
{
	struct slab slab;
	enum step step;
	bool end;
	if (feed_waits(d->feed, ex, &step, &r->error))
		return step;
	if (feed_step(d->feed, ex, &slab, &end, &r->error) != STATUS_OK)
		return STEP_DONE;
	struct layout l = { d, &slab, (float *)(d->out + (size_t)(d->at - d->source.parts[0].start) * d->row_out) };
	ex->run(ex->ctx, (slab.nframes + READ_PIECE - 1) / READ_PIECE, lay_out, &l);
	d->at += (int64_t)slab.nframes;
	return d->at == d->source.parts[0].stop ? finish(d, r) : STEP_COMPUTE;
}

/* Filters would meet frames that were never recorded, so only plain reads are for recordings of which pieces exist. */
static enum step open_source(struct reading *d, struct request *r)
{
	struct source *s = &d->source;
	enum status status = d->spec.nstages ? source_open(s, &r->error) : source_open_pieces(s, &r->error);
	if (!status)
		status = choose_channels(d, &r->error);
	if (!status)
		status = allocate(d, r);
	if (!status && d->scaled)
		source_scale(s, &d->spec);
	d->open = true;
	return status ? STEP_DONE : source_waits(s) && !d->spec.nstages ? STEP_IO : STEP_COMPUTE;
}

enum step read_step(struct request *r, const struct executor *ex)
{
	struct reading *d = r->state;
	if (!d->open)
		return open_source(d, r);
	if (!d->spec.nstages)
		return copy_block(d, r, ex);
	return d->feed ? take_frames(d, r, ex) : fit_stages(d, r, ex);
}

void read_end(struct request *r)
{
	struct reading *d = r->state;
	feed_free(d->feed);
	fit_job_free(d->fit);
	source_close(&d->source);
	preprocess_fini(&d->spec);
	free(d->columns);
	free(d->out);
	free(d->block);
	free(d->kept);
	free(d->kept_block);
	free(d);
}
