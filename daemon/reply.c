/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/reply.h"

#include <stdlib.h>
#include <string.h>

/* Texts may quote bytes from outside; JSON takes UTF-8 only. */
static json_t *text_json(const char *text)
{
	json_t *value = json_string(text);
	if (value)
		return value;
	char copy[512];
	size_t n = 0;
	for (; text[n] && n < sizeof copy - 1; n++)
		copy[n] = (char)((unsigned char)text[n] < 0x80 ? text[n] : '?');
	copy[n] = '\0';
	return json_string(copy);
}

json_t *reply_error_json(const struct error *e)
{
	json_t *object = json_object();
	json_object_set_new(object, "message", text_json(e->message[0] ? e->message : status_text(e->status)));
	if (e->hint[0])
		json_object_set_new(object, "hint", text_json(e->hint));
	if (e->field[0])
		json_object_set_new(object, "field", text_json(e->field));
	if (e->limit)
		json_object_set_new(object, "limit", json_integer(e->limit));
	if (status_retryable(e->status))
		json_object_set_new(object, "retry_after_ms", json_integer(e->retry_after_ms ? e->retry_after_ms : 100));
	return object;
}

static void free_arrays(struct array *arrays, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (arrays[i].via == VIA_INLINE)
			free((void *)arrays[i].data);
}

struct reply *reply_new(json_t *header, const uint8_t id[MESSAGE_ID_BYTES], enum status status, const struct array *arrays, size_t narrays)
{
	struct reply *r = calloc(1, sizeof *r + narrays * sizeof *arrays);
	if (!r)
		goto fail;
	r->refs = 1;
	r->status = status;
	if (narrays)
		memcpy(r->arrays, arrays, narrays * sizeof *arrays);
	r->narrays = narrays;
	if (message_encode(header, MESSAGE_REPLY, id, r->arrays, narrays, NULL, 0, &r->head, &r->nhead) != STATUS_OK)
		goto fail;
	r->nbody = message_body_bytes(r->nhead, r->arrays, narrays);
	return r;
fail:
	if (narrays)
		free_arrays((struct array *)arrays, narrays);
	free(r);
	return NULL;
}

struct reply *reply_error(const uint8_t id[MESSAGE_ID_BYTES], const struct error *e)
{
	json_t *header = json_pack("{s:s, s:i, s:o}", "status", status_name(e->status), "code", (int)e->status, "error", reply_error_json(e));
	struct reply *r = header ? reply_new(header, id, e->status, NULL, 0) : NULL;
	json_decref(header);
	return r;
}

struct reply *reply_ref(struct reply *r)
{
	r->refs++;
	return r;
}

void reply_unref(struct reply *r)
{
	if (!r || --r->refs)
		return;
	free_arrays(r->arrays, r->narrays);
	free(r->head);
	free(r);
}
