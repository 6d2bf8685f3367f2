/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/helper/publish.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Some file systems cannot rename without replacing; there a moment stays in which another's file could be replaced. */
static int rename_new(int dir, const char *part, const char *name)
{
	struct stat st;
	if (renameat2(dir, part, dir, name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return -1;
	}
	return renameat(dir, part, dir, name);
}

enum status publish(int dir, int fd, const char *part, const char *name, bool replace, struct error *e)
{
	if (fsync(fd) != 0)
		return error_set(e, STATUS_IO, "output", "is there space left?", "%s cannot be written: %s", name, strerror(errno));
	if ((replace ? renameat(dir, part, dir, name) : rename_new(dir, part, name)) != 0) {
		if (errno == EEXIST)
			return error_set(e, STATUS_INVALID, "output", "remove it, or ask for it to be replaced", "%s exists already", name);
		return error_set(e, STATUS_IO, "output", NULL, "%s cannot be renamed: %s", name, strerror(errno));
	}
	/* Some network file systems cannot sync a directory; the rename itself has been done. */
	if (fsync(dir) != 0 && errno != EINVAL)
		return error_set(e, STATUS_IO, "output", NULL, "the folder of %s cannot be synced: %s", name, strerror(errno));
	return STATUS_OK;
}

void publish_discard(int dir, const char *part)
{
	unlinkat(dir, part, 0);
}
