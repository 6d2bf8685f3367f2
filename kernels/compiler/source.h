/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The text of a program and what is wrong with it: errors say kernel, line and column, show the line with a caret, and hint at what to write.
 */
#ifndef COMPILER_SOURCE_H
#define COMPILER_SOURCE_H

#include "protocol/error.h"

#include <stddef.h>
#include <stdint.h>

struct source_text {
	const char *text;        /* UTF-8, not necessarily terminated */
	size_t nbytes;
	const char *file;        /* for messages, or NULL */
	uint32_t first_line;     /* number of the first line as the user sees it; 1 if unknown */
	const char *kernel;      /* name for messages, or NULL ("expression") */
};

/* Where a node began: line and column from 1, counted in the text itself (first_line is added when shown). line 0: nowhere; column 0: the whole line. */
struct place {
	uint32_t line, column;
};

/* Fills *e with
 *	count: line 3, column 12: there is no name 'y'
 *	    return y + 1
 *	           ^
 * and returns `status`. The line is cut to what fits. hint may be NULL. field is "source". */
enum status source_error(const struct source_text *s, struct place at, enum status status, struct error *e, const char *hint, const char *format, ...)
	__attribute__((format(printf, 6, 7)));

#endif
