/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The scheduler with operations that only note their turn.
 */
#include "daemon/scheduler.h"
#include "daemon/clock.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_TURNS = 4096 };

static struct {
	char turns[MAX_TURNS + 1]; /* the name of each step's request, in order */
	atomic_int nturns;
	atomic_bool hold;          /* the request 'h' waits for it to end */
	struct request *pair[2];   /* two rivals on one lane; NULL once one is through */
	int unfair;                /* turns that the rival with more use so far has got */
	int finished, wanted;
	struct scheduler *scheduler;
	uv_loop_t loop;
} test;

/* Lane: with one lane the rival stands still, and step_ns is what its turns have cost so far. */
static void judge(const struct request *r, int left)
{
	for (int i = 0; i < 2; i++) {
		if (test.pair[i] != r)
			continue;
		const struct request *rival = test.pair[1 - i];
		test.unfair += rival && r->step_ns > rival->step_ns;
		if (left == 0)
			test.pair[i] = NULL;
	}
}

static enum step note(struct request *r, const struct executor *ex)
{
	(void)ex;
	char name = *(const char *)r->state;
	int left = --((int *)r->state)[1];
	judge(r, left);
	int at = atomic_fetch_add(&test.nturns, 1);
	if (at < MAX_TURNS)
		test.turns[at] = name;
	while (name == 'h' && atomic_load(&test.hold))
		nanosleep(&(struct timespec){ 0, 100000 }, NULL);
	if (name == 'x' && left == 0)
		atomic_store(&test.hold, false);
	while (name == 'p' && !atomic_exchange(&r->attention, false) && atomic_load(&test.hold))
		nanosleep(&(struct timespec){ 0, 100000 }, NULL);
	for (uint64_t end = clock_ns() + 200000; name != 'h' && clock_ns() < end;)
		;
	return left > 0 ? STEP_COMPUTE : STEP_DONE;
}

static const struct operation op = { .name = "note", .step = note };

static struct request *make(char name, int steps, uint64_t client, enum job_class class)
{
	struct request *r = calloc(1, sizeof *r);
	int *state = calloc(2, sizeof *state);
	*(char *)state = name;
	state[1] = steps;
	r->op = &op;
	r->state = state;
	r->client = client;
	r->class = class;
	return r;
}

static void drop(struct request *r)
{
	free(r->state);
	free(r);
}

static void on_back(void *arg)
{
	(void)arg;
	for (struct request *r; (r = scheduler_take(test.scheduler));) {
		drop(r);
		if (++test.finished == test.wanted)
			scheduler_stop(test.scheduler);
	}
}

static void begin(size_t lanes, int wanted)
{
	memset(&test, 0, sizeof test);
	uv_loop_init(&test.loop);
	test.wanted = wanted;
	test.scheduler = scheduler_start(&test.loop, lanes, lanes, on_back, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(test.scheduler);
}

static void finish(void)
{
	uv_run(&test.loop, UV_RUN_DEFAULT);
	CU_ASSERT_EQUAL(uv_loop_close(&test.loop), 0);
	CU_ASSERT_EQUAL(test.finished, test.wanted);
}

static void wait_for_turn(int n)
{
	while (atomic_load(&test.nturns) < n)
		nanosleep(&(struct timespec){ 0, 100000 }, NULL);
}

/* One lane is held while the queue fills; then the classes come in their order, the batch last. */
static void classes(void)
{
	begin(1, 4);
	atomic_store(&test.hold, true);
	scheduler_submit(test.scheduler, make('h', 1, 1, CLASS_INTERACTIVE));
	wait_for_turn(1);
	scheduler_submit(test.scheduler, make('b', 2, 2, CLASS_BATCH));
	scheduler_submit(test.scheduler, make('i', 2, 3, CLASS_INTERACTIVE));
	scheduler_submit(test.scheduler, make('l', 2, 4, CLASS_LIVE));
	atomic_store(&test.hold, false);
	finish();
	CU_ASSERT_STRING_EQUAL(test.turns, "hlliibb");
}

/* Each turn goes to the client that has used least, so one with many steps does not hold up another. */
static void fairness(void)
{
	begin(1, 3);
	atomic_store(&test.hold, true);
	scheduler_submit(test.scheduler, make('h', 1, 9, CLASS_LIVE));
	wait_for_turn(1);
	test.pair[0] = make('a', 40, 1, CLASS_INTERACTIVE);
	test.pair[1] = make('b', 10, 2, CLASS_INTERACTIVE);
	scheduler_submit(test.scheduler, test.pair[0]);
	scheduler_submit(test.scheduler, test.pair[1]);
	atomic_store(&test.hold, false);
	finish();
	CU_ASSERT_EQUAL(test.unfair, 0);
	CU_ASSERT_EQUAL(strlen(test.turns), 51);
}

static void withdraw(void)
{
	begin(1, 2);
	atomic_store(&test.hold, true);
	struct request *held = make('h', 1, 1, CLASS_INTERACTIVE), *waiting = make('w', 1, 1, CLASS_INTERACTIVE);
	scheduler_submit(test.scheduler, held);
	wait_for_turn(1);
	scheduler_submit(test.scheduler, waiting);
	scheduler_submit(test.scheduler, make('x', 1, 1, CLASS_INTERACTIVE));
	CU_ASSERT(!scheduler_withdraw(test.scheduler, held));
	CU_ASSERT(scheduler_withdraw(test.scheduler, waiting));
	CU_ASSERT(!scheduler_withdraw(test.scheduler, waiting));
	drop(waiting);
	CU_ASSERT_EQUAL(scheduler_load(test.scheduler).waiting, 1);
	atomic_store(&test.hold, false);
	finish();
	CU_ASSERT_STRING_EQUAL(test.turns, "hx");
}

/* Two that run until they are asked to pause share the lane with a third, each time it has to wait. */
static void attention(void)
{
	begin(1, 3);
	atomic_store(&test.hold, true);
	scheduler_submit(test.scheduler, make('p', 50, 1, CLASS_INTERACTIVE));
	wait_for_turn(1);
	scheduler_submit(test.scheduler, make('p', 50, 2, CLASS_INTERACTIVE));
	scheduler_submit(test.scheduler, make('x', 4, 3, CLASS_INTERACTIVE));
	finish();
	CU_ASSERT_EQUAL(strlen(test.turns), 104);
	CU_ASSERT(strrchr(test.turns, 'x') - test.turns < 100);
}

/* A less urgent one does not ask: the first ends at the word of a more urgent one alone. */
static void attention_by_class(void)
{
	begin(1, 3);
	atomic_store(&test.hold, true);
	struct request *running = make('p', 1, 1, CLASS_INTERACTIVE);
	scheduler_submit(test.scheduler, running);
	wait_for_turn(1);
	scheduler_submit(test.scheduler, make('b', 1, 2, CLASS_BATCH));
	CU_ASSERT(!atomic_load(&running->attention));
	scheduler_submit(test.scheduler, make('l', 1, 3, CLASS_LIVE));
	finish();
	CU_ASSERT_STRING_EQUAL(test.turns, "plb");
}

static void many_lanes(void)
{
	begin(4, 300);
	for (int i = 0; i < 300; i++)
		scheduler_submit(test.scheduler, make('m', 1 + i % 3, (uint64_t)(i % 7), (enum job_class)(i % NCLASSES)));
	finish();
	CU_ASSERT_EQUAL(strlen(test.turns), 600);
}

CU_ErrorCode test_scheduler_register(void)
{
	CU_pSuite s = CU_add_suite("scheduler", NULL, NULL);
	if (!s || !CU_add_test(s, "classes", classes) || !CU_add_test(s, "fairness", fairness) || !CU_add_test(s, "withdraw", withdraw) ||
	    !CU_add_test(s, "attention", attention) || !CU_add_test(s, "attention by class", attention_by_class) ||
	    !CU_add_test(s, "many lanes", many_lanes))
		return CU_get_error();
	return CUE_SUCCESS;
}
