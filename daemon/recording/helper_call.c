/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/recording/helper_call.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FIRST_BUFFER = 64 << 10, PROGRESS_BYTES = 4096, PROGRESS_NAME = 256, ABOVE = 10, LAST_FD = 4, PIPE_BYTES = 1 << 20 };

struct run {
	pid_t pid;
	int to, from;      /* our ends of stdin and stdout, non-blocking; -1 when closed */
	int progress;      /* memory the helper names objects in */
	int64_t deadline_ms;
	uint8_t *out;
	size_t nout, capacity;
	bool expired, too_much;
};

static int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* ---- starting ---- */

/* The child's descriptors are first moved out of the way of the numbers they will get. */
static int move_up(int *fd)
{
	int high = fcntl(*fd, F_DUPFD_CLOEXEC, ABOVE);
	close_fd(fd);
	*fd = high;
	return high;
}

static int add_actions(posix_spawn_file_actions_t *actions, int in, int out, int data, int progress)
{
	int error = posix_spawn_file_actions_adddup2(actions, in, STDIN_FILENO);
	if (!error)
		error = posix_spawn_file_actions_adddup2(actions, out, STDOUT_FILENO);
	if (!error)
		error = posix_spawn_file_actions_adddup2(actions, data, 3);
	if (!error)
		error = posix_spawn_file_actions_adddup2(actions, progress, LAST_FD);
#if defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 34)
	if (!error) /* every descriptor of ours is close-on-exec; this is for those of libraries */
		error = posix_spawn_file_actions_addclosefrom_np(actions, LAST_FD + 1);
#endif
#endif
	return error;
}

/* The daemon's threads block signals and ignore SIGPIPE; the helper starts without either. */
static int add_attributes(posix_spawnattr_t *attr)
{
	sigset_t none, all;
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_setsigmask(attr, &none);
	posix_spawnattr_setsigdefault(attr, &all);
	return posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

static int spawn(struct run *r, const struct helper_limits *limits, const struct helper_call *call, int in, int out, int data)
{
	char ninput[24], memory[24], cpu[24], library[1024] = "LD_LIBRARY_PATH=";
	size_t n = 0;
	for (size_t i = 0; i < call->nin; i++)
		n += call->in[i].iov_len;
	snprintf(ninput, sizeof ninput, "%zu", n);
	snprintf(memory, sizeof memory, "%zu", limits->memory ? limits->memory + call->more_memory : 0);
	snprintf(cpu, sizeof cpu, "%d", (limits->timeout_ms + call->more_ms) / 1000 + 2);
	char *argv[] = { (char *)"spiked-h5", (char *)call->command, ninput, memory, cpu, NULL };
	const char *path = getenv("LD_LIBRARY_PATH");
	char *env[] = { library, NULL }; /* no HDF5_* variable reaches the library */
	if (path && (size_t)snprintf(library, sizeof library, "LD_LIBRARY_PATH=%s", path) >= sizeof library)
		return E2BIG;
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	int error = add_actions(&actions, in, out, data, r->progress);
	if (!error)
		error = add_attributes(&attr);
	if (!error)
		error = posix_spawn(&r->pid, limits->path, &actions, &attr, argv, path ? env : env + 1);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return error;
}

static enum status start(struct run *r, const struct helper_limits *limits, const struct helper_call *call, struct error *e)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, data = fcntl(call->fd, F_DUPFD_CLOEXEC, ABOVE), error = 0;
	*r = (struct run){ .pid = -1, .to = -1, .from = -1, .progress = memfd_create("spiked-h5", MFD_CLOEXEC) };
	/* A socket and not a pipe on stdin: MSG_NOSIGNAL, whatever the process does with SIGPIPE. */
	if (data < 0 || r->progress < 0 || ftruncate(r->progress, PROGRESS_BYTES) != 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) != 0 ||
	    pipe2(out, O_CLOEXEC) != 0 || move_up(&in[1]) < 0 || move_up(&out[1]) < 0 || move_up(&r->progress) < 0)
		error = errno;
	if (!error) {
		fcntl(in[0], F_SETFL, O_NONBLOCK);
		fcntl(out[0], F_SETFL, O_NONBLOCK);
		fcntl(out[1], F_SETPIPE_SZ, PIPE_BYTES);
		error = spawn(r, limits, call, in[1], out[1], data);
	}
	close_fd(&data);
	close_fd(&in[1]);
	close_fd(&out[1]);
	r->to = in[0];
	r->from = out[0];
	r->deadline_ms = now_ms() + limits->timeout_ms + call->more_ms;
	if (error)
		return error_set(e, STATUS_INTERNAL, NULL, "install spiked-h5 beside spiked, or set helper.path", "the HDF5 helper %s cannot be started: %s",
				 limits->path, strerror(error));
	return STATUS_OK;
}

/* ---- talking ---- */

/* Sends what fits; closes the way in when all is sent or nobody reads. */
static void feed(struct run *r, const struct helper_call *call, size_t *which, size_t *sent)
{
	while (*which < call->nin) {
		const struct iovec *v = &call->in[*which];
		ssize_t n = v->iov_len == *sent ? 0 : send(r->to, (const char *)v->iov_base + *sent, v->iov_len - *sent, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			break;
		*sent += (size_t)n;
		if (*sent == v->iov_len) {
			*sent = 0;
			++*which;
		}
	}
	close_fd(&r->to);
}

static bool grow(struct run *r, size_t max)
{
	if (r->nout < r->capacity)
		return true;
	size_t capacity = r->capacity ? 2 * r->capacity : FIRST_BUFFER;
	if (capacity > max + 1)
		capacity = max + 1; /* one byte more than allowed, to see that there is one */
	uint8_t *out = capacity > r->nout ? realloc(r->out, capacity) : NULL;
	if (!out)
		return false;
	r->out = out;
	r->capacity = capacity;
	return true;
}

/* Takes what is there; false at the end, or when it is too much. */
static bool drain(struct run *r, size_t max)
{
	for (;;) {
		if (!grow(r, max) || r->nout > max) {
			r->too_much = true;
			return false;
		}
		ssize_t n = read(r->from, r->out + r->nout, r->capacity - r->nout);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n <= 0)
			return false;
		r->nout += (size_t)n;
	}
}

static void talk(struct run *r, const struct helper_call *call)
{
	size_t which = 0, sent = 0;
	for (;;) {
		int64_t left = r->deadline_ms - now_ms();
		struct pollfd fds[2] = { { .fd = r->from, .events = POLLIN }, { .fd = r->to, .events = POLLOUT } };
		if (left <= 0) {
			r->expired = true;
			return;
		}
		if (poll(fds, 2, left > INT32_MAX ? INT32_MAX : (int)left) < 0 && errno != EINTR)
			return;
		if (r->to >= 0 && fds[1].revents)
			feed(r, call, &which, &sent);
		if (fds[0].revents && !drain(r, call->max_output))
			return;
	}
}

/* Waits for the end, until the deadline; then it is killed. Always reaps. */
static int reap(struct run *r)
{
	int wstatus = 0;
	if (r->expired || r->too_much)
		kill(r->pid, SIGKILL);
	for (int tries = 0;; tries++) {
		pid_t got = waitpid(r->pid, &wstatus, r->expired || r->too_much ? 0 : WNOHANG);
		if (got == r->pid)
			return wstatus;
		if (got < 0 && errno != EINTR)
			return 0; /* someone else reaped it: believe the answer */
		if (now_ms() >= r->deadline_ms && !r->expired) {
			r->expired = true;
			kill(r->pid, SIGKILL);
			continue;
		}
		const struct timespec pause = { 0, tries < 10 ? 50000 : 1000000 };
		nanosleep(&pause, NULL);
	}
}

/* ---- judging ---- */

static void object_name(const struct run *r, char out[PROGRESS_NAME])
{
	ssize_t n = pread(r->progress, out, PROGRESS_NAME - 1, 0);
	out[n > 0 ? n : 0] = '\0';
	for (char *p = out; *p; p++)
		if ((unsigned char)*p < ' ' || (unsigned char)*p > '~')
			*p = '?';
	if (!out[0])
		strcpy(out, "the file");
}

static enum status judge(const struct run *r, int wstatus, const struct helper_limits *limits, const struct helper_call *call, struct error *e)
{
	static const char hint[] = "the file is probably damaged; copy it again from its source, or rewrite it with h5repack";
	char object[PROGRESS_NAME];
	object_name(r, object);
	if (r->expired)
		return error_set(e, STATUS_CORRUPT, "file", "damaged files can take for ever; for a very large index raise helper.timeout",
				 "the HDF5 helper did not answer within %d ms while reading %s", limits->timeout_ms + call->more_ms, object);
	if (r->too_much)
		return error_set(e, STATUS_CORRUPT, "file", hint, "the HDF5 helper answered more than %zu bytes while reading %s", call->max_output, object);
	if (WIFSIGNALED(wstatus) && (WTERMSIG(wstatus) == SIGXCPU || WTERMSIG(wstatus) == SIGKILL))
		return error_set(e, STATUS_CORRUPT, "file", hint, "the HDF5 helper used up its CPU time or was killed while reading %s", object);
	if (WIFSIGNALED(wstatus))
		return error_set(e, STATUS_CORRUPT, "file", hint, "the HDF5 helper ended with signal %d (%s) while reading %s", WTERMSIG(wstatus),
				 strsignal(WTERMSIG(wstatus)), object);
	if (WIFEXITED(wstatus) && WEXITSTATUS(wstatus) == 127)
		return error_set(e, STATUS_INTERNAL, NULL, "is libhdf5 installed?", "the HDF5 helper %s cannot be run", limits->path);
	if (!WIFEXITED(wstatus) || WEXITSTATUS(wstatus) != 0)
		return error_set(e, STATUS_CORRUPT, "file", hint, "the HDF5 helper ended with status %d while reading %s", WEXITSTATUS(wstatus), object);
	return STATUS_OK;
}

static void finish(struct run *r)
{
	close_fd(&r->to);
	close_fd(&r->from);
	close_fd(&r->progress);
}

enum status helper_ask(const struct helper_limits *limits, const struct helper_call *call, struct helper_reply *reply, struct error *e)
{
	struct run r;
	memset(reply, 0, sizeof *reply);
	enum status status = start(&r, limits, call, e);
	if (!status) {
		talk(&r, call);
		close_fd(&r.to);
		status = judge(&r, reap(&r), limits, call, e);
	}
	finish(&r);
	if (!status)
		return helper_reply_decode(reply, r.out, r.nout, e);
	free(r.out);
	return status;
}

enum status helper_ask_json(const struct helper_limits *limits, const char *command, int fd, json_t *params, size_t max_output,
			    struct helper_reply *reply, struct error *e)
{
	memset(reply, 0, sizeof *reply);
	char *text = params ? json_dumps(params, JSON_COMPACT) : NULL;
	json_decref(params);
	if (!text)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for a question to the HDF5 helper");
	const struct iovec in = { text, strlen(text) };
	const struct helper_call call = { .command = command, .fd = fd, .in = &in, .nin = 1, .max_output = max_output };
	enum status status = helper_ask(limits, &call, reply, e);
	free(text);
	return status;
}
