/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The running sum of one chunk. Many channels: lanes across channels. One channel: four frames share one addition to the carry, so
 * that the chain of dependent additions is four times shorter than the plain loop's; the grouping is fixed by the frame's place in its chunk.
 */
#include "kernels/isa.h"
#include "kernels/reduce.h"

#define DEFINE_RUN(plain)                                                                                                                \
	typedef plain un_##plain __attribute__((aligned(1), may_alias));                                                                 \
	static void one_##plain(const un_##plain *x, size_t n, double carry, double *restrict y)                                         \
	{                                                                                                                                \
		size_t t = 0;                                                                                                            \
		for (; t + 4 <= n; t += 4) {                                                                                             \
			double a = (double)x[t], b = (double)x[t + 1], c = (double)x[t + 2], d = (double)x[t + 3];                       \
			double ab = a + b, cd = c + d;                                                                                   \
			y[t] = carry + a;                                                                                                \
			y[t + 1] = carry + ab;                                                                                           \
			y[t + 2] = carry + (ab + c);                                                                                     \
			y[t + 3] = carry += ab + cd;                                                                                     \
		}                                                                                                                        \
		for (; t < n; t++)                                                                                                       \
			y[t] = carry += (double)x[t];                                                                                    \
	}                                                                                                                                \
	static void run_##plain(const void *data, size_t nframes, size_t nchannels, const double *restrict carry, double *restrict y)    \
	{                                                                                                                                \
		const un_##plain *x = data;                                                                                              \
		if (nchannels == 1) {                                                                                                    \
			one_##plain(x, nframes, carry[0], y);                                                                            \
			return;                                                                                                          \
		}                                                                                                                        \
		for (size_t t = 0; t < nframes; t++, x += nchannels, y += nchannels) {                                                   \
			for (size_t c = 0; c < nchannels; c++)                                                                           \
				y[c] = carry[c] + (double)x[c];                                                                          \
			carry = y;                                                                                                       \
		}                                                                                                                        \
	}

DEFINE_RUN(int8_t)
DEFINE_RUN(uint8_t)
DEFINE_RUN(int16_t)
DEFINE_RUN(uint16_t)
DEFINE_RUN(int32_t)
DEFINE_RUN(uint32_t)
DEFINE_RUN(int64_t)
DEFINE_RUN(uint64_t)
DEFINE_RUN(float)
DEFINE_RUN(double)

cumsum_run_fn *VARIANT(cumsum_run)(enum dtype dtype)
{
	static cumsum_run_fn *const table[DTYPE_COUNT] = {
		[DTYPE_I8] = run_int8_t,   [DTYPE_U8] = run_uint8_t,   [DTYPE_I16] = run_int16_t, [DTYPE_U16] = run_uint16_t,
		[DTYPE_I32] = run_int32_t, [DTYPE_U32] = run_uint32_t, [DTYPE_I64] = run_int64_t, [DTYPE_U64] = run_uint64_t,
		[DTYPE_F32] = run_float,   [DTYPE_F64] = run_double,
	};
	return dtype >= 0 && dtype < DTYPE_COUNT ? table[dtype] : NULL;
}
