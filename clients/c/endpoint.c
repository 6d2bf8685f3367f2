/* SPDX-License-Identifier: BSD-3-Clause */
#include "clients/c/endpoint.h"
#include "clients/c/spiked.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static void runtime_file(char *path, size_t n)
{
	const char *given = getenv("SPIKED_RUNTIME_DIR"), *run = getenv("XDG_RUNTIME_DIR");
	if (given && *given)
		snprintf(path, n, "%s/endpoint.json", given);
	else if (run && *run)
		snprintf(path, n, "%s/spiked/endpoint.json", run);
	else
		snprintf(path, n, "/tmp/spiked-%d/endpoint.json", (int)geteuid());
}

/* Someone else's file could send us to someone else's daemon. */
static json_t *load(const char *path)
{
	struct stat st;
	if (stat(path, &st) != 0 || st.st_uid != geteuid())
		return NULL;
	return json_load_file(path, 0, NULL);
}

/* nanomsg connects in the background for ever; a plain connect tells at once whether a daemon is there. */
static int try_socket(const char *url, char *error, size_t nerror)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = url + strlen("ipc://");
	if (strncmp(url, "ipc://", 6) != 0)
		return SPIKED_OK;
	if (strlen(path) >= sizeof address.sun_path) {
		snprintf(error, nerror, "the socket path is too long: %s", path);
		return SPIKED_INVALID;
	}
	strcpy(address.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int failed = fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0;
	if (failed)
		snprintf(error, nerror, "no daemon at %s: %s", url, strerror(errno));
	if (fd >= 0)
		close(fd);
	return failed ? SPIKED_NO_DAEMON : SPIKED_OK;
}

int endpoint_find(const char *url, const char *token, char **out_url, char **out_token, char *error, size_t nerror)
{
	char path[PATH_MAX];
	runtime_file(path, sizeof path);
	json_t *endpoint = load(path);
	if (!url)
		url = getenv("SPIKED_URL");
	if (!token)
		token = getenv("SPIKED_TOKEN");
	if (!url || !*url)
		url = json_string_value(json_object_get(endpoint, "ipc"));
	if (!url)
		url = json_string_value(json_object_get(endpoint, "tcp"));
	if (!token)
		token = json_string_value(json_object_get(endpoint, "token"));
	int status = SPIKED_OK;
	if (!url) {
		snprintf(error, nerror, "no daemon found: there is no %s. Start one with `spiked`, or give --url", path);
		status = SPIKED_NO_DAEMON;
	} else {
		*out_url = strdup(url);
		*out_token = token ? strdup(token) : NULL;
		status = *out_url ? try_socket(url, error, nerror) : SPIKED_NO_MEMORY;
	}
	json_decref(endpoint);
	return status;
}
