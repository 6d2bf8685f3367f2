/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Expressions and the elements of arrays. Left operands are walked, not recurred into.
 */
#include "kernels/compiler/interpret_private.h"

#include <complex.h>
#include <stdlib.h>
#include <string.h>

bool machine_fail(struct machine *m, enum kernel_error_code code, uint32_t line, uint32_t array, int64_t v0, int64_t v1)
{
	kernel_fail(m->ctx, (int)code, line ? line : m->line, array, v0, v1);
	return false;
}

/* --- elements; M(dtype, type in memory, member of union kernel_scalar) --- */

#define MEMORY_MAP(M)                                                                            \
	M(BOOL, uint8_t, u) M(I8, int8_t, i) M(U8, uint8_t, u) M(I16, int16_t, i) M(U16, uint16_t, u) \
	M(I32, int32_t, i) M(U32, uint32_t, u) M(I64, int64_t, i) M(U64, uint64_t, u)            \
	M(F16, _Float16, f32) M(F32, float, f32) M(F64, double, f64)                             \
	M(C64, float _Complex, c64) M(C128, double _Complex, c128)

static void load_element(enum dtype d, const char *at, union kernel_scalar *out)
{
	switch (d) {
#define M(name, type, member)                 \
	case DTYPE_##name: {                  \
		type x;                       \
		memcpy(&x, at, sizeof x);     \
		out->member = x;              \
		break;                        \
	}
	MEMORY_MAP(M)
#undef M
	default:
		break;
	}
	if (d == DTYPE_BOOL)
		out->u = out->u != 0;
}

void machine_store(enum dtype d, char *at, const union kernel_scalar *value)
{
	switch (d) {
#define M(name, type, member)                  \
	case DTYPE_##name: {                   \
		type x = (type)value->member;  \
		memcpy(at, &x, sizeof x);      \
		break;                         \
	}
	MEMORY_MAP(M)
#undef M
	default:
		break;
	}
}

char *machine_element(struct machine *m, uint32_t array, struct ir_expr *const *index, uint32_t line)
{
	const struct kernel_array *a = &m->arrays[array];
	unsigned rank = m->f->arrays[array].rank;
	int64_t offset = 0;
	for (unsigned k = 0; k < rank; k++) {
		int64_t written, i;
		if (!machine_int(m, index[k], &written))
			return NULL;
		i = written < 0 ? written + a->shape[k] : written;
		if (i < 0 || i >= a->shape[k]) {
			machine_fail(m, KERNEL_INDEX, line, array, written, a->shape[k]);
			return NULL;
		}
		offset += i * a->stride[k];
	}
	if (!a->data) {
		machine_fail(m, KERNEL_UNBOUND, line, array, 0, 0);
		return NULL;
	}
	return (char *)a->data + offset;
}

/* --- expressions --- */

static bool push(struct machine *m, const struct ir_expr *e)
{
	if (m->nspine == m->spine_capacity) {
		size_t capacity = m->spine_capacity ? 2 * m->spine_capacity : 64;
		const struct ir_expr **spine = realloc(m->spine, capacity * sizeof *spine);
		if (!spine)
			return machine_fail(m, KERNEL_MEMORY, e->line, IR_NONE, 0, 0);
		m->spine = spine;
		m->spine_capacity = capacity;
	}
	m->spine[m->nspine++] = e;
	return true;
}

static bool eval_leaf(struct machine *m, const struct ir_expr *e, union kernel_scalar *out)
{
	const char *at;
	switch (e->kind) {
	case IR_CONST:
		*out = e->constant;
		return true;
	case IR_LOCAL:
		*out = m->locals[e->local];
		return true;
	case IR_SHAPE:
		out->i = m->arrays[e->array].shape[e->axis];
		return true;
	default: /* LOAD */
		at = machine_element(m, e->array, e->index, e->line);
		if (at)
			load_element(m->f->arrays[e->array].dtype, at, out);
		return at != NULL;
	}
}

static bool call(struct machine *m, const struct ir_expr *e, const union kernel_scalar *a, const union kernel_scalar *b, union kernel_scalar *out)
{
	bool high = m->f->accurate;
	switch (e->dtype) {
	case DTYPE_F32: out->f32 = function_f32(e->function, high, a->f32, b->f32); break;
	case DTYPE_F64: out->f64 = function_f64(e->function, high, a->f64, b->f64); break;
	case DTYPE_C64: out->c64 = function_c64(e->function, a->c64, b->c64); break;
	default: out->c128 = function_c128(e->function, a->c128, b->c128);
	}
	return true;
}

/* The node's value from that of its left operand. */
static bool apply(struct machine *m, const struct ir_expr *e, union kernel_scalar *value)
{
	union kernel_scalar a = *value, b;
	memset(&b, 0, sizeof b);
	if (e->b && !machine_eval(m, e->b, &b))
		return false;
	if (e->kind == IR_CAST)
		return machine_cast(m, e, &a, value);
	return e->kind == IR_CALL ? call(m, e, &a, &b, value) : machine_operate(m, e, &a, &b, value);
}

/* Down the left operands to a leaf; a COND is replaced by the side it chooses. */
static bool descend(struct machine *m, const struct ir_expr *e, union kernel_scalar *out)
{
	while (e->a) {
		if (e->kind == IR_COND) {
			union kernel_scalar test;
			if (!machine_eval(m, e->test, &test))
				return false;
			e = test.u ? e->a : e->b;
		} else {
			if (!push(m, e))
				return false;
			e = e->a;
		}
	}
	return eval_leaf(m, e, out);
}

bool machine_eval(struct machine *m, const struct ir_expr *e, union kernel_scalar *out)
{
	size_t base = m->nspine;
	bool ok = descend(m, e, out);
	while (ok && m->nspine > base)
		ok = apply(m, m->spine[--m->nspine], out);
	m->nspine = base;
	return ok;
}

bool machine_int(struct machine *m, const struct ir_expr *e, int64_t *out)
{
	union kernel_scalar v;
	if (!machine_eval(m, e, &v))
		return false;
	*out = v.i;
	return true;
}
