/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The functions a program may call: Python's, math's, NumPy's and the methods of arrays, one row each.
 */
#include "kernels/compiler/lower_private.h"

#include <math.h>
#include <string.h>

/* --- arguments --- */

static struct value *keyword(struct call *c, const char *name)
{
	for (uint32_t i = 0; i < c->nkeywords; i++)
		if (name_is(c->keywords[i].name, name)) {
			c->used |= (uint64_t)1 << (i & 63);
			return c->keyword_values[i];
		}
	return NULL;
}

struct value *call_argument(struct lowering *l, struct call *c, uint32_t k, const char *name)
{
	struct value *v = name ? keyword(c, name) : NULL;
	if (k < c->nargs && v)
		INVALID(l, c->place, NULL, "'%s' is given twice", name);
	v = k < c->nargs ? c->args[k] : v;
	return v && v->kind == VALUE_NONE ? NULL : v;
}

struct value *call_need(struct lowering *l, struct call *c, uint32_t k, const char *name)
{
	struct value *v = call_argument(l, c, k, name);
	if (!v)
		INVALID(l, c->place, NULL, "%.*s() needs %s", (int)c->name.nbytes, c->name.text, k ? "another argument" : "an argument");
	return v;
}

static struct value *number(struct lowering *l, struct call *c, uint32_t k)
{
	struct value *v = call_need(l, c, k, NULL);
	if (v->kind == VALUE_TUPLE && v->nitems && value_is_number(v->items[0])) {
		struct value *args[1] = { v };
		v = call_library(l, c->place, (struct name){ "numpy.array", 11 }, args, 1, NULL, NULL, 0);
	}
	if (!value_is_number(v))
		INVALID(l, c->place, NULL, "%.*s() needs a number or an array, not %s", (int)c->name.nbytes, c->name.text, value_describe(l, v));
	return v;
}

/* --- elementwise functions --- */

static struct value *fn_function1(struct lowering *l, struct call *c, int data)
{
	return apply_function(l, c->place, (enum function)data, number(l, c, 0), NULL);
}

static struct value *fn_function2(struct lowering *l, struct call *c, int data)
{
	return apply_function(l, c->place, (enum function)data, number(l, c, 0), number(l, c, 1));
}

/* Machine operations on floats: sqrt of anything, rounding of floats (integers stay as they are, as in NumPy 2). */
static struct value *fn_float(struct lowering *l, struct call *c, int data)
{
	struct value *v = number(l, c, 0);
	bool integer = dtype_is_integer(v->type.dtype) || v->type.dtype == DTYPE_BOOL;
	if (integer && data != IR_SQRT)
		return v;
	struct type t = type_inexact(v->type);
	if (dtype_is_complex(t.dtype) && data != IR_SQRT)
		INVALID(l, c->place, NULL, "%.*s is not defined for complex numbers", (int)c->name.nbytes, c->name.text);
	return apply_operate(l, (enum ir_op)data, t, apply_cast(l, c->place, v, t.dtype, false), NULL);
}

static struct value *fn_abs(struct lowering *l, struct call *c, int data)
{
	(void)data;
	struct value *v = number(l, c, 0);
	enum dtype d = v->type.dtype;
	if (d == DTYPE_BOOL || dtype_is_unsigned(d))
		return v;
	if (v->kind == VALUE_SCALAR && dtype_is_integer(d) && !l->expression)
		v = apply_cast(l, c->place, v, DTYPE_I64, false);
	return apply_operate(l, IR_ABS, (struct type){ dtype_real(v->type.dtype), v->type.weak }, v, NULL);
}

static struct value *fn_sign(struct lowering *l, struct call *c, int data)
{
	(void)data;
	struct value *v = number(l, c, 0);
	if (dtype_is_complex(v->type.dtype) || v->type.dtype == DTYPE_BOOL)
		INVALID(l, c->place, NULL, "sign is not defined for %s", value_describe(l, v));
	return apply_operate(l, IR_SIGN, v->type, v, NULL);
}

static struct value *fn_test(struct lowering *l, struct call *c, int data)
{
	struct value *v = number(l, c, 0);
	struct type t = type_inexact(v->type);
	if (dtype_is_complex(t.dtype) && data == IR_SIGNBIT)
		INVALID(l, c->place, NULL, "signbit is not defined for complex numbers");
	return apply_operate(l, (enum ir_op)data, (struct type){ DTYPE_BOOL, false }, apply_cast(l, c->place, v, t.dtype, false), NULL);
}

static struct value *fn_part(struct lowering *l, struct call *c, int data)
{
	struct value *v = number(l, c, 0);
	if (dtype_is_complex(v->type.dtype))
		return apply_operate(l, (enum ir_op)data, (struct type){ data == IR_CONJ ? v->type.dtype : dtype_real(v->type.dtype), false }, v, NULL);
	if (data == IR_CONJ && v->type.dtype == DTYPE_BOOL)
		return apply_cast(l, c->place, v, DTYPE_I8, false); /* as NumPy */
	return data == IR_IMAG ? zero_like(l, v) : v;
}

static struct value *fn_binary(struct lowering *l, struct call *c, int data)
{
	return apply_binary(l, c->place, (enum ast_op)data, number(l, c, 0), number(l, c, 1));
}

static struct value *fn_compare(struct lowering *l, struct call *c, int data)
{
	return apply_compare(l, c->place, (enum ir_op)data, number(l, c, 0), number(l, c, 1));
}

static struct value *fn_unary(struct lowering *l, struct call *c, int data)
{
	return apply_unary(l, c->place, (enum ast_op)data, number(l, c, 0));
}

static struct value *as_type(struct lowering *l, struct call *c, struct value *v, struct type t)
{
	return apply_cast(l, c->place, v, t.dtype, false);
}

/* Two operands of one type, result of that type. */
static struct value *fn_pair(struct lowering *l, struct call *c, int data)
{
	struct value *a = number(l, c, 0), *b = number(l, c, 1);
	struct type t = type_promote(a->type, b->type);
	if (data == IR_COPYSIGN)
		t = type_inexact(t);
	if (data == IR_FMOD && t.dtype == DTYPE_BOOL)
		t.dtype = DTYPE_I8;
	if (dtype_is_complex(t.dtype))
		INVALID(l, c->place, NULL, "%.*s is not defined for complex numbers", (int)c->name.nbytes, c->name.text);
	struct value *v = apply_operate(l, (enum ir_op)data, t, as_type(l, c, a, t), as_type(l, c, b, t));
	if (data == IR_FMOD && !l->options->numpy_errors && !l->expression && dtype_is_integer(t.dtype)) {
		v->checked = true;
		if (v->kind == VALUE_SCALAR)
			v->expr->checked = true;
	}
	return v;
}

/* fmax, fmin: the other operand if one is NaN */
static struct value *fn_ignore_nan(struct lowering *l, struct call *c, int data)
{
	struct value *a = number(l, c, 0), *b = number(l, c, 1);
	struct type t = type_promote(a->type, b->type), bool_type = { DTYPE_BOOL, false };
	a = settle(l, as_type(l, c, a, t));
	b = settle(l, as_type(l, c, b, t));
	struct value *best = apply_operate(l, (enum ir_op)data, t, a, b);
	if (!dtype_is_float(t.dtype))
		return best;
	best = apply_cond(l, c->place, apply_operate(l, IR_ISNAN, bool_type, b, NULL), a, best);
	return apply_cond(l, c->place, apply_operate(l, IR_ISNAN, bool_type, a, NULL), b, best);
}

static struct value *fn_logical(struct lowering *l, struct call *c, int data)
{
	struct value *a = apply_truth(l, c->place, number(l, c, 0));
	if (data == IR_NOT)
		return apply_operate(l, IR_NOT, a->type, a, NULL);
	return apply_operate(l, (enum ir_op)data, a->type, a, apply_truth(l, c->place, number(l, c, 1)));
}

static struct value *fn_where(struct lowering *l, struct call *c, int data)
{
	(void)data;
	if (c->nargs == 1)
		UNSUPPORTED(l, c->place, "append the indices to a list in a loop", "where(condition) alone is not in the language");
	struct value *test = number(l, c, 0), *a = number(l, c, 1), *b = number(l, c, 2);
	if (test->kind == VALUE_SCALAR) {
		/* Arguments are evaluated whether they are chosen or not. */
		a = a->kind == VALUE_SCALAR ? settle(l, a) : a;
		b = b->kind == VALUE_SCALAR ? settle(l, b) : b;
	}
	return apply_cond(l, c->place, test, a, b);
}

static struct value *fn_clip(struct lowering *l, struct call *c, int data)
{
	(void)data;
	struct value *v = number(l, c, 0), *low = call_argument(l, c, 1, "a_min"), *high = call_argument(l, c, 2, "a_max");
	low = low ? low : keyword(c, "min");
	high = high ? high : keyword(c, "max");
	struct value *bounds[2] = { low, high };
	for (int i = 0; i < 2; i++) {
		if (!bounds[i])
			continue;
		struct type t = type_promote(v->type, bounds[i]->type);
		v = apply_operate(l, i ? IR_MINIMUM : IR_MAXIMUM, t, as_type(l, c, v, t), as_type(l, c, bounds[i], t));
	}
	return v;
}

static struct value *fn_complex(struct lowering *l, struct call *c, int data)
{
	(void)data;
	struct value *re = number(l, c, 0), *im = c->nargs > 1 ? number(l, c, 1) : value_scalar(l, ir_const_int(l->f, DTYPE_I64, 0), true);
	if (c->nargs < 2)
		return apply_cast(l, c->place, re, DTYPE_C128, false);
	struct type t = type_inexact(type_promote(re->type, im->type));
	if (dtype_is_complex(t.dtype))
		UNSUPPORTED(l, c->place, NULL, "complex(re, im) takes real numbers");
	return apply_operate(l, IR_COMPLEX, (struct type){ dtype_complex(t.dtype), false }, as_type(l, c, re, t), as_type(l, c, im, t));
}

static struct value *fn_scale(struct lowering *l, struct call *c, int data)
{
	double factor = data ? 180 / M_PI : M_PI / 180;
	return apply_binary(l, c->place, AST_MUL, number(l, c, 0), value_scalar(l, ir_const_real(l->f, DTYPE_F64, factor), true));
}

static struct value *fn_square(struct lowering *l, struct call *c, int data)
{
	int64_t power = data;
	return apply_binary(l, c->place, AST_POW, number(l, c, 0), value_scalar(l, ir_const_int(l->f, DTYPE_I64, power), true));
}

static struct value *fn_ones_like(struct lowering *l, struct call *c, int data)
{
	struct value *v = number(l, c, 0);
	(void)data;
	if (v->kind == VALUE_SCALAR)
		return value_scalar(l, ir_const_int(l->f, v->type.dtype, 1), false);
	return create_like(l, c, 1);
}

/* --- Python's own --- */

static struct value *fn_cast(struct lowering *l, struct call *c, int data)
{
	struct value *v = call_need(l, c, 0, NULL);
	if (v->kind != VALUE_SCALAR)
		INVALID(l, c->place, "use .astype(...)", "%.*s() takes one number, not %s", (int)c->name.nbytes, c->name.text, value_describe(l, v));
	if (data == DTYPE_I64 && dtype_is_unsigned(v->type.dtype))
		return v->type.dtype == DTYPE_U64 ? v : apply_cast(l, c->place, v, DTYPE_I64, false);
	return apply_cast(l, c->place, v, (enum dtype)data, true);
}

static struct value *to_int(struct lowering *l, struct call *c, struct value *v)
{
	return apply_cast(l, c->place, v, DTYPE_I64, true);
}

/* math.floor, ceil, trunc: integers, as in Python */
static struct value *fn_integer(struct lowering *l, struct call *c, int data)
{
	struct value *v = number(l, c, 0);
	if (!dtype_is_float(v->type.dtype))
		return v;
	return to_int(l, c, apply_operate(l, (enum ir_op)data, v->type, v, NULL));
}

static struct value *rounded(struct lowering *l, struct call *c, struct value *v, struct value *digits)
{
	int64_t n = 0;
	if (digits && !value_constant_int(digits, &n))
		UNSUPPORTED(l, c->place, NULL, "the number of digits must be a constant integer");
	if (!dtype_is_float(v->type.dtype))
		return v;
	if (!n)
		return apply_operate(l, IR_RINT, v->type, v, NULL);
	struct value *scale = value_scalar(l, ir_const_real(l->f, DTYPE_F64, pow(10, (double)(n < 0 ? -n : n))), true);
	v = apply_binary(l, c->place, n > 0 ? AST_MUL : AST_DIV, v, scale);
	v = apply_operate(l, IR_RINT, v->type, v, NULL);
	return apply_binary(l, c->place, n > 0 ? AST_DIV : AST_MUL, v, scale);
}

static struct value *fn_round(struct lowering *l, struct call *c, int data)
{
	struct value *v = number(l, c, 0), *digits = call_argument(l, c, 1, data ? "ndigits" : "decimals");
	v = rounded(l, c, v, digits);
	return data && !digits && v->kind == VALUE_SCALAR ? to_int(l, c, v) : v;
}

/* min(a, b, ...): the first unless a later one is smaller, as in Python; of one array its extreme */
static struct value *fn_min_max(struct lowering *l, struct call *c, int data)
{
	struct value *best = number(l, c, 0);
	if (c->nargs == 1)
		return reduce(l, c->place, data == IR_GT ? REDUCE_MAX : REDUCE_MIN, best, NULL, false, NULL, DTYPE_NONE);
	for (uint32_t i = 1; i < c->nargs; i++) {
		struct value *v = number(l, c, i);
		if (value_is_array(v) || value_is_array(best))
			INVALID(l, c->place, "use np.minimum or np.maximum", "min and max compare numbers; these are arrays");
		best = value_scalar(l, stable(l, best->expr), best->type.weak);
		v = value_scalar(l, stable(l, v->expr), v->type.weak);
		best = apply_cond(l, c->place, apply_compare(l, c->place, (enum ir_op)data, v, best), v, best);
	}
	return best;
}

static struct value *fn_pow(struct lowering *l, struct call *c, int data)
{
	struct value *a = number(l, c, 0), *b = number(l, c, 1);
	return data ? apply_function(l, c->place, FUNCTION_power, a, b) : apply_binary(l, c->place, AST_POW, a, b);
}

static struct value *fn_divmod(struct lowering *l, struct call *c, int data)
{
	(void)data;
	struct value *a = settle(l, number(l, c, 0)), *b = settle(l, number(l, c, 1));
	struct value *pair[2] = { apply_binary(l, c->place, AST_FLOORDIV, a, b), apply_binary(l, c->place, AST_MOD, a, b) };
	return value_tuple(l, pair, 2);
}

static struct value *fn_log(struct lowering *l, struct call *c, int data)
{
	(void)data;
	struct value *v = apply_function(l, c->place, FUNCTION_log, number(l, c, 0), NULL);
	if (c->nargs < 2)
		return v;
	return apply_binary(l, c->place, AST_DIV, v, apply_function(l, c->place, FUNCTION_log, number(l, c, 1), NULL));
}

/* --- the table --- */

enum { BUILTIN = 1, MATH = 2, NUMPY = 4, METHOD = 8, EXPRESSION = 16, ARRAYS = NUMPY | METHOD, UFUNC = NUMPY | EXPRESSION };

struct library_row {
	const char *name;
	unsigned where;
	unsigned least, most;    /* positional arguments */
	library_fn *fn;
	int data;
};

#define FUNCTION_ROW(name, libm, arity, mvec, cplx) { #name, UFUNC, arity, arity, arity == 1 ? fn_function1 : fn_function2, FUNCTION_##name },

static const struct library_row rows[] = {
	/* before the general rows, for another meaning */
	{ "log", MATH, 1, 2, fn_log, 0 },
	{ "power", UFUNC, 2, 2, fn_pow, 0 }, { "pow", MATH, 2, 2, fn_pow, 1 }, { "pow", BUILTIN, 2, 2, fn_pow, 0 },
	FUNCTION_MAP(FUNCTION_ROW)
	{ "sin", MATH, 1, 1, fn_function1, FUNCTION_sin }, { "cos", MATH, 1, 1, fn_function1, FUNCTION_cos }, { "tan", MATH, 1, 1, fn_function1, FUNCTION_tan },
	{ "asin", MATH | NUMPY, 1, 1, fn_function1, FUNCTION_arcsin }, { "acos", MATH | NUMPY, 1, 1, fn_function1, FUNCTION_arccos },
	{ "atan", MATH | NUMPY, 1, 1, fn_function1, FUNCTION_arctan }, { "sinh", MATH, 1, 1, fn_function1, FUNCTION_sinh },
	{ "cosh", MATH, 1, 1, fn_function1, FUNCTION_cosh }, { "tanh", MATH, 1, 1, fn_function1, FUNCTION_tanh },
	{ "asinh", MATH | NUMPY, 1, 1, fn_function1, FUNCTION_arcsinh }, { "acosh", MATH | NUMPY, 1, 1, fn_function1, FUNCTION_arccosh },
	{ "atanh", MATH | NUMPY, 1, 1, fn_function1, FUNCTION_arctanh }, { "exp", MATH, 1, 1, fn_function1, FUNCTION_exp },
	{ "exp2", MATH, 1, 1, fn_function1, FUNCTION_exp2 }, { "expm1", MATH, 1, 1, fn_function1, FUNCTION_expm1 },
	{ "log2", MATH, 1, 1, fn_function1, FUNCTION_log2 }, { "log10", MATH, 1, 1, fn_function1, FUNCTION_log10 },
	{ "log1p", MATH, 1, 1, fn_function1, FUNCTION_log1p }, { "cbrt", MATH, 1, 1, fn_function1, FUNCTION_cbrt },
	{ "erf", MATH, 1, 1, fn_function1, FUNCTION_erf }, { "erfc", MATH, 1, 1, fn_function1, FUNCTION_erfc },
	{ "gamma", MATH, 1, 1, fn_function1, FUNCTION_gamma }, { "lgamma", MATH, 1, 1, fn_function1, FUNCTION_lgamma },
	{ "atan2", MATH | NUMPY, 2, 2, fn_function2, FUNCTION_arctan2 }, { "hypot", MATH, 2, 2, fn_function2, FUNCTION_hypot },
	{ "nextafter", MATH, 2, 2, fn_function2, FUNCTION_nextafter },
	{ "sqrt", UFUNC | MATH, 1, 1, fn_float, IR_SQRT }, { "ceil", UFUNC, 1, 1, fn_float, IR_CEIL }, { "floor", UFUNC, 1, 1, fn_float, IR_FLOOR },
	{ "trunc", UFUNC, 1, 1, fn_float, IR_TRUNC }, { "fix", NUMPY, 1, 1, fn_float, IR_TRUNC }, { "rint", NUMPY, 1, 1, fn_float, IR_RINT },
	{ "ceil", MATH, 1, 1, fn_integer, IR_CEIL }, { "floor", MATH, 1, 1, fn_integer, IR_FLOOR }, { "trunc", MATH, 1, 1, fn_integer, IR_TRUNC },
	{ "round", BUILTIN, 1, 2, fn_round, 1 }, { "round", NUMPY | METHOD | EXPRESSION, 1, 2, fn_round, 0 }, { "around", NUMPY, 1, 2, fn_round, 0 },
	{ "abs", BUILTIN | UFUNC, 1, 1, fn_abs, 0 }, { "absolute", UFUNC, 1, 1, fn_abs, 0 }, { "fabs", NUMPY | MATH, 1, 1, fn_abs, 0 },
	{ "sign", UFUNC, 1, 1, fn_sign, 0 }, { "isnan", UFUNC | MATH, 1, 1, fn_test, IR_ISNAN }, { "isinf", UFUNC | MATH, 1, 1, fn_test, IR_ISINF },
	{ "isfinite", UFUNC | MATH, 1, 1, fn_test, IR_ISFINITE }, { "signbit", UFUNC, 1, 1, fn_test, IR_SIGNBIT },
	{ "real", UFUNC, 1, 1, fn_part, IR_REAL }, { "imag", UFUNC, 1, 1, fn_part, IR_IMAG }, { "conj", UFUNC | METHOD, 1, 1, fn_part, IR_CONJ },
	{ "conjugate", UFUNC | METHOD, 1, 1, fn_part, IR_CONJ }, { "complex", BUILTIN | EXPRESSION, 1, 2, fn_complex, 0 },
	{ "copysign", UFUNC | MATH, 2, 2, fn_pair, IR_COPYSIGN }, { "fmod", UFUNC | MATH, 2, 2, fn_pair, IR_FMOD },
	{ "maximum", UFUNC, 2, 2, fn_pair, IR_MAXIMUM }, { "minimum", UFUNC, 2, 2, fn_pair, IR_MINIMUM },
	{ "fmax", NUMPY, 2, 2, fn_ignore_nan, IR_MAXIMUM }, { "fmin", NUMPY, 2, 2, fn_ignore_nan, IR_MINIMUM },
	{ "add", UFUNC, 2, 2, fn_binary, AST_ADD }, { "subtract", NUMPY, 2, 2, fn_binary, AST_SUB }, { "multiply", NUMPY, 2, 2, fn_binary, AST_MUL },
	{ "divide", NUMPY, 2, 2, fn_binary, AST_DIV }, { "true_divide", NUMPY, 2, 2, fn_binary, AST_DIV },
	{ "floor_divide", UFUNC, 2, 2, fn_binary, AST_FLOORDIV }, { "remainder", UFUNC, 2, 2, fn_binary, AST_MOD }, { "mod", UFUNC, 2, 2, fn_binary, AST_MOD },
	{ "bitwise_and", NUMPY, 2, 2, fn_binary, AST_BITAND }, { "bitwise_or", NUMPY, 2, 2, fn_binary, AST_BITOR },
	{ "bitwise_xor", NUMPY, 2, 2, fn_binary, AST_BITXOR }, { "left_shift", NUMPY, 2, 2, fn_binary, AST_SHL }, { "right_shift", NUMPY, 2, 2, fn_binary, AST_SHR },
	{ "negative", NUMPY, 1, 1, fn_unary, AST_NEG }, { "positive", NUMPY, 1, 1, fn_unary, AST_POS }, { "invert", NUMPY, 1, 1, fn_unary, AST_INVERT },
	{ "bitwise_not", NUMPY, 1, 1, fn_unary, AST_INVERT }, { "equal", NUMPY, 2, 2, fn_compare, IR_EQ }, { "not_equal", NUMPY, 2, 2, fn_compare, IR_NE },
	{ "less", NUMPY, 2, 2, fn_compare, IR_LT }, { "less_equal", NUMPY, 2, 2, fn_compare, IR_LE }, { "greater", NUMPY, 2, 2, fn_compare, IR_GT },
	{ "greater_equal", NUMPY, 2, 2, fn_compare, IR_GE }, { "logical_and", UFUNC, 2, 2, fn_logical, IR_BITAND },
	{ "logical_or", UFUNC, 2, 2, fn_logical, IR_BITOR }, { "logical_xor", UFUNC, 2, 2, fn_logical, IR_BITXOR }, { "logical_not", UFUNC, 1, 1, fn_logical, IR_NOT },
	{ "where", UFUNC, 1, 3, fn_where, 0 }, { "clip", UFUNC | METHOD, 1, 3, fn_clip, 0 },
	{ "deg2rad", UFUNC, 1, 1, fn_scale, 0 }, { "radians", NUMPY | MATH, 1, 1, fn_scale, 0 }, { "rad2deg", UFUNC, 1, 1, fn_scale, 1 },
	{ "degrees", NUMPY | MATH, 1, 1, fn_scale, 1 }, { "square", NUMPY, 1, 1, fn_square, 2 }, { "reciprocal", NUMPY, 1, 1, fn_square, -1 },
	{ "divmod", BUILTIN | NUMPY, 2, 2, fn_divmod, 0 }, { "int", BUILTIN, 1, 1, fn_cast, DTYPE_I64 }, { "float", BUILTIN, 1, 1, fn_cast, DTYPE_F64 },
	{ "bool", BUILTIN, 1, 1, fn_cast, DTYPE_BOOL }, { "min", BUILTIN, 1, 64, fn_min_max, IR_LT }, { "max", BUILTIN, 1, 64, fn_min_max, IR_GT },
	/* loops */
	{ "range", BUILTIN, 1, 3, create_range, 0 }, { "prange", BUILTIN, 1, 3, create_range, 1 }, { "enumerate", BUILTIN, 1, 2, create_enumerate, 0 },
	{ "zip", BUILTIN, 1, 16, create_zip, 0 },
	/* making arrays */
	{ "zeros", NUMPY, 1, 2, create_filled, 0 }, { "ones", NUMPY, 1, 2, create_filled, 1 }, { "empty", NUMPY, 1, 2, create_filled, 2 },
	{ "full", NUMPY, 2, 3, create_filled, 3 }, { "zeros_like", NUMPY, 1, 2, create_like, 0 }, { "ones_like", NUMPY, 1, 2, create_like, 1 },
	{ "ones_like", EXPRESSION, 1, 1, fn_ones_like, 0 }, { "empty_like", NUMPY, 1, 2, create_like, 2 }, { "full_like", NUMPY, 2, 3, create_like, 3 },
	{ "arange", NUMPY, 1, 4, create_arange, 0 }, { "linspace", NUMPY, 2, 3, create_linspace, 0 }, { "array", NUMPY, 1, 2, create_array, 1 },
	{ "asarray", NUMPY, 1, 2, create_array, 0 }, { "ascontiguousarray", NUMPY, 1, 2, create_array, 1 }, { "copy", ARRAYS | EXPRESSION, 1, 1, create_copy, 0 },
	/* arrays as a whole */
	{ "len", BUILTIN, 1, 1, array_length, 0 }, { "size", NUMPY, 1, 1, array_info, 0 }, { "shape", NUMPY, 1, 1, array_info, 1 }, { "ndim", NUMPY, 1, 1, array_info, 2 },
	{ "astype", METHOD, 2, 2, array_astype, 0 }, { "ravel", ARRAYS, 1, 1, array_ravel, 0 }, { "flatten", METHOD, 1, 1, array_ravel, 1 },
	{ "transpose", ARRAYS, 1, 1, array_transpose, 0 }, { "fill", METHOD, 2, 2, array_fill, 0 }, { "sort", NUMPY, 1, 1, array_sort, 0 },
	{ "sort", METHOD, 1, 1, array_sort, 1 }, { "argsort", ARRAYS, 1, 1, array_sort, 2 }, { "searchsorted", ARRAYS, 2, 3, array_search, 0 },
	{ "median", NUMPY, 1, 1, array_quantile, 0 }, { "percentile", NUMPY, 2, 2, array_quantile, 1 }, { "quantile", NUMPY, 2, 2, array_quantile, 2 },
	{ "diff", NUMPY, 1, 1, array_diff, 0 }, { "cumsum", ARRAYS, 1, 2, array_cumulate, IR_ADD }, { "cumprod", ARRAYS, 1, 2, array_cumulate, IR_MUL },
	{ "dot", ARRAYS, 2, 2, array_dot, 0 }, { "matmul", NUMPY, 2, 2, array_dot, 0 },
	{ "sum", ARRAYS | BUILTIN | EXPRESSION, 1, 3, array_reduce, REDUCE_SUM }, { "prod", ARRAYS | EXPRESSION, 1, 3, array_reduce, REDUCE_PROD },
	{ "min", ARRAYS | EXPRESSION, 1, 2, array_reduce, REDUCE_MIN }, { "max", ARRAYS | EXPRESSION, 1, 2, array_reduce, REDUCE_MAX },
	{ "amin", NUMPY, 1, 2, array_reduce, REDUCE_MIN }, { "amax", NUMPY, 1, 2, array_reduce, REDUCE_MAX },
	{ "any", ARRAYS | EXPRESSION, 1, 2, array_reduce, REDUCE_ANY }, { "all", ARRAYS | EXPRESSION, 1, 2, array_reduce, REDUCE_ALL },
	{ "mean", ARRAYS | EXPRESSION, 1, 2, array_reduce, REDUCE_MEAN }, { "var", ARRAYS | EXPRESSION, 1, 2, array_reduce, REDUCE_VAR },
	{ "std", ARRAYS | EXPRESSION, 1, 2, array_reduce, REDUCE_STD }, { "argmin", ARRAYS | EXPRESSION, 1, 2, array_reduce, REDUCE_ARGMIN },
	{ "argmax", ARRAYS | EXPRESSION, 1, 2, array_reduce, REDUCE_ARGMAX }, { "count_nonzero", NUMPY, 1, 2, array_reduce, REDUCE_COUNT },
};

static const struct library_row *find(const char *name, size_t nbytes, unsigned where)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if ((rows[i].where & where) && strlen(rows[i].name) == nbytes && memcmp(rows[i].name, name, nbytes) == 0)
			return &rows[i];
	return NULL;
}

static bool after(struct name *n, const char *prefix)
{
	size_t len = strlen(prefix);
	if (n->nbytes <= len || memcmp(n->text, prefix, len) != 0)
		return false;
	n->text += len;
	n->nbytes -= len;
	return true;
}

/* The row of "numpy.sqrt", "math.floor", "array.sum", or of a bare name. *name loses its module. */
static const struct library_row *resolve(struct name *name)
{
	if (after(name, "numpy."))
		return find(name->text, name->nbytes, NUMPY);
	if (after(name, "math."))
		return find(name->text, name->nbytes, MATH);
	if (after(name, "array."))
		return find(name->text, name->nbytes, METHOD);
	if (after(name, "builtins.") || after(name, "spiked.") || after(name, "numba."))
		return find(name->text, name->nbytes, BUILTIN);
	const struct library_row *row = find(name->text, name->nbytes, BUILTIN);
	return row ? row : find(name->text, name->nbytes, EXPRESSION);
}

bool library_has(struct name name)
{
	return find(name.text, name.nbytes, BUILTIN | EXPRESSION) != NULL;
}

struct value *call_library(struct lowering *l, struct place at, struct name name, struct value **args, uint32_t nargs,
			   const struct ast_keyword *keywords, struct value **keyword_values, uint32_t nkeywords)
{
	struct call c = { .place = at, .args = args, .nargs = nargs, .keywords = keywords, .keyword_values = keyword_values, .nkeywords = nkeywords };
	const struct library_row *row = NULL;
	/* In expressions NumExpr's meaning of a bare name goes first. */
	if (l->expression)
		row = find(name.text, name.nbytes, EXPRESSION);
	c.name = name;
	row = row ? row : resolve(&c.name);
	if (!row)
		UNSUPPORTED(l, at, NULL, "'%.*s' is not among the functions of the language", (int)(name.nbytes > 60 ? 60 : name.nbytes), name.text);
	if (nargs > row->most || nargs + nkeywords < row->least)
		INVALID(l, at, NULL, "%s() takes %u to %u arguments, but %u are given", row->name, row->least, row->most, nargs + nkeywords);
	struct value *v = row->fn(l, &c, row->data);
	for (uint32_t i = 0; i < nkeywords; i++)
		if (!(c.used >> (i & 63) & 1))
			INVALID(l, keywords[i].place, NULL, "%s() has no argument '%.*s' here", row->name, (int)(keywords[i].name.nbytes > 40 ? 40 : keywords[i].name.nbytes),
				keywords[i].name.text);
	return v;
}

/* --- members of modules --- */

static const struct {
	const char *name;
	double value;
} constants[] = { { "pi", M_PI }, { "e", M_E }, { "inf", INFINITY }, { "nan", NAN }, { "tau", 2 * M_PI } };

struct value *library_member(struct lowering *l, struct place at, struct name module, struct name member)
{
	bool numpy = name_is(module, "numpy"), math = name_is(module, "math");
	for (size_t i = 0; (numpy || math) && i < sizeof constants / sizeof *constants; i++)
		if (name_is(member, constants[i].name))
			return value_scalar(l, ir_const_real(l->f, DTYPE_F64, constants[i].value), true);
	if (numpy && name_is(member, "newaxis"))
		return value_new(l, VALUE_NONE);
	enum dtype dtype = numpy ? dtype_from_numpy_name(member.text, member.nbytes) : DTYPE_NONE;
	if (dtype != DTYPE_NONE) {
		struct value *v = value_new(l, VALUE_DTYPE);
		v->type.dtype = dtype;
		return v;
	}
	char *full = lower_alloc(l, module.nbytes + member.nbytes + 2);
	memcpy(full, module.text, module.nbytes);
	full[module.nbytes] = '.';
	memcpy(full + module.nbytes + 1, member.text, member.nbytes);
	struct value *v = value_new(l, VALUE_LIBRARY);
	v->name = (struct name){ full, module.nbytes + member.nbytes + 1 };
	struct name rest = v->name;
	if (!resolve(&rest) || rest.nbytes == v->name.nbytes)
		UNSUPPORTED(l, at, "LANGUAGE.md lists the functions", "%.*s has no '%.*s' in the language", (int)module.nbytes, module.text,
			    (int)(member.nbytes > 40 ? 40 : member.nbytes), member.text);
	return v;
}
