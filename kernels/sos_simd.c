/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The cascade on vectors of channels. All sections' states stay in registers and a frame passes through all sections at once; the only
 * chain from frame to frame is a section's own addition and fused multiplication, so the processor overlaps neighbouring frames and sections.
 * Cost: 5 operations for each section and vector, 3 for a band. A tile that does not fit a vector is walked in groups of channels.
 * A processor without fused multiplication (before 2013) gets the same bits from libm's fma, many times slower.
 */
#include "kernels/sos.h"

#include <math.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif
#if defined(__AVX512F__)
enum { VECTOR_BYTES = 64 };
#define FMA_F32(a, b, c) ((vector_f32)_mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#define FNMA_F32(a, b, c) ((vector_f32)_mm512_fnmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#define FMA_F64(a, b, c) ((vector_f64)_mm512_fmadd_pd((__m512d)(a), (__m512d)(b), (__m512d)(c)))
#define FNMA_F64(a, b, c) ((vector_f64)_mm512_fnmadd_pd((__m512d)(a), (__m512d)(b), (__m512d)(c)))
#elif defined(__AVX2__)
enum { VECTOR_BYTES = 32 };
#define FMA_F32(a, b, c) ((vector_f32)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#define FNMA_F32(a, b, c) ((vector_f32)_mm256_fnmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#define FMA_F64(a, b, c) ((vector_f64)_mm256_fmadd_pd((__m256d)(a), (__m256d)(b), (__m256d)(c)))
#define FNMA_F64(a, b, c) ((vector_f64)_mm256_fnmadd_pd((__m256d)(a), (__m256d)(b), (__m256d)(c)))
#else
enum { VECTOR_BYTES = 16 };
#define FMA_F32(a, b, c) fused_f32(a, b, c)
#define FNMA_F32(a, b, c) fused_f32(-(a), b, c)
#define FMA_F64(a, b, c) fused_f64(a, b, c)
#define FNMA_F64(a, b, c) fused_f64(-(a), b, c)
#define FUSED(name, type, f)                                                                 \
	static inline type name(type a, type b, type c)                                      \
	{                                                                                    \
		type y;                                                                      \
		for (size_t i = 0; i < sizeof y / sizeof y[0]; i++)                          \
			y[i] = f(a[i], b[i], c[i]);                                          \
		return y;                                                                    \
	}
typedef float plain_f32 __attribute__((vector_size(16)));
typedef double plain_f64 __attribute__((vector_size(16)));
FUSED(fused_f32, plain_f32, fmaf)
FUSED(fused_f64, plain_f64, fma)
#endif

/* A tile comes from and goes to L3 or memory at the border of pages the processor does not cross by itself; asking this many frames ahead
 * takes about a tenth off a pipeline. The addresses may lie outside the tile, which is harmless, but not as pointers in C. */
enum { FETCH_FRAMES = 32 };

static inline __attribute__((always_inline)) void sos_fetch(const float *x, const float *y, ptrdiff_t ahead)
{
	__builtin_prefetch((const void *)((uintptr_t)x + (uintptr_t)ahead));
	__builtin_prefetch((const void *)((uintptr_t)y + (uintptr_t)ahead), 1);
}

#define REAL float
#define INTEGER int32_t
#define FMA FMA_F32
#define FNMA FNMA_F32
#define NAME(f) f##_f32
#define COEFFICIENTS f32
#include "kernels/sos_body.h"
#undef REAL
#undef INTEGER
#undef FMA
#undef FNMA
#undef NAME
#undef COEFFICIENTS

#define REAL double
#define INTEGER int64_t
#define FMA FMA_F64
#define FNMA FNMA_F64
#define NAME(f) f##_f64
#define COEFFICIENTS f64
#include "kernels/sos_body.h"
