/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the fuzz targets share. Each target is one file with one LLVMFuzzerTestOneInput.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Unlike assert, always there. */
#define HOLDS(condition) \
	do { \
		if (!(condition)) \
			__builtin_trap(); \
	} while (0)

/* A copy that ends where its block ends, so that the sanitizer sees a byte read behind it. Freed by the caller. */
static inline void *exact_copy(const uint8_t *data, size_t n)
{
	void *copy = malloc(n ? n : 1);
	HOLDS(copy);
	if (n)
		memcpy(copy, data, n);
	return copy;
}

#endif
