/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Request ids that are in flight or were answered lately (SPEC.md 2.7), so that a request which REQ sends twice runs once.
 * Loop thread only.
 */
#ifndef DAEMON_RESULTS_H
#define DAEMON_RESULTS_H

#include "daemon/reply.h"

#include <sys/types.h>

struct request;
struct results;

struct result_entry {
	uint8_t id[MESSAGE_ID_BYTES];
	uint64_t digest;
	uid_t uid;
	struct request *request;   /* in flight, or NULL */
	struct reply *reply;       /* kept, or NULL */
	uint64_t expires_ns;       /* when kept */
	struct result_entry *next, *older, *newer;
};

struct results *results_new(void);
void results_free(struct results *r);

struct result_entry *results_find(struct results *r, const uint8_t id[MESSAGE_ID_BYTES]);
struct result_entry *results_add(struct results *r, const uint8_t id[MESSAGE_ID_BYTES], uint64_t digest, uid_t uid, struct request *request);

/* The request is answered: keeps the reply until expires_ns, dropping the oldest above `budget` bytes; reply NULL forgets the id. */
void results_settle(struct results *r, struct result_entry *entry, struct reply *reply, uint64_t expires_ns, size_t budget);

/* Forgets what has expired. O(expired). */
void results_expire(struct results *r, uint64_t now_ns);

#endif
