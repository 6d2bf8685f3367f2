/* SPDX-License-Identifier: BSD-3-Clause
 *
 * All pairs take a run before the next run is looked at: a run of 1024 channels is 1 MB, which L2 holds, while a slab of seconds would come from
 * memory for each pair.
 */
#include "kernels/covariance.h"

struct job {
	const struct slab *x;
	const struct tile_pair *pairs;
	size_t npairs, first, nframes;
	double *sums;
};

enum { PIECE = 8 };

static void run_piece(void *arg, size_t piece)
{
	const struct job *j = arg;
	size_t end = (piece + 1) * PIECE < j->npairs ? (piece + 1) * PIECE : j->npairs;
	for (size_t i = piece * PIECE; i < end; i++)
		ISA_PICK(covariance_run)(slab_at(j->x, j->pairs[i].a, j->first), slab_at(j->x, j->pairs[i].b, j->first), j->nframes,
					 j->sums + i * LANES * LANES);
}

void covariance_add(const struct slab *x, const struct tile_pair *pairs, size_t npairs, const struct executor *ex, double *sums)
{
	for (size_t at = 0; at < x->nframes; at += COVARIANCE_RUN) {
		size_t n = x->nframes - at < COVARIANCE_RUN ? x->nframes - at : COVARIANCE_RUN;
		struct job job = { x, pairs, npairs, at, n, sums };
		ex->run(ex->ctx, (npairs + PIECE - 1) / PIECE, run_piece, &job);
	}
}
