/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The message (SPEC.md, section 2): prefix, JSON header, arrays. Pure: bytes in, message out; no I/O.
 *
 * What a decoder allocates is bounded by the header's bytes, depth and number of values, which are counted before JSON is parsed.
 */
#ifndef PROTOCOL_MESSAGE_H
#define PROTOCOL_MESSAGE_H

#include "protocol/dtype.h"
#include "protocol/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	MESSAGE_VERSION = 1,
	MESSAGE_PREFIX_BYTES = 32,
	MESSAGE_ID_BYTES = 16,
	MESSAGE_ALIGN = 64,
	MESSAGE_MAX_ARRAYS = 256,
	MESSAGE_MAX_DIMS = 8,
	MESSAGE_MAX_NAME = 64,
	MESSAGE_MAX_DEPTH = 32,
	MESSAGE_MAX_VALUES = 65536,
};

enum message_kind { MESSAGE_REQUEST = 1, MESSAGE_REPLY = 2 };
enum array_via { VIA_INLINE, VIA_MEMORY };

struct message_prefix {
	uint16_t version, kind;
	uint8_t id[MESSAGE_ID_BYTES];
	uint32_t header_bytes;
	uint32_t flags;
};

/* One array, described as NumPy does (SPEC.md 2.2). */
struct array {
	char name[MESSAGE_MAX_NAME];
	enum dtype dtype;
	unsigned ndim;
	uint64_t shape[MESSAGE_MAX_DIMS];
	bool fortran;            /* column-major */
	enum array_via via;
	uint64_t nbytes;
	uint64_t address;        /* memory: in the other process */
	bool shared;             /* memory: also in a sealed memory file of the other process, which may be mapped instead */
	int fd;                  /* its descriptor there */
	uint64_t inode, at;      /* its inode, and where in it the array begins */
	const void *data;        /* inline: in the body (decoding), or what to send (encoding) */
};

struct message {
	struct message_prefix prefix;
	json_t *header;          /* an object */
	struct array *arrays, *outputs;
	size_t narrays, noutputs;
};

/* Reads the first 32 bytes. STATUS_PROTOCOL for a wrong magic, version, kind or flag. */
enum status message_prefix_decode(const uint8_t *body, size_t n, struct message_prefix *prefix, struct error *e);
void message_prefix_encode(const struct message_prefix *prefix, uint8_t out[MESSAGE_PREFIX_BYTES]);

/* Decodes a whole body. Inline arrays point into it, so it must outlive the message. On failure nothing is left to free, and
 * m->prefix is set if the prefix could be read. */
enum status message_decode(struct message *m, const uint8_t *body, size_t n, size_t max_header, struct error *e);
void message_fini(struct message *m);

/* Bytes between n and the next multiple of 64. */
static inline size_t message_padding(size_t n)
{
	return -n & (MESSAGE_ALIGN - 1);
}

/* Encodes prefix, header and padding into one malloc'ed block *head of *nhead bytes; the arrays' descriptors are added to `header` under
 * "arrays" (and "outputs"). The inline arrays then follow, each padded to 64 bytes but the last: message_padding(nbytes).
 * The header is not consumed. */
enum status message_encode(json_t *header, enum message_kind kind, const uint8_t id[MESSAGE_ID_BYTES], const struct array *arrays, size_t narrays,
			   const struct array *outputs, size_t noutputs, uint8_t **head, size_t *nhead);

/* Bytes of the whole body: nhead and the inline arrays with the padding between them. */
size_t message_body_bytes(size_t nhead, const struct array *arrays, size_t narrays);

/* Sets shape, type and nbytes; STATUS_TOO_LARGE if their product overflows. */
enum status array_init(struct array *a, const char *name, enum dtype dtype, unsigned ndim, const uint64_t *shape);

const struct array *message_array(const struct message *m, const char *name);
const struct array *message_output(const struct message *m, const char *name);

/* 32 hex digits and back; false if the text is not that. */
void message_id_to_text(const uint8_t id[MESSAGE_ID_BYTES], char text[2 * MESSAGE_ID_BYTES + 1]);
bool message_id_from_text(const char *text, uint8_t id[MESSAGE_ID_BYTES]);

#endif
