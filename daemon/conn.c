/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/conn.h"
#include "daemon/clock.h"
#include "daemon/daemon.h"
#include "daemon/log.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum {
	LEAST_RATE = 1024,        /* bytes a second, measured over limits.stall_timeout: less is a stalled message */
	SMALL_MESSAGE = 64 << 10, /* has room in the strangers' share always: it may bring the token */
	TINY_MESSAGE = 4 << 10,   /* has room always: it may ask how things are, or cancel */
};

static const struct config *config_of(const struct conn *c)
{
	return &c->daemon->settings->config;
}

static bool over_limits(const struct conn *c)
{
	const struct config *limits = config_of(c);
	/* Replies that wait to be read count too: small ones cost far more memory than their bytes. */
	return c->requests + c->writing >= (size_t)limits->limits_client_requests ||
	       (c->bytes > c->body_bytes && c->bytes >= (size_t)limits->limits_client_bytes);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct conn *c = handle->data;
	(void)suggested;
	/* Inside a body the kernel copies straight to where the message will lie. */
	if (c->body && c->decoder.state == SP_IN_BODY)
		*buf = (uv_buf_t){ .base = (char *)c->body + c->body_have, .len = c->body_bytes - c->body_have };
	else
		*buf = uv_buf_init((char *)c->daemon->scratch, DAEMON_SCRATCH_BYTES);
}

static void account(struct conn *c, size_t nbytes)
{
	c->bytes += nbytes;
	c->daemon->bytes_in_flight += nbytes;
}

/* Bytes that strangers have announced and not yet sent whole. */
static uint64_t stranger_bytes(const struct daemon *d)
{
	uint64_t sum = 0;
	for (const struct conn *c = d->conns; c; c = c->next)
		if (!c->known)
			sum += c->body_bytes;
	return sum;
}

bool conn_room_for_stranger(const struct daemon *d)
{
	size_t strangers = 0;
	for (const struct conn *c = d->conns; c; c = c->next)
		strangers += !c->known;
	return strangers < ((size_t)d->settings->config.limits_clients + 1) / 2;
}

static bool inside_message(const struct conn *c)
{
	return c->decoder.nbuffer || c->decoder.state == SP_IN_BODY || c->decoder.state == SP_IN_TAGS;
}

static void mark(struct conn *c)
{
	c->mark_ns = clock_ns();
	c->mark_received = c->received;
}

static void begin_message(struct conn *c)
{
	const struct config *limits = config_of(c);
	uint64_t n = c->decoder.body_bytes;
	c->body = NULL;
	c->body_have = 0;
	c->body_bytes = 0;
	c->discard = STATUS_OK;
	if (n > (uint64_t)limits->limits_message_bytes)
		c->discard = STATUS_TOO_LARGE;
	else if ((n > TINY_MESSAGE && c->daemon->bytes_in_flight + n > (uint64_t)limits->limits_total_bytes) ||
		 (!c->known && n > SMALL_MESSAGE && stranger_bytes(c->daemon) + n > (uint64_t)limits->limits_total_bytes / 4))
		c->discard = STATUS_BUSY;
	if (c->discard)
		return;
	/* Large blocks come from mmap, whose pages are only taken as bytes arrive: a declared size alone costs nothing. */
	size_t rounded = (size_t)n + message_padding((size_t)n);
	c->body = aligned_alloc(MESSAGE_ALIGN, rounded ? rounded : MESSAGE_ALIGN);
	if (!c->body) {
		c->discard = STATUS_NO_MEMORY;
		return;
	}
	c->body_bytes = (size_t)n;
	account(c, c->body_bytes);
}

static void take_body(struct conn *c, const uint8_t *in, size_t n)
{
	if (c->body && in != c->body + c->body_have)
		memcpy(c->body + c->body_have, in, n);
	if (!c->body && c->body_have < sizeof c->start)
		memcpy(c->start + c->body_have, in, n < sizeof c->start - c->body_have ? n : sizeof c->start - c->body_have);
	c->body_have += n;
}

static void refuse_message(struct conn *c)
{
	const struct config *limits = config_of(c);
	struct message_prefix prefix;
	struct error e;
	if (message_prefix_decode(c->start, c->body_have < sizeof c->start ? c->body_have : sizeof c->start, &prefix, &e) == STATUS_OK) {
		if (c->discard == STATUS_TOO_LARGE)
			error_set(&e, c->discard, NULL, "send large arrays by memory or as files, or raise limits.message_bytes",
				  "the message has %zu bytes, limits.message_bytes is %lld", c->body_have, (long long)limits->limits_message_bytes);
		else
			error_set(&e, c->discard, NULL, "try again later, or raise limits.total_bytes", "the daemon holds %zu bytes of requests already",
				  c->daemon->bytes_in_flight);
		if (c->discard == STATUS_TOO_LARGE)
			e.limit = limits->limits_message_bytes;
	}
	struct reply *reply = reply_error(prefix.id, &e);
	if (reply)
		conn_send(c, reply, c->decoder.tags, c->decoder.ntags);
	reply_unref(reply);
}

static void end_message(struct conn *c)
{
	if (!c->body) {
		refuse_message(c);
		return;
	}
	uint8_t *body = c->body;
	size_t n = c->body_bytes;
	c->body = NULL;
	c->body_bytes = 0;
	c->requests++;
	daemon_receive(c->daemon, c, body, n);
}

static void pause_if_full(struct conn *c)
{
	if (!c->closing && c->reading && over_limits(c)) {
		uv_read_stop(&c->uv.stream);
		c->reading = false;
	}
}

static void feed(struct conn *c, const uint8_t *in, size_t n)
{
	while (!c->closing) {
		size_t used;
		enum sp_event event = sp_decode(&c->decoder, in, n, &used);
		if (event == SP_BAD) {
			c->daemon->protocol_errors++;
			conn_close(c, c->decoder.why);
			return;
		}
		if (event == SP_READY)
			c->ready = true;
		else if (event == SP_BEGIN)
			begin_message(c);
		else if (event == SP_BODY)
			take_body(c, in, used);
		else if (event == SP_END)
			end_message(c);
		if (event == SP_READY || event == SP_END)
			mark(c);
		in += used;
		n -= used;
		if (event == SP_MORE && !n)
			return;
	}
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct conn *c = stream->data;
	if (n < 0) {
		conn_close(c, n == UV_EOF ? "closed by the client" : uv_strerror((int)n));
		return;
	}
	if (!inside_message(c))
		mark(c);
	c->progress_ns = clock_ns();
	c->received += (uint64_t)n;
	c->daemon->bytes_received += (uint64_t)n;
	feed(c, (const uint8_t *)buf->base, (size_t)n);
	pause_if_full(c);
}

static void start_reading(struct conn *c)
{
	if (!c->reading && !c->closing) {
		c->progress_ns = clock_ns();
		mark(c);
		c->reading = uv_read_start(&c->uv.stream, on_alloc, on_read) == 0;
	}
}

struct write {
	uv_write_t req;
	struct conn *conn;
	struct reply *reply;
	size_t nbytes;
	uint8_t head[SP_MAX_HEAD_BYTES];
};

static void on_written(uv_write_t *req, int failed)
{
	struct write *w = (struct write *)req;
	struct conn *c = w->conn;
	size_t nbytes = w->nbytes;
	c->writing--;
	c->write_progress_ns = clock_ns();
	reply_unref(w->reply);
	free(w);
	if (failed)
		conn_close(c, uv_strerror(failed));
	conn_release(c, 0, nbytes);
}

void conn_send(struct conn *c, struct reply *reply, const uint8_t *tags, size_t ntags)
{
	static const uint8_t zeros[MESSAGE_ALIGN];
	if (c->closing)
		return;
	struct write *w = malloc(sizeof *w);
	if (!w) {
		conn_close(c, "no memory for a reply");
		return;
	}
	uv_buf_t bufs[2 + 2 * REPLY_MAX_ARRAYS];
	unsigned nbufs = 0;
	size_t nhead = sp_encode_head(c->decoder.transport, tags, ntags, reply->nbody, w->head), end = reply->nhead;
	bufs[nbufs++] = uv_buf_init((char *)w->head, (unsigned)nhead);
	bufs[nbufs++] = (uv_buf_t){ .base = (char *)reply->head, .len = reply->nhead };
	for (size_t i = 0; i < reply->narrays; i++) {
		const struct array *a = &reply->arrays[i];
		if (a->via != VIA_INLINE)
			continue;
		if (message_padding(end))
			bufs[nbufs++] = uv_buf_init((char *)zeros, (unsigned)message_padding(end));
		end += message_padding(end) + a->nbytes;
		if (a->nbytes)
			bufs[nbufs++] = (uv_buf_t){ .base = (char *)a->data, .len = a->nbytes };
	}
	w->conn = c;
	w->reply = reply_ref(reply);
	w->nbytes = reply->nbody;
	if (!c->writing++)
		c->write_progress_ns = clock_ns();
	account(c, w->nbytes);
	c->daemon->bytes_sent += nhead + reply->nbody;
	int failed = uv_write(&w->req, &c->uv.stream, bufs, nbufs, on_written);
	if (failed) {
		c->writing--;
		reply_unref(reply);
		conn_release(c, 0, w->nbytes);
		free(w);
		conn_close(c, uv_strerror(failed));
	}
}

void conn_release(struct conn *c, size_t requests, size_t nbytes)
{
	c->requests -= requests;
	c->bytes -= nbytes;
	c->daemon->bytes_in_flight -= nbytes;
	if (!c->reading && !over_limits(c))
		start_reading(c);
}

static void on_closed(uv_handle_t *handle)
{
	struct conn *c = handle->data;
	c->daemon->bytes_in_flight -= c->bytes;
	free(c->body);
	peer_unref(c->peer);
	daemon_forget_conn(c->daemon, c);
	free(c);
}

void conn_close(struct conn *c, const char *why)
{
	if (c->closing)
		return;
	c->closing = true;
	c->reading = false;
	char quoted[256];
	log_debug("connection closed", "conn=%llu why=%s", (unsigned long long)c->id, log_quote(why, quoted, sizeof quoted));
	daemon_lost_conn(c->daemon, c);
	uv_close(&c->uv.handle, on_closed);
}

static short look(const struct conn *c, short events)
{
	uv_os_fd_t fd;
	if (uv_fileno(&c->uv.handle, &fd) != 0)
		return 0;
	struct pollfd p = { .fd = fd, .events = events };
	return poll(&p, 1, 0) > 0 ? p.revents : 0;
}

/* A connection that is not read does not tell that its peer is gone. */
static bool peer_left(const struct conn *c)
{
	return look(c, POLLRDHUP) & (POLLRDHUP | POLLHUP | POLLERR);
}

/* Timers come before reads: after a pause of the whole process the bytes that were awaited may be there already. */
static bool input_waits(const struct conn *c)
{
	return look(c, POLLIN) & POLLIN;
}

/* Looked at once in each stall_timeout, so that a byte now and then does not hold a message open. */
static bool message_stalls(struct conn *c, uint64_t now_ns, uint64_t stall)
{
	if (now_ns - c->mark_ns <= stall)
		return false;
	bool slow = c->received - c->mark_received < stall / 1000000 * LEAST_RATE / 1000 && !input_waits(c);
	mark(c);
	return slow;
}

static bool reply_stalls(struct conn *c, uint64_t now_ns, uint64_t stall)
{
	size_t left = uv_stream_get_write_queue_size(&c->uv.stream);
	if (left != c->write_left)
		c->write_progress_ns = now_ns;
	c->write_left = left;
	return now_ns - c->write_progress_ns > stall;
}

void conn_check(struct conn *c, uint64_t now_ns)
{
	const struct config *limits = config_of(c);
	uint64_t handshake = (uint64_t)limits->limits_handshake_timeout * 1000000, stall = (uint64_t)limits->limits_stall_timeout * 1000000;
	bool inside = inside_message(c);
	if (!c->ready && now_ns - c->opened_ns > handshake && !input_waits(c)) {
		c->daemon->protocol_errors++;
		conn_close(c, "no handshake in time");
	} else if (c->ready && c->reading && inside && message_stalls(c, now_ns, stall)) {
		conn_close(c, "stopped inside a message");
	} else if (c->ready && !c->known && !inside && now_ns - c->progress_ns > stall && !input_waits(c)) {
		conn_close(c, "no token in time");
	} else if (c->writing && reply_stalls(c, now_ns, stall)) {
		conn_close(c, "does not read its replies");
	} else if (c->ready && !c->reading && peer_left(c)) {
		conn_close(c, "closed by the client");
	}
}

void conn_start(struct conn *c)
{
	struct write *w = calloc(1, sizeof *w);
	sp_decoder_init(&c->decoder, c->uv.handle.type == UV_NAMED_PIPE ? SP_IPC : SP_TCP, SP_REQ);
	if (!w) {
		conn_close(c, "no memory");
		return;
	}
	/* Both sides send their handshake at once, without waiting. */
	sp_encode_handshake(SP_REP, w->head);
	uv_buf_t buf = uv_buf_init((char *)w->head, SP_HANDSHAKE_BYTES);
	w->conn = c;
	c->writing++;
	if (uv_write(&w->req, &c->uv.stream, &buf, 1, on_written) != 0) {
		c->writing--;
		free(w);
		conn_close(c, "the handshake cannot be sent");
		return;
	}
	start_reading(c);
}
