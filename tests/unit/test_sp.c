/* SPDX-License-Identifier: BSD-3-Clause */
#include "protocol/bytes.h"
#include "protocol/sp.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static size_t from_hex(const char *text, uint8_t *out)
{
	size_t n = 0;
	for (; text[0] && text[1]; text += 2)
		out[n++] = (uint8_t)strtoul((char[]){ text[0], text[1], 0 }, NULL, 16);
	return n;
}

/* What a stream of bytes came to, however it was cut. */
struct seen {
	uint8_t body[4096], tags[SP_MAX_TAG_BYTES];
	size_t nbody, ntags, messages;
	bool ready, bad;
};

static void feed(struct sp_decoder *d, struct seen *s, const uint8_t *in, size_t n)
{
	for (;;) {
		size_t used;
		enum sp_event event = sp_decode(d, in, n, &used);
		CU_ASSERT_FATAL(used <= n);
		if (event == SP_READY)
			s->ready = true;
		if (event == SP_BEGIN)
			s->nbody = 0;
		if (event == SP_BODY && s->nbody + used <= sizeof s->body) {
			memcpy(s->body + s->nbody, in, used);
			s->nbody += used;
		}
		if (event == SP_END) {
			s->messages++;
			s->ntags = d->ntags;
			memcpy(s->tags, d->tags, d->ntags);
			CU_ASSERT_EQUAL(s->nbody, d->body_bytes);
		}
		if (event == SP_BAD) {
			s->bad = true;
			return;
		}
		in += used;
		n -= used;
		if (event == SP_MORE && !n)
			return;
	}
}

static struct seen run(enum sp_transport transport, const uint8_t *bytes, size_t n, size_t cut)
{
	struct sp_decoder d;
	struct seen s = { 0 };
	sp_decoder_init(&d, transport, SP_REQ);
	feed(&d, &s, bytes, cut);
	if (!s.bad)
		feed(&d, &s, bytes + cut, n - cut);
	return s;
}

/* SPEC.md section 1, cut at every byte, on both transports. */
static void golden_vector(void)
{
	uint8_t ipc[64], tcp[64];
	size_t nipc = from_hex("0053500000300000" "01" "0000000000000009" "80000001" "68656c6c6f", ipc);
	size_t ntcp = from_hex("0053500000300000" "0000000000000009" "80000001" "68656c6c6f", tcp);
	for (size_t cut = 0; cut <= nipc; cut++) {
		struct seen s = run(SP_IPC, ipc, nipc, cut);
		CU_ASSERT(s.ready && !s.bad && s.messages == 1 && s.nbody == 5 && memcmp(s.body, "hello", 5) == 0);
		CU_ASSERT(s.ntags == 4 && memcmp(s.tags, "\x80\0\0\1", 4) == 0);
	}
	for (size_t cut = 0; cut <= ntcp; cut++) {
		struct seen s = run(SP_TCP, tcp, ntcp, cut);
		CU_ASSERT(s.ready && !s.bad && s.messages == 1 && s.nbody == 5);
	}
	uint8_t head[SP_MAX_HEAD_BYTES];
	CU_ASSERT_EQUAL(sp_encode_head(SP_IPC, (const uint8_t *)"\x80\0\0\1", 4, 5, head), 13);
	CU_ASSERT(memcmp(head, ipc + 8, 13) == 0);
	CU_ASSERT_EQUAL(sp_encode_head(SP_TCP, (const uint8_t *)"\x80\0\0\1", 4, 5, head), 12);
	CU_ASSERT(memcmp(head, tcp + 8, 12) == 0);
}

static bool is_bad(enum sp_transport transport, const char *hex)
{
	uint8_t bytes[256];
	size_t n = from_hex(hex, bytes);
	return run(transport, bytes, n, n / 2).bad;
}

static void wrong_bytes(void)
{
	CU_ASSERT(is_bad(SP_TCP, "474554202f20")); /* "GET / " */
	CU_ASSERT(is_bad(SP_TCP, "160301"));       /* a TLS hello */
	CU_ASSERT(is_bad(SP_IPC, "0053500000310000")); /* REP instead of REQ */
	CU_ASSERT(is_bad(SP_IPC, "0053500000300001")); /* reserved bytes */
	CU_ASSERT(is_bad(SP_IPC, "0053500000300000" "02"));
	CU_ASSERT(is_bad(SP_IPC, "0053500000300000" "01" "0000000000000003"));
	CU_ASSERT(is_bad(SP_TCP, "0053500000300000" "4000000000000000"));
	CU_ASSERT(is_bad(SP_TCP, "0053500000300000" "0000000000000006" "00000001" "8000"));
	CU_ASSERT(is_bad(SP_TCP, "0053500000300000" "0000000000000004" "00000001")); /* nothing more need come */
	char hex[400] = "0053500000300000" "0000000000000100";
	for (int i = 0; i < 9; i++)
		strcat(hex, "00000001");
	CU_ASSERT(is_bad(SP_TCP, hex));
}

static void tag_stack(void)
{
	uint8_t bytes[256];
	size_t n = from_hex("0053500000300000" "0000000000000010" "00000007" "00000009" "80000001" "61626364", bytes);
	for (size_t cut = 0; cut <= n; cut++) {
		struct seen s = run(SP_TCP, bytes, n, cut);
		CU_ASSERT(!s.bad && s.messages == 1 && s.ntags == 12 && s.nbody == 4);
	}
}

/* Any bytes, cut anywhere: the same events, nothing read past the end. */
static void random_streams(void)
{
	for (unsigned seed = 1; seed <= 3000; seed++) {
		struct random r = random_seed(seed);
		uint8_t bytes[512];
		size_t n = from_hex("0053500000300000", bytes);
		while (n < 400) {
			size_t body = random_below(&r, 60);
			bytes[n++] = 1;
			put_be64(bytes + n, 4 + body);
			memcpy(bytes + n + 8, "\x80\0\0\1", 4);
			n += 12;
			for (size_t i = 0; i < body; i++)
				bytes[n++] = (uint8_t)random_below(&r, 256);
		}
		if (seed % 2)
			bytes[random_below(&r, n)] ^= (uint8_t)(1 + random_below(&r, 255));
		struct seen a = run(SP_IPC, bytes, n, 0), b = run(SP_IPC, bytes, n, random_below(&r, n));
		CU_ASSERT(a.messages == b.messages && a.bad == b.bad);
		if (seed % 2 == 0)
			CU_ASSERT(!a.bad && a.messages > 0);
	}
}

CU_ErrorCode test_sp_register(void)
{
	CU_pSuite s = CU_add_suite("sp", NULL, NULL);
	if (!s || !CU_add_test(s, "golden vector, cut everywhere", golden_vector) || !CU_add_test(s, "wrong bytes end it", wrong_bytes) ||
	    !CU_add_test(s, "tag stack", tag_stack) || !CU_add_test(s, "random streams", random_streams))
		return CU_get_error();
	return CUE_SUCCESS;
}
