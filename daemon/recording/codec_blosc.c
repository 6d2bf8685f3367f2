/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Blosc 1: version, version of the inner codec, flags, bytes of an element, decoded size (u32), bytes of a block (u32), stored size (u32), all
 * little-endian, then blocks. The library shuffles and calls the inner codec, in this thread and with memory of a few blocks.
 *
 * Inner codecs that decode within given bounds are let through: BloscLZ, LZ4, zlib and Zstandard. Snappy is C++, which may throw; no recording uses it.
 */
#include "daemon/recording/codecs.h"
#include "protocol/bytes.h"

#include <blosc.h>

enum { HEADER = BLOSC_MIN_HEADER_LENGTH, VERSION = 2, FLAG_RESERVED = 8, PARAMETER_INNER = 6 };

bool codec_blosc_accepts(const struct codec_parameters *p)
{
	return p->n <= PARAMETER_INNER || p->at[PARAMETER_INNER] != BLOSC_SNAPPY;
}

static bool header_ok(const uint8_t *in, size_t nin, size_t capacity)
{
	size_t checked = 0;
	if (nin < HEADER || in[0] != VERSION || in[2] & FLAG_RESERVED || in[3] == 0)
		return false;
	const uint32_t decoded = le32(in + 4), block = le32(in + 8), stored = le32(in + 12), format = in[2] >> 5;
	if (format != BLOSC_BLOSCLZ_FORMAT && format != BLOSC_LZ4_FORMAT && format != BLOSC_ZLIB_FORMAT && format != BLOSC_ZSTD_FORMAT)
		return false;
	return decoded <= capacity && block >= 1 && block <= decoded && stored >= HEADER && stored <= nin &&
	       blosc_cbuffer_validate(in, stored, &checked) == 0 && checked == decoded;
}

CODEC_DECODER(blosc)
{
	(void)s;
	(void)p;
	if (!header_ok(in, nin, capacity))
		return false;
	int got = blosc_decompress_ctx(in, out, capacity, 1);
	*nout = got > 0 ? (size_t)got : 0;
	return got > 0 && *nout == le32(in + 4);
}
