/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/compiler/object_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <llvm-c/blake3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	DIGEST = 32,
	NAME = 2 * DIGEST,
	CHECKSUM_AT = 24,
	HEADER = CHECKSUM_AT + DIGEST,
	MAX_FILE = 64 << 20,
	TOUCH_SECONDS = 60,      /* a hit writes the time it was used no more often */
	STALE_SECONDS = 3600,    /* a file half written that long ago will not be finished */
};
static const char magic[8] = { 's', 'p', 'k', 'o', 'b', 'j', '0', '1' };
static const char unfinished[] = "tmp-";

struct object_cache {
	int directory;
	uint64_t max_bytes;
	pthread_mutex_t mutex;   /* of what follows */
	struct object_cache_counts counts;
	uint64_t nwritten;       /* names of files that are being written */
};

/* --- hashes --- */

static void name_of(const char *key, size_t nkey, char name[NAME + 1])
{
	llvm_blake3_hasher hasher;
	uint8_t digest[DIGEST];
	llvm_blake3_hasher_init(&hasher);
	llvm_blake3_hasher_update(&hasher, key, nkey);
	llvm_blake3_hasher_finalize(&hasher, digest, sizeof digest);
	for (int i = 0; i < DIGEST; i++)
		snprintf(name + 2 * i, 3, "%02x", digest[i]);
}

/* Of a whole file, without the checksum that stands in it. */
static void checksum_of(const uint8_t *file, size_t n, uint8_t digest[DIGEST])
{
	llvm_blake3_hasher hasher;
	llvm_blake3_hasher_init(&hasher);
	llvm_blake3_hasher_update(&hasher, file, CHECKSUM_AT);
	llvm_blake3_hasher_update(&hasher, file + HEADER, n - HEADER);
	llvm_blake3_hasher_finalize(&hasher, digest, DIGEST);
}

static uint64_t number_at(const uint8_t *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof v);
	return v;
}

/* --- the directory --- */

static void add(struct object_cache *cache, uint64_t *counter, int64_t change)
{
	pthread_mutex_lock(&cache->mutex);
	*counter += (uint64_t)change;
	pthread_mutex_unlock(&cache->mutex);
}

static void shrink(struct object_cache *cache, uint64_t nbytes)
{
	pthread_mutex_lock(&cache->mutex);
	cache->counts.nbytes -= nbytes < cache->counts.nbytes ? nbytes : cache->counts.nbytes;
	pthread_mutex_unlock(&cache->mutex);
}

struct entry {
	char name[NAME + 1];
	struct timespec used;
	uint64_t nbytes;
};

struct listing {
	struct entry *entries;
	size_t n, capacity;
	uint64_t nbytes;
};

static bool list_add(struct listing *list, const char *name, const struct stat *st)
{
	if (list->n == list->capacity) {
		size_t capacity = list->capacity ? 2 * list->capacity : 256;
		struct entry *entries = realloc(list->entries, capacity * sizeof *entries);
		if (!entries)
			return false;
		list->entries = entries;
		list->capacity = capacity;
	}
	struct entry *entry = &list->entries[list->n++];
	memcpy(entry->name, name, NAME + 1);
	entry->used = st->st_mtim;
	entry->nbytes = (uint64_t)st->st_size;
	list->nbytes += entry->nbytes;
	return true;
}

static void list_file(struct object_cache *cache, struct listing *list, const char *name)
{
	struct stat st;
	if (fstatat(cache->directory, name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
		return;
	if (strlen(name) == NAME && strspn(name, "0123456789abcdef") == NAME)
		list_add(list, name, &st);
	else if (strncmp(name, unfinished, sizeof unfinished - 1) == 0 && st.st_mtim.tv_sec + STALE_SECONDS < time(NULL))
		unlinkat(cache->directory, name, 0);
}

static void list_directory(struct object_cache *cache, struct listing *list)
{
	int fd = openat(cache->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	for (struct dirent *entry; (entry = readdir(d));)
		list_file(cache, list, entry->d_name);
	closedir(d);
}

static int by_use(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	if (x->used.tv_sec != y->used.tv_sec)
		return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
	return (x->used.tv_nsec > y->used.tv_nsec) - (x->used.tv_nsec < y->used.tv_nsec);
}

static void evict(struct object_cache *cache)
{
	struct listing list = { 0 };
	uint64_t nevicted = 0;
	list_directory(cache, &list);
	if (list.n)
		qsort(list.entries, list.n, sizeof *list.entries, by_use);
	for (size_t i = 0; i < list.n && list.nbytes > cache->max_bytes; i++) {
		if (unlinkat(cache->directory, list.entries[i].name, 0) == 0)
			nevicted++;
		list.nbytes -= list.entries[i].nbytes;
	}
	free(list.entries);
	pthread_mutex_lock(&cache->mutex);
	cache->counts.nbytes = list.nbytes;
	cache->counts.evicted += nevicted;
	pthread_mutex_unlock(&cache->mutex);
}

static enum status check_directory(int fd, const char *directory, struct error *e)
{
	struct stat st;
	if (fstat(fd, &st))
		return error_set(e, STATUS_IO, NULL, NULL, "%s: %s", directory, strerror(errno));
	if (st.st_uid != geteuid())
		return error_set(e, STATUS_DENIED, NULL, NULL, "%s belongs to another user", directory);
	if (st.st_mode & 077)
		return error_set(e, STATUS_DENIED, NULL, "chmod 700", "%s is open to other users", directory);
	return STATUS_OK;
}

struct object_cache *object_cache_open(const char *directory, uint64_t max_bytes, struct error *e)
{
	if (mkdir(directory, 0700) && errno != EEXIST) {
		error_set(e, STATUS_IO, NULL, NULL, "cannot make %s: %s", directory, strerror(errno));
		return NULL;
	}
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		error_set(e, STATUS_DENIED, NULL, NULL, "cannot use %s: %s", directory, strerror(errno));
		return NULL;
	}
	struct object_cache *cache = NULL;
	if (check_directory(fd, directory, e) == STATUS_OK && !(cache = calloc(1, sizeof *cache)))
		error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	if (!cache) {
		close(fd);
		return NULL;
	}
	cache->directory = fd;
	cache->max_bytes = max_bytes;
	pthread_mutex_init(&cache->mutex, NULL);
	evict(cache);
	return cache;
}

void object_cache_close(struct object_cache *cache)
{
	if (!cache)
		return;
	close(cache->directory);
	pthread_mutex_destroy(&cache->mutex);
	free(cache);
}

void object_cache_counts(struct object_cache *cache, struct object_cache_counts *counts)
{
	*counts = (struct object_cache_counts){ 0 };
	if (!cache)
		return;
	pthread_mutex_lock(&cache->mutex);
	*counts = cache->counts;
	pthread_mutex_unlock(&cache->mutex);
}

/* --- reading --- */

static bool transfer(int fd, uint8_t *bytes, size_t n, bool out)
{
	while (n) {
		ssize_t done = out ? write(fd, bytes, n) : read(fd, bytes, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		bytes += done;
		n -= (size_t)done;
	}
	return true;
}

/* Is this the file of the key, unharmed? */
static bool is_sound(const uint8_t *file, size_t n, const char *key, size_t nkey)
{
	uint8_t digest[DIGEST];
	if (n < HEADER || memcmp(file, magic, sizeof magic) || number_at(file + 8) != nkey || n - HEADER < nkey ||
	    number_at(file + 16) != n - HEADER - nkey)
		return false;
	checksum_of(file, n, digest);
	return memcmp(file + CHECKSUM_AT, digest, DIGEST) == 0 && memcmp(file + HEADER, key, nkey) == 0;
}

static void touch(int fd, const struct stat *st)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	if (now.tv_sec - st->st_mtim.tv_sec >= TOUCH_SECONDS || now.tv_sec < st->st_mtim.tv_sec)
		futimens(fd, (const struct timespec[]){ now, now });
}

enum found { FOUND, ABSENT, DAMAGED };

/* The object's bytes at the front of *bytes. */
static enum found read_file(int fd, const struct stat *st, const char *key, size_t nkey, uint8_t **bytes, size_t *nbytes)
{
	if (!S_ISREG(st->st_mode) || st->st_uid != geteuid() || st->st_size < HEADER || st->st_size > MAX_FILE)
		return DAMAGED;
	size_t n = (size_t)st->st_size;
	uint8_t *file = malloc(n);
	if (!file)
		return ABSENT;
	if (!transfer(fd, file, n, false) || !is_sound(file, n, key, nkey)) {
		free(file);
		return DAMAGED;
	}
	*nbytes = n - HEADER - nkey;
	memmove(file, file + HEADER + nkey, *nbytes);
	*bytes = file;
	touch(fd, st);
	return FOUND;
}

bool object_cache_get(struct object_cache *cache, const char *key, uint8_t **bytes, size_t *nbytes)
{
	if (!cache)
		return false;
	char name[NAME + 1];
	size_t nkey = strlen(key);
	name_of(key, nkey, name);
	struct stat st = { 0 };
	int fd = openat(cache->directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	enum found found = fd < 0 ? (errno == ELOOP ? DAMAGED : ABSENT) : fstat(fd, &st) ? ABSENT : read_file(fd, &st, key, nkey, bytes, nbytes);
	if (fd >= 0)
		close(fd);
	if (found == DAMAGED && unlinkat(cache->directory, name, 0) == 0) {
		add(cache, &cache->counts.damaged, 1);
		shrink(cache, (uint64_t)st.st_size);
	}
	add(cache, found == FOUND ? &cache->counts.hits : &cache->counts.misses, 1);
	return found == FOUND;
}

/* --- writing --- */

static bool write_file(struct object_cache *cache, const char *temporary, const char *name, uint8_t *file, size_t n)
{
	int fd = openat(cache->directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	bool ok = transfer(fd, file, n, true) && fsync(fd) == 0;
	ok = close(fd) == 0 && ok;
	ok = ok && renameat(cache->directory, temporary, cache->directory, name) == 0;
	if (!ok)
		unlinkat(cache->directory, temporary, 0);
	return ok && fsync(cache->directory) == 0;
}

void object_cache_put(struct object_cache *cache, const char *key, const uint8_t *bytes, size_t nbytes)
{
	size_t nkey = strlen(key);
	if (!cache || nkey > MAX_FILE / 2 || nbytes > MAX_FILE / 2 - HEADER || HEADER + nkey + nbytes > cache->max_bytes)
		return;
	size_t n = HEADER + nkey + nbytes;
	uint8_t *file = malloc(n);
	if (!file)
		return;
	memcpy(file, magic, sizeof magic);
	memcpy(file + 8, &(uint64_t){ nkey }, 8);
	memcpy(file + 16, &(uint64_t){ nbytes }, 8);
	memcpy(file + HEADER, key, nkey);
	memcpy(file + HEADER + nkey, bytes, nbytes);
	checksum_of(file, n, file + CHECKSUM_AT);
	char name[NAME + 1], temporary[64];
	name_of(key, nkey, name);
	pthread_mutex_lock(&cache->mutex);
	snprintf(temporary, sizeof temporary, "%s%ld-%llu", unfinished, (long)getpid(), (unsigned long long)cache->nwritten++);
	pthread_mutex_unlock(&cache->mutex);
	bool stored = write_file(cache, temporary, name, file, n);
	free(file);
	if (!stored)
		return;
	add(cache, &cache->counts.stored, 1);
	pthread_mutex_lock(&cache->mutex);
	bool full = (cache->counts.nbytes += n) > cache->max_bytes;
	pthread_mutex_unlock(&cache->mutex);
	if (full)
		evict(cache);
}
