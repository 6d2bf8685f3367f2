/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A request's way on the loop thread: from a message to an operation, and from its result to the reply.
 */
#include "daemon/client_memory.h"
#include "daemon/clock.h"
#include "daemon/daemon.h"
#include "daemon/log.h"
#include "protocol/digest.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const uint8_t no_id[MESSAGE_ID_BYTES];

static struct conn *find_conn(struct daemon *d, uint64_t id)
{
	for (struct conn *c = d->conns; c; c = c->next)
		if (c->id == id)
			return c->closing ? NULL : c;
	return NULL;
}

static void send_error(struct conn *c, const uint8_t *id, const struct error *e, size_t nbody)
{
	struct reply *reply = reply_error(id, e);
	if (reply)
		conn_send(c, reply, c->decoder.tags, c->decoder.ntags);
	reply_unref(reply);
	conn_release(c, 1, nbody);
}

/* --- what the header says --- */

static const struct operation *find_operation(const char *name)
{
	for (size_t i = 0; i < noperations; i++)
		if (strcmp(operations[i].name, name) == 0)
			return &operations[i];
	return NULL;
}

/* Compares in time that depends on the length alone. */
static bool same_token(const char *a, const char *b)
{
	size_t n = strlen(b);
	if (strlen(a) != n)
		return false;
	unsigned char difference = 0;
	for (size_t i = 0; i < n; i++)
		difference |= (unsigned char)(a[i] ^ b[i]);
	return difference == 0;
}

static enum role role_from_name(const char *name)
{
	return strcmp(name, "admin") == 0 ? ROLE_ADMIN : strcmp(name, "compute") == 0 ? ROLE_COMPUTE : strcmp(name, "read") == 0 ? ROLE_READ : ROLE_NONE;
}

static enum status check_role(struct request *r, struct conn *c, struct error *e)
{
	const struct config *config = &r->settings->config;
	if (c->trusted) {
		r->role = r->peer->same_user || r->peer->uid == 0 ? ROLE_ADMIN : role_from_name(config->access_others);
	} else {
		const char *token = json_string_value(json_object_get(r->msg.header, "token"));
		if (!token || !same_token(token, r->daemon->token))
			return error_set(e, STATUS_DENIED, "token", "take the token from endpoint.json in the daemon's runtime directory",
					 token ? "the token is not this daemon's" : "a TCP request needs a token");
		c->known = true;
		r->role = role_from_name(config->access_tcp);
	}
	if (r->op && r->role < r->op->role)
		return error_set(e, STATUS_DENIED, "op", "ask as the daemon's user on its unix socket, or change access.tcp",
				 "%s needs a role this connection does not have", r->op->name);
	return STATUS_OK;
}

static enum status check_keys(const json_t *header, struct error *e)
{
	static const char *const known[] = { "op", "params", "arrays", "outputs", "memory", "token", "class", "deadline_ms", "detach", "max_reply" };
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)header, key, value) {
		bool found = strncmp(key, "x_", 2) == 0;
		for (size_t i = 0; i < sizeof known / sizeof *known; i++)
			found |= strcmp(key, known[i]) == 0;
		if (!found)
			return error_set(e, STATUS_INVALID, key, "keys of your own start with x_", "unknown key %.64s in the header", key);
	}
	const json_t *params = json_object_get(header, "params");
	if (params && !json_is_object(params))
		return error_set(e, STATUS_INVALID, "params", NULL, "params must be an object");
	return STATUS_OK;
}

static enum status read_options(struct request *r, struct error *e)
{
	json_t *header = r->msg.header;
	const json_t *class = json_object_get(header, "class"), *deadline = json_object_get(header, "deadline_ms");
	const json_t *detach = json_object_get(header, "detach");
	const char *name = json_string_value(class);
	r->class = r->op->class;
	if (class) {
		static const char *const names[NCLASSES] = { "live", "interactive", "batch" };
		int i = 0;
		while (i < NCLASSES && (!name || strcmp(name, names[i]) != 0))
			i++;
		if (i == NCLASSES)
			return error_set(e, STATUS_INVALID, "class", NULL, "class must be live, interactive or batch");
		r->class = (enum job_class)i;
	}
	int64_t most = r->settings->config.limits_deadline, ms = most;
	if (deadline) {
		ms = json_is_integer(deadline) ? json_integer_value(deadline) : 0;
		if (ms < 1 || ms > most)
			return error_set(e, STATUS_INVALID, "deadline_ms", NULL, "deadline_ms must be an integer from 1 to %lld", (long long)most);
	}
	r->deadline_ns = r->received_ns + (uint64_t)ms * 1000000u;
	if (detach && !json_is_boolean(detach))
		return error_set(e, STATUS_INVALID, "detach", NULL, "detach must be true or false");
	r->detach = json_is_true(detach);
	const json_t *max_reply = json_object_get(header, "max_reply");
	if (max_reply && (!json_is_integer(max_reply) || json_integer_value(max_reply) < 1024))
		return error_set(e, STATUS_INVALID, "max_reply", NULL, "max_reply must be an integer of at least 1024");
	return STATUS_OK;
}

static enum status understand(struct request *r, struct conn *c, struct error *e)
{
	enum status status = message_decode(&r->msg, r->body, r->nbody, (size_t)r->settings->config.limits_header_bytes, e);
	if (status)
		return status;
	if (r->msg.prefix.kind != MESSAGE_REQUEST)
		return error_set(e, STATUS_PROTOCOL, NULL, NULL, "a client sends requests, not replies");
	const json_t *op = json_object_get(r->msg.header, "op");
	if (!json_is_string(op))
		return error_set(e, STATUS_INVALID, "op", "ask hello for the list of operations", "op must be a string");
	/* The token comes before everything that would tell a stranger what this daemon can do. */
	r->op = NULL;
	status = check_role(r, c, e);
	if (status)
		return status;
	r->op = find_operation(json_string_value(op));
	if (!r->op)
		return error_set(e, STATUS_NOT_FOUND, "op", "ask hello for the list of operations", "no operation is called %.64s", json_string_value(op));
	status = check_role(r, c, e);
	if (!status)
		status = check_keys(r->msg.header, e);
	if (!status)
		status = read_options(r, e);
	return status;
}

/* What a request id stands for: operation, parameters and array descriptors; not the client's own addresses' contents. */
static uint64_t digest_of(const struct message *m)
{
	static const char *const keys[] = { "op", "params", "arrays", "outputs" };
	uint64_t digest = DIGEST_START;
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		json_t *value = json_object_get(m->header, keys[i]);
		char *text = value ? json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY) : NULL;
		digest = digest_add(digest, text ? text : "", text ? strlen(text) + 1 : 1);
		free(text);
	}
	return digest;
}

/* --- requests in flight --- */

static void arm_deadline(struct daemon *d);

static void on_deadline(uv_timer_t *timer)
{
	struct daemon *d = timer->data;
	uint64_t now = clock_ns();
	for (struct request *r = d->active; r;) {
		bool due = r->deadline_ns <= now && !atomic_load(&r->cancelled);
		if (due)
			daemon_cancel(d, r, STATUS_DEADLINE);
		/* A cancel may finish this request and others: look from the start again. */
		r = due ? d->active : r->next_active;
	}
	arm_deadline(d);
}

/* O(requests in flight), when a timer is due or a request comes with an earlier deadline. */
static void arm_deadline(struct daemon *d)
{
	uint64_t earliest = UINT64_MAX, now = clock_ns();
	for (struct request *r = d->active; r; r = r->next_active)
		if (!atomic_load(&r->cancelled) && r->deadline_ns < earliest)
			earliest = r->deadline_ns;
	if (earliest == UINT64_MAX)
		uv_timer_stop(&d->deadline);
	else
		uv_timer_start(&d->deadline, on_deadline, earliest > now ? (earliest - now + 999999) / 1000000 : 0, 0);
}

static void activate(struct daemon *d, struct request *r)
{
	r->next_active = d->active;
	if (d->active)
		d->active->previous_active = r;
	d->active = r;
	d->nactive++;
	uint64_t ms = (r->deadline_ns - r->received_ns) / 1000000;
	uint64_t due = uv_is_active((uv_handle_t *)&d->deadline) ? uv_timer_get_due_in(&d->deadline) : UINT64_MAX;
	if (ms < due)
		uv_timer_start(&d->deadline, on_deadline, ms, 0);
}

static void deactivate(struct daemon *d, struct request *r)
{
	*(r->previous_active ? &r->previous_active->next_active : &d->active) = r->next_active;
	if (r->next_active)
		r->next_active->previous_active = r->previous_active;
	d->nactive--;
}

static void on_io(uv_work_t *work)
{
	struct request *r = work->data;
	uint64_t start = clock_ns();
	r->queue_ns += start - r->queued_ns;
	r->next_step = atomic_load(&r->cancelled) ? STEP_DONE : r->op->step(r, &executor_serial);
	if (r->next_step == STEP_DONE && !r->error.status && !atomic_load(&r->cancelled))
		request_deliver(r);
	uint64_t used = clock_ns() - start;
	r->step_ns += used;
	r->read_ns += used;
}

static void move_on(struct daemon *d, struct request *r);

static void on_io_done(uv_work_t *work, int status)
{
	struct request *r = work->data;
	if (status)
		r->next_step = STEP_DONE;
	move_on(r->daemon, r);
}

/* Takes a request where its next step runs. */
static void move_on(struct daemon *d, struct request *r)
{
	if (atomic_load(&r->cancelled))
		r->next_step = STEP_DONE;
	r->queued_ns = clock_ns();
	r->place = r->next_step;
	if (r->next_step == STEP_COMPUTE) {
		scheduler_submit(d->scheduler, r);
	} else if (r->next_step == STEP_IO) {
		r->work.data = r;
		if (uv_queue_work(&d->loop, &r->work, on_io, on_io_done) != 0) {
			request_fail(r, STATUS_NO_MEMORY, NULL, NULL, "no memory for the I/O queue");
			daemon_finish(d, r);
		}
	} else if (r->next_step == STEP_DONE) {
		daemon_finish(d, r);
	}
}

void daemon_wake(struct request *r)
{
	r->next_step = STEP_COMPUTE;
	move_on(r->daemon, r);
}

void daemon_on_back(void *arg)
{
	struct daemon *d = arg;
	for (struct request *r; (r = scheduler_take(d->scheduler));)
		move_on(d, r);
}

struct request *daemon_find_request(struct daemon *d, const uint8_t id[MESSAGE_ID_BYTES], const struct peer *peer)
{
	struct result_entry *entry = results_find(d->results, id);
	return entry && entry->request && entry->uid == peer->uid ? entry->request : NULL;
}

void daemon_cancel(struct daemon *d, struct request *r, enum status why)
{
	request_cancel(r, why);
	bool here = r->place == STEP_WAIT;
	if (r->place == STEP_COMPUTE)
		here = scheduler_withdraw(d->scheduler, r);
	else if (r->place == STEP_IO)
		uv_cancel((uv_req_t *)&r->work); /* its callback comes in any case */
	if (!here)
		return;
	r->next_step = STEP_DONE;
	daemon_finish(d, r);
}

/* --- receiving --- */

static bool add_recipient(struct request *r, const struct conn *c)
{
	struct recipient *to = calloc(1, sizeof *to);
	if (!to)
		return false;
	to->conn = c->id;
	memcpy(to->tags, c->decoder.tags, c->decoder.ntags);
	to->ntags = c->decoder.ntags;
	to->next = r->recipients;
	r->recipients = to;
	return true;
}

/* An id whose request was given up because its client was lost: a client that reconnects resends at once, and must not get the cancellation.
 * Where the lost run may still write into the client's memory, it is not run again. */
static bool abandoned(const struct result_entry *entry)
{
	const struct request *r = entry->request;
	return r && !r->recipients && !r->msg.noutputs && !r->writes_memory && atomic_load(&((struct request *)r)->cancelled) == STATUS_CANCELLED;
}

/* A known id: joins the request in flight, or sends what was kept. True if that answers it. */
static bool answer_from_results(struct conn *c, struct request *r, struct result_entry *entry, struct error *e)
{
	if (entry->uid != r->peer->uid || entry->digest != r->digest) {
		error_set(e, STATUS_INVALID, "id", "make a new random id for each request", "this request id was used for another request");
		return false;
	}
	conn_release(c, 0, r->nbody);
	if (entry->reply) {
		conn_send(c, entry->reply, c->decoder.tags, c->decoder.ntags);
		conn_release(c, 1, 0);
	} else if (!add_recipient(entry->request, c)) {
		conn_close(c, "no memory");
	}
	request_free(r);
	return true;
}

static struct request *new_request(struct daemon *d, struct conn *c, uint8_t *body, size_t nbody)
{
	struct request *r = calloc(1, sizeof *r);
	if (!r)
		return NULL;
	r->daemon = d;
	r->settings = settings_ref(d->settings);
	r->peer = peer_ref(c->peer);
	r->body = body;
	r->nbody = nbody;
	r->client = c->id;
	r->place = STEP_DONE;
	r->received_ns = clock_ns();
	return r;
}

static enum status admit(struct daemon *d, struct request *r, struct error *e)
{
	if (d->stopping)
		return error_set(e, STATUS_UNAVAILABLE, NULL, "try again when the daemon is back", "the daemon is stopping");
	/* What is answered at once never waits in the queue: a flooded daemon can be asked, and told to cancel. */
	if (r->op->step && d->nactive >= (size_t)d->settings->config.limits_queue)
		return error_set(e, STATUS_BUSY, NULL, "try again later, or raise limits.queue", "%zu requests are waiting or running", d->nactive);
	return client_memory_check(r, e);
}

void daemon_receive(struct daemon *d, struct conn *c, uint8_t *body, size_t nbody)
{
	struct error e = { 0 };
	struct request *r = new_request(d, c, body, nbody);
	if (!r) {
		free(body);
		error_set(&e, STATUS_NO_MEMORY, NULL, NULL, "no memory for a request");
		send_error(c, no_id, &e, nbody);
		return;
	}
	if (understand(r, c, &e) != STATUS_OK)
		goto refuse;
	r->digest = digest_of(&r->msg);
	struct result_entry *entry = results_find(d->results, r->msg.prefix.id);
	if (entry && entry->uid == r->peer->uid && entry->digest == r->digest && abandoned(entry)) {
		results_settle(d->results, entry, NULL, 0, 0);
		entry = NULL;
	}
	if (entry && answer_from_results(c, r, entry, &e))
		return;
	if (entry || admit(d, r, &e) != STATUS_OK)
		goto refuse;
	if (!add_recipient(r, c) || !results_add(d->results, r->msg.prefix.id, r->digest, r->peer->uid, r)) {
		error_set(&e, STATUS_NO_MEMORY, NULL, NULL, "no memory for a request");
		goto refuse;
	}
	activate(d, r);
	r->next_step = r->op->begin(r);
	move_on(d, r);
	return;
refuse:
	{
		char quoted[512];
		log_debug("request refused", "conn=%llu status=%s error=%s", (unsigned long long)c->id, status_name(e.status),
			  log_quote(e.message, quoted, sizeof quoted));
	}
	send_error(c, r->msg.prefix.id, &e, nbody);
	request_free(r);
}

/* --- finishing --- */

static json_t *reply_header(struct request *r)
{
	uint64_t total = clock_ns() - r->received_ns;
	enum status status = r->error.status;
	json_t *header = json_pack("{s:s, s:i, s:{s:I, s:I, s:I, s:I}}", "status", status_name(status), "code", (int)status, "timings", "queue",
				   (json_int_t)r->queue_ns, "read", (json_int_t)r->read_ns, "compute",
				   (json_int_t)(r->step_ns > r->read_ns ? r->step_ns - r->read_ns : 0), "total", (json_int_t)total);
	if (status)
		json_object_set_new(header, "error", reply_error_json(&r->error));
	else
		json_object_set_new(header, "result", r->result ? json_incref(r->result) : json_object());
	if (r->warnings && !status)
		json_object_set(header, "warnings", r->warnings);
	return header;
}

/* Large replies that nobody reads would pile up beyond limits.total_bytes. One alone may always go. */
static bool no_room(const struct request *r, const struct reply *reply)
{
	enum { SMALL = 64 << 10 };
	size_t budget = (size_t)r->settings->config.limits_total_bytes, others = r->daemon->bytes_in_flight - r->nbody;
	return reply->nbody > SMALL && others > SMALL && (others > budget || reply->nbody > budget - others);
}

static struct reply *encode(struct request *r)
{
	json_t *header = reply_header(r);
	if (r->error.status) {
		struct reply *reply = header ? reply_new(header, r->msg.prefix.id, r->error.status, NULL, 0) : NULL;
		json_decref(header);
		return reply;
	}
	struct reply *reply = header ? reply_new(header, r->msg.prefix.id, STATUS_OK, r->out, r->nout) : NULL;
	r->nout = 0; /* its data belongs to the reply */
	json_decref(header);
	json_int_t max_reply = json_integer_value(json_object_get(r->msg.header, "max_reply"));
	if (!reply)
		return NULL;
	if (max_reply && reply->nbody > (uint64_t)max_reply) {
		error_set(&r->error, STATUS_TOO_LARGE, "max_reply", "raise max_reply, ask for less, or give outputs in memory",
			  "the reply has %zu bytes, the client takes %lld", reply->nbody, (long long)max_reply);
		r->error.limit = max_reply;
	} else if (no_room(r, reply)) {
		error_set(&r->error, STATUS_BUSY, NULL, "try again later, or raise limits.total_bytes",
			  "the reply has %zu bytes, and the daemon holds %zu bytes of requests and replies already", reply->nbody,
			  r->daemon->bytes_in_flight);
	} else {
		return reply;
	}
	reply_unref(reply);
	return encode(r);
}

static void count(struct daemon *d, const struct request *r, const struct reply *reply)
{
	struct operation_stats *s = &d->stats[r->op - operations];
	s->count++;
	*(r->error.status ? &s->errors : &s->ok) += 1;
	s->queue_ns += r->queue_ns;
	s->read_ns += r->read_ns;
	s->compute_ns += r->step_ns > r->read_ns ? r->step_ns - r->read_ns : 0;
	s->total_ns += clock_ns() - r->received_ns;
	s->bytes_in += r->nbody;
	s->bytes_out += reply ? reply->nbody : 0;
}

static void log_failure(const struct request *r)
{
	char message[700], hint[400], id[2 * MESSAGE_ID_BYTES + 1];
	message_id_to_text(r->msg.prefix.id, id);
	log_line(r->error.status == STATUS_INTERNAL ? LOG_ERROR : LOG_INFO, "request failed", "op=%s id=%s status=%s error=%s hint=%s", r->op->name, id,
		 status_name(r->error.status), log_quote(r->error.message, message, sizeof message), log_quote(r->error.hint, hint, sizeof hint));
}

/* Only a result that would come out again is kept: not one that was a matter of time. */
static bool worth_keeping(const struct request *r, const struct reply *reply)
{
	const struct config *config = &r->settings->config;
	enum status s = r->error.status;
	if (!reply || status_retryable(s) || s == STATUS_CANCELLED || s == STATUS_DEADLINE || s == STATUS_UNREACHABLE)
		return false;
	return config->results_keep > 0 && reply->nbody <= (size_t)config->results_max_bytes;
}

static void finish_waiters(struct daemon *d, struct request *r)
{
	while (r->cancel_waiters) {
		struct request *waiter = r->cancel_waiters;
		r->cancel_waiters = waiter->next_waiter;
		waiter->waits_for = NULL;
		waiter->next_step = STEP_DONE;
		daemon_finish(d, waiter);
	}
}

static void stop_waiting(struct request *r)
{
	if (!r->waits_for)
		return;
	for (struct request **at = &r->waits_for->cancel_waiters; *at; at = &(*at)->next_waiter)
		if (*at == r) {
			*at = r->next_waiter;
			break;
		}
	r->waits_for = NULL;
}

static void explain_cancel(struct request *r, enum status why)
{
	if (why == STATUS_DEADLINE)
		error_set(&r->error, why, "deadline_ms", "give it more time, or ask for less", "the deadline of %llu ms passed",
			  (unsigned long long)((r->deadline_ns - r->received_ns) / 1000000));
	else if (why == STATUS_UNAVAILABLE)
		error_set(&r->error, why, NULL, "try again when the daemon is back", "the daemon stopped before the request was done");
	else
		error_set(&r->error, why, NULL, NULL, "cancelled");
}

static void settle(struct daemon *d, struct request *r, struct reply *reply)
{
	const struct config *config = &r->settings->config;
	struct result_entry *entry = results_find(d->results, r->msg.prefix.id);
	if (entry && entry->request == r)
		results_settle(d->results, entry, worth_keeping(r, reply) ? reply : NULL, clock_ns() + (uint64_t)config->results_keep * 1000000u,
			       (size_t)config->results_total_bytes);
}

/* Sends the reply to all who wait. A failing send may close connections and so cancel other requests, hence this one is already off
 * every list. */
static void send_to_all(struct daemon *d, struct request *r, struct reply *reply)
{
	size_t nbody = r->nbody;
	for (struct recipient *to = r->recipients; to; to = to->next) {
		struct conn *c = find_conn(d, to->conn);
		if (!c)
			continue;
		if (reply)
			conn_send(c, reply, to->tags, to->ntags);
		else
			conn_close(c, "no memory for a reply");
		bool first = c->id == r->client;
		conn_release(c, 1, first ? nbody : 0);
		if (first)
			nbody = 0;
	}
}

void daemon_finish(struct daemon *d, struct request *r)
{
	enum status why = (enum status)atomic_load(&r->cancelled);
	if (why)
		explain_cancel(r, why);
	if (r->error.status)
		log_failure(r);
	struct reply *reply = encode(r);
	count(d, r, reply);
	stop_waiting(r);
	deactivate(d, r);
	settle(d, r, reply);
	send_to_all(d, r, reply);
	reply_unref(reply);
	finish_waiters(d, r);
	request_free(r);
	if (d->stopping && !d->nactive)
		daemon_stopped(d);
}

static bool remove_recipient(struct request *r, uint64_t conn)
{
	bool found = false;
	for (struct recipient **at = &r->recipients; *at;) {
		struct recipient *to = *at;
		if (to->conn != conn) {
			at = &to->next;
			continue;
		}
		found = true;
		*at = to->next;
		free(to);
	}
	return found;
}

void daemon_lost_conn(struct daemon *d, struct conn *c)
{
	for (struct request *r = d->active; r;) {
		bool orphan = remove_recipient(r, c->id) && !r->recipients && !r->detach && !atomic_load(&r->cancelled);
		if (orphan)
			daemon_cancel(d, r, STATUS_CANCELLED);
		r = orphan ? d->active : r->next_active;
	}
}
