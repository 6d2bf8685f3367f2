/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Memory of a running kernel: each array is one block from malloc's family, chained to its context, newest first, so that releasing an
 * iteration's memory is popping. Popped blocks wait for the next iteration, which asks for the same sizes; what waits is bounded and
 * counts no more as used. Zeroing is memset: with fresh pages it costs what their first write costs in any case.
 */
#include "kernels/compiler/runtime.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64, MOST_SPARES = 8 };
static const size_t most_spare_bytes = 8 << 20; /* of one context */

struct block {
	struct block *older;
	void *data;
	size_t nbytes, capacity; /* counted as used; there really */
};

struct kernel_memory {
	struct block *live, *spare; /* newest first */
	unsigned nspares;
	size_t spare_bytes;
};

/* --- the call's budget --- */

static bool count(struct kernel_call *call, size_t nbytes)
{
	if (nbytes <= call->memory_limit) {
		size_t before = atomic_fetch_add(&call->memory_used, nbytes);
		if (before <= call->memory_limit - nbytes)
			return true;
		atomic_fetch_sub(&call->memory_used, nbytes);
	}
	return false;
}

static void uncount(struct kernel_call *call, size_t nbytes)
{
	atomic_fetch_sub(&call->memory_used, nbytes);
}

static int no_memory(struct kernel_context *ctx, uint32_t line, uint32_t array)
{
	size_t limit = ctx->call->memory_limit;
	return kernel_fail(ctx, KERNEL_MEMORY, line, array, limit > INT64_MAX ? INT64_MAX : (int64_t)limit, 0);
}

/* --- blocks --- */

static void free_block(struct block *b)
{
	free(b->data);
	free(b);
}

static struct block *take_spare(struct kernel_memory *m, size_t nbytes)
{
	for (struct block **at = &m->spare; *at; at = &(*at)->older) {
		struct block *b = *at;
		if (b->capacity < nbytes || b->capacity / 2 > nbytes)
			continue;
		*at = b->older;
		m->nspares--;
		m->spare_bytes -= b->capacity;
		return b;
	}
	return NULL;
}

static void drop_oldest_spare(struct kernel_memory *m)
{
	struct block **at = &m->spare;
	while ((*at)->older)
		at = &(*at)->older;
	m->nspares--;
	m->spare_bytes -= (*at)->capacity;
	free_block(*at);
	*at = NULL;
}

static void retire(struct kernel_memory *m, struct block *b)
{
	if (b->capacity > most_spare_bytes) {
		free_block(b);
		return;
	}
	b->older = m->spare;
	m->spare = b;
	m->nspares++;
	m->spare_bytes += b->capacity;
	while (m->nspares > MOST_SPARES || m->spare_bytes > most_spare_bytes)
		drop_oldest_spare(m);
}

static struct block *new_block(size_t nbytes)
{
	struct block *b = malloc(sizeof *b);
	if (!b)
		return NULL;
	b->data = aligned_alloc(ALIGNMENT, nbytes);
	b->capacity = nbytes;
	if (b->data)
		return b;
	free(b);
	return NULL;
}

/* nbytes rounded up to what is allocated; 0 if that is too much for any memory. */
static size_t rounded(uint64_t nbytes)
{
	if (nbytes > (uint64_t)PTRDIFF_MAX - ALIGNMENT)
		return 0;
	return nbytes ? (size_t)((nbytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT) : ALIGNMENT;
}

/* A counted block, newest of the context; NULL if the budget or the memory is used up. */
static struct block *allocate(struct kernel_context *ctx, uint64_t wanted)
{
	size_t nbytes = rounded(wanted);
	if (!nbytes || (!ctx->memory && !(ctx->memory = calloc(1, sizeof *ctx->memory))) || !count(ctx->call, nbytes))
		return NULL;
	struct kernel_memory *m = ctx->memory;
	struct block *b = take_spare(m, nbytes);
	if (!b && !(b = new_block(nbytes))) {
		uncount(ctx->call, nbytes);
		return NULL;
	}
	b->nbytes = nbytes;
	b->older = m->live;
	m->live = b;
	return b;
}

static struct block **find(struct kernel_context *ctx, const void *data)
{
	for (struct block **at = ctx->memory ? &ctx->memory->live : NULL; at && *at; at = &(*at)->older)
		if ((*at)->data == data)
			return at;
	return NULL;
}

/* --- arrays --- */

/* Bytes of the array, UINT64_MAX if too many; fills the strides. */
static uint64_t lay_out(struct kernel_array *a, int rank, int64_t itemsize)
{
	uint64_t nbytes = (uint64_t)itemsize;
	bool empty = false, huge = false;
	for (int k = rank; k-- > 0;) {
		a->stride[k] = (int64_t)nbytes;
		empty |= a->shape[k] == 0;
		if (a->shape[k] != 0 && !huge)
			huge = __builtin_mul_overflow(nbytes, (uint64_t)a->shape[k], &nbytes);
	}
	return empty ? 0 : huge ? UINT64_MAX : nbytes;
}

int kernel_alloc(struct kernel_context *ctx, struct kernel_array *a, int rank, int64_t itemsize, int zero, uint32_t line, uint32_t array)
{
	for (int k = 0; k < rank; k++)
		if (a->shape[k] < 0)
			return kernel_fail(ctx, KERNEL_NEGATIVE_SIZE, line, array, a->shape[k], 0);
	uint64_t nbytes = lay_out(a, rank, itemsize);
	struct block *b = allocate(ctx, nbytes);
	if (!b)
		return no_memory(ctx, line, array);
	a->data = b->data;
	a->capacity = rank == 1 ? a->shape[0] : 0;
	if (zero)
		memset(a->data, 0, nbytes);
	return 0;
}

/* The block keeps its place in the chain: a list made before a mark stays after the release. */
static int regrow(struct kernel_context *ctx, struct block *b, uint64_t wanted, size_t used)
{
	size_t nbytes = rounded(wanted);
	if (nbytes && nbytes <= b->nbytes)
		return 0;                /* lists of bytes: what was rounded up is room enough */
	if (!nbytes || !count(ctx->call, nbytes - b->nbytes))
		return 1;
	void *data = aligned_alloc(ALIGNMENT, nbytes);
	if (!data) {
		uncount(ctx->call, nbytes - b->nbytes);
		return 1;
	}
	memcpy(data, b->data, used);
	free(b->data);
	b->data = data;
	b->nbytes = b->capacity = nbytes;
	return 0;
}

int kernel_list_grow(struct kernel_context *ctx, struct kernel_array *a, int64_t itemsize, uint32_t line, uint32_t array)
{
	if (a->shape[0] < a->capacity)
		return 0;
	int64_t capacity = a->capacity < 8 ? 16 : 2 * a->capacity;
	uint64_t nbytes;
	if (capacity > INT64_MAX / 4 || __builtin_mul_overflow((uint64_t)capacity, (uint64_t)itemsize, &nbytes))
		return no_memory(ctx, line, array);
	struct block **at = a->data ? find(ctx, a->data) : NULL, *b = at ? *at : NULL;
	size_t used = (size_t)(a->shape[0] * itemsize);
	if (b ? regrow(ctx, b, nbytes, used) != 0 : !(b = allocate(ctx, nbytes)))
		return no_memory(ctx, line, array);
	if (!at && used)
		memcpy(b->data, a->data, used);
	a->data = b->data;
	a->stride[0] = itemsize;
	a->capacity = capacity;
	return 0;
}

void *kernel_mark(struct kernel_context *ctx)
{
	return ctx->memory ? ctx->memory->live : NULL;
}

void kernel_release(struct kernel_context *ctx, void *mark)
{
	struct kernel_memory *m = ctx->memory;
	while (m && m->live && m->live != mark) {
		struct block *b = m->live;
		m->live = b->older;
		uncount(ctx->call, b->nbytes);
		retire(m, b);
	}
}

/* --- contexts --- */

void kernel_context_init(struct kernel_context *ctx, struct kernel_call *call)
{
	if (!call->main)
		call->main = ctx; /* the first one */
	*ctx = (struct kernel_context){ .call = call, .is_main = call->main == ctx };
}

void kernel_context_free(struct kernel_context *ctx)
{
	kernel_release(ctx, NULL);
	struct kernel_memory *m = ctx->memory;
	while (m && m->spare) {
		struct block *b = m->spare;
		m->spare = b->older;
		free_block(b);
	}
	free(m);
	ctx->memory = NULL;
}

void *kernel_take(struct kernel_context *ctx, void *data)
{
	struct block **at = data ? find(ctx, data) : NULL;
	if (!at)
		return NULL;
	struct block *b = *at;
	*at = b->older;
	uncount(ctx->call, b->nbytes);
	free(b);
	return data;
}
