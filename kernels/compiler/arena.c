/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/compiler/arena.h"
#include "protocol/status.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 16, FIRST_BLOCK = 16 * 1024, LARGEST_BLOCK = 1024 * 1024 };

struct arena_block {
	struct arena_block *next;
	size_t used, capacity;   /* bytes behind this header */
	_Alignas(ALIGNMENT) unsigned char data[];
};

void arena_init(struct arena *a, size_t budget)
{
	*a = (struct arena){ .budget = budget };
}

void arena_free(struct arena *a)
{
	while (a->blocks) {
		struct arena_block *block = a->blocks;
		a->blocks = block->next;
		free(block);
	}
	arena_init(a, a->budget);
}

/* Blocks double, so that a large program takes few of them; a request larger than that gets a block of its own size. */
static struct arena_block *new_block(struct arena *a, size_t nbytes)
{
	size_t capacity = a->blocks ? 2 * a->blocks->capacity : FIRST_BLOCK;
	if (capacity > LARGEST_BLOCK)
		capacity = LARGEST_BLOCK;
	if (capacity < nbytes)
		capacity = nbytes;
	if (capacity > SIZE_MAX - sizeof(struct arena_block))
		return NULL;
	struct arena_block *block = calloc(1, sizeof *block + capacity);
	if (!block)
		return NULL;
	block->capacity = capacity;
	block->next = a->blocks;
	a->blocks = block;
	return block;
}

/* `failed` holds the status to report: the budget (TOO_LARGE) or the machine's memory (NO_MEMORY). */
static void *refuse(struct arena *a, enum status status)
{
	if (!a->failed)
		a->failed = status;
	return NULL;
}

void *arena_alloc(struct arena *a, size_t nbytes)
{
	if (nbytes > SIZE_MAX - ALIGNMENT)
		return refuse(a, STATUS_TOO_LARGE);
	size_t rounded = nbytes ? (nbytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : ALIGNMENT;
	if (a->failed || rounded > a->budget - a->used)
		return refuse(a, STATUS_TOO_LARGE);
	struct arena_block *block = a->blocks;
	if (!block || rounded > block->capacity - block->used)
		block = new_block(a, rounded);
	if (!block)
		return refuse(a, STATUS_NO_MEMORY);
	void *p = block->data + block->used;
	block->used += rounded;
	a->used += rounded;
	return p;
}

void *arena_copy(struct arena *a, const void *from, size_t nbytes)
{
	void *to = arena_alloc(a, nbytes);
	if (to && nbytes)
		memcpy(to, from, nbytes);
	return to;
}
