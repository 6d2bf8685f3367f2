/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Memory files of clients (SPEC.md 2.3, `shared`), mapped here once and used by many requests: no copy at all.
 *
 * Only files that cannot shrink are mapped, so that no access is ever outside (no SIGBUS). The descriptor is taken from the client's process by
 * pidfd_getfd, which the kernel allows for what could be debugged: the client's own user. Mappings are let go when their process has ended, or for newer
 * ones when there are too many bytes. Any thread.
 */
#ifndef DAEMON_SHARED_MEMORY_H
#define DAEMON_SHARED_MEMORY_H

#include "daemon/request.h"

struct shared_memory;
struct shared_mapping;

/* max_bytes: of all mappings that nobody uses at the moment together with those in use. */
struct shared_memory *shared_memory_new(size_t max_bytes);
void shared_memory_free(struct shared_memory *m);

/* The array's bytes in a mapping that *hold keeps, or NULL: then it goes by its address. */
void *shared_memory_use(struct shared_memory *m, const struct peer *p, const struct array *a, struct shared_mapping **hold);
void shared_memory_done(struct shared_memory *m, struct shared_mapping *hold);  /* NULL is allowed */

/* Lets go of what belongs to processes that have ended. */
void shared_memory_sweep(struct shared_memory *m);

struct shared_memory_counts {
	size_t files, nbytes;
};
struct shared_memory_counts shared_memory_counts(struct shared_memory *m);

#endif
