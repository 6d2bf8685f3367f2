/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/results.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

static struct reply *reply_of(size_t nbytes)
{
	struct reply *r = calloc(1, sizeof *r);
	r->refs = 1;
	r->head = malloc(nbytes);
	r->nhead = r->nbody = nbytes;
	return r;
}

static void id_of(unsigned n, uint8_t id[MESSAGE_ID_BYTES])
{
	memset(id, 0, MESSAGE_ID_BYTES);
	memcpy(id, &n, sizeof n);
}

static void keep_and_expire(void)
{
	struct results *r = results_new();
	uint8_t id[MESSAGE_ID_BYTES];
	id_of(1, id);
	CU_ASSERT_PTR_NULL(results_find(r, id));
	struct result_entry *e = results_add(r, id, 42, 0, (struct request *)1);
	CU_ASSERT(results_find(r, id) == e && e->digest == 42);
	struct reply *reply = reply_of(100);
	results_settle(r, e, reply, 1000, 1 << 20);
	reply_unref(reply); /* the store holds its own reference */
	CU_ASSERT(results_find(r, id) == e && e->reply->nbody == 100 && e->request == NULL);
	results_expire(r, 999);
	CU_ASSERT(results_find(r, id) == e);
	results_expire(r, 1000);
	CU_ASSERT_PTR_NULL(results_find(r, id));
	e = results_add(r, id, 1, 0, (struct request *)1);
	results_settle(r, e, NULL, 0, 0);
	CU_ASSERT_PTR_NULL(results_find(r, id));
	results_free(r);
}

/* The oldest go when the budget is full; whatever the order of settling, the sanitizers find no leak and no dead entry. */
static void budget(void)
{
	struct results *r = results_new();
	struct result_entry *entries[200];
	uint8_t id[MESSAGE_ID_BYTES];
	for (unsigned i = 0; i < 200; i++) {
		id_of(i, id);
		entries[i] = results_add(r, id, i, 0, (struct request *)1);
	}
	struct random random = random_seed(7);
	unsigned order[200];
	for (unsigned i = 0; i < 200; i++)
		order[i] = i;
	for (unsigned i = 199; i > 0; i--) {
		unsigned j = (unsigned)random_below(&random, i + 1), swap = order[i];
		order[i] = order[j];
		order[j] = swap;
	}
	for (unsigned i = 0; i < 200; i++) {
		struct reply *reply = reply_of(1000);
		results_settle(r, entries[order[i]], reply, i, 50 * 1000);
		reply_unref(reply);
	}
	for (unsigned i = 0; i < 200; i++) {
		id_of(order[i], id);
		CU_ASSERT_EQUAL(results_find(r, id) != NULL, i >= 150);
	}
	results_free(r);
}

CU_ErrorCode test_results_register(void)
{
	CU_pSuite s = CU_add_suite("results", NULL, NULL);
	if (!s || !CU_add_test(s, "keep and expire", keep_and_expire) || !CU_add_test(s, "budget", budget))
		return CU_get_error();
	return CUE_SUCCESS;
}
