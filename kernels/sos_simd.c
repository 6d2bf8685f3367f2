/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The cascade on vectors of channels. All sections' states stay in registers and a frame passes through all sections at once; the only
 * chain from frame to frame is a section's own add, multiply, subtract, so the processor overlaps neighbouring frames and sections.
 * Cost: 4 multiplications and 4 additions for each section and vector. A tile that does not fit a vector is walked in groups of channels.
 */
#include "kernels/sos.h"

#if defined(__AVX512F__)
enum { VECTOR_BYTES = 64 };
#elif defined(__AVX2__)
enum { VECTOR_BYTES = 32 };
#else
enum { VECTOR_BYTES = 16 };
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
#define NAME(f) f##_f32
#define COEFFICIENTS f32
#include "kernels/sos_body.h"
#undef REAL
#undef INTEGER
#undef NAME
#undef COEFFICIENTS

#define REAL double
#define INTEGER int64_t
#define NAME(f) f##_f64
#define COEFFICIENTS f64
#include "kernels/sos_body.h"
