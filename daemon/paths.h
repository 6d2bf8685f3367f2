/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Files that clients name, kept below configured directories. Any thread.
 */
#ifndef DAEMON_PATHS_H
#define DAEMON_PATHS_H

#include "protocol/error.h"

/* Opens an existing regular file for reading, below one of `roots` (separated by ':'); symbolic links may not lead out of it.
 * `path` must be absolute. The resolved path is written to `resolved` (PATH_MAX). */
enum status paths_open(const char *roots, const char *path, int *fd, char *resolved, struct error *e);

/* For a result file: opens its directory (which must exist) below one of `roots`; *name points at the last part of `path`. */
enum status paths_open_directory(const char *roots, const char *path, int *dirfd, const char **name, char *resolved, struct error *e);

#endif
