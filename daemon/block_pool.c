/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/block_pool.h"
#include "daemon/clock.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Below LARGE malloc is as good. Large ones are whole huge pages. */
enum { LARGE = 1 << 20, HUGE_PAGE = 2 << 20 };
static const size_t most_bytes = (size_t)512 << 20;
static const uint64_t keep_ns = UINT64_C(3000000000);

/* Written into the block itself while it is kept. */
struct kept {
	struct kept *next;
	size_t capacity;
	uint64_t given_ns;
};

static struct {
	pthread_mutex_t mu;
	struct kept *first;          /* given last first */
	size_t nbytes;
} pool = { .mu = PTHREAD_MUTEX_INITIALIZER };

/* 0: too much for any memory. */
static size_t capacity_of(size_t nbytes)
{
	return nbytes > SIZE_MAX / 2 ? 0 : (nbytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
}

/* The range is cut out of a larger one so that it begins with a huge page. */
static void *map(size_t capacity)
{
	size_t wide = capacity + HUGE_PAGE;
	uint8_t *at = mmap(NULL, wide, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED)
		return NULL;
	size_t before = -(uintptr_t)at & (HUGE_PAGE - 1);
	if (before)
		munmap(at, before);
	if (before < HUGE_PAGE)
		munmap(at + before + capacity, HUGE_PAGE - before);
	madvise(at + before, capacity, MADV_HUGEPAGE); /* a wish */
	return at + before;
}

static void *take_kept(size_t capacity)
{
	pthread_mutex_lock(&pool.mu);
	struct kept **at = &pool.first;
	while (*at && (*at)->capacity != capacity)
		at = &(*at)->next;
	struct kept *found = *at;
	if (found) {
		*at = found->next;
		pool.nbytes -= capacity;
	}
	pthread_mutex_unlock(&pool.mu);
	return found;
}

void *block_take(size_t nbytes)
{
	size_t capacity = capacity_of(nbytes);
	if (nbytes < LARGE)
		return aligned_alloc(64, (nbytes + 64) / 64 * 64);
	void *block = capacity ? take_kept(capacity) : NULL;
	return block || !capacity ? block : map(capacity);
}

void block_give(void *block, size_t nbytes)
{
	size_t capacity = capacity_of(nbytes);
	if (!block || nbytes < LARGE) {
		free(block);
		return;
	}
	pthread_mutex_lock(&pool.mu);
	bool keep = pool.nbytes + capacity <= most_bytes;
	if (keep) {
		struct kept *k = block;
		*k = (struct kept){ pool.first, capacity, clock_ns() };
		pool.first = k;
		pool.nbytes += capacity;
	}
	pthread_mutex_unlock(&pool.mu);
	if (!keep)
		munmap(block, capacity);
}

void block_sweep(uint64_t now_ns)
{
	pthread_mutex_lock(&pool.mu);
	struct kept **at = &pool.first;
	while (*at && now_ns != UINT64_MAX && ((*at)->given_ns > now_ns || now_ns - (*at)->given_ns < keep_ns))
		at = &(*at)->next;
	struct kept *old = *at; /* with all behind it: they were given earlier */
	*at = NULL;
	for (struct kept *k = old; k; k = k->next)
		pool.nbytes -= k->capacity;
	pthread_mutex_unlock(&pool.mu);
	while (old) {
		struct kept *next = old->next;
		munmap(old, old->capacity);
		old = next;
	}
}
