/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A reply as it goes out: the encoded head and the arrays behind it. Shared by all who get it and by the store of kept results.
 * Loop thread only.
 */
#ifndef DAEMON_REPLY_H
#define DAEMON_REPLY_H

#include "protocol/message.h"

enum { REPLY_MAX_ARRAYS = 64 };

struct reply {
	int refs;
	enum status status;
	uint8_t *head;
	size_t nhead;
	size_t nbody;            /* bytes of the whole body */
	size_t narrays;
	struct array arrays[];   /* inline ones own their data */
};

/* An error without a request behind it: bytes that could not be decoded, queues that were full. NULL only without memory. */
struct reply *reply_error(const uint8_t id[MESSAGE_ID_BYTES], const struct error *e);

/* Encodes header and arrays; takes over the data of the arrays, also on failure (NULL). */
struct reply *reply_new(json_t *header, const uint8_t id[MESSAGE_ID_BYTES], enum status status, const struct array *arrays, size_t narrays);

/* The error as SPEC.md 2.6 writes it. */
json_t *reply_error_json(const struct error *e);

struct reply *reply_ref(struct reply *r);
void reply_unref(struct reply *r);

#endif
