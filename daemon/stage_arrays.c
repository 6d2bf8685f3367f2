/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/stage_arrays.h"
#include "daemon/client_memory.h"
#include "daemon/source.h"
#include "protocol/digest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool needs_locations(const struct stage_spec *s)
{
	return (s->kind == STAGE_COMMON_REFERENCE && s->scope == REFERENCE_LOCAL) || s->kind == STAGE_INTERPOLATE ||
	       (s->kind == STAGE_WHITEN && s->fit.local);
}

static bool needs_shift(const struct stage_spec *s)
{
	return s->kind == STAGE_PHASE_SHIFT;
}

static bool needs_whiten(const struct stage_spec *s)
{
	return s->kind == STAGE_WHITEN;
}

static bool any(const struct pipeline_spec *spec, bool (*needs)(const struct stage_spec *s))
{
	for (size_t i = 0; i < spec->nstages; i++)
		if (needs(&spec->stages[i]))
			return true;
	return false;
}

/* From <f4 or <f8 in either order to doubles in C order. */
static enum status to_doubles(const struct array *a, const void *data, double *out, struct error *e)
{
	size_t columns = a->ndim == 2 ? (size_t)a->shape[1] : 1, rows = (size_t)a->shape[0];
	for (size_t i = 0; i < rows * columns; i++) {
		size_t from = a->fortran ? i % columns * rows + i / columns : i;
		float single;
		if (a->dtype == DTYPE_F32) {
			memcpy(&single, (const char *)data + from * sizeof single, sizeof single);
			out[i] = (double)single;
		} else {
			memcpy(&out[i], (const char *)data + from * sizeof *out, sizeof *out);
		}
		if (!isfinite(out[i]))
			return error_set(e, STATUS_INVALID, a->name, "send finite numbers", "%s: row %zu holds a number that is not finite", a->name, i / columns);
	}
	return STATUS_OK;
}

/* The array's values in *out, malloc'ed. Its type and shape have been checked. */
static enum status fetch(struct source *s, const struct array *a, double **out, struct error *e)
{
	struct request *r = s->request;
	size_t n = (size_t)a->shape[0] * (a->ndim == 2 ? (size_t)a->shape[1] : 1);
	if (a->nbytes > (uint64_t)r->settings->config.limits_work_bytes / 4)
		return error_set(e, STATUS_TOO_LARGE, a->name, "raise limits.work_bytes", "%s has %llu bytes", a->name, (unsigned long long)a->nbytes);
	void *copy = NULL;
	*out = malloc(n * sizeof **out + 1);
	if (!*out)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	enum status status = client_memory_copy(r, a, &copy, e);
	if (!status)
		status = to_doubles(a, copy, *out, e);
	if (!status)
		s->arrays.digest = digest_add(s->arrays.digest ? s->arrays.digest : DIGEST_START, *out, n * sizeof **out);
	free(copy);
	return status;
}

static bool real_numbers(const struct array *a)
{
	return a->dtype == DTYPE_F32 || a->dtype == DTYPE_F64;
}

static enum status read_locations(struct source *s, struct error *e)
{
	const struct array *a = message_array(&s->request->msg, "channel_locations");
	if (!a)
		return STATUS_OK;
	if (!real_numbers(a) || a->ndim != 2 || a->shape[0] != s->nchannels || a->shape[1] < 2 || a->shape[1] > 3)
		return error_set(e, STATUS_INVALID, "channel_locations", "send <f8 (channels, 2 or 3), in um",
				 "channel_locations must be an array (%zu, 2 or 3) of float64", s->nchannels);
	s->arrays.ndim = (size_t)a->shape[1];
	return fetch(s, a, &s->arrays.locations, e);
}

static enum status read_shift(struct source *s, struct error *e)
{
	const struct array *a = message_array(&s->request->msg, "inter_sample_shift");
	if (!a)
		return STATUS_OK;
	if (!real_numbers(a) || a->ndim != 1 || a->shape[0] != s->nchannels)
		return error_set(e, STATUS_INVALID, "inter_sample_shift", "send <f8 (channels), in frames",
				 "inter_sample_shift must be an array (%zu) of float64", s->nchannels);
	return fetch(s, a, &s->arrays.shift, e);
}

static enum status read_whiten(struct source *s, struct error *e)
{
	const struct array *a = message_array(&s->request->msg, "whiten_matrix");
	if (!a)
		return STATUS_OK;
	if (!real_numbers(a) || a->ndim != 2 || a->shape[0] != s->nchannels || a->shape[1] != s->nchannels)
		return error_set(e, STATUS_INVALID, "whiten_matrix", "send <f4 or <f8 (channels, channels)",
				 "whiten_matrix must be an array (%zu, %zu) of float32 or float64", s->nchannels, s->nchannels);
	return fetch(s, a, &s->arrays.whiten, e);
}

enum status stage_arrays_read(struct source *s, struct pipeline_spec *spec, struct error *e)
{
	struct stage_arrays *a = &s->arrays;
	enum status status = STATUS_OK;
	if (!a->ready) {
		if (any(spec, needs_locations))
			status = read_locations(s, e);
		if (!status && any(spec, needs_shift))
			status = read_shift(s, e);
		if (!status && any(spec, needs_whiten))
			status = read_whiten(s, e);
		a->ready = !status;
	}
	spec->locations = a->locations;
	spec->ndim = a->ndim;
	spec->inter_sample_shift = a->shift;
	spec->whiten_matrix = a->whiten;
	if (s->recording && !a->locations) {
		spec->locations = s->recording->locations;
		spec->ndim = s->recording->ndim_locations;
	}
	if (s->recording && !a->shift)
		spec->inter_sample_shift = s->recording->shifts;
	if (s->recording && s->recording->has_uv) {
		spec->gain_uv = s->recording->gains_uv;
		spec->offset_uv = s->recording->offsets_uv;
	}
	return status;
}

enum status stage_arrays_locate(struct source *s, struct pipeline_spec *spec, struct error *e)
{
	enum status status = s->arrays.locations ? STATUS_OK : read_locations(s, e);
	return status ? status : stage_arrays_read(s, spec, e);
}

void stage_arrays_free(struct stage_arrays *a)
{
	free(a->locations);
	free(a->shift);
	free(a->whiten);
	*a = (struct stage_arrays){ 0 };
}
