/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Listening sockets: one for the unix socket, one for TCP. Loop thread only.
 */
#ifndef DAEMON_LISTENER_H
#define DAEMON_LISTENER_H

#include "protocol/error.h"

#include <stddef.h>
#include <uv.h>

struct daemon;

struct listener {
	union {
		uv_stream_t stream;
		uv_pipe_t pipe;
		uv_tcp_t tcp;
		uv_handle_t handle;
	} uv;
	struct daemon *daemon;
	char url[160];             /* "ipc:///run/user/1000/spiked/spiked.sock", "tcp://127.0.0.1:41234" */
	struct listener *next;
};

/* A unix socket at `path`, mode 0600 (0660 if other users have a role). A dead socket that is in the way is removed, a live one is an error.
 * The caller holds the runtime directory's lock. */
enum status listener_ipc(struct daemon *d, const char *path, int mode, struct error *e);

/* "127.0.0.1:0", "[::1]:5000". */
enum status listener_tcp(struct daemon *d, const char *address, struct error *e);

/* Closes all. */
void listeners_close(struct daemon *d);

#endif
