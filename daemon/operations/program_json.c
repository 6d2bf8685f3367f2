/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/operations/program_json.h"
#include "kernels/compiler/analysis.h"

#include <stdlib.h>
#include <string.h>

const char *program_provenance(const struct compiled *c, bool hit)
{
	static const char *const names[] = { "compiled", "disk", "interpreted" };
	return hit ? "memory" : names[c->program->provenance];
}

const char *program_form(const struct program *p)
{
	static const char *const names[] = { "none", "one", "tuple" };
	return names[p->form];
}

json_t *program_text_json(const char *text)
{
	json_t *value = json_string(text);
	char *copy = value ? NULL : strdup(text);
	for (char *at = copy; at && *at; at++)
		if ((unsigned char)*at >= 0x80)
			*at = '?';
	if (copy)
		value = json_string(copy);
	free(copy);
	return value ? value : json_string("");
}

static json_t *texts_json(const char *const *texts, uint32_t n)
{
	json_t *list = json_array();
	for (uint32_t i = 0; i < n; i++)
		json_array_append_new(list, program_text_json(texts[i]));
	return list;
}

static json_t *accesses_json(const struct loop_report *l)
{
	json_t *list = json_array();
	for (int i = 0; i < 2; i++)
		if (l->access[i].line)
			json_array_append_new(list, json_pack("{s:I, s:b, s:o}", "line", (json_int_t)l->access[i].line, "write",
							      (int)l->access[i].write, "text", program_text_json(l->access[i].text)));
	return list;
}

static json_t *loop_json(const struct loop_report *l)
{
	json_t *bounds = json_pack("{s:I, s:I, s:I, s:I}", "total", (json_int_t)l->bounds.total, "proved", (json_int_t)l->bounds.proved, "guarded",
				   (json_int_t)l->bounds.guarded, "kept", (json_int_t)l->bounds.kept);
	return json_pack("{s:I, s:b, s:b, s:s, s:b, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "line", (json_int_t)l->line, "wanted",
			 (int)l->wanted,
			 "generated", (int)l->generated, "verdict", verdict_text(l->verdict), "nested", (int)l->nested, "assumed", (int)l->assumed,
			 "reassociated", (int)l->reassociated, "operators", texts_json(l->operators, l->noperators), "privates",
			 texts_json(l->privates, l->nprivates), "reason", program_text_json(l->reason), "hint", program_text_json(l->hint),
			 "accesses", accesses_json(l), "test", program_text_json(l->test), "bounds", bounds);
}

static json_t *results_json(const struct ir_function *f)
{
	json_t *list = json_array();
	for (uint32_t k = 0; k < f->nresults; k++) {
		const struct ir_slot *slot = &f->results[k];
		enum dtype dtype = slot->is_array ? f->arrays[slot->id].dtype : f->locals[slot->id].dtype;
		json_array_append_new(list, json_pack("{s:s, s:i}", "dtype", dtype_name(dtype), "ndim",
							    slot->is_array ? (int)f->arrays[slot->id].rank : 0));
	}
	return list;
}

static json_t *writes_json(const struct program *p)
{
	json_t *list = json_array();
	for (uint32_t k = 0; k < p->function->nparams; k++)
		if (p->writes[k])
			json_array_append_new(list, json_integer(k));
	return list;
}

/* One result of the shape that all arguments have: certain only where that is one shape by the types. */
static bool is_elementwise(const struct compiled *c)
{
	const struct ir_function *f = c->program->function;
	const struct argument *first = NULL;
	if (!c->pointwise || c->by_place || f->nresults != 1)
		return false;
	for (uint32_t k = 0; k < c->nargs; k++) {
		const struct argument *a = &c->args[k];
		if (!a->rank)
			continue;
		if (first && (!a->shape_class || a->shape_class != first->shape_class))
			return false;
		first = first ? first : a;
	}
	const struct ir_slot *result = &f->results[0];
	return first ? result->is_array && f->arrays[result->id].rank == first->rank : !result->is_array;
}

json_t *program_json(const struct compiled *c, bool hit)
{
	const struct program *p = c->program;
	const struct analysis *a = p->analysis;
	json_t *loops = json_array();
	for (uint32_t i = 0; a && i < a->nloops; i++)
		json_array_append_new(loops, loop_json(&a->loops[i]));
	return json_pack("{s:s, s:o, s:o, s:s, s:s, s:o, s:o, s:b, s:{s:I, s:I, s:I, s:I}, s:I, s:o}", "id", c->id, "name",
			 program_text_json(c->name), "signature", program_text_json(c->signature), "provenance",
			 program_provenance(c, hit), "form", program_form(p), "results",
			 results_json(p->function), "writes", writes_json(p), "elementwise", (int)is_elementwise(c), "timings", "front",
			 (json_int_t)p->front_ns, "analysis", (json_int_t)p->analysis_ns, "codegen", (json_int_t)p->codegen_ns, "link",
			 (json_int_t)p->link_ns, "object_bytes", (json_int_t)p->object_bytes, "loops", loops);
}

/* --- texts --- */

static int report_level(const char *name)
{
	return strncmp(name, "report", 6) == 0 && name[6] >= '1' && name[6] <= '4' && !name[7] ? name[6] - '0' : 0;
}

bool program_text_known(const char *name)
{
	static const char *const names[] = { "ir", "llvm", "llvm_optimized", "assembly" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return report_level(name) > 0;
}

static void set_text(json_t *object, const char *name, const char *text)
{
	json_object_set_new(object, name, program_text_json(text ? text : ""));
}

static void set_own(json_t *object, const char *name, char *text)
{
	set_text(object, name, text);
	free(text);
}

enum status program_json_texts(json_t *object, const struct compiled *c, const json_t *names, struct error *e)
{
	const struct program *p = c->program;
	struct codegen_texts texts = { 0 };
	enum status status = STATUS_OK;
	bool have = false;
	for (size_t i = 0; i < json_array_size(names) && !status; i++) {
		const char *name = json_string_value(json_array_get(names, i));
		if (report_level(name)) {
			set_own(object, "report", p->analysis ? analysis_text(p->analysis, report_level(name)) : NULL);
			continue;
		}
		if (strcmp(name, "ir") == 0) {
			set_own(object, name, program_dump(p));
			continue;
		}
		if (!have)
			status = program_texts(p, &texts, e);
		have = true;
		set_text(object, name,
			 strcmp(name, "llvm") == 0 ? texts.llvm_before : strcmp(name, "assembly") == 0 ? texts.assembly : texts.llvm_after);
	}
	codegen_texts_free(&texts);
	return status;
}
