/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/helper/index.h"
#include "daemon/helper/attrs.h"
#include "daemon/helper/generic.h"
#include "daemon/helper/layouts.h"
#include "daemon/helper/nwb.h"
#include "daemon/helper/progress.h"
#include "daemon/helper/storage.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static double number(const json_t *params, const char *key, double otherwise)
{
	const json_t *value = json_object_get(params, key);
	return json_is_number(value) ? json_number_value(value) : otherwise;
}

static struct wanted wanted_from(const json_t *params)
{
	return (struct wanted){
		.stream = json_string_value(json_object_get(params, "stream")),
		.dataset = json_string_value(json_object_get(params, "dataset")),
		.fs_hz = number(params, "sampling_frequency", 0),
		.time_axis = (int)number(params, "time_axis", 0),
		.gain_uv = number(params, "gain_uV", 1),
		.offset_uv = number(params, "offset_uV", 0),
	};
}

/* Ids travel as one array of NUL-terminated texts: JSON headers are short. */
static enum status add_texts(struct reply *reply, const char *name, char *const *texts, size_t n, struct error *e)
{
	size_t nbytes = 0;
	for (size_t i = 0; i < n; i++)
		nbytes += strlen(texts[i]) + 1;
	char *all = malloc(nbytes ? nbytes : 1), *p = all;
	if (!all)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for %zu names", n);
	for (size_t i = 0; i < n; i++)
		p = stpcpy(p, texts[i]) + 1;
	return reply_array(reply, name, DTYPE_U8, all, nbytes, 1);
}

static enum status add_sparse(const struct description *d, struct reply *reply, struct error *e)
{
	const struct sparse *s = d->sparse;
	json_object_set_new(reply->result, "sparse_bytes", json_integer((json_int_t)d->data.dims[0]));
	enum status status = reply_array(reply, "sparse_blocks", DTYPE_I64, s->blocks, s->nblocks, 4);
	if (!status)
		status = reply_array(reply, "sparse_channels", DTYPE_I64, s->channels, d->nchannels, 1);
	if (!status)
		status = reply_array(reply, "sparse_fill", DTYPE_I64, s->fill, d->nchannels, 1);
	return status ? error_set(e, status, NULL, NULL, "too many arrays") : STATUS_OK;
}

static enum status add_description(const struct description *d, struct reply *reply, struct error *e)
{
	json_t *r = reply->result, *streams = json_array();
	bool ok = json_object_set_new(r, "layout", json_string(d->layout)) == 0;
	ok &= json_object_set_new(r, "stream", json_string(d->stream)) == 0;
	ok &= json_object_set_new(r, "dataset", json_string(d->data.path)) == 0;
	for (size_t i = 0; i < d->nstreams; i++)
		ok &= json_array_append_new(streams, json_string(d->streams[i])) == 0;
	if (!ok)
		return error_set(e, STATUS_UNSUPPORTED, "file", "rename them", "names in the file are not UTF-8");
	json_object_set_new(r, "streams", streams);
	json_object_set_new(r, "num_channels", json_integer((json_int_t)d->nchannels));
	json_object_set_new(r, "sampling_frequency", json_real(d->fs_hz));
	json_object_set_new(r, "dtype", json_string(dtype_name(d->sparse ? DTYPE_I16 : d->data.dtype)));
	if (d->sparse)
		json_object_set_new(r, "dims", json_pack("[I, I]", (json_int_t)d->nframes, (json_int_t)d->nchannels));
	else
		json_object_set_new(r, "dims", json_pack("[I, I]", (json_int_t)d->data.dims[0], (json_int_t)d->data.dims[1]));
	json_object_set_new(r, "time_axis", json_integer(d->time_axis));
	json_object_set_new(r, "has_uV", json_boolean(d->has_uv));
	enum status status = add_texts(reply, "channel_ids", d->ids, d->nchannels, e);
	if (!status)
		status = reply_array(reply, "gains_uV", DTYPE_F64, d->gains_uv, d->nchannels, 1);
	if (!status)
		status = reply_array(reply, "offsets_uV", DTYPE_F64, d->offsets_uv, d->nchannels, 1);
	if (!status && d->locations)
		status = reply_array(reply, "channel_locations", DTYPE_F64, d->locations, d->nchannels, d->ndim);
	if (!status)
		status = reply_array(reply, "segment_frames", DTYPE_I64, d->segments.frames, d->segments.n, 2);
	if (!status)
		status = reply_array(reply, "segment_starts", DTYPE_F64, d->segments.start_time_s, d->segments.n, 1);
	if (!status && d->rows)
		status = reply_array(reply, "channel_rows", DTYPE_I64, d->rows, d->nchannels, 1);
	if (!status && d->sparse)
		status = add_sparse(d, reply, e);
	return status;
}

enum status index_run(const struct request *request, struct reply *reply, struct error *e)
{
	static struct description d; /* large, one a process */
	struct wanted wanted = wanted_from(request->m.header);
	const struct layout *layout;
	struct stat st;
	hid_t file;
	enum status status = file_open(request->fd, &file, e);
	if (status)
		return status;
	if (fstat(request->fd, &st) != 0)
		return error_set(e, STATUS_IO, "file", NULL, "the file cannot be examined");
	if (wanted.dataset)
		status = generic_describe(file, &wanted, &d, e);
	else if ((layout = layout_of(file)) != NULL)
		status = layout->describe(file, &wanted, &d, reply, e);
	else
		status = generic_suggest(file, e);
	progress_set(d.data.path);
	if (!status)
		status = storage_describe(&d.data, (uint64_t)st.st_size, reply, e);
	if (!status)
		status = add_description(&d, reply, e);
	return status;
}

enum status about_run(const struct request *request, struct reply *reply, struct error *e)
{
	char **texts;
	size_t n;
	hid_t file;
	enum status status = file_open(request->fd, &file, e);
	if (status)
		return status;
	struct error none;
	if (nwb_recognise(file) && column_texts(file, "/", "session_start_time", &texts, &n, &none) == STATUS_OK && n == 1)
		json_object_set_new(reply->result, "session_start_time", json_string(texts[0]));
	return STATUS_OK;
}
