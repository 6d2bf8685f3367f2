/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The parts of the interpreter:
 *	interpret.c          statements and the entry
 *	interpret_loop.c     loops, in order and in chunks
 *	interpret_expr.c     expressions, elements of arrays
 *	interpret_scalar.c   operators and casts
 * Functions returning bool: false after kernel_fail.
 */
#ifndef COMPILER_INTERPRET_PRIVATE_H
#define COMPILER_INTERPRET_PRIVATE_H

#include "kernels/compiler/interpret.h"

/* What one thread runs: the entry, or a chunk of a parallel loop with slots of its own. */
struct machine {
	const struct ir_function *f;
	struct kernel_context *ctx;
	union kernel_scalar *locals;
	struct kernel_array *arrays;
	bool *changed;           /* in a chunk: the locals it has set; else NULL */
	uint32_t line, label;    /* of the statement; where LEAVE goes */
	const struct ir_expr **spine; /* nodes that wait for their left operand: left chains may be thousands long */
	size_t nspine, spine_capacity;
};

enum flow { FLOW_NEXT, FLOW_BREAK, FLOW_CONTINUE, FLOW_LEAVE, FLOW_RETURN, FLOW_FAILED };

/* --- interpret.c --- */
enum flow machine_block(struct machine *m, const struct ir_block *b);
void machine_set(struct machine *m, uint32_t local, const union kernel_scalar *value);
bool machine_init(struct machine *m, const struct ir_function *f, struct kernel_context *ctx);
void machine_free(struct machine *m);

/* --- interpret_loop.c --- */
enum flow machine_for(struct machine *m, const struct ir_stmt *s);
enum flow machine_forever(struct machine *m, const struct ir_stmt *s);

/* --- interpret_expr.c --- */
bool machine_eval(struct machine *m, const struct ir_expr *e, union kernel_scalar *out);
bool machine_int(struct machine *m, const struct ir_expr *e, int64_t *out);
char *machine_element(struct machine *m, uint32_t array, struct ir_expr *const *index, uint32_t line); /* NULL after kernel_fail */
void machine_store(enum dtype d, char *at, const union kernel_scalar *value);
bool machine_fail(struct machine *m, enum kernel_error_code code, uint32_t line, uint32_t array, int64_t v0, int64_t v1);

/* --- interpret_scalar.c --- */
bool machine_operate(struct machine *m, const struct ir_expr *e, const union kernel_scalar *a, const union kernel_scalar *b,
		     union kernel_scalar *out);
bool machine_cast(struct machine *m, const struct ir_expr *e, const union kernel_scalar *a, union kernel_scalar *out);
/* An operator that cannot fail. */
union kernel_scalar machine_combine(enum ir_op op, enum dtype d, const union kernel_scalar *a, const union kernel_scalar *b);
union kernel_scalar machine_number(enum dtype d, int64_t value);

#endif
