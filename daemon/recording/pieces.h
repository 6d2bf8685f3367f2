/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Independent pieces of one read on an executor: scratch for each thread, the first failure in order of pieces, cancelling.
 */
#ifndef DAEMON_RECORDING_PIECES_H
#define DAEMON_RECORDING_PIECES_H

#include "daemon/recording/chunk.h"
#include "kernels/executor.h"

#include <pthread.h>

struct pieces {
	enum status (*work)(void *arg, size_t i, struct chunk_scratch *s, struct error *e);
	void *arg;
	const atomic_bool *cancel; /* or NULL */

	struct chunk_scratch *scratch; /* [nslots], each taken by one thread at a time */
	atomic_bool *taken;
	size_t nslots;
	atomic_size_t failed;      /* lowest piece that failed, SIZE_MAX: none */
	pthread_mutex_t mu;        /* over `error` */
	struct error error;        /* of piece `failed` */
};

/* Runs work(arg, i) for i < n and frees the scratch. Pieces after a failed one may be left out. */
enum status pieces_run(struct pieces *p, size_t n, const struct executor *ex, struct error *e);

#endif
