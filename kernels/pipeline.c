/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The chain is cut at its stages of blocks (zero-phase filters and the like) into reaches. A reach is a buffer of frames in time order, with the stages that work in place
 * on what arrives there (causal filters, stages of frames):
 *
 *	frames -> convert -> [reach 0, in place] -> zero-phase 0 -> [reach 1, in place] -> zero-phase 1 -> ... -> [last reach] -> out
 *
 * A zero-phase stage takes blocks of `grid` frames, with margins, from the reach before it and appends them filtered to the one behind. All share
 * one grid, so a block that enters completes at most one block in each. The last reach is emptied at the start of each call; the
 * others drop what no later block reads.
 *
 * When the chain begins with a zero-phase stage, reach 0 keeps the frames as stored, and its filter converts them while it passes over them.
 */
#include "kernels/pipeline.h"

#include "kernels/convert.h"
#include "kernels/large.h"
#include "kernels/plan.h"
#include "kernels/spread.h"

#include <stdlib.h>
#include <string.h>

enum {
	MAX_REACHES = PIPELINE_MAX_STAGES + 1,
	MAX_WORKERS = 64,   /* scratch is there for so many; more threads than that idle */
	PIECE = STAGE_PIECE, /* frames of a piece of conversion and of stages of frames */
	MAX_CHUNK = 1 << 20,
	BATCH_TILES = 16, MAX_BATCH = 16,
};

struct reach {
	size_t stage, nstages;   /* the stages in place: plan.stages[stage] and the following */
	size_t capacity;         /* frames */
	float *x;                /* a slab */
	size_t tile_stride;      /* floats */
	char *stored;            /* or [capacity] frames as stored; the first that counts is number `begin` of them */
	size_t begin;
	int64_t first;           /* of the segment: its first frame */
	size_t nframes;
	/* Of the stage of blocks behind, zero-phase or other; the last reach has none. */
	const struct plan_stage *zero_phase;
	int64_t next;            /* where its next block starts */
};

struct pipeline {
	struct plan plan;
	size_t nchannels, ntiles, max_chunk;
	enum dtype dtype;
	size_t row_bytes;        /* of a frame as stored */
	double *gain, *offset;   /* NULL without */
	size_t nreaches;
	struct reach reaches[MAX_REACHES];
	char *states[PIPELINE_MAX_STAGES];             /* causal stages: [ntiles] of state_bytes */
	bool started[PIPELINE_MAX_STAGES];             /* causal stages: the state is there */
	size_t block_workers, frames_workers;
	size_t block_scratch_bytes, frames_scratch_bytes; /* of one worker */
	char *block_scratch, *frames_scratch;
	char *shared;            /* of the block stage that runs */
	bool pieces;             /* no grid: a block is all there is at the flush */
	size_t batch;            /* blocks that reach 0 may run at once: few channels make few tiles, and many threads would find no work */
	int64_t segment_frames;  /* -1: not known */
	int64_t segment_end;     /* known from the flush on, before that INT64_MAX */
	char *arena;             /* everything above that is an array */
};

/* --- memory --- */

/* Lays out an array of count items in the arena; *at is its place. False if that overflows. */
static bool carve(size_t *total, size_t count, size_t item, size_t *at)
{
	size_t bytes;
	*at = *total;
	if (__builtin_mul_overflow(count, item, &bytes) || __builtin_add_overflow(bytes, 63, &bytes))
		return false;
	return !__builtin_add_overflow(*total, bytes & ~(size_t)63, total);
}

static void find_reaches(struct pipeline *p)
{
	struct reach *r = &p->reaches[0];
	p->nreaches = 1;
	for (size_t i = 0; i < p->plan.nstages; i++) {
		if (p->plan.stages[i].form != FORM_BLOCK) {
			r->nstages++;
			continue;
		}
		r->zero_phase = &p->plan.stages[i];
		r = &p->reaches[p->nreaches++];
		r->stage = i + 1;
	}
}

/* Does reach 0 keep frames as stored? */
static bool keeps_stored(const struct pipeline *p)
{
	const struct reach *r = &p->reaches[0];
	return r->zero_phase && r->nstages == 0 && r->zero_phase->type->tile_stored;
}

/* As many blocks as make BATCH_TILES tiles. Not where another stage of blocks follows: that takes them one at a time. */
static size_t batch_of(const struct pipeline *p)
{
	const size_t wanted = p->ntiles < BATCH_TILES ? BATCH_TILES / p->ntiles : 1;
	return p->pieces || !keeps_stored(p) || p->nreaches > 2 ? 1 : wanted < MAX_BATCH ? wanted : MAX_BATCH;
}

/* Frames a reach must hold: a block with both margins; in later ones, where whole blocks arrive, one block more; and so in one that keeps frames as
 * stored, which are moved only when it is full. In slabs an odd number, so that the same frame of different tiles falls into different sets of
 * the caches. */
static size_t capacity(const struct pipeline *p, size_t i)
{
	const struct reach *r = &p->reaches[i];
	if (!r->zero_phase)
		return (i ? p->plan.grid * p->batch : p->max_chunk) | 1;
	if (p->pieces)
		return p->plan.grid | 1;
	return (p->plan.grid * (i || keeps_stored(p) ? 1 + p->batch : 1) + 2 * r->zero_phase->margin) | 1;
}

/* Places a reach's buffer; r->capacity is known. */
static bool lay_out_reach(struct pipeline *p, struct reach *r, bool stored, size_t *total, char *arena)
{
	size_t at = 0;
	bool fits;
	if (stored) {
		fits = carve(total, r->capacity, p->row_bytes, &at);
		r->stored = arena ? arena + at : NULL;
		return fits;
	}
	fits = !__builtin_mul_overflow(r->capacity, (size_t)LANES, &r->tile_stride) && r->tile_stride <= SIZE_MAX / sizeof(float);
	fits = fits && carve(total, p->ntiles, fits ? r->tile_stride * sizeof(float) : 0, &at);
	r->x = arena ? (float *)(arena + at) : NULL;
	return fits;
}

/* The most that a stage of this form needs, in whole cache lines. */
static size_t most_bytes(const struct pipeline *p, enum stage_form form, bool shared)
{
	size_t most = 0;
	for (size_t i = 0; i < p->plan.nstages; i++) {
		const struct plan_stage *s = &p->plan.stages[i];
		size_t bytes = shared ? s->shared_bytes : s->scratch_bytes;
		if (s->form == form && bytes > most)
			most = bytes;
	}
	return (most + 63) & ~(size_t)63;
}

/* Sizes everything and, if the arena is there, places it. False if the total overflows. */
static bool lay_out(struct pipeline *p, bool scaled, size_t *total)
{
	size_t at = 0;
	char *arena = p->arena;
	bool fits = true;

	*total = 0;
	for (size_t i = 0; i < p->nreaches; i++) {
		struct reach *r = &p->reaches[i];
		r->capacity = capacity(p, i);
		fits = fits && lay_out_reach(p, r, i == 0 && keeps_stored(p), total, arena);
	}
	for (size_t i = 0; i < p->plan.nstages; i++) {
		const struct plan_stage *stage = &p->plan.stages[i];
		fits = fits && carve(total, stage->form == FORM_CAUSAL ? p->ntiles : 0, stage->state_bytes, &at);
		p->states[i] = arena ? arena + at : NULL;
	}
	p->block_workers = p->ntiles * p->batch < MAX_WORKERS ? p->ntiles * p->batch : MAX_WORKERS;
	p->block_scratch_bytes = most_bytes(p, FORM_BLOCK, false);
	fits = fits && carve(total, p->block_workers, p->block_scratch_bytes, &at);
	p->block_scratch = arena ? arena + at : NULL;
	p->frames_workers = MAX_WORKERS;
	p->frames_scratch_bytes = most_bytes(p, FORM_FRAMES, false);
	fits = fits && carve(total, p->frames_workers, p->frames_scratch_bytes, &at);
	p->frames_scratch = arena ? arena + at : NULL;
	fits = fits && carve(total, 1, most_bytes(p, FORM_BLOCK, true), &at);
	p->shared = arena ? arena + at : NULL;
	fits = fits && carve(total, scaled ? p->nchannels : 0, sizeof(double), &at);
	p->gain = arena && scaled ? (double *)(arena + at) : NULL;
	fits = fits && carve(total, scaled ? p->nchannels : 0, sizeof(double), &at);
	p->offset = arena && scaled ? (double *)(arena + at) : NULL;
	return fits && *total <= PTRDIFF_MAX;
}

/* A pipeline without its arena. */
static enum status describe(struct pipeline *p, const struct pipeline_spec *spec, size_t max_chunk, struct error *e)
{
	enum status status = plan_make(&p->plan, spec, e);
	if (status)
		return status;
	if (max_chunk < 1 || max_chunk > MAX_CHUNK)
		return error_set(e, STATUS_INVALID, "chunk", "use 1 to 1048576 frames", "chunks of %zu frames", max_chunk);
	p->nchannels = spec->nchannels;
	p->ntiles = (spec->nchannels + LANES - 1) / LANES;
	p->max_chunk = max_chunk;
	p->dtype = spec->dtype;
	p->row_bytes = p->nchannels * dtype_size(p->dtype);
	p->pieces = spec->piece_frames > 0;
	find_reaches(p);
	p->batch = batch_of(p);
	return STATUS_OK;
}

enum status pipeline_new(struct pipeline **out, const struct pipeline_spec *spec, size_t max_chunk, struct error *e)
{
	size_t total;
	struct pipeline *p = calloc(1, sizeof *p);

	*out = NULL;
	if (!p)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for a pipeline");
	enum status status = describe(p, spec, max_chunk, e);
	if (status)
		goto fail;
	status = STATUS_NO_MEMORY;
	if (lay_out(p, spec->gain != NULL, &total))
		p->arena = large_alloc(total);
	if (!p->arena) {
		error_set(e, status, NULL, "use fewer channels, smaller chunks or a higher freq_min", "no memory for a pipeline of %zu channels",
			  spec->nchannels);
		goto fail;
	}
	lay_out(p, spec->gain != NULL, &total);
	if (spec->gain) {
		memcpy(p->gain, spec->gain, spec->nchannels * sizeof *p->gain);
		memcpy(p->offset, spec->offset, spec->nchannels * sizeof *p->offset);
	}
	pipeline_reset(p, spec->first_frame, spec->segment_frames);
	*out = p;
	return STATUS_OK;
fail:
	pipeline_free(p);
	return status;
}

void pipeline_free(struct pipeline *p)
{
	if (!p)
		return;
	plan_fini(&p->plan);
	free(p->arena);
	free(p);
}

size_t pipeline_bytes(const struct pipeline_spec *spec, size_t max_chunk)
{
	struct pipeline p = { 0 };
	struct pipeline_spec plain = *spec;
	size_t total;

	plain.gain = plain.offset = NULL; /* their values do not matter here */
	if (describe(&p, &plain, max_chunk, NULL))
		total = 0;
	else if (!lay_out(&p, spec->gain != NULL, &total) || __builtin_add_overflow(total, sizeof p + plan_bytes(&p.plan), &total))
		total = SIZE_MAX;
	plan_fini(&p.plan);
	return total;
}

void pipeline_reset(struct pipeline *p, int64_t first_frame, int64_t segment_frames)
{
	int64_t grid = (int64_t)p->plan.grid, first = first_frame;

	p->segment_frames = segment_frames;
	p->segment_end = INT64_MAX;
	memset(p->started, 0, sizeof p->started);
	for (size_t i = 0; i < p->nreaches; i++) {
		struct reach *r = &p->reaches[i];
		r->first = first;
		r->begin = r->nframes = 0;
		if (!r->zero_phase)
			break;
		/* The first block with a whole left margin; from the start of the segment that is the first block. */
		if (first > 0)
			first += (int64_t)r->zero_phase->margin;
		if (!p->pieces)
			first = (first + grid - 1) / grid * grid;
		r->next = first;
	}
}

/* --- what a request must read --- */

void pipeline_halo(const struct pipeline_spec *spec, size_t *before, size_t *behind, bool *from_start)
{
	size_t grid = plan_grid(spec), frames = 0;

	*from_start = false;
	for (size_t i = 0; i < spec->nstages && i < PIPELINE_MAX_STAGES; i++) {
		enum stage_form form = plan_form(&spec->stages[i]);
		if (form == FORM_BLOCK)
			frames += grid - 1 + plan_margin(&spec->stages[i], spec->fs_hz);
		else if (form == FORM_CAUSAL)
			*from_start = true;
	}
	*before = *behind = frames;
}

void pipeline_span(const struct pipeline_spec *spec, int64_t start, int64_t stop, int64_t segment_frames, bool settled, int64_t *from, int64_t *to)
{
	int64_t grid = (int64_t)plan_grid(spec);
	size_t nstages = spec->nstages < PIPELINE_MAX_STAGES ? spec->nstages : PIPELINE_MAX_STAGES;

	for (size_t i = nstages; i-- > 0 && start < stop;) {
		enum stage_form form = plan_form(&spec->stages[i]);
		int64_t margin = (int64_t)plan_margin(&spec->stages[i], spec->fs_hz);
		if (form == FORM_CAUSAL)
			start = settled ? start - margin : 0;
		if (form == FORM_BLOCK && !spec->piece_frames) {
			start = start / grid * grid;
			stop = (stop + grid - 1) / grid * grid;
		}
		if (form == FORM_BLOCK) {
			start -= margin;
			stop += margin;
		}
		start = start > 0 ? start : 0;
		stop = stop < segment_frames ? stop : segment_frames;
	}
	*from = start;
	*to = stop;
}

size_t pipeline_piece(const struct pipeline_spec *spec, size_t nframes)
{
	const int64_t far = (int64_t)1 << 61;
	struct pipeline_spec piece = *spec;
	int64_t from, to;
	piece.piece_frames = 1;
	pipeline_span(&piece, far, far + (int64_t)nframes, INT64_MAX, true, &from, &to);
	return (size_t)(to - from);
}

/* --- stages in place --- */

/* Some frames of a reach, from frame `at` on: conversion, if `frames` is not NULL, then `nstages` stages of frames. */
struct frames_job {
	struct pipeline *p;
	struct reach *r;
	size_t at, n;
	const char *frames;
	size_t stage, nstages;
};

/* n frames of a tile to the nearest integers of 16 bits, ties to even. */
static void round_tile(float *x, size_t n)
{
	const float magic = 0x1.8p23f; /* behind it f32 holds no fractions */
	for (size_t i = 0; i < n * LANES; i++) {
		float v = x[i] > 32767 ? 32767 : x[i];
		v = v < -32768 ? -32768 : v;
		x[i] = (v + magic) - magic;
	}
}

static void frames_piece(void *arg, size_t worker, size_t i)
{
	const struct frames_job *job = arg;
	const struct pipeline *p = job->p;
	size_t start = i * PIECE, n = job->n - start < PIECE ? job->n - start : PIECE;
	float *x = job->r->x + (job->at + start) * LANES;

	if (job->frames)
		convert_frames(p->dtype, job->frames + start * p->row_bytes, n, p->nchannels, p->gain, p->offset, x, job->r->tile_stride);
	for (size_t s = 0; s < job->nstages; s++) {
		const struct plan_stage *stage = &p->plan.stages[job->stage + s];
		stage->type->frames(stage, x, job->r->tile_stride, n, p->frames_scratch + worker * p->frames_scratch_bytes);
		for (size_t tile = 0; stage->rounded && tile < p->ntiles; tile++)
			round_tile(x + tile * job->r->tile_stride, n);
	}
}

struct causal_job {
	struct pipeline *p;
	struct reach *r;
	size_t at, n;
	size_t stage;
};

static void causal_tile(void *arg, size_t worker, size_t tile)
{
	const struct causal_job *job = arg;
	struct pipeline *p = job->p;
	const struct plan_stage *stage = &p->plan.stages[job->stage];
	float *x = job->r->x + tile * job->r->tile_stride + job->at * LANES;
	void *state = p->states[job->stage] + tile * stage->state_bytes;

	(void)worker;
	if (!p->started[job->stage])
		stage->type->start(stage, state, x);
	stage->type->run(stage, state, x, job->n);
}

/* --- frames as stored --- */

struct copy_job {
	char *to;
	const char *from;
	size_t nbytes;
};

enum { COPY_BYTES = 256 << 10 };

static void copy_piece(void *arg, size_t worker, size_t i)
{
	const struct copy_job *job = arg;
	size_t start = i * COPY_BYTES, n = job->nbytes - start < COPY_BYTES ? job->nbytes - start : COPY_BYTES;
	(void)worker;
	memcpy(job->to + start, job->from + start, n);
}

/* The two must not overlap. */
static void copy(const struct executor *ex, char *to, const char *from, size_t nbytes)
{
	struct copy_job job = { to, from, nbytes };
	spread(ex, (nbytes + COPY_BYTES - 1) / COPY_BYTES, MAX_WORKERS, copy_piece, &job);
}

/* Where the next frames go; what is there moves to the front if it stands in their way. */
static char *next_stored(struct pipeline *p, struct reach *r, size_t n, const struct executor *ex)
{
	if (r->begin + r->nframes + n > r->capacity) {
		if (r->begin >= r->nframes)
			copy(ex, r->stored, r->stored + r->begin * p->row_bytes, r->nframes * p->row_bytes);
		else
			memmove(r->stored, r->stored + r->begin * p->row_bytes, r->nframes * p->row_bytes);
		r->begin = 0;
	}
	return r->stored + (r->begin + r->nframes) * p->row_bytes;
}

static void append_stored(struct pipeline *p, struct reach *r, size_t n, const char *frames, const struct executor *ex)
{
	char *to = next_stored(p, r, n, ex);
	if (to != frames)
		copy(ex, to, frames, n * p->row_bytes);
	r->nframes += n;
}

/* Appends n frames, which stand at `frames` as stored or, if that is NULL, already in the buffer, and runs the reach's stages on them. */
static void append(struct pipeline *p, struct reach *r, size_t n, const char *frames, const struct executor *ex)
{
	size_t at = r->nframes, stage = r->stage, end = r->stage + r->nstages;

	r->nframes += n;
	while (n > 0 && (frames || stage < end)) {
		size_t run = stage;
		while (run < end && p->plan.stages[run].form == FORM_FRAMES)
			run++;
		if (frames || run > stage) {
			struct frames_job job = { p, r, at, n, frames, stage, run - stage };
			spread(ex, (n + PIECE - 1) / PIECE, p->frames_workers, frames_piece, &job);
			frames = NULL;
			stage = run;
		} else {
			struct causal_job job = { p, r, at, n, stage };
			spread(ex, p->ntiles, p->ntiles, causal_tile, &job);
			p->started[stage++] = true;
		}
	}
}

/* --- zero-phase stages --- */

/* How many frames at the start of a reach no block from r->next on reads. */
static size_t droppable(const struct reach *r)
{
	int64_t drop = r->next - (int64_t)r->zero_phase->margin - r->first;
	if (drop <= 0)
		return 0;
	return (uint64_t)drop < r->nframes ? (size_t)drop : r->nframes;
}

static void drop_from_tile(struct reach *r, size_t tile, size_t drop)
{
	float *x = r->x + tile * r->tile_stride;
	if (drop > 0)
		memmove(x, x + drop * LANES, (r->nframes - drop) * LANES * sizeof *x);
}

/* Before the first block of a request that starts inside the segment. */
static void trim(struct pipeline *p, struct reach *r)
{
	size_t drop = droppable(r);
	if (drop == 0)
		return;
	if (r->stored)
		r->begin += drop;
	for (size_t tile = 0; !r->stored && tile < p->ntiles; tile++)
		drop_from_tile(r, tile, drop);
	r->first += (int64_t)drop;
	r->nframes -= drop;
}

/* Blocks that are ready, one behind the other. */
struct block {
	struct stage_block read;
	const char *stored;                /* the first frame that is read, as stored, instead of read.x */
	size_t at;                         /* where its frames go, behind those that are in `to` */
};

struct block_job {
	struct pipeline *p;
	struct reach *r, *to;
	struct block blocks[MAX_BATCH];
	size_t nblocks, nframes;           /* frames that come out of all of them */
	size_t drop;                       /* frames to drop afterwards */
};

/* One tile of frames as stored, from the one at `frames` on. */
static struct stored_tile stored_tile(const struct pipeline *p, const char *frames, size_t tile)
{
	size_t channel = tile * LANES;
	return (struct stored_tile){
		.dtype = p->dtype,
		.frames = frames + channel * dtype_size(p->dtype),
		.frame_bytes = p->row_bytes,
		.nlanes = p->nchannels - channel < LANES ? p->nchannels - channel : LANES,
		.gain = p->gain ? p->gain + channel : NULL,
		.offset = p->gain ? p->offset + channel : NULL,
	};
}

static void block_tile(void *arg, size_t worker, size_t i)
{
	const struct block_job *job = arg;
	const struct pipeline *p = job->p;
	const struct plan_stage *stage = job->r->zero_phase;
	const struct block *b = &job->blocks[i / p->ntiles];
	const size_t tile = i % p->ntiles;
	float *y = job->to->x + tile * job->to->tile_stride + (job->to->nframes + b->at) * LANES;
	void *scratch = p->block_scratch + worker * p->block_scratch_bytes;

	if (job->r->stored) {
		const struct stored_tile in = stored_tile(p, b->stored, tile);
		stage->type->tile_stored(stage, &b->read, &in, scratch, y);
		return;
	}
	stage->type->tile(stage, &b->read, tile, scratch, y);
	if (stage->rounded)
		round_tile(y, b->read.nwanted);
	drop_from_tile(job->r, tile, job->drop); /* while the tile is in the cache */
}

static void survey_piece(void *arg, size_t i)
{
	const struct block_job *job = arg;
	const struct plan_stage *stage = job->r->zero_phase;
	const struct stage_block *read = &job->blocks[0].read;
	size_t start = i * PIECE, left = read->nread - start;

	stage->type->survey(stage, read, start, left < PIECE ? left : PIECE);
}

/* Has the reach's zero-phase stage all it needs for its next block? *stop: the end of what it reads. */
static bool block_ready(const struct pipeline *p, const struct reach *r, int64_t *stop)
{
	int64_t end = r->first + (int64_t)r->nframes;
	if (p->pieces) {
		*stop = end;
		return p->segment_end != INT64_MAX && r->next < end;
	}
	*stop = r->next + (int64_t)p->plan.grid + (int64_t)r->zero_phase->margin;
	if (*stop > p->segment_end)
		*stop = p->segment_end;
	return r->next < end && *stop <= end;
}

/* The end of what comes out of a block that reads up to `stop`. */
static int64_t block_end(const struct pipeline *p, const struct reach *r, int64_t stop)
{
	int64_t end = r->next + (int64_t)p->plan.grid;
	if (p->pieces)
		return stop < p->segment_frames ? stop - (int64_t)r->zero_phase->margin : stop;
	return end < stop ? end : stop;
}

/* The reach's next block, which reads up to `stop`. False for a piece that is all margin. */
static bool add_block(struct block_job *job, int64_t stop)
{
	const struct pipeline *p = job->p;
	struct reach *r = job->r;
	int64_t start = r->next - (int64_t)r->zero_phase->margin, wanted_end = block_end(p, r, stop);
	if (start < r->first)
		start = r->first; /* only at the start of the segment */
	if (wanted_end <= r->next) {
		r->next = stop;
		return false;
	}
	const size_t from = (size_t)(start - r->first);
	job->blocks[job->nblocks++] = (struct block){
		.read = {
			.x = r->stored ? NULL : r->x + from * LANES,
			.tile_stride = r->tile_stride,
			.nread = (size_t)(stop - start),
			.skip = (size_t)(r->next - start),
			.nwanted = (size_t)(wanted_end - r->next),
			.shared = p->shared,
		},
		.stored = r->stored ? r->stored + (r->begin + from) * p->row_bytes : NULL,
		.at = job->nframes,
	};
	job->nframes += (size_t)(wanted_end - r->next);
	r->next += (int64_t)p->plan.grid;
	return true;
}

/* Blocks from the one that reads up to `stop` on. */
static void run_block(struct pipeline *p, size_t i, int64_t stop, const struct executor *ex)
{
	struct reach *r = &p->reaches[i], *to = &p->reaches[i + 1];
	struct block_job job = { .p = p, .r = r, .to = to };
	const size_t most = i == 0 ? p->batch : 1;
	if (to->nframes == 0)
		to->first = r->next;
	while (job.nblocks < most && block_ready(p, r, &stop) && add_block(&job, stop))
		;
	if (!job.nblocks)
		return;
	job.drop = p->pieces ? 0 : droppable(r);
	if (r->zero_phase->type->survey)
		ex->run(ex->ctx, (job.blocks[0].read.nread + PIECE - 1) / PIECE, survey_piece, &job);
	spread(ex, p->ntiles * job.nblocks, p->block_workers, block_tile, &job);
	r->first += (int64_t)job.drop;
	r->nframes -= job.drop;
	if (r->stored)
		r->begin += job.drop;
	append(p, to, job.nframes, NULL, ex);
	if (to->zero_phase && !p->pieces)
		trim(p, to);
}

/* Runs the blocks that are ready, those farthest down the chain first, until frames come out or there are none. */
static void run_blocks(struct pipeline *p, const struct executor *ex)
{
	size_t last = p->nreaches - 1;
	for (size_t i = last; i-- > 0 && p->reaches[last].nframes == 0;) {
		int64_t stop;
		if (!block_ready(p, &p->reaches[i], &stop))
			continue;
		run_block(p, i, stop, ex);
		i = last; /* look from the end again */
	}
}

/* --- the calls --- */

/* Frames to take of n: up to where the first zero-phase stage's next block is complete (or its next batch of blocks), so that one call makes one
 * at most. */
static size_t taken(const struct pipeline *p, size_t n)
{
	const struct reach *r = &p->reaches[0];
	if (n > p->max_chunk)
		n = p->max_chunk;
	if (n > r->capacity - r->nframes)
		n = r->capacity - r->nframes;
	if (r->zero_phase && !p->pieces) {
		int64_t need = r->next + (int64_t)(p->plan.grid * p->batch + r->zero_phase->margin) - r->first - (int64_t)r->nframes;
		if (n > (uint64_t)need)
			n = (size_t)need;
	}
	return n;
}

static void empty_last(struct pipeline *p)
{
	struct reach *r = &p->reaches[p->nreaches - 1];
	r->first += (int64_t)r->nframes;
	r->nframes = 0;
}

static struct slab last_slab(const struct pipeline *p)
{
	const struct reach *r = &p->reaches[p->nreaches - 1];
	return (struct slab){ r->x, p->nchannels, p->ntiles, r->tile_stride, r->nframes, r->first };
}

void *pipeline_room(struct pipeline *p, const struct executor *ex, size_t *nframes)
{
	struct reach *r = &p->reaches[0];
	*nframes = r->stored ? taken(p, r->capacity) : 0;
	return *nframes ? next_stored(p, r, *nframes, ex) : NULL;
}

void pipeline_step(struct pipeline *p, const void *frames, size_t nframes, const struct executor *ex, size_t *consumed, struct slab *out)
{
	struct reach *r = &p->reaches[0];
	empty_last(p);
	*consumed = taken(p, nframes);
	if (r->stored)
		append_stored(p, r, *consumed, frames, ex);
	else
		append(p, r, *consumed, frames, ex);
	if (r->zero_phase && !p->pieces) {
		trim(p, r);
		run_blocks(p, ex);
	}
	*out = last_slab(p);
}

void pipeline_flush(struct pipeline *p, const struct executor *ex, struct slab *out)
{
	const struct reach *r = &p->reaches[0];
	int64_t end = r->first + (int64_t)r->nframes;

	empty_last(p);
	/* If what was pushed ends before the segment does, the blocks that would need the rest never get ready. */
	p->segment_end = p->segment_frames > end ? p->segment_frames : end;
	run_blocks(p, ex);
	*out = last_slab(p);
}
