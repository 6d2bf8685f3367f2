/* SPDX-License-Identifier: BSD-3-Clause */
#include "clients/c/spiked.h"
#include "clients/c/endpoint.h"
#include "protocol/message.h"

#include <errno.h>
#include <limits.h>
#include <nanomsg/nn.h>
#include <nanomsg/reqrep.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
	DEFAULT_TIMEOUT_MS = 3600 * 1000,
	MAX_HEADER = 16 << 20,
	LOOK_MS = 500,  /* between two looks at the connection while an answer is awaited */
	GONE_MS = 5000, /* without connection: a daemon that restarts is back by then, and gets the request again */
};

struct spiked {
	int socket;
	int timeout_ms;
	char *url, *token;
	const char *class;
};

struct spiked_reply {
	int status;
	char *error, *hint, *json;
	void *body;                 /* 64-byte aligned; the arrays lie in it */
	struct spiked_array *arrays;
	size_t narrays;
	struct message message;
};

static _Thread_local char connect_error[512];

const char *spiked_connect_error(void)
{
	return connect_error;
}

static int set_option(int socket, int level, int option, int value)
{
	return nn_setsockopt(socket, level, option, &value, sizeof value);
}

static int open_socket(struct spiked *sp)
{
	sp->socket = nn_socket(AF_SP, NN_REQ);
	if (sp->socket < 0)
		return -1;
	/* Replies may be large; a resend would only be answered from the store of kept results. */
	set_option(sp->socket, NN_SOL_SOCKET, NN_RCVMAXSIZE, -1);
	set_option(sp->socket, NN_REQ, NN_REQ_RESEND_IVL, INT_MAX);
	set_option(sp->socket, NN_SOL_SOCKET, NN_LINGER, 0);
	return nn_connect(sp->socket, sp->url) < 0 ? -1 : 0;
}

int spiked_connect(struct spiked **out, const char *url, const char *token)
{
	struct spiked *sp = calloc(1, sizeof *sp);
	connect_error[0] = '\0';
	if (!sp) {
		snprintf(connect_error, sizeof connect_error, "out of memory");
		return SPIKED_NO_MEMORY;
	}
	sp->socket = -1;
	sp->timeout_ms = DEFAULT_TIMEOUT_MS;
	int status = endpoint_find(url, token, &sp->url, &sp->token, connect_error, sizeof connect_error);
	if (!status && open_socket(sp) != 0) {
		snprintf(connect_error, sizeof connect_error, "cannot connect to %s: %s", sp->url, nn_strerror(nn_errno()));
		status = SPIKED_NO_DAEMON;
	}
	if (status) {
		spiked_close(sp);
		return status;
	}
	*out = sp;
	return SPIKED_OK;
}

const char *spiked_url(const struct spiked *sp)
{
	return sp->url;
}

void spiked_close(struct spiked *sp)
{
	if (!sp)
		return;
	if (sp->socket >= 0)
		nn_close(sp->socket);
	free(sp->url);
	free(sp->token);
	free(sp);
}

void spiked_set_timeout(struct spiked *sp, int ms)
{
	sp->timeout_ms = ms < 1 ? 1 : ms;
}

void spiked_set_class(struct spiked *sp, const char *name)
{
	sp->class = name;
}

/* --- request --- */

static json_t *request_header(const struct spiked *sp, const char *op, const char *params, struct spiked_reply *r)
{
	json_error_t where;
	json_t *object = params ? json_loads(params, 0, &where) : json_object();
	if (!json_is_object(object)) {
		r->status = SPIKED_INVALID;
		if (asprintf(&r->error, "params is not a JSON object: %s", object ? "another type" : where.text) < 0)
			r->error = NULL;
		json_decref(object);
		return NULL;
	}
	json_t *header = json_pack("{s:s, s:o, s:i}", "op", op, "params", object, "deadline_ms", sp->timeout_ms);
	if (header && sp->token && strncmp(sp->url, "tcp", 3) == 0)
		json_object_set_new(header, "token", json_string(sp->token));
	if (header && sp->class)
		json_object_set_new(header, "class", json_string(sp->class));
	return header;
}

static int copy_arrays(struct array *to, const struct spiked_array *from, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		enum dtype dtype = dtype_from_name(from[i].dtype);
		if (dtype == DTYPE_NONE || from[i].ndim > MESSAGE_MAX_DIMS || array_init(&to[i], from[i].name, dtype, from[i].ndim, from[i].shape) != STATUS_OK)
			return SPIKED_INVALID;
		to[i].data = from[i].data;
	}
	return SPIKED_OK;
}

/* The whole body in one nanomsg buffer, which nn_send takes over without a copy. */
static void *assemble(const uint8_t *head, size_t nhead, const struct array *arrays, size_t n)
{
	size_t nbody = message_body_bytes(nhead, arrays, n), end = nhead;
	uint8_t *body = nn_allocmsg(nbody, 0);
	if (!body)
		return NULL;
	memcpy(body, head, nhead);
	for (size_t i = 0; i < n; i++) {
		memset(body + end, 0, message_padding(end));
		end += message_padding(end);
		memcpy(body + end, arrays[i].data, arrays[i].nbytes);
		end += arrays[i].nbytes;
	}
	return body;
}

static void *encode(const struct spiked *sp, const char *op, const char *params, const struct spiked_array *given, size_t n, uint8_t id[16],
		    struct spiked_reply *r)
{
	void *body = NULL;
	uint8_t *head = NULL;
	size_t nhead;
	struct array *arrays = calloc(n + 1, sizeof *arrays);
	json_t *header = arrays ? request_header(sp, op, params, r) : NULL;
	if (header && getrandom(id, 16, 0) == 16) {
		r->status = copy_arrays(arrays, given, n);
		if (!r->status && message_encode(header, MESSAGE_REQUEST, id, arrays, n, NULL, 0, &head, &nhead) == STATUS_OK)
			body = assemble(head, nhead, arrays, n);
		if (!body && !r->status)
			r->status = SPIKED_NO_MEMORY;
	}
	json_decref(header);
	free(head);
	free(arrays);
	return body;
}

/* --- reply --- */

static char *copy_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return strdup(text ? text : "");
}

static void export_arrays(struct spiked_reply *r)
{
	r->arrays = calloc(r->message.narrays + 1, sizeof *r->arrays);
	if (!r->arrays)
		return;
	r->narrays = r->message.narrays;
	for (size_t i = 0; i < r->narrays; i++) {
		const struct array *a = &r->message.arrays[i];
		r->arrays[i] = (struct spiked_array){ a->name, dtype_name(a->dtype), a->ndim, { 0 }, a->data, a->nbytes };
		memcpy(r->arrays[i].shape, a->shape, sizeof a->shape);
	}
}

static void fail(struct spiked_reply *r, int status, const char *error, const char *hint)
{
	r->status = status;
	free(r->error);
	free(r->hint);
	r->error = strdup(error);
	r->hint = strdup(hint);
}

static void decode(struct spiked_reply *r, size_t n, const uint8_t id[16])
{
	struct error e;
	if (message_decode(&r->message, r->body, n, MAX_HEADER, &e) != STATUS_OK) {
		fail(r, SPIKED_PROTOCOL, e.message, "is this a spiked daemon?");
		return;
	}
	if (r->message.prefix.kind != MESSAGE_REPLY || memcmp(r->message.prefix.id, id, 16) != 0) {
		fail(r, SPIKED_PROTOCOL, "the reply belongs to another request", "");
		return;
	}
	const json_t *header = r->message.header, *error = json_object_get(header, "error");
	r->status = (int)json_integer_value(json_object_get(header, "code"));
	free(r->error);
	free(r->hint);
	r->error = copy_text(error, "message");
	r->hint = copy_text(error, "hint");
	r->json = json_dumps(header, 0);
	export_arrays(r);
}

/* The answer's size, or -1 with nn_errno() or *gone. nanomsg itself would wait for a daemon that has ended until the timeout. */
static int await(struct spiked *sp, void **body, bool *gone)
{
	/* The daemon ends the request at its deadline; a little later nobody will answer. */
	int64_t left = (int64_t)sp->timeout_ms + 2000, lost = 0;
	for (;;) {
		int slice = left < LOOK_MS ? (int)left : LOOK_MS;
		set_option(sp->socket, NN_SOL_SOCKET, NN_RCVTIMEO, slice);
		int n = nn_recv(sp->socket, body, NN_MSG, 0);
		if (n >= 0 || nn_errno() != ETIMEDOUT)
			return n;
		left -= slice;
		lost = nn_get_statistic(sp->socket, NN_STAT_CURRENT_CONNECTIONS) ? 0 : lost + slice;
		*gone = lost >= GONE_MS;
		if (left <= 0 || *gone)
			return -1;
	}
}

/* nanomsg's buffer begins behind the request tag; the arrays want the alignment they were sent with. */
static bool align(struct spiked_reply *r, void *body, size_t n)
{
	r->body = aligned_alloc(MESSAGE_ALIGN, n + message_padding(n) + (n ? 0 : MESSAGE_ALIGN));
	if (r->body)
		memcpy(r->body, body, n);
	nn_freemsg(body);
	return r->body != NULL;
}

static void exchange(struct spiked *sp, void *body, const uint8_t id[16], struct spiked_reply *r)
{
	bool gone = false;
	set_option(sp->socket, NN_SOL_SOCKET, NN_SNDTIMEO, sp->timeout_ms < 5000 ? sp->timeout_ms : 5000);
	if (nn_send(sp->socket, &body, NN_MSG, 0) < 0) {
		nn_freemsg(body);
		fail(r, SPIKED_NO_DAEMON, nn_errno() == ETIMEDOUT ? "nobody listens there" : nn_strerror(nn_errno()), "start a daemon: spiked");
		return;
	}
	void *answer;
	int n = await(sp, &answer, &gone);
	if (n >= 0) {
		if (align(r, answer, (size_t)n))
			decode(r, (size_t)n, id);
		else
			fail(r, SPIKED_NO_MEMORY, "out of memory", "");
	} else if (gone) {
		fail(r, SPIKED_NO_DAEMON, "the daemon has ended", "see its log; start it again: spiked");
	} else if (nn_errno() == ETIMEDOUT) {
		fail(r, SPIKED_TIMEOUT, "no answer in time", "raise the timeout, or see whether the daemon runs");
	} else {
		fail(r, SPIKED_NO_DAEMON, nn_strerror(nn_errno()), "");
	}
}

int spiked_call(struct spiked *sp, const char *op, const char *params, const struct spiked_array *arrays, size_t narrays, struct spiked_reply **reply)
{
	uint8_t id[16];
	struct spiked_reply *r = calloc(1, sizeof *r);
	*reply = r;
	if (!r)
		return SPIKED_NO_MEMORY;
	r->status = SPIKED_NO_MEMORY;
	void *body = encode(sp, op, params, arrays, narrays, id, r);
	if (body)
		exchange(sp, body, id, r);
	else if (!r->error)
		fail(r, r->status, r->status == SPIKED_INVALID ? "an array's dtype or shape is wrong" : "out of memory", "");
	return r->status;
}

int spiked_reply_status(const struct spiked_reply *r)
{
	return r->status;
}

const char *spiked_reply_status_name(const struct spiked_reply *r)
{
	return r->status == SPIKED_NO_DAEMON ? "NO_DAEMON" : r->status == SPIKED_TIMEOUT ? "TIMEOUT" : status_name((enum status)r->status);
}

const char *spiked_reply_error(const struct spiked_reply *r)
{
	return r->error ? r->error : "";
}

const char *spiked_reply_hint(const struct spiked_reply *r)
{
	return r->hint ? r->hint : "";
}

const char *spiked_reply_json(const struct spiked_reply *r)
{
	return r->json ? r->json : "{}";
}

size_t spiked_reply_narrays(const struct spiked_reply *r)
{
	return r->narrays;
}

const struct spiked_array *spiked_reply_array_at(const struct spiked_reply *r, size_t i)
{
	return i < r->narrays ? &r->arrays[i] : NULL;
}

const struct spiked_array *spiked_reply_array(const struct spiked_reply *r, const char *name)
{
	for (size_t i = 0; i < r->narrays; i++)
		if (strcmp(r->arrays[i].name, name) == 0)
			return &r->arrays[i];
	return NULL;
}

void spiked_reply_free(struct spiked_reply *r)
{
	if (!r)
		return;
	message_fini(&r->message);
	free(r->body);
	free(r->arrays);
	free(r->error);
	free(r->hint);
	free(r->json);
	free(r);
}
