/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The typed loop IR: what the front end makes of one kernel for one list of argument types, with every call inlined, and what the analysis,
 * the interpreter and the code generator read. Structured (no gotos), typed, with mutable locals; one function.
 *
 * SCALARS have a dtype; a bool is 0 or 1. float16 exists only in arrays: it is loaded as float32 and stored from float32.
 * ARRAYS are slots that hold a view: data, shape, byte strides. Slots are bound by parameters, ALLOC, VIEW, LIST_NEW. A slot's dtype and
 * rank never change.
 *
 * ORDER of evaluation: the operands of an expression may be evaluated in any order (loads have no side effects; of two errors either may be
 * reported), statements in source order. Only COND is lazy.
 */
#ifndef COMPILER_IR_H
#define COMPILER_IR_H

#include "kernels/compiler/arena.h"
#include "kernels/compiler/functions.h"
#include "kernels/compiler/runtime.h"
#include "kernels/compiler/source.h"
#include "protocol/dtype.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* --- operators: OP(NAME, text, arity) ---
 * Operands and result have the node's dtype unless said otherwise.
 *   ADD SUB MUL NEG   integers wrap; bool is not allowed (the front end maps it)
 *   DIV               float, complex: IEEE; complex as Smith's method (see ir_complex_div in runtime.h)
 *   FLOORDIV MOD      integers: toward -inf, sign of MOD that of the divisor; b == 0: error DIVISION if the node is `checked`, else 0 and the
 *                     call's divided_by_zero is set; MIN // -1 wraps, MIN % -1 is 0. Floats: as NumPy's floor_divide and remainder (by fmod).
 *   FMOD              integers: sign of the dividend, zero as MOD; floats: C fmod
 *   POW               integers: wraps; a negative exponent is the error NEGATIVE_POWER
 *   SHL SHR           a count below 0 or not below the width: 0; SHR of a negative signed value: -1
 *   BITAND BITOR BITXOR INVERT   integers; BITAND BITOR BITXOR NOT also bool
 *   MAXIMUM MINIMUM   NaN if an operand is (the first NaN operand); integers and bools too; of +-0 either
 *   COPYSIGN          floats
 *   ABS               integers wrap; floats clear the sign. Of complex: dtype is the component's, by hypot
 *   SIGN              -1 0 1, NaN of NaN; integers too; complex: not allowed
 *   SQRT CEIL FLOOR TRUNC RINT   floats (SQRT also complex); correctly rounded, RINT to even
 *   LT..NE            dtype BOOL, operands of one dtype (complex: EQ and NE only); IEEE on NaN
 *   ISNAN ISINF ISFINITE SIGNBIT   dtype BOOL, operand float (complex: the first three)
 *   REAL IMAG         dtype the component's, operand complex
 *   COMPLEX           operands the component's dtype
 *   CONJ              complex
 */
#define IR_OP_MAP(OP)                                                                                                         \
	OP(ADD, "+", 2) OP(SUB, "-", 2) OP(MUL, "*", 2) OP(DIV, "/", 2) OP(FLOORDIV, "//", 2) OP(MOD, "%", 2)                 \
	OP(FMOD, "fmod", 2) OP(POW, "**", 2) OP(SHL, "<<", 2) OP(SHR, ">>", 2) OP(BITAND, "&", 2) OP(BITOR, "|", 2)           \
	OP(BITXOR, "^", 2) OP(MAXIMUM, "maximum", 2) OP(MINIMUM, "minimum", 2) OP(COPYSIGN, "copysign", 2)                    \
	OP(COMPLEX, "complex", 2) OP(LT, "<", 2) OP(LE, "<=", 2) OP(GT, ">", 2) OP(GE, ">=", 2) OP(EQ, "==", 2)               \
	OP(NE, "!=", 2) OP(NEG, "-", 1) OP(INVERT, "~", 1) OP(NOT, "not", 1) OP(ABS, "abs", 1) OP(SIGN, "sign", 1)            \
	OP(SQRT, "sqrt", 1) OP(CEIL, "ceil", 1) OP(FLOOR, "floor", 1) OP(TRUNC, "trunc", 1) OP(RINT, "rint", 1)               \
	OP(ISNAN, "isnan", 1) OP(ISINF, "isinf", 1) OP(ISFINITE, "isfinite", 1) OP(SIGNBIT, "signbit", 1)                     \
	OP(REAL, "real", 1) OP(IMAG, "imag", 1) OP(CONJ, "conj", 1)

enum ir_op {
#define OP(name, text, arity) IR_##name,
	IR_OP_MAP(OP)
#undef OP
	IR_OP_COUNT
};

enum ir_kind {
	IR_CONST,                /* constant */
	IR_LOCAL,                /* local */
	IR_SHAPE,                /* array, axis: int64, the length of the axis */
	IR_LOAD,                 /* array, index[rank] */
	IR_OPERATE,              /* op, a, b */
	IR_CALL,                 /* function, a, b: float or complex */
	IR_CAST,                 /* a: as NumPy's astype; float to integer with `checked`: NaN, infinity, out of range are the error CAST.
	                          * Unchecked, such a value gives the type's least int64/int32 value as x86 does, cut to the width */
	IR_COND,                 /* test ? a : b, lazy: only the chosen side is evaluated */
};

/* Integers are int64: an index below 0 counts from the end (the length is added once); outside [0, length) is the error INDEX.
 * The analysis marks what it proved, per axis. */
enum { IR_INDEX_NONNEGATIVE = 1, IR_INDEX_IN_BOUNDS = 2, IR_INDEX_GUARDED = 4 }; /* IN_BOUNDS implies NONNEGATIVE; GUARDED: see struct ir_loop */

struct ir_expr {
	enum ir_kind kind;
	enum dtype dtype;
	uint32_t line;           /* of the text; 0 if none */
	bool checked;            /* FLOORDIV, MOD, FMOD, CAST */
	enum ir_op op;
	enum function function;
	uint32_t local, array, axis;
	union kernel_scalar constant;
	struct ir_expr *a, *b, *test;
	struct ir_expr **index;
	uint8_t *index_flags;    /* [rank] of IR_INDEX_*; may be changed by the analysis */
};

enum ir_stmt_kind {
	IR_SET,                  /* local = a (same dtype) */
	IR_STORE,                /* array[index] = a (same dtype; float32 for a float16 array) */
	IR_IF,                   /* if a: body else: orelse */
	IR_FOR,                  /* for local in a..b step c: body (loop) */
	IR_LOOP,                 /* forever: body; left by BREAK, LEAVE or RETURN (loop) */
	IR_BREAK, IR_CONTINUE,   /* of the innermost FOR or LOOP */
	IR_BLOCK,                /* body; LEAVE of its label goes to its end */
	IR_LEAVE,                /* label of an enclosing BLOCK; never across the edge of a loop that is marked parallel */
	IR_RETURN,               /* ends the function; the results stand in their slots */
	IR_ALLOC,                /* array = new C-contiguous memory of shape[rank]; zero: filled with zeros, else undefined contents read as any value.
	                          * A negative length is the error NEGATIVE_SIZE, too much memory the error MEMORY */
	IR_VIEW,                 /* array = view of `from`: data moved by offset[k] elements along each axis k of `from` (NULL: 0); axis d of the
	                          * view has length shape[d] and stride step[d] (NULL: 1) times that of axis from_axis[d] of `from` (-1: stride 0).
	                          * The front end has checked that it lies inside */
	IR_LIST_NEW,             /* array (rank 1, is_list) = empty list */
	IR_LIST_APPEND,          /* append a to the list `array`; never through a view of it */
	IR_PROC,                 /* a procedure of the runtime on whole arrays (kernel_proc in runtime.h): arrays[narrays], scalars a, b; the
	                          * scalar result (if any) goes to `local` */
	IR_CHECK,                /* if not a: error `code` with values b, c (int64, or NULL) about `array` (or IR_NONE) */
};

#define IR_NONE UINT32_MAX
enum { IR_MAX_RANK = KERNEL_MAX_RANK };

struct ir_block;

/* A loop whose chunks may be computed apart: how a local that the iterations share is put together again.
 * Chunks are [k * length, (k + 1) * length) of the iteration numbers, length from kernel_chunk_length(trips, light). Each chunk computes with its own copy of the
 * local, started as said below; the results are joined in the order of the chunks: incoming value first, then chunk 0, 1, ... */
enum ir_reduction_kind {
	IR_REDUCE_SUM, IR_REDUCE_PROD,           /* start 0, 1; floats may be re-associated inside the chunk */
	IR_REDUCE_MIN, IR_REDUCE_MAX,            /* MINIMUM, MAXIMUM: start at the incoming value */
	IR_REDUCE_AND, IR_REDUCE_OR, IR_REDUCE_XOR, /* bit by bit; start all ones, 0, 0 */
	IR_REDUCE_LESS, IR_REDUCE_GREATER,       /* `if e < m: m = e; k = i`: start at the incoming values; joined by the same comparison */
	IR_REDUCE_LESS_EQUAL, IR_REDUCE_GREATER_EQUAL,
	IR_REDUCE_LAST,                          /* the value after the last iteration that set it; needs `written`, a bool local of the chunk, or IR_NONE if every iteration sets it */
};

struct ir_reduction {
	enum ir_reduction_kind kind;
	uint32_t local;
	uint32_t written;
	uint32_t *follow;        /* locals that go with a LESS.. winner */
	uint32_t nfollow;
};

/* What is known of a loop. Filled by the front end for the loops it makes of array expressions, by the analysis for others. */
struct ir_loop {
	uint32_t id;             /* unique in the function */
	bool wanted;             /* the source asked: prange */
	bool generated;          /* made of an array expression */
	bool parallel;           /* proved: chunks may run apart, in any order. Never set on a loop inside another parallel loop */
	bool releases;           /* memory allocated in an iteration is dead at its end */
	struct ir_reduction *reductions;
	uint32_t nreductions;
	bool light;              /* no loop inside */
	/* Fast version: if all guards hold at the entry of the loop (bool expressions over int64 locals and shapes that do not change in it), the
	 * accesses inside marked IR_INDEX_GUARDED are in bounds. The code generator makes two versions of the loop, checked and unchecked, and
	 * chooses at its entry. A guarded loop contains no other guarded loop. */
	struct ir_expr **guards;
	uint32_t nguards;
};

struct ir_stmt {
	enum ir_stmt_kind kind;
	uint32_t line;
	uint32_t local, array, from, label;
	bool zero;
	enum kernel_error_code code;
	enum kernel_proc proc;
	struct ir_expr *a, *b, *c;
	struct ir_expr **index;
	uint8_t *index_flags;
	struct ir_expr **offset, **shape, **step;
	int *from_axis;
	uint32_t *arrays;
	uint32_t narrays;
	struct ir_block *body, *orelse;
	struct ir_loop *loop;
};

struct ir_block {
	struct ir_stmt **items;
	uint32_t count, capacity;
};

struct ir_local {
	enum dtype dtype;        /* never F16 */
	struct name_text { const char *text; size_t nbytes; } name; /* of the source, or empty */
};

struct ir_array {
	enum dtype dtype;
	unsigned rank;
	bool is_list;
	bool contiguous;         /* always C-contiguous: the stride of axis k is the size of what lies below it (parameters: part of the key) */
	uint32_t root;           /* slots of different roots never share memory; 0: may share with any */
	bool read_only;          /* parameter that must not be written; the front end has seen to it */
	struct name_text name;
};

struct ir_slot {
	bool is_array;
	uint32_t id;             /* local or array */
};

struct ir_function {
	struct arena *arena;     /* everything below lives there */
	const struct source_text *source;
	struct name_text name;
	struct ir_local *locals;
	uint32_t nlocals, local_capacity;
	struct ir_array *arrays;
	uint32_t narrays, array_capacity;
	struct ir_slot *params, *results;
	uint32_t nparams, nresults;
	struct ir_block *body;
	uint32_t nloops, nlabels;
	bool fastmath;           /* contraction and re-association allowed in loops of the source; NaN and infinity keep their meaning */
	bool accurate;           /* functions by libm */
};

/* --- building (ir.c). All return NULL (or do nothing) once the arena has failed; the caller looks at arena->failed at the end. --- */
struct ir_expr *ir_expr_new(struct ir_function *f, enum ir_kind kind, enum dtype dtype, uint32_t line);
struct ir_expr *ir_const_int(struct ir_function *f, enum dtype dtype, int64_t value);
struct ir_expr *ir_const_real(struct ir_function *f, enum dtype dtype, double value);
struct ir_expr *ir_local(struct ir_function *f, uint32_t local);
struct ir_expr *ir_shape(struct ir_function *f, uint32_t array, uint32_t axis);
struct ir_expr *ir_load(struct ir_function *f, uint32_t array, struct ir_expr **index, uint32_t line); /* dtype: the array's, F32 for F16 */
struct ir_expr *ir_unary(struct ir_function *f, enum ir_op op, enum dtype dtype, struct ir_expr *a);
struct ir_expr *ir_binary(struct ir_function *f, enum ir_op op, enum dtype dtype, struct ir_expr *a, struct ir_expr *b);
struct ir_expr *ir_cast(struct ir_function *f, enum dtype dtype, struct ir_expr *a, bool checked);  /* a itself if the dtype is the same */
struct ir_expr *ir_cond(struct ir_function *f, struct ir_expr *test, struct ir_expr *a, struct ir_expr *b);
struct ir_expr *ir_call(struct ir_function *f, enum function function, enum dtype dtype, struct ir_expr *a, struct ir_expr *b);
struct ir_expr *ir_clone(struct ir_function *f, const struct ir_expr *e);
uint32_t ir_new_local(struct ir_function *f, enum dtype dtype, const char *name, size_t nbytes);
uint32_t ir_new_array(struct ir_function *f, enum dtype dtype, unsigned rank, const char *name, size_t nbytes);
struct ir_block *ir_block_new(struct ir_function *f);
struct ir_stmt *ir_append(struct ir_function *f, struct ir_block *b, enum ir_stmt_kind kind, uint32_t line);
void ir_insert(struct ir_function *f, struct ir_block *b, uint32_t at, struct ir_stmt *s);
struct ir_loop *ir_loop_new(struct ir_function *f);

/* Checks every rule of this header (types, ranks, slots bound, labels, breaks, marks of parallel loops). STATUS_INTERNAL and a message if
 * one is broken: a defect of ours, found before it can do harm. */
enum status ir_verify(const struct ir_function *f, struct error *e);

/* A readable listing, stable for one IR: it is also what the key of the object cache is made from. malloc'ed, NULL without memory. */
char *ir_dump(const struct ir_function *f);

#endif
