/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the files of the lowering share.
 *
 * Types of variables are found by lowering again and again: a variable has the type that the last pass left it with, an assignment that
 * does not fit widens it, and the pass after which nothing changed is the result. So there is one description of every construct, and no
 * separate inference. A failure leaves by longjmp: everything lives in the arena.
 */
#ifndef COMPILER_LOWER_PRIVATE_H
#define COMPILER_LOWER_PRIVATE_H

#include "kernels/compiler/lower.h"

#include <setjmp.h>

enum value_kind {
	VALUE_NONE,
	VALUE_SCALAR,            /* expr */
	VALUE_ARRAY,             /* slot */
	VALUE_LAZY,              /* an array expression that has no memory yet: lazy, kids; rank >= 1 */
	VALUE_TUPLE,             /* items */
	VALUE_RANGE,             /* items: start, stop, step; wanted: prange */
	VALUE_ZIP, VALUE_ENUMERATE, /* items */
	VALUE_FUNCTION,          /* a `def` of the source */
	VALUE_LIBRARY,           /* name: "numpy", "numpy.sqrt", "int" */
	VALUE_METHOD,            /* name of an array's method; items[0]: the array */
	VALUE_DTYPE,             /* type */
	VALUE_STRING,            /* name */
	VALUE_SLICE,             /* items: start, stop, step; each may be NULL */
	VALUE_ELLIPSIS,
};

enum lazy_kind { LAZY_OPERATE, LAZY_CALL, LAZY_CAST, LAZY_COND };

struct value {
	enum value_kind kind;
	struct type type;
	unsigned rank;
	struct ir_expr *expr;
	uint32_t slot;
	enum lazy_kind lazy;
	enum ir_op op;
	enum function function;
	bool wanted, checked;
	struct value **items;
	uint32_t nitems;
	struct ast *def;
	struct name name;
};

/* What a slot is known to share with others; index: slot. */
struct slot_facts {
	uint32_t shape_id;       /* slots of one id have equal shapes; never 0 */
};

/* One variable of one call of one function. Lives through all passes. */
struct variable {
	uint32_t instance, version, number;
	struct name name;
	bool typed;
	bool known;              /* its value is known while compiling (a function, a dtype, a tuple): constant */
	bool is_array, is_list, contiguous;
	bool needs_flag;         /* some read is not surely behind an assignment */
	bool multi;              /* assigned in more than one place: its slot is its own, and shares shape and memory with unknown ones */
	enum dtype dtype;        /* DTYPE_NONE: a list nothing was appended to yet */
	unsigned rank;
	struct place place;      /* first assignment */
	/* of the present pass */
	uint32_t pass;           /* in which it was bound last; its local or slot is then `id` */
	uint32_t id, flag, assignments;
	struct value *constant;
};

struct scope {
	struct scope *parent;    /* of a nested def: the function around it */
	struct scope *caller;
	struct ast *def;         /* NULL for an expression */
	uint32_t instance;
	struct name *names;      /* that are assigned in the function, so its own */
	uint32_t *versions;
	uint32_t nnames;
	unsigned depth;          /* loops and ifs around the present statement */
	unsigned calls;          /* callers around it */
	struct ir_block *home;   /* its outermost block */
	bool top;                /* the kernel itself: its return ends the IR function */
	uint32_t label;          /* of the block a `return` leaves */
	bool returns, returns_tuple, returns_nothing;
	uint32_t nresults;
};

enum { LOWER_MAX_PASSES = 24, LOWER_RETYPED_PASSES = 4, LOWER_MAX_CALLS = 64, LOWER_MAX_INSTANCES = 2000, LOWER_MAX_VARIABLES = 8192, LOWER_ASSIGNED_WORDS = LOWER_MAX_VARIABLES / 64 };

struct lowering {
	struct arena *arena;
	const struct module *module;
	const struct source_text *source;
	const struct lower_options *options;
	const struct global *globals;
	uint32_t nglobals;
	bool expression;         /* NumPy's rules for scalars, bare function names */
	struct ir_function *f;
	struct ir_block *block;  /* where statements go */
	struct scope *scope;
	struct slot_facts *facts;
	uint32_t nfacts;
	uint32_t next_id;        /* roots and shape ids */
	uint32_t pass, instances, calls;
	bool changed;
	bool guessed;            /* a variable was read in the first pass before it had a type */
	struct ir_reduction *reductions; /* put on the loops that for_each makes */
	uint32_t nreductions;
	struct variable **variables;
	uint32_t nvariables;
	uint64_t assigned[LOWER_ASSIGNED_WORDS]; /* bit set over variables: surely bound here */
	bool dead;               /* the statement before left: what follows is not reached */
	uint32_t line;
	struct value **arguments; /* of the IR function */
	struct error *error;
	enum status status;
	jmp_buf leave;
};

/* --- lower.c --- */
_Noreturn void lower_fail(struct lowering *l, struct place at, enum status status, const char *hint, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
#define INVALID(l, at, hint, ...) lower_fail((l), (at), STATUS_INVALID, (hint), __VA_ARGS__)
#define UNSUPPORTED(l, at, hint, ...) lower_fail((l), (at), STATUS_UNSUPPORTED, (hint), __VA_ARGS__)
void *lower_alloc(struct lowering *l, size_t nbytes);
void *lower_need(struct lowering *l, void *p);   /* p, or leaves when the budget is used up */
#define NEW(l, type) ((type *)lower_alloc((l), sizeof(type)))

/* --- lower_value.c: making values --- */
struct value *value_new(struct lowering *l, enum value_kind kind);
struct value *value_scalar(struct lowering *l, struct ir_expr *e, bool weak);
struct value *value_int(struct lowering *l, int64_t v);             /* int64, strong */
struct value *value_array(struct lowering *l, uint32_t slot);
struct value *value_tuple(struct lowering *l, struct value **items, uint32_t n);
const char *value_describe(struct lowering *l, const struct value *v);
bool value_is_array(const struct value *v);                         /* ARRAY or LAZY */
bool value_is_number(const struct value *v);                        /* SCALAR, ARRAY or LAZY */
bool value_constant_int(const struct value *v, int64_t *out);
struct ir_expr *stable(struct lowering *l, struct ir_expr *e);       /* a constant or local with the same value: may be used again and again */
struct value *settle(struct lowering *l, struct value *v);           /* does not change when variables do */
struct ir_expr *as_int64(struct lowering *l, struct place at, struct value *v, const char *what);
struct ir_expr *as_bool(struct lowering *l, struct place at, struct value *v);
struct ir_expr *cast_scalar(struct lowering *l, struct place at, struct value *v, enum dtype to, bool checked);
uint32_t new_slot(struct lowering *l, enum dtype dtype, unsigned rank, uint32_t root, uint32_t shape_id);
uint32_t fresh_id(struct lowering *l);

/* Emits into l->block. */
struct ir_stmt *emit(struct lowering *l, enum ir_stmt_kind kind);
void emit_set(struct lowering *l, uint32_t local, struct ir_expr *e);
void emit_check(struct lowering *l, struct ir_expr *good, enum kernel_error_code code, struct ir_expr *v0, struct ir_expr *v1);
struct ir_stmt *emit_alloc(struct lowering *l, uint32_t slot, struct ir_expr **shape, bool zero);
struct ir_stmt *emit_view(struct lowering *l, uint32_t view, uint32_t from); /* offset, shape, step, from_axis have room and are empty */
struct ir_stmt *emit_store(struct lowering *l, uint32_t slot, struct ir_expr **index, struct ir_expr *e, bool in_bounds);
struct ir_expr *load_in_bounds(struct lowering *l, uint32_t slot, struct ir_expr **index);
/* for (*var) in 0..trips: *body, a loop of an array expression; returns the loop's marks */
struct ir_loop *emit_for(struct lowering *l, struct ir_expr *trips, uint32_t *var, struct ir_block **body);
struct ir_expr *int_op(struct lowering *l, enum ir_op op, struct ir_expr *a, struct ir_expr *b);
struct ir_expr *int_compare(struct lowering *l, enum ir_op op, struct ir_expr *a, struct ir_expr *b);
struct ir_expr *int_const(struct lowering *l, int64_t v);

/* --- lower_operator.c: operators and functions on scalars and arrays alike --- */
struct value *apply_binary(struct lowering *l, struct place at, enum ast_op op, struct value *a, struct value *b);
struct value *apply_unary(struct lowering *l, struct place at, enum ast_op op, struct value *a);
struct value *apply_compare(struct lowering *l, struct place at, enum ir_op op, struct value *a, struct value *b);
struct value *apply_operate(struct lowering *l, enum ir_op op, struct type result, struct value *a, struct value *b); /* operands as they are */
struct value *apply_function(struct lowering *l, struct place at, enum function fn, struct value *a, struct value *b);
struct value *apply_cast(struct lowering *l, struct place at, struct value *v, enum dtype to, bool checked);
struct value *apply_cond(struct lowering *l, struct place at, struct value *test, struct value *a, struct value *b);
struct value *zero_like(struct lowering *l, struct value *v);   /* of the shape and type of v */
struct value *apply_truth(struct lowering *l, struct place at, struct value *v); /* != 0 */

/* --- lower_array.c: broadcasting, loops, memory --- */
struct nest {                     /* loops over the elements of an array expression */
	unsigned rank;
	struct ir_expr *shape[IR_MAX_RANK];
	uint32_t shape_id;
};
/* The common shape of the arrays below v, checked when it runs. */
struct nest broadcast(struct lowering *l, struct place at, struct value **values, uint32_t n);
/* Calls body(l, index, arg) to make the inside of loops over `nest`: once, or twice (equal shapes, and those that must be broadcast). The values are
 * replaced by ones whose elements `element` can make. */
struct ir_expr *element(struct lowering *l, struct value *v, struct ir_expr **index, unsigned rank);
void for_each(struct lowering *l, struct place at, const struct nest *nest, struct value **values, uint32_t n,
	      void (*body)(struct lowering *l, struct value **values, struct ir_expr **index, void *arg), void *arg);
struct value *materialise(struct lowering *l, struct place at, struct value *v);  /* an ARRAY with memory; scalars stay */
struct value *copy_array(struct lowering *l, struct place at, struct value *v);
void store_array(struct lowering *l, struct place at, uint32_t slot, struct value *v); /* slot[...] = v, as if v were read first */
struct ir_expr *array_size(struct lowering *l, struct value *array);
struct value *view_index(struct lowering *l, struct place at, struct value *array, struct value **indices, uint32_t n);
struct value *view_transpose(struct lowering *l, struct value *array);
struct value *view_flat(struct lowering *l, struct place at, struct value *v);     /* rank 1, a copy unless it is rank 1 */

/* --- lower_reduce.c: axis is NULL or None (all), a constant integer, or a tuple of those --- */
enum reduce_name { REDUCE_SUM, REDUCE_PROD, REDUCE_MIN, REDUCE_MAX, REDUCE_ANY, REDUCE_ALL, REDUCE_MEAN, REDUCE_VAR, REDUCE_STD, REDUCE_ARGMIN, REDUCE_ARGMAX,
		   REDUCE_COUNT };
struct value *reduce(struct lowering *l, struct place at, enum reduce_name op, struct value *v, struct value *axis, bool keepdims, struct value *ddof,
		     enum dtype dtype);
unsigned reduce_axis(struct lowering *l, struct place at, struct value *axis, unsigned rank);   /* one constant axis */
struct value *cumulate(struct lowering *l, struct place at, struct value *v, struct value *axis, enum ir_op op);
struct value *matrix_product(struct lowering *l, struct place at, struct value *a, struct value *b);

/* --- lower_library.c, lower_create.c --- */
struct call {
	struct place place;
	struct name name;        /* as written, without the module */
	struct value **args;
	uint32_t nargs;
	const struct ast_keyword *keywords;
	struct value **keyword_values;
	uint32_t nkeywords;
	uint64_t used;           /* keywords somebody asked for */
};
/* Argument k, or the keyword; NULL if neither is there (or it is None). */
struct value *call_argument(struct lowering *l, struct call *c, uint32_t k, const char *keyword);
struct value *call_need(struct lowering *l, struct call *c, uint32_t k, const char *keyword);
struct value *call_library(struct lowering *l, struct place at, struct name name, struct value **args, uint32_t nargs,
			   const struct ast_keyword *keywords, struct value **keyword_values, uint32_t nkeywords);
struct value *library_member(struct lowering *l, struct place at, struct name module, struct name member);
bool library_has(struct name name);             /* a function without a module */

typedef struct value *library_fn(struct lowering *l, struct call *c, int data);
library_fn create_filled, create_like, create_arange, create_linspace, create_array, create_copy, create_range, create_enumerate, create_zip, array_length,
	array_info, array_sort, array_search, array_quantile, array_astype, array_ravel, array_transpose, array_diff, array_cumulate, array_dot, array_reduce,
	array_fill;
enum dtype dtype_of_value(struct lowering *l, struct place at, struct value *v);

/* --- lower_expr.c --- */
struct value *lower_expr(struct lowering *l, struct ast *n);
struct value *lower_value(struct lowering *l, struct ast *n);                     /* a number: not a tuple, module, ... */
struct value *call_function(struct lowering *l, struct ast *call, struct value *fn, struct value **args, uint32_t nargs, struct value **keyword_values);
bool has_user_call(struct lowering *l, const struct ast *n);

/* --- lower_variable.c --- */
struct scope *scope_new(struct lowering *l, struct ast *def, struct scope *parent);
void variable_assign(struct lowering *l, struct place at, struct name name, struct value *v);
/* The int64 local that is the variable, for a loop to count in; IR_NONE if it has another type. */
uint32_t variable_counter(struct lowering *l, struct place at, struct name name);
void variable_new_list(struct lowering *l, struct place at, struct name name);
void variable_append(struct lowering *l, struct place at, struct name name, struct value *v);
struct value *name_read(struct lowering *l, struct place at, struct name name);
struct value *result_read(struct lowering *l, struct scope *s, uint32_t k);
void result_assign(struct lowering *l, struct place at, uint32_t k, struct value *v);
struct ast *find_def(struct lowering *l, struct name name, struct scope **around);
uint64_t *assigned_copy(struct lowering *l);
void assigned_restore(struct lowering *l, const uint64_t *saved);
void assigned_intersect(struct lowering *l, const uint64_t *other);

/* --- lower_stmt.c --- */
void lower_body(struct lowering *l, const struct ast_list *body);
struct value *lower_inlined(struct lowering *l, struct place at, struct scope *s);   /* the body of s; parameters are bound */

#endif
