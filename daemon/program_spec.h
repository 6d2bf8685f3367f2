/* SPDX-License-Identifier: BSD-3-Clause
 *
 * How a request names a program (SPEC.md 4.8), as the compiler wants it. Loop thread; texts are borrowed from the request.
 */
#ifndef DAEMON_PROGRAM_SPEC_H
#define DAEMON_PROGRAM_SPEC_H

#include "daemon/params.h"
#include "daemon/registry.h"
#include "kernels/compiler/program.h"

enum { ARGUMENTS_MAX = 255 };

struct program_spec {
	const char *id;              /* a program that is compiled already; then the rest is empty */
	struct program_source source; /* but for the arguments: program_spec_arguments */
	const char *keep_as;         /* register under this name, or NULL */
	const json_t *from;          /* where the source stands */
	json_t *kept;                /* the registered source that was named: a reference */
	struct name *names;          /* expressions */
	size_t nnames;
	struct global *globals;
};

/* Reads the keys of 4.8 (`with_id`: also id). Failures are in p. */
void program_spec_parse(struct program_spec *s, struct params *p, const struct registry *r, bool with_id, size_t max_source);

/* The types of the n arrays that come with it, for an expression with `out` behind them n counts it. They are borrowed. */
enum status program_spec_arguments(struct program_spec *s, const struct argument *args, size_t n, bool out, struct error *e);

/* Under its name, once it has been compiled; does nothing without one. */
void program_spec_register(const struct program_spec *s, struct registry *r);

void program_spec_fini(struct program_spec *s);

#endif
