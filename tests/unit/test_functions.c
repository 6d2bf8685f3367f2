/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The mathematical functions on the machine at hand: within 4 ULP of the truth, the special values of libm, and no lane that looks at another.
 */
#include "kernels/compiler/functions.h"
#include "kernels/isa.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#include <dlfcn.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { POINTS = 1 << 16, MOST_ULP = 4 };

static const double special[] = {
	0.0, 1.0, 0.5, 2.0, 3.0, 4.0, 10.0, 0x1p-1022, 0x1p-1074, 0x1.8p-1050, DBL_MAX, 0x1p-126, 0x1p-149, FLT_MAX, INFINITY, NAN, DBL_EPSILON,
	0x1p-27, 0x1p-53, 0x1.fffffffffffffp-1, 0x1.0000000000001p0, 0x1.fffffep-1, 0x1.000002p0, 1e-8, 1e-4, 1e-300, 1e300, 1e22, 1e15, 1e7, 3e38,
	88.72283, 88.73, 89.0, 103.97, 104.0, 150.0, 709.78271289338397, 709.7827128933841, 710.4758600739439, 745.13, 746.0, 1022.0, 1023.9999,
	1024.0, 1074.0, 1075.0, 127.99999, 128.0, 149.0, 149.5, 150.5, 0x1.921fb54442d18p0, 0x1.921fb54442d18p1, 0x1p52, 0x1p53, 0x1p63, 26.5, 27.3, 5.9,
	9.2, 10.1, 1.5, 2.5,
};
enum { NSPECIAL = 2 * sizeof special / sizeof *special };

static double special_value(size_t i)
{
	return i % 2 ? -special[i / 2] : special[i / 2];
}

static double from_bits(uint64_t bits)
{
	double x;
	memcpy(&x, &bits, sizeof x);
	return x;
}

static float from_bits_f32(uint32_t bits)
{
	float x;
	memcpy(&x, &bits, sizeof x);
	return x;
}

static double uniform(struct random *r)
{
	return (double)(int64_t)random_next(r) * 0x1p-63;
}

/* Some of every range that has its own code somewhere. */
static double any_value(struct random *r, bool single)
{
	switch (random_next(r) % 8) {
	case 0: return special_value(random_below(r, NSPECIAL));
	case 1: return single ? from_bits_f32((uint32_t)random_next(r)) : from_bits(random_next(r));
	case 2: return uniform(r);
	case 3: return 10 * uniform(r);
	case 4: return 1000 * uniform(r);
	case 5: return 1 + 0.01 * uniform(r);
	case 6: return ldexp(uniform(r), (int)random_below(r, 40) - 20);
	default: return ldexp(uniform(r), (int)random_below(r, single ? 250 : 2000) - (single ? 125 : 1000));
	}
}

static long double truth(enum function f, double a, double b)
{
	static long double (*const one[])(long double) = {
#define F1(libm) libm##l
#define F2(libm) NULL
#define F(name, libm, arity, mvec, cplx) F##arity(libm),
		FUNCTION_MAP(F)
#undef F1
#undef F2
	};
	static long double (*const two[])(long double, long double) = {
#define F1(libm) NULL
#define F2(libm) libm##l
		FUNCTION_MAP(F)
#undef F1
#undef F2
#undef F
	};
	/* glibc's powl(-inf, -2^63) is inf: for infinities the double functions are the truth. */
	if (isinf(a) || isinf(b))
		return function_f64(f, true, a, b);
	return one[f] ? one[f](a) : two[f](a, b);
}

/* The distance in units of the last place of a type with `digits` digits; INFINITY for what must be equal and is not. */
static double distance(long double got, long double wanted, bool single)
{
	int digits = single ? FLT_MANT_DIG : DBL_MANT_DIG, least = single ? FLT_MIN_EXP : DBL_MIN_EXP, exponent;
	long double most = single ? FLT_MAX : DBL_MAX;
	if (isnan(wanted) || isnan(got))
		return isnan(wanted) && isnan(got) ? 0 : INFINITY;
	if (fabsl(wanted) > most)
		got = isinf(got) ? copysignl(most, got) : got, wanted = copysignl(most, wanted);
	if (isinf(got))
		got = copysignl(most, got) * (1 + ldexpl(1, -digits));
	if (wanted == 0)
		return got == 0 && signbit(got) == signbit(wanted) ? 0 : INFINITY;
	if (signbit(got) != signbit(wanted))
		return INFINITY;
	frexpl(wanted, &exponent);
	if (exponent < least)
		exponent = least;
	return (double)(fabsl(got - wanted) / ldexpl(1, exponent - digits));
}

static void accuracy(enum function f, bool single)
{
	struct random r = random_seed(f + 1);
	double worst = 0, at = 0, at_b = 0;
	size_t n = functions[f].arity == 1 ? POINTS : 4 * POINTS;
	for (size_t i = 0; i < n; i++) {
		double a = any_value(&r, single), b = any_value(&r, single);
		if (i < (size_t)NSPECIAL * NSPECIAL)
			a = special_value(i % NSPECIAL), b = special_value(i / NSPECIAL);
		if (single)
			a = (float)a, b = (float)b;
		double got = single ? function_f32(f, false, (float)a, (float)b) : function_f64(f, false, a, b);
		double ulp = distance(got, truth(f, a, b), single);
		if (ulp > worst)
			worst = ulp, at = a, at_b = b;
	}
	if (worst > MOST_ULP)
		printf("\n    %s %s: %g ULP at %a, %a: %a, not %a", functions[f].name, single ? "f32" : "f64", worst, at, at_b,
		       single ? function_f32(f, false, (float)at, (float)at_b) : function_f64(f, false, at, at_b), (double)truth(f, at, at_b));
	CU_ASSERT(worst <= MOST_ULP);
}

static void accurate(void)
{
	for (int f = 0; f < FUNCTION_COUNT; f++)
		if (functions[f].vector) {
			accuracy((enum function)f, false);
			accuracy((enum function)f, true);
		}
}

/* --- lanes --- */

#if defined(__x86_64__)
typedef double f64x2 __attribute__((vector_size(16)));
typedef double f64x4 __attribute__((vector_size(32)));
typedef double f64x8 __attribute__((vector_size(64)));
typedef float f32x4 __attribute__((vector_size(16)));
typedef float f32x8 __attribute__((vector_size(32)));
typedef float f32x16 __attribute__((vector_size(64)));

/* One call of a vector function on the lanes at a and b. */
#define CALL(vector, features)                                                                                                     \
	__attribute__((target(features))) static void call_##vector(void *symbol, int arity, const void *a, const void *b, void *out) \
	{                                                                                                                          \
		vector x, y, z;                                                                                                    \
		memcpy(&x, a, sizeof x);                                                                                           \
		memcpy(&y, b, sizeof y);                                                                                           \
		z = arity == 1 ? ((vector (*)(vector))symbol)(x) : ((vector (*)(vector, vector))symbol)(x, y);                     \
		memcpy(out, &z, sizeof z);                                                                                         \
	}
CALL(f64x2, "sse2")
CALL(f64x4, "avx2,fma")
CALL(f64x8, "avx512f,avx512dq")
CALL(f32x4, "sse2")
CALL(f32x8, "avx2,fma")
CALL(f32x16, "avx512f,avx512dq")

static void call_vector(void *symbol, int arity, bool single, unsigned lanes, const void *a, const void *b, void *out)
{
	switch (lanes) {
	case 2: call_f64x2(symbol, arity, a, b, out); break;
	case 4: (single ? call_f32x4 : call_f64x4)(symbol, arity, a, b, out); break;
	case 8: (single ? call_f32x8 : call_f64x8)(symbol, arity, a, b, out); break;
	default: call_f32x16(symbol, arity, a, b, out);
	}
}

/* Lanes whose bits differ from the scalar function's. */
static size_t strays(enum function f, bool single, void *symbol, unsigned lanes)
{
	struct random r = random_seed(100 + f);
	size_t found = 0;
	for (size_t i = 0; i < POINTS / 4; i++) {
		union { double d[8]; float s[16]; unsigned char bytes[64]; } a, b, got;
		for (unsigned k = 0; k < lanes; k++)
			if (single)
				a.s[k] = (float)any_value(&r, true), b.s[k] = (float)any_value(&r, true);
			else
				a.d[k] = any_value(&r, false), b.d[k] = any_value(&r, false);
		call_vector(symbol, functions[f].arity, single, lanes, &a, &b, &got);
		for (unsigned k = 0; k < lanes; k++) {
			float s = single ? function_f32(f, false, a.s[k], b.s[k]) : 0;
			double d = single ? 0 : function_f64(f, false, a.d[k], b.d[k]);
			found += single ? memcmp(&s, &got.s[k], sizeof s) != 0 : memcmp(&d, &got.d[k], sizeof d) != 0;
		}
	}
	return found;
}

static void lanes_apart(void)
{
	for (int i = 0; i < 2 * FUNCTION_COUNT; i++) {
		enum function f = (enum function)(i / 2);
		bool single = i % 2;
		unsigned lanes = 0;
		const char *name = function_vector(f, single ? DTYPE_F32 : DTYPE_F64, &lanes);
		if (!name)
			continue;
		void *symbol = dlsym(RTLD_DEFAULT, name);
		CU_ASSERT_FATAL(symbol != NULL);
		size_t found = strays(f, single, symbol, lanes);
		if (found)
			printf("\n    %s: %zu lanes differ from the scalar function", name, found);
		CU_ASSERT(found == 0);
	}
}
#else
static void lanes_apart(void)
{
}
#endif

static void addresses(void)
{
	for (int f = 0; f < FUNCTION_COUNT; f++) {
		unsigned lanes;
		for (int single = 0; single < 2; single++) {
			enum dtype dtype = single ? DTYPE_F32 : DTYPE_F64;
			void *usual = function_address((enum function)f, dtype, false), *high = function_address((enum function)f, dtype, true);
			CU_ASSERT(usual != NULL && high != NULL);
			CU_ASSERT((usual == high) == !function_vector((enum function)f, dtype, &lanes));
		}
		CU_ASSERT(functions[f].has_complex == (function_address((enum function)f, DTYPE_C128, false) != NULL));
		CU_ASSERT(functions[f].has_complex == (function_address((enum function)f, DTYPE_C64, false) != NULL));
	}
}

CU_ErrorCode test_functions_register(void)
{
	CU_pSuite suite = CU_add_suite("functions", NULL, NULL);
	if (!suite || !CU_add_test(suite, "accurate", accurate) || !CU_add_test(suite, "lanes apart", lanes_apart) ||
	    !CU_add_test(suite, "addresses", addresses))
		return CU_get_error();
	return CUE_SUCCESS;
}
