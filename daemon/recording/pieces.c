/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/recording/pieces.h"

#include <stdlib.h>

static struct chunk_scratch *take(struct pieces *p, size_t *slot)
{
	for (size_t i = 0; i < p->nslots; i++)
		if (!atomic_exchange(&p->taken[i], true)) {
			*slot = i;
			return &p->scratch[i];
		}
	return NULL;
}

static void fail(struct pieces *p, size_t i, const struct error *e)
{
	pthread_mutex_lock(&p->mu);
	if (i < atomic_load(&p->failed)) {
		p->error = *e;
		atomic_store(&p->failed, i);
	}
	pthread_mutex_unlock(&p->mu);
}

static void run_piece(void *arg, size_t i)
{
	struct pieces *p = arg;
	struct error e = { 0 };
	struct chunk_scratch own = { 0 };
	size_t slot = 0;
	if (atomic_load(&p->failed) < i)
		return;
	if (p->cancel && atomic_load(p->cancel)) {
		error_set(&e, STATUS_CANCELLED, NULL, NULL, "cancelled while reading");
		fail(p, i, &e);
		return;
	}
	struct chunk_scratch *s = take(p, &slot); /* more threads than announced: they pay for their own */
	enum status status = p->work(p->arg, i, s ? s : &own, &e);
	if (s)
		atomic_store(&p->taken[slot], false);
	chunk_scratch_fini(&own);
	if (status) {
		e.status = status;
		fail(p, i, &e);
	}
}

enum status pieces_run(struct pieces *p, size_t n, const struct executor *ex, struct error *e)
{
	enum status status = STATUS_OK;
	p->nslots = ex->nthreads < 1 ? 1 : ex->nthreads;
	p->scratch = calloc(p->nslots, sizeof *p->scratch);
	p->taken = calloc(p->nslots, sizeof *p->taken);
	if (!p->scratch || !p->taken) {
		status = error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for reading on %zu threads", p->nslots);
		goto done;
	}
	atomic_init(&p->failed, SIZE_MAX);
	pthread_mutex_init(&p->mu, NULL);
	ex->run(ex->ctx, n, run_piece, p);
	pthread_mutex_destroy(&p->mu);
	if (atomic_load(&p->failed) != SIZE_MAX) {
		status = p->error.status;
		if (e)
			*e = p->error;
	}
	for (size_t i = 0; i < p->nslots; i++)
		chunk_scratch_fini(&p->scratch[i]);
done:
	free(p->scratch);
	free(p->taken);
	return status;
}
