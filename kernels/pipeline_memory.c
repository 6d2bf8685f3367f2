/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Making a pipeline: reaches, their sizes, and one arena for everything.
 */
#include "kernels/pipeline_private.h"

#include "kernels/large.h"

#include <stdlib.h>
#include <string.h>

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
		r->block_stage = &p->plan.stages[i];
		r = &p->reaches[p->nreaches++];
		r->stage = i + 1;
	}
}

/* Does reach 0 keep frames as stored? */
static bool keeps_stored(const struct pipeline *p)
{
	const struct reach *r = &p->reaches[0];
	return r->block_stage && r->nstages == 0 && r->block_stage->type->tile_stored;
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
	if (!r->block_stage)
		return (i ? p->plan.grid * p->batch : p->max_chunk) | 1;
	if (p->pieces)
		return p->plan.grid | 1;
	return (p->plan.grid * (i || keeps_stored(p) ? 1 + p->batch : 1) + 2 * r->block_stage->margin) | 1;
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
