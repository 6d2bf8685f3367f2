/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Operators and casts. Integers of all widths are computed in 64 bits and cut: the low bits of sums and products do not depend on higher ones,
 * and a scalar always holds its extension to 64 bits. Floats are computed in their own type.
 */
#include "kernels/compiler/interpret_private.h"
#include "kernels/compiler/types.h"

#include <complex.h>
#include <math.h>
#include <string.h>

static unsigned width(enum dtype d)
{
	return d == DTYPE_BOOL ? 1 : 8 * (unsigned)dtype_size(d);
}

static union kernel_scalar cut(enum dtype d, uint64_t v)
{
	union kernel_scalar s;
	switch (d) {
	case DTYPE_BOOL: s.u = v & 1; break;
	case DTYPE_I8: s.i = (int8_t)v; break;
	case DTYPE_U8: s.u = (uint8_t)v; break;
	case DTYPE_I16: s.i = (int16_t)v; break;
	case DTYPE_U16: s.u = (uint16_t)v; break;
	case DTYPE_I32: s.i = (int32_t)v; break;
	case DTYPE_U32: s.u = (uint32_t)v; break;
	default: s.u = v;
	}
	return s;
}

union kernel_scalar machine_number(enum dtype d, int64_t value)
{
	switch (d) {
	case DTYPE_F32: return (union kernel_scalar){ .f32 = (float)value };
	case DTYPE_F64: return (union kernel_scalar){ .f64 = (double)value };
	case DTYPE_C64: return (union kernel_scalar){ .c64 = CMPLXF((float)value, 0) };
	case DTYPE_C128: return (union kernel_scalar){ .c128 = CMPLX((double)value, 0) };
	default: return cut(d, (uint64_t)value);
	}
}

/* --- integers and bools --- */

/* FLOORDIV MOD FMOD of a divisor that is not 0. */
static uint64_t divide_signed(enum ir_op op, int64_t a, int64_t b)
{
	if (b == -1) /* INT64_MIN / -1 overflows */
		return op == IR_FLOORDIV ? 0 - (uint64_t)a : 0;
	int64_t quotient = a / b, rest = a % b;
	bool below = rest != 0 && (rest < 0) != (b < 0);
	if (op == IR_FLOORDIV)
		return (uint64_t)(quotient - below);
	return (uint64_t)(below && op == IR_MOD ? rest + b : rest);
}

static bool divide(struct machine *m, const struct ir_expr *e, bool with_sign, uint64_t a, uint64_t b, uint64_t *out)
{
	if (b == 0 && e->checked)
		return machine_fail(m, KERNEL_DIVISION, e->line, IR_NONE, 0, 0);
	if (b == 0) {
		atomic_store_explicit(&m->ctx->call->divided_by_zero, 1, memory_order_relaxed);
		*out = 0;
	} else if (with_sign) {
		*out = divide_signed(e->op, (int64_t)a, (int64_t)b);
	} else {
		*out = e->op == IR_FLOORDIV ? a / b : a % b;
	}
	return true;
}

static uint64_t shift(enum ir_op op, enum dtype d, uint64_t a, uint64_t count)
{
	bool fits = count < width(d);
	if (op == IR_SHL)
		return fits ? a << count : 0;
	if (dtype_is_signed(d))
		return (uint64_t)((int64_t)a >> (fits ? count : 63));
	return fits ? a >> count : 0;
}

static bool int_less(bool with_sign, uint64_t a, uint64_t b)
{
	return with_sign ? (int64_t)a < (int64_t)b : a < b;
}

static bool int_compare(enum ir_op op, bool with_sign, uint64_t a, uint64_t b)
{
	switch (op) {
	case IR_LT: return int_less(with_sign, a, b);
	case IR_LE: return !int_less(with_sign, b, a);
	case IR_GT: return int_less(with_sign, b, a);
	case IR_GE: return !int_less(with_sign, a, b);
	case IR_EQ: return a == b;
	default: return a != b;
	}
}

static uint64_t int_simple(enum ir_op op, enum dtype d, uint64_t a, uint64_t b)
{
	bool with_sign = dtype_is_signed(d);
	switch (op) {
	case IR_ADD: return a + b;
	case IR_SUB: return a - b;
	case IR_MUL: return a * b;
	case IR_NEG: return 0 - a;
	case IR_BITAND: return a & b;
	case IR_BITOR: return a | b;
	case IR_BITXOR: return a ^ b;
	case IR_INVERT: case IR_NOT: return ~a;
	case IR_MAXIMUM: return int_less(with_sign, a, b) ? b : a;
	case IR_MINIMUM: return int_less(with_sign, b, a) ? b : a;
	case IR_SHL: case IR_SHR: return shift(op, d, a, b);
	case IR_ABS: return with_sign && (int64_t)a < 0 ? 0 - a : a;
	case IR_SIGN: return with_sign && (int64_t)a < 0 ? UINT64_MAX : a != 0;
	default: return int_compare(op, with_sign, a, b);
	}
}

static bool int_operate(struct machine *m, const struct ir_expr *e, uint64_t a, uint64_t b, union kernel_scalar *out)
{
	enum dtype d = e->a->dtype;
	uint64_t v = 0;
	switch (e->op) {
	case IR_FLOORDIV: case IR_MOD: case IR_FMOD:
		if (!divide(m, e, dtype_is_signed(d), a, b, &v))
			return false;
		break;
	case IR_POW:
		if (dtype_is_signed(d) && (int64_t)b < 0)
			return machine_fail(m, KERNEL_NEGATIVE_POWER, e->line, IR_NONE, (int64_t)b, 0);
		v = (uint64_t)kernel_pow_i64((int64_t)a, (int64_t)b);
		break;
	default:
		v = int_simple(e->op, d, a, b);
	}
	*out = cut(e->dtype, v);
	return true;
}

/* --- floats --- */

#define REAL_OPERATE(type, suffix, f)                                                              \
	static union kernel_scalar operate_##suffix(enum ir_op op, type a, type b)                 \
	{                                                                                          \
		union kernel_scalar s;                                                             \
		s.u = 0;                                                                           \
		switch (op) {                                                                      \
		case IR_ADD: s.suffix = a + b; break;                                              \
		case IR_SUB: s.suffix = a - b; break;                                              \
		case IR_MUL: s.suffix = a * b; break;                                              \
		case IR_DIV: s.suffix = a / b; break;                                              \
		case IR_FLOORDIV: s.suffix = kernel_floordiv_##suffix(a, b); break;                \
		case IR_MOD: s.suffix = kernel_mod_##suffix(a, b); break;                          \
		case IR_FMOD: s.suffix = fmod##f(a, b); break;                                     \
		case IR_MAXIMUM: s.suffix = isnan(a) ? a : isnan(b) ? b : a < b ? b : a; break;    \
		case IR_MINIMUM: s.suffix = isnan(a) ? a : isnan(b) ? b : b < a ? b : a; break;    \
		case IR_COPYSIGN: s.suffix = copysign##f(a, b); break;                             \
		case IR_NEG: s.suffix = -a; break;                                                 \
		case IR_ABS: s.suffix = fabs##f(a); break;                                         \
		case IR_SIGN: s.suffix = a > 0 ? 1 : a < 0 ? -1 : a == 0 ? 0 : a; break;           \
		case IR_SQRT: s.suffix = sqrt##f(a); break;                                        \
		case IR_CEIL: s.suffix = ceil##f(a); break;                                        \
		case IR_FLOOR: s.suffix = floor##f(a); break;                                      \
		case IR_TRUNC: s.suffix = trunc##f(a); break;                                      \
		case IR_RINT: s.suffix = rint##f(a); break;                                        \
		case IR_LT: s.u = a < b; break;                                                    \
		case IR_LE: s.u = a <= b; break;                                                   \
		case IR_GT: s.u = a > b; break;                                                    \
		case IR_GE: s.u = a >= b; break;                                                   \
		case IR_EQ: s.u = a == b; break;                                                   \
		case IR_NE: s.u = a != b; break;                                                   \
		case IR_ISNAN: s.u = isnan(a); break;                                              \
		case IR_ISINF: s.u = isinf(a) != 0; break;                                         \
		case IR_ISFINITE: s.u = isfinite(a); break;                                        \
		case IR_SIGNBIT: s.u = signbit(a) != 0; break;                                     \
		default: break;                                                                    \
		}                                                                                  \
		return s;                                                                          \
	}
REAL_OPERATE(float, f32, f)
REAL_OPERATE(double, f64, )

/* By parts: C's own operators put infinities right where NumPy and machine code do not. */
#define COMPLEX_OPERATE(type, suffix, part, f, make)                                               \
	static union kernel_scalar operate_##suffix(enum ir_op op, bool high, type _Complex a, type _Complex b) \
	{                                                                                          \
		type ar = creal##f(a), ai = cimag##f(a), br = creal##f(b), bi = cimag##f(b);       \
		union kernel_scalar s;                                                             \
		s.u = 0;                                                                           \
		switch (op) {                                                                      \
		case IR_ADD: s.suffix = make(ar + br, ai + bi); break;                             \
		case IR_SUB: s.suffix = make(ar - br, ai - bi); break;                             \
		case IR_MUL: s.suffix = make(ar * br - ai * bi, ar * bi + ai * br); break;         \
		case IR_DIV: s.suffix = kernel_div_##suffix(a, b); break;                          \
		case IR_NEG: s.suffix = make(-ar, -ai); break;                                     \
		case IR_CONJ: s.suffix = make(ar, -ai); break;                                     \
		case IR_SQRT: s.suffix = csqrt##f(a); break;                                       \
		case IR_REAL: s.part = ar; break;                                                  \
		case IR_IMAG: s.part = ai; break;                                                  \
		case IR_ABS: s.part = function_##part(FUNCTION_hypot, high, ar, ai); break;        \
		case IR_EQ: s.u = ar == br && ai == bi; break;                                     \
		case IR_NE: s.u = ar != br || ai != bi; break;                                     \
		case IR_ISNAN: s.u = isnan(ar) || isnan(ai); break;                                \
		case IR_ISINF: s.u = isinf(ar) || isinf(ai); break;                                \
		case IR_ISFINITE: s.u = isfinite(ar) && isfinite(ai); break;                       \
		default: break;                                                                    \
		}                                                                                  \
		return s;                                                                          \
	}
COMPLEX_OPERATE(float, c64, f32, f, CMPLXF)
COMPLEX_OPERATE(double, c128, f64, , CMPLX)

bool machine_operate(struct machine *m, const struct ir_expr *e, const union kernel_scalar *a, const union kernel_scalar *b, union kernel_scalar *out)
{
	bool high = m->f->accurate;
	switch (e->a->dtype) {
	case DTYPE_F32:
		*out = e->op == IR_COMPLEX ? (union kernel_scalar){ .c64 = CMPLXF(a->f32, b->f32) } : operate_f32(e->op, a->f32, b->f32);
		return true;
	case DTYPE_F64:
		*out = e->op == IR_COMPLEX ? (union kernel_scalar){ .c128 = CMPLX(a->f64, b->f64) } : operate_f64(e->op, a->f64, b->f64);
		return true;
	case DTYPE_C64:
		*out = operate_c64(e->op, high, a->c64, b->c64);
		return true;
	case DTYPE_C128:
		*out = operate_c128(e->op, high, a->c128, b->c128);
		return true;
	default:
		return int_operate(m, e, a->u, b->u, out);
	}
}

union kernel_scalar machine_combine(enum ir_op op, enum dtype d, const union kernel_scalar *a, const union kernel_scalar *b)
{
	switch (d) {
	case DTYPE_F32: return operate_f32(op, a->f32, b->f32);
	case DTYPE_F64: return operate_f64(op, a->f64, b->f64);
	case DTYPE_C64: return operate_c64(op, false, a->c64, b->c64);
	case DTYPE_C128: return operate_c128(op, false, a->c128, b->c128);
	default: return cut(op >= IR_LT && op <= IR_NE ? DTYPE_BOOL : d, int_simple(op, d, a->u, b->u));
	}
}

/* --- casts --- */

/* As x86 converts: the least value for what does not fit. */
static int64_t to_int(double v, unsigned bits)
{
	double limit = bits == 64 ? 0x1p63 : 0x1p31;
	v = trunc(v);
	if (v >= -limit && v < limit)
		return (int64_t)v;
	return bits == 64 ? INT64_MIN : INT32_MIN;
}

static bool float_to_int(struct machine *m, const struct ir_expr *e, double v, union kernel_scalar *out)
{
	enum dtype d = e->dtype;
	if (e->checked) {
		int bits = (int)width(d) - dtype_is_signed(d);
		double whole = trunc(v);
		if (!(whole >= (dtype_is_signed(d) ? -ldexp(1, bits) : 0) && whole < ldexp(1, bits)))
			return machine_fail(m, KERNEL_CAST, e->line, IR_NONE, 0, 0);
	}
	uint64_t bits;
	if (d == DTYPE_U64)
		bits = v >= 0x1p63 ? (uint64_t)to_int(v - 0x1p63, 64) ^ (uint64_t)1 << 63 : (uint64_t)to_int(v, 64);
	else
		bits = (uint64_t)to_int(v, d == DTYPE_I64 || d == DTYPE_U32 ? 64 : 32);
	*out = cut(d, bits);
	return true;
}

/* A float or complex value, exactly. */
static double _Complex widest(enum dtype d, const union kernel_scalar *s)
{
	switch (d) {
	case DTYPE_F32: return CMPLX((double)s->f32, 0);
	case DTYPE_F64: return CMPLX(s->f64, 0);
	case DTYPE_C64: return CMPLX((double)crealf(s->c64), (double)cimagf(s->c64));
	default: return s->c128;
	}
}

bool machine_cast(struct machine *m, const struct ir_expr *e, const union kernel_scalar *a, union kernel_scalar *out)
{
	enum dtype from = e->a->dtype, to = e->dtype;
	bool inexact = dtype_is_float(from) || dtype_is_complex(from);
	double _Complex wide = inexact ? widest(from, a) : 0;
	double re = creal(wide), im = cimag(wide);
	if (!inexact && dtype_is_signed(from)) { /* in one rounding */
		wide = to == DTYPE_F32 || to == DTYPE_C64 ? CMPLX((double)(float)a->i, 0) : CMPLX((double)a->i, 0);
		re = creal(wide);
	} else if (!inexact) {
		re = to == DTYPE_F32 || to == DTYPE_C64 ? (double)(float)a->u : (double)a->u;
	}
	switch (to) {
	case DTYPE_BOOL: out->u = inexact ? re != 0 || im != 0 : a->u != 0; return true;
	case DTYPE_F32: out->f32 = (float)re; return true;
	case DTYPE_F64: out->f64 = re; return true;
	case DTYPE_C64: out->c64 = CMPLXF((float)re, (float)im); return true;
	case DTYPE_C128: out->c128 = CMPLX(re, im); return true;
	default:
		if (inexact)
			return float_to_int(m, e, re, out);
		*out = cut(to, a->u);
		return true;
	}
}
