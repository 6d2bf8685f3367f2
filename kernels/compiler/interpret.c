/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/compiler/interpret_private.h"

#include <stdlib.h>
#include <string.h>

/* --- machines --- */

bool machine_init(struct machine *m, const struct ir_function *f, struct kernel_context *ctx)
{
	*m = (struct machine){ .f = f, .ctx = ctx };
	m->locals = calloc((size_t)f->nlocals + 1, sizeof *m->locals);
	m->arrays = calloc((size_t)f->narrays + 1, sizeof *m->arrays);
	return (m->locals && m->arrays) || machine_fail(m, KERNEL_MEMORY, 0, IR_NONE, (int64_t)ctx->call->memory_limit, 0);
}

void machine_free(struct machine *m)
{
	free(m->locals);
	free(m->arrays);
	free(m->spine);
}

void machine_set(struct machine *m, uint32_t local, const union kernel_scalar *value)
{
	m->locals[local] = *value;
	if (m->changed)
		m->changed[local] = true;
}

/* --- arrays --- */

static int64_t itemsize(const struct machine *m, uint32_t array)
{
	return (int64_t)dtype_size(m->f->arrays[array].dtype);
}

static bool run_alloc(struct machine *m, const struct ir_stmt *s)
{
	struct kernel_array a = { .data = NULL };
	unsigned rank = m->f->arrays[s->array].rank;
	for (unsigned k = 0; k < rank; k++)
		if (!machine_int(m, s->shape[k], &a.shape[k]))
			return false;
	if (kernel_alloc(m->ctx, &a, (int)rank, itemsize(m, s->array), s->zero, s->line, s->array))
		return false;
	m->arrays[s->array] = a;
	return true;
}

/* The value of items[k], or `absent`. */
static bool eval_item(struct machine *m, struct ir_expr *const *items, unsigned k, int64_t absent, int64_t *out)
{
	*out = absent;
	return !items || !items[k] || machine_int(m, items[k], out);
}

/* Wraps as machine code does: where the view is empty its offset may be anything. */
static int64_t times(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a * (uint64_t)b);
}

/* Read from the old slots, bound at the end: a slot may become a view of itself. */
static bool run_view(struct machine *m, const struct ir_stmt *s)
{
	const struct kernel_array *from = &m->arrays[s->from];
	struct kernel_array view = { .data = NULL };
	uint64_t at = (uint64_t)(uintptr_t)from->data;
	for (unsigned k = 0; k < m->f->arrays[s->from].rank; k++) {
		int64_t offset;
		if (!eval_item(m, s->offset, k, 0, &offset))
			return false;
		at += (uint64_t)times(offset, from->stride[k]);
	}
	for (unsigned k = 0; k < m->f->arrays[s->array].rank; k++) {
		int64_t step;
		if (!machine_int(m, s->shape[k], &view.shape[k]) || !eval_item(m, s->step, k, 1, &step))
			return false;
		view.stride[k] = s->from_axis[k] < 0 ? 0 : times(step, from->stride[s->from_axis[k]]);
	}
	view.data = from->data ? (void *)(uintptr_t)at : NULL;
	m->arrays[s->array] = view;
	return true;
}

static bool run_append(struct machine *m, const struct ir_stmt *s)
{
	union kernel_scalar v;
	struct kernel_array *list = &m->arrays[s->array];
	if (!machine_eval(m, s->a, &v) || kernel_list_grow(m->ctx, list, itemsize(m, s->array), s->line, s->array))
		return false;
	machine_store(m->f->arrays[s->array].dtype, (char *)list->data + list->shape[0] * list->stride[0], &v);
	list->shape[0]++;
	return true;
}

static bool run_procedure(struct machine *m, const struct ir_stmt *s)
{
	struct kernel_array *arrays[2];
	int32_t dtypes[2];
	union kernel_scalar a = { .i = 0 }, b = { .i = 0 }, result = { .i = 0 };
	if ((s->a && !machine_eval(m, s->a, &a)) || (s->b && !machine_eval(m, s->b, &b)))
		return false;
	for (uint32_t i = 0; i < s->narrays && i < 2; i++) {
		arrays[i] = &m->arrays[s->arrays[i]];
		dtypes[i] = (int32_t)m->f->arrays[s->arrays[i]].dtype;
	}
	if (kernel_procedure(m->ctx, (int)s->proc, s->line, s->narrays, arrays, dtypes, &a, &b, &result))
		return false;
	if (s->local != IR_NONE)
		machine_set(m, s->local, &result);
	return true;
}

/* --- statements --- */

static bool run_set(struct machine *m, const struct ir_stmt *s)
{
	union kernel_scalar v;
	if (!machine_eval(m, s->a, &v))
		return false;
	machine_set(m, s->local, &v);
	return true;
}

static bool run_store(struct machine *m, const struct ir_stmt *s)
{
	union kernel_scalar v;
	char *at = machine_eval(m, s->a, &v) ? machine_element(m, s->array, s->index, s->line) : NULL;
	if (at)
		machine_store(m->f->arrays[s->array].dtype, at, &v);
	return at != NULL;
}

static bool run_check(struct machine *m, const struct ir_stmt *s)
{
	union kernel_scalar ok;
	int64_t v0 = 0, v1 = 0;
	if (!machine_eval(m, s->a, &ok))
		return false;
	if (ok.u)
		return true;
	return (!s->b || machine_int(m, s->b, &v0)) && (!s->c || machine_int(m, s->c, &v1)) && machine_fail(m, s->code, s->line, s->array, v0, v1);
}

static enum flow run_if(struct machine *m, const struct ir_stmt *s)
{
	union kernel_scalar test;
	if (!machine_eval(m, s->a, &test))
		return FLOW_FAILED;
	return machine_block(m, test.u ? s->body : s->orelse);
}

static enum flow run_labelled(struct machine *m, const struct ir_stmt *s)
{
	enum flow flow = machine_block(m, s->body);
	return flow == FLOW_LEAVE && m->label == s->label ? FLOW_NEXT : flow;
}

static enum flow done(bool ok)
{
	return ok ? FLOW_NEXT : FLOW_FAILED;
}

static enum flow run_stmt(struct machine *m, const struct ir_stmt *s)
{
	m->line = s->line;
	switch (s->kind) {
	case IR_SET: return done(run_set(m, s));
	case IR_STORE: return done(run_store(m, s));
	case IR_IF: return run_if(m, s);
	case IR_FOR: return machine_for(m, s);
	case IR_LOOP: return machine_forever(m, s);
	case IR_BREAK: return FLOW_BREAK;
	case IR_CONTINUE: return FLOW_CONTINUE;
	case IR_BLOCK: return run_labelled(m, s);
	case IR_LEAVE: m->label = s->label; return FLOW_LEAVE;
	case IR_RETURN: return FLOW_RETURN;
	case IR_ALLOC: return done(run_alloc(m, s));
	case IR_VIEW: return done(run_view(m, s));
	case IR_LIST_NEW: m->arrays[s->array] = (struct kernel_array){ .stride = { itemsize(m, s->array) } }; return FLOW_NEXT;
	case IR_LIST_APPEND: return done(run_append(m, s));
	case IR_PROC: return done(run_procedure(m, s));
	case IR_CHECK: return done(run_check(m, s));
	}
	return FLOW_NEXT;
}

enum flow machine_block(struct machine *m, const struct ir_block *b)
{
	enum flow flow = FLOW_NEXT;
	for (uint32_t i = 0; b && i < b->count && flow == FLOW_NEXT; i++)
		flow = run_stmt(m, b->items[i]);
	return flow;
}

/* --- the entry --- */

static void bind_params(struct machine *m, const struct kernel_array *arrays, const union kernel_scalar *scalars)
{
	for (uint32_t i = 0; i < m->f->nparams; i++) {
		struct ir_slot p = m->f->params[i];
		if (p.is_array)
			m->arrays[p.id] = *arrays++;
		else
			m->locals[p.id] = *scalars++;
	}
}

static void give_results(const struct machine *m, struct kernel_array *arrays, union kernel_scalar *scalars)
{
	for (uint32_t i = 0; i < m->f->nparams; i++)
		m->f->params[i].is_array ? (void)arrays++ : (void)scalars++;
	for (uint32_t i = 0; i < m->f->nresults; i++) {
		struct ir_slot r = m->f->results[i];
		if (r.is_array)
			*arrays++ = m->arrays[r.id];
		else
			*scalars++ = m->locals[r.id];
	}
}

int interpret(const struct ir_function *f, struct kernel_context *ctx, struct kernel_array *arrays, union kernel_scalar *scalars)
{
	struct machine m;
	enum flow flow = FLOW_FAILED;
	if (machine_init(&m, f, ctx)) {
		bind_params(&m, arrays, scalars);
		flow = machine_block(&m, f->body);
	}
	if (flow != FLOW_FAILED)
		give_results(&m, arrays, scalars);
	machine_free(&m);
	return flow == FLOW_FAILED;
}
