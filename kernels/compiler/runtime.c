/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Failures, the look at the outside, and scalar operations with long rules. The rest of runtime.h: runtime_memory.c, runtime_parallel.c,
 * procedures.c.
 */
#include "kernels/compiler/runtime.h"

#include <complex.h>
#include <math.h>

int kernel_fail(struct kernel_context *ctx, int code, uint32_t line, uint32_t array, int64_t v0, int64_t v1)
{
	if (!ctx->failure.code) {
		ctx->failure = (struct kernel_failure){ (enum kernel_error_code)code, line, array, { v0, v1 } };
		if (ctx->is_main)
			ctx->call->failure = ctx->failure;
	}
	return 1;
}

static bool is_set(const atomic_bool *flag)
{
	return flag && atomic_load_explicit(flag, memory_order_relaxed);
}

int kernel_poll(struct kernel_context *ctx)
{
	struct kernel_call *call = ctx->call;
	bool ended = is_set(call->cancelled);
	if (!ended && ctx->is_main && call->pause && is_set(call->attention))
		ended = call->pause(call) || is_set(call->cancelled);
	return ended ? kernel_fail(ctx, KERNEL_CANCELLED, 0, UINT32_MAX, 0, 0) : 0;
}

/* --- scalars --- */

int64_t kernel_pow_i64(int64_t base, int64_t exponent)
{
	uint64_t result = 1, square = (uint64_t)base;
	for (uint64_t left = (uint64_t)exponent; left; left >>= 1, square *= square)
		if (left & 1)
			result *= square;
	return (int64_t)result;
}

/* After NumPy's npy_divmod: fmod is exact, so the quotient of what is left differs from an integer by rounding alone. NumPy makes the
 * remainder's sign the divisor's, and zeros take the sign of the divisor (remainder) and of the quotient (floor_divide). */
#define DIVISION(type, suffix, f)                                                       \
	type kernel_floordiv_##suffix(type a, type b)                                   \
	{                                                                               \
		if (b == 0)                                                             \
			return a / b;                                                   \
		type mod = fmod##f(a, b), quotient = (a - mod) / b;                     \
		if (mod != 0 && (b < 0) != (mod < 0))                                   \
			quotient -= 1;                                                  \
		if (quotient == 0)                                                      \
			return copysign##f(0, a / b);                                   \
		type whole = floor##f(quotient);                                        \
		return quotient - whole > (type)0.5 ? whole + 1 : whole;                \
	}                                                                               \
	type kernel_mod_##suffix(type a, type b)                                        \
	{                                                                               \
		type mod = fmod##f(a, b);                                               \
		if (b == 0)                                                             \
			return mod;                                                     \
		if (mod == 0)                                                           \
			return copysign##f(0, b);                                       \
		return (b < 0) != (mod < 0) ? mod + b : mod;                            \
	}
DIVISION(double, f64, )
DIVISION(float, f32, f)

/* Smith 1962, CACM 5:435, in NumPy's form: by the larger of the divisor's parts, so that its square cannot overflow. */
#define COMPLEX_DIVISION(type, suffix, f, make)                                         \
	type _Complex kernel_div_##suffix(type _Complex a, type _Complex b)             \
	{                                                                               \
		type ar = creal##f(a), ai = cimag##f(a), br = creal##f(b), bi = cimag##f(b); \
		if (fabs##f(br) >= fabs##f(bi)) {                                       \
			if (br == 0 && bi == 0)                                         \
				return make(ar / fabs##f(br), ai / fabs##f(br));        \
			type ratio = bi / br, scale = 1 / (br + bi * ratio);            \
			return make((ar + ai * ratio) * scale, (ai - ar * ratio) * scale); \
		}                                                                       \
		type ratio = br / bi, scale = 1 / (bi + br * ratio);                    \
		return make((ar * ratio + ai) * scale, (ai * ratio - ar) * scale);      \
	}
COMPLEX_DIVISION(double, c128, , CMPLX)
COMPLEX_DIVISION(float, c64, f, CMPLXF)
