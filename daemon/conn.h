/* SPDX-License-Identifier: BSD-3-Clause
 *
 * One SP connection: bytes in, whole messages up; replies down, written straight from their arrays. Loop thread only.
 *
 * A connection costs nothing while it is idle. It is closed, and nothing else happens, when its bytes are not SP, when it stalls inside a
 * message or does not read its replies, or when its handshake is not whole in time. When its requests in flight and unread replies reach
 * the limits, it is simply not read: the client's own socket fills up.
 *
 * Strangers, who have not shown the token yet (TCP is open to every user of the machine), share half of limits.clients and a quarter of
 * limits.total_bytes, and are closed when idle: they cannot keep the owner out.
 */
#ifndef DAEMON_CONN_H
#define DAEMON_CONN_H

#include "daemon/reply.h"
#include "daemon/request.h"
#include "protocol/sp.h"

struct conn {
	union {
		uv_stream_t stream;
		uv_pipe_t pipe;
		uv_tcp_t tcp;
		uv_handle_t handle;
	} uv;
	uint64_t id;
	struct daemon *daemon;
	struct sp_decoder decoder;
	struct peer *peer;
	bool ready;                /* handshake done */
	bool reading, closing, trusted; /* trusted: a unix socket; TCP needs the token in each request */
	bool known;                /* trusted, or has shown the token once; a stranger gets a share of the limits only */

	uint8_t *body;             /* of the message that is coming in; NULL while it is thrown away */
	size_t body_have, body_bytes;
	uint8_t start[MESSAGE_PREFIX_BYTES]; /* of a message that is thrown away: its id */
	enum status discard;       /* why it is */

	size_t requests;           /* in flight */
	size_t bytes;              /* of requests and replies in flight */
	size_t writing;            /* replies handed to the kernel's queue */
	uint64_t opened_ns, progress_ns; /* accepted; last bytes read */
	uint64_t received, mark_received, mark_ns; /* bytes read in all; as they were when the incoming message was last measured */
	uint64_t write_progress_ns;
	size_t write_left;         /* bytes queued when last looked */
	struct conn *next, *previous;
};

/* Takes over an accepted stream (conn->uv is initialised by the caller). */
void conn_start(struct conn *c);

/* Closes it; its requests lose it as recipient. May be called twice. */
void conn_close(struct conn *c, const char *why);

/* Sends a reply to the tags; takes its own reference. */
void conn_send(struct conn *c, struct reply *reply, const uint8_t *tags, size_t ntags);

/* A request of this connection has ended and `nbytes` of it are free: reads on if that was what held it up. */
void conn_release(struct conn *c, size_t requests, size_t nbytes);

/* May one more stranger connect? O(connections). */
bool conn_room_for_stranger(const struct daemon *d);

/* Closes it if it has stalled. */
void conn_check(struct conn *c, uint64_t now_ns);

#endif
