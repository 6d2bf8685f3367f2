/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The daemon's state on the loop thread, and the road of a request through it:
 *
 *	listener -> conn -> daemon_receive (decode, who, what, seen before?) -> operation's begin()
 *	   -> scheduler's lanes (STEP_COMPUTE) and I/O threads (STEP_IO), back and forth
 *	   -> daemon_finish (encode, keep) -> conn_send to everyone who asked
 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include "daemon/conn.h"
#include "daemon/request.h"
#include "daemon/results.h"
#include "daemon/scheduler.h"
#include "daemon/stats.h"

struct lru;
struct shared_memory;
struct programs;
struct registry;

enum { DAEMON_SCRATCH_BYTES = 64 << 10 };

struct daemon {
	uv_loop_t loop;
	struct settings *settings;
	const char *config_file;
	char *const *sets;
	size_t nsets;

	struct listener *listeners;
	struct endpoint *endpoint;
	char token[65];
	struct conn *conns;
	size_t nconns;
	uint64_t next_conn;
	struct scheduler *scheduler;
	size_t threads, lanes;
	struct results *results;
	struct request *active;           /* in flight, newest first */
	size_t nactive;
	struct lru *recordings, *noise, *fits; /* kept open; kept levels; kept numbers of stages */
	struct programs *programs;        /* compiled */
	struct registry *registry;        /* sources of kernels, by name */
	struct shared_memory *shared;     /* clients' memory files */
	char *helper_path;

	uv_timer_t sweep;                 /* stalls, expiry of kept results */
	uv_timer_t deadline;              /* at the earliest deadline in flight */
	uv_timer_t stop_timer;
	uv_signal_t sigterm, sigint, sighup;
	uv_pipe_t stdin_pipe;
	bool stdin_open, ready, stopping, ending;

	uint64_t started_ns;
	size_t bytes_in_flight;
	uint64_t bytes_received, bytes_sent;
	uint64_t accepted, rejected, protocol_errors;
	struct operation_stats *stats;    /* [noperations] */
	uint8_t scratch[DAEMON_SCRATCH_BYTES]; /* what arrives outside of bodies */
};

struct daemon_options {
	const char *config_file;
	char *const *sets;
	size_t nsets;
};

/* Runs until it is told to stop; the process's exit code. Takes over `config`. */
int daemon_run(struct config *config, const struct daemon_options *options);

/* Begins to stop: no new connections or requests; what runs may finish until service.shutdown_timeout. A second call ends it now. */
void daemon_stop(struct daemon *d);

/* The last request has ended while stopping. */
void daemon_stopped(struct daemon *d);

/* A message has come in; takes over the body. */
void daemon_receive(struct daemon *d, struct conn *c, uint8_t *body, size_t nbody);

/* A request is done (next_step is STEP_DONE): replies, keeps, frees. */
void daemon_finish(struct daemon *d, struct request *r);

/* Cancels a request in flight. */
void daemon_cancel(struct daemon *d, struct request *r, enum status why);

/* The request in flight with this id that the user may touch, or NULL. */
struct request *daemon_find_request(struct daemon *d, const uint8_t id[MESSAGE_ID_BYTES], const struct peer *peer);

/* A request in STEP_WAIT goes on with its next step, on a lane. */
void daemon_wake(struct request *r);

/* For scheduler_start: moves on what came back from the lanes. */
void daemon_on_back(void *arg);

/* conn: it is closing (its requests lose it), and it is gone. */
void daemon_lost_conn(struct daemon *d, struct conn *c);
void daemon_forget_conn(struct daemon *d, struct conn *c);

#endif
