/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/results.h"
#include "protocol/digest.h"

#include <stdlib.h>
#include <string.h>

enum { NBUCKETS = 4096, LEAST_COST = 512 }; /* what a small reply takes with its entry */

struct results {
	struct result_entry *buckets[NBUCKETS];
	struct result_entry *oldest, *newest; /* kept replies, by time of settling */
	size_t nbytes;                        /* cost of kept replies */
};

/* Ids are chosen by clients: hashing them all, not just taking some bits, keeps a careless client from filling one bucket. */
static struct result_entry **bucket(struct results *r, const uint8_t *id)
{
	uint64_t h = digest_add(DIGEST_START, id, MESSAGE_ID_BYTES);
	return &r->buckets[(h ^ h >> 32) % NBUCKETS];
}

struct results *results_new(void)
{
	return calloc(1, sizeof(struct results));
}

struct result_entry *results_find(struct results *r, const uint8_t id[MESSAGE_ID_BYTES])
{
	for (struct result_entry *e = *bucket(r, id); e; e = e->next)
		if (memcmp(e->id, id, MESSAGE_ID_BYTES) == 0)
			return e;
	return NULL;
}

struct result_entry *results_add(struct results *r, const uint8_t id[MESSAGE_ID_BYTES], uint64_t digest, uid_t uid, struct request *request)
{
	struct result_entry *e = calloc(1, sizeof *e);
	if (!e)
		return NULL;
	struct result_entry **head = bucket(r, id);
	memcpy(e->id, id, MESSAGE_ID_BYTES);
	e->digest = digest;
	e->uid = uid;
	e->request = request;
	e->next = *head;
	*head = e;
	return e;
}

/* Memory that a kept reply takes, so that many small ones stay within the budget too. */
static size_t cost(const struct reply *reply)
{
	return reply->nbody > LEAST_COST ? reply->nbody : LEAST_COST;
}

static void forget(struct results *r, struct result_entry *e)
{
	for (struct result_entry **at = bucket(r, e->id); *at; at = &(*at)->next)
		if (*at == e) {
			*at = e->next;
			break;
		}
	if (e->reply) {
		*(e->older ? &e->older->newer : &r->oldest) = e->newer;
		*(e->newer ? &e->newer->older : &r->newest) = e->older;
		r->nbytes -= cost(e->reply);
		reply_unref(e->reply);
	}
	free(e);
}

void results_settle(struct results *r, struct result_entry *e, struct reply *reply, uint64_t expires_ns, size_t budget)
{
	e->request = NULL;
	if (!reply) {
		forget(r, e);
		return;
	}
	e->reply = reply_ref(reply);
	e->expires_ns = expires_ns;
	e->older = r->newest;
	*(r->newest ? &r->newest->newer : &r->oldest) = e;
	r->newest = e;
	r->nbytes += cost(reply);
	while (r->nbytes > budget && r->oldest)
		forget(r, r->oldest);
}

void results_expire(struct results *r, uint64_t now_ns)
{
	while (r->oldest && r->oldest->expires_ns <= now_ns)
		forget(r, r->oldest);
}

void results_free(struct results *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < NBUCKETS; i++)
		while (r->buckets[i])
			forget(r, r->buckets[i]);
	free(r);
}
