/* SPDX-License-Identifier: BSD-3-Clause */
#include "protocol/sp.h"
#include "protocol/bytes.h"

#include <string.h>

void sp_decoder_init(struct sp_decoder *d, enum sp_transport transport, uint16_t peer_type)
{
	memset(d, 0, sizeof *d);
	d->transport = transport;
	d->peer_type = peer_type;
	d->state = SP_IN_HANDSHAKE;
}

static enum sp_event bad(struct sp_decoder *d, const char *why)
{
	d->state = SP_IN_ERROR;
	d->why = why;
	return SP_BAD;
}

/* Moves bytes into the buffer until it holds `want`; says whether it does. */
static int fill(struct sp_decoder *d, size_t want, const uint8_t *in, size_t n, size_t *used)
{
	size_t take = want - d->nbuffer;
	if (take > n)
		take = n;
	memcpy(d->buffer + d->nbuffer, in, take);
	d->nbuffer += take;
	*used = take;
	return d->nbuffer == want;
}

static enum sp_event handshake(struct sp_decoder *d, const uint8_t *in, size_t n, size_t *used)
{
	uint8_t expected[SP_HANDSHAKE_BYTES];
	sp_encode_handshake(d->peer_type, expected);
	int complete = fill(d, SP_HANDSHAKE_BYTES, in, n, used);
	/* The first wrong byte ends it: an HTTP or TLS client is gone before it has sent a line. */
	if (memcmp(d->buffer, expected, d->nbuffer) != 0)
		return bad(d, "not an SP handshake of the expected type");
	if (!complete)
		return SP_MORE;
	d->nbuffer = 0;
	d->state = SP_IN_FRAME;
	return SP_READY;
}

static enum sp_event frame(struct sp_decoder *d, const uint8_t *in, size_t n, size_t *used)
{
	size_t type_bytes = d->transport == SP_IPC;
	int complete = fill(d, type_bytes + 8, in, n, used);
	if (type_bytes && d->nbuffer && d->buffer[0] != 1)
		return bad(d, "an ipc frame's type byte is not 1");
	if (!complete)
		return SP_MORE;
	uint64_t size = be64(d->buffer + type_bytes);
	if (size < 4)
		return bad(d, "a message is too short to hold its request tag");
	if (size > SP_MAX_SIZE)
		return bad(d, "a message declares an absurd size");
	d->payload_left = size;
	d->nbuffer = d->ntags = 0;
	d->state = SP_IN_TAGS;
	return SP_MORE;
}

static enum sp_event tags(struct sp_decoder *d, const uint8_t *in, size_t n, size_t *used)
{
	if (d->payload_left + d->nbuffer < 4)
		return bad(d, "a message ends inside its tags");
	int complete = fill(d, 4, in, n, used);
	d->payload_left -= *used;
	if (!complete)
		return SP_MORE;
	memcpy(d->tags + d->ntags, d->buffer, 4);
	d->ntags += 4;
	d->nbuffer = 0;
	if (!(d->buffer[0] & 0x80)) {
		if (d->ntags == SP_MAX_TAG_BYTES)
			return bad(d, "a message has more than 8 channel tags");
		if (d->payload_left < 4)
			return bad(d, "a message ends inside its tags");
		return SP_MORE;
	}
	d->body_bytes = d->payload_left;
	d->state = d->payload_left ? SP_IN_BODY : SP_AT_END;
	return SP_BEGIN;
}

enum sp_event sp_decode(struct sp_decoder *d, const uint8_t *in, size_t n, size_t *used)
{
	*used = 0;
	for (;;) {
		enum sp_event event;
		size_t part = 0;
		size_t left = n - *used;
		if (d->state == SP_AT_END) {
			d->state = SP_IN_FRAME;
			return SP_END;
		}
		if (d->state == SP_IN_ERROR)
			return SP_BAD;
		if (!left)
			return SP_MORE;
		if (d->state == SP_IN_BODY) {
			*used = d->payload_left < left ? (size_t)d->payload_left : left;
			d->payload_left -= *used;
			if (!d->payload_left)
				d->state = SP_AT_END;
			return SP_BODY;
		}
		if (d->state == SP_IN_HANDSHAKE)
			event = handshake(d, in + *used, left, &part);
		else if (d->state == SP_IN_FRAME)
			event = frame(d, in + *used, left, &part);
		else
			event = tags(d, in + *used, left, &part);
		*used += part;
		if (event != SP_MORE)
			return event;
	}
}

void sp_encode_handshake(uint16_t type, uint8_t out[SP_HANDSHAKE_BYTES])
{
	const uint8_t bytes[SP_HANDSHAKE_BYTES] = { 0, 'S', 'P', 0, (uint8_t)(type >> 8), (uint8_t)type, 0, 0 };
	memcpy(out, bytes, sizeof bytes);
}

size_t sp_encode_head(enum sp_transport transport, const uint8_t *tags, size_t ntags, uint64_t body_bytes, uint8_t out[SP_MAX_HEAD_BYTES])
{
	size_t n = 0;
	if (transport == SP_IPC)
		out[n++] = 1;
	put_be64(out + n, ntags + body_bytes);
	memcpy(out + n + 8, tags, ntags);
	return n + 8 + ntags;
}
