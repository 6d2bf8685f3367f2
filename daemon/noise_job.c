/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/noise_job.h"
#include "daemon/daemon.h"
#include "daemon/noise_cache.h"
#include "kernels/noise.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Where a chunk begins. */
struct place {
	size_t segment;
	int64_t start;
};

struct noise_job {
	struct source *source;
	struct feed *feed;
	enum noise_method method;
	bool integers, whole, seeking;
	int64_t chunk;             /* frames */
	struct place *places;      /* [nchunks] */
	size_t next, nchunks;
	struct slab slab;          /* the chunk, as it comes in */
	void *scratch;
	const struct matched_filter *filter;
	float *rows;               /* the chunk correlated with the filter's prototype */
	struct slab weighed;       /* and at one depth */
	size_t nlevels;            /* nchannels, or at each depth so many */
	float *level;              /* [nlevels] of one chunk */
	float *sum_f32;            /* [nlevels] NumPy averages float32 levels in float32 */
	double *levels;            /* [nlevels] sums, then means */
	char *key;                 /* in the cache; NULL for an array */
	bool known;                /* the levels came from the cache */
};

static enum status no_memory(struct error *e)
{
	return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for a list of noise chunks");
}

/* As SpikeInterface draws them. A segment that is shorter shortens the chunks of all. */
static enum status random_places(struct noise_job *n, const int64_t *frames, uint64_t seed, struct error *e)
{
	const size_t nsegments = n->source->nsegments;
	for (size_t i = 0; i < nsegments; i++)
		if (n->chunk > frames[i] - 1)
			n->chunk = frames[i] - 1;
	if (n->chunk < 1)
		return error_set(e, STATUS_INVALID, "noise_levels", "give noise_levels", "a segment is too short to measure noise levels");
	n->nchunks = nsegments * NOISE_CHUNKS;
	int64_t *starts = calloc(n->nchunks, sizeof *starts);
	n->places = calloc(n->nchunks, sizeof *n->places);
	enum status status = starts && n->places ? random_chunks(seed, nsegments, frames, n->chunk, 0, NOISE_CHUNKS, starts, e) : no_memory(e);
	for (size_t i = 0; i < n->nchunks && !status; i++)
		n->places[i] = (struct place){ i / NOISE_CHUNKS, starts[i] };
	free(starts);
	return status;
}

/* Side by side. */
static enum status all_places(struct noise_job *n, const int64_t *frames, struct error *e)
{
	const size_t nsegments = n->source->nsegments;
	int64_t longest = 0;
	for (size_t i = 0; i < nsegments; i++)
		longest = frames[i] > longest ? frames[i] : longest;
	n->chunk = n->chunk < longest ? n->chunk : longest;
	if (n->chunk < 1)
		return error_set(e, STATUS_INVALID, "noise_levels", "give noise_levels", "there are no frames to measure noise levels on");
	size_t most = 0;
	for (size_t i = 0; i < nsegments; i++)
		most += (size_t)(frames[i] / n->chunk);
	n->places = calloc(most, sizeof *n->places);
	if (!n->places)
		return no_memory(e);
	for (size_t i = 0; i < nsegments; i++)
		for (int64_t k = 0; k < frames[i] / n->chunk; k++)
			n->places[n->nchunks++] = (struct place){ i, k * n->chunk };
	return STATUS_OK;
}

static enum status choose_chunks(struct noise_job *n, uint64_t seed, struct error *e)
{
	struct source *s = n->source;
	int64_t *frames = calloc(s->nsegments + 1, sizeof *frames);
	if (!frames)
		return no_memory(e);
	for (size_t i = 0; i < s->nsegments; i++)
		frames[i] = source_frames(s, i);
	n->chunk = (int64_t)(NOISE_CHUNK_S * s->fs_hz);
	enum status status = n->whole ? all_places(n, frames, e) : random_places(n, frames, seed, e);
	free(frames);
	return status;
}

/* Twice the chunk again. */
static enum status allocate_weighed(struct noise_job *n, size_t bytes, struct error *e)
{
	const size_t work = (size_t)n->source->request->settings->config.limits_work_bytes, used = feed_bytes(n->feed);
	if ((size_t)n->chunk < n->filter->length)
		return error_set(e, STATUS_INVALID, "noise_levels", "give noise_levels", "a noise sample of %lld frames is shorter than the prototype",
				 (long long)n->chunk);
	if (bytes > (work > used ? work - used : 0) / 3)
		return error_set(e, STATUS_TOO_LARGE, "noise_levels", "give noise_levels, or raise limits.work_bytes",
				 "a filtered noise sample of %zu MiB does not fit in limits.work_bytes", bytes >> 19);
	n->weighed = n->slab;
	n->weighed.x = aligned_alloc(64, bytes);
	n->rows = malloc(bytes);
	if (!n->weighed.x || !n->rows)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for a filtered noise sample");
	memset(n->weighed.x, 0, bytes);
	return STATUS_OK;
}

static enum status allocate(struct noise_job *n, const struct executor *ex, struct error *e)
{
	size_t nchannels = n->source->nchannels, ntiles = (nchannels + LANES - 1) / LANES, stride, bytes;
	size_t budget = (size_t)n->source->request->settings->config.limits_work_bytes;
	n->slab = (struct slab){ .nchannels = nchannels, .ntiles = ntiles, .nframes = (size_t)n->chunk };
	if (__builtin_mul_overflow((size_t)n->chunk, (size_t)LANES, &stride) || __builtin_mul_overflow(stride, ntiles * sizeof(float), &bytes) ||
	    bytes > budget - (feed_bytes(n->feed) < budget ? feed_bytes(n->feed) : budget))
		return error_set(e, STATUS_TOO_LARGE, "noise_levels", "give noise_levels, or raise limits.work_bytes",
				 "a noise sample of %lld frames of %zu channels does not fit in limits.work_bytes", (long long)n->chunk, nchannels);
	n->slab.tile_stride = stride;
	n->slab.x = aligned_alloc(64, bytes);
	size_t nscratch = noise_scratch(&n->slab, ex);
	n->scratch = aligned_alloc(64, (nscratch + 127) & ~(size_t)63);
	if (!n->slab.x || !n->scratch)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for a noise sample");
	n->slab.nframes = 0;
	return n->filter ? allocate_weighed(n, bytes, e) : STATUS_OK;
}

/* Levels that were measured before. */
static void look_up(struct noise_job *n, const struct noise_wanted *w)
{
	struct request *r = n->source->request;
	json_t *stages = json_object_get(request_params(r), "preprocess");
	uint64_t arrays = n->source->arrays.digest;
	if (!n->source->recording)
		return;
	char *text = stages ? json_dumps(stages, JSON_COMPACT | JSON_SORT_KEYS) : strdup("[]");
	n->key = text ? noise_cache_key(n->source->recording, text, arrays, w) : NULL;
	free(text);
	n->known = n->key && noise_cache_get(r->daemon->noise, n->key, n->levels, n->source->nchannels);
}

static enum status open_feed(struct noise_job *n, const struct pipeline_spec *spec, struct error *e)
{
	struct pipeline_spec piece = *spec;
	piece.fs_hz = n->source->fs_hz;
	piece.piece_frames = pipeline_piece(&piece, (size_t)n->chunk);
	return feed_new(&n->feed, n->source, &piece, e);
}

enum status noise_job_new(struct noise_job **out, struct source *source, const struct noise_wanted *wanted, struct error *e)
{
	struct noise_job *n = calloc(1, sizeof *n);
	if (!n)
		return no_memory(e);
	n->source = source;
	n->method = wanted->method;
	n->integers = wanted->integers;
	n->whole = wanted->whole;
	n->filter = wanted->filter;
	n->nlevels = n->filter ? n->filter->nz * source->nchannels : source->nchannels;
	n->level = calloc(n->nlevels, sizeof *n->level);
	n->sum_f32 = calloc(n->nlevels, sizeof *n->sum_f32);
	n->levels = calloc(n->nlevels, sizeof *n->levels);
	enum status status = choose_chunks(n, wanted->seed, e);
	if (!status && (!n->level || !n->sum_f32 || !n->levels))
		status = no_memory(e);
	if (!status && !n->filter)
		look_up(n, wanted);
	if (!status && !n->known)
		status = open_feed(n, wanted->spec, e);
	if (status) {
		noise_job_free(n);
		return status;
	}
	*out = n;
	return STATUS_OK;
}

void noise_job_free(struct noise_job *n)
{
	if (!n)
		return;
	feed_free(n->feed);
	free(n->places);
	free(n->slab.x);
	free(n->weighed.x);
	free(n->rows);
	free(n->scratch);
	free(n->level);
	free(n->sum_f32);
	free(n->levels);
	free(n->key);
	free(n);
}

const double *noise_job_levels(const struct noise_job *n)
{
	return n->levels;
}

static void append(struct noise_job *n, const struct slab *s)
{
	for (size_t tile = 0; tile < s->ntiles; tile++)
		memcpy(slab_at(&n->slab, tile, n->slab.nframes), slab_at(s, tile, 0), s->nframes * LANES * sizeof(float));
	n->slab.nframes += s->nframes;
}

/* NumPy computes medians of integers in f64. They are multiples of 1/2, so they come back exactly from the f32 level. */
static double of_integers(const struct noise_job *n, float level)
{
	const double scale = noise_scale(n->method);
	return n->method == NOISE_MAD || n->method == NOISE_QUIROGA ? nearbyint(level * scale * 2) / 2 / scale : (double)level;
}

/* Of what the filter makes of the chunk, depth by depth. */
static enum status filtered_levels(struct noise_job *n, const struct slab *chunk, const struct executor *ex)
{
	enum status status = STATUS_OK;
	matched_correlate(n->filter, chunk, ex, n->rows);
	for (size_t z = 0; z < n->filter->nz && !status; z++) {
		matched_weigh(n->filter, z, n->rows, chunk->nframes - n->filter->length + 1, ex, &n->weighed);
		status = noise_level(n->method, &n->weighed, ex, n->scratch, n->level + z * n->source->nchannels);
	}
	return status;
}

static enum status end_chunk(struct noise_job *n, const struct slab *chunk, const struct executor *ex, struct error *e)
{
	enum status status = n->filter ? filtered_levels(n, chunk, ex) : noise_level(n->method, chunk, ex, n->scratch, n->level);
	if (status)
		return error_set(e, status, "noise_levels", NULL, "a noise sample is empty");
	for (size_t c = 0; c < n->nlevels; c++) {
		n->sum_f32[c] += n->level[c];
		n->levels[c] += n->integers ? of_integers(n, n->level[c]) : (double)n->level[c];
	}
	n->next++;
	n->seeking = false;
	return STATUS_OK;
}

static void average(struct noise_job *n)
{
	const bool in_f64 = n->integers || n->whole;
	for (size_t c = 0; c < n->nlevels; c++)
		n->levels[c] = in_f64 ? n->levels[c] / (double)n->nchunks : (double)(n->sum_f32[c] / (float)n->nchunks);
}

bool noise_job_waits(struct noise_job *n, const struct executor *ex, enum step *step, struct error *e)
{
	return n && feed_waits(n->feed, ex, step, e);
}

enum status noise_job_step(struct noise_job *n, const struct executor *ex, bool *done, struct error *e)
{
	struct slab slab;
	bool end;
	*done = n->known;
	if (n->known)
		return STATUS_OK;
	if (!n->slab.x) {
		enum status status = allocate(n, ex, e);
		if (status)
			return status;
	}
	if (!n->seeking) {
		const struct place *at = &n->places[n->next];
		feed_seek(n->feed, at->segment, at->start, at->start + n->chunk, true);
		n->slab.nframes = 0;
		n->seeking = true;
	}
	enum status status = feed_step(n->feed, ex, &slab, &end, e);
	if (status)
		return status;
	/* A filtered chunk comes at once. */
	if (slab.nframes == (size_t)n->chunk)
		status = end_chunk(n, &slab, ex, e);
	else if (slab.nframes)
		append(n, &slab);
	if (n->seeking && end)
		status = end_chunk(n, &n->slab, ex, e);
	if (!status && n->next == n->nchunks) {
		average(n);
		if (n->key)
			noise_cache_put(n->source->request->daemon->noise, n->key, n->levels, n->source->nchannels);
		*done = true;
	}
	return status;
}
