/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/recording/cache.h"
#include "daemon/paths.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void unref(void *value)
{
	recording_unref(value);
}

struct lru *recording_cache_new(void)
{
	return lru_new(unref);
}

static char *key_of(const struct recording_name *n, const char *resolved)
{
	char *key;
	/* \1 cannot be part of a sane path, and two names that differ in any part differ here. */
	if (asprintf(&key, "%s\1%s\1%s\1%.17g\1%d\1%.17g\1%.17g", resolved, n->stream ? n->stream : "", n->dataset ? n->dataset : "", n->fs_hz,
		     n->time_axis, n->gain_uv, n->offset_uv) < 0)
		return NULL;
	return key;
}

static bool take_if_fresh(void *value, void *arg)
{
	struct recording **out = arg;
	if (recording_stale(value))
		return false;
	*out = recording_ref(value);
	return true;
}

enum status recording_cache_open(struct lru *cache, const struct recording_name *name, const char *roots, size_t capacity,
				 const struct helper_limits *helper, struct recording **out, struct error *e)
{
	char resolved[PATH_MAX];
	int fd;
	/* The roots are checked on every use: a reload may have narrowed them. */
	enum status status = paths_open(roots, name->file, &fd, resolved, e);
	if (status)
		return status;
	char *key = key_of(name, resolved);
	if (!key) {
		close(fd);
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	}
	if (lru_use(cache, key, take_if_fresh, out)) {
		close(fd);
		free(key);
		return STATUS_OK;
	}
	struct recording_name full = *name;
	full.file = resolved;
	full.roots = roots;
	status = recording_open(out, &full, fd, helper, e);
	/* Two threads may have opened the same one: the last stays. */
	if (!status)
		lru_put(cache, key, recording_ref(*out), capacity);
	free(key);
	return status;
}
