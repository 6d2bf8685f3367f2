/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What one helper process answers: a JSON result, arrays, warnings, or an error, as one message body (SPEC.md 2) on stdout.
 */
#ifndef DAEMON_HELPER_REPLY_H
#define DAEMON_HELPER_REPLY_H

#include "protocol/message.h"

enum { REPLY_MAX_ARRAYS = 12 };

struct reply {
	json_t *result;
	json_t *warnings;
	struct array arrays[REPLY_MAX_ARRAYS];
	size_t narrays;
	unsigned sandbox; /* SANDBOX_* parts that are active */
};

enum status reply_init(struct reply *r);

/* Adds an array; the bytes are borrowed until reply_send. */
enum status reply_array(struct reply *r, const char *name, enum dtype dtype, const void *data, size_t n0, size_t n1);

void reply_warning(struct reply *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Writes the body; false if nobody reads it. e->status decides between result and error. */
bool reply_send(const struct reply *r, const struct error *e, int fd);

#endif
