/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Parallel loops. One piece for each thread of the executor; a piece takes the next chunk until none is left, so chunks start in order: when
 * chunk k fails all lower ones have started and will end, which makes the failure reported, the lowest chunk's, the same for any
 * number of threads. Pieces also end, after a chunk, when the call wants attention; then the main thread looks up and the rest goes
 * on, with whatever executor the call has by then.
 */
#include "kernels/compiler/runtime.h"

#include <stdlib.h>

/* A loop the caller did not cut (length 0) is taken to be light, some nanoseconds an iteration: below FEW_TRIPS threads cost more than they
 * give, and no chunk is below LEAST_TRIPS. Loops that do more in an iteration are cut by their caller: kernel_chunk_length(trips, false). */
enum { FEW_TRIPS = 8192, LEAST_TRIPS = 4096, CHUNKS_PER_THREAD = 16 };

struct work {
	kernel_chunk *fn;
	void *frame;
	int64_t trips, length, nchunks;
	_Atomic int64_t next;
	atomic_bool failed;
	struct kernel_call *call;
	struct piece *pieces;
};

struct piece {
	_Alignas(64) struct kernel_context ctx; /* apart: neighbours write theirs */
	int64_t chunk;           /* that failed, or -1 */
};

static int run_chunk(const struct work *w, struct kernel_context *ctx, int64_t k)
{
	int64_t lo = k * w->length, left = w->trips - lo;
	return kernel_poll(ctx) || w->fn(ctx, w->frame, lo, lo + (left < w->length ? left : w->length), k);
}

static bool wants_attention(const struct kernel_call *call)
{
	return call->pause && call->attention && atomic_load_explicit(call->attention, memory_order_relaxed);
}

static void run_piece(void *arg, size_t i)
{
	struct work *w = arg;
	struct piece *piece = &w->pieces[i];
	do {
		int64_t k = atomic_fetch_add(&w->next, 1);
		if (k >= w->nchunks || atomic_load(&w->failed))
			return;
		void *mark = kernel_mark(&piece->ctx);
		if (run_chunk(w, &piece->ctx, k)) {
			piece->chunk = k;
			atomic_store(&w->failed, true);
			return;
		}
		kernel_release(&piece->ctx, mark);
	} while (!wants_attention(w->call));
}

/* Chunks until none is left, one failed or attention is wanted. 0, or 1 with the failure in ctx. */
static int run_pieces(struct work *w, struct kernel_context *ctx, size_t npieces)
{
	const struct executor *ex = w->call->executor;
	for (size_t i = 0; i < npieces; i++) {
		kernel_context_init(&w->pieces[i].ctx, w->call);
		w->pieces[i].chunk = -1;
	}
	ex->run(ex->ctx, npieces, run_piece, w);
	const struct piece *first = NULL;
	for (size_t i = 0; i < npieces; i++) {
		const struct piece *piece = &w->pieces[i];
		if (piece->chunk >= 0 && (!first || piece->chunk < first->chunk))
			first = piece;
	}
	if (first) {
		const struct kernel_failure *f = &first->ctx.failure;
		kernel_fail(ctx, f->code, f->line, f->array, f->value[0], f->value[1]);
	}
	for (size_t i = 0; i < npieces; i++)
		kernel_context_free(&w->pieces[i].ctx);
	return first != NULL;
}

/* Iterations' arrays never leave a parallel loop, so each chunk's memory ends with it, as in a piece. */
static int run_here(struct work *w, struct kernel_context *ctx)
{
	for (int64_t k = 0; k < w->nchunks; k++) {
		void *mark = kernel_mark(ctx);
		if (run_chunk(w, ctx, k))
			return 1;
		kernel_release(ctx, mark);
	}
	return 0;
}

static int64_t choose_length(int64_t trips, size_t nthreads)
{
	if (trips < FEW_TRIPS || nthreads < 2)
		return trips;
	int64_t length = trips / ((int64_t)nthreads * CHUNKS_PER_THREAD) + 1;
	return length < LEAST_TRIPS ? LEAST_TRIPS : length;
}

int kernel_parallel(struct kernel_context *ctx, kernel_chunk *fn, void *frame, int64_t trips, int64_t length)
{
	if (trips <= 0)
		return 0;
	struct work w = { .fn = fn, .frame = frame, .trips = trips, .call = ctx->call };
	size_t nthreads = ctx->call->executor->nthreads;
	w.length = length > 0 ? length : choose_length(trips, nthreads);
	w.nchunks = trips / w.length + (trips % w.length != 0);
	size_t npieces = (uint64_t)w.nchunks < nthreads ? (size_t)w.nchunks : nthreads;
	if (npieces >= 2 && ctx->is_main)
		w.pieces = aligned_alloc(_Alignof(struct piece), npieces * sizeof *w.pieces);
	if (!w.pieces)
		return run_here(&w, ctx);
	int failed = 0;
	while (!failed && atomic_load(&w.next) < w.nchunks)
		failed = run_pieces(&w, ctx, npieces) || kernel_poll(ctx);
	free(w.pieces);
	return failed;
}
