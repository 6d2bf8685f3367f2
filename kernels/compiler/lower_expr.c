/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Expressions: each kind of node gives a value. Python evaluates from left to right; a scalar that stands before a call of a kernel is read before it.
 */
#include "kernels/compiler/lower_private.h"

#include <string.h>

static bool resolves_to_user(struct lowering *l, const struct ast *callee)
{
	struct scope *around;
	return callee->kind == AST_NAME && find_def(l, callee->name, &around);
}

static bool list_has_call(struct lowering *l, const struct ast_list *list)
{
	for (uint32_t i = 0; i < list->count; i++)
		if (has_user_call(l, list->items[i]))
			return true;
	return false;
}

bool has_user_call(struct lowering *l, const struct ast *n)
{
	/* Chains are deep on the left side: walk down it. */
	for (; n; n = n->a) {
		if (n->kind == AST_CALL && resolves_to_user(l, n->a))
			return true;
		for (uint32_t i = 0; i < n->nkeywords; i++)
			if (has_user_call(l, n->keywords[i].value))
				return true;
		if (has_user_call(l, n->b) || has_user_call(l, n->c) || has_user_call(l, n->test) || list_has_call(l, &n->list))
			return true;
	}
	return false;
}

struct value *lower_value(struct lowering *l, struct ast *n)
{
	struct value *v = lower_expr(l, n);
	if (!value_is_number(v))
		INVALID(l, n->place, NULL, "this must be a number or an array, not %s", value_describe(l, v));
	return v;
}

/* Before a call of a kernel, what was read so far is kept as it was. */
static struct value *before(struct lowering *l, struct value *v, const struct ast *later)
{
	return later && has_user_call(l, later) ? settle(l, v) : v;
}

/* --- arithmetic --- */

static struct value *matmul(struct lowering *l, struct place at, struct value *a, struct value *b)
{
	return matrix_product(l, at, a, b);
}

/* Left-deep chains have thousands of terms: the spine is walked in a loop. */
static struct value *lower_binary(struct lowering *l, struct ast *n)
{
	uint32_t depth = 0;
	struct ast *left = n;
	for (; left->kind == AST_BINARY; left = left->a)
		depth++;
	struct ast **spine = lower_alloc(l, depth * sizeof *spine);
	uint32_t at = depth;
	for (left = n; left->kind == AST_BINARY; left = left->a)
		spine[--at] = left;
	struct value *v = lower_value(l, left);
	for (uint32_t i = 0; i < depth; i++) {
		v = before(l, v, spine[i]->b);
		struct value *b = lower_value(l, spine[i]->b);
		v = spine[i]->op == AST_MATMUL ? matmul(l, spine[i]->place, v, b) : apply_binary(l, spine[i]->place, spine[i]->op, v, b);
	}
	return v;
}

static const enum ir_op comparison[] = { [AST_LT] = IR_LT, [AST_LE] = IR_LE, [AST_GT] = IR_GT, [AST_GE] = IR_GE, [AST_EQ] = IR_EQ, [AST_NE] = IR_NE };

static struct value *lower_compare(struct lowering *l, struct ast *n)
{
	struct value *left = lower_value(l, n->list.items[0]), *all = NULL;
	for (uint32_t i = 1; i < n->list.count; i++) {
		left = before(l, left, n->list.items[i]);
		struct value *right = lower_value(l, n->list.items[i]);
		if (i + 1 < n->list.count)
			right = settle(l, right);
		struct value *one = apply_compare(l, n->place, comparison[n->ops[i - 1]], left, right);
		if (n->list.count > 2 && value_is_array(one))
			INVALID(l, n->place, "write (a < b) & (b < c); & binds tighter than <", "comparisons of arrays cannot be chained");
		if (!all)
			all = one;
		else
			all = value_scalar(l, ir_cond(l->f, all->expr, one->expr, ir_const_int(l->f, DTYPE_BOOL, 0)), false);
		left = right;
	}
	return all;
}

/* --- choices: only the side that is chosen is evaluated --- */

struct side {
	struct ir_block *block;
	struct value *value;
};

static struct side lower_side(struct lowering *l, struct ast *n)
{
	struct ir_block *around = l->block;
	uint64_t *assigned = assigned_copy(l);
	struct side side = { .block = lower_need(l, ir_block_new(l->f)) };
	l->block = side.block;
	side.value = lower_value(l, n);
	if (side.value->kind != VALUE_SCALAR)
		UNSUPPORTED(l, n->place, "use np.where for arrays, or an if statement", "a choice between arrays is not in the language");
	l->block = around;
	assigned_restore(l, assigned);
	return side;
}

static void close_side(struct lowering *l, struct place at, struct side *side, enum dtype dtype, uint32_t local)
{
	struct ir_block *around = l->block;
	l->block = side->block;
	emit_set(l, local, cast_scalar(l, at, side->value, dtype, false));
	l->block = around;
}

static struct value *join_sides(struct lowering *l, struct place at, struct ir_expr *test, struct side a, struct side b)
{
	if (!a.block->count && !b.block->count)
		return apply_cond(l, at, value_scalar(l, test, false), a.value, b.value);
	struct type t = type_promote(a.value->type, b.value->type);
	uint32_t local = ir_new_local(l->f, t.dtype, "", 0);
	struct ir_stmt *s = emit(l, IR_IF);
	s->a = test;
	s->body = a.block;
	s->orelse = b.block;
	close_side(l, at, &a, t.dtype, local);
	close_side(l, at, &b, t.dtype, local);
	return value_scalar(l, ir_local(l->f, local), false);
}

static struct value *lower_boolop(struct lowering *l, struct ast *n)
{
	struct value *v = lower_value(l, n->list.items[0]);
	if (l->expression)
		INVALID(l, n->place, "use & and | with brackets: (a > 1) & (b < 2)", "'and' and 'or' do not work on arrays");
	for (uint32_t i = 1; i < n->list.count; i++) {
		if (v->kind != VALUE_SCALAR)
			as_bool(l, n->place, v);
		v = value_scalar(l, stable(l, v->expr), v->type.weak);
		struct side keep = { .block = lower_need(l, ir_block_new(l->f)), .value = v }, next = lower_side(l, n->list.items[i]);
		struct ir_expr *test = apply_truth(l, n->place, v)->expr;
		v = n->op == AST_AND ? join_sides(l, n->place, test, next, keep) : join_sides(l, n->place, test, keep, next);
	}
	return v;
}

static struct value *lower_ifexp(struct lowering *l, struct ast *n)
{
	struct value *test = lower_value(l, n->test);
	if (l->expression)
		INVALID(l, n->place, "use where(condition, a, b)", "a conditional expression does not work on arrays");
	struct ir_expr *chosen = stable(l, as_bool(l, n->test->place, test));
	struct side a = lower_side(l, n->a), b = lower_side(l, n->b);
	return join_sides(l, n->place, chosen, a, b);
}

/* --- constants, names, members --- */

static struct value *lower_int(struct lowering *l, struct ast *n)
{
	if (n->too_large)
		INVALID(l, n->place, "use a float", "the integer does not fit 64 bits");
	if (n->integer > INT64_MAX)
		return value_scalar(l, ir_const_int(l->f, DTYPE_U64, (int64_t)n->integer), false);
	return value_scalar(l, ir_const_int(l->f, DTYPE_I64, (int64_t)n->integer), true);
}

static struct value *lower_imaginary(struct lowering *l, struct ast *n)
{
	struct ir_expr *e = lower_need(l, ir_const_real(l->f, DTYPE_C128, 0));
	double parts[2] = { 0, n->real };
	memcpy(&e->constant.c128, parts, sizeof parts);
	return value_scalar(l, e, true);
}

static struct value *shape_tuple(struct lowering *l, struct value *array)
{
	struct value *items[IR_MAX_RANK];
	for (unsigned k = 0; k < array->rank; k++)
		items[k] = value_scalar(l, ir_shape(l->f, array->slot, k), false);
	return value_tuple(l, items, array->rank);
}

static struct value *component(struct lowering *l, struct value *v, bool imaginary)
{
	enum dtype real = dtype_real(v->type.dtype);
	if (real != v->type.dtype)
		return apply_operate(l, imaginary ? IR_IMAG : IR_REAL, (struct type){ real, false }, v, NULL);
	return imaginary ? zero_like(l, v) : v;
}

static struct value *lower_member(struct lowering *l, struct place at, struct value *v, struct name name)
{
	if (v->kind == VALUE_LIBRARY)
		return library_member(l, at, v->name, name);
	if (!value_is_number(v))
		INVALID(l, at, NULL, "%s has no '%.*s'", value_describe(l, v), (int)(name.nbytes > 40 ? 40 : name.nbytes), name.text);
	if (name_is(name, "real") || name_is(name, "imag"))
		return component(l, v, name_is(name, "imag"));
	if (name_is(name, "dtype")) {
		struct value *d = value_new(l, VALUE_DTYPE);
		d->type.dtype = v->kind == VALUE_ARRAY ? l->f->arrays[v->slot].dtype : v->type.dtype;
		return d;
	}
	if (v->kind == VALUE_SCALAR)
		INVALID(l, at, NULL, "a number has no '%.*s' here", (int)(name.nbytes > 40 ? 40 : name.nbytes), name.text);
	if (name_is(name, "ndim"))
		return value_int(l, v->rank);
	v = materialise(l, at, v);
	if (name_is(name, "shape"))
		return shape_tuple(l, v);
	if (name_is(name, "size"))
		return value_scalar(l, array_size(l, v), false);
	if (name_is(name, "T"))
		return view_transpose(l, v);
	struct value *m = value_new(l, VALUE_METHOD);
	m->items = lower_alloc(l, sizeof *m->items);
	m->items[0] = v;
	m->nitems = 1;
	m->name = name;
	return m;
}

/* --- subscripts --- */

static struct value *lower_slice(struct lowering *l, struct ast *n)
{
	struct value *v = value_new(l, VALUE_SLICE);
	struct ast *parts[3] = { n->a, n->b, n->c };
	v->items = lower_alloc(l, 3 * sizeof *v->items);
	v->nitems = 3;
	for (int i = 0; i < 3; i++)
		v->items[i] = parts[i] ? lower_expr(l, parts[i]) : NULL;
	return v;
}

static struct value *tuple_item(struct lowering *l, struct place at, struct value *v, struct value *index)
{
	int64_t i;
	if (!value_constant_int(index, &i))
		UNSUPPORTED(l, at, "index a tuple with a constant", "a tuple needs a constant index");
	i = i < 0 ? i + v->nitems : i;
	if (i < 0 || i >= v->nitems)
		INVALID(l, at, NULL, "the tuple has %u items", v->nitems);
	return v->items[i];
}

static struct value *lower_subscript(struct lowering *l, struct ast *n)
{
	struct value *v = before(l, lower_expr(l, n->a), n->b), *index = lower_expr(l, n->b);
	if (v->kind == VALUE_TUPLE)
		return tuple_item(l, n->place, v, index);
	if (!value_is_array(v))
		INVALID(l, n->place, NULL, "%s cannot be indexed", value_describe(l, v));
	v = materialise(l, n->place, v);
	if (index->kind == VALUE_TUPLE)
		return view_index(l, n->place, v, index->items, index->nitems);
	return view_index(l, n->place, v, &index, 1);
}

/* --- calls --- */

static struct value *argument_or_default(struct lowering *l, struct ast *call, struct ast *def, uint32_t k, struct value **args, uint32_t nargs,
					 struct value **keyword_values)
{
	struct name name = def->params[k].name;
	struct value *v = k < nargs ? args[k] : NULL;
	for (uint32_t i = 0; i < call->nkeywords; i++)
		if (name_equal(call->keywords[i].name, name)) {
			if (v)
				INVALID(l, call->place, NULL, "'%.*s' is given twice", (int)name.nbytes, name.text);
			v = keyword_values[i];
		}
	if (!v && def->params[k].value)
		v = lower_expr(l, def->params[k].value);
	if (!v)
		INVALID(l, call->place, NULL, "%.*s() needs an argument '%.*s'", (int)def->name.nbytes, def->name.text, (int)name.nbytes, name.text);
	return v;
}

static void check_arguments(struct lowering *l, struct ast *call, struct ast *def, uint32_t nargs)
{
	if (nargs > def->nparams)
		INVALID(l, call->place, NULL, "%.*s() takes %u arguments, but %u are given", (int)def->name.nbytes, def->name.text, def->nparams, nargs);
	for (uint32_t i = 0; i < call->nkeywords; i++) {
		bool found = false;
		for (uint32_t k = 0; k < def->nparams; k++)
			found |= name_equal(def->params[k].name, call->keywords[i].name);
		if (!found)
			INVALID(l, call->keywords[i].place, NULL, "%.*s() has no argument '%.*s'", (int)def->name.nbytes, def->name.text,
				(int)call->keywords[i].name.nbytes, call->keywords[i].name.text);
	}
	for (struct scope *s = l->scope; s; s = s->caller)
		if (s->def == def)
			UNSUPPORTED(l, call->place, "write it with a loop", "%.*s() calls itself: recursion is not in the language", (int)def->name.nbytes, def->name.text);
	if (l->scope->calls >= LOWER_MAX_CALLS || l->instances >= LOWER_MAX_INSTANCES)
		lower_fail(l, call->place, STATUS_TOO_LARGE, "call fewer kernels from each other", "more than %d calls inside each other, or %d in all", LOWER_MAX_CALLS,
			   LOWER_MAX_INSTANCES);
}

struct value *call_function(struct lowering *l, struct ast *call, struct value *fn, struct value **args, uint32_t nargs, struct value **keyword_values)
{
	struct ast *def = fn->def;
	struct scope *caller = l->scope, *parent = NULL;
	check_arguments(l, call, def, nargs);
	/* A nested def sees the variables of the function around it, whichever of its calls is running. */
	for (struct scope *s = caller; s && !parent; s = s->caller)
		for (uint32_t i = 0; s->def && i < s->def->body.count; i++)
			if (s->def->body.items[i] == def)
				parent = s;
	struct scope *s = scope_new(l, def, parent);
	s->caller = caller;
	s->calls = caller->calls + 1;
	struct value **bound = lower_alloc(l, (def->nparams + 1) * sizeof *bound);
	for (uint32_t k = 0; k < def->nparams; k++)
		bound[k] = settle(l, argument_or_default(l, call, def, k, args, nargs, keyword_values));
	struct ir_stmt *block = emit(l, IR_BLOCK);
	struct ir_block *around = l->block;
	block->label = s->label = l->f->nlabels++;
	block->body = s->home = l->block = lower_need(l, ir_block_new(l->f));
	l->scope = s;
	for (uint32_t k = 0; k < def->nparams; k++)
		variable_assign(l, call->place, def->params[k].name, bound[k]);
	struct value *result = lower_inlined(l, call->place, s);
	l->block = around;
	l->scope = caller;
	return result;
}

static struct value *lower_call(struct lowering *l, struct ast *n)
{
	struct value *fn = lower_expr(l, n->a);
	uint32_t extra = fn->kind == VALUE_METHOD, nargs = n->list.count + extra;
	struct value **args = lower_alloc(l, (nargs + 1) * sizeof *args), **keywords = lower_alloc(l, (n->nkeywords + 1) * sizeof *keywords);
	bool user = false;
	for (uint32_t i = 0; i < n->list.count; i++)
		user |= i > 0 && has_user_call(l, n->list.items[i]);
	for (uint32_t i = 0; i < n->list.count; i++)
		args[i + extra] = user ? settle(l, lower_expr(l, n->list.items[i])) : lower_expr(l, n->list.items[i]);
	for (uint32_t i = 0; i < n->nkeywords; i++)
		keywords[i] = lower_expr(l, n->keywords[i].value);
	if (fn->kind == VALUE_FUNCTION)
		return call_function(l, n, fn, args, nargs, keywords);
	if (fn->kind == VALUE_DTYPE) {
		if (nargs != 1 || n->nkeywords)
			INVALID(l, n->place, NULL, "%s() takes one argument", dtype_numpy_name(fn->type.dtype));
		return apply_cast(l, n->place, args[0], fn->type.dtype, true);
	}
	struct name name = fn->name;
	if (fn->kind == VALUE_METHOD) {
		char *full = lower_alloc(l, name.nbytes + 6);
		memcpy(full, "array.", 6);
		memcpy(full + 6, name.text, name.nbytes);
		name = (struct name){ full, name.nbytes + 6 };
		args[0] = fn->items[0];
	} else if (fn->kind != VALUE_LIBRARY) {
		INVALID(l, n->place, NULL, "%s cannot be called", value_describe(l, fn));
	}
	return call_library(l, n->place, name, args, nargs, n->keywords, keywords, n->nkeywords);
}

static struct value *lower_tuple(struct lowering *l, struct ast *n)
{
	struct value **items = lower_alloc(l, (n->list.count + 1) * sizeof *items);
	for (uint32_t i = 0; i < n->list.count; i++) {
		items[i] = lower_expr(l, n->list.items[i]);
		for (uint32_t k = i + 1; k < n->list.count; k++)
			items[i] = before(l, items[i], n->list.items[k]);
	}
	return value_tuple(l, items, n->list.count);
}

struct value *lower_expr(struct lowering *l, struct ast *n)
{
	struct value *v;
	lower_need(l, n);
	l->line = n->place.line;
	switch (n->kind) {
	case AST_NAME: return name_read(l, n->place, n->name);
	case AST_INT: return lower_int(l, n);
	case AST_FLOAT: return value_scalar(l, ir_const_real(l->f, DTYPE_F64, n->real), true);
	case AST_IMAG: return lower_imaginary(l, n);
	case AST_BOOL: return value_scalar(l, ir_const_int(l->f, DTYPE_BOOL, (int64_t)n->integer), false);
	case AST_NONE: return value_new(l, VALUE_NONE);
	case AST_ELLIPSIS: return value_new(l, VALUE_ELLIPSIS);
	case AST_STRING:
		v = value_new(l, VALUE_STRING);
		v->name = n->name;
		return v;
	case AST_UNARY: return apply_unary(l, n->place, n->op, lower_value(l, n->a));
	case AST_BINARY: return lower_binary(l, n);
	case AST_COMPARE: return lower_compare(l, n);
	case AST_BOOLOP: return lower_boolop(l, n);
	case AST_IFEXP: return lower_ifexp(l, n);
	case AST_CALL: return lower_call(l, n);
	case AST_ATTRIBUTE: return lower_member(l, n->place, lower_expr(l, n->a), n->name);
	case AST_SUBSCRIPT: return lower_subscript(l, n);
	case AST_SLICE: return lower_slice(l, n);
	case AST_TUPLE:
	case AST_LIST: return lower_tuple(l, n);
	default: UNSUPPORTED(l, n->place, NULL, "this cannot stand here");
	}
}
