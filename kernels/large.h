/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Large arrays on large pages, if the system gives them: filters and references walk dozens of tiles at once, each in pages of its own, and with
 * pages of 4 KiB the processor looks most of them up again and again.
 */
#ifndef KERNELS_LARGE_H
#define KERNELS_LARGE_H

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

/* nbytes, aligned to a cache line at least; NULL without memory. Freed with free(). */
static inline void *large_alloc(size_t nbytes)
{
	const size_t page = (size_t)2 << 20;
	if (nbytes < 2 * page)
		return aligned_alloc(64, (nbytes + 63) & ~(size_t)63);
	if (nbytes > SIZE_MAX - page)
		return NULL;
	nbytes = (nbytes + page - 1) & ~(page - 1);
	void *x = aligned_alloc(page, nbytes);
	if (x)
		madvise(x, nbytes, MADV_HUGEPAGE); /* a wish */
	return x;
}

#endif
