/* SPDX-License-Identifier: BSD-3-Clause
 *
 * 16 bytes at once, in whatever register the machine has (GCC's and clang's vector extension), and their interleaving: punpcklbw, zip1, ...
 */
#ifndef DAEMON_RECORDING_ZIP_H
#define DAEMON_RECORDING_ZIP_H

#include <stdint.h>

typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef uint16_t words8 __attribute__((vector_size(16)));
typedef uint32_t dwords4 __attribute__((vector_size(16)));
typedef uint64_t qwords2 __attribute__((vector_size(16)));

static inline bytes16 zip_low(bytes16 a, bytes16 b)
{
	return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

static inline bytes16 zip_high(bytes16 a, bytes16 b)
{
	return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

static inline bytes16 zip_words_low(bytes16 a, bytes16 b)
{
	return (bytes16)__builtin_shufflevector((words8)a, (words8)b, 0, 8, 1, 9, 2, 10, 3, 11);
}

static inline bytes16 zip_words_high(bytes16 a, bytes16 b)
{
	return (bytes16)__builtin_shufflevector((words8)a, (words8)b, 4, 12, 5, 13, 6, 14, 7, 15);
}

static inline bytes16 zip_dwords_low(bytes16 a, bytes16 b)
{
	return (bytes16)__builtin_shufflevector((dwords4)a, (dwords4)b, 0, 4, 1, 5);
}

static inline bytes16 zip_dwords_high(bytes16 a, bytes16 b)
{
	return (bytes16)__builtin_shufflevector((dwords4)a, (dwords4)b, 2, 6, 3, 7);
}

#endif
