/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Bitshuffle: elements are cut into blocks; in a block of n elements row r holds bit r of every element, n/8 bytes a row, the first element in the
 * lowest bit of the first byte. What is left of the last block, fewer than 8 elements, stands as it is at the end. Each block may then be compressed,
 * with LZ4 or Zstandard: decoded size (u64), bytes of a block (u32), and before each block its stored bytes (u32), all big-endian.
 *
 * The transposition is our own: the library is not packaged as one, and its build carries a compression filter and OpenMP along.
 */
#include "daemon/recording/codecs.h"
#include "daemon/recording/filters.h"
#include "daemon/recording/zip.h"
#include "protocol/bytes.h"

#include <string.h>

enum { PARAMETER_SIZE = 2, PARAMETER_BLOCK = 3, PARAMETER_INNER = 4 };
enum { INNER_NONE = 0, INNER_LZ4 = 2, INNER_ZSTD = 3 };
enum { MULTIPLE = 8, DEFAULT_BYTES = 8192, DEFAULT_LEAST = 128, HEADER = 12 };

bool codec_bitshuffle_accepts(const struct codec_parameters *p)
{
	const uint32_t size = p->at[PARAMETER_SIZE], inner = p->at[PARAMETER_INNER];
	return p->n > PARAMETER_SIZE && size >= 1 && size <= 256 && p->at[PARAMETER_BLOCK] % MULTIPLE == 0 &&
	       (inner == INNER_NONE || inner == INNER_LZ4 || inner == INNER_ZSTD);
}

/* ---- bits ---- */

/* 8 x 8 bits transposed in each 64 bits: bit j of byte i becomes bit i of byte j. */
#define TRANSPOSE_BITS(x)                                                                                                                            \
	do {                                                                                                                                         \
		t = ((x) ^ (x) >> 7) & 0x00aa00aa00aa00aa;                                                                                           \
		(x) ^= t ^ t << 7;                                                                                                                   \
		t = ((x) ^ (x) >> 14) & 0x0000cccc0000cccc;                                                                                          \
		(x) ^= t ^ t << 14;                                                                                                                  \
		t = ((x) ^ (x) >> 28) & 0x00000000f0f0f0f0;                                                                                          \
		(x) ^= t ^ t << 28;                                                                                                                  \
	} while (0)

static void store_bits(uint8_t *out, qwords2 x)
{
	qwords2 t;
	TRANSPOSE_BITS(x);
	memcpy(out, &x, sizeof x);
}

/* 16 bytes of each of 8 rows become 128 bytes: one byte of 128 elements. */
static void rows_to_bytes(const uint8_t *in, size_t row, uint8_t *out)
{
	bytes16 r[8], low[4], high[4];
	for (size_t i = 0; i < 8; i++)
		memcpy(&r[i], in + i * row, sizeof r[i]);
	for (size_t i = 0; i < 4; i++) {
		low[i] = zip_low(r[2 * i], r[2 * i + 1]);
		high[i] = zip_high(r[2 * i], r[2 * i + 1]);
	}
	for (size_t half = 0; half < 2; half++, out += 64) {
		const bytes16 *z = half ? high : low;
		bytes16 a = zip_words_low(z[0], z[1]), b = zip_words_low(z[2], z[3]), c = zip_words_high(z[0], z[1]), d = zip_words_high(z[2], z[3]);
		store_bits(out, (qwords2)zip_dwords_low(a, b));
		store_bits(out + 16, (qwords2)zip_dwords_high(a, b));
		store_bits(out + 32, (qwords2)zip_dwords_low(c, d));
		store_bits(out + 48, (qwords2)zip_dwords_high(c, d));
	}
}

static void column_to_bytes(const uint8_t *in, size_t row, uint8_t *out)
{
	uint64_t x = 0, t;
	for (size_t i = 0; i < 8; i++)
		x |= (uint64_t)in[i * row] << 8 * i;
	TRANSPOSE_BITS(x);
	for (size_t i = 0; i < 8; i++)
		out[i] = (uint8_t)(x >> 8 * i);
}

/* A block of n elements (a multiple of 8): rows of bits to planes of bytes, those to elements. */
static void untranspose(const uint8_t *in, uint8_t *planes, uint8_t *out, size_t n, size_t size)
{
	const size_t row = n / 8;
	for (size_t j = 0; j < size; j++) {
		const uint8_t *from = in + j * 8 * row;
		uint8_t *to = planes + j * n;
		size_t i = 0;
		for (; i + 16 <= row; i += 16)
			rows_to_bytes(from + i, row, to + 8 * i);
		for (; i < row; i++)
			column_to_bytes(from + i, row, to + 8 * i);
	}
	filters_unshuffle(planes, out, n * size, size);
}

/* ---- blocks ---- */

struct input {
	const uint8_t *at;
	size_t left;
	uint32_t inner;
};

/* The next block of nbytes, not yet transposed back; NULL: damaged. */
static const uint8_t *next_block(struct codec_state *s, struct input *in, size_t nbytes)
{
	const uint8_t *data = in->at;
	size_t stored = nbytes;
	if (in->inner != INNER_NONE) {
		if (in->left < 4)
			return NULL;
		stored = be32(in->at);
		data += 4;
		in->left -= 4;
	}
	if (stored > in->left)
		return NULL;
	in->at = data + stored;
	in->left -= stored;
	if (in->inner == INNER_NONE)
		return data;
	bool ok = in->inner == INNER_LZ4 ? codec_lz4_block(data, stored, s->block, nbytes) : codec_zstd_exactly(s, data, stored, s->block, nbytes);
	return ok ? s->block : NULL;
}

static size_t default_block(size_t size)
{
	size_t n = DEFAULT_BYTES / size / MULTIPLE * MULTIPLE;
	return n > DEFAULT_LEAST ? n : DEFAULT_LEAST;
}

CODEC_DECODER(bitshuffle)
{
	const size_t size = p->at[PARAMETER_SIZE];
	struct input input = { in, nin, p->at[PARAMETER_INNER] };
	size_t total = nin, block = p->at[PARAMETER_BLOCK];
	if (input.inner != INNER_NONE) {
		if (nin < HEADER || be64(in) > capacity)
			return false;
		total = (size_t)be64(in);
		block = be32(in + 8) / size;
		input.at += HEADER;
		input.left -= HEADER;
	} else if (block == 0) {
		block = default_block(size);
	}
	if (total > capacity || total % size || block % MULTIPLE || !block)
		return false;
	const size_t n = total / size, most = n < block ? n : block;
	if (!codec_reserve(&s->block, &s->nblock, 2 * most * size + 1))
		return false;
	size_t done = 0;
	while (n - done >= MULTIPLE) {
		size_t now = n - done < block ? (n - done) / MULTIPLE * MULTIPLE : block;
		const uint8_t *from = next_block(s, &input, now * size);
		if (!from)
			return false;
		untranspose(from, s->block + most * size, out + done * size, now, size);
		done += now;
	}
	if ((n - done) * size > input.left)
		return false;
	memcpy(out + done * size, input.at, (n - done) * size);
	*nout = total;
	return true;
}
