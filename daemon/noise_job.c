/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/noise_job.h"
#include "daemon/daemon.h"
#include "daemon/noise_cache.h"
#include "kernels/noise.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double mad_scale = 0.6744897501960817;

struct noise_job {
	struct source *source;
	struct feed *feed;
	bool raw_integers, seeking;
	int64_t chunk;             /* frames */
	int64_t *starts;           /* [nsegments][NOISE_CHUNKS] */
	size_t next, nchunks;      /* of nsegments * NOISE_CHUNKS */
	struct slab slab;          /* the chunk, as it comes in */
	void *scratch;
	float *level;              /* [nchannels] of one chunk */
	float *sum_f32;            /* [nchannels] NumPy averages float32 levels in float32 */
	double *levels;            /* [nchannels] */
	char *key;                 /* in the cache; NULL for an array */
	bool known;                /* the levels came from the cache */
};

static enum status choose_chunks(struct noise_job *n, uint64_t seed, struct error *e)
{
	struct source *s = n->source;
	int64_t *frames = calloc(s->nsegments, sizeof *frames);
	n->nchunks = s->nsegments * NOISE_CHUNKS;
	n->starts = calloc(n->nchunks, sizeof *n->starts);
	if (!frames || !n->starts) {
		free(frames);
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	}
	n->chunk = (int64_t)(NOISE_CHUNK_S * s->fs_hz);
	for (size_t i = 0; i < s->nsegments; i++) {
		frames[i] = source_frames(s, i);
		/* A segment that is shorter shortens the chunks of all. */
		if (n->chunk > frames[i] - 1)
			n->chunk = frames[i] - 1;
	}
	enum status status;
	if (n->chunk < 1)
		status = error_set(e, STATUS_INVALID, "noise_levels", "give noise_levels", "a segment is too short to measure noise levels");
	else
		status = random_chunks(seed, s->nsegments, frames, n->chunk, 0, NOISE_CHUNKS, n->starts, e);
	free(frames);
	return status;
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
	size_t nscratch = noise_mad_scratch(&n->slab, ex);
	n->scratch = aligned_alloc(64, (nscratch + 127) & ~(size_t)63);
	if (!n->slab.x || !n->scratch)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for a noise sample");
	n->slab.nframes = 0;
	return STATUS_OK;
}

/* Levels that were measured before. */
static void look_up(struct noise_job *n, bool scaled, uint64_t seed)
{
	struct request *r = n->source->request;
	json_t *stages = json_object_get(request_params(r), "preprocess");
	uint64_t arrays = n->source->arrays.digest;
	if (!n->source->recording)
		return;
	char *text = stages ? json_dumps(stages, JSON_COMPACT | JSON_SORT_KEYS) : strdup("[]");
	n->key = text ? noise_cache_key(n->source->recording, text, arrays, scaled, seed) : NULL;
	free(text);
	n->known = n->key && noise_cache_get(r->daemon->noise, n->key, n->levels, n->source->nchannels);
}

enum status noise_job_new(struct noise_job **out, struct source *source, struct feed *feed, bool raw_integers, bool scaled, uint64_t seed,
			  struct error *e)
{
	struct noise_job *n = calloc(1, sizeof *n);
	if (!n)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	n->source = source;
	n->feed = feed;
	n->raw_integers = raw_integers;
	n->level = calloc(source->nchannels, sizeof *n->level);
	n->sum_f32 = calloc(source->nchannels, sizeof *n->sum_f32);
	n->levels = calloc(source->nchannels, sizeof *n->levels);
	enum status status = choose_chunks(n, seed, e);
	if (!status && (!n->level || !n->sum_f32 || !n->levels))
		status = error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	if (status) {
		noise_job_free(n);
		return status;
	}
	look_up(n, scaled, seed);
	*out = n;
	return STATUS_OK;
}

void noise_job_free(struct noise_job *n)
{
	if (!n)
		return;
	free(n->starts);
	free(n->slab.x);
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

static enum status end_chunk(struct noise_job *n, const struct executor *ex, struct error *e)
{
	enum status status = noise_mad(&n->slab, ex, n->scratch, n->level);
	if (status)
		return error_set(e, status, "noise_levels", NULL, "a noise sample is empty");
	for (size_t c = 0; c < n->source->nchannels; c++) {
		n->sum_f32[c] += n->level[c];
		/* Of integers the MAD is a multiple of 1/2; from the f32 level it comes back exactly. */
		n->levels[c] += nearbyint(n->level[c] * mad_scale * 2) / 2 / mad_scale;
	}
	n->next++;
	n->seeking = false;
	return STATUS_OK;
}

static void average(struct noise_job *n)
{
	for (size_t c = 0; c < n->source->nchannels; c++)
		n->levels[c] = n->raw_integers ? n->levels[c] / (double)n->nchunks : (double)(n->sum_f32[c] / (float)n->nchunks);
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
		int64_t start = n->starts[n->next];
		feed_seek(n->feed, n->next / NOISE_CHUNKS, start, start + n->chunk, true);
		n->slab.nframes = 0;
		n->seeking = true;
	}
	enum status status = feed_step(n->feed, ex, &slab, &end, e);
	if (status)
		return status;
	if (slab.nframes)
		append(n, &slab);
	if (end)
		status = end_chunk(n, ex, e);
	if (!status && n->next == n->nchunks) {
		average(n);
		if (n->key)
			noise_cache_put(n->source->request->daemon->noise, n->key, n->levels, n->source->nchannels);
		*done = true;
	}
	return status;
}
