/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Values of the lowering, and the small pieces of IR that everything is built of.
 */
#include "kernels/compiler/lower_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void lower_fail(struct lowering *l, struct place at, enum status status, const char *hint, const char *format, ...)
{
	char text[256];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (!at.line)
		at.line = l->line;
	l->status = source_error(l->source, at, status, l->error, hint, "%s", text);
	longjmp(l->leave, 1);
}

/* One step of the lowering builds far less than the reserve before it looks again, so that builders never meet an empty arena inside. */
enum { RESERVE = 256 << 10 };

void *lower_need(struct lowering *l, void *p)
{
	if (!p || l->arena->failed || l->arena->budget - l->arena->used < RESERVE)
		lower_fail(l, (struct place){ 0 }, STATUS_TOO_LARGE, "split it into smaller kernels, or raise compiler.memory_bytes",
			   "the program is too large to compile: it needs more than %zu bytes of compiler memory", l->arena->budget);
	return p;
}

void *lower_alloc(struct lowering *l, size_t nbytes)
{
	return lower_need(l, arena_alloc(l->arena, nbytes));
}

struct value *value_new(struct lowering *l, enum value_kind kind)
{
	struct value *v = NEW(l, struct value);
	v->kind = kind;
	return v;
}

struct value *value_scalar(struct lowering *l, struct ir_expr *e, bool weak)
{
	struct value *v = value_new(l, VALUE_SCALAR);
	v->expr = lower_need(l, e);
	v->type = (struct type){ e->dtype, weak };
	return v;
}

struct value *value_int(struct lowering *l, int64_t i)
{
	return value_scalar(l, int_const(l, i), false);
}

struct value *value_array(struct lowering *l, uint32_t slot)
{
	struct value *v = value_new(l, VALUE_ARRAY);
	enum dtype dtype = l->f->arrays[slot].dtype;
	v->slot = slot;
	v->type = (struct type){ dtype == DTYPE_F16 ? DTYPE_F32 : dtype, false };
	v->rank = l->f->arrays[slot].rank;
	return v;
}

struct value *value_tuple(struct lowering *l, struct value **items, uint32_t n)
{
	struct value *v = value_new(l, VALUE_TUPLE);
	v->items = lower_alloc(l, (n + 1) * sizeof *items);
	if (n)
		memcpy(v->items, items, n * sizeof *items);
	v->nitems = n;
	return v;
}

const char *value_describe(struct lowering *l, const struct value *v)
{
	static const char *const words[] = {
		[VALUE_NONE] = "None", [VALUE_TUPLE] = "a tuple", [VALUE_RANGE] = "a range", [VALUE_ZIP] = "zip(...)", [VALUE_ENUMERATE] = "enumerate(...)",
		[VALUE_FUNCTION] = "a function", [VALUE_LIBRARY] = "a function or module", [VALUE_METHOD] = "a method", [VALUE_DTYPE] = "a dtype",
		[VALUE_STRING] = "a string", [VALUE_SLICE] = "a slice", [VALUE_ELLIPSIS] = "...",
	};
	char *text = lower_alloc(l, 64);
	if (v->kind == VALUE_SCALAR)
		snprintf(text, 64, "a %s", dtype_numpy_name(v->type.dtype));
	else if (value_is_array(v))
		snprintf(text, 64, "a %u-dimensional %s array", v->rank, dtype_numpy_name(v->type.dtype));
	else
		return words[v->kind];
	return text;
}

bool value_is_array(const struct value *v)
{
	return v->kind == VALUE_ARRAY || v->kind == VALUE_LAZY;
}

bool value_is_number(const struct value *v)
{
	return v->kind == VALUE_SCALAR || value_is_array(v);
}

bool value_constant_int(const struct value *v, int64_t *out)
{
	if (v->kind != VALUE_SCALAR || v->expr->kind != IR_CONST || !(dtype_is_integer(v->type.dtype) || v->type.dtype == DTYPE_BOOL))
		return false;
	*out = v->expr->constant.i;
	return v->type.dtype != DTYPE_U64 || v->expr->constant.i >= 0;
}

uint32_t fresh_id(struct lowering *l)
{
	return ++l->next_id;
}

uint32_t new_slot(struct lowering *l, enum dtype dtype, unsigned rank, uint32_t root, uint32_t shape_id)
{
	uint32_t slot = ir_new_array(l->f, dtype, rank, "", 0);
	if (slot == IR_NONE)
		lower_need(l, NULL);
	l->f->arrays[slot].root = root;
	if (slot >= l->nfacts) {
		uint32_t n = slot < 32 ? 64 : 2 * slot;
		struct slot_facts *more = lower_alloc(l, n * sizeof *more);
		if (l->nfacts)
			memcpy(more, l->facts, l->nfacts * sizeof *more);
		l->facts = more;
		l->nfacts = n;
	}
	l->facts[slot].shape_id = shape_id ? shape_id : fresh_id(l);
	return slot;
}

/* --- statements --- */

struct ir_stmt *emit(struct lowering *l, enum ir_stmt_kind kind)
{
	struct ir_stmt *s = lower_need(l, ir_append(l->f, l->block, kind, l->line));
	s->array = s->array ? s->array : 0;
	return s;
}

void emit_set(struct lowering *l, uint32_t local, struct ir_expr *e)
{
	struct ir_stmt *s = emit(l, IR_SET);
	s->local = local;
	s->a = lower_need(l, e);
}

void emit_check(struct lowering *l, struct ir_expr *good, enum kernel_error_code code, struct ir_expr *v0, struct ir_expr *v1)
{
	if (good->kind == IR_CONST && good->constant.i)
		return;
	struct ir_stmt *s = emit(l, IR_CHECK);
	s->a = good;
	s->b = v0;
	s->c = v1;
	s->code = code;
	s->array = IR_NONE;
}

struct ir_stmt *emit_alloc(struct lowering *l, uint32_t slot, struct ir_expr **shape, bool zero)
{
	unsigned rank = l->f->arrays[slot].rank;
	struct ir_stmt *s = emit(l, IR_ALLOC);
	s->array = slot;
	s->zero = zero;
	s->shape = lower_alloc(l, IR_MAX_RANK * sizeof *s->shape);
	for (unsigned k = 0; k < rank; k++)
		s->shape[k] = shape[k];
	l->f->arrays[slot].contiguous = true;
	return s;
}

struct ir_stmt *emit_view(struct lowering *l, uint32_t view, uint32_t from)
{
	struct ir_stmt *s = emit(l, IR_VIEW);
	s->array = view;
	s->from = from;
	s->offset = lower_alloc(l, IR_MAX_RANK * sizeof *s->offset);
	s->shape = lower_alloc(l, IR_MAX_RANK * sizeof *s->shape);
	s->step = lower_alloc(l, IR_MAX_RANK * sizeof *s->step);
	s->from_axis = lower_alloc(l, IR_MAX_RANK * sizeof *s->from_axis);
	return s;
}

static uint8_t *flags_in_bounds(struct lowering *l, unsigned rank)
{
	uint8_t *flags = lower_alloc(l, rank + 1);
	memset(flags, IR_INDEX_IN_BOUNDS | IR_INDEX_NONNEGATIVE, rank);
	return flags;
}

struct ir_stmt *emit_store(struct lowering *l, uint32_t slot, struct ir_expr **index, struct ir_expr *e, bool in_bounds)
{
	unsigned rank = l->f->arrays[slot].rank;
	struct ir_stmt *s = emit(l, IR_STORE);
	s->array = slot;
	s->a = e;
	s->index = lower_alloc(l, (rank + 1) * sizeof *s->index);
	if (rank)
		memcpy(s->index, index, rank * sizeof *index);
	s->index_flags = in_bounds ? flags_in_bounds(l, rank) : lower_alloc(l, rank + 1);
	return s;
}

struct ir_expr *load_in_bounds(struct lowering *l, uint32_t slot, struct ir_expr **index)
{
	struct ir_expr *e = lower_need(l, ir_load(l->f, slot, index, l->line));
	e->index_flags = flags_in_bounds(l, l->f->arrays[slot].rank);
	return e;
}

struct ir_loop *emit_for(struct lowering *l, struct ir_expr *trips, uint32_t *var, struct ir_block **body)
{
	struct ir_stmt *s = emit(l, IR_FOR);
	*var = ir_new_local(l->f, DTYPE_I64, "", 0);
	s->local = *var;
	s->a = int_const(l, 0);
	s->b = trips;
	s->c = int_const(l, 1);
	s->body = lower_need(l, ir_block_new(l->f));
	s->loop = lower_need(l, ir_loop_new(l->f));
	s->loop->generated = true;
	*body = s->body;
	return s->loop;
}

/* --- expressions --- */

struct ir_expr *int_const(struct lowering *l, int64_t v)
{
	return lower_need(l, ir_const_int(l->f, DTYPE_I64, v));
}

static bool fold(enum ir_op op, int64_t a, int64_t b, int64_t *out)
{
	switch (op) {
	case IR_ADD: return !__builtin_add_overflow(a, b, out);
	case IR_SUB: return !__builtin_sub_overflow(a, b, out);
	case IR_MUL: return !__builtin_mul_overflow(a, b, out);
	case IR_MAXIMUM: *out = a > b ? a : b; return true;
	case IR_MINIMUM: *out = a < b ? a : b; return true;
	default: return false;
	}
}

struct ir_expr *int_op(struct lowering *l, enum ir_op op, struct ir_expr *a, struct ir_expr *b)
{
	int64_t v;
	if (a->kind == IR_CONST && b->kind == IR_CONST && fold(op, a->constant.i, b->constant.i, &v))
		return int_const(l, v);
	if (b->kind == IR_CONST && ((b->constant.i == 0 && (op == IR_ADD || op == IR_SUB)) || (b->constant.i == 1 && op == IR_MUL)))
		return a;
	return lower_need(l, ir_binary(l->f, op, DTYPE_I64, a, b));
}

struct ir_expr *int_compare(struct lowering *l, enum ir_op op, struct ir_expr *a, struct ir_expr *b)
{
	bool same = a == b || (a->kind == IR_SHAPE && b->kind == IR_SHAPE && a->array == b->array && a->axis == b->axis);
	if (same)
		return lower_need(l, ir_const_int(l->f, DTYPE_BOOL, op == IR_EQ || op == IR_LE || op == IR_GE));
	return lower_need(l, ir_binary(l->f, op, DTYPE_BOOL, a, b));
}

struct ir_expr *stable(struct lowering *l, struct ir_expr *e)
{
	if (e->kind == IR_CONST || (e->kind == IR_LOCAL && l->f->locals[e->local].name.nbytes == 0))
		return e;
	uint32_t local = ir_new_local(l->f, e->dtype, "", 0);
	emit_set(l, local, e);
	return lower_need(l, ir_local(l->f, local));
}

struct value *settle(struct lowering *l, struct value *v)
{
	struct value *copy;
	if (v->kind == VALUE_SCALAR)
		return value_scalar(l, stable(l, v->expr), v->type.weak);
	if (v->kind == VALUE_LAZY)
		return materialise(l, (struct place){ 0 }, v);
	if (v->kind != VALUE_TUPLE && v->kind != VALUE_RANGE && v->kind != VALUE_SLICE && v->kind != VALUE_ZIP && v->kind != VALUE_ENUMERATE)
		return v;
	copy = NEW(l, struct value);
	*copy = *v;
	copy->items = lower_alloc(l, (v->nitems + 1) * sizeof *copy->items);
	for (uint32_t i = 0; i < v->nitems; i++)
		copy->items[i] = v->items[i] ? settle(l, v->items[i]) : NULL;
	return copy;
}

struct ir_expr *cast_scalar(struct lowering *l, struct place at, struct value *v, enum dtype to, bool checked)
{
	return apply_cast(l, at, v, to, checked)->expr;
}

struct ir_expr *as_int64(struct lowering *l, struct place at, struct value *v, const char *what)
{
	if (v->kind != VALUE_SCALAR || !(dtype_is_integer(v->type.dtype) || v->type.dtype == DTYPE_BOOL))
		INVALID(l, at, "use int(...)", "%s must be an integer, not %s", what, value_describe(l, v));
	return lower_need(l, ir_cast(l->f, DTYPE_I64, v->expr, false));
}

struct ir_expr *as_bool(struct lowering *l, struct place at, struct value *v)
{
	if (v->kind == VALUE_NONE)
		return lower_need(l, ir_const_int(l->f, DTYPE_BOOL, 0));
	if (v->kind != VALUE_SCALAR)
		INVALID(l, at, "use .any() or .all(), or compare one element", "the truth of %s is not defined", value_describe(l, v));
	return apply_truth(l, at, v)->expr;
}
