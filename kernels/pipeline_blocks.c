/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Stages of blocks, from one reach to the next.
 */
#include "kernels/pipeline_private.h"

#include "kernels/spread.h"

#include <string.h>

/* How many frames at the start of a reach no block from r->next on reads. */
static size_t droppable(const struct reach *r)
{
	int64_t drop = r->next - (int64_t)r->block_stage->margin - r->first;
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

void reach_trim(struct pipeline *p, struct reach *r)
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
	const struct plan_stage *stage = job->r->block_stage;
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
		pipeline_round_tile(y, b->read.nwanted);
	drop_from_tile(job->r, tile, job->drop); /* while the tile is in the cache */
}

static void survey_piece(void *arg, size_t i)
{
	const struct block_job *job = arg;
	const struct plan_stage *stage = job->r->block_stage;
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
	*stop = r->next + (int64_t)p->plan.grid + (int64_t)r->block_stage->margin;
	if (*stop > p->segment_end)
		*stop = p->segment_end;
	return r->next < end && *stop <= end;
}

/* The end of what comes out of a block that reads up to `stop`. */
static int64_t block_end(const struct pipeline *p, const struct reach *r, int64_t stop)
{
	int64_t end = r->next + (int64_t)p->plan.grid;
	if (p->pieces)
		return r->piece_end < stop ? r->piece_end : stop;
	return end < stop ? end : stop;
}

/* The reach's next block, which reads up to `stop`. False for a piece that is all margin. */
static bool add_block(struct block_job *job, int64_t stop)
{
	const struct pipeline *p = job->p;
	struct reach *r = job->r;
	int64_t start = r->next - (int64_t)r->block_stage->margin, wanted_end = block_end(p, r, stop);
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
	if (r->block_stage->type->survey)
		ex->run(ex->ctx, (job.blocks[0].read.nread + PIECE - 1) / PIECE, survey_piece, &job);
	spread(ex, p->ntiles * job.nblocks, p->block_workers, block_tile, &job);
	r->first += (int64_t)job.drop;
	r->nframes -= job.drop;
	if (r->stored)
		r->begin += job.drop;
	reach_append(p, to, job.nframes, NULL, ex);
	if (to->block_stage && !p->pieces)
		reach_trim(p, to);
}

void pipeline_run_blocks(struct pipeline *p, const struct executor *ex)
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
