/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/request.h"
#include "daemon/client_memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct settings *settings_ref(struct settings *s)
{
	atomic_fetch_add(&s->refs, 1);
	return s;
}

void settings_unref(struct settings *s)
{
	if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	config_fini(&s->config);
	free(s);
}

struct peer *peer_ref(struct peer *p)
{
	atomic_fetch_add(&p->refs, 1);
	return p;
}

void peer_unref(struct peer *p)
{
	if (!p || atomic_fetch_sub(&p->refs, 1) != 1)
		return;
	if (p->pidfd >= 0)
		close(p->pidfd);
	free(p);
}

json_t *request_params(const struct request *r)
{
	return json_object_get(r->msg.header, "params");
}

enum step request_fail(struct request *r, enum status status, const char *field, const char *hint, const char *format, ...)
{
	char message[sizeof r->error.message];
	va_list ap;
	va_start(ap, format);
	vsnprintf(message, sizeof message, format, ap);
	va_end(ap);
	error_set(&r->error, status, field, hint, "%s", message);
	return STEP_DONE;
}

bool request_add_array(struct request *r, const char *name, enum dtype dtype, unsigned ndim, const uint64_t *shape, void *data)
{
	struct array *a = &r->out[r->nout];
	if (!data || r->nout == REPLY_MAX_ARRAYS || array_init(a, name, dtype, ndim, shape) != STATUS_OK) {
		free(data);
		request_fail(r, data ? STATUS_INTERNAL : STATUS_NO_MEMORY, name, NULL, "no room for the result array %s", name);
		return false;
	}
	a->data = data;
	r->nout++;
	return true;
}

void request_warn(struct request *r, const char *format, ...)
{
	char text[512];
	va_list ap;
	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	if (!r->warnings)
		r->warnings = json_array();
	json_array_append_new(r->warnings, json_string(text));
}

void request_cancel(struct request *r, enum status why)
{
	int none = 0;
	atomic_compare_exchange_strong(&r->cancelled, &none, (int)why);
	atomic_store(&r->cancel_flag, true);
	atomic_store(&r->attention, true);
}

void request_deliver(struct request *r)
{
	for (size_t i = 0; i < r->nout && !r->error.status; i++) {
		struct array *a = &r->out[i];
		const struct array *wanted = message_output(&r->msg, a->name);
		if (!wanted || a->via == VIA_MEMORY)
			continue;
		if (wanted->dtype != a->dtype || wanted->nbytes != a->nbytes || (a->ndim > 1 && wanted->fortran != a->fortran)) {
			request_fail(r, STATUS_INVALID, "outputs", "give an output of the result's type and size",
				     "output %s: the result has %s and %llu bytes, the client's array has %s and %llu bytes", a->name, dtype_name(a->dtype),
				     (unsigned long long)a->nbytes, dtype_name(wanted->dtype), (unsigned long long)wanted->nbytes);
			return;
		}
		if (client_memory_write(r->peer, wanted->address, a->data, a->nbytes, &r->cancel_flag, &r->error) != STATUS_OK)
			return;
		free((void *)a->data);
		a->data = NULL;
		a->via = VIA_MEMORY;
		a->address = wanted->address;
	}
}

void request_free(struct request *r)
{
	if (r->op && r->op->end && r->state)
		r->op->end(r);
	message_fini(&r->msg);
	free(r->body);
	peer_unref(r->peer);
	settings_unref(r->settings);
	while (r->recipients) {
		struct recipient *next = r->recipients->next;
		free(r->recipients);
		r->recipients = next;
	}
	json_decref(r->result);
	json_decref(r->warnings);
	for (size_t i = 0; i < r->nout; i++)
		if (r->out[i].via == VIA_INLINE)
			free((void *)r->out[i].data);
	free(r);
}
