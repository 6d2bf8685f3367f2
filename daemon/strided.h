/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DAEMON_STRIDED_H
#define DAEMON_STRIDED_H

#include <stdint.h>
#include <string.h>

/* n items that stand `stride` bytes apart, to a line. Of 1, 2, 4, 8 or 16 bytes each, so that a copy is one load and one store. */
static inline void copy_items(uint8_t *to, const uint8_t *from, int64_t n, int64_t stride, size_t itemsize)
{
	switch (itemsize) {
#define ITEMS(size) case size: for (int64_t i = 0; i < n; i++) memcpy(to + i * size, from + i * stride, size); break;
	ITEMS(1) ITEMS(2) ITEMS(4) ITEMS(8) ITEMS(16)
#undef ITEMS
	default: break;
	}
}

#endif
