/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Object bytes on disk, by a key that names everything they depend on. The cache can only ever be missed: whatever is wrong with a file or the
 * disk, the caller compiles anew. Code is run from it, so the directory must be the daemon's own, and not a bit of a file is believed
 * before its checksum and its whole key have been compared.
 *
 * A file is named by the BLAKE3 hash of its key, 64 hexadecimal digits:
 *	0    8   magic and version, "spkobj01"
 *	8    8   bytes of the key
 *	16   8   bytes of the object
 *	24   32  BLAKE3 of bytes 0..23, the key and the object
 *	56       the key, then the object
 *
 * Several threads, and several daemons of one user, may use a directory at once.
 */
#ifndef COMPILER_OBJECT_CACHE_H
#define COMPILER_OBJECT_CACHE_H

#include "protocol/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct object_cache;

struct object_cache_counts {
	uint64_t hits, misses, stored;
	uint64_t damaged;                /* files found damaged, and removed */
	uint64_t evicted;
	uint64_t nbytes;                 /* on disk, as far as this process knows */
};

/* The directory is made (0700) if its parent exists. NULL, with the reason in *e, if it cannot be used or cannot be trusted: a link, another
 * owner, open to group or others. NULL is a cache that is off: all functions take it. */
struct object_cache *object_cache_open(const char *directory, uint64_t max_bytes, struct error *e);
void object_cache_close(struct object_cache *cache);

/* *bytes is malloc'ed. */
bool object_cache_get(struct object_cache *cache, const char *key, uint8_t **bytes, size_t *nbytes);

/* What cannot be stored is not; files not used for longest go when there is more than max_bytes. */
void object_cache_put(struct object_cache *cache, const char *key, const uint8_t *bytes, size_t nbytes);

void object_cache_counts(struct object_cache *cache, struct object_cache_counts *counts);

#endif
