/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/scheduler.h"
#include "daemon/clock.h"
#include "daemon/team.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { SLICE_MS = 5 }; /* how long a step that can pause runs while others wait */

/* What waits of one client in one class, and what the client has used. */
struct turn {
	uint64_t client;
	uint64_t used_ns;
	size_t running;
	struct request *first, *last;
	struct turn *next;
};

struct lane {
	struct scheduler *scheduler;
	pthread_t thread;
	size_t nthreads;
	struct request *request;          /* runs, or NULL; under the scheduler's lock */
};

struct scheduler {
	pthread_mutex_t mu;               /* guards everything down to `stopping` */
	pthread_cond_t work;
	struct turn *turns[NCLASSES];
	struct request *back, *back_last; /* for the loop */
	size_t waiting, running;
	bool stopping;

	uv_async_t async;                 /* loop */
	uv_timer_t slice;                 /* loop; runs while requests wait and all lanes are busy */
	void (*on_back)(void *arg);
	void *arg;
	size_t nlanes;
	struct lane lanes[];
};

static struct turn *turn_of(struct scheduler *s, struct request *r)
{
	uint64_t least = UINT64_MAX;
	for (struct turn *t = s->turns[r->class]; t; t = t->next) {
		if (t->client == r->client)
			return t;
		if (t->used_ns < least)
			least = t->used_ns;
	}
	struct turn *t = calloc(1, sizeof *t);
	if (!t)
		return NULL;
	/* A newcomer starts level with the one who has used least: it is next, but cannot save up idle time. */
	t->client = r->client;
	t->used_ns = least == UINT64_MAX ? 0 : least;
	t->next = s->turns[r->class];
	s->turns[r->class] = t;
	return t;
}

static void drop_if_idle(struct scheduler *s, struct turn *t, enum job_class class)
{
	if (t->first || t->running)
		return;
	for (struct turn **at = &s->turns[class]; *at; at = &(*at)->next)
		if (*at == t) {
			*at = t->next;
			free(t);
			return;
		}
}

static void push_back_list(struct scheduler *s, struct request *r)
{
	r->next = NULL;
	if (s->back_last)
		s->back_last->next = r;
	else
		s->back = r;
	s->back_last = r;
}

/* Under the lock: puts the request to the end of its client's queue, or to the front if it was running. */
static bool enqueue(struct scheduler *s, struct request *r, bool front)
{
	struct turn *t = turn_of(s, r);
	if (!t)
		return false;
	r->queued_ns = clock_ns();
	r->next = front ? t->first : NULL;
	if (front) {
		t->first = r;
		if (!t->last)
			t->last = r;
	} else if (t->last) {
		t->last->next = r;
		t->last = r;
	} else {
		t->first = t->last = r;
	}
	s->waiting++;
	return true;
}

/* Under the lock: the next request to run and its turn. O(clients that wait). */
static struct request *pick(struct scheduler *s, struct turn **turn)
{
	for (int class = 0; class < NCLASSES; class++) {
		struct turn *best = NULL;
		for (struct turn *t = s->turns[class]; t; t = t->next)
			if (t->first && (!best || t->used_ns < best->used_ns))
				best = t;
		if (!best)
			continue;
		struct request *r = best->first;
		best->first = r->next;
		if (!best->first)
			best->last = NULL;
		best->running++;
		s->waiting--;
		s->running++;
		*turn = best;
		return r;
	}
	return NULL;
}

static void run_step(struct request *r, const struct executor *ex)
{
	uint64_t start = clock_ns();
	r->queue_ns += start - r->queued_ns;
	if (atomic_load(&r->cancelled))
		r->next_step = STEP_DONE;
	else
		r->next_step = r->op->step(r, ex);
	if (r->next_step == STEP_DONE && !r->error.status && !atomic_load(&r->cancelled))
		request_deliver(r);
	r->step_ns += clock_ns() - start;
}

static void *lane_main(void *arg)
{
	struct lane *lane = arg;
	struct scheduler *s = lane->scheduler;
	struct executor ex = team_executor(lane->nthreads);
	pthread_mutex_lock(&s->mu);
	while (!s->stopping) {
		struct turn *turn;
		struct request *r = pick(s, &turn);
		if (!r) {
			pthread_cond_wait(&s->work, &s->mu);
			continue;
		}
		lane->request = r;
		pthread_mutex_unlock(&s->mu);
		uint64_t before = r->step_ns;
		run_step(r, &ex);
		uint64_t used = r->step_ns - before;
		pthread_mutex_lock(&s->mu);
		lane->request = NULL;
		turn->used_ns += used;
		turn->running--;
		s->running--;
		enum job_class class = r->class;
		if (r->next_step != STEP_COMPUTE || !enqueue(s, r, true)) {
			push_back_list(s, r);
			uv_async_send(&s->async);
		}
		drop_if_idle(s, turn, class);
	}
	pthread_mutex_unlock(&s->mu);
	return NULL;
}

/* Under the lock: more want to compute than there are lanes. Asks those that run to make room for those of their class or a more urgent one. */
static bool ask_for_room(struct scheduler *s)
{
	int class = 0;
	if (!s->waiting || s->waiting + s->running <= s->nlanes)
		return false;
	for (const struct turn *t = NULL; class < NCLASSES; class++) {
		for (t = s->turns[class]; t && !t->first; t = t->next)
			;
		if (t)
			break;
	}
	for (size_t i = 0; i < s->nlanes; i++) {
		struct request *r = s->lanes[i].request;
		if (r && (int)r->class >= class)
			atomic_store(&r->attention, true);
	}
	return true;
}

static void on_slice(uv_timer_t *timer)
{
	struct scheduler *s = timer->data;
	pthread_mutex_lock(&s->mu);
	bool crowded = ask_for_room(s);
	pthread_mutex_unlock(&s->mu);
	if (!crowded)
		uv_timer_stop(timer);
}

static void on_async(uv_async_t *async)
{
	struct scheduler *s = async->data;
	s->on_back(s->arg);
}

static bool start_lane(struct scheduler *s, size_t i, size_t nthreads)
{
	s->lanes[i] = (struct lane){ .scheduler = s, .nthreads = nthreads };
	/* Signals belong to the loop thread. */
	sigset_t all, old;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int failed = pthread_create(&s->lanes[i].thread, NULL, lane_main, &s->lanes[i]);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return !failed;
}

struct scheduler *scheduler_start(uv_loop_t *loop, size_t lanes, size_t threads, void (*on_back)(void *arg), void *arg)
{
	struct scheduler *s = calloc(1, sizeof *s + lanes * sizeof *s->lanes);
	if (!s)
		return NULL;
	pthread_mutex_init(&s->mu, NULL);
	pthread_cond_init(&s->work, NULL);
	s->on_back = on_back;
	s->arg = arg;
	if (uv_async_init(loop, &s->async, on_async) != 0) {
		free(s);
		return NULL;
	}
	uv_timer_init(loop, &s->slice); /* cannot fail */
	s->async.data = s->slice.data = s;
	for (; s->nlanes < lanes; s->nlanes++)
		if (!start_lane(s, s->nlanes, threads / lanes + (s->nlanes < threads % lanes))) {
			scheduler_stop(s);
			return NULL;
		}
	return s;
}

static void on_closed(uv_handle_t *handle)
{
	struct scheduler *s = handle->data;
	if (!uv_is_closing((uv_handle_t *)&s->slice)) {
		uv_close((uv_handle_t *)&s->slice, on_closed);
		return;
	}
	for (int class = 0; class < NCLASSES; class++)
		while (s->turns[class]) {
			struct turn *next = s->turns[class]->next;
			free(s->turns[class]);
			s->turns[class] = next;
		}
	pthread_cond_destroy(&s->work);
	pthread_mutex_destroy(&s->mu);
	free(s);
}

void scheduler_stop(struct scheduler *s)
{
	pthread_mutex_lock(&s->mu);
	s->stopping = true;
	pthread_cond_broadcast(&s->work);
	pthread_mutex_unlock(&s->mu);
	for (size_t i = 0; i < s->nlanes; i++)
		pthread_join(s->lanes[i].thread, NULL);
	uv_close((uv_handle_t *)&s->async, on_closed);
}

void scheduler_submit(struct scheduler *s, struct request *r)
{
	pthread_mutex_lock(&s->mu);
	if (!enqueue(s, r, false)) {
		error_set(&r->error, STATUS_NO_MEMORY, NULL, NULL, "no memory for the queue");
		r->next_step = STEP_DONE;
		push_back_list(s, r);
		uv_async_send(&s->async);
	}
	pthread_cond_signal(&s->work);
	bool crowded = ask_for_room(s);
	pthread_mutex_unlock(&s->mu);
	if (crowded && !uv_is_active((uv_handle_t *)&s->slice))
		uv_timer_start(&s->slice, on_slice, SLICE_MS, SLICE_MS);
}

struct request *scheduler_take(struct scheduler *s)
{
	pthread_mutex_lock(&s->mu);
	struct request *r = s->back;
	if (r) {
		s->back = r->next;
		if (!s->back)
			s->back_last = NULL;
		r->next = NULL;
	}
	pthread_mutex_unlock(&s->mu);
	return r;
}

/* Under the lock. */
static bool unlink_from(struct turn *t, struct request *r)
{
	for (struct request **at = &t->first, *previous = NULL; *at; previous = *at, at = &(*at)->next)
		if (*at == r) {
			*at = r->next;
			if (t->last == r)
				t->last = previous;
			return true;
		}
	return false;
}

bool scheduler_withdraw(struct scheduler *s, struct request *r)
{
	bool found = false;
	pthread_mutex_lock(&s->mu);
	for (struct turn *t = s->turns[r->class], *next; t && !found; t = next) {
		next = t->next;
		if (!unlink_from(t, r))
			continue;
		found = true;
		s->waiting--;
		drop_if_idle(s, t, r->class);
	}
	pthread_mutex_unlock(&s->mu);
	return found;
}

struct scheduler_load scheduler_load(struct scheduler *s)
{
	pthread_mutex_lock(&s->mu);
	struct scheduler_load load = { s->waiting, s->running };
	pthread_mutex_unlock(&s->mu);
	return load;
}
