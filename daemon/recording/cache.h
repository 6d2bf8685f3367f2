/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Recordings kept open between requests, found by name, checked by inode, size and mtime at each use. Any thread; may block while the
 * helper runs, so only I/O threads call recording_cache_open.
 */
#ifndef DAEMON_RECORDING_CACHE_H
#define DAEMON_RECORDING_CACHE_H

#include "daemon/lru.h"
#include "daemon/recording/recording.h"

struct lru *recording_cache_new(void);

/* The recording of that name, from the cache or newly opened; the caller unrefs it. `roots`: directories it must lie in; `capacity`: how many to
 * keep, the one that was used longest ago goes first. */
enum status recording_cache_open(struct lru *cache, const struct recording_name *name, const char *roots, size_t capacity,
				 const struct helper_limits *helper, struct recording **out, struct error *e);

#endif
