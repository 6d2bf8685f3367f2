/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The analysis of loops: reads the IR and marks it. A loop that was asked to be parallel (prange) is proved free of dependences, or made so (scalars
 * and arrays of one iteration, reductions, last values), or runs in order and says why. Indices are proved to be in bounds, or guarded.
 *
 * What is taken for granted:
 *	- arrays a kernel writes do not overlap themselves (no zero or folded strides); the caller of the kernel sees to it, and gives arguments
 *	  that may overlap each other the same root;
 *	- no array has an axis longer than 2^60, and no loop that anyone sees the end of runs 2^48 times;
 *	- of several errors in a parallel loop the one of the lowest chunk is reported, which is the first in source order.
 */
#ifndef COMPILER_ANALYSIS_H
#define COMPILER_ANALYSIS_H

#include "kernels/compiler/ir.h"

struct analysis_options {
	bool parallel;           /* prange is honoured; else it is range */
	bool strict;             /* a prange that would run in order is STATUS_UNSUPPORTED */
	bool assume_independent; /* the caller vouches for what cannot be decided; what is proved dependent stays in order */
};

#define VERDICT_MAP(V)                                                                                                  \
	V(PARALLEL, "parallel") V(REDUCTION, "parallel with reductions") V(PRIVATISED, "parallel with private variables") \
	V(SCAN, "scan, in order") V(SERIAL, "in order") V(REFUSED, "refused")
enum verdict {
#define V(name, text) VERDICT_##name,
	VERDICT_MAP(V)
#undef V
	VERDICT_COUNT
};

/* One side of what decided: "x[i - 1]" in line 7, a write or a read. */
struct access_report {
	uint32_t line;           /* 0: none */
	bool write;
	const char *text;
};

struct loop_report {
	uint32_t id, line;       /* as the user counts lines */
	bool wanted, generated;
	enum verdict verdict;
	bool nested;             /* in order because the loop around it runs in parallel */
	bool assumed;            /* parallel by the caller's word alone */
	bool reassociated;       /* a float sum or product whose terms are added in another order, the same for any number of threads */
	const char **operators;  /* "sum of s", "last value of t"; of a scan "cumulative sum" */
	uint32_t noperators;
	const char **privates;   /* names */
	uint32_t nprivates;
	const char *reason, *hint; /* of a loop in order; else "" */
	struct access_report access[2];
	const char *test;        /* "strong SIV, distance 1", or "" */
	struct {
		uint32_t total, proved, guarded, kept; /* one for each axis of each access that stands in this loop and in no loop inside */
	} bounds;
};

struct analysis {
	struct loop_report *loops; /* in the order of the text, outer before inner */
	uint32_t nloops;
	uint32_t nparallel;        /* loops of the source that run in parallel */
};

/* Marks the loops of f. Everything is in f's arena. STATUS_UNSUPPORTED: strict, with the reason; STATUS_TOO_LARGE: the arena is used up. */
enum status analyse(struct ir_function *f, const struct analysis_options *o, struct analysis **out, struct error *e);

/* The report as text, malloc'ed; NULL without memory. level 1: a line for each prange; 2: and reasons, accesses, hints; 3: and all loops of
 * the source and bounds checks; 4: and the loops of array expressions. */
char *analysis_text(const struct analysis *a, int level);

const char *verdict_text(enum verdict v);

#endif
