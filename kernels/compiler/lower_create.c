/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Functions that make arrays, or look at them as a whole.
 */
#include "kernels/compiler/lower_private.h"

#include <string.h>

enum dtype dtype_of_value(struct lowering *l, struct place at, struct value *v)
{
	enum dtype d = DTYPE_NONE;
	if (v->kind == VALUE_DTYPE)
		return v->type.dtype;
	if (v->kind == VALUE_STRING)
		d = dtype_from_numpy_name(v->name.text, v->name.nbytes);
	if (v->kind == VALUE_LIBRARY)
		d = dtype_from_numpy_name(v->name.text, v->name.nbytes);    /* int, float, bool, complex */
	if (d == DTYPE_NONE)
		INVALID(l, at, "for example np.float64 or 'float64'", "%s is not a dtype", value_describe(l, v));
	return d;
}

static enum dtype computed(enum dtype d)
{
	return d == DTYPE_F16 ? DTYPE_F32 : d;
}

static unsigned parse_shape(struct lowering *l, struct call *c, struct value *v, struct ir_expr **shape)
{
	struct value **items = v->kind == VALUE_TUPLE ? v->items : &v;
	uint32_t n = v->kind == VALUE_TUPLE ? v->nitems : 1;
	if (!n || n > IR_MAX_RANK)
		UNSUPPORTED(l, c->place, NULL, "arrays have 1 to %d dimensions", IR_MAX_RANK);
	for (uint32_t i = 0; i < n; i++)
		shape[i] = stable(l, as_int64(l, c->place, items[i], "a length"));
	return n;
}

static struct value *filled(struct lowering *l, struct call *c, struct ir_expr **shape, unsigned rank, uint32_t shape_id, enum dtype dtype, int data,
			    struct value *fill)
{
	uint32_t slot = new_slot(l, dtype, rank, fresh_id(l), shape_id);
	emit_alloc(l, slot, shape, data == 0);
	if (data == 1)
		fill = value_scalar(l, ir_const_int(l->f, computed(dtype), 1), false);
	if (data & 1)
		store_array(l, c->place, slot, fill);
	return value_array(l, slot);
}

struct value *create_filled(struct lowering *l, struct call *c, int data)
{
	struct ir_expr *shape[IR_MAX_RANK];
	unsigned rank = parse_shape(l, c, call_need(l, c, 0, "shape"), shape);
	struct value *fill = data == 3 ? settle(l, call_need(l, c, 1, "fill_value")) : NULL, *type = call_argument(l, c, data == 3 ? 2 : 1, "dtype");
	enum dtype dtype = type ? dtype_of_value(l, c->place, type) : fill ? fill->type.dtype : DTYPE_F64;
	return filled(l, c, shape, rank, 0, dtype, data, fill);
}

struct value *create_like(struct lowering *l, struct call *c, int data)
{
	struct ir_expr *shape[IR_MAX_RANK];
	struct value *like = materialise(l, c->place, call_need(l, c, 0, NULL)), *fill = data == 3 ? settle(l, call_need(l, c, 1, "fill_value")) : NULL;
	struct value *type = call_argument(l, c, data == 3 ? 2 : 1, "dtype");
	if (like->kind != VALUE_ARRAY)
		INVALID(l, c->place, NULL, "%.*s() needs an array, not %s", (int)c->name.nbytes, c->name.text, value_describe(l, like));
	for (unsigned d = 0; d < like->rank; d++)
		shape[d] = lower_need(l, ir_shape(l->f, like->slot, d));
	enum dtype dtype = type ? dtype_of_value(l, c->place, type) : l->f->arrays[like->slot].dtype;
	return filled(l, c, shape, like->rank, l->facts[like->slot].shape_id, dtype, data, fill);
}

/* --- sequences: out[i] = start + i * step --- */

static struct value *sequence(struct lowering *l, struct call *c, struct ir_expr *n, enum dtype dtype, struct value *start, struct value *step)
{
	uint32_t slot = new_slot(l, dtype, 1, fresh_id(l), 0), var;
	struct ir_block *around = l->block, *inside;
	emit_alloc(l, slot, &n, false);
	struct ir_loop *loop = emit_for(l, lower_need(l, ir_shape(l->f, slot, 0)), &var, &inside);
	loop->parallel = loop->light = true;
	l->block = inside;
	struct ir_expr *i = lower_need(l, ir_local(l->f, var));
	struct value *k = value_scalar(l, ir_cast(l->f, start->type.dtype, i, false), false);
	struct value *e = apply_binary(l, c->place, AST_ADD, start, apply_binary(l, c->place, AST_MUL, k, step));
	emit_store(l, slot, &i, cast_scalar(l, c->place, e, computed(dtype), true), true);
	l->block = around;
	return value_array(l, slot);
}

struct value *create_arange(struct lowering *l, struct call *c, int data)
{
	(void)data;
	struct value *type = call_argument(l, c, 3, "dtype"), *one = value_scalar(l, ir_const_int(l->f, DTYPE_I64, 1), true);
	struct value *zero = value_scalar(l, ir_const_int(l->f, DTYPE_I64, 0), true);
	struct value *start = c->nargs > 1 ? call_need(l, c, 0, NULL) : zero, *stop = call_need(l, c, c->nargs > 1, NULL);
	struct value *step = c->nargs > 2 ? call_need(l, c, 2, NULL) : call_argument(l, c, 9, "step");
	step = step ? step : one;
	if (start->kind != VALUE_SCALAR || stop->kind != VALUE_SCALAR || step->kind != VALUE_SCALAR)
		INVALID(l, c->place, NULL, "arange takes numbers");
	struct type t = type_promote(type_promote(start->type, stop->type), step->type);
	if (dtype_is_complex(t.dtype))
		INVALID(l, c->place, NULL, "arange takes real numbers");
	enum dtype work = dtype_is_float(t.dtype) ? DTYPE_F64 : DTYPE_I64, dtype = type ? dtype_of_value(l, c->place, type) : dtype_is_float(t.dtype) ? t.dtype : DTYPE_I64;
	struct value *ends[3] = { start, stop, step };
	for (int i = 0; i < 3; i++)
		ends[i] = value_scalar(l, stable(l, cast_scalar(l, c->place, ends[i], work, false)), false);
	struct value *span = apply_binary(l, c->place, AST_SUB, ends[1], ends[0]);
	struct ir_expr *n;
	if (work == DTYPE_F64) {
		struct value *count = apply_binary(l, c->place, AST_DIV, span, ends[2]);
		count = apply_operate(l, IR_CEIL, count->type, count, NULL);
		n = cast_scalar(l, c->place, count, DTYPE_I64, true);
	} else {
		struct ir_expr *nonzero = int_compare(l, IR_NE, ends[2]->expr, int_const(l, 0));
		emit_check(l, nonzero, KERNEL_ZERO_STEP, NULL, NULL);
		/* ceil(a / b) = -(-a // b) */
		struct ir_expr *down = ir_binary(l->f, IR_FLOORDIV, DTYPE_I64, int_op(l, IR_SUB, int_const(l, 0), span->expr), ends[2]->expr);
		n = int_op(l, IR_SUB, int_const(l, 0), lower_need(l, down));
	}
	n = stable(l, int_op(l, IR_MAXIMUM, n, int_const(l, 0)));
	return sequence(l, c, n, dtype, ends[0], ends[2]);
}

/* NumPy's: start + i * ((stop - start) / (n - 1)), the last element exactly stop */
struct value *create_linspace(struct lowering *l, struct call *c, int data)
{
	(void)data;
	struct value *start = call_need(l, c, 0, "start"), *stop = call_need(l, c, 1, "stop"), *num = call_argument(l, c, 2, "num");
	start = value_scalar(l, stable(l, cast_scalar(l, c->place, start, DTYPE_F64, false)), false);
	stop = value_scalar(l, stable(l, cast_scalar(l, c->place, stop, DTYPE_F64, false)), false);
	struct ir_expr *n = stable(l, num ? as_int64(l, c->place, num, "num") : int_const(l, 50));
	struct ir_expr *parts = int_op(l, IR_MAXIMUM, int_op(l, IR_SUB, n, int_const(l, 1)), int_const(l, 1));
	struct value *step = apply_binary(l, c->place, AST_DIV, apply_binary(l, c->place, AST_SUB, stop, start), value_scalar(l, ir_cast(l->f, DTYPE_F64, parts, false), false));
	struct value *v = sequence(l, c, n, DTYPE_F64, start, value_scalar(l, stable(l, step->expr), false));
	struct ir_block *around = l->block;
	struct ir_stmt *s = emit(l, IR_IF);
	struct ir_expr *last = int_op(l, IR_SUB, n, int_const(l, 1));
	s->a = int_compare(l, IR_GT, n, int_const(l, 1));
	s->body = l->block = lower_need(l, ir_block_new(l->f));
	s->orelse = lower_need(l, ir_block_new(l->f));
	emit_store(l, v->slot, &last, stop->expr, true);
	l->block = around;
	return v;
}

static struct value *array_of_items(struct lowering *l, struct call *c, struct value *tuple, enum dtype dtype)
{
	struct ir_expr *n = int_const(l, tuple->nitems);
	struct type t = { DTYPE_F64, true };
	for (uint32_t i = 0; i < tuple->nitems; i++) {
		if (tuple->items[i]->kind != VALUE_SCALAR)
			UNSUPPORTED(l, c->place, "make it with np.zeros and assign rows", "an array can be written as a list of numbers only");
		t = i ? type_promote(t, tuple->items[i]->type) : tuple->items[i]->type;
	}
	dtype = dtype == DTYPE_NONE ? t.dtype : dtype;
	uint32_t slot = new_slot(l, dtype, 1, fresh_id(l), 0);
	emit_alloc(l, slot, &n, false);
	for (uint32_t i = 0; i < tuple->nitems; i++) {
		struct ir_expr *k = int_const(l, i);
		emit_store(l, slot, &k, cast_scalar(l, c->place, tuple->items[i], computed(dtype), true), true);
	}
	return value_array(l, slot);
}

static struct value *converted(struct lowering *l, struct call *c, struct value *v, enum dtype dtype)
{
	if (dtype == DTYPE_F16) {
		struct ir_expr *shape[IR_MAX_RANK];
		v = materialise(l, c->place, v);
		for (unsigned d = 0; d < v->rank; d++)
			shape[d] = lower_need(l, ir_shape(l->f, v->slot, d));
		return filled(l, c, shape, v->rank, l->facts[v->slot].shape_id, dtype, 3, v);
	}
	return copy_array(l, c->place, apply_cast(l, c->place, v, dtype, true));
}

struct value *create_array(struct lowering *l, struct call *c, int data)
{
	struct value *v = call_need(l, c, 0, NULL), *type = call_argument(l, c, 1, "dtype");
	enum dtype dtype = type ? dtype_of_value(l, c->place, type) : DTYPE_NONE;
	if (v->kind == VALUE_TUPLE)
		return array_of_items(l, c, v, dtype);
	if (!value_is_array(v))
		INVALID(l, c->place, NULL, "%.*s() needs an array or a list of numbers, not %s", (int)c->name.nbytes, c->name.text, value_describe(l, v));
	bool same = dtype == DTYPE_NONE || (v->kind == VALUE_ARRAY && l->f->arrays[v->slot].dtype == dtype);
	if (same && !data)
		return materialise(l, c->place, v);
	return same ? copy_array(l, c->place, v) : converted(l, c, v, dtype);
}

struct value *create_copy(struct lowering *l, struct call *c, int data)
{
	(void)data;
	struct value *v = call_need(l, c, 0, NULL);
	return value_is_array(v) ? copy_array(l, c->place, v) : v;
}

/* --- loops --- */

struct value *create_range(struct lowering *l, struct call *c, int data)
{
	struct value *v = value_new(l, VALUE_RANGE);
	v->wanted = data;
	v->items = lower_alloc(l, 3 * sizeof *v->items);
	v->nitems = 3;
	struct value *zero = value_int(l, 0);
	for (uint32_t i = 0; i < 3; i++) {
		struct value *arg = c->nargs == 1 ? (i == 0 ? zero : i == 1 ? c->args[0] : value_int(l, 1)) : i < c->nargs ? c->args[i] : value_int(l, 1);
		v->items[i] = value_scalar(l, as_int64(l, c->place, arg, "an argument of range"), false);
	}
	return v;
}

struct value *create_enumerate(struct lowering *l, struct call *c, int data)
{
	(void)data;
	struct value *v = value_new(l, VALUE_ENUMERATE), *start = call_argument(l, c, 1, "start");
	v->items = lower_alloc(l, 2 * sizeof *v->items);
	v->nitems = 2;
	v->items[0] = call_need(l, c, 0, NULL);
	v->items[1] = start ? value_scalar(l, as_int64(l, c->place, start, "start"), false) : value_int(l, 0);
	return v;
}

struct value *create_zip(struct lowering *l, struct call *c, int data)
{
	(void)data;
	struct value *v = value_new(l, VALUE_ZIP);
	v->items = c->args;
	v->nitems = c->nargs;
	return v;
}

/* --- arrays as a whole --- */

static struct value *array(struct lowering *l, struct call *c, uint32_t k)
{
	struct value *v = call_need(l, c, k, k ? NULL : "a");
	if (v->kind == VALUE_TUPLE)
		return array_of_items(l, c, v, DTYPE_NONE);
	if (!value_is_array(v))
		INVALID(l, c->place, NULL, "%.*s() needs an array, not %s", (int)c->name.nbytes, c->name.text, value_describe(l, v));
	return v;
}

struct value *array_length(struct lowering *l, struct call *c, int data)
{
	(void)data;
	if (c->args[0]->kind == VALUE_TUPLE)
		return value_int(l, c->args[0]->nitems);
	return value_scalar(l, ir_shape(l->f, materialise(l, c->place, array(l, c, 0))->slot, 0), false);
}

struct value *array_info(struct lowering *l, struct call *c, int data)
{
	struct value *v = materialise(l, c->place, array(l, c, 0)), *items[IR_MAX_RANK];
	if (data == 0)
		return value_scalar(l, array_size(l, v), false);
	if (data == 2)
		return value_int(l, v->rank);
	for (unsigned k = 0; k < v->rank; k++)
		items[k] = value_scalar(l, ir_shape(l->f, v->slot, k), false);
	return value_tuple(l, items, v->rank);
}

struct value *array_astype(struct lowering *l, struct call *c, int data)
{
	(void)data;
	return converted(l, c, array(l, c, 0), dtype_of_value(l, c->place, call_need(l, c, 1, "dtype")));
}

struct value *array_ravel(struct lowering *l, struct call *c, int data)
{
	struct value *v = array(l, c, 0), *flat = view_flat(l, c->place, v);
	return data && flat == v ? copy_array(l, c->place, v) : flat;
}

struct value *array_transpose(struct lowering *l, struct call *c, int data)
{
	(void)data;
	return view_transpose(l, materialise(l, c->place, array(l, c, 0)));
}

struct value *array_fill(struct lowering *l, struct call *c, int data)
{
	(void)data;
	struct value *v = array(l, c, 0);
	if (v->kind != VALUE_ARRAY || l->f->arrays[v->slot].read_only)
		INVALID(l, c->place, "pass a copy", "this array is read-only");
	store_array(l, c->place, v->slot, call_need(l, c, 1, "value"));
	return value_new(l, VALUE_NONE);
}

/* --- procedures of the runtime --- */

static struct ir_stmt *procedure(struct lowering *l, enum kernel_proc proc, uint32_t slot)
{
	struct ir_stmt *s = emit(l, IR_PROC);
	s->proc = proc;
	s->arrays = lower_alloc(l, 2 * sizeof *s->arrays);
	s->arrays[0] = slot;
	s->narrays = 1;
	s->local = IR_NONE;
	return s;
}

static struct value *sortable(struct lowering *l, struct call *c, uint32_t k)
{
	struct value *v = materialise(l, c->place, array(l, c, k));
	if (v->rank != 1 || dtype_is_complex(v->type.dtype) || l->f->arrays[v->slot].dtype == DTYPE_F16)
		UNSUPPORTED(l, c->place, "sort its rows one by one", "%.*s() takes real arrays of one dimension", (int)c->name.nbytes, c->name.text);
	return v;
}

struct value *array_sort(struct lowering *l, struct call *c, int data)
{
	struct value *v = sortable(l, c, 0);
	if (data == 2) {
		struct ir_expr *n = lower_need(l, ir_shape(l->f, v->slot, 0));
		uint32_t order = new_slot(l, DTYPE_I64, 1, fresh_id(l), l->facts[v->slot].shape_id);
		emit_alloc(l, order, &n, false);
		struct ir_stmt *s = procedure(l, KERNEL_PROC_ARGSORT, order);
		s->arrays[s->narrays++] = v->slot;
		return value_array(l, order);
	}
	if (data == 1) {
		if (l->f->arrays[v->slot].read_only)
			INVALID(l, c->place, "use np.sort(...)", "this array is read-only");
		procedure(l, KERNEL_PROC_SORT, v->slot);
		return value_new(l, VALUE_NONE);
	}
	v = copy_array(l, c->place, v);
	procedure(l, KERNEL_PROC_SORT, v->slot);
	return v;
}

static struct ir_expr *search_one(struct lowering *l, struct value *sorted, struct ir_expr *e, bool right)
{
	struct ir_stmt *s = procedure(l, KERNEL_PROC_SEARCHSORTED, sorted->slot);
	s->a = e;
	s->b = lower_need(l, ir_const_int(l->f, DTYPE_I64, right));
	s->local = ir_new_local(l->f, DTYPE_I64, "", 0);
	return lower_need(l, ir_local(l->f, s->local));
}

struct search {
	struct value *sorted;
	uint32_t slot;
	bool right;
};

static void search_element(struct lowering *l, struct value **values, struct ir_expr **index, void *arg)
{
	struct search *s = arg;
	struct ir_expr *found = search_one(l, s->sorted, element(l, values[0], index, values[0]->rank), s->right);
	emit_store(l, s->slot, index, found, true);
}

struct value *array_search(struct lowering *l, struct call *c, int data)
{
	(void)data;
	struct value *sorted = sortable(l, c, 0), *v = call_need(l, c, 1, "v"), *side = call_argument(l, c, 2, "side");
	if (side && (side->kind != VALUE_STRING || !(name_is(side->name, "left") || name_is(side->name, "right"))))
		INVALID(l, c->place, NULL, "side must be 'left' or 'right'");
	bool right = side && name_is(side->name, "right");
	struct type t = type_promote(sorted->type, v->type);
	if (t.dtype != sorted->type.dtype)
		sorted = materialise(l, c->place, apply_cast(l, c->place, sorted, t.dtype, false));
	v = apply_cast(l, c->place, v, t.dtype, false);
	if (v->kind == VALUE_SCALAR)
		return value_scalar(l, search_one(l, sorted, v->expr, right), false);
	v = materialise(l, c->place, v);
	struct nest nest = broadcast(l, c->place, &v, 1);
	struct search s = { sorted, new_slot(l, DTYPE_I64, nest.rank, fresh_id(l), nest.shape_id), right };
	emit_alloc(l, s.slot, nest.shape, false);
	for_each(l, c->place, &nest, &v, 1, search_element, &s);
	return value_array(l, s.slot);
}

struct value *array_quantile(struct lowering *l, struct call *c, int data)
{
	struct value *v = view_flat(l, c->place, array(l, c, 0)), *q = data ? call_need(l, c, 1, "q") : NULL;
	if (dtype_is_complex(v->type.dtype) || l->f->arrays[v->slot].dtype == DTYPE_F16 || v->type.dtype == DTYPE_BOOL)
		UNSUPPORTED(l, c->place, NULL, "%.*s() takes real arrays", (int)c->name.nbytes, c->name.text);
	if (q && q->kind != VALUE_SCALAR)
		UNSUPPORTED(l, c->place, "ask for one at a time", "%.*s() takes one q", (int)c->name.nbytes, c->name.text);
	if (data == 2)
		q = apply_binary(l, c->place, AST_MUL, apply_cast(l, c->place, q, DTYPE_F64, false), value_scalar(l, ir_const_real(l->f, DTYPE_F64, 100), true));
	struct ir_stmt *s = procedure(l, data ? KERNEL_PROC_PERCENTILE : KERNEL_PROC_MEDIAN, v->slot);
	s->a = q ? cast_scalar(l, c->place, q, DTYPE_F64, false) : NULL;
	s->local = ir_new_local(l->f, DTYPE_F64, "", 0);
	struct value *r = value_scalar(l, ir_local(l->f, s->local), false);
	return v->type.dtype == DTYPE_F32 ? apply_cast(l, c->place, r, DTYPE_F32, false) : r;
}

/* --- others --- */

struct value *array_diff(struct lowering *l, struct call *c, int data)
{
	(void)data;
	struct value *v = materialise(l, c->place, array(l, c, 0)), *ends[2];
	for (int i = 0; i < 2; i++) {
		struct value *indices[2] = { value_new(l, VALUE_ELLIPSIS), value_new(l, VALUE_SLICE) };
		indices[1]->items = lower_alloc(l, 3 * sizeof(struct value *));
		indices[1]->items[i] = value_int(l, i ? -1 : 1);
		ends[i] = view_index(l, c->place, v, indices, 2);
	}
	if (v->type.dtype == DTYPE_BOOL)
		return materialise(l, c->place, apply_compare(l, c->place, IR_NE, ends[0], ends[1]));
	return materialise(l, c->place, apply_binary(l, c->place, AST_SUB, ends[0], ends[1]));
}

struct value *array_cumulate(struct lowering *l, struct call *c, int data)
{
	return cumulate(l, c->place, array(l, c, 0), call_argument(l, c, 1, "axis"), (enum ir_op)data);
}

struct value *array_dot(struct lowering *l, struct call *c, int data)
{
	(void)data;
	return matrix_product(l, c->place, call_need(l, c, 0, NULL), call_need(l, c, 1, NULL));
}

struct value *array_reduce(struct lowering *l, struct call *c, int data)
{
	struct value *v = call_need(l, c, 0, "a"), *axis = call_argument(l, c, 1, "axis"), *type = NULL, *keep, *ddof;
	if (v->kind == VALUE_TUPLE)
		v = array_of_items(l, c, v, DTYPE_NONE);
	if (l->expression && v->kind == VALUE_SCALAR)
		return v;       /* of one number: itself */
	if (data == REDUCE_SUM || data == REDUCE_PROD)
		type = call_argument(l, c, 2, "dtype");
	keep = call_argument(l, c, 99, "keepdims");
	ddof = data == REDUCE_VAR || data == REDUCE_STD ? call_argument(l, c, 99, "ddof") : NULL;
	int64_t keepdims = 0;
	if (keep && !value_constant_int(keep, &keepdims))
		UNSUPPORTED(l, c->place, NULL, "keepdims must be True or False");
	return reduce(l, c->place, (enum reduce_name)data, v, axis, keepdims != 0, ddof, type ? dtype_of_value(l, c->place, type) : DTYPE_NONE);
}
