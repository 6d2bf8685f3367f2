/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Kernels written by hand as IR, and a way to run them: for tests and measurements of what comes after the front end.
 */
#ifndef TESTS_UNIT_KERNEL_H
#define TESTS_UNIT_KERNEL_H

#include "kernels/compiler/codegen.h"
#include "kernels/compiler/ir.h"
#include "kernels/compiler/jit.h"
#include "tests/unit/random.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct kernel {
	struct arena arena;
	struct ir_function f;
	struct ir_slot params[16], results[16];
	uint32_t nslots[2]; /* parameters: arrays, scalars */
};

static inline void kernel_begin(struct kernel *k)
{
	memset(k, 0, sizeof *k);
	arena_init(&k->arena, (size_t)256 << 20);
	k->f.arena = &k->arena;
	k->f.name.text = "kernel";
	k->f.name.nbytes = 6;
	k->f.params = k->params;
	k->f.results = k->results;
	k->f.body = ir_block_new(&k->f);
}

static inline void kernel_end(struct kernel *k)
{
	arena_free(&k->arena);
}

static inline uint32_t new_array(struct kernel *k, enum dtype d, unsigned rank, bool contiguous)
{
	uint32_t id = ir_new_array(&k->f, d, rank, NULL, 0);
	k->f.arrays[id].contiguous = contiguous;
	return id;
}

static inline uint32_t array_param(struct kernel *k, enum dtype d, unsigned rank, bool contiguous)
{
	uint32_t id = new_array(k, d, rank, contiguous);
	k->params[k->f.nparams++] = (struct ir_slot){ true, id };
	return id;
}

static inline uint32_t new_local(struct kernel *k, enum dtype d)
{
	return ir_new_local(&k->f, d, NULL, 0);
}

static inline uint32_t scalar_param(struct kernel *k, enum dtype d)
{
	uint32_t id = new_local(k, d);
	k->params[k->f.nparams++] = (struct ir_slot){ false, id };
	return id;
}

static inline uint32_t scalar_result(struct kernel *k, uint32_t local)
{
	k->results[k->f.nresults++] = (struct ir_slot){ false, local };
	return local;
}

static inline struct ir_expr *constant(struct kernel *k, int64_t v)
{
	return ir_const_int(&k->f, DTYPE_I64, v);
}

static inline struct ir_expr *local(struct kernel *k, uint32_t id)
{
	return ir_local(&k->f, id);
}

static inline struct ir_expr *binary(struct kernel *k, enum ir_op op, struct ir_expr *a, struct ir_expr *b)
{
	return ir_binary(&k->f, op, op >= IR_LT && op <= IR_NE ? DTYPE_BOOL : a->dtype, a, b);
}

/* flags hold for all axes. */
static inline struct ir_expr *load(struct kernel *k, uint32_t array, uint8_t flags, uint32_t line, struct ir_expr *i, struct ir_expr *j)
{
	struct ir_expr *index[] = { i, j }, *e = ir_load(&k->f, array, index, line);
	memset(e->index_flags, flags, k->f.arrays[array].rank);
	return e;
}

static inline void store(struct kernel *k, struct ir_block *b, uint32_t array, uint8_t flags, uint32_t line, struct ir_expr *i, struct ir_expr *j,
			 struct ir_expr *value)
{
	struct ir_stmt *s = ir_append(&k->f, b, IR_STORE, line);
	struct ir_expr *index[] = { i, j };
	s->array = array;
	s->index = arena_copy(&k->arena, index, sizeof index);
	s->index_flags = arena_alloc(&k->arena, 2);
	memset(s->index_flags, flags, 2);
	s->a = value;
}

static inline void set(struct kernel *k, struct ir_block *b, uint32_t id, struct ir_expr *value)
{
	struct ir_stmt *s = ir_append(&k->f, b, IR_SET, 0);
	s->local = id;
	s->a = value;
}

static inline struct ir_stmt *loop(struct kernel *k, struct ir_block *b, uint32_t var, struct ir_expr *from, struct ir_expr *to, bool parallel)
{
	struct ir_stmt *s = ir_append(&k->f, b, IR_FOR, 0);
	s->local = var;
	s->a = from;
	s->b = to;
	s->c = constant(k, 1);
	s->body = ir_block_new(&k->f);
	s->loop = ir_loop_new(&k->f);
	s->loop->parallel = parallel;
	s->loop->light = true;
	return s;
}

static inline struct ir_stmt *when(struct kernel *k, struct ir_block *b, struct ir_expr *test)
{
	struct ir_stmt *s = ir_append(&k->f, b, IR_IF, 0);
	s->a = test;
	s->body = ir_block_new(&k->f);
	return s;
}

static inline void guard(struct kernel *k, struct ir_stmt *s, struct ir_expr *test)
{
	struct ir_expr **guards = arena_alloc(&k->arena, (s->loop->nguards + 1) * sizeof *guards);
	if (s->loop->nguards)
		memcpy(guards, s->loop->guards, s->loop->nguards * sizeof *guards);
	guards[s->loop->nguards++] = test;
	s->loop->guards = guards;
}

static inline struct ir_reduction *reduce(struct kernel *k, struct ir_stmt *s, enum ir_reduction_kind kind, uint32_t id)
{
	struct ir_reduction *list = arena_alloc(&k->arena, (s->loop->nreductions + 1) * sizeof *list);
	if (s->loop->nreductions)
		memcpy(list, s->loop->reductions, s->loop->nreductions * sizeof *list);
	s->loop->reductions = list;
	list += s->loop->nreductions++;
	list->kind = kind;
	list->local = id;
	list->written = IR_NONE;
	return list;
}

static inline struct kernel_array view_1d(void *data, int64_t n, int64_t stride)
{
	return (struct kernel_array){ .data = data, .shape = { n }, .stride = { stride } };
}

static inline struct kernel_array view_2d(void *data, int64_t n, int64_t m, int64_t itemsize)
{
	return (struct kernel_array){ .data = data, .shape = { n, m }, .stride = { m * itemsize, itemsize } };
}

/* --- running (kernel.c) --- */

extern struct jit *kernel_jit;   /* between make_jit and free_jit, which suit CUnit */
int make_jit(void);
int free_jit(void);

extern const struct executor three_threads;

struct compiled {
	struct jit_code *code;
	kernel_entry *entry;
};

/* False, and a failed assertion, if anything goes wrong. */
bool compile_kernel(const struct kernel *k, struct compiled *c);

struct outcome {
	int status, divided_by_zero;
	struct kernel_failure failure;
};

/* entry NULL: f is interpreted. cancelled may be NULL. */
struct outcome run_kernel(kernel_entry *entry, const struct ir_function *f, const struct executor *ex, struct kernel_array *arrays,
			  union kernel_scalar *scalars, const atomic_bool *cancelled);

/* Values at random, every third where things change: limits, zeros, NaN. */
void fill_values(struct random *r, enum dtype d, void *data, size_t n);

/* Bits, but that any NaN is any other. */
bool same_values(enum dtype d, const void *a, const void *b, size_t n);

#endif
