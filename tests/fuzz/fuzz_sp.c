/* SPDX-License-Identifier: BSD-3-Clause
 *
 * SP decoder. The first byte chooses the transport, the second where reads split; whatever the splits, the same messages must come out, and a
 * message that is encoded again must be the bytes it came from.
 */
#include "protocol/sp.h"
#include "tests/fuzz/fuzz.h"

enum { MAX_EVENTS = 4096 };

struct seen {
	enum sp_event event;
	uint64_t body_bytes, body_hash;
	uint8_t tags[SP_MAX_TAG_BYTES];
	size_t ntags;
};

struct run {
	struct sp_decoder d;
	struct seen seen[MAX_EVENTS];
	size_t nseen;
	uint64_t hash, body;
	int bad;
};

static void note(struct run *r, enum sp_event event)
{
	if (event == SP_BEGIN)
		r->hash = r->body = 0;
	HOLDS(r->d.ntags <= sizeof r->d.tags && r->d.nbuffer <= sizeof r->d.buffer);
	if (event == SP_END)
		HOLDS(r->body == r->d.body_bytes);
	if (event == SP_BODY || event == SP_MORE || r->nseen == MAX_EVENTS)
		return;
	struct seen *s = &r->seen[r->nseen++];
	memset(s, 0, sizeof *s);
	s->event = event;
	if (event == SP_BEGIN || event == SP_END) {
		s->body_bytes = r->d.body_bytes;
		s->body_hash = r->hash;
		s->ntags = r->d.ntags;
		memcpy(s->tags, r->d.tags, r->d.ntags);
		HOLDS(s->ntags >= 4 && s->ntags % 4 == 0 && s->tags[s->ntags - 4] & 0x80);
	}
}

static void feed(struct run *r, const uint8_t *in, size_t n)
{
	while (!r->bad) {
		size_t used = 0;
		enum sp_event event = sp_decode(&r->d, in, n, &used);
		HOLDS(used <= n);
		for (size_t i = 0; event == SP_BODY && i < used; i++)
			r->hash = r->hash * 31 + in[i] + 1;
		if (event == SP_BODY)
			r->body += used;
		note(r, event);
		r->bad = event == SP_BAD;
		in += used;
		n -= used;
		if (event == SP_MORE && !n)
			return;
	}
	HOLDS(r->d.why);
}

static void feed_split(struct run *r, const uint8_t *in, size_t n, uint8_t seed)
{
	uint32_t state = seed * 2654435761u + 1;
	while (n && !r->bad) {
		state = state * 1664525u + 1013904223u;
		size_t part = (state >> 24) % (1u + seed % 32) + 1;
		part = part < n ? part : n;
		uint8_t *copy = exact_copy(in, part);
		feed(r, copy, part);
		free(copy);
		in += part;
		n -= part;
	}
}

static void check_encoder(const struct sp_decoder *d)
{
	uint8_t head[SP_MAX_HEAD_BYTES];
	struct sp_decoder again;
	size_t used, n = sp_encode_head(d->transport, d->tags, d->ntags, 5, head);
	HOLDS(n <= sizeof head);
	sp_decoder_init(&again, d->transport, SP_REQ);
	again.state = SP_IN_FRAME;
	HOLDS(sp_decode(&again, head, n, &used) == SP_BEGIN && used == n && again.body_bytes == 5 && again.ntags == d->ntags &&
	      memcmp(again.tags, d->tags, d->ntags) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct run whole, split;
	if (n < 2)
		return 0;
	enum sp_transport transport = data[0] & 1 ? SP_IPC : SP_TCP;
	whole.nseen = split.nseen = 0;
	whole.bad = split.bad = 0;
	sp_decoder_init(&whole.d, transport, SP_REQ);
	sp_decoder_init(&split.d, transport, SP_REQ);
	feed(&whole, data + 2, n - 2);
	feed_split(&split, data + 2, n - 2, data[1]);
	HOLDS(whole.nseen == split.nseen && whole.bad == split.bad);
	HOLDS(memcmp(whole.seen, split.seen, whole.nseen * sizeof *whole.seen) == 0);
	if (whole.nseen && whole.seen[whole.nseen - 1].event == SP_BEGIN)
		check_encoder(&whole.d);
	return 0;
}
