/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A failure as people see it: what was wrong and where, and what to do. It travels in replies (SPEC.md 2.6) and logs.
 */
#ifndef PROTOCOL_ERROR_H
#define PROTOCOL_ERROR_H

#include "protocol/status.h"

struct error {
	enum status status;
	char field[64];     /* the request's field, or "" */
	char message[320];
	char hint[256];     /* what to do, or "" */
	long long limit;    /* the limit that was passed, or 0 */
	int retry_after_ms; /* or 0 */
};

/* Fills *e (which may be NULL) and returns `status`, so that one can write
 *	return error_set(e, STATUS_INVALID, "threshold", "use a number above 0", "threshold is %g", x);
 * field and hint may be NULL. Long texts are cut. */
enum status error_set(struct error *e, enum status status, const char *field, const char *hint, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

#endif
