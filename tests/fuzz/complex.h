/* SPDX-License-Identifier: BSD-3-Clause
 *
 * clang 14 has no CMPLX; and `complex` is a good name for a variable.
 */
#ifndef TESTS_FUZZ_COMPLEX_H
#define TESTS_FUZZ_COMPLEX_H

#include <complex.h>
#undef complex
#ifndef CMPLX
#define CMPLX(a, b) __builtin_complex((double)(a), (double)(b))
#define CMPLXF(a, b) __builtin_complex((float)(a), (float)(b))
#endif

#endif
