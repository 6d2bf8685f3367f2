/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Element types of arrays, named as NumPy names them; all little-endian.
 *
 *   D(name, wire name, bytes)
 */
#ifndef PROTOCOL_DTYPE_H
#define PROTOCOL_DTYPE_H

#include <stddef.h>
#include <stdint.h>

#define DTYPE_MAP(D)          \
	D(BOOL, "|b1", 1)     \
	D(I8, "|i1", 1)       \
	D(U8, "|u1", 1)       \
	D(I16, "<i2", 2)      \
	D(U16, "<u2", 2)      \
	D(I32, "<i4", 4)      \
	D(U32, "<u4", 4)      \
	D(I64, "<i8", 8)      \
	D(U64, "<u8", 8)      \
	D(F16, "<f2", 2)      \
	D(F32, "<f4", 4)      \
	D(F64, "<f8", 8)      \
	D(C64, "<c8", 8)      \
	D(C128, "<c16", 16)   \
	D(PEAK, "peak", 32)

enum dtype {
#define D(name, wire, bytes) DTYPE_##name,
	DTYPE_MAP(D)
#undef D
	DTYPE_COUNT,
	DTYPE_NONE = -1
};

/* One detected peak, SpikeInterface's record (SPEC.md 2.4). */
struct peak {
	int64_t sample_index;
	int64_t channel_index;
	double amplitude;      /* the trace at the peak, in the unit of the trace */
	int64_t segment_index;
};

/* Bytes of one element. */
size_t dtype_size(enum dtype dtype);

/* The wire name, "<i2". */
const char *dtype_name(enum dtype dtype);

/* The type of that wire name, or DTYPE_NONE. */
enum dtype dtype_from_name(const char *name);

#endif
