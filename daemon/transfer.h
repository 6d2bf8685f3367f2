/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Many arrays between the client's memory and ours, in pieces that the lane's threads share, some tens of MiB a step.
 */
#ifndef DAEMON_TRANSFER_H
#define DAEMON_TRANSFER_H

#include "daemon/client_memory.h"

enum { TRANSFER_MAX = 256 }; /* as many as a message has arrays */

struct transfer {
	struct stretch {
		uint64_t there;
		uint8_t *here;
		size_t nbytes;
	} stretches[TRANSFER_MAX];
	size_t n;
	size_t at, done;             /* stretch, and bytes of it that are through */
};

void transfer_add(struct transfer *t, uint64_t there, void *here, size_t nbytes);

/* One step, out of the client's memory or (`write`) into it; *finished when nothing is left. */
enum status transfer_step(struct transfer *t, bool write, struct request *r, const struct executor *ex, bool *finished, struct error *e);

#endif
