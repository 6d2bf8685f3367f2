/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/chunks.h"
#include "daemon/daemon.h"
#include "kernels/noise.h"

#include <stdlib.h>
#include <string.h>

/* Where a chunk begins. */
struct place {
	size_t segment;
	int64_t start;
};

struct chunks {
	struct source *source;
	struct feed *feed;
	const char *field, *hint;
	int64_t chunk;             /* frames */
	struct place *places;      /* [nchunks] */
	size_t next, nchunks;
	struct slab slab;          /* the chunk, as it comes in */
	bool seeking;
};

static enum status no_memory(struct error *e)
{
	return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for a list of chunks");
}

static enum status too_short(const struct chunks *c, struct error *e)
{
	return error_set(e, STATUS_INVALID, c->field, c->hint, "a segment is too short to measure on");
}

/* As SpikeInterface draws them. A segment that is shorter shortens the chunks of all. */
static enum status random_places(struct chunks *c, const int64_t *frames, size_t each, uint64_t seed, struct error *e)
{
	const size_t nsegments = c->source->nsegments;
	for (size_t i = 0; i < nsegments; i++)
		if (c->chunk > frames[i] - 1)
			c->chunk = frames[i] - 1;
	if (c->chunk < 1)
		return too_short(c, e);
	c->nchunks = nsegments * each;
	int64_t *starts = calloc(c->nchunks, sizeof *starts);
	c->places = calloc(c->nchunks, sizeof *c->places);
	enum status status = starts && c->places ? random_chunks(seed, nsegments, frames, c->chunk, 0, each, starts, e) : no_memory(e);
	for (size_t i = 0; i < c->nchunks && !status; i++)
		c->places[i] = (struct place){ i / each, starts[i] };
	free(starts);
	return status;
}

/* Side by side. */
static enum status all_places(struct chunks *c, const int64_t *frames, struct error *e)
{
	const size_t nsegments = c->source->nsegments;
	int64_t longest = 0;
	for (size_t i = 0; i < nsegments; i++)
		longest = frames[i] > longest ? frames[i] : longest;
	c->chunk = c->chunk < longest ? c->chunk : longest;
	if (c->chunk < 1)
		return too_short(c, e);
	size_t most = 0;
	for (size_t i = 0; i < nsegments; i++)
		most += (size_t)(frames[i] / c->chunk);
	c->places = calloc(most, sizeof *c->places);
	if (!c->places)
		return no_memory(e);
	for (size_t i = 0; i < nsegments; i++)
		for (int64_t k = 0; k < frames[i] / c->chunk; k++)
			c->places[c->nchunks++] = (struct place){ i, k * c->chunk };
	return STATUS_OK;
}

static enum status choose(struct chunks *c, const struct chunks_wanted *w, struct error *e)
{
	struct source *s = c->source;
	int64_t *frames = calloc(s->nsegments + 1, sizeof *frames);
	if (!frames)
		return no_memory(e);
	for (size_t i = 0; i < s->nsegments; i++)
		frames[i] = source_frames(s, i);
	c->chunk = (int64_t)(w->seconds * s->fs_hz);
	enum status status = w->each ? random_places(c, frames, w->each, w->seed, e) : all_places(c, frames, e);
	free(frames);
	return status;
}

static enum status open_feed(struct chunks *c, const struct pipeline_spec *spec, struct error *e)
{
	struct pipeline_spec piece = *spec;
	piece.fs_hz = c->source->fs_hz;
	piece.piece_frames = pipeline_piece(&piece, (size_t)c->chunk);
	return feed_new(&c->feed, c->source, &piece, e);
}

enum status chunks_new(struct chunks **out, struct source *source, const struct chunks_wanted *wanted, struct error *e)
{
	struct chunks *c = calloc(1, sizeof *c);
	if (!c)
		return no_memory(e);
	c->source = source;
	c->field = wanted->field;
	c->hint = wanted->hint;
	enum status status = choose(c, wanted, e);
	if (!status)
		status = open_feed(c, wanted->spec, e);
	if (status) {
		chunks_free(c);
		return status;
	}
	*out = c;
	return STATUS_OK;
}

void chunks_free(struct chunks *c)
{
	if (!c)
		return;
	feed_free(c->feed);
	free(c->places);
	free(c->slab.x);
	free(c);
}

bool chunks_end(const struct chunks *c)
{
	return c->next == c->nchunks;
}

void chunks_rewind(struct chunks *c)
{
	c->next = 0;
	c->seeking = false;
}

size_t chunks_count(const struct chunks *c)
{
	return c->nchunks;
}

int64_t chunks_frames(const struct chunks *c)
{
	return c->chunk;
}

static enum status allocate(struct chunks *c, struct error *e)
{
	size_t nchannels = c->source->nchannels, ntiles = (nchannels + LANES - 1) / LANES, stride, bytes;
	size_t budget = (size_t)c->source->request->settings->config.limits_work_bytes;
	c->slab = (struct slab){ .nchannels = nchannels, .ntiles = ntiles };
	if (__builtin_mul_overflow((size_t)c->chunk, (size_t)LANES, &stride) || __builtin_mul_overflow(stride, ntiles * sizeof(float), &bytes) ||
	    bytes > budget - (feed_bytes(c->feed) < budget ? feed_bytes(c->feed) : budget))
		return error_set(e, STATUS_TOO_LARGE, c->field, "raise limits.work_bytes", "a sample of %lld frames of %zu channels does not fit in limits.work_bytes",
				 (long long)c->chunk, nchannels);
	c->slab.tile_stride = stride;
	c->slab.x = aligned_alloc(64, bytes);
	return c->slab.x ? STATUS_OK : error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for a sample");
}

static void append(struct chunks *c, const struct slab *s)
{
	for (size_t tile = 0; tile < s->ntiles; tile++)
		memcpy(slab_at(&c->slab, tile, c->slab.nframes), slab_at(s, tile, 0), s->nframes * LANES * sizeof(float));
	c->slab.nframes += s->nframes;
}

bool chunks_waits(struct chunks *c, const struct executor *ex, enum step *step, struct error *e)
{
	return c && feed_waits(c->feed, ex, step, e);
}

enum status chunks_step(struct chunks *c, const struct executor *ex, struct slab *slab, struct error *e)
{
	bool end;
	if (!c->slab.x) {
		enum status status = allocate(c, e);
		if (status)
			return status;
	}
	if (!c->seeking) {
		const struct place *at = &c->places[c->next];
		feed_seek(c->feed, at->segment, at->start, at->start + c->chunk, true);
		c->slab.nframes = 0;
		c->seeking = true;
	}
	enum status status = feed_step(c->feed, ex, slab, &end, e);
	if (status)
		return status;
	/* A filtered chunk comes at once. */
	if (slab->nframes != (size_t)c->chunk) {
		append(c, slab);
		*slab = c->slab;
		slab->nframes = c->slab.nframes == (size_t)c->chunk ? c->slab.nframes : 0;
	}
	if (!slab->nframes && end)
		return error_set(e, STATUS_INTERNAL, c->field, NULL, "a sample ended early");
	if (slab->nframes) {
		c->next++;
		c->seeking = false;
	}
	return STATUS_OK;
}
