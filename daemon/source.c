/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/source.h"
#include "daemon/client_memory.h"
#include "daemon/clock.h"
#include "daemon/daemon.h"
#include "daemon/recording/cache.h"

#include <stdlib.h>
#include <string.h>

struct helper_limits source_helper(const struct request *r)
{
	const struct config *c = &r->settings->config;
	const char *plugins = strcmp(c->recordings_plugin_path, "off") ? c->recordings_plugin_path : NULL;
	return (struct helper_limits){ r->daemon->helper_path, (size_t)c->helper_memory, (int)c->helper_timeout, plugins };
}

static bool numeric(enum dtype t)
{
	return t >= DTYPE_I8 && t <= DTYPE_F64 && t != DTYPE_F16;
}

static void parse_array(struct source *s, struct params *p)
{
	const struct array *a = s->array;
	if (!numeric(a->dtype))
		params_fail(p, "traces", "send integers, <f4 or <f8", "dtype %s cannot be reduced or searched for spikes", dtype_name(a->dtype));
	else if (a->ndim != 1 && a->ndim != 2)
		params_fail(p, "traces", "give an array (frames, channels), or one channel as 1-D", "%u dimensions", a->ndim);
	s->dtype = a->dtype;
	s->nchannels = a->ndim == 2 ? (size_t)a->shape[1] : 1;
	s->nsegments = 1;
	if (s->nchannels < 1 || s->nchannels > 65536)
		params_fail(p, "traces", "give an array (frames, channels)", "%zu channels; 1 to 65536 can be handled", s->nchannels);
}

void source_parse(struct source *s, struct request *r, struct params *p)
{
	memset(s, 0, sizeof *s);
	s->request = r;
	s->array = message_array(&r->msg, "traces");
	s->name = (struct recording_name){
		.file = params_text(p, "file"),
		.stream = params_text(p, "recording"),
		.dataset = params_text(p, "dataset"),
		.fs_hz = params_real(p, "sampling_frequency", 0, 0, true, 1e9),
		.time_axis = (int)params_int(p, "time_axis", 0, 0, 1),
		.gain_uv = params_real(p, "gain_uV", 1, -1e30, false, 1e30),
		.offset_uv = params_real(p, "offset_uV", 0, -1e30, false, 1e30),
	};
	s->segment = params_int(p, "segment", -1, 0, RECORDING_MAX_SEGMENTS - 1);
	s->start = params_int(p, "start", -1, 0, INT64_MAX);
	s->stop = params_int(p, "stop", -1, 0, INT64_MAX);
	s->fs_hz = s->name.fs_hz;
	if (!s->name.file == !s->array)
		params_fail(p, "file", "give a file, or an array called traces", s->array ? "there is a file and an array" : "no file and no array");
	else if (s->array)
		parse_array(s, p);
	else if (s->name.dataset && s->name.fs_hz <= 0)
		params_fail(p, "sampling_frequency", "say how many frames a second the dataset holds", "a plain dataset needs a sampling_frequency");
}

static enum status add_parts(struct source *s, struct error *e)
{
	if (s->segment < 0 && (s->start >= 0 || s->stop >= 0))
		s->segment = 0;
	if (s->segment >= (int64_t)s->nsegments)
		return error_set(e, STATUS_INVALID, "segment", NULL, "segment %lld: the recording has %zu", (long long)s->segment, s->nsegments);
	s->nparts = s->segment >= 0 ? 1 : s->nsegments;
	s->parts = calloc(s->nparts, sizeof *s->parts);
	if (!s->parts)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	for (size_t i = 0; i < s->nparts; i++) {
		size_t segment = s->segment >= 0 ? (size_t)s->segment : i;
		int64_t nframes = source_frames(s, segment);
		int64_t start = s->start >= 0 ? s->start : 0, stop = s->stop >= 0 ? s->stop : nframes;
		if (start > stop || stop > nframes)
			return error_set(e, STATUS_INVALID, stop > nframes ? "stop" : "start", NULL, "frames %lld to %lld: segment %zu has %lld frames",
					 (long long)start, (long long)stop, segment, (long long)nframes);
		s->parts[i] = (struct source_part){ segment, start, stop };
	}
	return STATUS_OK;
}

enum status source_cut(struct source *s, int64_t nframes, struct error *e)
{
	size_t n = 0, at = 0;
	for (size_t i = 0; i < s->nparts; i++)
		n += (size_t)((s->parts[i].stop - s->parts[i].start + nframes - 1) / nframes);
	struct source_part *parts = calloc(n + 1, sizeof *parts);
	if (!parts)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for %zu chunks", n);
	for (size_t i = 0; i < s->nparts; i++) {
		const struct source_part *p = &s->parts[i];
		for (int64_t start = p->start; start < p->stop; start += nframes)
			parts[at++] = (struct source_part){ p->segment, start, p->stop - start < nframes ? p->stop : start + nframes };
	}
	free(s->parts);
	s->parts = parts;
	s->nparts = n;
	return STATUS_OK;
}

enum status source_open(struct source *s, struct error *e)
{
	enum status status = source_open_pieces(s, e);
	if (!status && s->recording && s->recording->storage == STORAGE_SPARSE)
		status = error_set(e, STATUS_UNSUPPORTED, "file", "read the frames with `recorded`, and work on the pieces",
				   "the device kept pieces around events only: filters, noise levels and detection would meet frames that were never recorded");
	return status;
}

enum status source_open_pieces(struct source *s, struct error *e)
{
	if (!s->array) {
		const struct config *c = &s->request->settings->config;
		struct helper_limits helper = source_helper(s->request);
		enum status status = recording_cache_open(s->request->daemon->recordings, &s->name, c->recordings_roots, (size_t)c->recordings_cache, &helper,
							  &s->recording, e);
		if (status)
			return status;
		s->nchannels = s->recording->nchannels;
		s->nsegments = s->recording->nsegments;
		s->fs_hz = s->recording->fs_hz;
		s->dtype = s->recording->dtype;
		for (size_t i = 0; i < s->recording->nwarnings; i++)
			request_warn(s->request, "%s", s->recording->warnings[i]);
	}
	return add_parts(s, e);
}

void source_close(struct source *s)
{
	if (s->recording)
		recording_unref(s->recording);
	free(s->parts);
	stage_arrays_free(&s->arrays);
	memset(s, 0, sizeof *s);
}

void source_scale(const struct source *s, struct pipeline_spec *spec)
{
	spec->gain = s->recording->gains_uv;
	spec->offset = s->recording->offsets_uv;
}

int64_t source_frames(const struct source *s, size_t segment)
{
	return s->recording ? s->recording->segments[segment].nframes : (int64_t)s->array->shape[0];
}

int64_t source_total(const struct source *s)
{
	int64_t total = 0;
	for (size_t i = 0; i < s->nparts; i++)
		total += s->parts[i].stop - s->parts[i].start;
	return total;
}

size_t source_frame_bytes(const struct source *s)
{
	return s->nchannels * dtype_size(s->dtype);
}

/* --- arrays --- */

struct copy {
	struct source *source;
	int64_t start;
	size_t nframes, piece; /* frames in a piece */
	uint8_t *dst;
	enum status *status;   /* of each piece */
	struct error *errors;
};

enum { PIECE_BYTES = 512 << 10, MAX_PIECES = 4096 };

/* Column-major: each channel lies together, so a piece gathers a run of each channel and transposes. */
static enum status copy_fortran(struct copy *c, int64_t start, size_t n, uint8_t *dst, struct error *e)
{
	struct source *s = c->source;
	const struct array *a = s->array;
	size_t size = dtype_size(s->dtype), nframes = (size_t)a->shape[0];
	uint8_t *run = a->via == VIA_MEMORY ? malloc(n * size) : NULL;
	enum status status = STATUS_OK;
	if (a->via == VIA_MEMORY && !run)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	for (size_t ch = 0; ch < s->nchannels && !status; ch++) {
		size_t offset = (ch * nframes + (size_t)start) * size;
		const uint8_t *from = (const uint8_t *)a->data + offset;
		if (run) {
			status = client_memory_read(s->request->peer, a->address + offset, run, n * size, &s->request->cancel_flag, e);
			from = run;
		}
		for (size_t i = 0; i < n && !status; i++)
			memcpy(dst + (i * s->nchannels + ch) * size, from + i * size, size);
	}
	free(run);
	return status;
}

static void copy_piece(void *arg, size_t i)
{
	struct copy *c = arg;
	struct source *s = c->source;
	const struct array *a = s->array;
	size_t first = i * c->piece, n = c->nframes - first < c->piece ? c->nframes - first : c->piece, row = source_frame_bytes(s);
	uint64_t offset = ((uint64_t)c->start + first) * row;
	uint8_t *dst = c->dst + first * row;
	if (a->fortran && s->nchannels > 1)
		c->status[i] = copy_fortran(c, c->start + (int64_t)first, n, dst, &c->errors[i]);
	else if (a->via == VIA_MEMORY)
		c->status[i] = client_memory_read(s->request->peer, a->address + offset, dst, n * row, &s->request->cancel_flag, &c->errors[i]);
	else
		memcpy(dst, (const uint8_t *)a->data + offset, n * row);
}

static enum status read_array(struct source *s, int64_t start, size_t nframes, const struct executor *ex, void *dst, struct error *e)
{
	size_t row = source_frame_bytes(s), piece = PIECE_BYTES / row + 1;
	if (nframes / piece >= MAX_PIECES)
		piece = nframes / MAX_PIECES + 1;
	size_t npieces = (nframes + piece - 1) / piece;
	enum status *status = calloc(npieces + 1, sizeof *status), result = STATUS_OK;
	struct error *errors = calloc(npieces + 1, sizeof *errors);
	if (status && errors) {
		struct copy c = { s, start, nframes, piece, dst, status, errors };
		ex->run(ex->ctx, npieces, copy_piece, &c);
	} else {
		result = error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	}
	for (size_t i = 0; i < npieces && !result; i++)
		if (status[i]) {
			*e = errors[i];
			result = status[i];
		}
	free(status);
	free(errors);
	return result;
}

enum status source_read(struct source *s, size_t segment, int64_t start, size_t nframes, const struct executor *ex, void *dst, struct error *e)
{
	if (!nframes)
		return STATUS_OK;
	if (!s->recording)
		return read_array(s, start, nframes, ex, dst, e);
	struct helper_limits helper = source_helper(s->request);
	return recording_read(s->recording, segment, start, nframes, ex, &helper, &s->request->cancel_flag, dst, e);
}

bool source_waits(const struct source *s)
{
	return s->recording && s->recording->storage == STORAGE_HELPER;
}

enum status source_recorded(struct source *s, size_t segment, int64_t start, size_t nframes, const struct executor *ex, uint8_t *dst, struct error *e)
{
	struct helper_limits helper = source_helper(s->request);
	return recording_recorded(s->recording, segment, start, nframes, ex, &helper, &s->request->cancel_flag, dst, e);
}

void source_ahead(const struct source *s, size_t segment, int64_t start, size_t nframes)
{
	if (s->recording)
		recording_ahead(s->recording, segment, start, nframes);
}

void source_count_read(struct source *s, uint64_t start_ns)
{
	s->request->read_ns += clock_ns() - start_ns;
}

const void *source_view(const struct source *s, size_t segment, int64_t start)
{
	(void)segment;
	if (s->recording || s->array->via != VIA_INLINE || (s->array->fortran && s->nchannels > 1))
		return NULL;
	return (const uint8_t *)s->array->data + (size_t)start * source_frame_bytes(s);
}

bool source_any_portion(const struct source *s)
{
	return !s->recording || s->recording->storage == STORAGE_CONTIGUOUS;
}

size_t source_span(const struct source *s, size_t wanted, size_t budget)
{
	size_t n = budget / source_frame_bytes(s);
	if (s->recording)
		return recording_span(s->recording, wanted, budget);
	return n < 1 ? 1 : n < wanted ? n : wanted;
}
