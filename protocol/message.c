/* SPDX-License-Identifier: BSD-3-Clause */
#include "protocol/message.h"
#include "protocol/bytes.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t magic[4] = { 'S', 'P', 'K', 'D' };

enum status message_prefix_decode(const uint8_t *body, size_t n, struct message_prefix *prefix, struct error *e)
{
	memset(prefix, 0, sizeof *prefix);
	if (n < MESSAGE_PREFIX_BYTES || memcmp(body, magic, sizeof magic) != 0)
		return error_set(e, STATUS_PROTOCOL, NULL, "send messages as protocol/SPEC.md describes them",
				 n < MESSAGE_PREFIX_BYTES ? "a message of %zu bytes is shorter than its 32-byte prefix"
							  : "a message of %zu bytes does not start with SPKD", n);
	prefix->version = le16(body + 4);
	prefix->kind = le16(body + 6);
	memcpy(prefix->id, body + 8, MESSAGE_ID_BYTES);
	prefix->header_bytes = le32(body + 24);
	prefix->flags = le32(body + 28);
	if (prefix->version != MESSAGE_VERSION)
		return error_set(e, STATUS_PROTOCOL, NULL, "use a client and a daemon of the same release",
				 "message version %u, this side speaks %d", prefix->version, MESSAGE_VERSION);
	if (prefix->kind != MESSAGE_REQUEST && prefix->kind != MESSAGE_REPLY)
		return error_set(e, STATUS_PROTOCOL, NULL, NULL, "message kind %u is neither request nor reply", prefix->kind);
	if (prefix->flags)
		return error_set(e, STATUS_PROTOCOL, NULL, NULL, "unknown message flags 0x%x", prefix->flags);
	return STATUS_OK;
}

void message_prefix_encode(const struct message_prefix *prefix, uint8_t out[MESSAGE_PREFIX_BYTES])
{
	memcpy(out, magic, sizeof magic);
	put_le16(out + 4, prefix->version);
	put_le16(out + 6, prefix->kind);
	memcpy(out + 8, prefix->id, MESSAGE_ID_BYTES);
	put_le32(out + 24, prefix->header_bytes);
	put_le32(out + 28, prefix->flags);
}

/* Counts depth and values without parsing, so that JSON that would cost much memory is refused first: O(n), no allocation. */
static enum status check_json_size(const char *text, size_t n, struct error *e)
{
	size_t depth = 0, values = 1;
	bool in_string = false;
	for (size_t i = 0; i < n; i++) {
		char c = text[i];
		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
			continue;
		}
		if (c == '"')
			in_string = true;
		else if (c == ',' || c == ':')
			values++;
		else if (c == '[' || c == '{')
			depth++, values++;
		else if ((c == ']' || c == '}') && depth)
			depth--;
		if (depth > MESSAGE_MAX_DEPTH || values > MESSAGE_MAX_VALUES)
			return error_set(e, STATUS_TOO_LARGE, "header", "send long lists as arrays",
					 "the JSON header nests deeper than %d or holds more than %d values", MESSAGE_MAX_DEPTH, MESSAGE_MAX_VALUES);
	}
	return STATUS_OK;
}

static enum status bad_array(struct error *e, const struct array *a, size_t index, const char *what)
{
	char field[64];
	snprintf(field, sizeof field, "arrays[%zu]", index);
	return error_set(e, STATUS_INVALID, field, "see SPEC.md 2.2", "array %zu (%s): %s", index, a->name[0] ? a->name : "no name", what);
}

static bool decimal(const json_t *value, uint64_t *out)
{
	if (json_is_integer(value) && json_integer_value(value) >= 0) {
		*out = (uint64_t)json_integer_value(value);
		return true;
	}
	const char *text = json_string_value(value);
	if (!text || !isdigit((unsigned char)text[0]) || strlen(text) > 20)
		return false;
	char *end;
	*out = strtoull(text, &end, 10);
	return *end == '\0';
}

static enum status array_shape(struct array *a, const json_t *shape, size_t index, struct error *e)
{
	if (!json_is_array(shape) || json_array_size(shape) > MESSAGE_MAX_DIMS)
		return bad_array(e, a, index, "shape must be a list of at most 8 integers");
	uint64_t dims[MESSAGE_MAX_DIMS];
	for (size_t i = 0; i < json_array_size(shape); i++)
		if (!decimal(json_array_get(shape, i), &dims[i]))
			return bad_array(e, a, index, "each dimension must be an integer >= 0");
	char name[MESSAGE_MAX_NAME];
	memcpy(name, a->name, sizeof name);
	if (array_init(a, name, a->dtype, (unsigned)json_array_size(shape), dims) != STATUS_OK)
		return bad_array(e, a, index, "shape times item size overflows");
	return STATUS_OK;
}

/* {"fd", "inode", "at"}: the array also stands in a memory file. */
static bool decode_shared(struct array *a, const json_t *shared)
{
	uint64_t fd;
	if (!shared)
		return true;
	a->shared = decimal(json_object_get(shared, "fd"), &fd) && fd <= INT32_MAX && decimal(json_object_get(shared, "inode"), &a->inode) &&
		    decimal(json_object_get(shared, "at"), &a->at) && a->at <= INT64_MAX && a->nbytes <= INT64_MAX - a->at;
	a->fd = a->shared ? (int)fd : -1;
	return a->shared;
}

static enum status decode_array(struct array *a, json_t *object, size_t index, struct error *e)
{
	memset(a, 0, sizeof *a);
	const char *name = json_string_value(json_object_get(object, "name"));
	if (!name || !*name || strlen(name) >= sizeof a->name)
		return bad_array(e, a, index, "name must be a string of 1 to 63 bytes");
	snprintf(a->name, sizeof a->name, "%s", name);
	const char *dtype = json_string_value(json_object_get(object, "dtype"));
	a->dtype = dtype ? dtype_from_name(dtype) : DTYPE_NONE;
	if (a->dtype == DTYPE_NONE)
		return bad_array(e, a, index, "unknown dtype; types are little-endian, like <f8 or <i2");
	enum status status = array_shape(a, json_object_get(object, "shape"), index, e);
	if (status)
		return status;
	const json_t *order = json_object_get(object, "order"), *via = json_object_get(object, "via");
	if (order && strcmp(json_is_string(order) ? json_string_value(order) : "", "C") != 0) {
		if (!json_is_string(order) || strcmp(json_string_value(order), "F") != 0)
			return bad_array(e, a, index, "order must be C or F");
		a->fortran = true;
	}
	if (via && strcmp(json_is_string(via) ? json_string_value(via) : "", "inline") != 0) {
		if (!json_is_string(via) || strcmp(json_string_value(via), "memory") != 0)
			return bad_array(e, a, index, "via must be inline or memory");
		a->via = VIA_MEMORY;
		if (!decimal(json_object_get(object, "address"), &a->address) || a->address > UINT64_MAX - a->nbytes)
			return bad_array(e, a, index, "address must be a decimal string, and address + nbytes must not overflow");
		if (!decode_shared(a, json_object_get(object, "shared")))
			return bad_array(e, a, index, "shared must be an object with fd, inode and at");
	}
	uint64_t nbytes;
	if (!decimal(json_object_get(object, "nbytes"), &nbytes) || nbytes != a->nbytes)
		return bad_array(e, a, index, "nbytes does not equal shape times item size");
	return STATUS_OK;
}

static enum status decode_list(json_t *list, const char *key, struct array **out, size_t *count, struct error *e)
{
	*out = NULL;
	*count = 0;
	if (!list)
		return STATUS_OK;
	if (!json_is_array(list) || json_array_size(list) > MESSAGE_MAX_ARRAYS)
		return error_set(e, STATUS_INVALID, key, NULL, "%s must be a list of at most %d descriptors", key, MESSAGE_MAX_ARRAYS);
	size_t n = json_array_size(list);
	*out = calloc(n ? n : 1, sizeof **out);
	if (!*out)
		return error_set(e, STATUS_NO_MEMORY, key, NULL, "no memory for %zu array descriptors", n);
	for (size_t i = 0; i < n; i++) {
		enum status status = decode_array(&(*out)[i], json_array_get(list, i), i, e);
		if (status)
			return status;
		for (size_t j = 0; j < i; j++)
			if (strcmp((*out)[i].name, (*out)[j].name) == 0)
				return bad_array(e, &(*out)[i], i, "the name is used twice");
	}
	*count = n;
	return STATUS_OK;
}

/* Inline arrays stand behind the header in the order of their descriptors; the body ends with the last one. */
static enum status place_arrays(struct message *m, json_t *list, const uint8_t *body, size_t n, struct error *e)
{
	size_t end = MESSAGE_PREFIX_BYTES + m->prefix.header_bytes;
	for (size_t i = 0; i < m->narrays; i++) {
		struct array *a = &m->arrays[i];
		if (a->via != VIA_INLINE)
			continue;
		size_t offset = end + message_padding(end);
		if (offset > n || a->nbytes > n - offset)
			return bad_array(e, a, i, "the array reaches past the end of the message");
		uint64_t given;
		const json_t *key = json_object_get(json_array_get(list, i), "offset");
		if (key && (!decimal(key, &given) || given != offset))
			return bad_array(e, a, i, "offset is not where the array stands by its order");
		a->data = body + offset;
		end = offset + a->nbytes;
	}
	if (end != n)
		return error_set(e, STATUS_PROTOCOL, NULL, NULL, "the message has %zu bytes, its header and arrays end at %zu", n, end);
	return STATUS_OK;
}

enum status message_decode(struct message *m, const uint8_t *body, size_t n, size_t max_header, struct error *e)
{
	memset(m, 0, sizeof *m);
	enum status status = message_prefix_decode(body, n, &m->prefix, e);
	if (status)
		return status;
	size_t nheader = m->prefix.header_bytes;
	if (nheader > max_header) {
		status = error_set(e, STATUS_TOO_LARGE, "header", "send long lists as arrays", "the JSON header has %zu bytes, the limit is %zu", nheader,
				   max_header);
		if (e)
			e->limit = (long long)max_header;
		return status;
	}
	if (nheader > n - MESSAGE_PREFIX_BYTES)
		return error_set(e, STATUS_PROTOCOL, NULL, NULL, "the JSON header reaches past the end of the message");
	const char *text = (const char *)body + MESSAGE_PREFIX_BYTES;
	status = check_json_size(text, nheader, e);
	if (status)
		return status;
	json_error_t where;
	m->header = json_loadb(text, nheader, JSON_REJECT_DUPLICATES, &where);
	if (!json_is_object(m->header)) {
		status = error_set(e, STATUS_PROTOCOL, NULL, "send one JSON object as the header", "the JSON header cannot be read: %s (byte %d)",
				   m->header ? "not an object" : where.text, m->header ? 0 : where.position);
		goto fail;
	}
	json_t *arrays = json_object_get(m->header, "arrays");
	status = decode_list(arrays, "arrays", &m->arrays, &m->narrays, e);
	if (!status)
		status = decode_list(json_object_get(m->header, "outputs"), "outputs", &m->outputs, &m->noutputs, e);
	if (!status)
		status = place_arrays(m, arrays, body, n, e);
	if (!status)
		return STATUS_OK;
fail:
	{
		struct message_prefix prefix = m->prefix;
		message_fini(m);
		m->prefix = prefix;
	}
	return status;
}

void message_fini(struct message *m)
{
	json_decref(m->header);
	free(m->arrays);
	free(m->outputs);
	memset(m, 0, sizeof *m);
}

static json_t *describe(const struct array *a)
{
	json_t *shape = json_array();
	for (unsigned i = 0; i < a->ndim; i++)
		json_array_append_new(shape, json_integer((json_int_t)a->shape[i]));
	json_t *object = json_pack("{s:s, s:s, s:o, s:s, s:s, s:I}", "name", a->name, "dtype", dtype_name(a->dtype), "shape", shape, "order",
				   a->fortran ? "F" : "C", "via", a->via == VIA_MEMORY ? "memory" : "inline", "nbytes", (json_int_t)a->nbytes);
	if (object && a->via == VIA_MEMORY) {
		char text[24];
		snprintf(text, sizeof text, "%" PRIu64, a->address);
		json_object_set_new(object, "address", json_string(text));
	}
	return object;
}

static int add_descriptors(json_t *header, const char *key, const struct array *arrays, size_t n)
{
	if (!n)
		return 0;
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(list, describe(&arrays[i])) != 0) {
			json_decref(list);
			return -1;
		}
	return json_object_set_new(header, key, list);
}

enum status message_encode(json_t *header, enum message_kind kind, const uint8_t id[MESSAGE_ID_BYTES], const struct array *arrays, size_t narrays,
			   const struct array *outputs, size_t noutputs, uint8_t **head, size_t *nhead)
{
	if (add_descriptors(header, "arrays", arrays, narrays) || add_descriptors(header, "outputs", outputs, noutputs))
		return STATUS_NO_MEMORY;
	size_t ntext = json_dumpb(header, NULL, 0, JSON_COMPACT);
	if (!ntext)
		return STATUS_NO_MEMORY;
	size_t end = MESSAGE_PREFIX_BYTES + ntext;
	bool inline_arrays = false;
	for (size_t i = 0; i < narrays; i++)
		inline_arrays |= arrays[i].via == VIA_INLINE;
	*nhead = inline_arrays ? end + message_padding(end) : end;
	*head = calloc(1, *nhead);
	if (!*head)
		return STATUS_NO_MEMORY;
	struct message_prefix prefix = { .version = MESSAGE_VERSION, .kind = (uint16_t)kind, .header_bytes = (uint32_t)ntext };
	memcpy(prefix.id, id, MESSAGE_ID_BYTES);
	message_prefix_encode(&prefix, *head);
	json_dumpb(header, (char *)*head + MESSAGE_PREFIX_BYTES, ntext, JSON_COMPACT);
	return STATUS_OK;
}

size_t message_body_bytes(size_t nhead, const struct array *arrays, size_t narrays)
{
	size_t end = nhead;
	for (size_t i = 0; i < narrays; i++)
		if (arrays[i].via == VIA_INLINE)
			end += message_padding(end) + arrays[i].nbytes;
	return end;
}

enum status array_init(struct array *a, const char *name, enum dtype dtype, unsigned ndim, const uint64_t *shape)
{
	snprintf(a->name, sizeof a->name, "%s", name);
	a->dtype = dtype;
	a->ndim = ndim;
	uint64_t product = dtype_size(dtype);
	bool empty = false;
	for (unsigned i = 0; i < ndim; i++) {
		a->shape[i] = shape[i];
		/* A dimension of 0 must not hide an overflow of the others. */
		if (shape[i] == 0)
			empty = true;
		else if (__builtin_mul_overflow(product, shape[i], &product) || product > INT64_MAX)
			return STATUS_TOO_LARGE;
	}
	a->nbytes = empty ? 0 : product;
	return STATUS_OK;
}

static const struct array *find(const struct array *arrays, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(arrays[i].name, name) == 0)
			return &arrays[i];
	return NULL;
}

const struct array *message_array(const struct message *m, const char *name)
{
	return find(m->arrays, m->narrays, name);
}

const struct array *message_output(const struct message *m, const char *name)
{
	return find(m->outputs, m->noutputs, name);
}

void message_id_to_text(const uint8_t id[MESSAGE_ID_BYTES], char text[2 * MESSAGE_ID_BYTES + 1])
{
	for (int i = 0; i < MESSAGE_ID_BYTES; i++)
		sprintf(text + 2 * i, "%02x", id[i]);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool message_id_from_text(const char *text, uint8_t id[MESSAGE_ID_BYTES])
{
	if (!text || strlen(text) != 2 * MESSAGE_ID_BYTES)
		return false;
	for (int i = 0; i < MESSAGE_ID_BYTES; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		id[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}
