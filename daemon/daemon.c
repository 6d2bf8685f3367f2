/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/daemon.h"
#include "daemon/clock.h"
#include "daemon/block_pool.h"
#include "daemon/shared_memory.h"
#include "daemon/compiler_start.h"
#include "daemon/endpoint.h"
#include "daemon/fiber.h"
#include "daemon/listener.h"
#include "daemon/log.h"
#include "daemon/noise_cache.h"
#include "daemon/notify.h"
#include "daemon/programs.h"
#include "daemon/registry.h"
#include "daemon/recording/cache.h"
#include "daemon/team.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SWEEP_MS = 100 };

/* --- stopping --- */

static void close_walk(uv_handle_t *handle, void *arg)
{
	(void)arg;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

/* Everything is answered or given up: closing each handle lets uv_run return. */
static void end(struct daemon *d)
{
	if (d->ending)
		return;
	d->ending = true;
	while (d->conns) {
		struct conn *c = d->conns;
		while (c && c->closing)
			c = c->next;
		if (!c)
			break;
		conn_close(c, "the daemon stops");
	}
	scheduler_stop(d->scheduler);
	programs_stop(d->programs);
	uv_handle_t *mine[] = { (uv_handle_t *)&d->sweep, (uv_handle_t *)&d->deadline, (uv_handle_t *)&d->stop_timer, (uv_handle_t *)&d->sigterm,
				(uv_handle_t *)&d->sigint, (uv_handle_t *)&d->sighup };
	for (size_t i = 0; i < sizeof mine / sizeof *mine; i++)
		close_walk(mine[i], NULL);
	if (d->stdin_open)
		close_walk((uv_handle_t *)&d->stdin_pipe, NULL);
}

static void cancel_all(struct daemon *d)
{
	for (struct request *r = d->active; r;) {
		bool fresh = !atomic_load(&r->cancelled);
		if (fresh)
			daemon_cancel(d, r, STATUS_UNAVAILABLE);
		r = fresh ? d->active : r->next_active;
	}
}

static void on_stop_timeout(uv_timer_t *timer)
{
	struct daemon *d = timer->data;
	log_warn("shutdown timeout", "requests=%zu", d->nactive);
	cancel_all(d);
}

/* Replies that are still being written get a moment; then everything ends. */
static void on_drained(uv_timer_t *timer)
{
	struct daemon *d = timer->data;
	static int rounds;
	bool writing = false;
	for (struct conn *c = d->conns; c; c = c->next)
		writing |= c->writing > 0 && !c->closing;
	if (writing && rounds++ < 100)
		return;
	uv_timer_stop(timer);
	end(d);
}

void daemon_stopped(struct daemon *d)
{
	if (!d->ending)
		uv_timer_start(&d->stop_timer, on_drained, 0, 10);
}

void daemon_stop(struct daemon *d)
{
	if (d->stopping) {
		cancel_all(d);
		return;
	}
	d->stopping = true;
	d->ready = false;
	log_info("stopping", "requests=%zu", d->nactive);
	notify_manager("STOPPING=1");
	listeners_close(d);
	if (!d->nactive)
		daemon_stopped(d);
	else
		uv_timer_start(&d->stop_timer, on_stop_timeout, (uint64_t)d->settings->config.service_shutdown_timeout, 0);
}

/* --- signals, timers --- */

static void on_stop_signal(uv_signal_t *handle, int number)
{
	log_info("signal", "number=%d", number);
	daemon_stop(handle->data);
}

static void reload(struct daemon *d)
{
	struct settings *next = calloc(1, sizeof *next);
	struct config_error e;
	char pending[512];
	if (!next)
		return;
	if (!config_load(&next->config, d->config_file, d->sets, d->nsets, &e)) {
		char quoted[600];
		log_error("reload refused, the old configuration stays", "error=%s", log_quote(e.text, quoted, sizeof quoted));
		free(next);
		return;
	}
	config_keep_restart(&next->config, &d->settings->config, pending, sizeof pending);
	atomic_init(&next->refs, 1);
	settings_unref(d->settings);
	d->settings = next;
	log_set_level(log_level_from_name(next->config.log_level));
	log_info("configuration reloaded", "waits_for_restart=\"%s\"", pending);
}

static void on_reload_signal(uv_signal_t *handle, int number)
{
	struct daemon *d = handle->data;
	(void)number;
	char text[64];
	/* systemd's notify-reload waits for ever without the time. */
	snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)(clock_ns() / 1000));
	notify_manager(text);
	reload(d);
	notify_manager("READY=1");
}

static void on_sweep(uv_timer_t *timer)
{
	struct daemon *d = timer->data;
	uint64_t now = clock_ns();
	for (struct conn *c = d->conns, *next; c; c = next) {
		next = c->next; /* closing frees only later */
		if (!c->closing)
			conn_check(c, now);
	}
	results_expire(d->results, now);
	block_sweep(now);
	shared_memory_sweep(d->shared);
}

static void on_stdin_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct daemon *d = handle->data;
	(void)suggested;
	*buf = uv_buf_init((char *)d->scratch, sizeof d->scratch);
}

static void on_stdin(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	(void)buf;
	if (n >= 0)
		return;
	uv_read_stop(stream);
	log_info("standard input closed", "");
	daemon_stop(stream->data);
}

/* --- starting --- */

static void watch_signal(struct daemon *d, uv_signal_t *handle, int number, uv_signal_cb callback)
{
	uv_signal_init(&d->loop, handle);
	handle->data = d;
	uv_signal_start(handle, callback, number);
}

static void init_timer(struct daemon *d, uv_timer_t *timer)
{
	uv_timer_init(&d->loop, timer);
	timer->data = d;
}

static enum status watch_stdin(struct daemon *d, struct error *e)
{
	if (!d->settings->config.service_stop_on_stdin_eof)
		return STATUS_OK;
	uv_pipe_init(&d->loop, &d->stdin_pipe, 0);
	d->stdin_pipe.data = d;
	d->stdin_open = true;
	if (uv_pipe_open(&d->stdin_pipe, STDIN_FILENO) != 0 || uv_read_start((uv_stream_t *)&d->stdin_pipe, on_stdin_alloc, on_stdin) != 0)
		return error_set(e, STATUS_INVALID, "service.stop_on_stdin_eof", "start the daemon with a pipe as standard input",
				 "standard input is not a pipe");
	return STATUS_OK;
}

static enum status listen_all(struct daemon *d, struct error *e)
{
	const struct config *c = &d->settings->config;
	char path[PATH_MAX + 16];
	enum status status = STATUS_OK;
	snprintf(path, sizeof path, "%s/spiked.sock", endpoint_directory(d->endpoint));
	if (strcmp(c->listen_ipc, "off") != 0)
		status = listener_ipc(d, strcmp(c->listen_ipc, "auto") == 0 ? path : c->listen_ipc, strcmp(c->access_others, "none") == 0 ? 0600 : 0666, e);
	if (!status && strcmp(c->listen_tcp, "off") != 0)
		status = listener_tcp(d, c->listen_tcp, e);
	return status;
}

static enum status publish(struct daemon *d, struct error *e)
{
	json_t *content = json_pack("{s:i, s:i, s:s}", "version", MESSAGE_VERSION, "pid", (int)getpid(), "token", d->token);
	for (struct listener *l = d->listeners; l; l = l->next)
		json_object_set_new(content, strncmp(l->url, "ipc", 3) == 0 ? "ipc" : "tcp", json_string(l->url));
	enum status status = endpoint_publish(d->endpoint, content, e);
	json_decref(content);
	return status;
}

static char *find_helper(const char *setting)
{
	char path[PATH_MAX];
	if (strcmp(setting, "auto") != 0)
		return strdup(setting);
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 16);
	if (n <= 0)
		return strdup("spiked-h5");
	path[n] = '\0';
	char *slash = strrchr(path, '/');
	strcpy(slash ? slash + 1 : path, "spiked-h5");
	return strdup(path);
}

static enum status start(struct daemon *d, struct error *e)
{
	const struct config *c = &d->settings->config;
	d->threads = c->compute_threads ? (size_t)c->compute_threads : team_available();
	d->lanes = (size_t)c->compute_lanes < d->threads ? (size_t)c->compute_lanes : d->threads;
	d->helper_path = find_helper(c->helper_path);
	d->stats = calloc(noperations, sizeof *d->stats);
	d->results = results_new();
	d->recordings = recording_cache_new();
	d->noise = noise_cache_new();
	d->fits = noise_cache_new();
	d->shared = shared_memory_new((size_t)d->settings->config.memory_shared_bytes);
	if (!d->helper_path || !d->stats || !d->results || !d->recordings || !d->noise || !d->fits)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	enum status status = endpoint_open(&d->endpoint, c->listen_runtime_dir, e);
	if (!status)
		status = compiler_start(d, e);
	if (!status)
		status = endpoint_token(d->token, e);
	if (!status)
		status = listen_all(d, e);
	if (!status)
		status = watch_stdin(d, e);
	if (!status)
		status = publish(d, e);
	return status;
}

static void init_handles(struct daemon *d)
{
	uv_loop_init(&d->loop);
	init_timer(d, &d->sweep);
	init_timer(d, &d->deadline);
	init_timer(d, &d->stop_timer);
	uv_timer_start(&d->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
	watch_signal(d, &d->sigterm, SIGTERM, on_stop_signal);
	watch_signal(d, &d->sigint, SIGINT, on_stop_signal);
	watch_signal(d, &d->sighup, SIGHUP, on_reload_signal);
}

static void free_daemon(struct daemon *d)
{
	results_free(d->results);
	lru_free(d->recordings);
	lru_free(d->noise);
	lru_free(d->fits);
	shared_memory_free(d->shared);
	programs_free(d->programs);
	registry_free(d->registry);
	fiber_drain();
	block_sweep(UINT64_MAX);
	endpoint_close(d->endpoint);
	settings_unref(d->settings);
	free(d->stats);
	free(d->helper_path);
	free(d);
}

int daemon_run(struct config *config, const struct daemon_options *options)
{
	struct daemon *d = calloc(1, sizeof *d);
	struct settings *settings = calloc(1, sizeof *settings);
	struct error e;
	if (!d || !settings)
		return 1;
	atomic_init(&settings->refs, 1);
	settings->config = *config;
	d->settings = settings;
	d->config_file = options->config_file;
	d->sets = options->sets;
	d->nsets = options->nsets;
	d->started_ns = clock_ns();
	char threads[16];
	snprintf(threads, sizeof threads, "%lld", (long long)settings->config.compute_io_threads);
	setenv("UV_THREADPOOL_SIZE", threads, 1);
	init_handles(d);
	enum status status = start(d, &e);
	d->scheduler = scheduler_start(&d->loop, d->lanes ? d->lanes : 1, d->threads ? d->threads : 1, daemon_on_back, d);
	if (!d->scheduler)
		abort(); /* no thread can be made at start: nothing can be done */
	if (status) {
		log_error("cannot start", "option=%s error=\"%s\" hint=\"%s\"", e.field, e.message, e.hint);
		listeners_close(d);
		end(d);
	} else {
		d->ready = true;
		log_info("ready", "version=%s pid=%d threads=%zu lanes=%zu runtime_dir=%s", SPIKED_VERSION, (int)getpid(), d->threads, d->lanes,
			 endpoint_directory(d->endpoint));
		notify_manager("READY=1");
	}
	uv_run(&d->loop, UV_RUN_DEFAULT);
	/* Leak checks stay honest only if every handle is closed. */
	int busy = uv_loop_close(&d->loop);
	if (busy)
		log_error("handles are left open", "error=%s", uv_strerror(busy));
	uv_library_shutdown();
	log_info("stopped", "");
	free_daemon(d);
	return status ? 1 : 0;
}
