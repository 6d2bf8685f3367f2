/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/spread.h"

#include <stdatomic.h>

struct job {
	size_t n;
	atomic_size_t next;
	void (*body)(void *arg, size_t worker, size_t i);
	void *arg;
};

static void work(void *arg, size_t worker)
{
	struct job *job = arg;
	for (size_t i; (i = atomic_fetch_add_explicit(&job->next, 1, memory_order_relaxed)) < job->n;)
		job->body(job->arg, worker, i);
}

void spread(const struct executor *ex, size_t n, size_t workers, void (*body)(void *arg, size_t worker, size_t i), void *arg)
{
	struct job job = { .n = n, .body = body, .arg = arg };
	if (workers > ex->nthreads)
		workers = ex->nthreads;
	if (workers > n)
		workers = n;
	atomic_init(&job.next, 0);
	if (workers > 1)
		ex->run(ex->ctx, workers, work, &job);
	else
		work(&job, 0);
}
