/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a running kernel meets: its arguments, memory, errors, parallel loops and the procedures on whole arrays. Machine code and the interpreter
 * use the same. The layouts here are known to the code generator (codegen_types.c): change both together.
 */
#ifndef COMPILER_RUNTIME_H
#define COMPILER_RUNTIME_H

#include "kernels/executor.h"
#include "protocol/dtype.h"
#include "protocol/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { KERNEL_MAX_RANK = 8 };

/* One scalar; which member is set follows from its dtype: i for bool and signed integers (sign-extended), u for unsigned (zero-extended), f32, f64, c64, c128. */
union kernel_scalar {
	int64_t i;
	uint64_t u;
	float f32;
	double f64;
	float _Complex c64;
	double _Complex c128;
};

struct kernel_array {
	void *data;
	int64_t shape[KERNEL_MAX_RANK];
	int64_t stride[KERNEL_MAX_RANK];   /* bytes; may be negative or 0 */
	int64_t capacity;                  /* lists: elements there is room for */
};

/* E(NAME, text with two %lld for the values) */
#define KERNEL_ERROR_MAP(E)                                                                                        \
	E(INDEX, "index %lld is out of bounds for an axis of length %lld")                                         \
	E(DIVISION, "integer division or modulo by zero")                                                          \
	E(NEGATIVE_POWER, "an integer to a negative power (%lld)")                                                 \
	E(CAST, "a float that is NaN, infinite or too large cannot become an integer")                             \
	E(SHAPE, "shapes do not match: length %lld against %lld")                                                  \
	E(NEGATIVE_SIZE, "an array cannot have the length %lld")                                                   \
	E(MEMORY, "the arrays of this call need more than the %lld bytes it may use")                              \
	E(EMPTY, "this reduction has no value for an empty array")                                                 \
	E(ZERO_STEP, "the step of range must not be zero")                                                         \
	E(ASSERTION, "the assertion is false")                                                                     \
	E(UNBOUND, "a variable is used that has no value yet")                                                     \
	E(DOMAIN, "the value %lld is outside what the function accepts")                                           \
	E(CANCELLED, "the call was ended")

enum kernel_error_code {
	KERNEL_NO_ERROR,
#define E(name, text) KERNEL_##name,
	KERNEL_ERROR_MAP(E)
#undef E
	KERNEL_ERROR_COUNT
};

/* The first error of a call, in the order of the program: of parallel chunks the one with the lowest number wins. */
struct kernel_failure {
	enum kernel_error_code code;
	uint32_t line;
	uint32_t array;                    /* slot, or UINT32_MAX */
	int64_t value[2];
};

struct kernel_memory;

/* An argument whose elements are elsewhere (a client's memory): rank 1 and contiguous. Its data pointer is an address that is never read; parallel loops that use
 * it element by element get each chunk's part brought into scratch memory (program.h: streams). */
struct kernel_remote {
	void *base;                        /* stands for the elements; nothing else has addresses in [base, base + nbytes) */
	size_t nbytes;
	bool fetch, store;                 /* elements are read before a chunk; written after it */
};

/* One call of a kernel; shared by its threads. */
struct kernel_call {
	const struct executor *executor;   /* who runs parallel loops; may be exchanged by pause() */
	const atomic_bool *attention;      /* polled: set if pause() wants to be called. May be NULL */
	int (*pause)(struct kernel_call *call); /* on the main thread of the call only: may wait for its turn; not 0 ends the call */
	const atomic_bool *cancelled;      /* polled on every thread. May be NULL */
	void *user;                        /* of pause() */
	size_t memory_limit;               /* bytes of all arrays the call makes */
	atomic_size_t memory_used;
	atomic_int divided_by_zero;        /* an unchecked integer division met 0 */
	struct kernel_failure failure;     /* set when the entry returned not 0 */
	struct kernel_context *main;
	const struct kernel_remote *remotes;
	unsigned nremotes;
	/* Any thread: moves bytes between remote r and local memory; not 0: failed, the call then ends as cancelled and the user knows why. */
	int (*move)(struct kernel_call *call, const struct kernel_remote *r, bool store, size_t offset, void *local, size_t nbytes);
};

/* One thread's part of a call. */
struct kernel_context {
	struct kernel_call *call;
	struct kernel_memory *memory;      /* blocks this context allocated, newest first */
	struct kernel_failure failure;
	bool is_main;
};

/* A compiled kernel, or the interpreter behind the same face. arrays: array parameters in order, then array results; scalars: scalar parameters in order, then
 * scalar results. Result arrays point into memory of the context or into a parameter. Returns 0, or not 0 with call->failure set. */
typedef int kernel_entry(struct kernel_context *ctx, struct kernel_array *arrays, union kernel_scalar *scalars);

/* --- for generated code; all are plain C functions reached by address --- */

/* Notes the failure (the first of a context stays) and returns 1, so that code can write `return kernel_fail(...)`. */
int kernel_fail(struct kernel_context *ctx, int code, uint32_t line, uint32_t array, int64_t v0, int64_t v1);

/* Called where a loop looks up: when *call->attention or *call->cancelled is set. 0: go on. */
int kernel_poll(struct kernel_context *ctx);

/* Fills a->data (64-byte aligned), shape and C strides. 0, or 1 after kernel_fail. `rank` lengths in a->shape. */
int kernel_alloc(struct kernel_context *ctx, struct kernel_array *a, int rank, int64_t itemsize, int zero, uint32_t line, uint32_t array);

/* Lists: makes room for one more element (doubling); shape[0] is the length. 0, or 1 after kernel_fail. */
int kernel_list_grow(struct kernel_context *ctx, struct kernel_array *a, int64_t itemsize, uint32_t line, uint32_t array);

/* What is allocated after the mark is freed by the release. */
void *kernel_mark(struct kernel_context *ctx);
void kernel_release(struct kernel_context *ctx, void *mark);

/* A parallel loop of `trips` iterations: fn(ctx, frame, lo, hi, k) for each chunk k, ctx that of the running thread. fn returns 0 or an error in its ctx.
 * `length` is the chunk's (the last may be shorter); 0: the loop has no reductions, so any cut gives the same bits and the runtime chooses (k is then
 * not meaningful). Runs on the calling thread if little is to do. Returns 0, or 1 with the lowest chunk's failure in ctx. */
typedef int kernel_chunk(struct kernel_context *ctx, void *frame, int64_t lo, int64_t hi, int64_t k);
int kernel_parallel(struct kernel_context *ctx, kernel_chunk *fn, void *frame, int64_t trips, int64_t length);

/* The same, where the frame may hold remote arrays: it is copied for each thread, with the data pointers of those that point to what was brought. */
struct kernel_layout {
	int64_t nbytes;                    /* of the frame */
	int64_t narrays;
	int64_t offset[];                  /* of each struct kernel_array in it */
};
int kernel_parallel_over(struct kernel_context *ctx, kernel_chunk *fn, void *frame, int64_t trips, int64_t length, const struct kernel_layout *layout);

/* Chunks of loops with reductions depend on the number of iterations (and on whether the body is light: has no loop inside) alone: never on threads.
 * At most KERNEL_MAX_CHUNKS. */
enum { KERNEL_MAX_CHUNKS = 256, KERNEL_LIGHT_CHUNK = 1024 };
static inline int64_t kernel_chunk_length(int64_t trips, bool light)
{
	int64_t length = trips / KERNEL_MAX_CHUNKS + (trips % KERNEL_MAX_CHUNKS != 0);
	int64_t least = light ? KERNEL_LIGHT_CHUNK : 1;
	return length < least ? least : length;
}

/* Procedures on whole arrays: P(NAME). `in` and `out` are C-contiguous or strided rank-1 arrays of the dtype; floats sort NaN last as NumPy.
 *   SORT          arrays[0] is sorted in place
 *   ARGSORT       arrays[0] (int64, same length) = stable order of arrays[1]
 *   MEDIAN        local = median of arrays[0] (float64; NaN if one is; a copy is made); empty: error EMPTY
 *   PERCENTILE    local = a-th percentile (float64, linear) of arrays[0]; a outside [0, 100]: error DOMAIN
 *   SEARCHSORTED  local = first (a), b == 0, or last, b == 1, place of scalar a in sorted arrays[0]: int64; a has the array's dtype
 */
#define KERNEL_PROC_MAP(P) P(SORT) P(ARGSORT) P(MEDIAN) P(PERCENTILE) P(SEARCHSORTED)
enum kernel_proc {
#define P(name) KERNEL_PROC_##name,
	KERNEL_PROC_MAP(P)
#undef P
	KERNEL_PROC_COUNT
};
/* arrays: pointers to the slots; dtypes of each; result in *result. 0, or 1 after kernel_fail. */
int kernel_procedure(struct kernel_context *ctx, int proc, uint32_t line, uint32_t narrays, struct kernel_array **arrays, const int32_t *dtypes,
		     const union kernel_scalar *a, const union kernel_scalar *b, union kernel_scalar *result);

/* Scalar operations whose rules are long: one place for the interpreter and for machine code. */
int64_t kernel_pow_i64(int64_t base, int64_t exponent);      /* exponent >= 0, wraps; narrower types are cut */
double kernel_floordiv_f64(double a, double b);              /* NumPy's floor_divide */
double kernel_mod_f64(double a, double b);                   /* NumPy's remainder */
float kernel_floordiv_f32(float a, float b);
float kernel_mod_f32(float a, float b);
double _Complex kernel_div_c128(double _Complex a, double _Complex b); /* Smith's method, as NumPy */
float _Complex kernel_div_c64(float _Complex a, float _Complex b);

/* --- for the caller of kernels --- */
void kernel_context_init(struct kernel_context *ctx, struct kernel_call *call);
void kernel_context_free(struct kernel_context *ctx);

/* Detaches the block that holds `data` from the context: the caller frees it with free(). NULL if none does or it does not begin there. */
void *kernel_take(struct kernel_context *ctx, void *data);

#endif
