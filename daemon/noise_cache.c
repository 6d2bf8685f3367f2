/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/noise_cache.h"
#include "daemon/recording/recording.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CAPACITY = 256 };

struct entry {
	char *key;
	double *levels;
	size_t nchannels;
	struct entry *next; /* most recently used first */
};

struct noise_cache {
	pthread_mutex_t mu;
	struct entry *first;
	size_t count;
};

struct noise_cache *noise_cache_new(void)
{
	struct noise_cache *c = calloc(1, sizeof *c);
	if (c)
		pthread_mutex_init(&c->mu, NULL);
	return c;
}

static void free_entry(struct entry *e)
{
	free(e->key);
	free(e->levels);
	free(e);
}

void noise_cache_free(struct noise_cache *c)
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

char *noise_cache_key(const struct recording *r, const char *preprocess, bool scaled, unsigned long long seed)
{
	char *key;
	if (asprintf(&key, "%s\1%s\1%.17g\1%d\1%s\1%d\1%llu", r->fingerprint, r->stream, r->fs_hz, r->time_axis, preprocess, scaled, seed) < 0)
		return NULL;
	return key;
}

/* Under the lock: takes the entry out of the list. */
static struct entry *take(struct noise_cache *c, const char *key)
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

/* Under the lock. */
static void push(struct noise_cache *c, struct entry *e)
{
	e->next = c->first;
	c->first = e;
	c->count++;
}

bool noise_cache_get(struct noise_cache *c, const char *key, double *levels, size_t nchannels)
{
	pthread_mutex_lock(&c->mu);
	struct entry *e = take(c, key);
	bool found = e && e->nchannels == nchannels;
	if (found)
		memcpy(levels, e->levels, nchannels * sizeof *levels);
	if (e)
		push(c, e);
	pthread_mutex_unlock(&c->mu);
	return found;
}

static struct entry *drop_last(struct noise_cache *c)
{
	struct entry **last = &c->first;
	while ((*last)->next)
		last = &(*last)->next;
	struct entry *e = *last;
	*last = NULL;
	c->count--;
	return e;
}

void noise_cache_put(struct noise_cache *c, const char *key, const double *levels, size_t nchannels)
{
	struct entry *e = calloc(1, sizeof *e), *old, *dropped = NULL;
	if (!e)
		return;
	e->key = strdup(key);
	e->levels = malloc(nchannels * sizeof *levels);
	e->nchannels = nchannels;
	if (!e->key || !e->levels) {
		free_entry(e);
		return;
	}
	memcpy(e->levels, levels, nchannels * sizeof *levels);
	pthread_mutex_lock(&c->mu);
	old = take(c, key);
	push(c, e);
	if (c->count > CAPACITY)
		dropped = drop_last(c);
	pthread_mutex_unlock(&c->mu);
	if (old)
		free_entry(old);
	if (dropped)
		free_entry(dropped);
}
