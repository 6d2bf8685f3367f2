/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a reduction adds up, for each type: loops over a few rows (frames) of many columns (channels, or lanes of one channel), which the
 * compiler vectorises along the columns. A column's additions have the order of the source and are never mixed with another's, so all
 * instruction sets give the same bits.
 *
 * Everything is summed in double. For types up to 32 bits that is exact within a block: the sum of 2^14 such values is below 2^46, and of
 * their squares, up to 16 bits, below 2^46 too.
 */
#include "kernels/isa.h"
#include "kernels/reduce.h"

enum { GROUP = 8 };

/* acc[c] += the pairwise sum of TERM(x) over 8 rows, then TERM(x) of each row that remains. */
#define DEFINE_SUM(name, type, TERM)                                                                                         \
	static void name(const void *data, size_t nrows, size_t width, size_t stride, double threshold, const double *restrict mean, \
			 double *restrict acc)                                                                               \
	{                                                                                                                    \
		(void)threshold, (void)mean;                                                                                 \
		const type *x = data;                                                                                        \
		for (; nrows >= GROUP; nrows -= GROUP, x += GROUP * stride) {                                                \
			const type *x0 = x, *x1 = x + stride, *x2 = x + 2 * stride, *x3 = x + 3 * stride;                    \
			const type *x4 = x + 4 * stride, *x5 = x + 5 * stride, *x6 = x + 6 * stride, *x7 = x + 7 * stride;   \
			for (size_t c = 0; c < width; c++)                                                                   \
				acc[c] += ((TERM(x0[c]) + TERM(x1[c])) + (TERM(x2[c]) + TERM(x3[c]))) +                      \
					  ((TERM(x4[c]) + TERM(x5[c])) + (TERM(x6[c]) + TERM(x7[c])));                       \
		}                                                                                                            \
		for (; nrows > 0; nrows--, x += stride)                                                                      \
			for (size_t c = 0; c < width; c++)                                                                   \
				acc[c] += TERM(x[c]);                                                                        \
	}

/* acc[c], of the type itself, becomes the least or greatest of it and 4 rows at a time; at the end a row may count twice, which changes
 * nothing. A compare with NaN is false, so a NaN may be passed over; odd[c] remembers that there was one. */
#define DEFINE_EXTREME(name, type, plain, BETTER, IS_ODD)                                                                \
	static void name(const void *data, size_t nrows, size_t width, size_t stride, void *into)                        \
	{                                                                                                                \
		const type *x = data;                                                                                    \
		plain *restrict acc = into, *restrict odd = acc + REDUCE_STRIP;                                          \
		for (size_t row = 0; row < nrows; row += 4) {                                                            \
			size_t last = nrows - 1 - row;                                                                   \
			const type *x0 = x + row * stride, *x1 = x0 + (last < 1 ? last : 1) * stride;                    \
			const type *x2 = x0 + (last < 2 ? last : 2) * stride, *x3 = x0 + (last < 3 ? last : 3) * stride; \
			for (size_t c = 0; c < width; c++) {                                                             \
				plain a = x0[c], b = x1[c], d = x2[c], e = x3[c];                                        \
				plain p = b BETTER a ? b : a, q = e BETTER d ? e : d, r = q BETTER p ? q : p;            \
				acc[c] = r BETTER acc[c] ? r : acc[c];                                                   \
				odd[c] = IS_ODD(a, b) ? 1 : odd[c];                                                      \
				odd[c] = IS_ODD(d, e) ? 1 : odd[c];                                                      \
			}                                                                                                \
		}                                                                                                        \
	}

#define DEFINE_OUT(name, plain)                                                          \
	static void name(const void *from, size_t width, double *to)                     \
	{                                                                                \
		const plain *x = from, *odd = x + REDUCE_STRIP;                          \
		for (size_t c = 0; c < width; c++)                                       \
			to[c] = odd[c] != 0 ? (double)__builtin_nan("") : (double)x[c];  \
	}

#define NEVER(a, b) 0
#define VALUE(v) ((double)(v))
#define SQUARE(v) ((double)(v) * (double)(v))
#define ABOVE(v) ((double)(v) > threshold ? 1.0 : 0.0)
#define WEIGHTED(v) ((double)(v) > threshold ? (double)(v) : -(double)(v))
#define DEVIATION(v) (((double)(v) - mean[c]) * ((double)(v) - mean[c]))

#define DEFINE_TYPE(plain, IS_ODD)                                               \
	typedef plain un_##plain __attribute__((aligned(1), may_alias));         \
	DEFINE_SUM(sum_##plain, un_##plain, VALUE)                               \
	DEFINE_SUM(square_##plain, un_##plain, SQUARE)                           \
	DEFINE_SUM(above_##plain, un_##plain, ABOVE)                             \
	DEFINE_SUM(weighted_##plain, un_##plain, WEIGHTED)                       \
	DEFINE_SUM(deviation_##plain, un_##plain, DEVIATION)                     \
	DEFINE_EXTREME(min_##plain, un_##plain, plain, <, IS_ODD)                \
	DEFINE_EXTREME(max_##plain, un_##plain, plain, >, IS_ODD)                \
	DEFINE_OUT(out_##plain, plain)

#define LOOPS(plain)                                                                                                            \
	{ { sum_##plain, square_##plain, above_##plain, weighted_##plain, deviation_##plain }, { min_##plain, max_##plain }, \
	  out_##plain }

DEFINE_TYPE(int8_t, NEVER)
DEFINE_TYPE(uint8_t, NEVER)
DEFINE_TYPE(int16_t, NEVER)
DEFINE_TYPE(uint16_t, NEVER)
DEFINE_TYPE(int32_t, NEVER)
DEFINE_TYPE(uint32_t, NEVER)
DEFINE_TYPE(int64_t, NEVER)
DEFINE_TYPE(uint64_t, NEVER)
DEFINE_TYPE(float, __builtin_isunordered)
DEFINE_TYPE(double, __builtin_isunordered)

const struct reduce_loops *VARIANT(reduce_loops)(enum dtype dtype)
{
	static const struct reduce_loops table[DTYPE_COUNT] = {
		[DTYPE_I8] = LOOPS(int8_t),   [DTYPE_U8] = LOOPS(uint8_t),   [DTYPE_I16] = LOOPS(int16_t), [DTYPE_U16] = LOOPS(uint16_t),
		[DTYPE_I32] = LOOPS(int32_t), [DTYPE_U32] = LOOPS(uint32_t), [DTYPE_I64] = LOOPS(int64_t), [DTYPE_U64] = LOOPS(uint64_t),
		[DTYPE_F32] = LOOPS(float),   [DTYPE_F64] = LOOPS(double),
	};
	return dtype >= 0 && dtype < DTYPE_COUNT && table[dtype].out ? &table[dtype] : NULL;
}
