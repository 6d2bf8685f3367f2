/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/transfer.h"

/* 64 MiB a step: some 10 ms. A piece is large enough that two system calls do not show, and below LITTLE threads cost more than they give. */
enum { PIECES = 32, PIECE_BYTES = 2 << 20, LITTLE = 1 << 20 };

struct pieces {
	struct stretch items[PIECES];
	enum status status[PIECES];
	struct error errors[PIECES];
	const struct request *request;
	bool write;
};

void transfer_add(struct transfer *t, uint64_t there, void *here, size_t nbytes)
{
	if (nbytes && t->n < TRANSFER_MAX)
		t->stretches[t->n++] = (struct stretch){ there, here, nbytes };
}

static void move_piece(void *arg, size_t i)
{
	struct pieces *p = arg;
	const struct stretch *s = &p->items[i];
	const struct request *r = p->request;
	p->status[i] = p->write ? client_memory_write(r->peer, s->there, s->here, s->nbytes, &r->cancel_flag, &p->errors[i])
				: client_memory_read(r->peer, s->there, s->here, s->nbytes, &r->cancel_flag, &p->errors[i]);
}

static size_t next_pieces(struct transfer *t, struct stretch *out, size_t *nbytes)
{
	size_t n = 0;
	*nbytes = 0;
	while (n < PIECES && t->at < t->n) {
		const struct stretch *s = &t->stretches[t->at];
		size_t left = s->nbytes - t->done, take = left < PIECE_BYTES ? left : PIECE_BYTES;
		out[n++] = (struct stretch){ s->there + t->done, s->here + t->done, take };
		*nbytes += take;
		t->done = take == left ? 0 : t->done + take;
		t->at += take == left;
	}
	return n;
}

enum status transfer_step(struct transfer *t, bool write, struct request *r, const struct executor *ex, bool *finished, struct error *e)
{
	struct pieces p;
	size_t nbytes, n = next_pieces(t, p.items, &nbytes);
	p.request = r;
	p.write = write;
	const struct executor *who = nbytes < LITTLE ? &executor_serial : ex;
	who->run(who->ctx, n, move_piece, &p);
	*finished = t->at == t->n;
	for (size_t i = 0; i < n; i++)
		if (p.status[i]) {
			*e = p.errors[i];
			return p.status[i];
		}
	return STATUS_OK;
}
