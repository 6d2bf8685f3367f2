/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/peaks.h"

#include <stdint.h>
#include <stdlib.h>

void peaks_fini(struct peaks *p)
{
	free(p->at);
	*p = (struct peaks){ 0 };
}

enum status peaks_reserve(struct peaks *p, size_t n, size_t *room)
{
	size_t left = p->limit ? p->limit - (p->count < p->limit ? p->count : p->limit) : SIZE_MAX;
	size_t need, nbytes;
	*room = n < left ? n : left;
	p->overflow |= n > left;
	if (__builtin_add_overflow(p->count, *room, &need))
		return STATUS_NO_MEMORY;
	if (need <= p->capacity)
		return STATUS_OK;
	size_t capacity = need < 1024 ? 1024 : need + need / 2;
	if (capacity < need || __builtin_mul_overflow(capacity, sizeof *p->at, &nbytes))
		return STATUS_NO_MEMORY;
	struct peak *at = realloc(p->at, nbytes);
	if (!at)
		return STATUS_NO_MEMORY;
	p->at = at;
	p->capacity = capacity;
	return STATUS_OK;
}
