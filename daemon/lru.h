/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Things kept by a text key, the one used longest ago making room for the next. Any thread.
 */
#ifndef DAEMON_LRU_H
#define DAEMON_LRU_H

#include <stdbool.h>
#include <stddef.h>

struct lru;

struct lru *lru_new(void (*free_value)(void *value));
void lru_free(struct lru *l);

/* Looks the key up; if it is there calls use(value, arg) under the lock: true keeps it (and says so), false drops it as no longer good. */
bool lru_use(struct lru *l, const char *key, bool (*use)(void *value, void *arg), void *arg);

/* Keeps the value, which belongs to the cache from here on, in place of an older one of that key; at most `capacity` stay. Without memory the value is
 * freed. */
void lru_put(struct lru *l, const char *key, void *value, size_t capacity);

size_t lru_count(struct lru *l);

#endif
