/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Parallel loops. One piece for each thread of the executor; a piece takes the next chunk until none is left, so chunks start in order: when
 * chunk k fails all lower ones have started and will end, which makes the failure reported, the lowest chunk's, the same for any
 * number of threads. Pieces also end, after a chunk, when the call wants attention; then the main thread looks up and the rest goes
 * on, with whatever executor the call has by then.
 */
#include "kernels/compiler/runtime.h"

#include <stdlib.h>
#include <string.h>

/* A loop the caller did not cut (length 0) is taken to be light, some nanoseconds an iteration: below FEW_TRIPS threads cost more than they
 * give, and no chunk is below LEAST_TRIPS. Loops that do more in an iteration are cut by their caller: kernel_chunk_length(trips, false). */
enum { FEW_TRIPS = 8192, LEAST_TRIPS = 4096, CHUNKS_PER_THREAD = 16, STREAM_TRIPS = 16384 };

struct work {
	kernel_chunk *fn;
	void *frame;
	int64_t trips, length, nchunks;
	int64_t group;           /* chunks whose parts are brought together; 1 if nothing is remote */
	_Atomic int64_t next;    /* chunk */
	atomic_bool failed;
	struct kernel_call *call;
	struct piece *pieces;
	const struct kernel_layout *layout; /* NULL: nothing is remote */
};

struct piece {
	_Alignas(64) struct kernel_context ctx; /* apart: neighbours write theirs */
	int64_t chunk;           /* that failed, or -1 */
};

/* --- remote arrays: each chunk's part is brought to scratch memory, and what was written goes back --- */

static const struct kernel_remote *remote_of(const struct kernel_call *call, const void *data)
{
	for (unsigned i = 0; i < call->nremotes; i++)
		if (call->remotes[i].base == data)
			return &call->remotes[i];
	return NULL;
}

/* Bytes of the scratch of one chunk, and of the copy of the frame before it. */
static size_t scratch_bytes(const struct work *w)
{
	size_t nbytes = (size_t)w->layout->nbytes + 64;
	for (int64_t i = 0; i < w->layout->narrays; i++) {
		const struct kernel_array *a = (const void *)((char *)w->frame + w->layout->offset[i]);
		if (remote_of(w->call, a->data))
			nbytes += (size_t)(w->group * w->length * a->stride[0]) + 128;
	}
	return nbytes;
}

struct part {
	const struct kernel_remote *remote;
	size_t offset, nbytes;
	char *local;
};

static size_t aligned(size_t n)
{
	return (n + 63) / 64 * 64;
}

static int move_parts(struct kernel_context *ctx, const struct part *parts, int64_t n, bool store)
{
	struct kernel_call *call = ctx->call;
	for (int64_t i = 0; i < n; i++) {
		const struct part *p = &parts[i];
		if (p->nbytes && (store ? p->remote->store : p->remote->fetch) && call->move(call, p->remote, store, p->offset, p->local, p->nbytes))
			return kernel_fail(ctx, KERNEL_CANCELLED, 0, UINT32_MAX, 0, 0);
	}
	return 0;
}

enum { MOST_PARTS = 256 };

/* Chunks [k, end) with one part of each array. *failed is the one that ended it. */
static int stream_chunks(const struct work *w, struct kernel_context *ctx, int64_t k, int64_t end, char *scratch, int64_t *failed)
{
	struct part parts[MOST_PARTS];
	int64_t n = 0, lo = k * w->length, hi = end * w->length < w->trips ? end * w->length : w->trips;
	size_t used = aligned((size_t)w->layout->nbytes);
	memcpy(scratch, w->frame, (size_t)w->layout->nbytes);
	for (int64_t i = 0; i < w->layout->narrays && n < MOST_PARTS; i++) {
		struct kernel_array *a = (void *)(scratch + w->layout->offset[i]);
		const struct kernel_remote *r = remote_of(w->call, a->data);
		if (!r)
			continue;
		struct part *p = &parts[n++];
		*p = (struct part){ r, (size_t)(lo * a->stride[0]), (size_t)((hi - lo) * a->stride[0]), scratch + used };
		/* A loop may go on behind the end of the array; what it finds there is checked, and nothing to be moved. */
		size_t rest = p->offset < r->nbytes ? r->nbytes - p->offset : 0;
		p->nbytes = p->nbytes < rest ? p->nbytes : rest;
		/* So that element i of the array is where the chunk looks for it. */
		a->data = (void *)((uintptr_t)p->local - p->offset);
		used += aligned(p->nbytes);
	}
	*failed = k;
	if (move_parts(ctx, parts, n, false))
		return 1;
	for (int64_t j = k; j < end; j++) {
		int64_t from = j * w->length, left = w->trips - from;
		*failed = j;
		if (w->fn(ctx, scratch, from, from + (left < w->length ? left : w->length), j))
			return 1;
	}
	return move_parts(ctx, parts, n, true);
}

/* A group of chunks from k on. */
static int run_group(const struct work *w, struct kernel_context *ctx, int64_t k, char *scratch, int64_t *failed)
{
	int64_t end = k + w->group < w->nchunks ? k + w->group : w->nchunks;
	*failed = k;
	if (kernel_poll(ctx))
		return 1;
	if (scratch)
		return stream_chunks(w, ctx, k, end, scratch, failed);
	int64_t lo = k * w->length, left = w->trips - lo;
	return w->fn(ctx, w->frame, lo, lo + (left < w->length ? left : w->length), k);
}

/* NULL if nothing is remote; *failed without memory. */
static char *new_scratch(const struct work *w, struct kernel_context *ctx, bool *failed)
{
	if (!w->layout)
		return NULL;
	size_t nbytes = scratch_bytes(w);
	char *scratch = aligned_alloc(64, aligned(nbytes));
	*failed = !scratch && kernel_fail(ctx, KERNEL_MEMORY, 0, UINT32_MAX, (int64_t)nbytes, 0);
	return scratch;
}

static bool wants_attention(const struct kernel_call *call)
{
	return call->pause && call->attention && atomic_load_explicit(call->attention, memory_order_relaxed);
}

static void run_piece(void *arg, size_t i)
{
	struct work *w = arg;
	struct piece *piece = &w->pieces[i];
	bool failed = false;
	char *scratch = new_scratch(w, &piece->ctx, &failed);
	if (failed) {
		piece->chunk = 0;
		atomic_store(&w->failed, true);
		return;
	}
	do {
		int64_t k = atomic_fetch_add(&w->next, w->group), at;
		if (k >= w->nchunks || atomic_load(&w->failed))
			break;
		void *mark = kernel_mark(&piece->ctx);
		if (run_group(w, &piece->ctx, k, scratch, &at)) {
			piece->chunk = at;
			atomic_store(&w->failed, true);
			break;
		}
		kernel_release(&piece->ctx, mark);
	} while (!wants_attention(w->call));
	free(scratch);
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
	bool failed = false;
	char *scratch = new_scratch(w, ctx, &failed);
	for (int64_t k = 0, at; k < w->nchunks && !failed; k += w->group) {
		void *mark = kernel_mark(ctx);
		failed = run_group(w, ctx, k, scratch, &at);
		if (!failed)
			kernel_release(ctx, mark);
	}
	free(scratch);
	return failed;
}

static int64_t choose_length(int64_t trips, size_t nthreads)
{
	if (trips < FEW_TRIPS || nthreads < 2)
		return trips;
	int64_t length = trips / ((int64_t)nthreads * CHUNKS_PER_THREAD) + 1;
	return length < LEAST_TRIPS ? LEAST_TRIPS : length;
}

static bool has_remote(const struct kernel_call *call, const char *frame, const struct kernel_layout *layout)
{
	for (int64_t i = 0; layout && call->nremotes && i < layout->narrays; i++)
		if (remote_of(call, ((const struct kernel_array *)(const void *)(frame + layout->offset[i]))->data))
			return true;
	return false;
}

int kernel_parallel_over(struct kernel_context *ctx, kernel_chunk *fn, void *frame, int64_t trips, int64_t length, const struct kernel_layout *layout)
{
	if (trips <= 0)
		return 0;
	struct work w = { .fn = fn, .frame = frame, .trips = trips, .call = ctx->call, .layout = has_remote(ctx->call, frame, layout) ? layout : NULL };
	size_t nthreads = ctx->call->executor->nthreads;
	w.length = length > 0 ? length : choose_length(trips, nthreads);
	if (w.layout && length <= 0 && w.length > STREAM_TRIPS)
		w.length = STREAM_TRIPS;
	w.nchunks = trips / w.length + (trips % w.length != 0);
	w.group = w.layout && w.length < STREAM_TRIPS ? STREAM_TRIPS / w.length : 1;
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

int kernel_parallel(struct kernel_context *ctx, kernel_chunk *fn, void *frame, int64_t trips, int64_t length)
{
	return kernel_parallel_over(ctx, fn, frame, trips, length, NULL);
}
