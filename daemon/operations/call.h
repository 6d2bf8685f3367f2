/* SPDX-License-Identifier: BSD-3-Clause
 *
 * One call of a program, between call.c (its way) and call_results.c (what comes back).
 */
#ifndef DAEMON_OPERATIONS_CALL_H
#define DAEMON_OPERATIONS_CALL_H

#include "daemon/arguments.h"
#include "daemon/fiber.h"
#include "daemon/programs.h"

enum call_order { ORDER_C, ORDER_F, ORDER_A, ORDER_K };

struct call {
	struct request *request;
	struct program_spec spec;
	struct ticket ticket;
	struct arguments arguments;
	enum call_order order;           /* of an expression's new result */

	enum { CALL_PROGRAM, CALL_FETCH, CALL_RUN, CALL_BACK, CALL_RESULTS } phase;
	struct transfer transfer;
	struct kernel_call kernel;
	struct kernel_context context;
	struct kernel_array *arrays;     /* of parameters, then of results */
	union kernel_scalar *scalars;
	uint32_t narrays, nscalars;      /* of parameters */
	struct fiber *fiber;             /* while it runs */
	bool begun;                      /* the context is to be freed */
	int failed;
	atomic_bool move_failed;         /* bytes of a remote array could not be moved: */
	struct error move_error;
};

/* Results and written arguments into the reply. Lane. */
enum status call_results(struct call *c);

#endif
