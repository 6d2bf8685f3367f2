/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Answers of the HDF5 helper, which has looked at hostile files and may be anyone's by then.
 */
#include "daemon/recording/helper_call.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct helper_reply reply;
	struct error e = { 0 };
	uint8_t *body = exact_copy(data, n);
	enum status status = helper_reply_decode(&reply, body, n, &e);
	if (status == STATUS_OK) {
		HOLDS(json_is_object(reply.result) && reply.body == body);
		for (size_t i = 0; i < reply.m.narrays; i++) {
			const struct array *a = &reply.m.arrays[i];
			HOLDS((const uint8_t *)a->data >= body && a->nbytes <= n && (const uint8_t *)a->data + a->nbytes <= body + n);
		}
	} else {
		HOLDS(status != STATUS_BUSY && status != STATUS_CANCELLED && e.message[0] && memchr(e.message, 0, sizeof e.message));
	}
	helper_reply_fini(&reply);
	return 0;
}
