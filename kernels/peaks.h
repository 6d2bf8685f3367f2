/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A growing list of peaks; the owner frees it with peaks_fini.
 */
#ifndef KERNELS_PEAKS_H
#define KERNELS_PEAKS_H

#include "protocol/dtype.h"
#include "protocol/error.h"

#include <stdbool.h>

struct peaks {
	struct peak *at;
	size_t count, capacity, limit; /* limit: most peaks allowed (0: none); past it `overflow` is set and the rest dropped */
	bool overflow;
};

/* Room for n more, or up to the limit; *room: how many. STATUS_NO_MEMORY if the list cannot grow. */
enum status peaks_reserve(struct peaks *p, size_t n, size_t *room);
void peaks_fini(struct peaks *p);

#endif
