/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Noise levels that were measured, kept for the next request: the same file as it is now, stream, preprocessing and seed give the same levels,
 * and measuring them costs as much as detecting in ten seconds of recording. The same for numbers of stages (fit_job.h). Any thread.
 */
#ifndef DAEMON_NOISE_CACHE_H
#define DAEMON_NOISE_CACHE_H

#include "daemon/lru.h"

#include <stdint.h>

struct recording;
struct noise_wanted;

struct lru *noise_cache_new(void);

/* What levels depend on, as one text (malloc'ed, NULL without memory). `preprocess`: canonical JSON of the stages; arrays: digest
 * of what came with them. */
char *noise_cache_key(const struct recording *r, const char *preprocess, uint64_t arrays, const struct noise_wanted *wanted);

/* Copies [nchannels] levels out, if they are known. */
bool noise_cache_get(struct lru *cache, const char *key, double *levels, size_t nchannels);

/* Calls use(levels, how many, arg) under the cache's lock, if they are known; true keeps them. */
bool noise_cache_use(struct lru *cache, const char *key, bool (*use)(const double *levels, size_t n, void *arg), void *arg);

/* Keeps a copy; at most `capacity` stay. */
void noise_cache_put(struct lru *cache, const char *key, const double *levels, size_t n, size_t capacity);
enum { NOISE_KEPT = 256 };

#endif
