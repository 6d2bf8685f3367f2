/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/lru.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	char *key;
	void *value;
	struct entry *next; /* most recently used first */
};

struct lru {
	pthread_mutex_t mu; /* guards the list; values are freed outside of it */
	struct entry *first;
	size_t count;
	void (*free_value)(void *value);
};

struct lru *lru_new(void (*free_value)(void *value))
{
	struct lru *l = calloc(1, sizeof *l);
	if (!l)
		return NULL;
	pthread_mutex_init(&l->mu, NULL);
	l->free_value = free_value;
	return l;
}

static void free_list(struct lru *l, struct entry *e)
{
	while (e) {
		struct entry *next = e->next;
		l->free_value(e->value);
		free(e->key);
		free(e);
		e = next;
	}
}

void lru_free(struct lru *l)
{
	if (!l)
		return;
	free_list(l, l->first);
	pthread_mutex_destroy(&l->mu);
	free(l);
}

/* Under the lock: takes the entry out of the list. O(entries). */
static struct entry *take(struct lru *l, const char *key)
{
	for (struct entry **at = &l->first; *at; at = &(*at)->next)
		if (strcmp((*at)->key, key) == 0) {
			struct entry *found = *at;
			*at = found->next;
			found->next = NULL;
			l->count--;
			return found;
		}
	return NULL;
}

/* Under the lock. */
static void push(struct lru *l, struct entry *e)
{
	e->next = l->first;
	l->first = e;
	l->count++;
}

/* Under the lock: cuts the list behind `capacity` entries; returns the rest. */
static struct entry *cut(struct lru *l, size_t capacity)
{
	struct entry **at = &l->first;
	for (size_t i = 0; i < capacity && *at; i++)
		at = &(*at)->next;
	struct entry *rest = *at;
	*at = NULL;
	for (struct entry *e = rest; e; e = e->next)
		l->count--;
	return rest;
}

bool lru_use(struct lru *l, const char *key, bool (*use)(void *value, void *arg), void *arg)
{
	pthread_mutex_lock(&l->mu);
	struct entry *e = take(l, key);
	bool good = e && use(e->value, arg);
	if (good)
		push(l, e);
	pthread_mutex_unlock(&l->mu);
	if (!good)
		free_list(l, e);
	return good;
}

void lru_put(struct lru *l, const char *key, void *value, size_t capacity)
{
	struct entry *e = calloc(1, sizeof *e);
	char *copy = strdup(key);
	if (!e || !copy) {
		free(e);
		free(copy);
		l->free_value(value);
		return;
	}
	e->key = copy;
	e->value = value;
	pthread_mutex_lock(&l->mu);
	struct entry *old = take(l, key);
	push(l, e);
	struct entry *rest = cut(l, capacity);
	pthread_mutex_unlock(&l->mu);
	free_list(l, old);
	free_list(l, rest);
}

size_t lru_count(struct lru *l)
{
	pthread_mutex_lock(&l->mu);
	size_t n = l->count;
	pthread_mutex_unlock(&l->mu);
	return n;
}
