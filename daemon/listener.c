/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/listener.h"
#include "daemon/clock.h"
#include "daemon/daemon.h"
#include "daemon/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

/* The peer as the kernel reports it at connect; pidfd so that a reused pid is noticed. */
static struct peer *peer_of(uv_handle_t *handle, bool local)
{
	struct peer *p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	atomic_init(&p->refs, 1);
	p->pidfd = -1;
	p->uid = (uid_t)-1;
	uv_os_fd_t fd;
	struct ucred who;
	socklen_t n = sizeof who;
	if (!local || uv_fileno(handle, &fd) != 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) != 0)
		return p;
	p->known = true;
	p->pid = who.pid;
	p->uid = who.uid;
	p->same_user = who.uid == geteuid();
	if (who.pid > 0)
		p->pidfd = (int)syscall(SYS_pidfd_open, who.pid, 0);
	return p;
}

static void on_refused(uv_handle_t *handle)
{
	free(handle->data);
}

static void refuse(struct conn *c, const char *why)
{
	c->daemon->rejected++;
	log_warn("connection refused", "why=\"%s\"", why);
	uv_close(&c->uv.handle, on_refused);
}

static void on_connection(uv_stream_t *server, int status)
{
	struct listener *l = server->data;
	struct daemon *d = l->daemon;
	if (status < 0) {
		/* EMFILE among others: libuv has closed the connection with its spare descriptor, so the loop does not spin. */
		d->rejected++;
		log_warn("accept failed", "error=\"%s\"", uv_strerror(status));
		return;
	}
	struct conn *c = calloc(1, sizeof *c);
	if (!c)
		return;
	bool local = server->type == UV_NAMED_PIPE;
	c->daemon = d;
	c->id = ++d->next_conn;
	c->trusted = c->known = local;
	c->opened_ns = c->progress_ns = clock_ns();
	if (local)
		uv_pipe_init(&d->loop, &c->uv.pipe, 0);
	else
		uv_tcp_init(&d->loop, &c->uv.tcp);
	c->uv.handle.data = c;
	if (uv_accept(server, &c->uv.stream) != 0) {
		refuse(c, "accept failed");
		return;
	}
	if (d->nconns >= (size_t)d->settings->config.limits_clients) {
		refuse(c, "limits.clients connections are open");
		return;
	}
	if (!local && !conn_room_for_stranger(d)) {
		refuse(c, "half of limits.clients is taken by connections without a token");
		return;
	}
	c->peer = peer_of(&c->uv.handle, local);
	if (!c->peer) {
		refuse(c, "out of memory");
		return;
	}
	if (local && !c->peer->same_user && c->peer->uid != 0 && strcmp(d->settings->config.access_others, "none") == 0) {
		peer_unref(c->peer);
		refuse(c, "access.others is none");
		return;
	}
	if (!local)
		uv_tcp_nodelay(&c->uv.tcp, 1);
	d->accepted++;
	d->nconns++;
	c->next = d->conns;
	if (d->conns)
		d->conns->previous = c;
	d->conns = c;
	conn_start(c);
}

void daemon_forget_conn(struct daemon *d, struct conn *c)
{
	*(c->previous ? &c->previous->next : &d->conns) = c->next;
	if (c->next)
		c->next->previous = c->previous;
	d->nconns--;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static struct listener *new_listener(struct daemon *d)
{
	struct listener *l = calloc(1, sizeof *l);
	if (l)
		l->daemon = d;
	return l;
}

static enum status add(struct listener *l)
{
	l->next = l->daemon->listeners;
	l->daemon->listeners = l;
	log_info("listening", "url=%s", l->url);
	return STATUS_OK;
}

/* Is a daemon behind this socket? Only a refused connection proves that none is. */
static bool socket_is_dead(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	bool dead = connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 && errno == ECONNREFUSED;
	close(fd);
	return dead;
}

enum status listener_ipc(struct daemon *d, const char *path, int mode, struct error *e)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof address.sun_path)
		return error_set(e, STATUS_INVALID, "listen.ipc", "use a shorter listen.runtime_dir", "the socket path has %zu bytes, the system allows %zu: %s",
				 strlen(path), sizeof address.sun_path - 1, path);
	strcpy(address.sun_path, path);
	struct stat st;
	if (lstat(path, &st) == 0) {
		if (!S_ISSOCK(st.st_mode) || !socket_is_dead(&address))
			return error_set(e, STATUS_INVALID, "listen.ipc", "stop the other daemon, or use another listen.runtime_dir",
					 "%s is in use", path);
		unlink(path);
	}
	struct listener *l = new_listener(d);
	if (!l)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	uv_pipe_init(&d->loop, &l->uv.pipe, 0);
	l->uv.handle.data = l;
	int failed = uv_pipe_bind(&l->uv.pipe, path);
	/* Between bind and listen nobody can connect yet, so the mode is never too wide. */
	if (!failed && chmod(path, (mode_t)mode) != 0)
		failed = -errno;
	if (!failed)
		failed = uv_listen(&l->uv.stream, (int)d->settings->config.listen_backlog, on_connection);
	if (failed) {
		uv_close(&l->uv.handle, on_closed);
		return error_set(e, STATUS_IO, "listen.ipc", NULL, "cannot listen on %s: %s", path, uv_strerror(failed));
	}
	snprintf(l->url, sizeof l->url, "ipc://%s", path);
	return add(l);
}

static bool parse_address(const char *text, struct sockaddr_storage *address)
{
	char host[64];
	const char *colon = strrchr(text, ':');
	if (!colon || colon == text || (size_t)(colon - text) >= sizeof host)
		return false;
	char *end;
	long port = strtol(colon + 1, &end, 10);
	if (*end || end == colon + 1 || port < 0 || port > 65535)
		return false;
	snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
	if (host[0] == '[' && host[strlen(host) - 1] == ']') {
		host[strlen(host) - 1] = '\0';
		return uv_ip6_addr(host + 1, (int)port, (struct sockaddr_in6 *)address) == 0;
	}
	return uv_ip4_addr(host, (int)port, (struct sockaddr_in *)address) == 0;
}

static void name_tcp(struct listener *l)
{
	struct sockaddr_storage address;
	int n = sizeof address;
	char host[64] = "";
	uv_tcp_getsockname(&l->uv.tcp, (struct sockaddr *)&address, &n);
	if (address.ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&address;
		uv_ip6_name(in6, host, sizeof host);
		snprintf(l->url, sizeof l->url, "tcp://[%s]:%d", host, ntohs(in6->sin6_port));
	} else {
		const struct sockaddr_in *in = (const struct sockaddr_in *)&address;
		uv_ip4_name(in, host, sizeof host);
		snprintf(l->url, sizeof l->url, "tcp://%s:%d", host, ntohs(in->sin_port));
	}
}

enum status listener_tcp(struct daemon *d, const char *text, struct error *e)
{
	struct sockaddr_storage address = { 0 };
	if (!parse_address(text, &address))
		return error_set(e, STATUS_INVALID, "listen.tcp", "use 127.0.0.1:0 or [::1]:5000", "%s is not ADDRESS:PORT", text);
	struct listener *l = new_listener(d);
	if (!l)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	uv_tcp_init(&d->loop, &l->uv.tcp);
	l->uv.handle.data = l;
	int failed = uv_tcp_bind(&l->uv.tcp, (struct sockaddr *)&address, 0);
	if (!failed)
		failed = uv_listen(&l->uv.stream, (int)d->settings->config.listen_backlog, on_connection);
	if (failed) {
		uv_close(&l->uv.handle, on_closed);
		return error_set(e, STATUS_IO, "listen.tcp", "choose another port, or port 0", "cannot listen on %s: %s", text, uv_strerror(failed));
	}
	name_tcp(l);
	return add(l);
}

void listeners_close(struct daemon *d)
{
	while (d->listeners) {
		struct listener *l = d->listeners;
		d->listeners = l->next;
		uv_close(&l->uv.handle, on_closed);
	}
}
