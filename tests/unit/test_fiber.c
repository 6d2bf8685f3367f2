/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Fibers: pausing, going on on another thread, reuse of stacks.
 */
#include "daemon/fiber.h"
#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>

enum { ROUNDS = 1000, MANY = 40, THREADS = 4 };

struct counter {
	struct fiber *fiber;
	uint64_t sum;
	int pauses;
	bool finished;
};

/* Its values live on its own stack over the pauses. */
static void count_up(void *arg)
{
	struct counter *c = arg;
	volatile uint8_t page[4096];
	memset((void *)page, 7, sizeof page);
	uint64_t sum = 0;
	for (int i = 0; i < c->pauses; i++) {
		sum += (uint64_t)i + page[i % 4096] - 7;
		fiber_pause(c->fiber);
	}
	c->sum = sum;
	c->finished = true;
}

static void start(struct counter *c, int pauses)
{
	*c = (struct counter){ .pauses = pauses };
	c->fiber = fiber_new(count_up, c);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c->fiber);
}

static void pauses(void)
{
	struct counter c;
	start(&c, ROUNDS);
	int turns = 1;
	while (!fiber_resume(c.fiber))
		turns++;
	fiber_free(c.fiber);
	CU_ASSERT_EQUAL(turns, ROUNDS + 1);
	CU_ASSERT_EQUAL(c.sum, (uint64_t)ROUNDS * (ROUNDS - 1) / 2);
}

/* More at one time than are kept, in turns. */
static void many(void)
{
	struct counter c[MANY];
	for (int i = 0; i < MANY; i++)
		start(&c[i], i);
	for (int left = MANY; left;)
		for (int i = 0; i < MANY; i++)
			if (!c[i].finished && fiber_resume(c[i].fiber))
				left--;
	for (int i = 0; i < MANY; i++) {
		fiber_free(c[i].fiber);
		CU_ASSERT_EQUAL(c[i].sum, (uint64_t)i * (uint64_t)(i ? i - 1 : 0) / 2);
	}
}

static void never_begun(void)
{
	struct counter c;
	start(&c, 1);
	fiber_free(c.fiber);
	start(&c, 2);
	while (!fiber_resume(c.fiber))
		;
	fiber_free(c.fiber);
	CU_ASSERT(c.finished);
	fiber_free(NULL);
}

static void *resume_once(void *arg)
{
	struct counter *c = arg;
	for (int i = 0; i < 10 && !c->finished; i++)
		fiber_resume(c->fiber);
	return NULL;
}

static void other_threads(void)
{
	struct counter c;
	start(&c, 200);
	while (!c.finished) {
		pthread_t thread;
		CU_ASSERT_FATAL(pthread_create(&thread, NULL, resume_once, &c) == 0);
		pthread_join(thread, NULL);
		resume_once(&c);
	}
	fiber_free(c.fiber);
	CU_ASSERT_EQUAL(c.sum, 200 * 199 / 2);
}

static void *many_times(void *arg)
{
	for (int i = 0; i < 300; i++) {
		struct counter c;
		start(&c, i % 5);
		while (!fiber_resume(c.fiber))
			;
		fiber_free(c.fiber);
		*(int *)arg += c.finished;
	}
	return NULL;
}

static void shared_stacks(void)
{
	pthread_t threads[THREADS];
	int finished[THREADS] = { 0 };
	for (int i = 0; i < THREADS; i++)
		CU_ASSERT_FATAL(pthread_create(&threads[i], NULL, many_times, &finished[i]) == 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		CU_ASSERT_EQUAL(finished[i], 300);
	}
	fiber_drain();
}

CU_ErrorCode test_fiber_register(void)
{
	CU_pSuite s = CU_add_suite("fiber", NULL, NULL);
	if (!s || !CU_add_test(s, "pauses", pauses) || !CU_add_test(s, "many at one time", many) || !CU_add_test(s, "never begun", never_begun) ||
	    !CU_add_test(s, "other threads", other_threads) || !CU_add_test(s, "shared stacks", shared_stacks))
		return CU_get_error();
	return CUE_SUCCESS;
}
