/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Operators and functions on scalars and arrays alike: NumPy 2's types, Python's meaning. Scalars give IR at once; as soon as an array takes part the
 * result is lazy, and becomes one fused loop where it is needed.
 */
#include "kernels/compiler/lower_private.h"

#include <math.h>
#include <string.h>

static struct value *lazy(struct lowering *l, enum lazy_kind kind, enum dtype dtype, struct value *a, struct value *b, struct value *c)
{
	struct value *v = value_new(l, VALUE_LAZY), *kids[3] = { a, b, c };
	v->lazy = kind;
	v->type = (struct type){ dtype, false };
	v->items = lower_alloc(l, 3 * sizeof *v->items);
	for (int i = 0; i < 3 && kids[i]; i++) {
		struct value *kid = kids[i];
		/* The scalar is read now, not where the loop stands. */
		if (kid->kind == VALUE_SCALAR)
			kid = value_scalar(l, stable(l, kid->expr), kid->type.weak);
		v->items[v->nitems++] = kid;
		v->rank = kid->rank > v->rank ? kid->rank : v->rank;
	}
	return v;
}

static bool is_const(const struct value *v)
{
	return v->kind == VALUE_SCALAR && v->expr->kind == IR_CONST;
}

static double const_real(const struct value *v)
{
	return v->type.dtype == DTYPE_F64 ? v->expr->constant.f64 : v->type.dtype == DTYPE_F32 ? (double)v->expr->constant.f32 : (double)v->expr->constant.i;
}

static void need_number(struct lowering *l, struct place at, const struct value *v)
{
	if (!value_is_number(v))
		INVALID(l, at, NULL, "this needs a number or an array, not %s", value_describe(l, v));
}

/* --- casts --- */

static struct value *cast_constant(struct lowering *l, struct place at, struct value *v, enum dtype to)
{
	enum dtype from = v->type.dtype;
	if (from == DTYPE_I64 && dtype_is_integer(to)) {
		int64_t i = v->expr->constant.i;
		if (v->type.weak && (i < dtype_min(to) || i > dtype_max(to)))
			INVALID(l, at, "write the wider type, for example np.int64(...)", "the integer %lld does not fit %s", (long long)i, dtype_numpy_name(to));
		return value_scalar(l, ir_const_int(l->f, to, i), false);
	}
	if (from == DTYPE_I64 && (to == DTYPE_F64 || to == DTYPE_F32))
		return value_scalar(l, to == DTYPE_F32 ? ir_cast(l->f, to, v->expr, false) : ir_const_real(l->f, to, (double)v->expr->constant.i), false);
	if (from == DTYPE_F64 && to == DTYPE_F32)
		return value_scalar(l, ir_const_real(l->f, to, v->expr->constant.f64), false);
	return value_scalar(l, ir_cast(l->f, to, v->expr, false), false);
}

/* A weak int that is only known when it runs must fit what it becomes. */
static void check_fits(struct lowering *l, struct value *v, enum dtype to)
{
	struct ir_expr *e = v->expr = stable(l, v->expr);
	struct ir_expr *good = ir_binary(l->f, IR_BITAND, DTYPE_BOOL, int_compare(l, IR_GE, e, int_const(l, dtype_min(to))),
					 int_compare(l, IR_LE, e, int_const(l, dtype_max(to))));
	emit_check(l, lower_need(l, good), KERNEL_DOMAIN, e, NULL);
}

struct value *apply_cast(struct lowering *l, struct place at, struct value *v, enum dtype to, bool checked)
{
	need_number(l, at, v);
	enum dtype from = v->type.dtype;
	if (to == DTYPE_F16)
		UNSUPPORTED(l, at, "compute in float32; arrays may be stored as float16", "there are no float16 values, only float16 arrays");
	if (from == to && !v->type.weak)
		return v;
	if (dtype_is_complex(from) && !dtype_is_complex(to) && to != DTYPE_BOOL)
		INVALID(l, at, "use .real or abs(...)", "a complex number cannot become %s", dtype_numpy_name(to));
	if (to == DTYPE_BOOL)
		return apply_truth(l, at, v);
	if (from == to)
		return value_scalar(l, v->expr, false);
	if (is_const(v) && !checked)
		return cast_constant(l, at, v, to);
	if (v->kind == VALUE_SCALAR && v->type.weak && from == DTYPE_I64 && dtype_is_integer(to))
		check_fits(l, v, to);
	checked = checked && (dtype_is_float(from)) && dtype_is_integer(to);
	if (v->kind == VALUE_SCALAR) {
		struct ir_expr *e = lower_need(l, ir_cast(l->f, to, v->expr, checked));
		if (!e->line)
			e->line = l->line;
		return value_scalar(l, e, false);
	}
	struct value *r = lazy(l, LAZY_CAST, to, v, NULL, NULL);
	r->checked = checked;
	return r;
}

struct value *apply_truth(struct lowering *l, struct place at, struct value *v)
{
	need_number(l, at, v);
	if (v->type.dtype == DTYPE_BOOL)
		return v;
	struct value *zero = value_scalar(l, dtype_is_integer(v->type.dtype) ? ir_const_int(l->f, v->type.dtype, 0) : ir_const_real(l->f, v->type.dtype, 0), false);
	return apply_operate(l, IR_NE, (struct type){ DTYPE_BOOL, false }, v, zero);
}

/* --- building --- */

struct value *apply_operate(struct lowering *l, enum ir_op op, struct type result, struct value *a, struct value *b)
{
	if (a->kind == VALUE_SCALAR && (!b || b->kind == VALUE_SCALAR)) {
		struct ir_expr *e = b ? ir_binary(l->f, op, result.dtype, a->expr, b->expr) : ir_unary(l->f, op, result.dtype, a->expr);
		lower_need(l, e);
		e->line = l->line;
		return value_scalar(l, e, result.weak);
	}
	struct value *v = lazy(l, LAZY_OPERATE, result.dtype, a, b, NULL);
	v->op = op;
	return v;
}

static bool both_scalar(const struct value *a, const struct value *b)
{
	return a->kind == VALUE_SCALAR && (!b || b->kind == VALUE_SCALAR);
}

/* Inside kernels a scalar integer is as in Python, as far as 64 bits go: x[i] * x[i] of an int16 array does not wrap. */
static struct type widen(const struct lowering *l, struct type t)
{
	if (!l->expression && !t.weak && (t.dtype == DTYPE_BOOL || (dtype_is_integer(t.dtype) && t.dtype != DTYPE_U64)))
		t.dtype = DTYPE_I64;
	return t;
}

static struct type common(struct lowering *l, struct place at, struct value *a, struct value *b)
{
	need_number(l, at, a);
	need_number(l, at, b);
	struct type t = type_promote(a->type, b->type);
	bool mixed = t.dtype == DTYPE_F64 && (a->type.dtype == DTYPE_U64 || b->type.dtype == DTYPE_U64) && dtype_is_integer(a->type.dtype) &&
		     dtype_is_integer(b->type.dtype);
	if (mixed && !l->expression)
		INVALID(l, at, "convert one of them: np.int64(...) or np.uint64(...)", "uint64 and %s have no common integer type",
			dtype_numpy_name(a->type.dtype == DTYPE_U64 ? b->type.dtype : a->type.dtype));
	return t;
}

static bool fold_int(enum ast_op op, int64_t a, int64_t b, int64_t *out)
{
	switch (op) {
	case AST_ADD: return !__builtin_add_overflow(a, b, out);
	case AST_SUB: return !__builtin_sub_overflow(a, b, out);
	case AST_MUL: return !__builtin_mul_overflow(a, b, out);
	case AST_SHL: return b >= 0 && b < 62 && !__builtin_mul_overflow(a, (int64_t)1 << b, out);
	case AST_POW:
		*out = 1;
		if (b < 0 || b > 4096)
			return false;
		for (int64_t i = 0; i < b; i++)
			if (__builtin_mul_overflow(*out, a, out))
				return false;
		return true;
	default: return false;
	}
}

static bool fold_real(enum ast_op op, double a, double b, double *out)
{
	switch (op) {
	case AST_ADD: *out = a + b; return true;
	case AST_SUB: *out = a - b; return true;
	case AST_MUL: *out = a * b; return true;
	case AST_DIV: *out = a / b; return b != 0;
	default: return false;
	}
}

/* Python's own numbers stay Python's own: 10 * 1000 is as weak as 10000. */
static struct value *fold_constants(struct lowering *l, enum ast_op op, struct value *a, struct value *b)
{
	int64_t i;
	double d;
	if (!is_const(a) || !is_const(b) || !a->type.weak || !b->type.weak)
		return NULL;
	bool ints = a->type.dtype == DTYPE_I64 && b->type.dtype == DTYPE_I64;
	if (ints && fold_int(op, a->expr->constant.i, b->expr->constant.i, &i))
		return value_scalar(l, int_const(l, i), true);
	if ((ints && op != AST_DIV) || dtype_is_complex(a->type.dtype) || dtype_is_complex(b->type.dtype) || !fold_real(op, const_real(a), const_real(b), &d))
		return NULL;
	return value_scalar(l, ir_const_real(l->f, DTYPE_F64, d), true);
}

static const enum ir_op plain_ops[] = {
	[AST_ADD] = IR_ADD, [AST_SUB] = IR_SUB, [AST_MUL] = IR_MUL, [AST_DIV] = IR_DIV, [AST_FLOORDIV] = IR_FLOORDIV, [AST_MOD] = IR_MOD, [AST_POW] = IR_POW,
	[AST_SHL] = IR_SHL, [AST_SHR] = IR_SHR, [AST_BITAND] = IR_BITAND, [AST_BITOR] = IR_BITOR, [AST_BITXOR] = IR_BITXOR,
};

static struct value *operate_as(struct lowering *l, struct place at, enum ir_op op, struct type t, struct value *a, struct value *b)
{
	struct value *r = apply_operate(l, op, t, apply_cast(l, at, a, t.dtype, false), apply_cast(l, at, b, t.dtype, false));
	if ((op == IR_FLOORDIV || op == IR_MOD || op == IR_FMOD) && !l->options->numpy_errors && !l->expression) {
		r->checked = true;
		if (r->kind == VALUE_SCALAR)
			r->expr->checked = dtype_is_integer(t.dtype);
	}
	return r;
}

/* bool arrays: + is or, * is and, as NumPy has it */
static struct value *arithmetic(struct lowering *l, struct place at, enum ast_op op, struct value *a, struct value *b)
{
	struct type t = common(l, at, a, b);
	if (both_scalar(a, b))
		t = widen(l, t);
	if (t.dtype != DTYPE_BOOL)
		return operate_as(l, at, plain_ops[op], t, a, b);
	if (op == AST_SUB)
		INVALID(l, at, "use ^ or !=", "bools cannot be subtracted");
	return operate_as(l, at, op == AST_ADD ? IR_BITOR : IR_BITAND, t, a, b);
}

static struct value *divide(struct lowering *l, struct place at, enum ast_op op, struct value *a, struct value *b)
{
	struct type t = common(l, at, a, b);
	if (op == AST_DIV) {
		if (!dtype_is_float(t.dtype) && !dtype_is_complex(t.dtype))
			t = (struct type){ DTYPE_F64, t.weak };
		return operate_as(l, at, IR_DIV, t, a, b);
	}
	if (dtype_is_complex(t.dtype))
		INVALID(l, at, NULL, "complex numbers have no %s", op == AST_MOD ? "%" : "//");
	if (both_scalar(a, b))
		t = widen(l, t);
	if (t.dtype == DTYPE_BOOL)
		t.dtype = DTYPE_I8;
	return operate_as(l, at, plain_ops[op], t, a, b);
}

static struct value *bitwise(struct lowering *l, struct place at, enum ast_op op, struct value *a, struct value *b)
{
	struct type t = common(l, at, a, b);
	bool shift = op == AST_SHL || op == AST_SHR;
	if (!dtype_is_integer(t.dtype) && t.dtype != DTYPE_BOOL)
		INVALID(l, at, op == AST_BITXOR ? "a power is written **" : "combine comparisons as (a > 1) & (b < 2)", "%s needs integers or bools, not %s and %s",
			shift ? "a shift" : "a bit operator", value_describe(l, a), value_describe(l, b));
	if (both_scalar(a, b) && (t.dtype != DTYPE_BOOL || shift))
		t = widen(l, t);
	if (shift && t.dtype == DTYPE_BOOL)
		t.dtype = DTYPE_I8;
	return operate_as(l, at, plain_ops[op], t, a, b);
}

/* --- powers --- */

static struct value *product(struct lowering *l, struct place at, struct value *a, struct value *b)
{
	return apply_binary(l, at, AST_MUL, a, b);
}

/* Small constant powers by multiplication: NumPy does the same for 2, and 3 and 4 stay below 2 ULP. NULL: not one of those. */
static struct value *small_power(struct lowering *l, struct place at, struct value *a, double p)
{
	bool real = dtype_is_float(a->type.dtype), complex_base = dtype_is_complex(a->type.dtype);
	if (a->kind == VALUE_SCALAR)
		a = value_scalar(l, stable(l, a->expr), a->type.weak);
	if (p == 1)
		return both_scalar(a, NULL) ? apply_cast(l, at, a, widen(l, a->type).dtype, false) : a;
	if (p == 2)
		return product(l, at, a, a);
	if (p == 0.5 && (real || complex_base))
		return apply_operate(l, IR_SQRT, a->type, a, NULL);
	if (p == -1 && real)
		return apply_binary(l, at, AST_DIV, value_scalar(l, ir_const_real(l->f, DTYPE_F64, 1), true), a);
	if (complex_base || (real && l->options->accurate))
		return NULL;
	if (p == 3)
		return product(l, at, product(l, at, a, a), a);
	if (p == 4) {
		struct value *square = product(l, at, a, a);
		if (square->kind == VALUE_SCALAR)
			square = value_scalar(l, stable(l, square->expr), square->type.weak);
		return product(l, at, square, square);
	}
	return NULL;
}

static struct value *power(struct lowering *l, struct place at, struct value *a, struct value *b)
{
	struct type t = common(l, at, a, b);
	bool integers = dtype_is_integer(t.dtype) || t.dtype == DTYPE_BOOL;
	int64_t n;
	if (is_const(b) && !dtype_is_complex(b->type.dtype) && (b->type.weak || t.dtype == a->type.dtype) && (!integers || dtype_is_integer(a->type.dtype))) {
		struct value *v = dtype_is_integer(a->type.dtype) && !integers ? NULL : small_power(l, at, a, const_real(b));
		if (v)
			return v;
	}
	if (integers && value_constant_int(b, &n) && n < 0) {
		if (!both_scalar(a, b) || l->expression)
			INVALID(l, at, "use a float base: x.astype(np.float64) ** -1, or 1.0 / x", "integers to negative integer powers are not allowed");
		return apply_function(l, at, FUNCTION_power, apply_cast(l, at, a, DTYPE_F64, false), apply_cast(l, at, b, DTYPE_F64, false));
	}
	if (integers) {
		if (both_scalar(a, b))
			t = widen(l, t);
		if (t.dtype == DTYPE_BOOL)
			t.dtype = DTYPE_I8;
		return operate_as(l, at, IR_POW, t, a, b);
	}
	return apply_function(l, at, FUNCTION_power, a, b);
}

struct value *apply_binary(struct lowering *l, struct place at, enum ast_op op, struct value *a, struct value *b)
{
	need_number(l, at, a);
	need_number(l, at, b);
	struct value *folded = fold_constants(l, op, a, b);
	if (folded)
		return folded;
	switch (op) {
	case AST_ADD:
	case AST_SUB:
	case AST_MUL:
		return arithmetic(l, at, op, a, b);
	case AST_DIV:
	case AST_FLOORDIV:
	case AST_MOD:
		return divide(l, at, op, a, b);
	case AST_POW:
		return power(l, at, a, b);
	default:
		return bitwise(l, at, op, a, b);
	}
}

/* --- unary --- */

static struct value *negate(struct lowering *l, struct place at, struct value *a)
{
	if (is_const(a) && a->type.weak && a->type.dtype == DTYPE_I64 && a->expr->constant.i != INT64_MIN)
		return value_scalar(l, int_const(l, -a->expr->constant.i), true);
	if (is_const(a) && a->type.weak && a->type.dtype == DTYPE_F64)
		return value_scalar(l, ir_const_real(l->f, DTYPE_F64, -a->expr->constant.f64), true);
	struct type t = both_scalar(a, NULL) ? widen(l, a->type) : a->type;
	if (t.dtype == DTYPE_BOOL)
		INVALID(l, at, "use ~", "bools cannot be negated with -");
	return apply_operate(l, IR_NEG, t, apply_cast(l, at, a, t.dtype, false), NULL);
}

struct value *apply_unary(struct lowering *l, struct place at, enum ast_op op, struct value *a)
{
	need_number(l, at, a);
	if (op == AST_POS)
		return a;
	if (op == AST_NEG)
		return negate(l, at, a);
	if (op == AST_NOT) {
		struct value *truth = a->kind == VALUE_SCALAR ? apply_truth(l, at, a) : NULL;
		if (!truth)
			INVALID(l, at, "use ~ on a bool array", "the truth of %s is not defined", value_describe(l, a));
		return apply_operate(l, IR_NOT, truth->type, truth, NULL);
	}
	if (a->type.dtype == DTYPE_BOOL)
		return apply_operate(l, IR_NOT, a->type, a, NULL);
	if (!dtype_is_integer(a->type.dtype))
		INVALID(l, at, NULL, "~ needs integers or bools, not %s", value_describe(l, a));
	struct type t = both_scalar(a, NULL) ? widen(l, a->type) : a->type;
	return apply_operate(l, IR_INVERT, t, apply_cast(l, at, a, t.dtype, false), NULL);
}

/* --- comparisons --- */

static struct value *bool_operate(struct lowering *l, enum ir_op op, struct value *a, struct value *b)
{
	return apply_operate(l, op, (struct type){ DTYPE_BOOL, false }, a, b);
}

static bool is_less(enum ir_op op)
{
	return op == IR_LT || op == IR_LE || op == IR_NE;
}

/* Exact between int64 (a) and uint64 (b), where no common type is. */
static struct value *compare_mixed(struct lowering *l, struct place at, enum ir_op op, struct value *a, struct value *b)
{
	static const enum ir_op swapped[IR_OP_COUNT] = { [IR_LT] = IR_GT, [IR_LE] = IR_GE, [IR_GT] = IR_LT, [IR_GE] = IR_LE, [IR_EQ] = IR_EQ, [IR_NE] = IR_NE };
	if (a->type.dtype == DTYPE_U64) {
		struct value *t = a;
		a = b;
		b = t;
		op = swapped[op];
	}
	a = apply_cast(l, at, a, DTYPE_I64, false);
	if (a->kind == VALUE_SCALAR)
		a = value_scalar(l, stable(l, a->expr), false);
	struct value *sign = bool_operate(l, is_less(op) ? IR_LT : IR_GE, a, value_int(l, 0));
	struct value *compared = bool_operate(l, op, apply_cast(l, at, a, DTYPE_U64, false), b);
	return bool_operate(l, is_less(op) ? IR_BITOR : IR_BITAND, sign, compared);
}

static bool fits(const struct value *v, enum dtype to)
{
	return is_const(v) && v->expr->constant.i >= dtype_min(to) && v->expr->constant.i <= dtype_max(to);
}

struct value *apply_compare(struct lowering *l, struct place at, enum ir_op op, struct value *a, struct value *b)
{
	need_number(l, at, a);
	need_number(l, at, b);
	struct type ta = a->type, tb = b->type, t = type_promote(ta, tb);
	bool integers = dtype_is_integer(ta.dtype) && dtype_is_integer(tb.dtype);
	bool u64 = (ta.dtype == DTYPE_U64) != (tb.dtype == DTYPE_U64);
	if (integers && u64 && !fits(ta.dtype == DTYPE_U64 ? b : a, DTYPE_U64) && !dtype_is_unsigned(ta.dtype == DTYPE_U64 ? tb.dtype : ta.dtype))
		return compare_mixed(l, at, op, a, b);
	if (integers && ta.weak != tb.weak && t.dtype != DTYPE_U64 && !fits(ta.weak ? a : b, t.dtype))
		t.dtype = DTYPE_I64;
	if (dtype_is_complex(t.dtype) && op != IR_EQ && op != IR_NE)
		INVALID(l, at, "compare abs(...), .real or .imag", "complex numbers have no order");
	if (t.dtype == DTYPE_BOOL && op != IR_EQ && op != IR_NE)
		t.dtype = DTYPE_U8;
	return bool_operate(l, op, apply_cast(l, at, a, t.dtype, false), apply_cast(l, at, b, t.dtype, false));
}

/* --- functions, choices --- */

struct value *zero_like(struct lowering *l, struct value *v)
{
	struct value *no = value_scalar(l, ir_const_int(l->f, DTYPE_BOOL, 0), false), *zero = value_scalar(l, ir_const_int(l->f, v->type.dtype, 0), v->type.weak);
	return apply_cond(l, (struct place){ 0 }, no, v, zero);
}

struct value *apply_function(struct lowering *l, struct place at, enum function fn, struct value *a, struct value *b)
{
	need_number(l, at, a);
	struct type t = b ? common(l, at, a, b) : a->type;
	t = type_inexact(t);
	if (dtype_is_complex(t.dtype) && !functions[fn].has_complex)
		INVALID(l, at, NULL, "%s is not defined for complex numbers", functions[fn].name);
	a = apply_cast(l, at, a, t.dtype, false);
	b = b ? apply_cast(l, at, b, t.dtype, false) : NULL;
	if (both_scalar(a, b)) {
		struct ir_expr *e = lower_need(l, ir_call(l->f, fn, t.dtype, a->expr, b ? b->expr : NULL));
		e->line = l->line;
		return value_scalar(l, e, t.weak);
	}
	struct value *v = lazy(l, LAZY_CALL, t.dtype, a, b, NULL);
	v->function = fn;
	return v;
}

struct value *apply_cond(struct lowering *l, struct place at, struct value *test, struct value *a, struct value *b)
{
	test = apply_truth(l, at, test);
	struct type t = common(l, at, a, b);
	a = apply_cast(l, at, a, t.dtype, false);
	b = apply_cast(l, at, b, t.dtype, false);
	if (both_scalar(a, b) && test->kind == VALUE_SCALAR)
		return value_scalar(l, ir_cond(l->f, test->expr, a->expr, b->expr), t.weak);
	return lazy(l, LAZY_COND, t.dtype, test, a, b);
}
