/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/output.h"
#include "daemon/log.h"
#include "daemon/paths.h"
#include "daemon/recording/result.h"
#include "daemon/source.h"
#include "protocol/digest.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void output_parse(struct output *o, struct params *p)
{
	struct params mine;
	o->dirfd = -1;
	const json_t *object = params_object(p, "output");
	if (!object || p->status)
		return;
	params_init(&mine, object, "output.", p->error);
	o->file = params_text(&mine, "file");
	o->skip_done = params_bool(&mine, "skip_done", false);
	if (!o->file)
		params_fail(&mine, "file", "give the path of the result file", "is missing");
	p->status = params_end(&mine);
}

static void add_digest(json_t *object, const char *key, const double *x, size_t n)
{
	if (x)
		json_object_set_new(object, key, json_sprintf("%016llx", (unsigned long long)digest_add(DIGEST_START, x, n * sizeof *x)));
}

/* The request's parameters without what does not change the result, keys sorted: two equal texts mean equal results. */
static char *canonical(const json_t *params, const double *levels, size_t nchannels, const double *locations, size_t nlocations,
		       uint64_t arrays)
{
	static const char *const left_out[] = { "output", "file" };
	json_t *copy = params ? json_copy((json_t *)params) : json_object();
	for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++)
		json_object_del(copy, left_out[i]);
	add_digest(copy, "noise_levels", levels, nchannels);
	add_digest(copy, "channel_locations", locations, nlocations);
	if (arrays)
		json_object_set_new(copy, "preprocess_arrays", json_sprintf("%016llx", (unsigned long long)arrays));
	char *text = json_dumps(copy, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(copy);
	return text;
}

enum status output_open(struct output *o, struct request *r, const struct recording *rec, const double *levels, const double *locations,
			size_t nlocations, uint64_t arrays)
{
	char resolved[PATH_MAX], why[256];
	struct helper_limits helper = source_helper(r);
	o->parameters = canonical(request_params(r), levels, rec->nchannels, locations, nlocations, arrays);
	if (!o->parameters)
		return error_set(&r->error, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	enum status status = paths_open_directory(r->settings->config.output_roots, o->file, &o->dirfd, &o->name, resolved, &r->error);
	if (status)
		return status;
	result_remove_stale(o->dirfd, o->name);
	if (!o->skip_done)
		return STATUS_OK;
	status = result_is_done(&o->skipped, o->dirfd, o->name, rec, o->parameters, &helper, why, sizeof why, &r->error);
	if (!status && !o->skipped)
		log_debug("result not done", "why=\"%s\"", why);
	return status;
}

enum status output_write(struct output *o, struct request *r, const struct recording *rec, const struct peaks *peaks, const double *levels)
{
	struct helper_limits helper = source_helper(r);
	struct result result = { .recording = rec, .peaks = peaks->at, .npeaks = peaks->count, .noise_levels = levels, .parameters = o->parameters,
				 .replace = true };
	if (recording_stale(rec))
		return error_set(&r->error, STATUS_CORRUPT, "file", "run it again when nobody writes the file", "%s changed while it was read", rec->file);
	return result_write(o->dirfd, o->name, &result, &helper, &r->error);
}

void output_describe(const struct output *o, json_t *result)
{
	json_object_set_new(result, "output", json_string(o->file));
	json_object_set_new(result, "skipped", json_boolean(o->skipped));
}

void output_close(struct output *o)
{
	if (o->dirfd >= 0)
		close(o->dirfd);
	free(o->parameters);
}
