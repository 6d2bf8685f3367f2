/* SPDX-License-Identifier: BSD-3-Clause
 *
 * kernels: the programs that are kept, and forgetting them.
 */
#include "daemon/daemon.h"
#include "daemon/operations/operations.h"
#include "daemon/operations/program_json.h"
#include "daemon/params.h"
#include "daemon/registry.h"

struct listing {
	json_t *list;
	json_t *seen;                /* names, as keys */
	const struct registry *registry;
};

static void list_one(const struct compiled *c, void *arg)
{
	struct listing *l = arg;
	json_t *object = json_pack("{s:s, s:o, s:o, s:b, s:b, s:I, s:I, s:s, s:I, s:I}", "id", c->id, "name", program_text_json(c->name), "signature",
				   program_text_json(c->signature), "expression", (int)c->expression, "registered",
				   (int)(!c->expression && registry_find(l->registry, c->name)), "hits", (json_int_t)c->hits, "compile_ns",
				   (json_int_t)(c->state == COMPILED_YES ? c->compile_ns : 0), "provenance",
				   c->state == COMPILED_YES ? program_provenance(c, false) : "compiling", "bytes", (json_int_t)c->nbytes, "running",
				   (json_int_t)c->running);
	json_object_set_new(l->seen, c->name, json_true());
	json_array_append_new(l->list, object);
}

/* Registered ones that have not been compiled for any types yet. */
static void list_registered(struct listing *l)
{
	const char *name;
	json_t *source;
	json_object_foreach(registry_all(l->registry), name, source)
		if (!json_object_get(l->seen, name))
			json_array_append_new(l->list, json_pack("{s:s, s:b, s:b, s:i, s:i, s:i}", "name", name, "expression", 0, "registered", 1,
								 "hits", 0, "bytes", 0, "running", 0));
}

json_t *kernels_cache_json(struct daemon *d)
{
	struct programs_counts n = programs_counts(d->programs);
	struct object_cache_counts disk;
	compiler_cache_counts(programs_compiler(d->programs), &disk);
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:{s:I, s:I, s:I, s:I, s:I, s:I}}", "programs", (json_int_t)n.programs, "bytes",
			 (json_int_t)n.nbytes, "limit", (json_int_t)n.limit, "hits", (json_int_t)n.hits, "misses", (json_int_t)n.misses,
			 "evicted", (json_int_t)n.evicted, "disk",
			 "hits", (json_int_t)disk.hits, "misses", (json_int_t)disk.misses, "stored", (json_int_t)disk.stored, "damaged",
			 (json_int_t)disk.damaged, "evicted", (json_int_t)disk.evicted, "bytes", (json_int_t)disk.nbytes);
}

enum step kernels_begin(struct request *r)
{
	struct daemon *d = r->daemon;
	struct params p;
	params_init(&p, request_params(r), "", &r->error);
	const char *forget = params_text(&p, "forget");
	if (params_end(&p))
		return STEP_DONE;
	bool found = forget && programs_forget(d->programs, forget) > 0;
	found |= forget && registry_forget(d->registry, forget);
	if (forget && !found)
		return request_fail(r, STATUS_NOT_FOUND, "forget", NULL, "there is no kernel or program %.60s", forget);
	struct listing l = { json_array(), json_object(), d->registry };
	programs_each(d->programs, list_one, &l);
	list_registered(&l);
	json_decref(l.seen);
	r->result = json_pack("{s:o, s:o}", "kernels", l.list, "cache", kernels_cache_json(d));
	return STEP_DONE;
}
