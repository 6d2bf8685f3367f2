/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/compiler/types.h"

#include <string.h>

/* Kind and width, so that rules are arithmetic: 'b' < 'i','u' < 'f' < 'c'. */
static int bits(enum dtype d)
{
	return (int)dtype_size(d) * 8;
}

static int kind(enum dtype d)
{
	return d == DTYPE_BOOL ? 0 : dtype_is_integer(d) ? 1 : dtype_is_float(d) ? 2 : 3;
}

static enum dtype signed_of(int width)
{
	return width <= 8 ? DTYPE_I8 : width <= 16 ? DTYPE_I16 : width <= 32 ? DTYPE_I32 : DTYPE_I64;
}

static enum dtype float_of(int width)
{
	return width <= 32 ? DTYPE_F32 : DTYPE_F64;
}

/* The narrowest float that holds NumPy's idea of the type: 8 and 16 bits fit float32, others float64. */
static int float_width(enum dtype d)
{
	if (d == DTYPE_F16)
		return 32;
	if (dtype_is_float(d))
		return bits(d);
	if (dtype_is_complex(d))
		return bits(d) / 2;
	return d == DTYPE_BOOL ? 16 : bits(d) <= 16 ? 32 : 64;
}

static enum dtype promote_integers(enum dtype a, enum dtype b)
{
	if (dtype_is_signed(a) == dtype_is_signed(b))
		return bits(a) >= bits(b) ? a : b;
	enum dtype s = dtype_is_signed(a) ? a : b, u = dtype_is_signed(a) ? b : a;
	if (bits(s) > bits(u))
		return s;
	return bits(u) == 64 ? DTYPE_F64 : signed_of(2 * bits(u));
}

static enum dtype promote_strong(enum dtype a, enum dtype b)
{
	int ka = kind(a), kb = kind(b);
	if (a == b)
		return a;
	if (!ka || !kb)
		return ka ? a : b;
	if (ka == 1 && kb == 1)
		return promote_integers(a, b);
	int width = float_width(a) > float_width(b) ? float_width(a) : float_width(b);
	return ka == 3 || kb == 3 ? dtype_complex(float_of(width)) : float_of(width);
}

/* A weak value takes part with the narrowest type of its kind. */
static enum dtype promote_weak(enum dtype strong, enum dtype weak)
{
	if (kind(strong) >= kind(weak))
		return strong;
	if (weak == DTYPE_I64)
		return DTYPE_I64;
	enum dtype component = dtype_is_float(strong) ? float_of(float_width(strong)) : DTYPE_F64;
	return weak == DTYPE_F64 ? component : dtype_complex(component);
}

struct type type_promote(struct type a, struct type b)
{
	a.dtype = a.dtype == DTYPE_F16 ? DTYPE_F32 : a.dtype;
	b.dtype = b.dtype == DTYPE_F16 ? DTYPE_F32 : b.dtype;
	if (a.weak == b.weak)
		return (struct type){ promote_strong(a.dtype, b.dtype), a.weak };
	return (struct type){ a.weak ? promote_weak(b.dtype, a.dtype) : promote_weak(a.dtype, b.dtype), false };
}

struct type type_inexact(struct type a)
{
	if (kind(a.dtype) >= 2)
		return (struct type){ a.dtype == DTYPE_F16 ? DTYPE_F32 : a.dtype, a.weak };
	return (struct type){ a.weak ? DTYPE_F64 : float_of(float_width(a.dtype)), a.weak };
}

enum dtype dtype_real(enum dtype d)
{
	return d == DTYPE_C64 ? DTYPE_F32 : d == DTYPE_C128 ? DTYPE_F64 : d;
}

enum dtype dtype_complex(enum dtype component)
{
	return component == DTYPE_F32 ? DTYPE_C64 : DTYPE_C128;
}

enum dtype dtype_accumulator(enum dtype d)
{
	if (dtype_is_unsigned(d))
		return DTYPE_U64;
	return kind(d) < 2 ? DTYPE_I64 : kind(d) == 2 ? DTYPE_F64 : DTYPE_C128;
}

enum dtype dtype_sum(enum dtype d)
{
	return kind(d) < 2 ? dtype_accumulator(d) : d == DTYPE_F16 ? DTYPE_F32 : d;
}

int64_t dtype_max(enum dtype d)
{
	if (d == DTYPE_BOOL)
		return 1;
	if (bits(d) == 64)
		return INT64_MAX;
	return (int64_t)(((uint64_t)1 << (bits(d) - dtype_is_signed(d))) - 1);
}

int64_t dtype_min(enum dtype d)
{
	return dtype_is_signed(d) ? -1 - dtype_max(d) : 0;
}

static bool can_cast_safely(enum dtype from, enum dtype to)
{
	struct type a = { from, false }, b = { to, false };
	if (from == DTYPE_F16 || to == DTYPE_F16)
		return from == to || (from == DTYPE_F16 ? kind(to) >= 2 : from == DTYPE_BOOL || bits(from) == 8);
	return type_promote(a, b).dtype == to;
}

bool dtype_can_cast(enum dtype from, enum dtype to, enum casting casting)
{
	if (casting == CASTING_UNSAFE || from == to)
		return true;
	if (casting <= CASTING_EQUIV)
		return false;
	if (can_cast_safely(from, to))
		return true;
	if (casting == CASTING_SAFE)
		return false;
	/* Same kind: a lower kind or the same one; unsigned may become signed, never the other way. */
	return kind(from) < kind(to) || (kind(from) == kind(to) && !(dtype_is_signed(from) && dtype_is_unsigned(to)));
}

static const struct {
	const char *name;
	enum dtype dtype;
} numpy_names[] = {
	{ "bool", DTYPE_BOOL }, { "int8", DTYPE_I8 }, { "uint8", DTYPE_U8 }, { "int16", DTYPE_I16 }, { "uint16", DTYPE_U16 },
	{ "int32", DTYPE_I32 }, { "uint32", DTYPE_U32 }, { "int64", DTYPE_I64 }, { "uint64", DTYPE_U64 }, { "float16", DTYPE_F16 },
	{ "float32", DTYPE_F32 }, { "float64", DTYPE_F64 }, { "complex64", DTYPE_C64 }, { "complex128", DTYPE_C128 },
	/* other names NumPy takes */
	{ "bool_", DTYPE_BOOL }, { "?", DTYPE_BOOL }, { "b1", DTYPE_BOOL }, { "int", DTYPE_I64 }, { "int_", DTYPE_I64 }, { "intp", DTYPE_I64 },
	{ "uint", DTYPE_U64 }, { "uintp", DTYPE_U64 }, { "byte", DTYPE_I8 }, { "ubyte", DTYPE_U8 }, { "short", DTYPE_I16 }, { "ushort", DTYPE_U16 },
	{ "intc", DTYPE_I32 }, { "uintc", DTYPE_U32 }, { "half", DTYPE_F16 }, { "single", DTYPE_F32 }, { "float", DTYPE_F64 }, { "double", DTYPE_F64 },
	{ "float_", DTYPE_F64 }, { "complex", DTYPE_C128 }, { "complex_", DTYPE_C128 }, { "csingle", DTYPE_C64 }, { "cdouble", DTYPE_C128 },
	{ "i1", DTYPE_I8 }, { "u1", DTYPE_U8 }, { "i2", DTYPE_I16 }, { "u2", DTYPE_U16 }, { "i4", DTYPE_I32 }, { "u4", DTYPE_U32 },
	{ "i8", DTYPE_I64 }, { "u8", DTYPE_U64 }, { "f2", DTYPE_F16 }, { "f4", DTYPE_F32 }, { "f8", DTYPE_F64 }, { "c8", DTYPE_C64 }, { "c16", DTYPE_C128 },
};

const char *dtype_numpy_name(enum dtype d)
{
	for (size_t i = 0; i < sizeof numpy_names / sizeof *numpy_names; i++)
		if (numpy_names[i].dtype == d)
			return numpy_names[i].name;
	return "unknown";
}

enum dtype dtype_from_numpy_name(const char *name, size_t nbytes)
{
	if (nbytes && (*name == '<' || *name == '|' || *name == '='))
		name++, nbytes--;
	for (size_t i = 0; i < sizeof numpy_names / sizeof *numpy_names; i++)
		if (strlen(numpy_names[i].name) == nbytes && memcmp(numpy_names[i].name, name, nbytes) == 0)
			return numpy_names[i].dtype;
	return DTYPE_NONE;
}
