/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The parts of the verifier: ir_verify.c (the function, its statements), ir_verify_expr.c (slots and expressions). Functions returning bool: false
 * once a rule is broken, which verify_broken has told.
 */
#ifndef COMPILER_IR_VERIFY_PRIVATE_H
#define COMPILER_IR_VERIFY_PRIVATE_H

#include "kernels/compiler/ir.h"

enum { BOOLS = 1, INTS = 2, FLOATS = 4, COMPLEXES = 8, REALS = BOOLS | INTS | FLOATS, NUMBERS = INTS | FLOATS | COMPLEXES };

struct scope {
	const struct scope *outer;
	const struct ir_stmt *stmt; /* FOR, LOOP or BLOCK */
};

struct verifier {
	const struct ir_function *f;
	struct error *error;
	uint32_t line;
	bool failed;
	const struct scope *scope;
	bool *bound, *labels, *loops; /* arrays something binds; labels and loops met */
};

__attribute__((format(printf, 2, 3))) bool verify_broken(struct verifier *v, const char *format, ...);
unsigned verify_class(enum dtype d);
bool verify_array(struct verifier *v, uint32_t array);
enum dtype verify_element(const struct verifier *v, uint32_t array);
bool verify_local(struct verifier *v, uint32_t local);
bool verify_local_is(struct verifier *v, uint32_t local, enum dtype d, const char *what);
bool verify_expr(struct verifier *v, const struct ir_expr *e);
bool verify_expr_is(struct verifier *v, const struct ir_expr *e, enum dtype d, const char *what);
bool verify_index(struct verifier *v, uint32_t array, struct ir_expr *const *index, const uint8_t *flags);

#endif
