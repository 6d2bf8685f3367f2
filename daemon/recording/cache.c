/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/recording/cache.h"
#include "daemon/paths.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct entry {
	char *key;               /* everything that names the recording, the resolved path first */
	struct recording *recording;
	struct entry *next;      /* most recently used first */
};

struct recording_cache {
	pthread_mutex_t mu;      /* guards the list; never held while a helper runs */
	struct entry *first;
	size_t count;
};

struct recording_cache *recording_cache_new(void)
{
	struct recording_cache *c = calloc(1, sizeof *c);
	if (c)
		pthread_mutex_init(&c->mu, NULL);
	return c;
}

static void free_entry(struct entry *entry)
{
	recording_unref(entry->recording);
	free(entry->key);
	free(entry);
}

void recording_cache_free(struct recording_cache *c)
{
	if (!c)
		return;
	while (c->first) {
		struct entry *next = c->first->next;
		free_entry(c->first);
		c->first = next;
	}
	pthread_mutex_destroy(&c->mu);
	free(c);
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

/* Under the lock: takes the entry out of the list. */
static struct entry *unlink_key(struct recording_cache *c, const char *key)
{
	for (struct entry **at = &c->first; *at; at = &(*at)->next)
		if (strcmp((*at)->key, key) == 0) {
			struct entry *found = *at;
			*at = found->next;
			c->count--;
			return found;
		}
	return NULL;
}

static void push(struct recording_cache *c, struct entry *entry)
{
	entry->next = c->first;
	c->first = entry;
	c->count++;
}

static struct recording *find(struct recording_cache *c, const char *key)
{
	struct recording *found = NULL;
	pthread_mutex_lock(&c->mu);
	struct entry *entry = unlink_key(c, key), *stale = NULL;
	if (entry && recording_stale(entry->recording)) {
		stale = entry;
	} else if (entry) {
		push(c, entry);
		found = recording_ref(entry->recording);
	}
	pthread_mutex_unlock(&c->mu);
	if (stale)
		free_entry(stale);
	return found;
}

/* Keeps the recording under the key, which it takes over. Two threads may have opened the same one: the last stays. */
static void keep(struct recording_cache *c, char *key, struct recording *r, size_t capacity)
{
	struct entry *entry = calloc(1, sizeof *entry), *dropped = NULL;
	if (!entry) {
		free(key);
		return;
	}
	entry->key = key;
	entry->recording = recording_ref(r);
	pthread_mutex_lock(&c->mu);
	dropped = unlink_key(c, key);
	if (dropped)
		dropped->next = NULL;
	push(c, entry);
	while (c->count > capacity) {
		struct entry **last = &c->first;
		while ((*last)->next)
			last = &(*last)->next;
		struct entry *oldest = *last;
		*last = NULL;
		c->count--;
		oldest->next = dropped;
		dropped = oldest;
	}
	pthread_mutex_unlock(&c->mu);
	while (dropped) {
		struct entry *next = dropped->next;
		free_entry(dropped);
		dropped = next;
	}
}

enum status recording_cache_open(struct recording_cache *c, const struct recording_name *name, const char *roots, size_t capacity,
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
	*out = find(c, key);
	if (*out) {
		close(fd);
		free(key);
		return STATUS_OK;
	}
	struct recording_name full = *name;
	full.file = resolved;
	status = recording_open(out, &full, fd, helper, e);
	if (status)
		free(key);
	else
		keep(c, key, *out, capacity);
	return status;
}

size_t recording_cache_count(struct recording_cache *c)
{
	pthread_mutex_lock(&c->mu);
	size_t n = c->count;
	pthread_mutex_unlock(&c->mu);
	return n;
}
