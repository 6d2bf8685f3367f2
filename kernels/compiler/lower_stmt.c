/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Statements.
 */
#include "kernels/compiler/lower_private.h"

#include <string.h>

static void lower_stmt(struct lowering *l, struct ast *n);

/* --- assignment --- */

static void store_subscript(struct lowering *l, struct ast *target, struct value *array, struct value *index, struct value *v)
{
	struct value **indices = index->kind == VALUE_TUPLE ? index->items : &index;
	uint32_t n = index->kind == VALUE_TUPLE ? index->nitems : 1;
	bool scalars = n == array->rank;
	const struct ir_array *a = &l->f->arrays[array->slot];
	if (a->read_only)
		INVALID(l, target->place, "pass a copy", "'%.*s' is read-only", (int)a->name.nbytes, a->name.text);
	for (uint32_t i = 0; i < n; i++)
		scalars &= indices[i]->kind == VALUE_SCALAR && indices[i]->type.dtype != DTYPE_BOOL;
	if (!scalars) {
		struct value *view = view_index(l, target->place, array, indices, n);
		store_array(l, target->place, view->slot, v);
		return;
	}
	if (v->kind != VALUE_SCALAR)
		INVALID(l, target->place, NULL, "%s cannot be stored in one element", value_describe(l, v));
	struct ir_expr *at[IR_MAX_RANK];
	for (uint32_t i = 0; i < n; i++)
		at[i] = as_int64(l, target->place, indices[i], "an index");
	emit_store(l, array->slot, at, cast_scalar(l, target->place, v, a->dtype == DTYPE_F16 ? DTYPE_F32 : a->dtype, true), false);
}

static struct value *subscripted(struct lowering *l, struct ast *target)
{
	struct value *array = lower_expr(l, target->a);
	if (array->kind != VALUE_ARRAY)
		INVALID(l, target->place, NULL, "%s has no elements to assign", value_describe(l, array));
	return array;
}

static void assign_target(struct lowering *l, struct ast *target, struct value *v)
{
	if (target->kind == AST_NAME) {
		variable_assign(l, target->place, target->name, v);
		return;
	}
	if (target->kind == AST_SUBSCRIPT) {
		struct value *array = subscripted(l, target), *index = lower_expr(l, target->b);
		if (!value_is_number(v))
			INVALID(l, target->place, NULL, "%s cannot be stored in an array", value_describe(l, v));
		store_subscript(l, target, array, index, v);
		return;
	}
	if (target->kind != AST_TUPLE && target->kind != AST_LIST)
		INVALID(l, target->place, NULL, "this cannot be assigned");
	if (v->kind != VALUE_TUPLE)
		UNSUPPORTED(l, target->place, "unpack tuples and x.shape; take array elements one by one", "%s cannot be unpacked", value_describe(l, v));
	if (v->nitems != target->list.count)
		INVALID(l, target->place, NULL, "%u values for %u names", v->nitems, target->list.count);
	v = settle(l, v);
	for (uint32_t i = 0; i < v->nitems; i++)
		assign_target(l, target->list.items[i], v->items[i]);
}

static bool is_empty_list(const struct ast *n)
{
	return n->kind == AST_LIST && n->list.count == 0;
}

static void lower_assign(struct lowering *l, struct ast *n)
{
	if (is_empty_list(n->a)) {
		for (uint32_t i = 0; i < n->list.count; i++) {
			if (n->list.items[i]->kind != AST_NAME)
				UNSUPPORTED(l, n->place, "give the list a name", "an empty list can only be assigned to a name");
			variable_new_list(l, n->list.items[i]->place, n->list.items[i]->name);
		}
		return;
	}
	struct value *v = lower_expr(l, n->a);
	if (n->a->kind == AST_LIST)
		v = call_library(l, n->place, (struct name){ "numpy.array", 11 }, &v, 1, NULL, NULL, 0);
	if (n->list.count > 1)
		v = settle(l, v);
	for (uint32_t i = 0; i < n->list.count; i++)
		assign_target(l, n->list.items[i], v);
}

static struct value *apply_augmented(struct lowering *l, struct ast *n, struct value *old, struct value *v)
{
	if (!value_is_number(v))
		INVALID(l, n->place, NULL, "this needs a number or an array, not %s", value_describe(l, v));
	if (n->op == AST_MATMUL)
		UNSUPPORTED(l, n->place, "write a = a @ b", "@= is not in the language");
	return apply_binary(l, n->place, n->op, old, v);
}

static void lower_augmented(struct lowering *l, struct ast *n)
{
	if (n->a->kind == AST_NAME) {
		struct value *old = name_read(l, n->a->place, n->a->name);
		if (has_user_call(l, n->b))
			old = settle(l, old);
		struct value *v = apply_augmented(l, n, old, lower_value(l, n->b));
		if (old->kind != VALUE_ARRAY) {
			variable_assign(l, n->a->place, n->a->name, v);
			return;
		}
		if (l->f->arrays[old->slot].read_only)
			INVALID(l, n->place, "pass a copy", "'%.*s' is read-only", (int)n->a->name.nbytes, n->a->name.text);
		if (!dtype_can_cast(v->type.dtype, l->f->arrays[old->slot].dtype, CASTING_SAME_KIND))
			INVALID(l, n->place, "write x = x op y for an array of the wider type", "a %s result cannot go back into a %s array", dtype_numpy_name(v->type.dtype),
				dtype_numpy_name(l->f->arrays[old->slot].dtype));
		store_array(l, n->place, old->slot, v);
		return;
	}
	if (n->a->kind != AST_SUBSCRIPT)
		INVALID(l, n->place, NULL, "this cannot be assigned");
	struct value *array = subscripted(l, n->a), *index = settle(l, lower_expr(l, n->a->b));
	struct value **indices = index->kind == VALUE_TUPLE ? index->items : &index;
	struct value *old = view_index(l, n->a->place, array, indices, index->kind == VALUE_TUPLE ? index->nitems : 1);
	if (old->kind == VALUE_SCALAR) {
		if (has_user_call(l, n->b))
			old = settle(l, old);
		store_subscript(l, n->a, array, index, apply_augmented(l, n, old, lower_value(l, n->b)));
		return;
	}
	if (l->f->arrays[array->slot].read_only)
		INVALID(l, n->place, "pass a copy", "'%.*s' is read-only", (int)l->f->arrays[array->slot].name.nbytes, l->f->arrays[array->slot].name.text);
	store_array(l, n->place, old->slot, apply_augmented(l, n, old, lower_value(l, n->b)));
}

/* --- branches --- */

static void lower_if(struct lowering *l, struct ast *n)
{
	struct ir_block *around = l->block;
	struct ir_expr *test = as_bool(l, n->test->place, lower_expr(l, n->test));
	struct ir_stmt *s = emit(l, IR_IF);
	s->a = test;
	s->body = lower_need(l, ir_block_new(l->f));
	s->orelse = lower_need(l, ir_block_new(l->f));
	uint64_t *before = assigned_copy(l);
	l->scope->depth++;
	l->block = s->body;
	lower_body(l, &n->body);
	bool dead = l->dead;
	uint64_t *after = assigned_copy(l);
	assigned_restore(l, before);
	l->dead = false;
	l->block = s->orelse;
	lower_body(l, &n->orelse);
	l->block = around;
	l->scope->depth--;
	if (l->dead)
		assigned_restore(l, after);
	else if (!dead)
		assigned_intersect(l, after);
	l->dead = dead && l->dead;
}

/* --- loops --- */

/* What one pass of a `for` gives its target: a source of items, each made from a counter 0, 1, 2 ... */
static struct ir_expr *trip_count(struct lowering *l, struct place at, struct value *v)
{
	struct ir_expr *n;
	if (v->kind == VALUE_ENUMERATE)
		return trip_count(l, at, v->items[0]);
	if (v->kind == VALUE_ZIP) {
		n = trip_count(l, at, v->items[0]);
		for (uint32_t i = 1; i < v->nitems; i++)
			n = int_op(l, IR_MINIMUM, n, trip_count(l, at, v->items[i]));
		return n;
	}
	if (v->kind == VALUE_ARRAY)
		return lower_need(l, ir_shape(l->f, v->slot, 0));
	if (v->kind != VALUE_RANGE)
		UNSUPPORTED(l, at, "loop over range(...), an array, enumerate(...) or zip(...)", "a loop over %s is not in the language", value_describe(l, v));
	/* zip(range(...), ...): max(0, ceil((stop - start) / step)) */
	struct ir_expr *start = v->items[0]->expr, *stop = v->items[1]->expr, *step = v->items[2]->expr;
	struct ir_expr *up = int_op(l, IR_SUB, int_op(l, IR_ADD, stop, step), int_op(l, IR_ADD, start, int_const(l, 1)));
	struct ir_expr *down = int_op(l, IR_SUB, int_op(l, IR_ADD, stop, step), int_op(l, IR_SUB, start, int_const(l, 1)));
	struct ir_expr *span = lower_need(l, ir_cond(l->f, int_compare(l, IR_GT, step, int_const(l, 0)), up, down));
	return int_op(l, IR_MAXIMUM, lower_need(l, ir_binary(l->f, IR_FLOORDIV, DTYPE_I64, span, step)), int_const(l, 0));
}

static struct value *item(struct lowering *l, struct place at, struct value *v, struct ir_expr *k)
{
	struct value *index = value_scalar(l, k, false);
	if (v->kind == VALUE_RANGE)
		return value_scalar(l, int_op(l, IR_ADD, v->items[0]->expr, int_op(l, IR_MUL, k, v->items[2]->expr)), false);
	if (v->kind == VALUE_ENUMERATE) {
		struct value *pair[2] = { value_scalar(l, int_op(l, IR_ADD, k, v->items[1]->expr), false), item(l, at, v->items[0], k) };
		return value_tuple(l, pair, 2);
	}
	if (v->kind == VALUE_ZIP) {
		struct value **items = lower_alloc(l, v->nitems * sizeof *items);
		for (uint32_t i = 0; i < v->nitems; i++)
			items[i] = item(l, at, v->items[i], k);
		return value_tuple(l, items, v->nitems);
	}
	return view_index(l, at, v, &index, 1);
}

static struct value *prepare(struct lowering *l, struct place at, struct value *v)
{
	if (v->kind == VALUE_LAZY)
		return materialise(l, at, v);
	v = settle(l, v);
	for (uint32_t i = 0; (v->kind == VALUE_ZIP || v->kind == VALUE_ENUMERATE) && i < v->nitems; i++)
		v->items[i] = prepare(l, at, v->items[i]);
	if (v->kind == VALUE_RANGE && v->items[2]->expr->kind != IR_CONST)
		emit_check(l, int_compare(l, IR_NE, v->items[2]->expr, int_const(l, 0)), KERNEL_ZERO_STEP, NULL, NULL);
	else if (v->kind == VALUE_RANGE && !v->items[2]->expr->constant.i)
		INVALID(l, at, NULL, "the step of range must not be zero");
	return v;
}

static void lower_loop_body(struct lowering *l, struct ir_block *body, const struct ast_list *statements, const uint64_t *before)
{
	struct ir_block *around = l->block;
	l->block = body;
	l->scope->depth++;
	lower_body(l, statements);
	l->scope->depth--;
	l->block = around;
	l->dead = false;
	assigned_restore(l, before);
}

static void lower_for(struct lowering *l, struct ast *n)
{
	struct value *v = prepare(l, n->b->place, lower_expr(l, n->b));
	bool plain = v->kind == VALUE_RANGE;
	struct ir_expr *trips = plain ? NULL : stable(l, trip_count(l, n->b->place, v));
	uint64_t *before = assigned_copy(l);
	struct ir_block *around = l->block;
	l->scope->depth++;
	uint32_t counter = plain && n->a->kind == AST_NAME ? variable_counter(l, n->a->place, n->a->name) : IR_NONE;
	struct ir_stmt *s = emit(l, IR_FOR);
	s->line = n->place.line;
	s->loop = lower_need(l, ir_loop_new(l->f));
	s->loop->wanted = v->wanted;
	s->body = lower_need(l, ir_block_new(l->f));
	s->a = plain ? v->items[0]->expr : int_const(l, 0);
	s->b = plain ? v->items[1]->expr : trips;
	s->c = plain ? v->items[2]->expr : int_const(l, 1);
	s->local = counter == IR_NONE ? ir_new_local(l->f, DTYPE_I64, "", 0) : counter;
	l->block = s->body;
	if (counter == IR_NONE) {
		struct ir_expr *k = lower_need(l, ir_local(l->f, s->local));
		if (!plain && v->kind == VALUE_ARRAY && v->rank == 1)
			assign_target(l, n->a, value_scalar(l, load_in_bounds(l, v->slot, &k), false));
		else
			assign_target(l, n->a, plain ? value_scalar(l, k, false) : item(l, n->b->place, v, k));
	}
	l->scope->depth--;
	l->block = around;
	lower_loop_body(l, s->body, &n->body, before);
}

static void lower_while(struct lowering *l, struct ast *n)
{
	struct ir_stmt *s = emit(l, IR_LOOP);
	struct ir_block *around = l->block;
	uint64_t *before = assigned_copy(l);
	s->body = lower_need(l, ir_block_new(l->f));
	s->loop = lower_need(l, ir_loop_new(l->f));
	l->block = s->body;
	l->scope->depth++;
	struct ir_expr *go_on = as_bool(l, n->test->place, lower_expr(l, n->test));
	struct ir_stmt *test = emit(l, IR_IF);
	test->a = go_on;
	test->body = lower_need(l, ir_block_new(l->f));
	test->orelse = lower_need(l, ir_block_new(l->f));
	l->block = test->orelse;
	emit(l, IR_BREAK);
	l->scope->depth--;
	l->block = around;
	lower_loop_body(l, s->body, &n->body, before);
}

/* --- leaving --- */

static void lower_return(struct lowering *l, struct ast *n)
{
	struct scope *s = l->scope;
	struct value *v = n->a ? lower_expr(l, n->a) : value_new(l, VALUE_NONE);
	bool nothing = v->kind == VALUE_NONE, tuple = v->kind == VALUE_TUPLE;
	uint32_t count = nothing ? 0 : tuple ? v->nitems : 1;
	if (s->returns && (s->returns_nothing != nothing || s->returns_tuple != tuple || s->nresults != count))
		INVALID(l, n->place, "return values of the same number and kind everywhere", "this return does not fit the first one");
	if (count > 16)
		UNSUPPORTED(l, n->place, NULL, "a function can return at most 16 values");
	for (uint32_t k = 0; k < count; k++) {
		const struct value *one = tuple ? v->items[k] : v;
		if (!value_is_number(one))
			UNSUPPORTED(l, n->place, "return numbers, arrays, or a tuple of them", "%s cannot be returned", value_describe(l, one));
	}
	s->returns = true;
	s->returns_nothing = nothing;
	s->returns_tuple = tuple;
	s->nresults = count;
	v = tuple ? settle(l, v) : v;
	for (uint32_t k = 0; k < count; k++)
		result_assign(l, n->place, k, tuple ? v->items[k] : v);
	struct ir_stmt *leave = emit(l, s->top ? IR_RETURN : IR_LEAVE);
	leave->label = s->label;
	l->dead = true;
}

struct value *lower_inlined(struct lowering *l, struct place at, struct scope *s)
{
	l->dead = false;
	lower_body(l, &s->def->body);
	if (!l->dead && s->returns && !s->returns_nothing)
		INVALID(l, at, "end the function with a return", "%.*s() does not return a value on every path", (int)s->def->name.nbytes, s->def->name.text);
	l->dead = false;
	if (!s->returns || s->returns_nothing)
		return value_new(l, VALUE_NONE);
	struct value **items = lower_alloc(l, (s->nresults + 1) * sizeof *items);
	for (uint32_t k = 0; k < s->nresults; k++)
		items[k] = result_read(l, s, k);
	return s->returns_tuple ? value_tuple(l, items, s->nresults) : items[0];
}

static void lower_assert(struct lowering *l, struct ast *n)
{
	emit_check(l, as_bool(l, n->test->place, lower_expr(l, n->test)), KERNEL_ASSERTION, NULL, NULL);
}

/* --- */

static bool is_append(const struct ast *n)
{
	return n->kind == AST_CALL && n->a->kind == AST_ATTRIBUTE && name_is(n->a->name, "append") && n->a->a->kind == AST_NAME;
}

static void lower_expression_statement(struct lowering *l, struct ast *n)
{
	if (n->a->kind == AST_STRING || n->a->kind == AST_ELLIPSIS)
		return;
	if (is_append(n->a)) {
		if (n->a->list.count != 1 || n->a->nkeywords)
			INVALID(l, n->place, NULL, "append takes one value");
		variable_append(l, n->place, n->a->a->a->name, settle(l, lower_value(l, n->a->list.items[0])));
		return;
	}
	struct value *v = lower_expr(l, n->a);
	/* What a statement computes is not used, but its errors are: division, bounds. */
	if (v->kind == VALUE_SCALAR)
		stable(l, v->expr);
	else
		materialise(l, n->place, v);
}

static void lower_stmt(struct lowering *l, struct ast *n)
{
	l->line = n->place.line;
	lower_need(l, n);
	switch (n->kind) {
	case AST_EXPR: lower_expression_statement(l, n); return;
	case AST_ASSIGN: lower_assign(l, n); return;
	case AST_AUGASSIGN: lower_augmented(l, n); return;
	case AST_ANNASSIGN:
		if (n->c)
			assign_target(l, n->a, lower_expr(l, n->c));
		return;
	case AST_IF: lower_if(l, n); return;
	case AST_FOR: lower_for(l, n); return;
	case AST_WHILE: lower_while(l, n); return;
	case AST_BREAK:
	case AST_CONTINUE:
		emit(l, n->kind == AST_BREAK ? IR_BREAK : IR_CONTINUE);
		l->dead = true;
		return;
	case AST_PASS: return;
	case AST_RETURN: lower_return(l, n); return;
	case AST_ASSERT: lower_assert(l, n); return;
	case AST_DEF: {
		struct value *v = value_new(l, VALUE_FUNCTION);
		v->def = n;
		variable_assign(l, n->place, n->name, v);
		return;
	}
	default: UNSUPPORTED(l, n->place, NULL, "this statement is not in the language");
	}
}

/* What stands behind a return, break or continue is never reached. */
void lower_body(struct lowering *l, const struct ast_list *body)
{
	for (uint32_t i = 0; i < body->count && !l->dead; i++)
		lower_stmt(l, body->items[i]);
}
