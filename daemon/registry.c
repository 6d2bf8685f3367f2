/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/registry.h"

#include <stdlib.h>

struct registry {
	json_t *sources;             /* name: source */
	size_t nbytes, max_count, max_bytes;
};

struct registry *registry_new(size_t max_count, size_t max_bytes)
{
	struct registry *r = calloc(1, sizeof *r);
	if (!r)
		return NULL;
	*r = (struct registry){ json_object(), 0, max_count, max_bytes };
	return r;
}

void registry_free(struct registry *r)
{
	if (r)
		json_decref(r->sources);
	free(r);
}

json_t *registry_find(const struct registry *r, const char *name)
{
	return json_object_get(r->sources, name);
}

json_t *registry_all(const struct registry *r)
{
	return r->sources;
}

static size_t source_bytes(const json_t *source)
{
	return json_string_length(json_object_get(source, "source"));
}

enum status registry_check(const struct registry *r, const char *name, size_t nbytes, struct error *e)
{
	const json_t *old = registry_find(r, name);
	if (!old && json_object_size(r->sources) >= r->max_count)
		return error_set(e, STATUS_TOO_LARGE, "register", "forget some, or raise compiler.programs", "%zu kernels are registered",
				 json_object_size(r->sources));
	if (r->nbytes - source_bytes(old) + nbytes > r->max_bytes)
		return error_set(e, STATUS_TOO_LARGE, "register", "forget some, or raise compiler.cache_bytes",
				 "the sources of registered kernels would take more than %zu bytes", r->max_bytes);
	return STATUS_OK;
}

bool registry_forget(struct registry *r, const char *name)
{
	r->nbytes -= source_bytes(registry_find(r, name));
	return json_object_del(r->sources, name) == 0;
}

void registry_put(struct registry *r, const char *name, json_t *source)
{
	registry_forget(r, name);
	r->nbytes += source_bytes(source);
	if (json_object_set_new(r->sources, name, source) != 0)
		r->nbytes -= source_bytes(registry_find(r, name));
}
