/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Message decoder. What it accepts lies inside the body, and encoded again it is a message with the same arrays.
 */
#include "protocol/message.h"
#include "tests/fuzz/fuzz.h"

enum { MAX_HEADER = 64 << 10 };

static void check_arrays(const struct message *m, const uint8_t *body, size_t n)
{
	for (size_t i = 0; i < m->narrays; i++) {
		const struct array *a = &m->arrays[i];
		HOLDS(a->ndim <= MESSAGE_MAX_DIMS && a->name[0] && memchr(a->name, 0, sizeof a->name));
		HOLDS(message_array(m, a->name) == a);
		if (a->via != VIA_INLINE)
			continue;
		const uint8_t *at = a->data;
		HOLDS(at >= body && at <= body + n && a->nbytes <= (uint64_t)(body + n - at) && (at - body) % MESSAGE_ALIGN == 0);
		uint8_t sum = 0;
		for (uint64_t k = 0; k < a->nbytes; k++)
			sum ^= at[k];
		*(volatile uint8_t *)&sum = sum;
	}
}

static void check_again(struct message *m)
{
	uint8_t *head;
	size_t nhead;
	struct message again;
	struct error e;
	json_t *header = json_deep_copy(m->header);
	json_object_del(header, "arrays");
	json_object_del(header, "outputs");
	HOLDS(message_encode(header, MESSAGE_REQUEST, m->prefix.id, m->arrays, m->narrays, m->outputs, m->noutputs, &head, &nhead) == STATUS_OK);
	size_t n = message_body_bytes(nhead, m->arrays, m->narrays), end = nhead;
	uint8_t *body = calloc(1, n);
	HOLDS(body);
	memcpy(body, head, nhead);
	for (size_t i = 0; i < m->narrays; i++)
		if (m->arrays[i].via == VIA_INLINE) {
			end += message_padding(end);
			if (m->arrays[i].nbytes)
				memcpy(body + end, m->arrays[i].data, m->arrays[i].nbytes);
			end += m->arrays[i].nbytes;
		}
	HOLDS(end == n);
	/* Written again the header may be longer (escapes, defaults), so only the limit differs. */
	HOLDS(message_decode(&again, body, n, 16 * MAX_HEADER, &e) == STATUS_OK);
	HOLDS(again.narrays == m->narrays && again.noutputs == m->noutputs);
	for (size_t i = 0; i < m->narrays; i++)
		HOLDS(again.arrays[i].nbytes == m->arrays[i].nbytes && again.arrays[i].dtype == m->arrays[i].dtype &&
		      again.arrays[i].fortran == m->arrays[i].fortran && strcmp(again.arrays[i].name, m->arrays[i].name) == 0);
	message_fini(&again);
	free(body);
	free(head);
	json_decref(header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct message m;
	struct error e = { 0 };
	uint8_t *body = exact_copy(data, n);
	enum status status = message_decode(&m, body, n, MAX_HEADER, &e);
	if (status == STATUS_OK) {
		check_arrays(&m, body, n);
		check_again(&m);
		message_fini(&m);
	} else {
		HOLDS(e.message[0] && e.status == status && !m.header && !m.arrays && !m.outputs);
	}
	free(body);
	return 0;
}
