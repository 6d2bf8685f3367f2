/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Memory of one compilation: taken in small pieces, given back all at once, and never more than a budget.
 */
#ifndef COMPILER_ARENA_H
#define COMPILER_ARENA_H

#include <stddef.h>

struct arena_block;
struct arena {
	struct arena_block *blocks;
	size_t used, budget;     /* bytes */
	int failed;              /* a request was refused: the budget, or no memory */
};

void arena_init(struct arena *a, size_t budget);
void arena_free(struct arena *a);

/* Zeroed and aligned to 16; NULL when the budget is used up or memory is out (a->failed is then set and stays). */
void *arena_alloc(struct arena *a, size_t nbytes);
void *arena_copy(struct arena *a, const void *from, size_t nbytes);

#define ARENA_NEW(a, type) ((type *)arena_alloc((a), sizeof(type)))

#endif
