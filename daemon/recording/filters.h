/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Undoing HDF5's filters on bytes that nobody vouches for. Output is bounded by what the caller says; nothing is read or written beyond it.
 */
#ifndef DAEMON_RECORDING_FILTERS_H
#define DAEMON_RECORDING_FILTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct libdeflate_decompressor;

/* Inflates a zlib stream into at most `capacity` bytes. */
bool filters_inflate(struct libdeflate_decompressor *d, const void *in, size_t nin, void *out, size_t capacity, size_t *nout);

/* Undoes the byte shuffle of elements of `size` bytes: byte j of element i stands at j*n + i of `in`; what is left of the last, incomplete
 * element stands at the end unshuffled. in and out must not overlap. Sizes 2 and 4 run at memory speed. */
void filters_unshuffle(const uint8_t *in, uint8_t *out, size_t nbytes, size_t size);

/* HDF5's Fletcher-32 of n bytes. */
uint32_t filters_fletcher32(const uint8_t *in, size_t n);

/* Do the last 4 of n bytes hold the checksum of the others? Libraries before 1.6.3 stored its halves byte-swapped; that is accepted too. */
bool filters_fletcher32_ok(const uint8_t *in, size_t n);

#endif
