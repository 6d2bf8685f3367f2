/* SPDX-License-Identifier: BSD-3-Clause
 *
 * LZ4 as the HDF5 filter 32004 writes it: decoded size (u64), bytes of a decoded block (u32), then for each block its stored bytes (u32) and data, all
 * big-endian. A block that did not shrink is stored as it is.
 */
#include "daemon/recording/codecs.h"
#include "protocol/bytes.h"

#include <limits.h>
#include <lz4.h>
#include <string.h>

bool codec_lz4_block(const uint8_t *in, size_t nin, uint8_t *out, size_t nout)
{
	return nin <= INT_MAX && nout <= INT_MAX && LZ4_decompress_safe((const char *)in, (char *)out, (int)nin, (int)nout) == (int)nout;
}

CODEC_DECODER(lz4)
{
	const uint64_t total = nin >= 12 ? be64(in) : UINT64_MAX;
	const size_t block = nin >= 12 ? be32(in + 8) : 0;
	size_t done = 0;
	(void)s;
	(void)p;
	if (total > capacity || !block)
		return false;
	for (size_t at = 12; done < total;) {
		size_t n = total - done < block ? total - done : block;
		if (nin - at < 4)
			return false;
		size_t stored = be32(in + at);
		at += 4;
		if (stored > nin - at)
			return false;
		if (stored == n)
			memcpy(out + done, in + at, n);
		else if (!codec_lz4_block(in + at, stored, out + done, n))
			return false;
		at += stored;
		done += n;
	}
	*nout = done;
	return true;
}
