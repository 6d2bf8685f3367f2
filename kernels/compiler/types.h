/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The types of values and how they mix: NumPy 2's rules (NEP 50). Python's own numbers are weak: they take the kind, never the width, of what
 * they meet. float16 exists in arrays only; a value read from one is float32.
 */
#ifndef COMPILER_TYPES_H
#define COMPILER_TYPES_H

#include "protocol/dtype.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A weak type is one of Python's: I64 (int), F64 (float), C128 (complex). */
struct type {
	enum dtype dtype;
	bool weak;
};

static inline bool dtype_is_signed(enum dtype d) { return d == DTYPE_I8 || d == DTYPE_I16 || d == DTYPE_I32 || d == DTYPE_I64; }
static inline bool dtype_is_unsigned(enum dtype d) { return d == DTYPE_U8 || d == DTYPE_U16 || d == DTYPE_U32 || d == DTYPE_U64; }
static inline bool dtype_is_integer(enum dtype d) { return d >= DTYPE_I8 && d <= DTYPE_U64; }
static inline bool dtype_is_float(enum dtype d) { return d == DTYPE_F32 || d == DTYPE_F64 || d == DTYPE_F16; }
static inline bool dtype_is_complex(enum dtype d) { return d == DTYPE_C64 || d == DTYPE_C128; }

/* The type both are converted to. weak only if both are. */
struct type type_promote(struct type a, struct type b);

/* What float functions compute in: 8- and 16-bit integers and bool float32, wider integers float64, floats and complex themselves. */
struct type type_inexact(struct type a);

/* float32 for complex64, float64 for complex128, else itself. */
enum dtype dtype_real(enum dtype d);
enum dtype dtype_complex(enum dtype component);

/* What sums and products of it are kept in (wide) and given as: integers and bool 64 bits; floats are kept in float64. */
enum dtype dtype_accumulator(enum dtype d);
enum dtype dtype_sum(enum dtype d);

/* Smallest and largest value of an integer type, as int64 (U64: INT64_MAX). */
int64_t dtype_min(enum dtype d);
int64_t dtype_max(enum dtype d);

/* May values of `from` be stored as `to` without losing their kind (NumPy's casting rules by name)? */
enum casting { CASTING_NO, CASTING_EQUIV, CASTING_SAFE, CASTING_SAME_KIND, CASTING_UNSAFE };
bool dtype_can_cast(enum dtype from, enum dtype to, enum casting casting);

/* "float64". */
const char *dtype_numpy_name(enum dtype d);

/* The dtype of NumPy's name ("float64", "int", "f4", "<f4", "double"), or DTYPE_NONE. */
enum dtype dtype_from_numpy_name(const char *name, size_t nbytes);

#endif
