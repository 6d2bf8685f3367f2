/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Array expressions become loops: common shapes (NumPy's broadcasting), elements, memory for results, stores that read before they write.
 */
#include "kernels/compiler/lower_private.h"

#include <string.h>

/* --- the arrays below an expression --- */

struct leaves {
	uint32_t *slots;
	uint32_t count, capacity;
};

static void add_leaf(struct lowering *l, struct leaves *leaves, uint32_t slot)
{
	for (uint32_t i = 0; i < leaves->count; i++)
		if (leaves->slots[i] == slot)
			return;
	if (leaves->count == leaves->capacity) {
		uint32_t n = leaves->capacity ? 2 * leaves->capacity : 8;
		uint32_t *more = lower_alloc(l, n * sizeof *more);
		if (leaves->count)
			memcpy(more, leaves->slots, leaves->count * sizeof *more);
		leaves->slots = more;
		leaves->capacity = n;
	}
	leaves->slots[leaves->count++] = slot;
}

static void collect(struct lowering *l, const struct value *v, struct leaves *leaves)
{
	if (v->kind == VALUE_ARRAY)
		add_leaf(l, leaves, v->slot);
	/* The last item goes on in this frame: chains are long on one side only, mostly the first; both are bounded by the parser. */
	for (uint32_t i = 0; v->kind == VALUE_LAZY && i < v->nitems; i++)
		collect(l, v->items[i], leaves);
}

static struct leaves collect_all(struct lowering *l, struct value **values, uint32_t n)
{
	struct leaves leaves = { 0 };
	for (uint32_t i = 0; i < n; i++)
		collect(l, values[i], &leaves);
	return leaves;
}

static unsigned rank_of(const struct lowering *l, uint32_t slot)
{
	return l->f->arrays[slot].rank;
}

static bool is_uniform(const struct lowering *l, uint32_t slot, const struct nest *nest)
{
	return rank_of(l, slot) == nest->rank && l->facts[slot].shape_id == nest->shape_id;
}

/* --- common shapes --- */

static struct ir_expr *length(struct lowering *l, uint32_t slot, unsigned axis)
{
	return lower_need(l, ir_shape(l->f, slot, axis));
}

static struct ir_expr *either(struct lowering *l, enum ir_op op, struct ir_expr *a, struct ir_expr *b)
{
	if (a->kind == IR_CONST)
		return (op == IR_BITAND) == (a->constant.i != 0) ? b : a;
	if (b->kind == IR_CONST)
		return (op == IR_BITAND) == (b->constant.i != 0) ? a : b;
	return lower_need(l, ir_binary(l->f, op, DTYPE_BOOL, a, b));
}

static void check_leaf(struct lowering *l, uint32_t slot, const struct nest *nest)
{
	unsigned lead = nest->rank - rank_of(l, slot);
	for (unsigned k = 0; k < rank_of(l, slot); k++) {
		struct ir_expr *n = length(l, slot, k), *common = nest->shape[lead + k];
		struct ir_expr *good = either(l, IR_BITOR, int_compare(l, IR_EQ, n, common), int_compare(l, IR_EQ, n, int_const(l, 1)));
		emit_check(l, good, KERNEL_SHAPE, n, common);
	}
}

struct nest broadcast(struct lowering *l, struct place at, struct value **values, uint32_t n)
{
	struct leaves leaves = collect_all(l, values, n);
	struct nest nest = { 0 };
	if (!leaves.count)
		INVALID(l, at, NULL, "this needs an array");
	uint32_t first = leaves.slots[0];
	for (uint32_t i = 0; i < leaves.count; i++)
		if (rank_of(l, leaves.slots[i]) > rank_of(l, first))
			first = leaves.slots[i];
	nest.rank = rank_of(l, first);
	nest.shape_id = l->facts[first].shape_id;
	bool uniform = true;
	for (uint32_t i = 0; i < leaves.count; i++)
		uniform &= is_uniform(l, leaves.slots[i], &nest);
	for (unsigned d = 0; d < nest.rank; d++)
		nest.shape[d] = length(l, first, d);
	if (uniform)
		return nest;
	nest.shape_id = fresh_id(l);
	for (unsigned d = 0; d < nest.rank; d++) {
		uint32_t common = ir_new_local(l->f, DTYPE_I64, "", 0);
		emit_set(l, common, int_const(l, 1));
		for (uint32_t i = 0; i < leaves.count; i++) {
			unsigned lead = nest.rank - rank_of(l, leaves.slots[i]);
			if (d < lead)
				continue;
			struct ir_expr *len = length(l, leaves.slots[i], d - lead);
			emit_set(l, common, ir_cond(l->f, int_compare(l, IR_EQ, len, int_const(l, 1)), ir_local(l->f, common), len));
		}
		nest.shape[d] = lower_need(l, ir_local(l->f, common));
	}
	for (uint32_t i = 0; i < leaves.count; i++)
		check_leaf(l, leaves.slots[i], &nest);
	return nest;
}

/* --- elements --- */

struct ir_expr *element(struct lowering *l, struct value *v, struct ir_expr **index, unsigned rank)
{
	if (v->kind == VALUE_SCALAR)
		return v->expr;
	if (v->kind == VALUE_ARRAY)
		return load_in_bounds(l, v->slot, index + (rank - v->rank));
	struct ir_expr *e, *k[3] = { NULL };
	for (uint32_t i = 0; i < v->nitems; i++)
		k[i] = i == 1 && v->items[1] == v->items[0] ? k[0] : element(l, v->items[i], index, rank);
	if (v->nitems > 1 && v->items[0] == v->items[1])
		k[0] = k[1] = stable(l, k[0]);
	switch (v->lazy) {
	case LAZY_OPERATE: e = v->nitems > 1 ? ir_binary(l->f, v->op, v->type.dtype, k[0], k[1]) : ir_unary(l->f, v->op, v->type.dtype, k[0]); break;
	case LAZY_CALL: e = ir_call(l->f, v->function, v->type.dtype, k[0], k[1]); break;
	case LAZY_CAST: e = ir_cast(l->f, v->type.dtype, k[0], v->checked); break;
	default: e = ir_cond(l->f, k[0], k[1], k[2]); break;
	}
	lower_need(l, e);
	e->line = l->line;
	if (v->checked && v->lazy == LAZY_OPERATE)
		e->checked = dtype_is_integer(v->type.dtype);
	return e;
}

static struct value *substitute(struct lowering *l, struct value *v, const uint32_t *from, const uint32_t *to, uint32_t n)
{
	for (uint32_t i = 0; v->kind == VALUE_ARRAY && i < n; i++)
		if (v->slot == from[i])
			return value_array(l, to[i]);
	if (v->kind != VALUE_LAZY)
		return v;
	struct value *copy = NEW(l, struct value);
	*copy = *v;
	copy->items = lower_alloc(l, 3 * sizeof *copy->items);
	for (uint32_t i = 0; i < v->nitems; i++)
		copy->items[i] = i && v->items[i] == v->items[0] ? copy->items[0] : substitute(l, v->items[i], from, to, n);
	return copy;
}

typedef void nest_body(struct lowering *l, struct value **values, struct ir_expr **index, void *arg);

static void emit_nest(struct lowering *l, const struct nest *nest, struct value **values, nest_body *body, void *arg)
{
	struct ir_block *around = l->block;
	struct ir_expr *index[IR_MAX_RANK + 1];
	for (unsigned d = 0; d < nest->rank; d++) {
		struct ir_block *inside;
		uint32_t var;
		struct ir_loop *loop = emit_for(l, nest->shape[d], &var, &inside);
		loop->parallel = d == 0;
		loop->light = d + 1 == nest->rank;
		loop->reductions = l->reductions;
		loop->nreductions = l->nreductions;
		index[d] = lower_need(l, ir_local(l->f, var));
		l->block = inside;
	}
	body(l, values, index, arg);
	l->block = around;
}

/* The leaf stretched to the shape of the nest: axes of length 1 have stride 0. */
static uint32_t stretched(struct lowering *l, uint32_t slot, const struct nest *nest)
{
	uint32_t view = new_slot(l, l->f->arrays[slot].dtype, nest->rank, l->f->arrays[slot].root, nest->shape_id);
	unsigned lead = nest->rank - rank_of(l, slot);
	struct ir_stmt *s = emit_view(l, view, slot);
	for (unsigned d = 0; d < nest->rank; d++) {
		s->shape[d] = nest->shape[d];
		s->from_axis[d] = d < lead ? -1 : (int)(d - lead);
		if (d >= lead)
			s->step[d] = ir_cast(l->f, DTYPE_I64, int_compare(l, IR_NE, length(l, slot, d - lead), int_const(l, 1)), false);
	}
	return view;
}

void for_each(struct lowering *l, struct place at, const struct nest *nest, struct value **values, uint32_t n, nest_body *body, void *arg)
{
	(void)at;
	struct leaves leaves = collect_all(l, values, n);
	uint32_t *odd = lower_alloc(l, (leaves.count + 1) * sizeof *odd), *views = lower_alloc(l, (leaves.count + 1) * sizeof *views), nodd = 0;
	struct ir_expr *same = NULL;
	for (uint32_t i = 0; i < leaves.count; i++) {
		uint32_t slot = leaves.slots[i];
		unsigned lead = nest->rank - rank_of(l, slot);
		if (is_uniform(l, slot, nest))
			continue;
		odd[nodd++] = slot;
		for (unsigned k = 0; k < rank_of(l, slot); k++) {
			struct ir_expr *equal = int_compare(l, IR_EQ, length(l, slot, k), nest->shape[lead + k]);
			same = same ? either(l, IR_BITAND, same, equal) : equal;
		}
	}
	if (!nodd || (same && same->kind == IR_CONST && same->constant.i)) {
		emit_nest(l, nest, values, body, arg);
		return;
	}
	struct ir_stmt *choice = emit(l, IR_IF);
	struct ir_block *around = l->block;
	choice->a = same ? same : lower_need(l, ir_const_int(l->f, DTYPE_BOOL, 1));
	choice->body = lower_need(l, ir_block_new(l->f));
	choice->orelse = lower_need(l, ir_block_new(l->f));
	l->block = choice->body;
	emit_nest(l, nest, values, body, arg);
	l->block = choice->orelse;
	for (uint32_t i = 0; i < nodd; i++)
		views[i] = stretched(l, odd[i], nest);
	struct value **replaced = lower_alloc(l, (n + 1) * sizeof *replaced);
	for (uint32_t i = 0; i < n; i++)
		replaced[i] = substitute(l, values[i], odd, views, nodd);
	emit_nest(l, nest, replaced, body, arg);
	l->block = around;
}

/* --- memory --- */

struct target {
	uint32_t slot;
	unsigned rank;
};

static void store_element(struct lowering *l, struct value **values, struct ir_expr **index, void *arg)
{
	const struct target *t = arg;
	emit_store(l, t->slot, index, element(l, values[0], index, t->rank), true);
}

static struct value *to_memory(struct lowering *l, struct place at, struct value *v, enum dtype dtype)
{
	struct nest nest = broadcast(l, at, &v, 1);
	struct target t = { new_slot(l, dtype, nest.rank, fresh_id(l), nest.shape_id), nest.rank };
	emit_alloc(l, t.slot, nest.shape, false);
	for_each(l, at, &nest, &v, 1, store_element, &t);
	return value_array(l, t.slot);
}

struct value *materialise(struct lowering *l, struct place at, struct value *v)
{
	return v->kind == VALUE_LAZY ? to_memory(l, at, v, v->type.dtype) : v;
}

struct value *copy_array(struct lowering *l, struct place at, struct value *v)
{
	return to_memory(l, at, v, v->kind == VALUE_ARRAY ? l->f->arrays[v->slot].dtype : v->type.dtype);
}

static bool may_share(const struct lowering *l, uint32_t a, uint32_t b)
{
	uint32_t ra = l->f->arrays[a].root, rb = l->f->arrays[b].root;
	return !ra || !rb || ra == rb;
}

void store_array(struct lowering *l, struct place at, uint32_t slot, struct value *v)
{
	const struct ir_array *a = &l->f->arrays[slot];
	if (!value_is_number(v))
		INVALID(l, at, NULL, "%s cannot be stored in an array", value_describe(l, v));
	if (v->rank > a->rank)
		INVALID(l, at, NULL, "%s does not fit into %u dimensions", value_describe(l, v), a->rank);
	v = apply_cast(l, at, v, a->dtype == DTYPE_F16 ? DTYPE_F32 : a->dtype, true);
	if (v->kind == VALUE_SCALAR)
		v = value_scalar(l, stable(l, v->expr), false);
	struct leaves leaves = collect_all(l, &v, 1);
	for (uint32_t i = 0; i < leaves.count; i++)
		if (leaves.slots[i] != slot && may_share(l, slot, leaves.slots[i])) {
			v = copy_array(l, at, v);
			break;
		}
	struct nest nest = { .rank = a->rank, .shape_id = l->facts[slot].shape_id };
	for (unsigned d = 0; d < nest.rank; d++)
		nest.shape[d] = length(l, slot, d);
	leaves = collect_all(l, &v, 1);
	for (uint32_t i = 0; i < leaves.count; i++)
		if (!is_uniform(l, leaves.slots[i], &nest))
			check_leaf(l, leaves.slots[i], &nest);
	struct target t = { slot, nest.rank };
	for_each(l, at, &nest, &v, 1, store_element, &t);
}

struct ir_expr *array_size(struct lowering *l, struct value *array)
{
	struct ir_expr *n = int_const(l, 1);
	for (unsigned k = 0; k < array->rank; k++)
		n = k ? int_op(l, IR_MUL, n, length(l, array->slot, k)) : length(l, array->slot, k);
	return n;
}

/* --- views --- */

struct value *view_transpose(struct lowering *l, struct value *array)
{
	unsigned rank = array->rank;
	uint32_t view = new_slot(l, l->f->arrays[array->slot].dtype, rank, l->f->arrays[array->slot].root, rank > 1 ? 0 : l->facts[array->slot].shape_id);
	struct ir_stmt *s = emit_view(l, view, array->slot);
	for (unsigned d = 0; d < rank; d++) {
		s->from_axis[d] = (int)(rank - 1 - d);
		s->shape[d] = length(l, array->slot, rank - 1 - d);
	}
	l->f->arrays[view].contiguous = rank <= 1 && l->f->arrays[array->slot].contiguous;
	return value_array(l, view);
}

static struct ir_expr *choose(struct lowering *l, struct ir_expr *test, struct ir_expr *a, struct ir_expr *b)
{
	if (test->kind == IR_CONST)
		return test->constant.i ? a : b;
	return lower_need(l, ir_cond(l->f, test, a, b));
}

/* Python's rule for the end of a slice (language reference, 6.3.3): counted from the end if negative, then cut to the array. */
static struct ir_expr *slice_end(struct lowering *l, struct place at, struct value *v, struct ir_expr *n, struct ir_expr *forward, struct ir_expr *fallback)
{
	if (!v || v->kind == VALUE_NONE)
		return fallback;
	struct ir_expr *i = stable(l, as_int64(l, at, v, "an end of a slice"));
	struct ir_expr *low = choose(l, forward, int_const(l, 0), int_const(l, -1));
	struct ir_expr *high = choose(l, forward, n, int_op(l, IR_SUB, n, int_const(l, 1)));
	struct ir_expr *from_end = int_op(l, IR_MAXIMUM, int_op(l, IR_ADD, i, n), low), *from_start = int_op(l, IR_MINIMUM, i, high);
	if (i->kind == IR_CONST)
		return stable(l, i->constant.i < 0 ? from_end : from_start);
	return stable(l, choose(l, int_compare(l, IR_LT, i, int_const(l, 0)), from_end, from_start));
}

struct slice {
	struct ir_expr *start, *step, *length;
	bool whole, unit;        /* all of the axis; step 1 */
};

static struct slice lower_slice(struct lowering *l, struct place at, struct value *v, struct ir_expr *n)
{
	struct value *parts[3] = { v->items[0], v->items[1], v->items[2] };
	bool given[3];
	for (int i = 0; i < 3; i++)
		given[i] = parts[i] && parts[i]->kind != VALUE_NONE;
	struct slice s = { .unit = true, .step = int_const(l, 1) };
	if (given[2]) {
		s.step = stable(l, as_int64(l, at, parts[2], "the step of a slice"));
		s.unit = s.step->kind == IR_CONST && s.step->constant.i == 1;
		if (s.step->kind == IR_CONST && !s.step->constant.i)
			INVALID(l, at, NULL, "the step of a slice cannot be zero");
		if (s.step->kind != IR_CONST)
			emit_check(l, int_compare(l, IR_NE, s.step, int_const(l, 0)), KERNEL_ZERO_STEP, NULL, NULL);
	}
	s.whole = s.unit && !given[0] && !given[1];
	if (s.whole) {
		s.start = int_const(l, 0);
		s.length = n;
		return s;
	}
	struct ir_expr *forward = s.step->kind == IR_CONST ? lower_need(l, ir_const_int(l->f, DTYPE_BOOL, s.step->constant.i > 0))
							    : stable(l, int_compare(l, IR_GT, s.step, int_const(l, 0)));
	struct ir_expr *last = int_op(l, IR_SUB, n, int_const(l, 1));
	s.start = slice_end(l, at, parts[0], n, forward, choose(l, forward, int_const(l, 0), last));
	struct ir_expr *stop = slice_end(l, at, parts[1], n, forward, choose(l, forward, n, int_const(l, -1)));
	struct ir_expr *span = int_op(l, IR_SUB, stop, s.start);
	if (!s.unit) {
		struct ir_expr *round = choose(l, forward, int_op(l, IR_SUB, s.step, int_const(l, 1)), int_op(l, IR_ADD, s.step, int_const(l, 1)));
		span = lower_need(l, ir_binary(l->f, IR_FLOORDIV, DTYPE_I64, int_op(l, IR_ADD, span, round), s.step));
	}
	s.length = stable(l, int_op(l, IR_MAXIMUM, span, int_const(l, 0)));
	/* An empty slice points at the start of its axis, so that no view ever leaves its array. */
	s.start = stable(l, choose(l, int_compare(l, IR_GT, s.length, int_const(l, 0)), s.start, int_const(l, 0)));
	return s;
}

static struct ir_expr *checked_index(struct lowering *l, struct place at, struct value *v, struct ir_expr *n)
{
	if (v->kind == VALUE_SCALAR && v->type.dtype == DTYPE_BOOL)
		UNSUPPORTED(l, at, "use if, or np.where", "a bool is not an index");
	struct ir_expr *i = stable(l, as_int64(l, at, v, "an index"));
	struct ir_expr *wrapped = stable(l, choose(l, int_compare(l, IR_LT, i, int_const(l, 0)), int_op(l, IR_ADD, i, n), i));
	struct ir_expr *good = either(l, IR_BITAND, int_compare(l, IR_GE, wrapped, int_const(l, 0)), int_compare(l, IR_LT, wrapped, n));
	emit_check(l, good, KERNEL_INDEX, i, n);
	return wrapped;
}

static void expand_ellipsis(struct lowering *l, struct place at, unsigned rank, struct value ***indices, uint32_t *n)
{
	uint32_t axes = 0, at_ellipsis = UINT32_MAX;
	for (uint32_t i = 0; i < *n; i++) {
		if ((*indices)[i]->kind == VALUE_ELLIPSIS && at_ellipsis != UINT32_MAX)
			INVALID(l, at, NULL, "an index can only have a single ellipsis");
		if ((*indices)[i]->kind == VALUE_ELLIPSIS)
			at_ellipsis = i;
		else if ((*indices)[i]->kind != VALUE_NONE)
			axes++;
	}
	if (axes > rank)
		INVALID(l, at, NULL, "too many indices: the array has %u dimensions, but %u were indexed", rank, axes);
	if (at_ellipsis == UINT32_MAX)
		at_ellipsis = *n;
	struct value **all = lower_alloc(l, (*n + rank + 1) * sizeof *all);
	uint32_t count = 0;
	for (uint32_t i = 0; i <= *n; i++) {
		for (uint32_t k = 0; i == at_ellipsis && k < rank - axes; k++) {
			all[count] = value_new(l, VALUE_SLICE);
			all[count++]->items = lower_alloc(l, 3 * sizeof(struct value *));
		}
		if (i < *n && i != at_ellipsis)
			all[count++] = (*indices)[i];
	}
	*indices = all;
	*n = count;
}

struct value *view_index(struct lowering *l, struct place at, struct value *array, struct value **indices, uint32_t n)
{
	uint32_t from = array->slot;
	unsigned axis = 0, rank = 0;
	expand_ellipsis(l, at, array->rank, &indices, &n);
	struct ir_expr *index[IR_MAX_RANK], *shape[IR_MAX_RANK], *step[IR_MAX_RANK];
	int from_axis[IR_MAX_RANK];
	bool scalars = true, contiguous = l->f->arrays[from].contiguous, whole = true;
	for (uint32_t i = 0; i < n; i++)
		scalars &= indices[i]->kind == VALUE_SCALAR && indices[i]->type.dtype != DTYPE_BOOL;
	if (scalars && n == array->rank) {
		for (uint32_t i = 0; i < n; i++)
			index[i] = as_int64(l, at, indices[i], "an index");
		struct ir_expr *e = lower_need(l, ir_load(l->f, from, index, l->line));
		return value_scalar(l, e, false);
	}
	for (uint32_t i = 0; i < n; i++) {
		struct value *v = indices[i];
		if (rank == IR_MAX_RANK)
			UNSUPPORTED(l, at, NULL, "arrays have at most %d dimensions", IR_MAX_RANK);
		if (v->kind == VALUE_NONE) {
			shape[rank] = int_const(l, 1);
			step[rank] = NULL;
			from_axis[rank++] = -1;
			whole = false;
			continue;
		}
		struct ir_expr *len = length(l, from, axis);
		if (value_is_array(v) || v->kind == VALUE_TUPLE)
			UNSUPPORTED(l, at, "write a loop over the indices, or np.where", "indexing with %s is not in the language", value_describe(l, v));
		if (v->kind != VALUE_SLICE) {
			index[axis++] = checked_index(l, at, v, len);
			contiguous &= rank == 0;
			whole = false;
			continue;
		}
		struct slice s = lower_slice(l, at, v, len);
		index[axis] = s.start;
		shape[rank] = s.length;
		step[rank] = s.unit ? NULL : s.step;
		from_axis[rank++] = (int)axis++;
		contiguous &= s.whole || (s.unit && rank == 1);
		whole &= s.whole;
	}
	uint32_t view = new_slot(l, l->f->arrays[from].dtype, rank, l->f->arrays[from].root, whole ? l->facts[from].shape_id : 0);
	struct ir_stmt *s = emit_view(l, view, from);
	memcpy(s->offset, index, axis * sizeof *index);
	memcpy(s->shape, shape, rank * sizeof *shape);
	memcpy(s->step, step, rank * sizeof *step);
	memcpy(s->from_axis, from_axis, rank * sizeof *from_axis);
	l->f->arrays[view].contiguous = contiguous;
	return value_array(l, view);
}

/* --- flat copies --- */

static void store_flat(struct lowering *l, struct value **values, struct ir_expr **index, void *arg)
{
	const struct target *t = arg;
	const struct value *array = values[1];
	struct ir_expr *at = int_const(l, 0);
	for (unsigned k = 0; k < t->rank; k++)
		at = int_op(l, IR_ADD, k ? int_op(l, IR_MUL, at, length(l, array->slot, k)) : at, index[k]);
	if (t->rank)
		at = stable(l, at);
	emit_store(l, t->slot, &at, element(l, values[0], index, t->rank), true);
}

struct value *view_flat(struct lowering *l, struct place at, struct value *v)
{
	v = materialise(l, at, v);
	if (v->rank == 1)
		return v;
	struct ir_expr *n = stable(l, array_size(l, v));
	struct target t = { new_slot(l, l->f->arrays[v->slot].dtype, 1, fresh_id(l), 0), v->rank };
	struct nest nest = { .rank = v->rank, .shape_id = l->facts[v->slot].shape_id };
	struct value *pair[2] = { v, v };
	emit_alloc(l, t.slot, &n, false);
	for (unsigned k = 0; k < nest.rank; k++)
		nest.shape[k] = length(l, v->slot, k);
	for_each(l, at, &nest, pair, 2, store_flat, &t);
	return value_array(l, t.slot);
}
