/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/noise_cache.h"
#include "daemon/noise_job.h"
#include "daemon/recording/recording.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct levels {
	size_t n;
	double of[];
};

struct lru *noise_cache_new(void)
{
	return lru_new(free);
}

char *noise_cache_key(const struct recording *r, const char *preprocess, uint64_t arrays, const struct noise_wanted *w)
{
	char *key = NULL;
	if (asprintf(&key, "%s\1%s\1%.17g\1%d\1%s\1%016llx\1%d\1%d\1%d\1%d\1%llu", r->fingerprint, r->stream, r->fs_hz, r->time_axis, preprocess,
		     (unsigned long long)arrays, w->scaled, w->spec->exact, w->method, w->whole, (unsigned long long)w->seed) < 0)
		return NULL;
	return key;
}

struct user {
	bool (*use)(const double *levels, size_t n, void *arg);
	void *arg;
};

static bool use_levels(void *value, void *arg)
{
	const struct levels *l = value;
	const struct user *u = arg;
	return u->use(l->of, l->n, u->arg);
}

bool noise_cache_use(struct lru *cache, const char *key, bool (*use)(const double *levels, size_t n, void *arg), void *arg)
{
	return lru_use(cache, key, use_levels, &(struct user){ use, arg });
}

struct copy {
	double *to;
	size_t nchannels;
};

static bool copy_out(const double *levels, size_t n, void *arg)
{
	struct copy *c = arg;
	if (n != c->nchannels)
		return false;
	memcpy(c->to, levels, n * sizeof *c->to);
	return true;
}

bool noise_cache_get(struct lru *cache, const char *key, double *levels, size_t nchannels)
{
	return noise_cache_use(cache, key, copy_out, &(struct copy){ levels, nchannels });
}

void noise_cache_put(struct lru *cache, const char *key, const double *levels, size_t n, size_t capacity)
{
	struct levels *l = malloc(sizeof *l + n * sizeof *levels);
	if (!l)
		return;
	l->n = n;
	memcpy(l->of, levels, n * sizeof *levels);
	lru_put(cache, key, l, capacity);
}
