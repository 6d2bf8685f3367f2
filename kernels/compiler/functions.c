/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Where the mathematical functions come from. libmvec's variants for different vector lengths differ in their last bits, so a process
 * uses one of them for everything (the one of isa_level()): vector code calls it for full vectors and for the padded rest, scalar code and the
 * interpreter call it with the value in every lane. That is sound because no lane looks at another; tests/unit/test_runtime.c holds libmvec to
 * it on the machine at hand, and to 4 ULP and the special values of libm. What fails is denied below and comes from libm.
 */
#include "kernels/compiler/functions.h"

#include "kernels/isa.h"

#include <complex.h>
#include <math.h>
#include <stddef.h>

const struct function_info functions[FUNCTION_COUNT] = {
#define F(name, libm, arity, mvec, cplx) { #name, #libm, arity, mvec, cplx },
	FUNCTION_MAP(F)
#undef F
};

typedef double unary_f64(double);
typedef double binary_f64(double, double);
typedef float unary_f32(float);
typedef float binary_f32(float, float);
typedef double _Complex unary_c128(double _Complex);
typedef double _Complex binary_c128(double _Complex, double _Complex);
typedef float _Complex unary_c64(float _Complex);
typedef float _Complex binary_c64(float _Complex, float _Complex);

/* All of a function's implementations from one source; which member holds follows from the arity. NULL: it has none. */
struct implementation {
	union { unary_f64 *one; binary_f64 *two; } f64;
	union { unary_f32 *one; binary_f32 *two; } f32;
	const char *symbol_f64, *symbol_f32; /* libmvec's */
};

#define MEMBER_1 one
#define MEMBER_2 two
#define MEMBER_(arity) MEMBER_##arity
#define MEMBER(arity) MEMBER_(arity)

/* --- libm --- */

/* lgamma writes the global signgam, over which threads would fight. */
static double lgamma_alone(double a)
{
	int sign;
	return lgamma_r(a, &sign);
}

static float lgammaf_alone(float a)
{
	int sign;
	return lgammaf_r(a, &sign);
}
#define lgamma lgamma_alone
#define lgammaf lgammaf_alone

static const struct implementation from_libm[FUNCTION_COUNT] = {
#define F(name, libm, arity, mvec, cplx) [FUNCTION_##name] = { { .MEMBER(arity) = libm }, { .MEMBER(arity) = libm##f }, NULL, NULL },
	FUNCTION_MAP(F)
#undef F
};

struct complex_implementation {
	union { unary_c128 *one; binary_c128 *two; } c128;
	union { unary_c64 *one; binary_c64 *two; } c64;
};

#define COMPLEX_0(name, libm, arity)
#define COMPLEX_1(name, libm, arity) [FUNCTION_##name] = { { .MEMBER(arity) = c##libm }, { .MEMBER(arity) = c##libm##f } },
static const struct complex_implementation from_libm_complex[FUNCTION_COUNT] = {
#define F(name, libm, arity, mvec, cplx) COMPLEX_##cplx(name, libm, arity)
	FUNCTION_MAP(F)
#undef F
};

/* --- libmvec --- */

#if defined(__x86_64__) && defined(__GLIBC__)
typedef double f64x2 __attribute__((vector_size(16)));
typedef double f64x4 __attribute__((vector_size(32)));
typedef double f64x8 __attribute__((vector_size(64)));
typedef float f32x4 __attribute__((vector_size(16)));
typedef float f32x8 __attribute__((vector_size(32)));
typedef float f32x16 __attribute__((vector_size(64)));

#define SAME_2(a) { a, a }
#define SAME_4(a) { a, a, a, a }
#define SAME_8(a) { a, a, a, a, a, a, a, a }
#define SAME_16(a) { a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a }

#define EVERY_LANE_1(scalar, vector, lanes, symbol, features)                                      \
	vector symbol(vector);                                                                     \
	__attribute__((target(features))) static scalar every_lane##symbol(scalar a)               \
	{                                                                                          \
		return symbol((vector)SAME_##lanes(a))[0];                                         \
	}
#define EVERY_LANE_2(scalar, vector, lanes, symbol, features)                                      \
	vector symbol(vector, vector);                                                             \
	__attribute__((target(features))) static scalar every_lane##symbol(scalar a, scalar b)     \
	{                                                                                          \
		return symbol((vector)SAME_##lanes(a), (vector)SAME_##lanes(b))[0];                \
	}
#define DEFINE(arity, isa, args, n, m, libm, features)                                             \
	EVERY_LANE_##arity(double, f64x##n, n, _ZGV##isa##N##n##args##_##libm, features)           \
	EVERY_LANE_##arity(float, f32x##m, m, _ZGV##isa##N##m##args##_##libm##f, features)

#define TEXT_(symbol) #symbol
#define TEXT(symbol) TEXT_(symbol)
#define ENTRY(name, arity, isa, args, n, m, libm)                                                  \
	[FUNCTION_##name] = {                                                                      \
		{ .MEMBER(arity) = every_lane_ZGV##isa##N##n##args##_##libm },                     \
		{ .MEMBER(arity) = every_lane_ZGV##isa##N##m##args##_##libm##f },                  \
		TEXT(_ZGV##isa##N##n##args##_##libm), TEXT(_ZGV##isa##N##m##args##_##libm##f),     \
	},

#define ARGS_1 v
#define ARGS_2 vv
#define EXPAND(macro, ...) macro(__VA_ARGS__)
#define DEFINE_0(...)
#define DEFINE_1(name, arity, isa, n, m, libm, features) EXPAND(DEFINE, arity, isa, ARGS_##arity, n, m, libm, features)
#define ENTRY_0(...)
#define ENTRY_1(name, arity, isa, n, m, libm, features) EXPAND(ENTRY, name, arity, isa, ARGS_##arity, n, m, libm)

#define F(name, libm, arity, mvec, cplx) DEFINE_##mvec(name, arity, b, 2, 4, libm, "sse2")
FUNCTION_MAP(F)
#undef F
#define F(name, libm, arity, mvec, cplx) DEFINE_##mvec(name, arity, d, 4, 8, libm, "avx2,fma")
FUNCTION_MAP(F)
#undef F
#define F(name, libm, arity, mvec, cplx) DEFINE_##mvec(name, arity, e, 8, 16, libm, "avx512f,avx512dq")
FUNCTION_MAP(F)
#undef F

static const struct implementation from_libmvec[][FUNCTION_COUNT] = {
#define F(name, libm, arity, mvec, cplx) ENTRY_##mvec(name, arity, b, 2, 4, libm, )
	[ISA_C] = { FUNCTION_MAP(F) },
#undef F
#define F(name, libm, arity, mvec, cplx) ENTRY_##mvec(name, arity, d, 4, 8, libm, )
	[ISA_AVX2] = { FUNCTION_MAP(F) },
#undef F
#define F(name, libm, arity, mvec, cplx) ENTRY_##mvec(name, arity, e, 8, 16, libm, )
	[ISA_AVX512] = { FUNCTION_MAP(F) },
#undef F
};
static const unsigned vector_bytes[] = { [ISA_C] = 16, [ISA_AVX2] = 32, [ISA_AVX512] = 64 };

/* What libmvec gets wrong, measured with glibc 2.36. */
static const struct denied {
	enum function function;
	enum dtype dtype;
} denied[] = {
	{ FUNCTION_COUNT, DTYPE_NONE },
};

static const struct implementation *vector_version(enum function f, enum dtype dtype)
{
	for (size_t i = 0; i < sizeof denied / sizeof *denied; i++)
		if (denied[i].function == f && denied[i].dtype == dtype)
			return NULL;
	const struct implementation *version = &from_libmvec[isa_level()][f];
	return version->symbol_f64 ? version : NULL;
}

const char *function_vector(enum function f, enum dtype dtype, unsigned *lanes)
{
	if (dtype != DTYPE_F32 && dtype != DTYPE_F64)
		return NULL;
	const struct implementation *version = vector_version(f, dtype);
	if (!version)
		return NULL;
	*lanes = vector_bytes[isa_level()] / (unsigned)dtype_size(dtype);
	return dtype == DTYPE_F64 ? version->symbol_f64 : version->symbol_f32;
}
#else
static const struct implementation *vector_version(enum function f, enum dtype dtype)
{
	(void)f, (void)dtype;
	return NULL;
}

const char *function_vector(enum function f, enum dtype dtype, unsigned *lanes)
{
	(void)f, (void)dtype, (void)lanes;
	return NULL;
}
#endif

/* --- calls --- */

static const struct implementation *choose(enum function f, enum dtype dtype, bool high)
{
	const struct implementation *version = high ? NULL : vector_version(f, dtype);
	return version ? version : &from_libm[f];
}

double function_f64(enum function f, bool high, double a, double b)
{
	const struct implementation *version = choose(f, DTYPE_F64, high);
	return functions[f].arity == 1 ? version->f64.one(a) : version->f64.two(a, b);
}

float function_f32(enum function f, bool high, float a, float b)
{
	const struct implementation *version = choose(f, DTYPE_F32, high);
	return functions[f].arity == 1 ? version->f32.one(a) : version->f32.two(a, b);
}

double _Complex function_c128(enum function f, double _Complex a, double _Complex b)
{
	if (!functions[f].has_complex)
		return CMPLX(NAN, NAN);
	return functions[f].arity == 1 ? from_libm_complex[f].c128.one(a) : from_libm_complex[f].c128.two(a, b);
}

float _Complex function_c64(enum function f, float _Complex a, float _Complex b)
{
	if (!functions[f].has_complex)
		return CMPLXF(NAN, NAN);
	return functions[f].arity == 1 ? from_libm_complex[f].c64.one(a) : from_libm_complex[f].c64.two(a, b);
}

/* POSIX, not C, lets function pointers become void *. */
void *function_address(enum function f, enum dtype dtype, bool high)
{
	bool one = functions[f].arity == 1;
	switch (dtype) {
	case DTYPE_F32:
		return one ? (void *)choose(f, dtype, high)->f32.one : (void *)choose(f, dtype, high)->f32.two;
	case DTYPE_F64:
		return one ? (void *)choose(f, dtype, high)->f64.one : (void *)choose(f, dtype, high)->f64.two;
	case DTYPE_C64:
		return one ? (void *)from_libm_complex[f].c64.one : (void *)from_libm_complex[f].c64.two;
	case DTYPE_C128:
		return one ? (void *)from_libm_complex[f].c128.one : (void *)from_libm_complex[f].c128.two;
	default:
		return NULL;
	}
}
