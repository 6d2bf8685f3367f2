/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Reductions of array expressions, over all axes or some, fused with what they reduce. Sums of floats are kept in float64, of integers in 64 bits;
 * extremes are NaN if an element is; chunks are joined in a fixed order (ir.h), so the bits do not depend on threads.
 */
#include "kernels/compiler/lower_private.h"

#include <math.h>
#include <string.h>

enum { TILE = 512 };             /* columns that are reduced together down the rows: they stay in the first cache */

struct reducer {
	enum ir_op op;
	enum ir_reduction_kind kind;
	enum dtype dtype;        /* of the accumulator */
	bool from_first;         /* starts at the first element */
	int64_t start;
	uint32_t local, slot;
	bool axes[IR_MAX_RANK];
	unsigned rank;           /* of what is reduced */
};

/* --- axes --- */

unsigned reduce_axis(struct lowering *l, struct place at, struct value *axis, unsigned rank)
{
	int64_t i;
	if (!value_constant_int(axis, &i))
		UNSUPPORTED(l, at, "write the number of the axis", "axis must be a constant integer");
	if (i < -(int64_t)rank || i >= (int64_t)rank)
		INVALID(l, at, NULL, "axis %lld is out of bounds for an array of %u dimensions", (long long)i, rank);
	return (unsigned)(i < 0 ? i + rank : i);
}

static unsigned parse_axes(struct lowering *l, struct place at, struct value *axis, unsigned rank, bool *axes)
{
	unsigned count = 0;
	memset(axes, 0, IR_MAX_RANK * sizeof *axes);
	if (!axis || axis->kind == VALUE_NONE) {
		memset(axes, 1, rank * sizeof *axes);
		return rank;
	}
	struct value **items = axis->kind == VALUE_TUPLE ? axis->items : &axis;
	for (uint32_t i = 0; i < (axis->kind == VALUE_TUPLE ? axis->nitems : 1); i++, count++) {
		unsigned k = reduce_axis(l, at, items[i], rank);
		if (axes[k])
			INVALID(l, at, NULL, "axis %u is named twice", k);
		axes[k] = true;
	}
	return count;
}

/* An expression whose arrays all have one shape; others are computed into memory first. */
static struct value *one_shape(struct lowering *l, struct place at, struct value *v, struct nest *nest)
{
	*nest = broadcast(l, at, &v, 1);
	bool direct = v->kind == VALUE_ARRAY || nest->shape[0]->kind == IR_SHAPE;
	if (direct)
		return v;
	v = materialise(l, at, v);
	*nest = broadcast(l, at, &v, 1);
	return v;
}

/* --- all axes --- */

static struct ir_expr *combine(struct lowering *l, const struct reducer *r, struct ir_expr *acc, struct ir_expr *e)
{
	return lower_need(l, ir_binary(l->f, r->op, r->dtype, acc, e));
}

static void accumulate(struct lowering *l, struct value **values, struct ir_expr **index, void *arg)
{
	const struct reducer *r = arg;
	emit_set(l, r->local, combine(l, r, ir_local(l->f, r->local), element(l, values[0], index, r->rank)));
}

static struct ir_expr *constant(struct lowering *l, const struct reducer *r)
{
	return lower_need(l, dtype_is_integer(r->dtype) || r->dtype == DTYPE_BOOL ? ir_const_int(l->f, r->dtype, r->start)
									      : ir_const_real(l->f, r->dtype, (double)r->start));
}

static void check_not_empty(struct lowering *l, const struct nest *nest, const bool *axes)
{
	for (unsigned d = 0; d < nest->rank; d++)
		if (axes[d])
			emit_check(l, int_compare(l, IR_NE, nest->shape[d], int_const(l, 0)), KERNEL_EMPTY, NULL, NULL);
}

/* The greatest or least value of the type: what an extreme starts with, so that the only elements read are those in the loop. */
static struct ir_expr *worst(struct lowering *l, const struct reducer *r)
{
	bool max = r->op == IR_MAXIMUM;
	if (dtype_is_float(r->dtype))
		return lower_need(l, ir_const_real(l->f, r->dtype, max ? -INFINITY : INFINITY));
	int64_t v = r->dtype == DTYPE_BOOL ? !max : max ? dtype_min(r->dtype) : r->dtype == DTYPE_U64 ? -1 : dtype_max(r->dtype);
	return lower_need(l, ir_const_int(l->f, r->dtype, v));
}

static struct value *reduce_all(struct lowering *l, struct place at, struct value *v, struct reducer *r)
{
	struct nest nest = broadcast(l, at, &v, 1);
	r->rank = nest.rank;
	r->local = ir_new_local(l->f, r->dtype, "", 0);
	if (r->from_first)
		check_not_empty(l, &nest, r->axes);
	emit_set(l, r->local, r->from_first ? worst(l, r) : constant(l, r));
	struct ir_reduction *reduction = NEW(l, struct ir_reduction);
	*reduction = (struct ir_reduction){ .kind = r->kind, .local = r->local, .written = IR_NONE };
	l->reductions = reduction;
	l->nreductions = 1;
	for_each(l, at, &nest, &v, 1, accumulate, r);
	l->reductions = NULL;
	l->nreductions = 0;
	return value_scalar(l, ir_local(l->f, r->local), false);
}

/* --- some axes --- */

static unsigned kept(const struct reducer *r, struct ir_expr **index, struct ir_expr **out)
{
	unsigned n = 0;
	for (unsigned d = 0; d < r->rank; d++)
		if (!r->axes[d])
			out[n++] = index[d];
	return n;
}

/* Loops over axes [from, to) that are (not) reduced; leaves l->block inside. */
static void open_loops(struct lowering *l, const struct nest *nest, const struct reducer *r, unsigned from, unsigned to, int which, struct ir_expr **index,
		       bool *parallel)
{
	for (unsigned d = from; d < to; d++) {
		struct ir_block *inside;
		uint32_t var;
		if (which >= 0 && r->axes[d] != which)
			continue;
		struct ir_loop *loop = emit_for(l, nest->shape[d], &var, &inside);
		loop->parallel = *parallel;
		*parallel = false;
		index[d] = lower_need(l, ir_local(l->f, var));
		l->block = inside;
	}
}

static void store_start(struct lowering *l, const struct nest *nest, const struct reducer *r)
{
	struct ir_block *around = l->block;
	struct ir_expr *index[IR_MAX_RANK], *out[IR_MAX_RANK];
	bool parallel = true;
	for (unsigned d = 0; d < r->rank; d++)
		index[d] = int_const(l, 0);
	open_loops(l, nest, r, 0, r->rank, false, index, &parallel);
	kept(r, index, out);
	emit_store(l, r->slot, out, r->from_first ? worst(l, r) : constant(l, r), true);
	l->block = around;
}

/* The reduced axes are the last ones: each result is a sum of its own. */
static void reduce_inner(struct lowering *l, const struct nest *nest, struct value *v, struct reducer *r)
{
	struct ir_block *around = l->block;
	struct ir_expr *index[IR_MAX_RANK], *out[IR_MAX_RANK];
	bool parallel = true, no = false;
	open_loops(l, nest, r, 0, r->rank, false, index, &parallel);
	for (unsigned d = 0; d < r->rank; d++)
		if (r->axes[d])
			index[d] = int_const(l, 0);
	r->local = ir_new_local(l->f, r->dtype, "", 0);
	emit_set(l, r->local, r->from_first ? worst(l, r) : constant(l, r));
	struct ir_block *outer = l->block;
	struct ir_reduction *reduction = NEW(l, struct ir_reduction);
	*reduction = (struct ir_reduction){ .kind = r->kind, .local = r->local, .written = IR_NONE };
	uint32_t first = outer->count;
	open_loops(l, nest, r, 0, r->rank, true, index, &no);
	for (struct ir_stmt *s = outer->items[first]; s && s->kind == IR_FOR; s = s->body->count ? s->body->items[0] : NULL) {
		s->loop->reductions = reduction;
		s->loop->nreductions = 1;
	}
	accumulate(l, &v, index, r);
	l->block = outer;
	kept(r, index, out);
	emit_store(l, r->slot, out, ir_local(l->f, r->local), true);
	l->block = around;
}

/* A later axis is kept: rows are added to rows of results, in tiles of columns if nothing else can run apart. */
static void reduce_rows(struct lowering *l, const struct nest *nest, struct value *v, struct reducer *r)
{
	struct ir_block *around = l->block;
	struct ir_expr *index[IR_MAX_RANK], *out[IR_MAX_RANK];
	unsigned lead = 0, last = r->rank - 1;
	bool parallel = true, tiles;
	while (!r->axes[lead])
		lead++;
	tiles = lead == 0 && !r->axes[last];
	open_loops(l, nest, r, 0, lead, -1, index, &parallel);
	struct ir_expr *begin = NULL, *columns = NULL;
	if (tiles) {
		uint32_t tile;
		struct ir_block *inside;
		struct ir_expr *n = int_op(l, IR_ADD, nest->shape[last], int_const(l, TILE - 1));
		emit_for(l, lower_need(l, ir_binary(l->f, IR_FLOORDIV, DTYPE_I64, n, int_const(l, TILE))), &tile, &inside)->parallel = true;
		l->block = inside;
		parallel = false;
		begin = stable(l, int_op(l, IR_MUL, ir_local(l->f, tile), int_const(l, TILE)));
		columns = stable(l, int_op(l, IR_MINIMUM, int_op(l, IR_SUB, nest->shape[last], begin), int_const(l, TILE)));
	}
	parallel = false;
	open_loops(l, nest, r, lead, last, -1, index, &parallel);
	struct nest inner = *nest;
	if (tiles)
		inner.shape[last] = columns;
	open_loops(l, &inner, r, last, r->rank, -1, index, &parallel);
	if (tiles)
		index[last] = int_op(l, IR_ADD, begin, index[last]);
	kept(r, index, out);
	emit_store(l, r->slot, out, combine(l, r, load_in_bounds(l, r->slot, out), element(l, v, index, r->rank)), true);
	l->block = around;
}

static struct value *reduce_some(struct lowering *l, struct place at, struct value *v, struct reducer *r)
{
	struct nest nest;
	struct ir_expr *shape[IR_MAX_RANK];
	v = one_shape(l, at, v, &nest);
	r->rank = nest.rank;
	if (r->from_first)
		check_not_empty(l, &nest, r->axes);
	unsigned rank = kept(r, nest.shape, shape);
	bool inner = true;
	for (unsigned d = 1; d < r->rank; d++)
		inner &= r->axes[d] || !r->axes[d - 1];
	r->slot = new_slot(l, r->dtype, rank, fresh_id(l), 0);
	emit_alloc(l, r->slot, shape, false);
	if (inner) {
		reduce_inner(l, &nest, v, r);
	} else {
		store_start(l, &nest, r);
		reduce_rows(l, &nest, v, r);
	}
	return value_array(l, r->slot);
}

/* The result with the reduced axes again, of length 1. */
static struct value *keep_dimensions(struct lowering *l, struct place at, struct value *v, const struct reducer *r, unsigned rank)
{
	if (v->kind == VALUE_SCALAR) {
		struct ir_expr *shape[IR_MAX_RANK], *index[IR_MAX_RANK];
		uint32_t slot = new_slot(l, v->type.dtype, rank, fresh_id(l), 0);
		for (unsigned d = 0; d < rank; d++) {
			shape[d] = int_const(l, 1);
			index[d] = int_const(l, 0);
		}
		emit_alloc(l, slot, shape, false);
		emit_store(l, slot, index, v->expr, true);
		return value_array(l, slot);
	}
	struct value *indices[IR_MAX_RANK];
	for (unsigned d = 0; d < rank; d++) {
		indices[d] = value_new(l, r->axes[d] ? VALUE_NONE : VALUE_SLICE);
		indices[d]->items = lower_alloc(l, 3 * sizeof(struct value *));
	}
	return view_index(l, at, materialise(l, at, v), indices, rank);
}

static struct value *run(struct lowering *l, struct place at, struct value *v, struct value *axis, bool keepdims, struct reducer *r)
{
	unsigned rank = v->rank, count = parse_axes(l, at, axis, rank, r->axes);
	v = apply_cast(l, at, v, r->dtype, false);
	if (!count)
		return v;
	struct value *result = count == rank ? reduce_all(l, at, v, r) : reduce_some(l, at, v, r);
	return keepdims ? keep_dimensions(l, at, result, r, rank) : result;
}

/* --- by name --- */

static struct value *total(struct lowering *l, struct place at, struct value *v, bool product, struct value *axis, bool keepdims, enum dtype acc)
{
	struct reducer r = { .op = product ? IR_MUL : IR_ADD, .kind = product ? IR_REDUCE_PROD : IR_REDUCE_SUM, .dtype = acc, .start = product };
	return run(l, at, v, axis, keepdims, &r);
}

static struct value *extreme(struct lowering *l, struct place at, struct value *v, bool max, struct value *axis, bool keepdims)
{
	if (dtype_is_complex(v->type.dtype))
		INVALID(l, at, "use abs(...)", "complex numbers have no order");
	struct reducer r = { .op = max ? IR_MAXIMUM : IR_MINIMUM, .kind = max ? IR_REDUCE_MAX : IR_REDUCE_MIN, .dtype = v->type.dtype, .from_first = true };
	return run(l, at, v, axis, keepdims, &r);
}

static struct value *truth(struct lowering *l, struct place at, struct value *v, bool all, struct value *axis, bool keepdims)
{
	struct reducer r = { .op = all ? IR_BITAND : IR_BITOR, .kind = all ? IR_REDUCE_AND : IR_REDUCE_OR, .dtype = DTYPE_BOOL, .start = all };
	return run(l, at, apply_truth(l, at, v), axis, keepdims, &r);
}

static struct value *reduced_count(struct lowering *l, struct place at, struct value *v, struct value *axis)
{
	bool axes[IR_MAX_RANK];
	struct nest nest = broadcast(l, at, &v, 1);
	struct ir_expr *n = int_const(l, 1);
	parse_axes(l, at, axis, nest.rank, axes);
	for (unsigned d = 0; d < nest.rank; d++)
		if (axes[d])
			n = n->kind == IR_CONST ? nest.shape[d] : int_op(l, IR_MUL, n, nest.shape[d]);
	return value_scalar(l, stable(l, lower_need(l, ir_cast(l->f, DTYPE_F64, n, false))), true);
}

static struct value *mean(struct lowering *l, struct place at, struct value *v, struct value *axis, bool keepdims)
{
	enum dtype acc = dtype_is_complex(v->type.dtype) ? DTYPE_C128 : DTYPE_F64;
	struct value *n = reduced_count(l, at, v, axis);
	return apply_binary(l, at, AST_DIV, total(l, at, v, false, axis, keepdims, acc), n);
}

/* `small` (the reduced axes have length 1) as a view with v's shape, so that both fuse into one loop. */
static struct value *stretched_back(struct lowering *l, struct value *small, struct value *v, const bool *axes)
{
	uint32_t view = new_slot(l, l->f->arrays[small->slot].dtype, v->rank, l->f->arrays[small->slot].root, l->facts[v->slot].shape_id);
	struct ir_stmt *s = emit_view(l, view, small->slot);
	for (unsigned d = 0; d < v->rank; d++) {
		s->shape[d] = lower_need(l, ir_shape(l->f, v->slot, d));
		s->from_axis[d] = axes[d] ? -1 : (int)d;
	}
	return value_array(l, view);
}

static struct value *variance(struct lowering *l, struct place at, struct value *v, struct value *axis, bool keepdims, struct value *ddof)
{
	bool axes[IR_MAX_RANK];
	v = materialise(l, at, v);
	bool some = parse_axes(l, at, axis, v->rank, axes) < v->rank;
	struct value *n = reduced_count(l, at, v, axis), *square;
	if (ddof)
		n = apply_binary(l, at, AST_SUB, n, ddof);
	bool complex = dtype_is_complex(v->type.dtype);
	struct value *center = settle(l, mean(l, at, v, axis, some));
	if (some)
		center = stretched_back(l, center, v, axes);
	struct value *d = apply_binary(l, at, AST_SUB, apply_cast(l, at, v, complex ? DTYPE_C128 : DTYPE_F64, false), center);
	if (complex) {
		struct type real = { DTYPE_F64, false };
		struct value *re = apply_operate(l, IR_REAL, real, d, NULL), *im = apply_operate(l, IR_IMAG, real, d, NULL);
		square = apply_binary(l, at, AST_ADD, apply_binary(l, at, AST_MUL, re, re), apply_binary(l, at, AST_MUL, im, im));
	} else {
		square = apply_binary(l, at, AST_MUL, d, d);
	}
	return apply_binary(l, at, AST_DIV, total(l, at, square, false, axis, keepdims, DTYPE_F64), n);
}

/* --- places of extremes, as NumPy: the first NaN if there is one, else the first extreme --- */

static struct ir_expr *either(struct lowering *l, struct ir_expr *a, struct ir_expr *b)
{
	return lower_need(l, ir_binary(l->f, IR_BITOR, DTYPE_BOOL, a, b));
}

static struct ir_expr *is_extreme(struct lowering *l, struct ir_expr *e, struct ir_expr *best)
{
	struct ir_expr *equal = lower_need(l, ir_binary(l->f, IR_EQ, DTYPE_BOOL, e, best));
	/* Among NaN there is but one comparison: an extreme is NaN if any element is, and then the first NaN is its place. */
	return dtype_is_float(e->dtype) ? either(l, equal, lower_need(l, ir_unary(l->f, IR_ISNAN, DTYPE_BOOL, e))) : equal;
}

struct place_search {
	const struct nest *nest;
	struct ir_expr *best;
	uint32_t place;
};

static void lower_place(struct lowering *l, uint32_t place, struct ir_expr *hit, struct ir_expr *at)
{
	struct ir_expr *candidate = lower_need(l, ir_cond(l->f, hit, at, int_const(l, INT64_MAX)));
	emit_set(l, place, lower_need(l, ir_binary(l->f, IR_MINIMUM, DTYPE_I64, ir_local(l->f, place), candidate)));
}

static void search_place(struct lowering *l, struct value **values, struct ir_expr **index, void *arg)
{
	const struct place_search *s = arg;
	struct ir_expr *at = index[0];
	for (unsigned d = 1; d < s->nest->rank; d++)
		at = int_op(l, IR_ADD, int_op(l, IR_MUL, at, s->nest->shape[d]), index[d]);
	lower_place(l, s->place, is_extreme(l, element(l, values[0], index, s->nest->rank), s->best), at);
}

static struct ir_reduction *least(struct lowering *l, uint32_t local)
{
	struct ir_reduction *r = NEW(l, struct ir_reduction);
	*r = (struct ir_reduction){ .kind = IR_REDUCE_MIN, .local = local, .written = IR_NONE };
	return r;
}

static struct value *place_of_all(struct lowering *l, struct place at, struct value *v, bool max)
{
	v = materialise(l, at, v);
	struct nest nest = broadcast(l, at, &v, 1);
	struct value *best = settle(l, extreme(l, at, v, max, NULL, false));
	struct place_search s = { &nest, best->expr, ir_new_local(l->f, DTYPE_I64, "", 0) };
	emit_set(l, s.place, int_const(l, INT64_MAX));
	l->reductions = least(l, s.place);
	l->nreductions = 1;
	for_each(l, at, &nest, &v, 1, search_place, &s);
	l->reductions = NULL;
	l->nreductions = 0;
	return value_scalar(l, ir_local(l->f, s.place), false);
}

/* Rows of best elements and their places are kept; each row of v improves them. */
static struct value *place_by_rows(struct lowering *l, struct place at, struct value *v, bool max, unsigned k)
{
	struct nest nest;
	struct ir_block *around = l->block;
	struct ir_expr *index[IR_MAX_RANK], *out[IR_MAX_RANK], *shape[IR_MAX_RANK];
	v = one_shape(l, at, v, &nest);
	struct reducer r = { .rank = nest.rank, .op = max ? IR_MAXIMUM : IR_MINIMUM, .dtype = v->type.dtype, .from_first = true };
	r.axes[k] = true;
	check_not_empty(l, &nest, r.axes);
	unsigned rank = kept(&r, nest.shape, shape);
	struct value *best = extreme(l, at, v, max, value_int(l, k), false);
	uint32_t places = new_slot(l, DTYPE_I64, rank, fresh_id(l), 0);
	emit_alloc(l, places, shape, false);
	store_array(l, at, places, value_int(l, INT64_MAX));
	bool parallel = true;
	open_loops(l, &nest, &r, 0, k, -1, index, &parallel);
	parallel = false;
	open_loops(l, &nest, &r, k, nest.rank, -1, index, &parallel);
	kept(&r, index, out);
	struct ir_expr *hit = is_extreme(l, element(l, v, index, nest.rank), load_in_bounds(l, best->slot, out));
	struct ir_expr *candidate = lower_need(l, ir_cond(l->f, hit, index[k], int_const(l, INT64_MAX)));
	struct ir_expr *now = load_in_bounds(l, places, out);
	emit_store(l, places, out, lower_need(l, ir_binary(l->f, IR_MINIMUM, DTYPE_I64, now, candidate)), true);
	l->block = around;
	return value_array(l, places);
}

static struct value *place_in_rows(struct lowering *l, struct place at, struct value *v, bool max)
{
	struct nest nest;
	struct ir_block *around = l->block;
	struct ir_expr *index[IR_MAX_RANK], *shape[IR_MAX_RANK];
	v = one_shape(l, at, v, &nest);
	struct reducer r = { .rank = nest.rank };
	r.axes[nest.rank - 1] = true;
	check_not_empty(l, &nest, r.axes);
	unsigned rank = kept(&r, nest.shape, shape);
	struct value *best = extreme(l, at, v, max, value_int(l, -1), false);
	uint32_t places = new_slot(l, DTYPE_I64, rank, fresh_id(l), 0), place = ir_new_local(l->f, DTYPE_I64, "", 0), var;
	emit_alloc(l, places, shape, false);
	bool parallel = true;
	open_loops(l, &nest, &r, 0, rank, -1, index, &parallel);
	emit_set(l, place, int_const(l, INT64_MAX));
	struct ir_expr *row = stable(l, load_in_bounds(l, best->slot, index));
	struct ir_block *outside = l->block, *inside;
	struct ir_loop *loop = emit_for(l, nest.shape[rank], &var, &inside);
	loop->reductions = least(l, place);
	loop->nreductions = 1;
	l->block = inside;
	index[rank] = lower_need(l, ir_local(l->f, var));
	lower_place(l, place, is_extreme(l, element(l, v, index, nest.rank), row), index[rank]);
	l->block = outside;
	emit_store(l, places, index, lower_need(l, ir_local(l->f, place)), true);
	l->block = around;
	return value_array(l, places);
}

static struct value *extreme_place(struct lowering *l, struct place at, struct value *v, bool max, struct value *axis, bool keepdims)
{
	if (dtype_is_complex(v->type.dtype) || keepdims)
		UNSUPPORTED(l, at, NULL, "argmin and argmax take real numbers, and no keepdims");
	if (v->type.dtype == DTYPE_BOOL)
		v = apply_cast(l, at, v, DTYPE_U8, false);
	v = materialise(l, at, v);
	if (!axis || axis->kind == VALUE_NONE)
		return place_of_all(l, at, v, max);
	unsigned k = reduce_axis(l, at, axis, v->rank);
	if (v->rank == 1)
		return place_of_all(l, at, v, max);
	return k + 1 == v->rank ? place_in_rows(l, at, v, max) : place_by_rows(l, at, v, max, k);
}

struct value *reduce(struct lowering *l, struct place at, enum reduce_name op, struct value *v, struct value *axis, bool keepdims, struct value *ddof,
		     enum dtype dtype)
{
	enum dtype real = dtype_real(v->type.dtype), sum = dtype_sum(v->type.dtype);
	if (!value_is_array(v))
		INVALID(l, at, NULL, "a reduction needs an array, not %s", value_describe(l, v));
	switch (op) {
	case REDUCE_SUM:
	case REDUCE_PROD:
		if (dtype != DTYPE_NONE)
			v = apply_cast(l, at, v, dtype, false);
		v = total(l, at, v, op == REDUCE_PROD, axis, keepdims, dtype_accumulator(v->type.dtype));
		return apply_cast(l, at, v, dtype != DTYPE_NONE ? dtype : sum, false);
	case REDUCE_MIN:
	case REDUCE_MAX: return extreme(l, at, v, op == REDUCE_MAX, axis, keepdims);
	case REDUCE_ANY:
	case REDUCE_ALL: return truth(l, at, v, op == REDUCE_ALL, axis, keepdims);
	case REDUCE_MEAN:
		v = mean(l, at, v, axis, keepdims);
		return sum == DTYPE_F32 || sum == DTYPE_C64 ? apply_cast(l, at, v, sum, false) : v;
	case REDUCE_VAR:
	case REDUCE_STD:
		v = variance(l, at, v, axis, keepdims, ddof);
		if (op == REDUCE_STD)
			v = apply_operate(l, IR_SQRT, v->type, v, NULL);
		return real == DTYPE_F32 ? apply_cast(l, at, v, DTYPE_F32, false) : v;
	case REDUCE_COUNT: return total(l, at, apply_truth(l, at, v), false, axis, keepdims, DTYPE_I64);
	default: return extreme_place(l, at, v, op == REDUCE_ARGMAX, axis, keepdims);
	}
}

/* --- running sums and products --- */

struct value *cumulate(struct lowering *l, struct place at, struct value *v, struct value *axis, enum ir_op op)
{
	enum dtype dtype = dtype_sum(v->type.dtype);
	struct ir_expr *index[IR_MAX_RANK], *previous[IR_MAX_RANK];
	if (!axis || axis->kind == VALUE_NONE) {
		v = view_flat(l, at, v);
		axis = value_int(l, 0);
	}
	unsigned rank = v->rank, k = reduce_axis(l, at, axis, rank);
	struct value *out = copy_array(l, at, apply_cast(l, at, v, dtype, false));
	struct ir_block *around = l->block;
	for (unsigned d = 0; d < rank; d++) {
		struct ir_block *inside;
		uint32_t var;
		struct ir_expr *n = lower_need(l, ir_shape(l->f, out->slot, d));
		emit_for(l, d == k ? int_op(l, IR_SUB, n, int_const(l, 1)) : n, &var, &inside);
		l->block = inside;
		previous[d] = lower_need(l, ir_local(l->f, var));
		index[d] = d == k ? int_op(l, IR_ADD, previous[d], int_const(l, 1)) : previous[d];
	}
	struct ir_expr *e = ir_binary(l->f, op, dtype, load_in_bounds(l, out->slot, previous), load_in_bounds(l, out->slot, index));
	emit_store(l, out->slot, index, lower_need(l, e), true);
	l->block = around;
	return out;
}

/* --- products of vectors and matrices --- */

static void check_inner(struct lowering *l, struct ir_expr *a, struct ir_expr *b)
{
	emit_check(l, int_compare(l, IR_EQ, a, b), KERNEL_SHAPE, a, b);
}

struct value *matrix_product(struct lowering *l, struct place at, struct value *a, struct value *b)
{
	struct type t = type_promote(a->type, b->type);
	if (!value_is_array(a) || !value_is_array(b))
		return apply_binary(l, at, AST_MUL, a, b);
	if (a->rank > 2 || b->rank > 2)
		UNSUPPORTED(l, at, NULL, "products of matrices take one or two dimensions");
	a = materialise(l, at, apply_cast(l, at, a, t.dtype, false));
	b = materialise(l, at, apply_cast(l, at, b, t.dtype, false));
	check_inner(l, ir_shape(l->f, a->slot, a->rank - 1), ir_shape(l->f, b->slot, 0));
	if (b->rank == 1)       /* rows of a, or a itself, times b: a sum along the last axis */
		return reduce(l, at, REDUCE_SUM, apply_binary(l, at, AST_MUL, a, b), value_int(l, -1), false, NULL, t.dtype);
	if (a->rank == 1)
		return matrix_product(l, at, view_transpose(l, b), a);
	struct ir_expr *shape[2] = { ir_shape(l->f, a->slot, 0), ir_shape(l->f, b->slot, 1) };
	uint32_t out = new_slot(l, t.dtype, 2, fresh_id(l), 0);
	emit_alloc(l, out, shape, true);
	struct ir_block *around = l->block, *inside;
	struct ir_expr *trips[3] = { shape[0], ir_shape(l->f, a->slot, 1), shape[1] }, *var[3];
	for (int d = 0; d < 3; d++) {
		uint32_t local;
		emit_for(l, trips[d], &local, &inside)->parallel = d == 0;
		l->block = inside;
		var[d] = lower_need(l, ir_local(l->f, local));
	}
	struct ir_expr *ij[2] = { var[0], var[2] }, *ik[2] = { var[0], var[1] }, *kj[2] = { var[1], var[2] };
	bool both = t.dtype == DTYPE_BOOL;
	struct ir_expr *product = ir_binary(l->f, both ? IR_BITAND : IR_MUL, t.dtype, load_in_bounds(l, a->slot, ik), load_in_bounds(l, b->slot, kj));
	struct ir_expr *e = ir_binary(l->f, both ? IR_BITOR : IR_ADD, t.dtype, load_in_bounds(l, out, ij), product);
	emit_store(l, out, ij, lower_need(l, e), true);
	l->block = around;
	return value_array(l, out);
}
