/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/operations/describe.h"
#include "daemon/operations/operations.h"
#include "daemon/source.h"

#include <stdlib.h>
#include <string.h>

static json_t *text_list(char *const *texts, size_t n)
{
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++) {
		json_t *text = json_string(texts[i]);
		json_array_append_new(list, text ? text : json_string("?"));
	}
	return list;
}

static json_t *segment_list(const struct recording *rec)
{
	json_t *list = json_array();
	for (size_t i = 0; i < rec->nsegments; i++)
		json_array_append_new(list, json_pack("{s:f, s:I}", "start_time_s", rec->segments[i].start_time_s, "num_samples",
						      (json_int_t)rec->segments[i].nframes));
	return list;
}

static void add_doubles(struct request *r, const char *name, const double *values, unsigned ndim, const uint64_t *shape)
{
	size_t n = 1;
	for (unsigned i = 0; i < ndim; i++)
		n *= (size_t)shape[i];
	double *copy = malloc(n * sizeof *copy + 1);
	if (copy)
		memcpy(copy, values, n * sizeof *copy);
	request_add_array(r, name, DTYPE_F64, ndim, shape, copy);
}

static json_t *filter_list(const struct recording *rec)
{
	json_t *list = json_array();
	for (size_t i = 0; i < rec->nfilters; i++) {
		const struct recording_filter *f = &rec->filters[i];
		json_array_append_new(list, f->codec ? json_string(f->name) : json_sprintf("%d (%s)", f->id, f->name));
	}
	return list;
}

void describe_recording(struct request *r, const struct recording *rec)
{
	static const char *const storages[] = { [STORAGE_CONTIGUOUS] = "contiguous", [STORAGE_CHUNKED] = "chunked", [STORAGE_HELPER] = "helper",
					       [STORAGE_SPARSE] = "sparse" };
	int64_t total = 0;
	for (size_t i = 0; i < rec->nsegments; i++)
		total += rec->segments[i].nframes;
	r->result = json_pack("{s:s, s:s, s:I, s:f, s:s, s:o, s:I, s:o, s:s, s:s, s:o, s:s, s:o}", "layout", rec->layout, "recording",
			      rec->stream ? rec->stream : "", "num_channels", (json_int_t)rec->nchannels, "sampling_frequency", rec->fs_hz, "dtype",
			      dtype_name(rec->dtype), "segments", segment_list(rec), "num_samples", (json_int_t)total, "channel_ids",
			      text_list(rec->channel_ids, rec->nchannels), "unit", rec->has_uv ? "uV" : "counts", "storage", storages[rec->storage],
			      "filters", filter_list(rec), "fingerprint", rec->fingerprint, "streams", text_list(rec->streams, rec->nstreams));
	if (!r->result) {
		request_fail(r, STATUS_INTERNAL, NULL, NULL, "the recording's description cannot be written as JSON");
		return;
	}
	uint64_t shape[2] = { rec->nchannels, rec->ndim_locations };
	add_doubles(r, "gains_uV", rec->gains_uv, 1, shape);
	add_doubles(r, "offsets_uV", rec->offsets_uv, 1, shape);
	if (rec->locations)
		add_doubles(r, "channel_locations", rec->locations, 2, shape);
	if (rec->shifts)
		add_doubles(r, "inter_sample_shift", rec->shifts, 1, shape);
}

enum step open_begin(struct request *r)
{
	struct params p;
	struct source *s = calloc(1, sizeof *s);
	r->state = s;
	if (!s)
		return request_fail(r, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	params_init(&p, request_params(r), "", &r->error);
	source_parse(s, r, &p);
	if (s->array)
		params_fail(&p, "file", NULL, "open takes a file");
	return params_end(&p) ? STEP_DONE : STEP_IO;
}

enum step open_step(struct request *r, const struct executor *ex)
{
	struct source *s = r->state;
	(void)ex;
	if (source_open_pieces(s, &r->error) == STATUS_OK)
		describe_recording(r, s->recording);
	return STEP_DONE;
}

void open_end(struct request *r)
{
	source_close(r->state);
	free(r->state);
}
