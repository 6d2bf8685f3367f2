/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/clock.h"
#include "daemon/daemon.h"
#include "daemon/listener.h"
#include "daemon/lru.h"
#include "daemon/operations/operations.h"
#include "daemon/params.h"
#include "daemon/programs.h"
#include "daemon/shared_memory.h"
#include "kernels/isa.h"

#include <unistd.h>

enum step ping_begin(struct request *r)
{
	struct params p;
	params_init(&p, request_params(r), "", &r->error);
	if (params_end(&p) == STATUS_OK)
		r->result = json_object();
	return STEP_DONE;
}

enum step hello_begin(struct request *r)
{
	struct params p;
	params_init(&p, request_params(r), "", &r->error);
	params_text(&p, "client");
	if (params_end(&p))
		return STEP_DONE;
	const struct config *c = &r->settings->config;
	json_t *names = json_array();
	for (size_t i = 0; i < noperations; i++)
		json_array_append_new(names, json_string(operations[i].name));
	r->result = json_pack("{s:s, s:i, s:i, s:i, s:{s:I, s:I, s:I}, s:b, s:o}", "version", SPIKED_VERSION, "protocol", MESSAGE_VERSION, "pid",
			      (int)getpid(), "uid", (int)geteuid(), "limits", "message_bytes", (json_int_t)c->limits_message_bytes, "header_bytes",
			      (json_int_t)c->limits_header_bytes, "client_requests", (json_int_t)c->limits_client_requests, "memory",
			      (int)(c->memory_enabled && r->peer->known && r->peer->same_user), "operations", names);
	return STEP_DONE;
}

enum step info_begin(struct request *r)
{
	struct daemon *d = r->daemon;
	struct params p;
	params_init(&p, request_params(r), "", &r->error);
	if (params_end(&p))
		return STEP_DONE;
	json_t *endpoints = json_array();
	for (struct listener *l = d->listeners; l; l = l->next)
		json_array_append_new(endpoints, json_string(l->url));
	r->result = json_pack("{s:s, s:i, s:f, s:I, s:I, s:s, s:b, s:o, s:o, s:I, s:s}", "version", SPIKED_VERSION, "pid", (int)getpid(), "uptime_s",
			      (double)(clock_ns() - d->started_ns) / 1e9, "threads", (json_int_t)d->threads, "lanes", (json_int_t)d->lanes, "isa",
			      isa_name(isa_level()), "ready", (int)d->ready, "config", config_differences(&d->settings->config), "endpoints", endpoints,
			      "recordings", (json_int_t)lru_count(d->recordings), "compiler",
			      compiler_interprets(programs_compiler(d->programs)) ? "interpreter" : "machine code");
	return STEP_DONE;
}

static json_t *stats_json(const struct operation_stats *s)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "count", (json_int_t)s->count, "ok", (json_int_t)s->ok, "errors",
			 (json_int_t)s->errors, "queue_ns", (json_int_t)s->queue_ns, "read_ns", (json_int_t)s->read_ns, "compute_ns",
			 (json_int_t)s->compute_ns, "total_ns", (json_int_t)s->total_ns, "bytes_in", (json_int_t)s->bytes_in, "bytes_out",
			 (json_int_t)s->bytes_out);
}

enum step stats_begin(struct request *r)
{
	struct daemon *d = r->daemon;
	struct params p;
	params_init(&p, request_params(r), "", &r->error);
	if (params_end(&p))
		return STEP_DONE;
	json_t *table = json_object();
	for (size_t i = 0; i < noperations; i++)
		json_object_set_new(table, operations[i].name, stats_json(&d->stats[i]));
	struct scheduler_load load = scheduler_load(d->scheduler);
	struct shared_memory_counts shared = shared_memory_counts(d->shared);
	r->result = json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:{s:I, s:I, s:I}, s:o, s:{s:I, s:I}}", "operations", table, "clients", (json_int_t)d->nconns, "queued",
			      (json_int_t)load.waiting, "running", (json_int_t)load.running, "bytes_in_flight", (json_int_t)d->bytes_in_flight,
			      "bytes_received", (json_int_t)d->bytes_received, "bytes_sent", (json_int_t)d->bytes_sent, "connections", "accepted",
			      (json_int_t)d->accepted, "rejected", (json_int_t)d->rejected, "protocol_errors", (json_int_t)d->protocol_errors, "programs", kernels_cache_json(d),
			      "shared", "files", (json_int_t)shared.files, "bytes", (json_int_t)shared.nbytes);
	return STEP_DONE;
}

enum step cancel_begin(struct request *r)
{
	struct params p;
	uint8_t id[MESSAGE_ID_BYTES];
	params_init(&p, request_params(r), "", &r->error);
	const char *text = params_text(&p, "id");
	if (!message_id_from_text(text, id))
		params_fail(&p, "id", "take the id of the request to cancel", "must be 32 hex digits");
	if (params_end(&p))
		return STEP_DONE;
	struct request *target = daemon_find_request(r->daemon, id, r->peer);
	r->result = json_pack("{s:b}", "found", target && target != r);
	if (!target || target == r)
		return STEP_DONE;
	daemon_cancel(r->daemon, target, STATUS_CANCELLED);
	/* Still there: it is running. This request ends when that one has let go of everything. */
	target = daemon_find_request(r->daemon, id, r->peer);
	if (!target)
		return STEP_DONE;
	r->waits_for = target;
	r->next_waiter = target->cancel_waiters;
	target->cancel_waiters = r;
	return STEP_WAIT;
}

enum step shutdown_begin(struct request *r)
{
	struct params p;
	params_init(&p, request_params(r), "", &r->error);
	if (params_end(&p))
		return STEP_DONE;
	r->result = json_object();
	daemon_stop(r->daemon);
	return STEP_DONE;
}
