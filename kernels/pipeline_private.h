/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the files pipeline*.c share; kernels/pipeline.c tells how it works.
 */
#ifndef KERNELS_PIPELINE_PRIVATE_H
#define KERNELS_PIPELINE_PRIVATE_H

#include "kernels/plan.h"

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
	const struct plan_stage *block_stage;
	int64_t next;            /* where its next block starts */
	int64_t piece_end;       /* of a piece: where what it gives ends */
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

/* pipeline_append.c. Appends n frames, which stand at `frames` as stored or, if that is NULL, already in the buffer, and runs the reach's stages on
 * them. */
void reach_append(struct pipeline *p, struct reach *r, size_t n, const char *frames, const struct executor *ex);

/* The same for a reach that keeps frames as stored; and where the next of them go: what is there moves to the front if it stands in their way. */
void reach_append_stored(struct pipeline *p, struct reach *r, size_t n, const char *frames, const struct executor *ex);
char *reach_next_stored(struct pipeline *p, struct reach *r, size_t n, const struct executor *ex);

/* n frames of a tile to the nearest integers of 16 bits, ties to even. */
void pipeline_round_tile(float *x, size_t n);

/* pipeline_blocks.c. Runs the blocks that are ready, those farthest down the chain first, until frames come out or there are none. */
void pipeline_run_blocks(struct pipeline *p, const struct executor *ex);

/* Drops what no block reads before the first block of a request that starts inside the segment. */
void reach_trim(struct pipeline *p, struct reach *r);

#endif
