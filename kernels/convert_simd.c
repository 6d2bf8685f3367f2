/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Whole tiles are loops of constant length over unaligned values, which the compiler turns into vector loads and conversions. The last
 * tile, when it is not full, goes value by value.
 */
#include "kernels/convert.h"

#include <string.h>

/* One tile of TYPE; from_TYPE reads through a type of alignment 1. */
#define CONVERT(TYPE, name)                                                                                                          \
	typedef TYPE unaligned_##name __attribute__((aligned(1), may_alias));                                                        \
                                                                                                                                     \
	static void whole_##name(const char *frames, size_t frame_bytes, size_t nframes, float *restrict y)                          \
	{                                                                                                                            \
		for (size_t t = 0; t < nframes; t++, frames += frame_bytes, y += LANES) {                                            \
			const unaligned_##name *restrict x = (const unaligned_##name *)frames;                                       \
			for (size_t i = 0; i < LANES; i++)                                                                           \
				y[i] = (float)x[i];                                                                                  \
		}                                                                                                                    \
	}                                                                                                                            \
                                                                                                                                     \
	static void scaled_##name(const char *frames, size_t frame_bytes, size_t nframes, const double *restrict gain,               \
				  const double *restrict offset, float *restrict y)                                                  \
	{                                                                                                                            \
		for (size_t t = 0; t < nframes; t++, frames += frame_bytes, y += LANES) {                                            \
			const unaligned_##name *restrict x = (const unaligned_##name *)frames;                                       \
			for (size_t i = 0; i < LANES; i++)                                                                           \
				y[i] = (float)((double)x[i] * gain[i] + offset[i]);                                                  \
		}                                                                                                                    \
	}                                                                                                                            \
                                                                                                                                     \
	static void part_##name(const char *frames, size_t frame_bytes, size_t nframes, size_t nlanes, const double *gain,           \
				const double *offset, float *y)                                                                      \
	{                                                                                                                            \
		for (size_t t = 0; t < nframes; t++, frames += frame_bytes, y += LANES) {                                            \
			const unaligned_##name *x = (const unaligned_##name *)frames;                                                \
			for (size_t i = 0; i < nlanes; i++)                                                                          \
				y[i] = gain ? (float)((double)x[i] * gain[i] + offset[i]) : (float)x[i];                             \
			memset(y + nlanes, 0, (LANES - nlanes) * sizeof *y);                                                         \
		}                                                                                                                    \
	}                                                                                                                            \
                                                                                                                                     \
	static void convert_##name(const char *frames, size_t frame_bytes, size_t nframes, size_t nlanes, const double *gain,        \
				   const double *offset, float *y)                                                                   \
	{                                                                                                                            \
		if (nlanes < LANES)                                                                                                  \
			part_##name(frames, frame_bytes, nframes, nlanes, gain, offset, y);                                          \
		else if (gain)                                                                                                       \
			scaled_##name(frames, frame_bytes, nframes, gain, offset, y);                                                \
		else                                                                                                                 \
			whole_##name(frames, frame_bytes, nframes, y);                                                               \
	}

CONVERT(int8_t, I8)
CONVERT(uint8_t, U8)
CONVERT(int16_t, I16)
CONVERT(uint16_t, U16)
CONVERT(int32_t, I32)
CONVERT(uint32_t, U32)
CONVERT(int64_t, I64)
CONVERT(uint64_t, U64)
CONVERT(float, F32)
CONVERT(double, F64)

#define CASE(name)                                                                            \
	case DTYPE_##name:                                                                    \
		convert_##name(frames, frame_bytes, nframes, nlanes, gain, offset, x);        \
		break;

void VARIANT(convert_tile)(enum dtype dtype, const void *frames, size_t frame_bytes, size_t nframes, size_t nlanes, const double *gain,
			   const double *offset, float *x)
{
	switch (dtype) {
	CASE(I8)
	CASE(U8)
	CASE(I16)
	CASE(U16)
	CASE(I32)
	CASE(U32)
	CASE(I64)
	CASE(U64)
	CASE(F32)
	CASE(F64)
	default:
		break;
	}
}
