/* SPDX-License-Identifier: BSD-3-Clause
 *
 * compile: makes a program for types that are described, without a call.
 */
#include "daemon/daemon.h"
#include "daemon/operations/operations.h"
#include "daemon/operations/program_json.h"
#include "daemon/program_spec.h"

#include <stdlib.h>
#include <string.h>

struct compilation {
	struct program_spec spec;
	struct ticket ticket;
	struct argument args[ARGUMENTS_MAX];
	size_t nargs;
	const json_t *texts;
};

static void parse_argument(struct compilation *c, struct params *p, size_t i, const json_t *object)
{
	static const char *const orders[] = { "C", "F", NULL };
	struct params a;
	char prefix[32];
	snprintf(prefix, sizeof prefix, "args[%zu].", i);
	params_init(&a, object, prefix, p->error);
	const char *dtype = params_text(&a, "dtype");
	struct argument *to = &c->args[i];
	*to = (struct argument){ .dtype = dtype ? dtype_from_name(dtype) : DTYPE_NONE };
	if (to->dtype == DTYPE_NONE || to->dtype == DTYPE_PEAK)
		params_fail(&a, "dtype", "for example \"<f8\"", "is not the dtype of an argument");
	to->rank = (uint8_t)params_int(&a, "ndim", 0, 0, KERNEL_MAX_RANK);
	to->contiguous = params_word(&a, "order", orders, 0) == 0 || to->rank < 2;
	to->weak = params_bool(&a, "weak", false);
	to->read_only = params_bool(&a, "read_only", false) && to->rank;
	to->shape_class = to->rank ? (uint32_t)params_int(&a, "shape_class", 0, 0, ARGUMENTS_MAX) : 0;
	to->alias_class = to->rank ? (uint32_t)params_int(&a, "alias_class", 0, 0, ARGUMENTS_MAX) : 0;
	if (!to->rank) {
		params_int(&a, "shape_class", 0, 0, ARGUMENTS_MAX);
		params_int(&a, "alias_class", 0, 0, ARGUMENTS_MAX);
	}
	if (!to->rank && to->dtype == DTYPE_F16)
		to->dtype = DTYPE_F32; /* as a call takes it (arguments.c) */
	if (to->weak && (to->rank || (to->dtype != DTYPE_I64 && to->dtype != DTYPE_F64 && to->dtype != DTYPE_C128)))
		params_fail(&a, "weak", NULL, "is for scalars of <i8, <f8 and <c16");
	enum status status = params_end(&a);
	if (status && !p->status)
		p->status = status;
}

/* Numbers as a call gives them: in the order of the first member, and none for what is alone. */
static void renumber(struct argument *args, size_t n, size_t offset)
{
	uint32_t old[ARGUMENTS_MAX], last = 0;
	for (size_t k = 0; k < n; k++) {
		uint32_t *class = (uint32_t *)((char *)&args[k] + offset);
		old[k] = *class;
		*class = 0;
	}
	for (size_t k = 0; k < n; k++)
		for (size_t j = 0; j < k; j++) {
			uint32_t *mine = (uint32_t *)((char *)&args[k] + offset), *other = (uint32_t *)((char *)&args[j] + offset);
			if (!old[k] || old[j] != old[k])
				continue;
			if (!*other)
				*other = ++last;
			*mine = *other;
			break;
		}
}

static void parse_arguments(struct compilation *c, struct params *p)
{
	const json_t *list = params_list(p, "args");
	c->nargs = json_array_size(list);
	if (c->nargs > ARGUMENTS_MAX) {
		params_fail(p, "args", NULL, "at most %d arguments", ARGUMENTS_MAX);
		return;
	}
	for (size_t i = 0; i < c->nargs && !p->status; i++)
		parse_argument(c, p, i, json_array_get(list, i));
	renumber(c->args, c->nargs, offsetof(struct argument, shape_class));
	renumber(c->args, c->nargs, offsetof(struct argument, alias_class));
}

static void parse_texts(struct compilation *c, struct params *p)
{
	c->texts = params_list(p, "texts");
	for (size_t i = 0; i < json_array_size(c->texts); i++) {
		const char *name = json_string_value(json_array_get(c->texts, i));
		if (!name || !program_text_known(name))
			params_fail(p, "texts", "see SPEC.md 4.10", "there is no text %.40s", name ? name : "(not a string)");
	}
}

enum step compile_begin(struct request *r)
{
	struct params p;
	struct compilation *c = calloc(1, sizeof *c);
	r->state = c;
	if (!c)
		return request_fail(r, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	c->ticket.request = r;
	params_init(&p, request_params(r), "", &r->error);
	program_spec_parse(&c->spec, &p, r->daemon->registry, false, (size_t)r->settings->config.compiler_source_bytes);
	parse_arguments(c, &p);
	parse_texts(c, &p);
	if (params_end(&p))
		return STEP_DONE;
	if (program_spec_arguments(&c->spec, c->args, c->nargs, false, &r->error) != STATUS_OK)
		return STEP_DONE;
	return programs_ask(r->daemon->programs, &c->spec.source, &c->ticket, &r->error);
}

enum step compile_step(struct request *r, const struct executor *ex)
{
	struct compilation *c = r->state;
	(void)ex;
	if (programs_compile(r->daemon->programs, &c->ticket, &c->spec.source, &r->error) != STATUS_OK || request_cancelled(r))
		return STEP_DONE;
	r->result = program_json(c->ticket.compiled, c->ticket.hit);
	program_json_texts(r->result, c->ticket.compiled, c->texts, &r->error);
	return STEP_DONE;
}

void compile_end(struct request *r)
{
	struct compilation *c = r->state;
	if (!r->error.status)
		program_spec_register(&c->spec, r->daemon->registry);
	programs_release(r->daemon->programs, &c->ticket);
	program_spec_fini(&c->spec);
	free(c);
}
