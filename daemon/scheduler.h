/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The scheduler: who computes next.
 *
 * Each lane is one thread that owns an OpenMP team; it runs one step of one request at a time (a few milliseconds), then looks again
 * for who is next. So a short request waits for one block of a long one, not for its end, and the threads in all are never more
 * than compute.threads.
 *   Classes: live before interactive before batch.
 *   Inside a class: the client that has used the least compute time so far, then first come, first served.
 *   A step that takes long (a kernel) may look at request.attention and pause: it is set when a request of the same or a more urgent class
 *   has to wait, and every few milliseconds for as long as one does.
 * Requests come in on the loop thread; those that are done, or want an I/O thread, go back to it through on_back.
 */
#ifndef DAEMON_SCHEDULER_H
#define DAEMON_SCHEDULER_H

#include "daemon/request.h"

struct scheduler;

/* on_back(arg): called on the loop thread when scheduler_take has something; several hand-backs may be one call. */
struct scheduler *scheduler_start(uv_loop_t *loop, size_t lanes, size_t threads, void (*on_back)(void *arg), void *arg);

/* Waits for the lanes to end (each after its present step); the handle closes in the loop's next round, then the scheduler is freed. */
void scheduler_stop(struct scheduler *s);

/* Loop. The request's next_step is STEP_COMPUTE. */
void scheduler_submit(struct scheduler *s, struct request *r);

/* Loop. The next request that came back, or NULL. */
struct request *scheduler_take(struct scheduler *s);

/* Loop. Takes a request out that waits for a lane; false if it is running (it then comes back soon). */
bool scheduler_withdraw(struct scheduler *s, struct request *r);

struct scheduler_load {
	size_t waiting, running;
};
struct scheduler_load scheduler_load(struct scheduler *s);

#endif
