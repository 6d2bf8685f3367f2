/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/helper/reply.h"
#include "daemon/helper/sandbox.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum status reply_init(struct reply *r)
{
	*r = (struct reply){ .result = json_object(), .warnings = json_array() };
	return r->result && r->warnings ? STATUS_OK : STATUS_NO_MEMORY;
}

enum status reply_array(struct reply *r, const char *name, enum dtype dtype, const void *data, size_t n0, size_t n1)
{
	if (r->narrays == REPLY_MAX_ARRAYS)
		return STATUS_INTERNAL;
	struct array *a = &r->arrays[r->narrays++];
	*a = (struct array){ .via = VIA_INLINE, .data = data };
	return array_init(a, name, dtype, 2, (const uint64_t[]){ n0, n1 });
}

void reply_warning(struct reply *r, const char *format, ...)
{
	char text[320];
	va_list ap;
	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	if (json_array_size(r->warnings) < 32)
		json_array_append_new(r->warnings, json_string(text));
}

static bool write_all(int fd, const void *data, size_t n)
{
	for (size_t done = 0; done < n;) {
		ssize_t k = write(fd, (const char *)data + done, n - done);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return false;
		done += (size_t)k;
	}
	return true;
}

static json_t *sandbox_names(unsigned parts)
{
	json_t *list = json_array();
	if (parts & SANDBOX_LIMITS)
		json_array_append_new(list, json_string("limits"));
	if (parts & SANDBOX_NO_NEW_PRIVS)
		json_array_append_new(list, json_string("no_new_privs"));
	if (parts & SANDBOX_LANDLOCK)
		json_array_append_new(list, json_string("landlock"));
	if (parts & SANDBOX_SECCOMP)
		json_array_append_new(list, json_string("seccomp"));
	return list;
}

/* File contents end up in messages; what is not UTF-8 becomes "?", or JSON could not carry it. */
static json_t *text(const char *s)
{
	json_t *string = json_string(s);
	if (string)
		return string;
	char copy[512];
	size_t n = 0;
	for (; s[n] && n < sizeof copy - 1; n++)
		copy[n] = s[n] >= ' ' && s[n] <= '~' ? s[n] : '?';
	return json_stringn(copy, n);
}

static json_t *header_of(const struct reply *r, const struct error *e)
{
	json_t *header = json_object();
	json_object_set_new(header, "status", json_string(status_name(e->status)));
	json_object_set_new(header, "code", json_integer(e->status));
	if (e->status) {
		json_t *error = json_object();
		json_object_set_new(error, "message", text(e->message));
		json_object_set_new(error, "hint", text(e->hint));
		json_object_set_new(error, "field", text(e->field));
		json_object_set_new(header, "error", error);
		return header;
	}
	json_object_set_new(r->result, "sandbox", sandbox_names(r->sandbox));
	json_object_set(header, "result", r->result);
	json_object_set(header, "warnings", r->warnings);
	return header;
}

bool reply_send(const struct reply *r, const struct error *e, int fd)
{
	static const uint8_t id[MESSAGE_ID_BYTES], zeros[MESSAGE_ALIGN];
	json_t *header = header_of(r, e);
	size_t narrays = e->status ? 0 : r->narrays;
	uint8_t *head = NULL;
	size_t nhead;
	bool ok = header && message_encode(header, MESSAGE_REPLY, id, r->arrays, narrays, NULL, 0, &head, &nhead) == STATUS_OK;
	ok = ok && write_all(fd, head, nhead);
	for (size_t i = 0; i < narrays && ok; i++) {
		size_t pad = i + 1 < narrays ? message_padding(r->arrays[i].nbytes) : 0;
		ok = write_all(fd, r->arrays[i].data, r->arrays[i].nbytes) && write_all(fd, zeros, pad);
	}
	free(head);
	json_decref(header);
	return ok;
}
