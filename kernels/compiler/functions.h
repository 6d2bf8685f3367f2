/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The mathematical functions of the language: one row each, used by the front end (names, arity), the interpreter and the code generator.
 *
 * Each has one meaning everywhere: scalar code, vector code and the interpreter give the same bits for the same argument, wherever the element
 * stands. In the default mode (4 ULP, NumPy's own bound for its SIMD loops) a function that libmvec has is evaluated by libmvec's vector
 * version, for a single value by the same vector version with the value in every lane. With high accuracy, or where libmvec has none, libm
 * is called.
 */
#ifndef COMPILER_FUNCTIONS_H
#define COMPILER_FUNCTIONS_H

#include "protocol/dtype.h"

#include <stdbool.h>

/* F(name, libm name, arity, libmvec has it, complex version exists in libm)
 * sqrt, ceil, floor, trunc, rint, fabs are machine operations and stand in ir.h; so do maximum, minimum, copysign and power of integers. */
#define FUNCTION_MAP(F)                    \
	F(sin, sin, 1, 1, 1)               \
	F(cos, cos, 1, 1, 1)               \
	F(tan, tan, 1, 1, 1)               \
	F(arcsin, asin, 1, 1, 1)           \
	F(arccos, acos, 1, 1, 1)           \
	F(arctan, atan, 1, 1, 1)           \
	F(sinh, sinh, 1, 1, 1)             \
	F(cosh, cosh, 1, 1, 1)             \
	F(tanh, tanh, 1, 1, 1)             \
	F(arcsinh, asinh, 1, 1, 1)         \
	F(arccosh, acosh, 1, 1, 1)         \
	F(arctanh, atanh, 1, 1, 1)         \
	F(exp, exp, 1, 1, 1)               \
	F(exp2, exp2, 1, 1, 0)             \
	F(expm1, expm1, 1, 1, 0)           \
	F(log, log, 1, 1, 1)               \
	F(log2, log2, 1, 1, 0)             \
	F(log10, log10, 1, 1, 0)           \
	F(log1p, log1p, 1, 1, 0)           \
	F(cbrt, cbrt, 1, 1, 0)             \
	F(erf, erf, 1, 1, 0)               \
	F(erfc, erfc, 1, 1, 0)             \
	F(gamma, tgamma, 1, 0, 0)          \
	F(lgamma, lgamma, 1, 0, 0)         \
	F(power, pow, 2, 1, 1)             \
	F(arctan2, atan2, 2, 1, 0)         \
	F(hypot, hypot, 2, 1, 0)           \
	F(nextafter, nextafter, 2, 0, 0)

enum function {
#define F(name, libm, arity, mvec, cplx) FUNCTION_##name,
	FUNCTION_MAP(F)
#undef F
	FUNCTION_COUNT
};

struct function_info {
	const char *name;        /* NumPy's: "arcsin" */
	const char *libm;        /* "asin" */
	int arity;
	bool vector;             /* libmvec has it */
	bool has_complex;        /* libm has a complex version */
};
extern const struct function_info functions[FUNCTION_COUNT];

/* The scalar functions as the rule above says; `high` chooses libm. b is ignored for arity 1. */
double function_f64(enum function f, bool high, double a, double b);
float function_f32(enum function f, bool high, float a, float b);
double _Complex function_c128(enum function f, double _Complex a, double _Complex b);
float _Complex function_c64(enum function f, float _Complex a, float _Complex b);

/* The address of the scalar version for one dtype (DTYPE_F32: float(float[, float]); F64; the complex ones), for the linker of machine code. */
void *function_address(enum function f, enum dtype dtype, bool high);

/* libmvec's vector symbol that the scalar version uses on this machine ("_ZGVeN8v_sin"), its lanes in *lanes; NULL if libm is used. */
const char *function_vector(enum function f, enum dtype dtype, unsigned *lanes);

#endif
