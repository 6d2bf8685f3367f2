/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The decoders of daemon/recording/codec_*.c on whole, cut, flipped and lying streams. What they must give comes from the encoders of the codecs'
 * own libraries, and for bitshuffle and LZF from slow ones here; buffers end where they may, so that ASan sees a byte too many.
 */
#include "daemon/recording/codecs.h"
#include "protocol/bytes.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#include <blosc.h>
#include <libdeflate.h>
#include <lz4.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

enum { MAX = 4096, ROOM = 3 * MAX + 1024 };

struct stream {
	int id;
	struct codec_parameters parameters;
	uint8_t stored[ROOM];
	size_t nstored;
	uint8_t plain[MAX];
	size_t nplain;
};

static void put_be32(uint8_t *p, uint32_t v)
{
	for (int i = 3; i >= 0; i--, v >>= 8)
		p[i] = (uint8_t)v;
}

/* ---- encoders ---- */

/* Samples that compress somewhat: a slow walk with runs. */
static void fill(struct stream *s, struct random *r)
{
	uint8_t value = 0;
	for (size_t i = 0; i < s->nplain; i++) {
		if (random_below(r, 4) == 0)
			value = (uint8_t)(value + random_below(r, 5));
		s->plain[i] = random_below(r, 50) ? value : (uint8_t)random_next(r);
	}
}

static size_t lz4_block(const uint8_t *in, size_t n, uint8_t *out)
{
	return (size_t)LZ4_compress_default((const char *)in, (char *)out, (int)n, LZ4_compressBound((int)n));
}

static void encode_lz4(struct stream *s, struct random *r)
{
	const size_t block = 64 + random_below(r, s->nplain + 100);
	put_be64(s->stored, s->nplain);
	put_be32(s->stored + 8, (uint32_t)block);
	s->nstored = 12;
	for (size_t at = 0; at < s->nplain; at += block) {
		size_t n = s->nplain - at < block ? s->nplain - at : block, k = lz4_block(s->plain + at, n, s->stored + s->nstored + 4);
		if (k >= n)
			memcpy(s->stored + s->nstored + 4, s->plain + at, k = n);
		put_be32(s->stored + s->nstored, (uint32_t)k);
		s->nstored += 4 + k;
	}
}

/* Row r holds bit r of every element, the first one in the lowest bit. */
static void bit_rows(const uint8_t *in, uint8_t *out, size_t n, size_t size)
{
	memset(out, 0, n * size);
	for (size_t i = 0; i < n; i++)
		for (size_t bit = 0; bit < 8 * size; bit++)
			out[bit * (n / 8) + i / 8] |= (uint8_t)((in[i * size + bit / 8] >> bit % 8 & 1) << i % 8);
}

static size_t inner(uint32_t how, const uint8_t *rows, size_t n, uint8_t *out)
{
	if (how == 0) {
		memcpy(out, rows, n);
		return n;
	}
	size_t k = how == 2 ? lz4_block(rows, n, out + 4) : ZSTD_compress(out + 4, ZSTD_compressBound(n), rows, n, 1);
	put_be32(out, (uint32_t)k);
	return 4 + k;
}

static void encode_bitshuffle(struct stream *s, struct random *r)
{
	static const uint32_t hows[] = { 0, 2, 3 };
	uint8_t rows[MAX];
	const size_t size = 1 + random_below(r, 9), block = 8 * (8 + random_below(r, 60));
	const uint32_t how = hows[random_below(r, 3)];
	s->nplain -= s->nplain % size;
	s->parameters = (struct codec_parameters){ 5, { 0, 3, (uint32_t)size, (uint32_t)block, how } };
	if (how) {
		put_be64(s->stored, s->nplain);
		put_be32(s->stored + 8, (uint32_t)(block * size));
		s->nstored = 12;
	}
	const size_t n = s->nplain / size, whole = n / 8 * 8;
	for (size_t at = 0; at < whole; at += block) {
		size_t now = whole - at < block ? whole - at : block;
		bit_rows(s->plain + at * size, rows, now, size);
		s->nstored += inner(how, rows, now * size, s->stored + s->nstored);
	}
	memcpy(s->stored + s->nstored, s->plain + whole * size, (n - whole) * size);
	s->nstored += (n - whole) * size;
}

/* Literals, and runs as copies from one byte back. */
static void encode_lzf(struct stream *s)
{
	uint8_t *out = s->stored;
	for (size_t i = 0; i < s->nplain;) {
		size_t run = 0;
		while (i > 0 && i + run < s->nplain && run < 264 && s->plain[i + run] == s->plain[i - 1])
			run++;
		if (run >= 3) {
			size_t length = run - 2;
			*out++ = (uint8_t)((length < 7 ? length : 7) << 5);
			if (length >= 7)
				*out++ = (uint8_t)(length - 7);
			*out++ = 0;
			i += run;
		} else {
			*out++ = 0;
			*out++ = s->plain[i++];
		}
	}
	s->nstored = (size_t)(out - s->stored);
}

static void encode_deflate(struct stream *s)
{
	struct libdeflate_compressor *c = libdeflate_alloc_compressor(4);
	s->nstored = libdeflate_zlib_compress(c, s->plain, s->nplain, s->stored, ROOM);
	libdeflate_free_compressor(c);
}

static void encode_blosc(struct stream *s, struct random *r)
{
	static const char *const names[] = { "blosclz", "lz4", "lz4hc", "zlib", "zstd" };
	s->nstored = (size_t)blosc_compress_ctx(5, (int)random_below(r, 3), 1 + random_below(r, 8), s->nplain, s->plain, s->stored, ROOM,
						names[random_below(r, 5)], random_below(r, 2) ? 0 : 256, 1);
}

static void encode(struct stream *s, int id, struct random *r)
{
	memset(s, 0, sizeof *s);
	s->id = id;
	s->nplain = 1 + random_below(r, MAX - 1);
	fill(s, r);
	if (id == 1)
		encode_deflate(s);
	else if (id == 32000)
		encode_lzf(s);
	else if (id == 32001)
		encode_blosc(s, r);
	else if (id == 32004)
		encode_lz4(s, r);
	else if (id == 32008)
		encode_bitshuffle(s, r);
	else
		s->nstored = ZSTD_compress(s->stored, ROOM, s->plain, s->nplain, 3);
}

/* ---- decoding ---- */

static const int ids[] = { 1, 32000, 32001, 32004, 32008, 32015 };
enum { NIDS = sizeof ids / sizeof *ids };

/* In blocks that end where they must; *nout <= capacity holds whatever comes in. */
static bool decode(struct codec_state *state, const struct stream *s, const uint8_t *stored, size_t nstored, size_t capacity, uint8_t **out, size_t *nout)
{
	uint8_t *in = malloc(nstored + !nstored);
	*out = malloc(capacity + !capacity);
	memcpy(in, stored, nstored);
	*nout = 0;
	bool ok = codec_find(s->id)->decode(state, &s->parameters, in, nstored, *out, capacity, nout);
	CU_ASSERT(!ok || *nout <= capacity);
	free(in);
	return ok;
}

static void test_round_trips(void)
{
	struct random r = random_seed(1);
	struct codec_state state = { 0 };
	struct stream *s = malloc(sizeof *s);
	for (int i = 0; i < 300; i++)
		for (size_t k = 0; k < NIDS; k++) {
			uint8_t *out;
			size_t nout, capacity;
			encode(s, ids[k], &r);
			capacity = s->nplain + (i % 2 ? random_below(&r, 100) : 0);
			bool ok = decode(&state, s, s->stored, s->nstored, capacity, &out, &nout);
			bool same = ok && nout == s->nplain && memcmp(out, s->plain, nout) == 0;
			if (!same)
				fprintf(stderr, "\n  filter %d, round %d, %zu bytes\n", ids[k], i, s->nplain);
			CU_ASSERT(same);
			free(out);
		}
	free(s);
	codec_state_fini(&state);
}

/* A stream that holds more than the caller wants never gets through, and one that is cut does not either, or gives less. */
static void test_cut_and_too_much(void)
{
	struct random r = random_seed(2);
	struct codec_state state = { 0 };
	struct stream *s = malloc(sizeof *s);
	for (int i = 0; i < 100; i++)
		for (size_t k = 0; k < NIDS; k++) {
			uint8_t *out;
			size_t nout;
			encode(s, ids[k], &r);
			if (s->nplain > 1) {
				CU_ASSERT_FALSE(decode(&state, s, s->stored, s->nstored, random_below(&r, s->nplain), &out, &nout));
				free(out);
			}
			bool ok = decode(&state, s, s->stored, random_below(&r, s->nstored), s->nplain, &out, &nout);
			CU_ASSERT(!ok || nout < s->nplain || memcmp(out, s->plain, nout) == 0);
			free(out);
		}
	free(s);
	codec_state_fini(&state);
}

/* Flipped bytes, most of them in the headers; and parameters that are not the stream's. Nothing but a crash, a sanitizer's report or too much output
 * can fail here. */
static void test_lies(void)
{
	struct random r = random_seed(3);
	struct codec_state state = { 0 };
	struct stream *s = malloc(sizeof *s);
	for (int i = 0; i < 400; i++)
		for (size_t k = 0; k < NIDS; k++) {
			uint8_t *out;
			size_t nout;
			encode(s, ids[k], &r);
			for (size_t n = 1 + random_below(&r, 3); n; n--)
				s->stored[random_below(&r, i % 3 && s->nstored > 24 ? 24 : s->nstored)] = (uint8_t)(i % 5 ? random_next(&r) : 255);
			if (ids[k] == 32008 && i % 4 == 0)
				s->parameters.at[2 + random_below(&r, 3)] = (uint32_t)random_below(&r, 300);
			if (ids[k] != 32008 || codec_bitshuffle_accepts(&s->parameters)) {
				decode(&state, s, s->stored, s->nstored, random_below(&r, MAX), &out, &nout);
				free(out);
			}
		}
	free(s);
	codec_state_fini(&state);
}

static void refused(int id, const struct codec_parameters *p, const void *in, size_t nin, size_t capacity)
{
	struct codec_state state = { 0 };
	struct stream s = { .id = id };
	uint8_t *out;
	size_t nout;
	if (p)
		s.parameters = *p;
	CU_ASSERT_FALSE(decode(&state, &s, in, nin, capacity, &out, &nout));
	free(out);
	codec_state_fini(&state);
}

/* Headers one by one. */
static void test_headers(void)
{
	uint8_t h[64] = { 0 };
	put_be64(h, UINT64_MAX);
	put_be32(h + 8, 1024);
	refused(32004, NULL, h, 40, 1024);                     /* claims 2^64 - 1 bytes */
	put_be64(h, 100);
	put_be32(h + 8, 0);
	refused(32004, NULL, h, 40, 1024);                     /* blocks of nothing */
	put_be32(h + 8, 100);
	put_be32(h + 12, UINT32_MAX);
	refused(32004, NULL, h, 40, 1024);                     /* a block behind the end */
	refused(32004, NULL, h, 11, 1024);
	refused(32004, NULL, h, 0, 1024);
	struct codec_parameters p = { 5, { 0, 3, 2, 0, 2 } };
	put_be32(h + 8, 12);
	refused(32008, &p, h, 40, 1024);                       /* blocks of 6 elements */
	put_be64(h, 101);
	put_be32(h + 8, 64);
	refused(32008, &p, h, 40, 1024);                       /* half an element */
	refused(32008, &p, h, 3, 1024);
	p.at[4] = 1;
	CU_ASSERT_FALSE(codec_bitshuffle_accepts(&p));
	p.at[4] = 0;
	p.at[2] = 0;
	CU_ASSERT_FALSE(codec_bitshuffle_accepts(&p));
	refused(32000, NULL, "\x00", 1, 10);                    /* a literal that is not there */
	refused(32000, NULL, "\x20\x00", 2, 10);                /* a copy of nothing */
	refused(32000, NULL, "\x00" "a\x20\x01", 4, 10);        /* from before the start */
	refused(32000, NULL, "\xe0", 1, 10);
	refused(32000, NULL, "\x00" "a\xe0\xff\x00", 5, 10);    /* more than there is room for */
	struct random r = random_seed(4);
	struct stream *s = malloc(sizeof *s);
	encode(s, 32001, &r);
	uint8_t saved[16];
	memcpy(saved, s->stored, 16);
	s->stored[2] |= 2u << 5;                                /* Snappy, or a code beyond the known ones */
	refused(32001, NULL, s->stored, s->nstored, MAX);
	memcpy(s->stored, saved, 16);
	s->stored[0] = 3;
	refused(32001, NULL, s->stored, s->nstored, MAX);
	memcpy(s->stored, saved, 16);
	put_le32(s->stored + 8, UINT32_MAX);                    /* bytes of a block */
	refused(32001, NULL, s->stored, s->nstored, MAX);
	free(s);
}

CU_ErrorCode test_codecs_register(void)
{
	CU_TestInfo tests[] = {
		{ "round trips", test_round_trips },
		{ "cut, and too much", test_cut_and_too_much },
		{ "lies", test_lies },
		{ "headers", test_headers },
		CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = { { "codecs", NULL, NULL, NULL, NULL, tests }, CU_SUITE_INFO_NULL };
	return CU_register_suites(suites);
}
