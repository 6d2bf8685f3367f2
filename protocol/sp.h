/* SPDX-License-Identifier: BSD-3-Clause
 *
 * SP framing (SPEC.md, section 1): an incremental decoder for the listening side, and the encoders.
 *
 * The decoder is pure: bytes go in, an event comes out; reads may split anywhere. It allocates nothing and never looks at the body.
 */
#ifndef PROTOCOL_SP_H
#define PROTOCOL_SP_H

#include <stddef.h>
#include <stdint.h>

enum sp_transport { SP_TCP, SP_IPC };
enum { SP_REQ = 0x30, SP_REP = 0x31 };
enum {
	SP_HANDSHAKE_BYTES = 8,
	SP_MAX_HOPS = 8,                          /* channel tags before the request tag */
	SP_MAX_TAG_BYTES = 4 * (SP_MAX_HOPS + 1),
	SP_MAX_HEAD_BYTES = 1 + 8 + SP_MAX_TAG_BYTES,
};
#define SP_MAX_SIZE ((uint64_t)1 << 40)           /* a larger declared size is garbage, not a message */

enum sp_event {
	SP_MORE,       /* everything was consumed, nothing to tell */
	SP_READY,      /* the handshake is complete */
	SP_BEGIN,      /* a message begins: tags, body_bytes are set */
	SP_BODY,       /* the bytes consumed by this call belong to the body */
	SP_END,        /* the message is complete */
	SP_BAD,        /* not SP: close; `why` says what was wrong. Final */
};

struct sp_decoder {
	enum sp_transport transport;
	uint16_t peer_type;                       /* the type the other side must announce */
	enum { SP_IN_HANDSHAKE, SP_IN_FRAME, SP_IN_TAGS, SP_IN_BODY, SP_AT_END, SP_IN_ERROR } state;
	uint8_t buffer[SP_MAX_HEAD_BYTES];        /* handshake or frame header, as far as it has come */
	size_t nbuffer;
	uint8_t tags[SP_MAX_TAG_BYTES];           /* the tag stack, to be repeated in the reply */
	size_t ntags;                             /* its bytes */
	uint64_t payload_left;                    /* of the SP message: tags still to come, then body */
	uint64_t body_bytes;
	const char *why;
};

void sp_decoder_init(struct sp_decoder *d, enum sp_transport transport, uint16_t peer_type);

/* Consumes *used <= n bytes and says what they were. Call again with the rest until SP_MORE; SP_END consumes nothing. */
enum sp_event sp_decode(struct sp_decoder *d, const uint8_t *in, size_t n, size_t *used);

/* The 8 bytes each side sends first. */
void sp_encode_handshake(uint16_t type, uint8_t out[SP_HANDSHAKE_BYTES]);

/* What goes before a body: frame header and tags; returns its length. */
size_t sp_encode_head(enum sp_transport transport, const uint8_t *tags, size_t ntags, uint64_t body_bytes, uint8_t out[SP_MAX_HEAD_BYTES]);

#endif
