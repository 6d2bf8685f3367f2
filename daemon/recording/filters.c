/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/recording/filters.h"
#include "daemon/recording/zip.h"
#include "protocol/bytes.h"

#include <libdeflate.h>
#include <string.h>

bool filters_inflate(struct libdeflate_decompressor *d, const void *in, size_t nin, void *out, size_t capacity, size_t *nout)
{
	return libdeflate_zlib_decompress(d, in, nin, out, capacity, nout) == LIBDEFLATE_SUCCESS;
}

/* ---- shuffle ---- */

static inline bytes16 load(const uint8_t *p)
{
	bytes16 v;
	memcpy(&v, p, sizeof v);
	return v;
}

static inline void store(uint8_t *p, bytes16 v)
{
	memcpy(p, &v, sizeof v);
}

/* Elements [from, n) one by one. */
static void unshuffle_any(const uint8_t *in, uint8_t *out, size_t from, size_t n, size_t size)
{
	for (size_t i = from; i < n; i++)
		for (size_t j = 0; j < size; j++)
			out[i * size + j] = in[j * n + i];
}

static void unshuffle2(const uint8_t *in, uint8_t *out, size_t n)
{
	size_t i = 0;
	for (; i + 16 <= n; i += 16) {
		bytes16 a = load(in + i), b = load(in + n + i);
		store(out + 2 * i, zip_low(a, b));
		store(out + 2 * i + 16, zip_high(a, b));
	}
	unshuffle_any(in, out, i, n, 2);
}

static void unshuffle4(const uint8_t *in, uint8_t *out, size_t n)
{
	size_t i = 0;
	for (; i + 16 <= n; i += 16) {
		bytes16 a = load(in + i), b = load(in + n + i), c = load(in + 2 * n + i), d = load(in + 3 * n + i);
		bytes16 ab0 = zip_low(a, b), ab1 = zip_high(a, b), cd0 = zip_low(c, d), cd1 = zip_high(c, d);
		store(out + 4 * i, zip_words_low(ab0, cd0));
		store(out + 4 * i + 16, zip_words_high(ab0, cd0));
		store(out + 4 * i + 32, zip_words_low(ab1, cd1));
		store(out + 4 * i + 48, zip_words_high(ab1, cd1));
	}
	unshuffle_any(in, out, i, n, 4);
}

void filters_unshuffle(const uint8_t *in, uint8_t *out, size_t nbytes, size_t size)
{
	size_t n = size ? nbytes / size : 0;
	if (size == 2)
		unshuffle2(in, out, n);
	else if (size == 4)
		unshuffle4(in, out, n);
	else
		unshuffle_any(in, out, 0, n, size);
	memcpy(out + n * size, in + n * size, nbytes - n * size);
}

/* ---- Fletcher-32 ---- */

static uint32_t fold(uint32_t sum)
{
	return (sum & 0xffff) + (sum >> 16);
}

uint32_t filters_fletcher32(const uint8_t *in, size_t n)
{
	uint32_t sum1 = 0, sum2 = 0;
	for (size_t left = n / 2; left;) {
		size_t k = left < 360 ? left : 360; /* as many as cannot overflow */
		left -= k;
		for (; k; k--, in += 2) {
			sum1 += (uint32_t)in[0] << 8 | in[1];
			sum2 += sum1;
		}
		sum1 = fold(sum1);
		sum2 = fold(sum2);
	}
	if (n % 2) {
		sum1 += (uint32_t)*in << 8;
		sum2 += sum1;
		sum1 = fold(sum1);
		sum2 = fold(sum2);
	}
	return fold(sum2) << 16 | fold(sum1);
}

bool filters_fletcher32_ok(const uint8_t *in, size_t n)
{
	if (n < 4)
		return false;
	uint32_t sum = filters_fletcher32(in, n - 4), stored = le32(in + n - 4);
	uint32_t swapped = (sum & 0x00ff00ff) << 8 | (sum >> 8 & 0x00ff00ff);
	return stored == sum || stored == swapped;
}
