/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Arrays in the client's own memory (SPEC.md 2.3): process_vm_readv and process_vm_writev on the peer's pid.
 *
 * The kernel lets us read what we could debug: processes of the same user. A daemon with more rights than its client must not lend them,
 * so uids are compared here as well. The pid comes from SO_PEERCRED only; its pidfd is polled around each transfer, because the call takes
 * a number that could be reused. A bad address is an error of that request, never a signal.
 */
#ifndef DAEMON_CLIENT_MEMORY_H
#define DAEMON_CLIENT_MEMORY_H

#include "daemon/request.h"

/* May this request use the client's memory? Checks configuration, uid, pid, and that the cookie stands where the client says. */
enum status client_memory_check(struct request *r, struct error *e);

/* Copies nbytes, block by block; STATUS_UNREACHABLE or STATUS_CANCELLED. Any thread. */
enum status client_memory_read(const struct peer *p, uint64_t address, void *dst, size_t nbytes, const atomic_bool *cancel, struct error *e);
enum status client_memory_write(const struct peer *p, uint64_t address, const void *src, size_t nbytes, const atomic_bool *cancel, struct error *e);

/* The bytes of an array of the request, in the message or in the client's memory, to be freed; with room for a double more. */
enum status client_memory_copy(struct request *r, const struct array *a, void **copy, struct error *e);

#endif
