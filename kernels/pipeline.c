/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The chain is cut at its stages of blocks (zero-phase filters and the like) into reaches. A reach is a buffer of frames in time order, with
 * the stages that work in place on what arrives there (causal filters, stages of frames):
 *
 *	frames -> convert -> [reach 0, in place] -> blocks 0 -> [reach 1, in place] -> blocks 1 -> ... -> [last reach] -> out
 *
 * A stage of blocks takes `grid` frames at a time, with margins, from the reach before it and appends what it makes of them to the one behind. All
 * share one grid, so a block that enters completes at most one block in each. The last reach is emptied at the start of each call; the others drop
 * what no later block reads. Of few channels the only stage of blocks takes several blocks at once.
 *
 * When the chain begins with a zero-phase filter, reach 0 keeps the frames as stored, and the filter converts them while it passes over them.
 *
 * pipeline_memory.c makes it, pipeline_append.c takes frames into a reach, pipeline_blocks.c takes blocks from one reach to the next,
 * pipeline_span.c says what a request must read.
 */
#include "kernels/pipeline_private.h"

#include <string.h>

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
		if (!r->block_stage)
			break;
		/* The first block with a whole left margin; from the start of the segment that is the first block. */
		if (first > 0)
			first += (int64_t)r->block_stage->margin;
		first = (first + grid - 1) / grid * grid;
		r->next = first;
	}
}

/* From the last stage to the first, as SpikeInterface's chain asks for them. */
void pipeline_reset_piece(struct pipeline *p, int64_t start, int64_t stop, int64_t segment_frames)
{
	pipeline_reset(p, 0, segment_frames);
	for (size_t i = p->nreaches; i-- > 0;) {
		struct reach *r = &p->reaches[i];
		if (r->block_stage) {
			r->next = start;
			r->piece_end = stop;
			start -= (int64_t)r->block_stage->margin;
			stop += (int64_t)r->block_stage->margin;
		}
		for (size_t k = 0; k < r->nstages; k++)
			start -= (int64_t)p->plan.stages[r->stage + k].settle;
		start = start > 0 ? start : 0;
		stop = stop < segment_frames ? stop : segment_frames;
		r->first = start;
	}
}

/* Frames to take of n: up to where the first zero-phase stage's next block is complete (or its next batch of blocks), so that one call makes one
 * at most. */
static size_t taken(const struct pipeline *p, size_t n)
{
	const struct reach *r = &p->reaches[0];
	if (n > p->max_chunk)
		n = p->max_chunk;
	if (n > r->capacity - r->nframes)
		n = r->capacity - r->nframes;
	if (r->block_stage && !p->pieces) {
		int64_t need = r->next + (int64_t)(p->plan.grid * p->batch + r->block_stage->margin) - r->first - (int64_t)r->nframes;
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
	return *nframes ? reach_next_stored(p, r, *nframes, ex) : NULL;
}

void pipeline_step(struct pipeline *p, const void *frames, size_t nframes, const struct executor *ex, size_t *consumed, struct slab *out)
{
	struct reach *r = &p->reaches[0];
	empty_last(p);
	*consumed = taken(p, nframes);
	if (r->stored)
		reach_append_stored(p, r, *consumed, frames, ex);
	else
		reach_append(p, r, *consumed, frames, ex);
	if (r->block_stage && !p->pieces) {
		reach_trim(p, r);
		pipeline_run_blocks(p, ex);
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
	pipeline_run_blocks(p, ex);
	*out = last_slab(p);
}
