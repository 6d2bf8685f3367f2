/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Building the IR. A request the arena refuses gives NULL (or IR_NONE), and NULL operands give NULL nodes, so that the front end builds on
 * and looks at arena->failed once.
 */
#include "kernels/compiler/ir.h"
#include "kernels/compiler/types.h"

#include <complex.h>
#include <string.h>

/* An array of `count` elements that doubles in the arena; the old copy is left behind. */
static void *grow(struct arena *arena, void *items, uint32_t count, uint32_t *capacity, size_t size)
{
	if (count < *capacity)
		return items;
	if (count > UINT32_MAX / 4)
		return NULL;
	uint32_t wanted = count ? 2 * count : 8;
	void *larger = arena_alloc(arena, wanted * size);
	if (!larger)
		return NULL;
	if (count)
		memcpy(larger, items, count * size);
	*capacity = wanted;
	return larger;
}

/* --- expressions --- */

struct ir_expr *ir_expr_new(struct ir_function *f, enum ir_kind kind, enum dtype dtype, uint32_t line)
{
	struct ir_expr *e = ARENA_NEW(f->arena, struct ir_expr);
	if (!e)
		return NULL;
	e->kind = kind;
	e->dtype = dtype;
	e->line = line;
	e->local = e->array = IR_NONE;
	return e;
}

/* The value as the dtype holds it: cut to its width, extended again as union kernel_scalar says. */
static union kernel_scalar constant_int(enum dtype dtype, int64_t value)
{
	union kernel_scalar s;
	memset(&s, 0, sizeof s);
	unsigned unused = 64 - 8 * (unsigned)dtype_size(dtype);
	if (dtype == DTYPE_BOOL)
		s.i = value != 0;
	else if (dtype_is_signed(dtype))
		s.i = (int64_t)((uint64_t)value << unused) >> unused;
	else
		s.u = (uint64_t)value << unused >> unused;
	return s;
}

static bool is_real_or_complex(enum dtype d)
{
	return d == DTYPE_F32 || d == DTYPE_F64 || d == DTYPE_C64 || d == DTYPE_C128;
}

struct ir_expr *ir_const_int(struct ir_function *f, enum dtype dtype, int64_t value)
{
	if (is_real_or_complex(dtype))
		return ir_const_real(f, dtype, (double)value);
	struct ir_expr *e = ir_expr_new(f, IR_CONST, dtype, 0);
	if (e)
		e->constant = constant_int(dtype, value);
	return e;
}

struct ir_expr *ir_const_real(struct ir_function *f, enum dtype dtype, double value)
{
	if (!is_real_or_complex(dtype))
		return ir_const_int(f, dtype, (int64_t)value);
	struct ir_expr *e = ir_expr_new(f, IR_CONST, dtype, 0);
	if (!e)
		return NULL;
	if (dtype == DTYPE_F32)
		e->constant.f32 = (float)value;
	else if (dtype == DTYPE_F64)
		e->constant.f64 = value;
	else if (dtype == DTYPE_C64)
		e->constant.c64 = CMPLXF((float)value, 0);
	else
		e->constant.c128 = CMPLX(value, 0);
	return e;
}

struct ir_expr *ir_local(struct ir_function *f, uint32_t local)
{
	if (local >= f->nlocals)
		return NULL;
	struct ir_expr *e = ir_expr_new(f, IR_LOCAL, f->locals[local].dtype, 0);
	if (e)
		e->local = local;
	return e;
}

struct ir_expr *ir_shape(struct ir_function *f, uint32_t array, uint32_t axis)
{
	struct ir_expr *e = ir_expr_new(f, IR_SHAPE, DTYPE_I64, 0);
	if (!e)
		return NULL;
	e->array = array;
	e->axis = axis;
	return e;
}

struct ir_expr *ir_load(struct ir_function *f, uint32_t array, struct ir_expr **index, uint32_t line)
{
	if (array >= f->narrays)
		return NULL;
	enum dtype dtype = f->arrays[array].dtype;
	unsigned rank = f->arrays[array].rank;
	struct ir_expr *e = ir_expr_new(f, IR_LOAD, dtype == DTYPE_F16 ? DTYPE_F32 : dtype, line);
	if (!e)
		return NULL;
	for (unsigned k = 0; k < rank; k++)
		if (!index || !index[k])
			return NULL;
	e->array = array;
	e->index = rank ? arena_copy(f->arena, index, rank * sizeof *index) : NULL;
	e->index_flags = rank ? arena_alloc(f->arena, rank) : NULL;
	return rank && (!e->index || !e->index_flags) ? NULL : e;
}

struct ir_expr *ir_unary(struct ir_function *f, enum ir_op op, enum dtype dtype, struct ir_expr *a)
{
	struct ir_expr *e = a ? ir_expr_new(f, IR_OPERATE, dtype, a->line) : NULL;
	if (!e)
		return NULL;
	e->op = op;
	e->a = a;
	return e;
}

struct ir_expr *ir_binary(struct ir_function *f, enum ir_op op, enum dtype dtype, struct ir_expr *a, struct ir_expr *b)
{
	struct ir_expr *e = b ? ir_unary(f, op, dtype, a) : NULL;
	if (!e)
		return NULL;
	e->b = b;
	if (!e->line)
		e->line = b->line;
	return e;
}

struct ir_expr *ir_cast(struct ir_function *f, enum dtype dtype, struct ir_expr *a, bool checked)
{
	if (!a || a->dtype == dtype)
		return a;
	struct ir_expr *e = ir_expr_new(f, IR_CAST, dtype, a->line);
	if (!e)
		return NULL;
	e->a = a;
	e->checked = checked;
	return e;
}

struct ir_expr *ir_cond(struct ir_function *f, struct ir_expr *test, struct ir_expr *a, struct ir_expr *b)
{
	struct ir_expr *e = test && a && b ? ir_expr_new(f, IR_COND, a->dtype, test->line) : NULL;
	if (!e)
		return NULL;
	e->test = test;
	e->a = a;
	e->b = b;
	return e;
}

struct ir_expr *ir_call(struct ir_function *f, enum function function, enum dtype dtype, struct ir_expr *a, struct ir_expr *b)
{
	struct ir_expr *e = a && (b || functions[function].arity < 2) ? ir_expr_new(f, IR_CALL, dtype, a->line) : NULL;
	if (!e)
		return NULL;
	e->function = function;
	e->a = a;
	e->b = b;
	return e;
}

/* The left spine, which may be thousands of nodes deep, is walked; the rest recurs. */
struct ir_expr *ir_clone(struct ir_function *f, const struct ir_expr *e)
{
	struct ir_expr *first = NULL, **link = &first;
	for (; e; e = e->a) {
		struct ir_expr *copy = arena_copy(f->arena, e, sizeof *e);
		if (!copy)
			return NULL;
		*link = copy;
		link = &copy->a;
		if (e->b && !(copy->b = ir_clone(f, e->b)))
			return NULL;
		if (e->test && !(copy->test = ir_clone(f, e->test)))
			return NULL;
		unsigned rank = e->index && e->array < f->narrays ? f->arrays[e->array].rank : 0;
		if (!rank)
			continue;
		copy->index = arena_alloc(f->arena, rank * sizeof *copy->index);
		copy->index_flags = e->index_flags ? arena_copy(f->arena, e->index_flags, rank) : arena_alloc(f->arena, rank);
		if (!copy->index || !copy->index_flags)
			return NULL;
		for (unsigned k = 0; k < rank; k++)
			if (!(copy->index[k] = ir_clone(f, e->index[k])))
				return NULL;
	}
	return first;
}

/* --- slots --- */

static struct name_text name_copy(struct arena *arena, const char *name, size_t nbytes)
{
	struct name_text text = { "", 0 };
	char *copy = name && nbytes ? arena_copy(arena, name, nbytes) : NULL;
	if (copy)
		text = (struct name_text){ copy, nbytes };
	return text;
}

uint32_t ir_new_local(struct ir_function *f, enum dtype dtype, const char *name, size_t nbytes)
{
	struct ir_local *locals = grow(f->arena, f->locals, f->nlocals, &f->local_capacity, sizeof *locals);
	if (!locals)
		return IR_NONE;
	f->locals = locals;
	locals[f->nlocals] = (struct ir_local){ dtype, name_copy(f->arena, name, nbytes) };
	return f->nlocals++;
}

uint32_t ir_new_array(struct ir_function *f, enum dtype dtype, unsigned rank, const char *name, size_t nbytes)
{
	struct ir_array *arrays = grow(f->arena, f->arrays, f->narrays, &f->array_capacity, sizeof *arrays);
	if (!arrays)
		return IR_NONE;
	f->arrays = arrays;
	arrays[f->narrays] = (struct ir_array){ .dtype = dtype, .rank = rank, .name = name_copy(f->arena, name, nbytes) };
	return f->narrays++;
}

/* --- statements --- */

struct ir_block *ir_block_new(struct ir_function *f)
{
	return ARENA_NEW(f->arena, struct ir_block);
}

void ir_insert(struct ir_function *f, struct ir_block *b, uint32_t at, struct ir_stmt *s)
{
	if (!b || !s)
		return;
	struct ir_stmt **items = grow(f->arena, b->items, b->count, &b->capacity, sizeof(struct ir_stmt *));
	if (!items)
		return;
	b->items = items;
	if (at > b->count)
		at = b->count;
	memmove(items + at + 1, items + at, (b->count - at) * sizeof *items);
	items[at] = s;
	b->count++;
}

struct ir_stmt *ir_append(struct ir_function *f, struct ir_block *b, enum ir_stmt_kind kind, uint32_t line)
{
	struct ir_stmt *s = b ? ARENA_NEW(f->arena, struct ir_stmt) : NULL;
	if (!s)
		return NULL;
	s->kind = kind;
	s->line = line;
	s->local = s->array = s->from = s->label = IR_NONE;
	ir_insert(f, b, b->count, s);
	return s;
}

struct ir_loop *ir_loop_new(struct ir_function *f)
{
	struct ir_loop *loop = ARENA_NEW(f->arena, struct ir_loop);
	if (loop)
		loop->id = f->nloops++;
	return loop;
}
