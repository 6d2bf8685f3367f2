/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The parts of the analysis:
 *	analysis.c          the passes, verdicts
 *	analysis_tree.c     statements with their places; which write of a variable a read sees
 *	analysis_affine.c   integers as c0 + sum ck * xk, their ranges, proofs
 *	analysis_object.c   accesses, and the memory they mean
 *	analysis_depend.c   pair tests
 *	analysis_scalar.c   roles of scalars: private, reduction, last value
 *	analysis_scan.c     recurrences
 *	analysis_bounds.c   proofs and guards of indices
 *	analysis_life.c     memory that dies with an iteration
 *	analysis_report.c   texts
 */
#ifndef COMPILER_ANALYSIS_PRIVATE_H
#define COMPILER_ANALYSIS_PRIVATE_H

#include "kernels/compiler/analysis.h"

#include <setjmp.h>

typedef __int128 wide;

/* --- the tree: every statement by its number, in the order of the text --- */

struct form;
struct node {
	struct ir_stmt *s;
	struct node *parent;     /* NULL: at the top */
	uint32_t id, end;        /* the statements inside are id + 1 .. end - 1 */
	uint32_t list;           /* number of the first statement of the list it stands in */
	uint32_t depth;          /* loops around it */
	struct form *form;       /* SET of an int64, once asked for */
	struct range *range;     /* FOR, once asked for */
	struct interval *interval; /* of what a SET sets, of the counter of a FOR */
	uint8_t busy;
};

/* A variable is a local, or an array slot (nlocals + slot), which is written when it is bound. */
typedef uint32_t variable;

/* What a read sees: ENTRY what came in; AFTER the variable as it stands after statement `node` (a SET, or anything that contains writes); FOR the
 * counter of the loop; TOP the variable at the top of the body of loop `node`, which writes it further down. Two reads that see the same
 * definition see the same value as long as they are in the same iteration of all loops around the definition: it dominates them. */
enum definition_kind { SEES_ENTRY, SEES_AFTER, SEES_FOR, SEES_TOP };
struct definition {
	enum definition_kind kind;
	struct node *node;
};

struct access {
	struct node *node;
	struct ir_expr *expr;    /* the load; NULL: a store or a procedure */
	uint32_t array, line;
	bool write, whole;       /* whole: some or all elements of the slot */
	struct ir_expr **index;
	uint8_t *flags;
};

struct analyser {
	struct ir_function *f;
	const struct analysis_options *options;
	struct node *nodes;
	uint32_t nnodes, nlocals, nvariables;
	uint32_t *writer_from, *writers; /* writers of variable v: writers[writer_from[v] .. writer_from[v + 1]), rising */
	struct access *accesses; /* in the order of the text */
	uint32_t naccesses, access_capacity;
	struct loop_report *reports; /* by loop id */
	jmp_buf leave;           /* the arena is used up */
};

void *take(struct analyser *an, size_t nbytes);
void *need(struct analyser *an, void *p);
const char *text(struct analyser *an, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline bool is_loop(const struct ir_stmt *s) { return s->kind == IR_FOR || s->kind == IR_LOOP; }
static inline bool is_inside(const struct node *n, const struct node *outer) { return n->id > outer->id && n->id < outer->end; }

/* --- analysis_tree.c --- */
void number_statements(struct analyser *an);
struct definition reaching(struct analyser *an, const struct node *at, variable v);
static inline bool same_definition(struct definition a, struct definition b) { return a.kind == b.kind && a.node == b.node; }
bool writes_in(const struct analyser *an, const struct node *loop, variable v);     /* some statement in the body of the loop */
bool definition_before(struct definition d, const struct node *loop);               /* one value during the whole loop */
variable local_variable(uint32_t local);
variable slot_variable(const struct analyser *an, uint32_t slot);
/* All expression nodes of e, of s itself (not of the statements inside); left chains may be thousands long. */
typedef void visit_fn(void *arg, struct ir_expr *e);
void visit_expr(const struct ir_function *f, struct ir_expr *e, visit_fn *fn, void *arg);
void visit_stmt(const struct ir_function *f, const struct ir_stmt *s, visit_fn *fn, void *arg);
typedef void visit_read_fn(void *arg, variable v);
void visit_reads(const struct analyser *an, const struct ir_stmt *s, visit_read_fn *fn, void *arg);
void visit_expr_reads(const struct analyser *an, struct ir_expr *e, visit_read_fn *fn, void *arg);
bool expr_reads(const struct analyser *an, const struct ir_expr *e, variable v);
bool stmt_reads(const struct analyser *an, const struct ir_stmt *s, variable v);
bool same_expr(const struct ir_function *f, const struct ir_expr *a, const struct ir_expr *b);
bool may_fail(const struct ir_function *f, struct ir_expr *e);                      /* an error may come of it */
/* A write in the loop may be seen by a read outside of it. */
bool live_after(struct analyser *an, const struct node *loop, variable v);

/* --- analysis_affine.c --- */
enum { FORM_TERMS = 12 };
enum term_kind { TERM_FOR, TERM_COUNT, TERM_LOCAL, TERM_SHAPE, TERM_EXPR }; /* COUNT: iterations of the FOR before this one */
struct term {
	enum term_kind kind;
	uint32_t id, axis;       /* FOR, COUNT: number of the node; LOCAL; SHAPE: slot, axis */
	struct definition def;   /* LOCAL, SHAPE */
	struct ir_expr *expr;    /* EXPR: as it stands at `at` */
	struct node *at;
	uint8_t side;            /* of a pair of accesses, to keep their counters apart */
	wide factor;
};
struct form {
	bool known;
	wide constant;
	unsigned n;
	struct term terms[FORM_TERMS];
};
struct interval {
	wide low, high;
};
/* Of a FOR with a constant step: forms the counter is never below, never above. The first is its own bound. One that is not exact holds only if the
 * bound was computed without wrapping. */
enum { RANGE_FORMS = 4 };
struct bounds {
	struct form form[RANGE_FORMS];
	bool exact[RANGE_FORMS];
	unsigned n;
};
struct range {
	bool known;
	int64_t step;
	struct form start;
	bool exact_start;        /* it is the run-time value, not that modulo 2^64 */
	struct bounds low, high;
};

struct form form_constant(wide c);
void form_add(struct analyser *an, struct form *f, const struct form *g, wide factor); /* f += factor * g; unknown if it does not fit */
void form_substitute(struct analyser *an, struct form *f, unsigned term, const struct form *by);
bool same_term(struct analyser *an, const struct term *a, const struct term *b);
struct form resolve(struct analyser *an, struct node *at, struct ir_expr *e);
struct form resolve_shape(struct analyser *an, struct node *at, uint32_t slot, unsigned axis);
struct interval form_interval(struct analyser *an, const struct form *f);
const struct range *for_range(struct analyser *an, struct node *loop);
bool fits_int64(struct interval i);
/* f >= 0 wherever the loops around run. */
bool proved_nonnegative(struct analyser *an, const struct form *f);
/* The same of a form over two iterations of the loop, whose terms that change in it have sides. */
bool proved_nonnegative_pair(struct analyser *an, const struct form *f, const struct node *loop);
bool term_before(struct analyser *an, const struct term *t, const struct node *loop); /* one value during the whole loop */

/* --- analysis_object.c --- */
enum object_kind { OBJECT_ENTRY, OBJECT_FRESH, OBJECT_OTHER };
/* The memory of an access, and its coordinates in there. */
struct place_of {
	enum object_kind kind;
	uint32_t slot;
	struct definition def;
	unsigned rank;
	struct form at[IR_MAX_RANK];
	bool may_wrap[IR_MAX_RANK]; /* the index may be negative: then the length is added */
	struct form length[IR_MAX_RANK];
	uint32_t root;           /* of the slot that was accessed */
};
void collect_accesses(struct analyser *an);
struct place_of place_of(struct analyser *an, const struct access *a);
bool may_share(const struct analyser *an, const struct place_of *a, const struct place_of *b);

/* --- analysis_depend.c --- */
enum dependence_kind { DEPENDS_NOT, DEPENDS_DISTANCE, DEPENDS, DEPENDS_UNKNOWN };
struct dependence {
	enum dependence_kind kind;
	int64_t distance;        /* DEPENDS_DISTANCE: b meets in iteration t + distance what a met in t; never 0 */
	const char *test;
	const struct access *a, *b;
};
/* May a and b meet in different iterations of the loop? */
struct dependence depends(struct analyser *an, struct node *loop, const struct access *a, const struct access *b,
			  const struct place_of *pa, const struct place_of *pb);

/* --- verdicts being made (analysis.c) --- */
struct trial {
	struct analyser *an;
	struct node *loop;
	struct loop_report *report;
	bool serial;
	struct ir_reduction *reductions;
	uint32_t nreductions;
	struct pending { uint32_t local, written; } *pending; /* marks of last values, to be set if the loop becomes parallel */
	uint32_t npending;
	struct dependence *found;  /* between arrays */
	uint32_t nfound;
	variable *carried;         /* scalars that nothing makes parallel */
	uint32_t ncarried;
};
void make_serial(struct trial *t, const char *reason, const char *hint);
void add_text(struct analyser *an, const char ***list, uint32_t *n, const char *item);
void name_of(struct analyser *an, variable v, char *out, size_t nbytes);

/* --- analysis_scalar.c --- */
void find_exposed(struct analyser *an, const struct node *loop, bool *exposed, bool *always); /* by variable */
void classify_scalars(struct trial *t);

/* --- analysis_scan.c --- */
const char *scan_of_scalar(struct trial *t, variable v, bool *induction);
const char *scan_of_array(struct trial *t);

/* --- analysis_bounds.c --- */
void mark_bounds(struct analyser *an);

/* --- analysis_life.c --- */
void mark_lifetimes(struct analyser *an);

/* --- analysis_report.c --- */
const char *access_text(struct analyser *an, const struct access *a);

#endif
