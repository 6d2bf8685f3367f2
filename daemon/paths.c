/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Is `path` at or below `root`? Both are resolved: absolute, without links, "." or "..". */
static bool below(const char *root, const char *path)
{
	size_t n = strlen(root);
	return strcmp(root, "/") == 0 || (strncmp(root, path, n) == 0 && (path[n] == '/' || path[n] == '\0'));
}

/* Opens `path` (resolved) through its root, so that nothing that changes meanwhile can lead outside: RESOLVE_BENEATH without links. */
static int open_beneath(const char *root, const char *path, int flags)
{
	int rootfd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (rootfd < 0)
		return -1;
	const char *relative = strcmp(root, "/") == 0 ? path + 1 : path + strlen(root);
	while (*relative == '/')
		relative++;
	struct open_how how = { .flags = (unsigned)flags, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
	int fd = (int)syscall(SYS_openat2, rootfd, *relative ? relative : ".", &how, sizeof how);
	if (fd < 0 && errno == ENOSYS) {
		/* Linux before 5.6: the path is resolved already; refuse a link as the last part. */
		fd = openat(rootfd, *relative ? relative : ".", flags | O_NOFOLLOW);
	}
	int saved = errno;
	close(rootfd);
	errno = saved;
	return fd;
}

static enum status open_resolved(const char *roots, const char *path, int flags, int *fd, const char *key, struct error *e)
{
	const char *at = roots;
	while (*at) {
		size_t n = strcspn(at, ":");
		char root[PATH_MAX], real[PATH_MAX];
		snprintf(root, sizeof root, "%.*s", (int)n, at);
		at += n + (at[n] == ':');
		if (!realpath(root, real) || !below(real, path))
			continue;
		*fd = open_beneath(real, path, flags);
		if (*fd >= 0)
			return STATUS_OK;
		return error_set(e, errno == EACCES ? STATUS_DENIED : STATUS_IO, "file", NULL, "cannot open %s: %s", path, strerror(errno));
	}
	return error_set(e, STATUS_DENIED, "file", key, "%s is outside the configured directories", path);
}

static enum status resolve(const char *path, char *resolved, struct error *e)
{
	if (path[0] != '/' || strlen(path) >= PATH_MAX)
		return error_set(e, STATUS_INVALID, "file", "give an absolute path", "%.200s is not an absolute path", path);
	if (realpath(path, resolved))
		return STATUS_OK;
	if (errno == ENOENT || errno == ENOTDIR)
		return error_set(e, STATUS_NOT_FOUND, "file", "check the path on the daemon's machine", "%s does not exist", path);
	return error_set(e, errno == EACCES ? STATUS_DENIED : STATUS_IO, "file", NULL, "cannot open %s: %s", path, strerror(errno));
}

enum status paths_open(const char *roots, const char *path, int *fd, char *resolved, struct error *e)
{
	enum status status = resolve(path, resolved, e);
	if (status)
		return status;
	/* O_NONBLOCK: a fifo must not hang the opener. */
	status = open_resolved(roots, resolved, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, fd,
			       "move the file, or add its directory to recordings.roots", e);
	if (status)
		return status;
	struct stat st;
	if (fstat(*fd, &st) == 0 && S_ISREG(st.st_mode))
		return STATUS_OK;
	close(*fd);
	return error_set(e, STATUS_INVALID, "file", NULL, "%s is not a regular file", path);
}

enum status paths_open_directory(const char *roots, const char *path, int *dirfd, const char **name, char *resolved, struct error *e)
{
	char directory[PATH_MAX];
	const char *slash = strrchr(path, '/');
	if (path[0] != '/' || strlen(path) >= sizeof directory || !slash[1])
		return error_set(e, STATUS_INVALID, "output.file", "give an absolute path", "%.200s is not an absolute path of a file", path);
	snprintf(directory, sizeof directory, "%.*s", slash == path ? 1 : (int)(slash - path), path);
	enum status status = resolve(directory, resolved, e);
	if (!status)
		status = open_resolved(roots, resolved, O_RDONLY | O_DIRECTORY | O_CLOEXEC, dirfd,
				       "choose another directory, or add this one to output.roots", e);
	if (status && e)
		snprintf(e->field, sizeof e->field, "output.file");
	*name = slash + 1;
	return status;
}
