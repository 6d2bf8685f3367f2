/* SPDX-License-Identifier: BSD-3-Clause
 *
 * One question to the HDF5 helper: a process of its own, started by posix_spawn, given one descriptor, bounded in time, memory and output, and
 * reaped before the call returns. Blocks; any thread.
 */
#ifndef DAEMON_RECORDING_HELPER_CALL_H
#define DAEMON_RECORDING_HELPER_CALL_H

#include "daemon/recording/recording.h"
#include "protocol/message.h"

#include <sys/uio.h>

struct helper_call {
	const char *command;     /* index, read, about, write-nwb, check-result */
	int fd;                  /* data file or directory; stays the caller's */
	const struct iovec *in;  /* what the helper reads on stdin */
	size_t nin;
	size_t max_output;       /* bytes; more is an error */
	size_t more_memory;      /* bytes of address space on top of helper_limits.memory */
	int more_ms;             /* time on top of helper_limits.timeout_ms */
};

/* The answer, decoded but not believed: whoever uses it checks every number. */
struct helper_reply {
	uint8_t *body;
	struct message m;
	json_t *result;          /* borrowed from m.header, an object */
};

/* Asks and decodes. An error that the helper reports comes back as its status; its death, silence or nonsense as STATUS_CORRUPT (of the file: the
 * helper is the only one that looks at hostile bytes) with the object it was looking at; a helper that cannot be started as STATUS_INTERNAL.
 * On failure nothing is left to free. */
enum status helper_ask(const struct helper_limits *limits, const struct helper_call *call, struct helper_reply *reply, struct error *e);
void helper_reply_fini(struct helper_reply *reply);

/* The same with a JSON object as parameters, which is consumed. */
enum status helper_ask_json(const struct helper_limits *limits, const char *command, int fd, json_t *params, size_t max_output,
			    struct helper_reply *reply, struct error *e);

/* From helper_reply.c: decodes a body that helper_ask received; takes it over. */
enum status helper_reply_decode(struct helper_reply *reply, uint8_t *body, size_t nbytes, struct error *e);

#endif
