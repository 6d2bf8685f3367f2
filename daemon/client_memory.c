/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/client_memory.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

enum { TRANSFER_BLOCK = 4 << 20 }; /* between two looks at the cancel flag: under 1 ms */

static const char hint[] = "send the array inline";

static bool gone(const struct peer *p)
{
	struct pollfd fd = { .fd = p->pidfd, .events = POLLIN };
	return p->pidfd < 0 || poll(&fd, 1, 0) != 0;
}

typedef ssize_t (*transfer_fn)(pid_t, const struct iovec *, unsigned long, const struct iovec *, unsigned long, unsigned long);

static enum status transfer(transfer_fn move, const struct peer *p, uint64_t address, void *here, size_t nbytes, const atomic_bool *cancel,
			    struct error *e)
{
	if (gone(p))
		return error_set(e, STATUS_UNREACHABLE, "memory", NULL, "the client's process has ended");
	for (size_t done = 0; done < nbytes;) {
		if (cancel && atomic_load_explicit(cancel, memory_order_relaxed))
			return error_set(e, STATUS_CANCELLED, NULL, NULL, "cancelled while moving the client's arrays");
		size_t n = nbytes - done < TRANSFER_BLOCK ? nbytes - done : TRANSFER_BLOCK;
		struct iovec local = { (char *)here + done, n }, remote = { (void *)(uintptr_t)(address + done), n };
		ssize_t moved = move(p->pid, &local, 1, &remote, 1, 0);
		if (moved <= 0)
			return error_set(e, STATUS_UNREACHABLE, "memory", hint, "the client's memory at 0x%" PRIx64 " (%zu bytes) cannot be used: %s",
					 address + done, n, moved ? strerror(errno) : "nothing was moved");
		done += (size_t)moved;
	}
	if (gone(p))
		return error_set(e, STATUS_UNREACHABLE, "memory", NULL, "the client's process ended during the transfer");
	return STATUS_OK;
}

enum status client_memory_read(const struct peer *p, uint64_t address, void *dst, size_t nbytes, const atomic_bool *cancel, struct error *e)
{
	return transfer(process_vm_readv, p, address, dst, nbytes, cancel, e);
}

enum status client_memory_write(const struct peer *p, uint64_t address, const void *src, size_t nbytes, const atomic_bool *cancel, struct error *e)
{
	return transfer(process_vm_writev, p, address, (void *)src, nbytes, cancel, e);
}

static bool uses_memory(const struct message *m)
{
	bool used = m->noutputs > 0;
	for (size_t i = 0; i < m->narrays; i++)
		used |= m->arrays[i].via == VIA_MEMORY;
	return used;
}

enum status client_memory_check(struct request *r, struct error *e)
{
	if (!uses_memory(&r->msg))
		return STATUS_OK;
	if (!r->settings->config.memory_enabled)
		return error_set(e, STATUS_UNREACHABLE, "memory", hint, "memory.enabled is off in this daemon");
	if (!r->peer->known || !r->peer->same_user)
		return error_set(e, STATUS_UNREACHABLE, "memory", hint, "the client is not a process of the daemon's user on this machine's unix socket");
	for (size_t i = 0; i < r->msg.noutputs; i++)
		if (r->msg.outputs[i].via != VIA_MEMORY)
			return error_set(e, STATUS_INVALID, "outputs", NULL, "output %s: via must be memory", r->msg.outputs[i].name);
	json_t *memory = json_object_get(r->msg.header, "memory");
	json_int_t pid = 0;
	const char *address_text = NULL, *cookie_text = NULL;
	uint8_t expected[MESSAGE_ID_BYTES], found[MESSAGE_ID_BYTES];
	if (json_unpack(memory, "{s:I, s:s, s:s}", "pid", &pid, "cookie_address", &address_text, "cookie", &cookie_text) != 0 ||
	    !message_id_from_text(cookie_text, expected))
		return error_set(e, STATUS_INVALID, "memory", "see SPEC.md 2.3", "memory needs pid, cookie_address and cookie (32 hex digits)");
	if (pid != r->peer->pid)
		return error_set(e, STATUS_UNREACHABLE, "memory.pid", "connect again after a fork, or send inline",
				 "the message comes from process %lld, the connection belongs to %d", (long long)pid, (int)r->peer->pid);
	enum status status = client_memory_read(r->peer, strtoull(address_text, NULL, 10), found, sizeof found, NULL, e);
	if (status)
		return status;
	if (memcmp(found, expected, sizeof found) != 0)
		return error_set(e, STATUS_UNREACHABLE, "memory.cookie", hint, "the cookie in the client's memory is not the one in the message");
	return STATUS_OK;
}

enum status client_memory_copy(struct request *r, const struct array *a, void **copy, struct error *e)
{
	*copy = malloc(a->nbytes + sizeof(double));
	if (!*copy)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	if (a->via == VIA_MEMORY)
		return client_memory_read(r->peer, a->address, *copy, a->nbytes, &r->cancel_flag, e);
	memcpy(*copy, a->data, a->nbytes);
	return STATUS_OK;
}
