/* SPDX-License-Identifier: BSD-3-Clause
 *
 * One request, from the bytes that arrived to the reply that leaves.
 *
 * It moves between the loop thread, the scheduler's lanes and the I/O threads; exactly one of them holds it at a time, and the fields
 * say who may touch them. An operation is a small state machine: begin() runs on the loop and must be quick, step() runs where the last
 * step asked for (a lane computes, an I/O thread waits for files and helpers), until a step says DONE.
 */
#ifndef DAEMON_REQUEST_H
#define DAEMON_REQUEST_H

#include "daemon/config.h"
#include "daemon/reply.h"
#include "kernels/executor.h"
#include "protocol/message.h"
#include "protocol/sp.h"

#include <stdatomic.h>
#include <sys/types.h>
#include <uv.h>

struct daemon;
struct operation;

enum step { STEP_COMPUTE, STEP_IO, STEP_WAIT, STEP_DONE }; /* WAIT: another request will finish this one (cancel) */
enum role { ROLE_NONE, ROLE_READ, ROLE_COMPUTE, ROLE_ADMIN };
enum job_class { CLASS_LIVE, CLASS_INTERACTIVE, CLASS_BATCH, NCLASSES };

/* Immutable settings, shared by the requests that began under them; a reload makes a new one. */
struct settings {
	atomic_int refs;
	struct config config;
};
struct settings *settings_ref(struct settings *s);
void settings_unref(struct settings *s);

/* Who is on the other end of a connection, as the kernel says. Shared by its requests, which may outlive the connection. */
struct peer {
	atomic_int refs;
	bool known;              /* unix socket: pid and uid are set */
	bool same_user;
	pid_t pid;
	uid_t uid;
	int pidfd;               /* -1: none. Readable once the process is gone */
};
struct peer *peer_ref(struct peer *p);
void peer_unref(struct peer *p);

/* Someone who waits for the reply: the connection that asked, and those that repeated the id. */
struct recipient {
	uint64_t conn;
	uint8_t tags[SP_MAX_TAG_BYTES];
	size_t ntags;
	struct recipient *next;
};

struct request {
	struct daemon *daemon;            /* loop */
	struct settings *settings;        /* holder, read only */
	const struct operation *op;       /* holder, read only */
	struct message msg;               /* holder; inline arrays point into body */
	uint8_t *body;
	size_t nbody;
	struct peer *peer;                /* holder */
	enum role role;
	enum job_class class;
	bool detach;
	bool writes_memory;               /* loop: it may change arrays of the client in place */
	uint64_t digest;                  /* of what the id stands for */
	uint64_t client;                  /* whose turn it uses up */

	struct recipient *recipients;     /* loop */
	struct request *cancel_waiters;   /* loop: `cancel` requests that wait for this one, by ->next_waiter */
	struct request *next_waiter;      /* loop */
	struct request *waits_for;        /* loop: the request whose list this one is on */
	enum step place;                  /* loop: where it was sent last; STEP_DONE: it is here */
	struct request *next_active, *previous_active; /* loop: all requests in flight */
	uv_work_t work;                   /* loop, while in the I/O pool */

	struct request *next;             /* scheduler, under its lock */
	enum step next_step;              /* holder */
	uint64_t queued_ns;               /* scheduler: since when it waits */

	atomic_int cancelled;             /* any thread: enum status, 0 while it may go on; set once */
	atomic_bool cancel_flag;          /* any thread: the same as a flag, for kernels and readers to poll */
	atomic_bool attention;            /* any thread: cancelled, or someone waits for the lane: a step that can pause should */

	uint64_t received_ns, deadline_ns; /* monotonic */
	uint64_t queue_ns, read_ns, step_ns; /* holder: sums so far; compute is step_ns - read_ns */

	void *state;                      /* the operation's; freed by its end() */
	struct error error;               /* holder: status 0 or why it failed */
	json_t *result;                   /* holder: an object */
	json_t *warnings;                 /* holder: a list or NULL */
	struct array out[REPLY_MAX_ARRAYS]; /* holder: result arrays, malloc'ed */
	size_t nout;
};

struct operation {
	const char *name;
	enum role role;
	enum job_class class;             /* unless the request says otherwise */
	enum step (*begin)(struct request *r);
	enum step (*step)(struct request *r, const struct executor *ex); /* ex: the lane's team; serial in STEP_IO */
	void (*end)(struct request *r);   /* frees state; may be NULL */
};

extern const struct operation operations[];
extern const size_t noperations;

/* Params of the request, an object. */
json_t *request_params(const struct request *r);

/* For a step that failed: sets the error and returns STEP_DONE. */
enum step request_fail(struct request *r, enum status status, const char *field, const char *hint, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/* A result array; `data` is malloc'ed and belongs to the request from here on, also on failure (STEP_DONE and an error are then due). */
bool request_add_array(struct request *r, const char *name, enum dtype dtype, unsigned ndim, const uint64_t *shape, void *data);

/* A remark on a result that is right. */
void request_warn(struct request *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Ends the request early, from any thread; the first reason stays. */
void request_cancel(struct request *r, enum status why);

static inline bool request_cancelled(struct request *r)
{
	return atomic_load_explicit(&r->cancel_flag, memory_order_relaxed);
}

/* Writes result arrays that the client asked to have in its own memory; runs on a lane or I/O thread, last. */
void request_deliver(struct request *r);

/* Frees everything; loop. */
void request_free(struct request *r);

#endif
