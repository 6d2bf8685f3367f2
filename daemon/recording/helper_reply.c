/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/recording/helper_call.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_HEADER = 4 << 20 };

void helper_reply_fini(struct helper_reply *reply)
{
	message_fini(&reply->m);
	free(reply->body);
	memset(reply, 0, sizeof *reply);
}

/* Texts from the helper go to logs and clients: no control characters. */
static const char *clean(const json_t *object, const char *key, char *out, size_t nout)
{
	const char *text = json_string_value(json_object_get(object, key));
	size_t n = 0;
	for (; text && text[n] && n < nout - 1; n++)
		out[n] = (unsigned char)text[n] < ' ' || text[n] == 127 ? '?' : text[n];
	out[n] = '\0';
	return out;
}

/* The error the helper reports. Statuses that only the daemon can judge become CORRUPT. */
static enum status reported(const json_t *header, const char *name, struct error *e)
{
	char message[320], hint[256], field[64];
	const json_t *error = json_object_get(header, "error");
	enum status status = status_from_name(name);
	if (status == STATUS_BUSY || status == STATUS_UNAVAILABLE || status == STATUS_CANCELLED || status == STATUS_DEADLINE || status == STATUS_PROTOCOL)
		status = STATUS_CORRUPT;
	clean(error, "message", message, sizeof message);
	clean(error, "hint", hint, sizeof hint);
	return error_set(e, status, clean(error, "field", field, sizeof field), hint, "%s", message[0] ? message : "the HDF5 helper gave no reason");
}

static enum status nonsense(const char *why, struct error *e)
{
	return error_set(e, STATUS_CORRUPT, "file", "the file is probably damaged; copy it again from its source",
			 "the HDF5 helper's answer cannot be used: %.200s", why);
}

enum status helper_reply_decode(struct helper_reply *reply, uint8_t *body, size_t nbytes, struct error *e)
{
	struct error inner = { 0 };
	memset(reply, 0, sizeof *reply);
	if (!nbytes) {
		free(body);
		return nonsense("it is empty", e);
	}
	enum status status = message_decode(&reply->m, body, nbytes, MAX_HEADER, &inner);
	if (status) {
		free(body);
		return nonsense(inner.message, e);
	}
	reply->body = body;
	const char *name = json_string_value(json_object_get(reply->m.header, "status"));
	reply->result = json_object_get(reply->m.header, "result");
	if (reply->m.prefix.kind != MESSAGE_REPLY || !name)
		status = nonsense("it is not a reply", e);
	else if (strcmp(name, "OK") != 0)
		status = reported(reply->m.header, name, e);
	else if (!json_is_object(reply->result))
		status = nonsense("it has no result", e);
	for (size_t i = 0; i < reply->m.narrays && !status; i++)
		if (reply->m.arrays[i].via != VIA_INLINE || reply->m.arrays[i].fortran)
			status = nonsense("its arrays are not inline in C order", e);
	if (status)
		helper_reply_fini(reply);
	return status;
}
