/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

struct endpoint {
	char directory[PATH_MAX];
	int lock;
	bool published;
};

static void choose(const char *setting, char *out, size_t n)
{
	const char *run = getenv("XDG_RUNTIME_DIR");
	if (strcmp(setting, "auto") != 0)
		snprintf(out, n, "%s", setting);
	else if (run && *run)
		snprintf(out, n, "%s/spiked", run);
	else
		snprintf(out, n, "/tmp/spiked-%d", (int)geteuid());
}

/* mkdir -p; directories on the way get the default mode, the last one 0700. */
static int make_directory(char *path)
{
	for (char *p = path + 1; *p; p++)
		if (*p == '/') {
			*p = '\0';
			int failed = mkdir(path, 0777) != 0 && errno != EEXIST;
			*p = '/';
			if (failed)
				return -1;
		}
	return mkdir(path, 0700) != 0 && errno != EEXIST ? -1 : 0;
}

static enum status open_lock(struct endpoint *ep, struct error *e)
{
	char path[PATH_MAX + 16];
	snprintf(path, sizeof path, "%s/lock", ep->directory);
	ep->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (ep->lock < 0)
		return error_set(e, STATUS_IO, "listen.runtime_dir", NULL, "cannot open %s: %s", path, strerror(errno));
	if (flock(ep->lock, LOCK_EX | LOCK_NB) != 0)
		return error_set(e, STATUS_INVALID, "listen.runtime_dir", "use the daemon that runs, stop it, or give another listen.runtime_dir",
				 "another spiked runs in %s", ep->directory);
	return STATUS_OK;
}

enum status endpoint_open(struct endpoint **out, const char *setting, struct error *e)
{
	struct endpoint *ep = calloc(1, sizeof *ep);
	if (!ep)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	ep->lock = -1;
	char wanted[PATH_MAX];
	struct stat st;
	enum status status = STATUS_OK;
	choose(setting, wanted, sizeof wanted);
	if (make_directory(wanted) != 0 || !realpath(wanted, ep->directory) || lstat(ep->directory, &st) != 0)
		status = error_set(e, STATUS_IO, "listen.runtime_dir", NULL, "cannot make %s: %s", wanted, strerror(errno));
	else if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || st.st_mode & 022)
		status = error_set(e, STATUS_DENIED, "listen.runtime_dir", "give a directory of your own with mode 0700",
				   "%s is not a directory that only this user can write", ep->directory);
	else
		status = open_lock(ep, e);
	if (status) {
		endpoint_close(ep);
		return status;
	}
	*out = ep;
	return STATUS_OK;
}

const char *endpoint_directory(const struct endpoint *ep)
{
	return ep->directory;
}

enum status endpoint_token(char token[65], struct error *e)
{
	unsigned char bytes[32];
	if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
		return error_set(e, STATUS_IO, NULL, NULL, "no random bytes for the token: %s", strerror(errno));
	for (int i = 0; i < 32; i++)
		sprintf(token + 2 * i, "%02x", bytes[i]);
	return STATUS_OK;
}

enum status endpoint_publish(struct endpoint *ep, json_t *content, struct error *e)
{
	char temporary[PATH_MAX + 32], path[PATH_MAX + 32];
	snprintf(temporary, sizeof temporary, "%s/endpoint.json.part", ep->directory);
	snprintf(path, sizeof path, "%s/endpoint.json", ep->directory);
	unlink(temporary);
	int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return error_set(e, STATUS_IO, NULL, NULL, "cannot write %s: %s", temporary, strerror(errno));
	int failed = json_dumpfd(content, fd, JSON_INDENT(2)) != 0;
	failed |= close(fd) != 0;
	if (failed || rename(temporary, path) != 0)
		return error_set(e, STATUS_IO, NULL, NULL, "cannot write %s: %s", path, strerror(errno));
	ep->published = true;
	return STATUS_OK;
}

void endpoint_close(struct endpoint *ep)
{
	if (!ep)
		return;
	char path[PATH_MAX + 32];
	snprintf(path, sizeof path, "%s/endpoint.json", ep->directory);
	if (ep->published)
		unlink(path);
	if (ep->lock >= 0)
		close(ep->lock);
	free(ep);
}
