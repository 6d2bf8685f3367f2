/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Frames that arrive in a reach: conversion, the stages that work in place, or none of it where frames are kept as stored.
 */
#include "kernels/pipeline_private.h"

#include "kernels/convert.h"
#include "kernels/spread.h"

#include <string.h>

/* Some frames of a reach, from frame `at` on: conversion, if `frames` is not NULL, then `nstages` stages of frames. */
struct frames_job {
	struct pipeline *p;
	struct reach *r;
	size_t at, n;
	const char *frames;
	size_t stage, nstages;
};

void pipeline_round_tile(float *x, size_t n)
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
			pipeline_round_tile(x + tile * job->r->tile_stride, n);
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

char *reach_next_stored(struct pipeline *p, struct reach *r, size_t n, const struct executor *ex)
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

void reach_append_stored(struct pipeline *p, struct reach *r, size_t n, const char *frames, const struct executor *ex)
{
	char *to = reach_next_stored(p, r, n, ex);
	if (to != frames)
		copy(ex, to, frames, n * p->row_bytes);
	r->nframes += n;
}

void reach_append(struct pipeline *p, struct reach *r, size_t n, const char *frames, const struct executor *ex)
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
