/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The rules of ir.h, checked before anything is made of an IR. The first broken one is told, with its line.
 */
#include "kernels/compiler/ir_verify_private.h"

#include <stdlib.h>

/* --- statements --- */

static bool block_ok(struct verifier *v, const struct ir_block *b);

static bool inside_ok(struct verifier *v, const struct ir_stmt *s)
{
	struct scope scope = { v->scope, s };
	v->scope = &scope;
	bool ok = s->body ? block_ok(v, s->body) : verify_broken(v, "a body is missing");
	v->scope = scope.outer;
	return ok;
}

static bool is_loop(const struct ir_stmt *s)
{
	return s->kind == IR_FOR || s->kind == IR_LOOP;
}

static bool is_parallel(const struct ir_stmt *s)
{
	return s->loop && s->loop->parallel;
}

static bool reduction_ok(struct verifier *v, const struct ir_loop *loop, uint32_t i)
{
	static const unsigned classes[] = {
		[IR_REDUCE_SUM] = NUMBERS, [IR_REDUCE_PROD] = NUMBERS, [IR_REDUCE_MIN] = REALS, [IR_REDUCE_MAX] = REALS,
		[IR_REDUCE_AND] = INTS | BOOLS, [IR_REDUCE_OR] = INTS | BOOLS, [IR_REDUCE_XOR] = INTS | BOOLS,
		[IR_REDUCE_LESS] = REALS, [IR_REDUCE_GREATER] = REALS, [IR_REDUCE_LESS_EQUAL] = REALS, [IR_REDUCE_GREATER_EQUAL] = REALS,
		[IR_REDUCE_LAST] = NUMBERS | BOOLS,
	};
	const struct ir_reduction *r = &loop->reductions[i];
	if ((unsigned)r->kind > IR_REDUCE_LAST)
		return verify_broken(v, "there is no kind %d of reduction", (int)r->kind);
	if (!verify_local(v, r->local))
		return false;
	if (!(verify_class(v->f->locals[r->local].dtype) & classes[r->kind]))
		return verify_broken(v, "the reduction of local %u cannot be of %s", r->local, dtype_name(v->f->locals[r->local].dtype));
	if (r->kind == IR_REDUCE_LAST && r->written != IR_NONE && !verify_local_is(v, r->written, DTYPE_BOOL, "the mark of a last value"))
		return false;
	for (uint32_t k = 0; k < r->nfollow; k++)
		if (!verify_local(v, r->follow[k]))
			return false;
	for (uint32_t k = 0; k < i; k++)
		if (loop->reductions[k].local == r->local)
			return verify_broken(v, "local %u is reduced twice", r->local);
	return true;
}

static bool loop_marks_ok(struct verifier *v, const struct ir_stmt *s)
{
	const struct ir_loop *loop = s->loop;
	if (!loop)
		return verify_broken(v, "a loop has no record");
	if (loop->id >= v->f->nloops || v->loops[loop->id])
		return verify_broken(v, "the number %u of a loop is not its own", loop->id);
	v->loops[loop->id] = true;
	if (loop->parallel && s->kind != IR_FOR)
		return verify_broken(v, "only a FOR can be parallel");
	for (const struct scope *outer = v->scope; outer; outer = outer->outer) {
		if (loop->parallel && is_parallel(outer->stmt))
			return verify_broken(v, "a parallel loop in a parallel loop");
		if (loop->nguards && outer->stmt->loop && outer->stmt->loop->nguards)
			return verify_broken(v, "a guarded loop in a guarded loop");
	}
	for (uint32_t i = 0; i < loop->nguards; i++)
		if (!verify_expr_is(v, loop->guards[i], DTYPE_BOOL, "a guard"))
			return false;
	for (uint32_t i = 0; i < loop->nreductions; i++)
		if (!reduction_ok(v, loop, i))
			return false;
	return true;
}

static bool for_ok(struct verifier *v, const struct ir_stmt *s)
{
	return verify_local_is(v, s->local, DTYPE_I64, "the variable of a FOR") && verify_expr_is(v, s->a, DTYPE_I64, "the start of a FOR") &&
	       verify_expr_is(v, s->b, DTYPE_I64, "the end of a FOR") && (!s->c || verify_expr_is(v, s->c, DTYPE_I64, "the step of a FOR")) &&
	       loop_marks_ok(v, s) && inside_ok(v, s);
}

static bool block_stmt_ok(struct verifier *v, const struct ir_stmt *s)
{
	if (s->label >= v->f->nlabels || v->labels[s->label])
		return verify_broken(v, "the label %u of a BLOCK is not its own", s->label);
	v->labels[s->label] = true;
	return inside_ok(v, s);
}

/* Where BREAK, CONTINUE, LEAVE and RETURN may stand. */
static bool jump_ok(struct verifier *v, const struct ir_stmt *s)
{
	for (const struct scope *at = v->scope; at; at = at->outer) {
		if (s->kind == IR_LEAVE && at->stmt->kind == IR_BLOCK && at->stmt->label == s->label)
			return true;
		if (s->kind == IR_CONTINUE && is_loop(at->stmt))
			return true;
		if (is_parallel(at->stmt))
			return verify_broken(v, "a jump out of a parallel loop");
		if (s->kind == IR_BREAK && is_loop(at->stmt))
			return true;
	}
	if (s->kind == IR_RETURN)
		return true;
	return s->kind == IR_LEAVE ? verify_broken(v, "LEAVE of %u, which is no enclosing BLOCK", s->label)
				   : verify_broken(v, "BREAK or CONTINUE outside of a loop");
}

static bool lengths_ok(struct verifier *v, struct ir_expr *const *shape, unsigned rank)
{
	if (rank && !shape)
		return verify_broken(v, "the lengths are missing");
	for (unsigned k = 0; k < rank; k++)
		if (!verify_expr_is(v, shape[k], DTYPE_I64, "a length"))
			return false;
	return true;
}

static bool optional_ints(struct verifier *v, struct ir_expr *const *items, unsigned n, const char *what)
{
	for (unsigned k = 0; items && k < n; k++)
		if (items[k] && !verify_expr_is(v, items[k], DTYPE_I64, what))
			return false;
	return true;
}

static bool view_ok(struct verifier *v, const struct ir_stmt *s)
{
	if (!verify_array(v, s->array) || !verify_array(v, s->from))
		return false;
	const struct ir_array *to = &v->f->arrays[s->array], *from = &v->f->arrays[s->from];
	if (to->dtype != from->dtype)
		return verify_broken(v, "a view of %s as %s", dtype_name(from->dtype), dtype_name(to->dtype));
	if (to->is_list)
		return verify_broken(v, "a list slot cannot hold a view");
	if (to->rank && !s->from_axis)
		return verify_broken(v, "the axes of a view are missing");
	for (unsigned d = 0; d < to->rank; d++)
		if (s->from_axis[d] < -1 || s->from_axis[d] >= (int)from->rank)
			return verify_broken(v, "a view of axis %d of %u", s->from_axis[d], from->rank);
	return lengths_ok(v, s->shape, to->rank) && optional_ints(v, s->offset, from->rank, "the offset of a view") &&
	       optional_ints(v, s->step, to->rank, "the step of a view");
}

static bool is_writable(struct verifier *v, uint32_t array)
{
	return !v->f->arrays[array].read_only || verify_broken(v, "array slot %u is read-only", array);
}

static bool value_ok(struct verifier *v, const struct ir_stmt *s)
{
	return verify_expr_is(v, s->a, verify_element(v, s->array), "what goes into an array");
}

static bool list_ok(struct verifier *v, uint32_t array)
{
	return verify_array(v, array) && (v->f->arrays[array].is_list || verify_broken(v, "array slot %u is no list", array));
}

static bool proc_ok(struct verifier *v, const struct ir_stmt *s)
{
	if ((unsigned)s->proc >= KERNEL_PROC_COUNT)
		return verify_broken(v, "there is no procedure %d", (int)s->proc);
	if (s->narrays != (s->proc == KERNEL_PROC_ARGSORT ? 2u : 1u) || !s->arrays)
		return verify_broken(v, "a procedure with %u arrays", s->narrays);
	for (uint32_t i = 0; i < s->narrays; i++)
		if (!verify_array(v, s->arrays[i]) || (v->f->arrays[s->arrays[i]].rank != 1 && !verify_broken(v, "a procedure takes arrays of rank 1")))
			return false;
	uint32_t first = s->arrays[0];
	switch (s->proc) {
	case KERNEL_PROC_SORT:
		return is_writable(v, first);
	case KERNEL_PROC_ARGSORT:
		return is_writable(v, first) && (v->f->arrays[first].dtype == DTYPE_I64 || verify_broken(v, "the order of ARGSORT must be int64"));
	case KERNEL_PROC_MEDIAN:
		return verify_local_is(v, s->local, DTYPE_F64, "a median");
	case KERNEL_PROC_PERCENTILE:
		return verify_local_is(v, s->local, DTYPE_F64, "a percentile") && verify_expr_is(v, s->a, DTYPE_F64, "the percents");
	default:
		return verify_local_is(v, s->local, DTYPE_I64, "a place") && verify_expr_is(v, s->a, verify_element(v, first), "what is searched") &&
		       (s->b || verify_broken(v, "the side is missing")) && verify_expr(v, s->b) &&
		       (verify_class(s->b->dtype) & (INTS | BOOLS) || verify_broken(v, "the side must be an integer"));
	}
}

static bool check_ok(struct verifier *v, const struct ir_stmt *s)
{
	if (s->code <= KERNEL_NO_ERROR || s->code >= KERNEL_ERROR_COUNT)
		return verify_broken(v, "there is no error %d", (int)s->code);
	return verify_expr_is(v, s->a, DTYPE_BOOL, "a condition") && (!s->b || verify_expr_is(v, s->b, DTYPE_I64, "an error's value")) &&
	       (!s->c || verify_expr_is(v, s->c, DTYPE_I64, "an error's value")) && (s->array == IR_NONE || verify_array(v, s->array));
}

static bool stmt_ok(struct verifier *v, const struct ir_stmt *s)
{
	switch (s->kind) {
	case IR_SET:
		return verify_local(v, s->local) && verify_expr_is(v, s->a, v->f->locals[s->local].dtype, "what is set");
	case IR_STORE:
		return verify_array(v, s->array) && is_writable(v, s->array) && verify_index(v, s->array, s->index, s->index_flags) && value_ok(v, s);
	case IR_IF:
		return verify_expr_is(v, s->a, DTYPE_BOOL, "a condition") && (!s->body || block_ok(v, s->body)) && (!s->orelse || block_ok(v, s->orelse));
	case IR_FOR:
		return for_ok(v, s);
	case IR_LOOP:
		return loop_marks_ok(v, s) && inside_ok(v, s);
	case IR_BLOCK:
		return block_stmt_ok(v, s);
	case IR_BREAK: case IR_CONTINUE: case IR_LEAVE: case IR_RETURN:
		return jump_ok(v, s);
	case IR_ALLOC:
		return verify_array(v, s->array) && (!v->f->arrays[s->array].is_list || verify_broken(v, "ALLOC of a list")) &&
		       lengths_ok(v, s->shape, v->f->arrays[s->array].rank);
	case IR_VIEW:
		return view_ok(v, s);
	case IR_LIST_NEW:
		return list_ok(v, s->array);
	case IR_LIST_APPEND:
		return list_ok(v, s->array) && value_ok(v, s);
	case IR_PROC:
		return proc_ok(v, s);
	case IR_CHECK:
		return check_ok(v, s);
	}
	return verify_broken(v, "there is no kind %d of statement", (int)s->kind);
}

static bool block_ok(struct verifier *v, const struct ir_block *b)
{
	for (uint32_t i = 0; i < b->count; i++) {
		if (!b->items[i])
			return verify_broken(v, "a statement is missing");
		v->line = b->items[i]->line;
		if (!stmt_ok(v, b->items[i]))
			return false;
	}
	return true;
}

/* --- the function --- */

static void find_bound(const struct ir_function *f, const struct ir_block *b, bool *bound)
{
	for (uint32_t i = 0; b && i < b->count; i++) {
		const struct ir_stmt *s = b->items[i];
		if (!s)
			continue;
		if ((s->kind == IR_ALLOC || s->kind == IR_VIEW || s->kind == IR_LIST_NEW) && s->array < f->narrays)
			bound[s->array] = true;
		find_bound(f, s->body, bound);
		find_bound(f, s->orelse, bound);
	}
}

static bool slots_ok(struct verifier *v)
{
	const struct ir_function *f = v->f;
	for (uint32_t i = 0; i < f->nlocals; i++)
		if (!verify_class(f->locals[i].dtype))
			return verify_broken(v, "local %u cannot be %s", i, dtype_name(f->locals[i].dtype));
	for (uint32_t i = 0; i < f->narrays; i++) {
		const struct ir_array *a = &f->arrays[i];
		if (!verify_class(a->dtype) && a->dtype != DTYPE_F16)
			return verify_broken(v, "array slot %u cannot be of %s", i, dtype_name(a->dtype));
		if (a->rank > IR_MAX_RANK || (a->is_list && a->rank != 1))
			return verify_broken(v, "array slot %u cannot have rank %u", i, a->rank);
	}
	return true;
}

static bool params_ok(struct verifier *v)
{
	const struct ir_function *f = v->f;
	for (uint32_t i = 0; i < f->nparams; i++) {
		struct ir_slot p = f->params[i];
		if (p.id >= (p.is_array ? f->narrays : f->nlocals))
			return verify_broken(v, "parameter %u has no slot", i);
		for (uint32_t k = 0; k < i; k++)
			if (f->params[k].is_array == p.is_array && f->params[k].id == p.id)
				return verify_broken(v, "parameters %u and %u have one slot", k, i);
		if (p.is_array)
			v->bound[p.id] = true;
	}
	return true;
}

static bool results_ok(struct verifier *v)
{
	for (uint32_t i = 0; i < v->f->nresults; i++) {
		struct ir_slot r = v->f->results[i];
		if (!(r.is_array ? verify_array(v, r.id) : verify_local(v, r.id)))
			return false;
	}
	return true;
}

enum status ir_verify(const struct ir_function *f, struct error *e)
{
	bool *marks = calloc((size_t)f->narrays + f->nlabels + f->nloops + 1, sizeof *marks);
	if (!marks)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory to verify the IR");
	struct verifier v = { .f = f, .error = e, .bound = marks, .labels = marks + f->narrays, .loops = marks + f->narrays + f->nlabels };
	bool ok = slots_ok(&v) && params_ok(&v);
	if (ok)
		find_bound(f, f->body, v.bound);
	ok = ok && results_ok(&v) && (f->body ? block_ok(&v, f->body) : verify_broken(&v, "the body is missing"));
	free(marks);
	return ok ? STATUS_OK : STATUS_INTERNAL;
}
