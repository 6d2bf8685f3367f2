/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Opening: the helper's answer becomes a struct recording, and every number in it is checked first. Whatever passes here, read.c may rely on:
 * sizes do not overflow, addresses lie in the file as it was, segments lie in the dataset, the chunk table is as long as the grid.
 */
#include "daemon/recording/recording.h"
#include "daemon/recording/chunk.h"
#include "daemon/recording/helper_call.h"
#include "daemon/recording/raw/raw.h"
#include "daemon/recording/sparse.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_CHANNELS = 65536, MAX_CHUNKS = 8 << 20, MAX_CHUNK_BYTES = 1 << 30, MAX_ANSWER = 192 << 20, CHUNK_RECORD = 16 };

static enum status nonsense(struct error *e, const char *what)
{
	return error_set(e, STATUS_CORRUPT, "file", "the file is probably damaged; copy it again from its source",
			 "the HDF5 helper's answer cannot be used: %s", what);
}

/* ---- taking values out of the answer ---- */

static bool take_text(const json_t *result, const char *key, char **out)
{
	const char *text = json_string_value(json_object_get(result, key));
	*out = text && strlen(text) <= 4096 ? strdup(text) : NULL;
	return *out;
}

static bool take_pair(const json_t *list, uint64_t out[2], uint64_t max)
{
	for (size_t i = 0; i < 2; i++) {
		const json_t *value = json_array_get(list, i);
		if (!json_is_integer(value) || json_integer_value(value) < 0 || (uint64_t)json_integer_value(value) > max)
			return false;
		out[i] = (uint64_t)json_integer_value(value);
	}
	return json_array_size(list) == 2;
}

/* An array of that type with n elements, or NULL. */
static const void *take_array(const struct helper_reply *reply, const char *name, enum dtype dtype, size_t n)
{
	const struct array *a = message_array(&reply->m, name);
	return a && a->dtype == dtype && a->nbytes / dtype_size(dtype) == n ? a->data : NULL;
}

static void *copy_of(const void *data, size_t n, size_t size)
{
	void *copy = malloc(n ? n * size : 1);
	if (copy && n)
		memcpy(copy, data, n * size);
	return copy;
}

static bool all_finite(const double *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isfinite(x[i]))
			return false;
	return true;
}

/* ---- the parts of a recording ---- */

static bool dtype_of_samples(enum dtype dtype)
{
	return dtype != DTYPE_NONE && dtype != DTYPE_BOOL && dtype != DTYPE_C64 && dtype != DTYPE_C128 && dtype != DTYPE_PEAK;
}

static enum status take_shape(struct recording *r, const json_t *result, struct error *e)
{
	const char *dtype = json_string_value(json_object_get(result, "dtype"));
	const json_t *fs = json_object_get(result, "sampling_frequency"), *n = json_object_get(result, "num_channels"),
		     *axis = json_object_get(result, "time_axis");
	r->dtype = dtype ? dtype_from_name(dtype) : DTYPE_NONE;
	r->fs_hz = json_number_value(fs);
	r->time_axis = (int)json_integer_value(axis);
	r->has_uv = json_is_true(json_object_get(result, "has_uV"));
	if (!take_text(result, "layout", &r->layout) || !take_text(result, "stream", &r->stream) || !take_text(result, "dataset", &r->dataset))
		return nonsense(e, "names");
	if (!dtype_of_samples(r->dtype) || !json_is_number(fs) || !isfinite(r->fs_hz) || r->fs_hz <= 0)
		return nonsense(e, "type or rate");
	if (!json_is_integer(axis) || json_integer_value(axis) < 0 || json_integer_value(axis) > 1 ||
	    !take_pair(json_object_get(result, "dims"), r->dims, 1ull << 53))
		return nonsense(e, "dimensions");
	uint64_t nstored = r->dims[1 - r->time_axis];
	if (!json_is_integer(n) || json_integer_value(n) < 1 || json_integer_value(n) > MAX_CHANNELS || nstored < 1 || nstored > MAX_CHANNELS)
		return nonsense(e, "number of channels");
	r->nchannels = (size_t)json_integer_value(n);
	return STATUS_OK;
}

static enum status take_streams(struct recording *r, const json_t *result, struct error *e)
{
	const json_t *list = json_object_get(result, "streams");
	size_t n = json_array_size(list);
	if (n < 1 || n > RECORDING_MAX_STREAMS)
		return nonsense(e, "list of recordings");
	r->streams = calloc(n, sizeof *r->streams);
	if (!r->streams)
		return STATUS_NO_MEMORY;
	for (; r->nstreams < n; r->nstreams++) {
		const char *text = json_string_value(json_array_get(list, r->nstreams));
		if (!text)
			return nonsense(e, "list of recordings");
		r->streams[r->nstreams] = strdup(text);
		if (!r->streams[r->nstreams])
			return STATUS_NO_MEMORY;
	}
	return STATUS_OK;
}

static enum status take_warnings(struct recording *r, const json_t *list)
{
	r->warnings = calloc(json_array_size(list) + 1, sizeof *r->warnings);
	if (!r->warnings)
		return STATUS_NO_MEMORY;
	for (size_t i = 0; i < json_array_size(list) && i < RECORDING_MAX_STREAMS; i++) {
		const char *text = json_string_value(json_array_get(list, i));
		char *copy = text ? strdup(text) : NULL;
		if (copy)
			r->warnings[r->nwarnings++] = copy;
	}
	return STATUS_OK;
}

char *recording_clean_text(const char *text, size_t n)
{
	char *id = strndup(text, n);
	json_t *utf8 = json_stringn(text, n);
	for (char *p = id; p && *p; p++)
		if ((!utf8 && (unsigned char)*p > 126) || (unsigned char)*p < ' ')
			*p = '?';
	json_decref(utf8);
	return id;
}

static enum status take_ids(struct recording *r, const struct helper_reply *reply, struct error *e)
{
	const struct array *a = message_array(&reply->m, "channel_ids");
	const char *text = a ? a->data : NULL, *end = a ? text + a->nbytes : NULL;
	if (!a || a->dtype != DTYPE_U8)
		return nonsense(e, "channel ids");
	r->channel_ids = calloc(r->nchannels, sizeof *r->channel_ids);
	if (!r->channel_ids)
		return STATUS_NO_MEMORY;
	for (size_t c = 0; c < r->nchannels; c++) {
		const char *stop = text < end ? memchr(text, '\0', (size_t)(end - text)) : NULL;
		if (!stop || stop - text > 255)
			return nonsense(e, "channel ids");
		r->channel_ids[c] = recording_clean_text(text, (size_t)(stop - text));
		if (!r->channel_ids[c])
			return STATUS_NO_MEMORY;
		text = stop + 1;
	}
	return STATUS_OK;
}

static enum status take_channels(struct recording *r, const struct helper_reply *reply, struct error *e)
{
	const double *gains = take_array(reply, "gains_uV", DTYPE_F64, r->nchannels);
	const double *offsets = take_array(reply, "offsets_uV", DTYPE_F64, r->nchannels);
	if (!gains || !offsets || !all_finite(gains, r->nchannels) || !all_finite(offsets, r->nchannels))
		return nonsense(e, "gains");
	r->gains_uv = copy_of(gains, r->nchannels, sizeof *gains);
	r->offsets_uv = copy_of(offsets, r->nchannels, sizeof *offsets);
	if (!r->gains_uv || !r->offsets_uv)
		return STATUS_NO_MEMORY;
	const struct array *locations = message_array(&reply->m, "channel_locations");
	if (!locations)
		return STATUS_OK;
	if (locations->dtype != DTYPE_F64 || locations->ndim != 2 || locations->shape[0] != r->nchannels || locations->shape[1] < 2 ||
	    locations->shape[1] > 3 || !all_finite(locations->data, r->nchannels * locations->shape[1]))
		return nonsense(e, "channel locations");
	r->ndim_locations = locations->shape[1];
	r->locations = copy_of(locations->data, r->nchannels * r->ndim_locations, sizeof *r->locations);
	return r->locations ? STATUS_OK : STATUS_NO_MEMORY;
}

/* Which rows of the dataset the channels are; without the list all of them, in order. */
static enum status take_rows(struct recording *r, const struct helper_reply *reply, struct error *e)
{
	uint64_t nstored = r->dims[1 - r->time_axis];
	if (!message_array(&reply->m, "channel_rows"))
		return r->nchannels == nstored ? STATUS_OK : nonsense(e, "number of channels");
	const int64_t *rows = take_array(reply, "channel_rows", DTYPE_I64, r->nchannels);
	if (!rows)
		return nonsense(e, "channel rows");
	r->channel_rows = calloc(r->nchannels, sizeof *r->channel_rows);
	if (!r->channel_rows)
		return STATUS_NO_MEMORY;
	for (size_t c = 0; c < r->nchannels; c++) {
		if (rows[c] < 0 || (uint64_t)rows[c] >= nstored)
			return nonsense(e, "channel rows");
		r->channel_rows[c] = (size_t)rows[c];
	}
	return STATUS_OK;
}

static enum status take_segments(struct recording *r, const struct helper_reply *reply, struct error *e)
{
	const struct array *a = message_array(&reply->m, "segment_starts");
	size_t n = a ? a->nbytes / sizeof(double) : 0;
	const double *starts = a ? take_array(reply, "segment_starts", DTYPE_F64, a->nbytes / sizeof(double)) : NULL;
	const int64_t(*frames)[2] = a ? take_array(reply, "segment_frames", DTYPE_I64, 2 * (a->nbytes / sizeof(double))) : NULL;
	if (!starts || !frames || n < 1 || n > RECORDING_MAX_SEGMENTS)
		return nonsense(e, "segments");
	const uint64_t total = r->dims[r->time_axis];
	for (size_t i = 0; i < n; i++) {
		if (frames[i][0] < 0 || frames[i][1] < 0 || (uint64_t)frames[i][0] > total || (uint64_t)frames[i][1] > total - (uint64_t)frames[i][0] ||
		    !isfinite(starts[i]))
			return nonsense(e, "segments");
		r->segments[i] = (struct recording_segment){ frames[i][0], frames[i][1], starts[i] };
	}
	r->nsegments = n;
	return STATUS_OK;
}

/* ---- storage ---- */

/* [id, name, parameters...] */
static bool take_filter(struct recording_filter *f, const json_t *list)
{
	const json_t *id = json_array_get(list, 0);
	const char *name = json_string_value(json_array_get(list, 1));
	const size_t n = json_array_size(list);
	if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) > 65535 || !name || n > 2 + CODEC_MAX_PARAMETERS)
		return false;
	f->id = (int)json_integer_value(id);
	f->codec = codec_find(f->id);
	f->parameters.n = (uint32_t)(n - 2);
	for (size_t i = 2; i < n; i++) {
		const json_t *value = json_array_get(list, i);
		if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > UINT32_MAX)
			return false;
		f->parameters.at[i - 2] = (uint32_t)json_integer_value(value);
	}
	snprintf(f->name, sizeof f->name, "%s", f->codec ? f->codec->name : name[0] ? name : "no name");
	return true;
}

static enum status take_filters(struct recording *r, const json_t *result, struct error *e)
{
	const json_t *list = json_object_get(result, "filters");
	size_t n = json_array_size(list);
	if (n > RECORDING_MAX_FILTERS)
		return nonsense(e, "filters");
	for (; r->nfilters < n; r->nfilters++)
		if (!take_filter(&r->filters[r->nfilters], json_array_get(list, r->nfilters)))
			return nonsense(e, "filters");
	return STATUS_OK;
}

/* Can the daemon undo all of them? */
static bool decodable(const struct recording *r)
{
	for (size_t i = 0; i < r->nfilters; i++) {
		const struct recording_filter *f = &r->filters[i];
		if (!f->codec || (f->codec->accepts && !f->codec->accepts(&f->parameters)))
			return false;
	}
	return true;
}

static bool take_fill(struct recording *r, const json_t *result)
{
	const char *text = json_string_value(json_object_get(result, "fill"));
	if (!text || strlen(text) != 2 * sizeof r->fill || strspn(text, "0123456789abcdef") != 2 * sizeof r->fill)
		return false;
	for (size_t i = 0; i < sizeof r->fill; i++) {
		unsigned byte = 0;
		sscanf(text + 2 * i, "%2x", &byte);
		r->fill[i] = (uint8_t)byte;
	}
	return true;
}

static enum status take_contiguous(struct recording *r, const json_t *result, struct error *e)
{
	const char *text = json_string_value(json_object_get(result, "address"));
	uint64_t nbytes = dtype_size(r->dtype);
	char *end = NULL;
	r->address = text ? strtoull(text, &end, 10) : UINT64_MAX;
	if (!text || *end || __builtin_mul_overflow(nbytes, r->dims[0], &nbytes) || __builtin_mul_overflow(nbytes, r->dims[1], &nbytes) ||
	    r->address > r->file_size || nbytes > r->file_size - r->address)
		return nonsense(e, "address of the data");
	return STATUS_OK;
}

/* The stored size has no upper bound in the format, but nothing honest grows by more than an eighth. */
static bool chunk_ok(const struct recording *r, const struct recording_chunk *c, size_t decoded)
{
	return c->nbytes == 0 || (c->address <= r->file_size && c->nbytes <= r->file_size - c->address && decoded != 0 && decoded <= MAX_CHUNK_BYTES &&
				  c->nbytes <= decoded + decoded / 8 + 4096);
}

static enum status take_chunks(struct recording *r, const struct helper_reply *reply, struct error *e)
{
	const struct array *a = message_array(&reply->m, "chunks");
	uint64_t n = 1, axis[2];
	if (!r->chunk_dims[0] || !r->chunk_dims[1])
		return nonsense(e, "chunk dimensions");
	for (int i = 0; i < 2; i++)
		axis[i] = r->dims[i] / r->chunk_dims[i] + (r->dims[i] % r->chunk_dims[i] != 0);
	if (__builtin_mul_overflow(axis[0], axis[1], &n) || n > MAX_CHUNKS || !a || a->dtype != DTYPE_U8 || a->nbytes != n * CHUNK_RECORD)
		return nonsense(e, "number of chunks");
	_Static_assert(sizeof *r->chunks == CHUNK_RECORD, "the helper's records are copied as they are");
	r->chunks = copy_of(a->data, n, CHUNK_RECORD);
	if (!r->chunks)
		return STATUS_NO_MEMORY;
	r->nchunks = n;
	size_t decoded = chunk_bytes(r);
	for (size_t i = 0; i < n; i++)
		if (!chunk_ok(r, &r->chunks[i], decoded))
			return nonsense(e, "place of a chunk");
	return STATUS_OK;
}

static enum status take_storage(struct recording *r, const struct helper_reply *reply, struct error *e)
{
	const json_t *result = reply->result, *dims = json_object_get(result, "chunk_dims");
	const char *storage = json_string_value(json_object_get(result, "storage"));
	r->flat = json_is_true(json_object_get(result, "flat"));
	r->partial_unfiltered = json_is_true(json_object_get(result, "partial_unfiltered"));
	if (!storage || !take_fill(r, result) || (dims && !take_pair(dims, r->chunk_dims, 1ull << 53)))
		return nonsense(e, "storage");
	enum status status = take_filters(r, result, e);
	if (status || strcmp(storage, "helper") == 0 || !decodable(r)) {
		r->storage = STORAGE_HELPER;
		return status;
	}
	r->storage = strcmp(storage, "contiguous") == 0 ? STORAGE_CONTIGUOUS : STORAGE_CHUNKED;
	if (r->storage == STORAGE_CONTIGUOUS)
		return take_contiguous(r, result, e);
	return strcmp(storage, "chunked") == 0 ? take_chunks(r, reply, e) : nonsense(e, "storage");
}

static enum status take_answer(struct recording *r, const struct helper_reply *reply, struct error *e)
{
	enum status status = take_shape(r, reply->result, e);
	if (!status)
		status = take_streams(r, reply->result, e);
	if (!status)
		status = take_warnings(r, json_object_get(reply->m.header, "warnings"));
	if (!status)
		status = take_ids(r, reply, e);
	if (!status)
		status = take_channels(r, reply, e);
	if (!status)
		status = take_rows(r, reply, e);
	if (!status)
		status = take_segments(r, reply, e);
	if (!status && json_object_get(reply->result, "sparse_bytes"))
		status = sparse_take(r, reply, e);
	if (!status)
		status = take_storage(r->sparse ? r->sparse->bytes : r, reply, e);
	if (status == STATUS_NO_MEMORY)
		error_set(e, status, NULL, NULL, "no memory for the description of a recording");
	return status;
}

/* ---- open, share, close ---- */

/* Appends to a fingerprint; nout is its whole size. */
static void add_fingerprint(const struct stat *st, char *out, size_t nout)
{
	size_t n = strlen(out);
	snprintf(out + n, nout - n, "%s%ju:%ju:%jd:%jd.%09ld", n ? "+" : "", (uintmax_t)st->st_dev, (uintmax_t)st->st_ino, (intmax_t)st->st_size,
		 (intmax_t)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
}

static json_t *question(const struct recording_name *name)
{
	json_t *params = json_object();
	if (name->stream)
		json_object_set_new(params, "stream", json_string(name->stream));
	if (name->dataset) {
		/* HDF5 paths start at the root, as h5py's users know without writing it. */
		json_object_set_new(params, "dataset", json_sprintf("%s%s", name->dataset[0] == '/' ? "" : "/", name->dataset));
		json_object_set_new(params, "sampling_frequency", json_real(name->fs_hz));
		json_object_set_new(params, "time_axis", json_integer(name->time_axis));
		json_object_set_new(params, "gain_uV", json_real(name->gain_uv));
		json_object_set_new(params, "offset_uV", json_real(name->offset_uv));
	}
	return params;
}

static enum status check_name(const struct recording_name *name, struct error *e)
{
	if (name->dataset && !(isfinite(name->fs_hz) && name->fs_hz > 0))
		return error_set(e, STATUS_INVALID, "sampling_frequency", "give the rate in Hz", "sampling_frequency must be above 0 and finite, not %g",
				 name->fs_hz);
	if (name->dataset && !(isfinite(name->gain_uv) && isfinite(name->offset_uv)))
		return error_set(e, STATUS_INVALID, "gain_uV", NULL, "gain_uV and offset_uV must be finite");
	return STATUS_OK;
}

enum status recording_take_files(struct recording *r, int data, const char *path, int side, struct error *e)
{
	struct stat st, of_side;
	if (fstat(data, &st) != 0 || !S_ISREG(st.st_mode) || (side >= 0 && fstat(side, &of_side) != 0))
		return error_set(e, STATUS_INVALID, "file", NULL, "%.200s is not a regular file", path);
	r->file_size = (uint64_t)st.st_size;
	r->fingerprint[0] = '\0';
	add_fingerprint(&st, r->fingerprint, sizeof r->fingerprint);
	if (side >= 0)
		add_fingerprint(&of_side, r->fingerprint, sizeof r->fingerprint);
	free(r->file);
	r->file = strdup(path);
	return r->file ? STATUS_OK : error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for a recording");
}

static enum status ask_helper(struct recording *r, const struct recording_name *name, const struct helper_limits *helper, struct error *e)
{
	struct helper_reply reply = { 0 };
	enum status status = helper_ask_json(helper, "index", r->fd, question(name), MAX_ANSWER, &reply, e);
	if (!status)
		status = take_answer(r, &reply, e);
	helper_reply_fini(&reply);
	return status;
}

enum status recording_open(struct recording **out, const struct recording_name *name, int fd, const struct helper_limits *helper, struct error *e)
{
	struct recording *r = calloc(1, sizeof *r);
	bool raw = false;
	*out = NULL;
	if (!r) {
		close(fd);
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for a recording");
	}
	atomic_init(&r->refs, 1);
	r->fd = fd;
	enum status status = check_name(name, e);
	if (!status)
		status = recording_take_files(r, fd, name->file, -1, e);
	if (!status && name->roots && !name->dataset)
		status = raw_open(r, name, &raw, e);
	if (!status && !raw)
		status = ask_helper(r, name, helper, e);
	if (status)
		recording_unref(r);
	else
		*out = r;
	return status;
}

struct recording *recording_ref(struct recording *r)
{
	atomic_fetch_add(&r->refs, 1);
	return r;
}

void recording_unref(struct recording *r)
{
	if (!r || atomic_fetch_sub(&r->refs, 1) != 1)
		return;
	for (size_t i = 0; i < r->nstreams; i++)
		free(r->streams[i]);
	for (size_t i = 0; i < r->nwarnings; i++)
		free(r->warnings[i]);
	free(r->warnings);
	for (size_t c = 0; r->channel_ids && c < r->nchannels; c++)
		free(r->channel_ids[c]);
	free(r->streams);
	free(r->channel_ids);
	free(r->gains_uv);
	free(r->offsets_uv);
	free(r->locations);
	free(r->channel_rows);
	free(r->chunks);
	free(r->shifts);
	sparse_free(r->sparse);
	free(r->file);
	free(r->side_file);
	free(r->stream);
	free(r->layout);
	free(r->dataset);
	close(r->fd);
	free(r);
}

bool recording_stale(const struct recording *r)
{
	struct stat st;
	char now[sizeof r->fingerprint] = "";
	if (stat(r->file, &st) != 0)
		return true;
	add_fingerprint(&st, now, sizeof now);
	if (r->side_file && stat(r->side_file, &st) != 0)
		return true;
	if (r->side_file)
		add_fingerprint(&st, now, sizeof now);
	return strcmp(now, r->fingerprint) != 0;
}
