/* SPDX-License-Identifier: BSD-3-Clause
 *
 * spiked-h5: the only program of spiked in which libhdf5 runs. One process per question; the daemon starts it and reads one answer.
 *
 *   spiked-h5 COMMAND NBYTES MEMORY CPU_SECONDS < parameters > answer
 *
 * stdin holds NBYTES of parameters: a JSON object, or for write-nwb a message body with arrays. stdout gets one message body (SPEC.md 2).
 * Descriptor 3 is the data file (or the directory to write in), 4 a page of shared memory that names the object being looked at.
 */
#include "daemon/helper/h5.h"
#include "daemon/helper/index.h"
#include "daemon/helper/plugins.h"
#include "daemon/helper/progress.h"
#include "daemon/helper/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { DATA_FD = 3, PROGRESS_FD = 4, MAX_HEADER = 16 << 20 };

static const struct command {
	const char *name;
	enum status (*run)(const struct request *r, struct reply *reply, struct error *e);
	bool writes;
} commands[] = {
	{ "index", index_run, false },   { "read", read_run, false },         { "about", about_run, false },
	{ "write-nwb", write_run, true }, { "check-result", check_run, false },
};

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

/* Exactly n bytes of stdin, or NULL. */
static uint8_t *read_input(size_t n)
{
	uint8_t *input = malloc(n ? n : 1);
	for (size_t done = 0; input && done < n;) {
		ssize_t k = read(STDIN_FILENO, input + done, n - done);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return NULL;
		done += (size_t)k;
	}
	return input;
}

static enum status parse(const struct command *command, struct request *r, const uint8_t *input, size_t n, struct error *e)
{
	if (!input)
		return error_set(e, STATUS_IO, NULL, NULL, "the helper's parameters are incomplete");
	if (command->writes)
		return message_decode(&r->m, input, n, MAX_HEADER, e);
	r->m.header = json_loadb((const char *)input, n, JSON_REJECT_DUPLICATES, NULL);
	return json_is_object(r->m.header) ? STATUS_OK : error_set(e, STATUS_INTERNAL, NULL, NULL, "the helper's parameters are not a JSON object");
}

/* The one file that a writer makes is opened before the sandbox closes. */
static enum status open_output(struct request *r, struct error *e)
{
	const char *part = json_string_value(json_object_get(r->m.header, "part"));
	if (!part || !*part || strchr(part, '/'))
		return error_set(e, STATUS_INTERNAL, NULL, NULL, "bad name of a temporary file");
	r->output = openat(r->fd, part, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	if (r->output < 0)
		return error_set(e, STATUS_IO, "output", "is the folder writable?", "%s cannot be made: %s", part, strerror(errno));
	return STATUS_OK;
}

/* libhdf5 without plugins of its own finding, messages on stderr, and exit handlers (1.10 can crash in them). */
static enum status start_library(struct error *e)
{
	if (H5dont_atexit() < 0 || H5open() < 0 || H5Eset_auto2(H5E_DEFAULT, NULL, NULL) < 0 || H5PLset_loading_state(0) < 0)
		return error_set(e, STATUS_INTERNAL, NULL, NULL, "libhdf5 cannot be started");
	return STATUS_OK;
}

int main(int argc, char **argv)
{
	const struct command *command = argc == 5 ? find_command(argv[1]) : NULL;
	if (!command) {
		fprintf(stderr, "spiked-h5 is started by spiked, not by hand.\n");
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	struct error e = { 0 };
	struct reply reply;
	struct request request = { .fd = DATA_FD, .output = -1 };
	size_t ninput = strtoull(argv[2], NULL, 10);
	progress_init(PROGRESS_FD);
	enum status status = reply_init(&reply);
	uint8_t *input = read_input(ninput);
	if (!status)
		status = parse(command, &request, input, ninput, &e);
	if (!status && command->writes)
		status = open_output(&request, &e);
	if (!status)
		status = start_library(&e);
	if (!status) {
		plugins_load(json_string_value(json_object_get(request.m.header, "plugin_path")), json_object_get(request.m.header, "filters"));
		const struct sandbox sandbox = { strtoull(argv[3], NULL, 10), (unsigned)strtoul(argv[4], NULL, 10), command->writes ? DATA_FD : -1 };
		reply.sandbox = sandbox_enter(&sandbox);
		status = command->run(&request, &reply, &e);
	}
	e.status = status;
	if (status && !e.message[0])
		snprintf(e.message, sizeof e.message, "%s", status_text(status));
	_exit(reply_send(&reply, &e, STDOUT_FILENO) ? 0 : 1);
}
