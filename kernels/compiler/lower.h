/* SPDX-License-Identifier: BSD-3-Clause
 *
 * From the tree to the typed loop IR: names, types, promotion, broadcasting; array expressions become loops, calls of other kernels are inlined.
 * One compilation is for one list of argument types.
 */
#ifndef COMPILER_LOWER_H
#define COMPILER_LOWER_H

#include "kernels/compiler/ast.h"
#include "kernels/compiler/ir.h"
#include "kernels/compiler/types.h"

struct argument {
	enum dtype dtype;
	uint8_t rank;            /* 0: a scalar */
	bool weak;               /* a scalar that is one of Python's own numbers */
	bool contiguous;         /* C order */
	bool read_only;
	uint32_t shape_class;    /* arguments of one class have equal shapes; 0: its own */
	uint32_t alias_class;    /* arguments of different classes share no memory; 0: its own class */
};

/* A name of the surroundings of the kernels. */
struct global {
	struct name name;
	enum { GLOBAL_CONSTANT, GLOBAL_ARGUMENT, GLOBAL_LIBRARY } kind;
	struct type type;            /* CONSTANT */
	union kernel_scalar value;
	uint32_t argument;           /* ARGUMENT: an array that travels as one more argument, by its number */
	struct name target;          /* LIBRARY: "numpy", "math", "numpy.sqrt", "spiked.prange" */
};

struct lower_options {
	bool fastmath, accurate;
	bool numpy_errors;       /* an integer divided by zero gives 0 and a warning instead of an error */
};

enum result_form { RESULT_NONE, RESULT_ONE, RESULT_TUPLE };

struct lowered {
	struct ir_function *function;
	enum result_form form;
};

/* The kernel `name` of the module. args: nargs of them for the parameters (fewer if the rest have defaults), then those of GLOBAL_ARGUMENTs. */
enum status lower_kernel(struct arena *arena, const struct module *m, struct name name, const struct argument *args, uint32_t nargs,
			 uint32_t nextra, const struct global *globals, uint32_t nglobals, const struct lower_options *o, struct lowered *out,
			 struct error *e);

/* The expression of the module over `names`. With `out` the last argument is an array that receives the result (its shape is checked, and broadcast to; the
 * dtype is cast, which `casting` must allow); the function then has no results. */
enum status lower_expression(struct arena *arena, const struct module *m, const struct name *names, const struct argument *args, uint32_t nargs,
			     bool out, enum casting casting, const struct lower_options *o, struct lowered *lowered, struct error *e);

#endif
