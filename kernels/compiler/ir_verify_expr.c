/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/compiler/ir_verify_private.h"

#include <stdarg.h>

bool verify_broken(struct verifier *v, const char *format, ...)
{
	if (v->failed)
		return false;
	char text[200];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	error_set(v->error, STATUS_INTERNAL, NULL, NULL, "IR, line %u: %s", v->line, text);
	v->failed = true;
	return false;
}

unsigned verify_class(enum dtype d)
{
	switch (d) {
	case DTYPE_BOOL:
		return BOOLS;
	case DTYPE_I8: case DTYPE_U8: case DTYPE_I16: case DTYPE_U16: case DTYPE_I32: case DTYPE_U32: case DTYPE_I64: case DTYPE_U64:
		return INTS;
	case DTYPE_F32: case DTYPE_F64:
		return FLOATS;
	case DTYPE_C64: case DTYPE_C128:
		return COMPLEXES;
	default:
		return 0; /* not a scalar's: F16, PEAK, nothing */
	}
}

static enum dtype component(enum dtype d)
{
	return d == DTYPE_C64 ? DTYPE_F32 : d == DTYPE_C128 ? DTYPE_F64 : DTYPE_NONE;
}

bool verify_array(struct verifier *v, uint32_t array)
{
	if (array >= v->f->narrays)
		return verify_broken(v, "there is no array slot %u", array);
	return v->bound[array] || verify_broken(v, "nothing binds array slot %u", array);
}

enum dtype verify_element(const struct verifier *v, uint32_t array)
{
	enum dtype d = v->f->arrays[array].dtype;
	return d == DTYPE_F16 ? DTYPE_F32 : d;
}

bool verify_local(struct verifier *v, uint32_t local)
{
	return local < v->f->nlocals || verify_broken(v, "there is no local %u", local);
}

bool verify_local_is(struct verifier *v, uint32_t local, enum dtype d, const char *what)
{
	return verify_local(v, local) && (v->f->locals[local].dtype == d || verify_broken(v, "%s must be %s", what, dtype_name(d)));
}

/* --- expressions --- */

bool verify_expr_is(struct verifier *v, const struct ir_expr *e, enum dtype d, const char *what)
{
	if (!e)
		return verify_broken(v, "%s is missing", what);
	return verify_expr(v, e) && (e->dtype == d || verify_broken(v, "%s must be %s, is %s", what, dtype_name(d), dtype_name(e->dtype)));
}

/* What the operands may be, and what follows for the result. */
enum result { SAME, TO_BOOL, TO_COMPONENT, FROM_COMPONENT, MAGNITUDE };
static const struct rule {
	unsigned operands;
	enum result result;
} rules[IR_OP_COUNT] = {
	[IR_ADD] = { NUMBERS, SAME }, [IR_SUB] = { NUMBERS, SAME }, [IR_MUL] = { NUMBERS, SAME }, [IR_NEG] = { NUMBERS, SAME },
	[IR_DIV] = { FLOATS | COMPLEXES, SAME },
	[IR_FLOORDIV] = { INTS | FLOATS, SAME }, [IR_MOD] = { INTS | FLOATS, SAME }, [IR_FMOD] = { INTS | FLOATS, SAME },
	[IR_POW] = { INTS, SAME }, [IR_SHL] = { INTS, SAME }, [IR_SHR] = { INTS, SAME }, [IR_INVERT] = { INTS, SAME },
	[IR_BITAND] = { INTS | BOOLS, SAME }, [IR_BITOR] = { INTS | BOOLS, SAME }, [IR_BITXOR] = { INTS | BOOLS, SAME },
	[IR_NOT] = { BOOLS, SAME },
	[IR_MAXIMUM] = { REALS, SAME }, [IR_MINIMUM] = { REALS, SAME }, [IR_COPYSIGN] = { FLOATS, SAME },
	[IR_ABS] = { NUMBERS, MAGNITUDE }, [IR_SIGN] = { INTS | FLOATS, SAME }, [IR_SQRT] = { FLOATS | COMPLEXES, SAME },
	[IR_CEIL] = { FLOATS, SAME }, [IR_FLOOR] = { FLOATS, SAME }, [IR_TRUNC] = { FLOATS, SAME }, [IR_RINT] = { FLOATS, SAME },
	[IR_LT] = { REALS, TO_BOOL }, [IR_LE] = { REALS, TO_BOOL }, [IR_GT] = { REALS, TO_BOOL }, [IR_GE] = { REALS, TO_BOOL },
	[IR_EQ] = { REALS | COMPLEXES, TO_BOOL }, [IR_NE] = { REALS | COMPLEXES, TO_BOOL },
	[IR_ISNAN] = { FLOATS | COMPLEXES, TO_BOOL }, [IR_ISINF] = { FLOATS | COMPLEXES, TO_BOOL },
	[IR_ISFINITE] = { FLOATS | COMPLEXES, TO_BOOL }, [IR_SIGNBIT] = { FLOATS, TO_BOOL },
	[IR_REAL] = { COMPLEXES, TO_COMPONENT }, [IR_IMAG] = { COMPLEXES, TO_COMPONENT }, [IR_CONJ] = { COMPLEXES, SAME },
	[IR_COMPLEX] = { FLOATS, FROM_COMPONENT },
};

static const char *const op_names[] = {
#define OP(name, text, arity) #name,
	IR_OP_MAP(OP)
#undef OP
};
static const int op_arity[] = {
#define OP(name, text, arity) arity,
	IR_OP_MAP(OP)
#undef OP
};

static bool result_fits(enum result result, enum dtype operand, enum dtype got)
{
	switch (result) {
	case TO_BOOL:
		return got == DTYPE_BOOL;
	case TO_COMPONENT:
		return got == component(operand);
	case FROM_COMPONENT:
		return component(got) == operand;
	case MAGNITUDE:
		return got == (verify_class(operand) == COMPLEXES ? component(operand) : operand);
	default:
		return got == operand;
	}
}

static bool operate_ok(struct verifier *v, const struct ir_expr *e)
{
	if ((unsigned)e->op >= IR_OP_COUNT)
		return verify_broken(v, "there is no operator %d", (int)e->op);
	const char *name = op_names[e->op];
	if (!e->a || (op_arity[e->op] == 2) != (e->b != NULL))
		return verify_broken(v, "%s takes %d operands", name, op_arity[e->op]);
	if (!(verify_class(e->a->dtype) & rules[e->op].operands))
		return verify_broken(v, "%s does not take %s", name, dtype_name(e->a->dtype));
	if (e->b && e->b->dtype != e->a->dtype)
		return verify_broken(v, "the operands of %s are %s and %s", name, dtype_name(e->a->dtype), dtype_name(e->b->dtype));
	if (!result_fits(rules[e->op].result, e->a->dtype, e->dtype))
		return verify_broken(v, "%s of %s does not give %s", name, dtype_name(e->a->dtype), dtype_name(e->dtype));
	return !e->b || verify_expr(v, e->b);
}

static bool call_ok(struct verifier *v, const struct ir_expr *e)
{
	if ((unsigned)e->function >= FUNCTION_COUNT)
		return verify_broken(v, "there is no function %d", (int)e->function);
	const struct function_info *info = &functions[e->function];
	if (!e->a || (info->arity == 2) != (e->b != NULL))
		return verify_broken(v, "%s takes %d arguments", info->name, info->arity);
	if (!(verify_class(e->dtype) & (FLOATS | (info->has_complex ? COMPLEXES : 0))))
		return verify_broken(v, "%s has no version for %s", info->name, dtype_name(e->dtype));
	if (e->a->dtype != e->dtype || (e->b && e->b->dtype != e->dtype))
		return verify_broken(v, "the arguments of %s must be %s", info->name, dtype_name(e->dtype));
	return !e->b || verify_expr(v, e->b);
}

static bool in_guarded_loop(const struct verifier *v)
{
	for (const struct scope *s = v->scope; s; s = s->outer)
		if (s->stmt->loop && s->stmt->loop->nguards)
			return true;
	return false;
}

bool verify_index(struct verifier *v, uint32_t array, struct ir_expr *const *index, const uint8_t *flags)
{
	unsigned rank = v->f->arrays[array].rank;
	if (rank && !index)
		return verify_broken(v, "array slot %u needs %u indices", array, rank);
	for (unsigned k = 0; k < rank; k++) {
		if (!verify_expr_is(v, index[k], DTYPE_I64, "an index"))
			return false;
		unsigned flag = flags ? flags[k] : 0;
		if (flag & IR_INDEX_IN_BOUNDS && !(flag & IR_INDEX_NONNEGATIVE))
			return verify_broken(v, "an index is marked in bounds but not nonnegative");
		if (flag & IR_INDEX_GUARDED && !in_guarded_loop(v))
			return verify_broken(v, "an index is marked guarded outside of a guarded loop");
	}
	return true;
}

/* Everything of a node but what hangs on its left. */
static bool node_ok(struct verifier *v, const struct ir_expr *e)
{
	if (!verify_class(e->dtype))
		return verify_broken(v, "an expression cannot be %s", dtype_name(e->dtype));
	switch (e->kind) {
	case IR_CONST:
		return verify_class(e->dtype) != BOOLS || e->constant.u <= 1 || verify_broken(v, "a bool must be 0 or 1");
	case IR_LOCAL:
		return verify_local_is(v, e->local, e->dtype, "the local of this node");
	case IR_SHAPE:
		return verify_array(v, e->array) && (e->dtype == DTYPE_I64 || verify_broken(v, "a shape must be int64")) &&
		       (e->axis < v->f->arrays[e->array].rank || verify_broken(v, "array slot %u has no axis %u", e->array, e->axis));
	case IR_LOAD:
		return verify_array(v, e->array) && verify_index(v, e->array, e->index, e->index_flags) &&
		       (e->dtype == verify_element(v, e->array) || verify_broken(v, "a load from array slot %u does not give %s", e->array, dtype_name(e->dtype)));
	case IR_OPERATE:
		return operate_ok(v, e);
	case IR_CALL:
		return call_ok(v, e);
	case IR_CAST:
		return e->a || verify_broken(v, "a cast of nothing");
	case IR_COND:
		if (!verify_expr_is(v, e->test, DTYPE_BOOL, "a condition") || !verify_expr_is(v, e->b, e->dtype, "the second choice"))
			return false;
		return (e->a && e->a->dtype == e->dtype) || verify_broken(v, "the first choice must be %s", dtype_name(e->dtype));
	}
	return verify_broken(v, "there is no kind %d of expression", (int)e->kind);
}

bool verify_expr(struct verifier *v, const struct ir_expr *e)
{
	for (; e && !v->failed; e = e->a)
		if (!node_ok(v, e))
			return false;
	return !v->failed;
}
