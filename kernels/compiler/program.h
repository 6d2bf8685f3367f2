/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A program: one expression or kernel, compiled for one list of argument types; the whole road from text to code. May be used without a daemon.
 */
#ifndef COMPILER_PROGRAM_H
#define COMPILER_PROGRAM_H

#include "kernels/compiler/codegen.h"
#include "kernels/compiler/lower.h"
#include "kernels/compiler/object_cache.h"
#include "kernels/compiler/runtime.h"
#include "kernels/compiler/stream.h"

struct compiler_options {
	const char *cache_dir;   /* of objects; NULL: none */
	uint64_t cache_bytes;
	size_t memory_bytes;     /* of one compilation; 0: 256 MiB */
	bool interpret;          /* never make machine code */
};

/* The linker and the object cache; one for a process. *warning gets what does not work on this machine (no executable memory: kernels are interpreted; the
 * cache directory cannot be trusted: no cache), or stays OK. NULL: no memory. */
struct compiler;
struct compiler *compiler_new(const struct compiler_options *o, struct error *warning);
void compiler_free(struct compiler *c);
bool compiler_interprets(const struct compiler *c);
void compiler_cache_counts(struct compiler *c, struct object_cache_counts *counts);

/* Everything a program depends on; borrowed while program_compile runs. */
struct program_source {
	const char *text;
	size_t nbytes;
	const char *file;                /* for messages, or NULL */
	uint32_t first_line;             /* 0 or 1: unknown */
	bool expression;
	struct name kernel;              /* kernels: which function */
	const struct name *names;        /* expressions: of the arguments, without out */
	const struct global *globals;    /* kernels */
	uint32_t nglobals;
	const struct argument *args;     /* nargs, then nextra for GLOBAL_ARGUMENTs */
	uint32_t nargs, nextra;
	bool out;                        /* expressions: the last argument receives the result */
	enum casting casting;
	bool parallel, strict, assume_independent, fastmath, accurate, numpy_errors;
	bool interpret;
};

enum provenance { PROVENANCE_COMPILED, PROVENANCE_DISK, PROVENANCE_INTERPRETED };

struct analysis;

struct program {
	const struct ir_function *function;
	enum result_form form;
	const struct analysis *analysis;
	enum provenance provenance;
	uint64_t front_ns, analysis_ns, codegen_ns, link_ns;
	size_t object_bytes, memory_bytes;
	bool *writes;                    /* [number of params]: array parameters the program may write */
	struct stream_use *uses;         /* [number of params]: which may be remote; none if it is interpreted */
	struct compiler *compiler;
	struct arena *arena;
	struct source_text *source;
	struct linked_code *linked;
	kernel_entry *entry;             /* NULL: interpreted */
};

enum status program_compile(struct compiler *c, const struct program_source *s, struct program **out, struct error *e);
/* Nobody runs it any more. */
void program_free(struct program *p);

/* As kernel_entry (runtime.h). */
int program_run(const struct program *p, struct kernel_context *ctx, struct kernel_array *arrays, union kernel_scalar *scalars);

/* The failure of a call in words: "count: line 3: index 7 is out of bounds for an axis of length 5 (of 'x')". Returns its status. */
enum status program_failure(const struct program *p, const struct kernel_failure *failure, struct error *e);

/* A text that two program_sources share only if the same program comes of them: the key of caches in memory. malloc'ed, NULL without memory. */
char *program_key(const struct program_source *s);

/* Does an expression treat each element alike, so that arrays of one shape and order may be taken as flat: operators, elementwise functions, reductions of
 * everything? false also if it cannot be parsed. *by_place: its value depends on the order of the elements (argmin): C order only. */
bool expression_is_pointwise(const char *text, size_t nbytes, bool *by_place);

/* Texts for people: the IR (malloc'ed), and LLVM's (codegen.h; compiled anew, nothing for interpreted ones). */
char *program_dump(const struct program *p);
enum status program_texts(const struct program *p, struct codegen_texts *texts, struct error *e);

/* Argument types written as Numba writes signatures: "float64(float64[:], int64)", "(f8[:,::1], i8)", "void(f4[:])". Fills at most `max`; returns how
 * many, or -1 with the error. Arrays are C-contiguous. */
int signature_parse(const char *text, size_t nbytes, struct argument *args, int max, struct error *e);

#endif
