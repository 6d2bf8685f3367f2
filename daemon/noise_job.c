/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/noise_job.h"
#include "daemon/daemon.h"
#include "daemon/noise_cache.h"
#include "kernels/noise.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct noise_job {
	struct source *source;
	struct chunks *chunks;
	enum noise_method method;
	bool integers, whole;
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
	return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for noise levels");
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

static enum status open_chunks(struct noise_job *n, const struct noise_wanted *w, struct error *e)
{
	const struct chunks_wanted chunks = { .spec = w->spec, .seconds = NOISE_CHUNK_S, .each = w->whole ? 0 : NOISE_CHUNKS, .seed = w->seed,
					      .field = "noise_levels", .hint = "give noise_levels" };
	return chunks_new(&n->chunks, n->source, &chunks, e);
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
	enum status status = n->level && n->sum_f32 && n->levels ? STATUS_OK : no_memory(e);
	if (!status && !n->filter)
		look_up(n, wanted);
	if (!status && !n->known)
		status = open_chunks(n, wanted, e);
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
	chunks_free(n->chunks);
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

/* NumPy computes medians of integers in f64. They are multiples of 1/2, so they come back exactly from the f32 level. */
static double of_integers(const struct noise_job *n, float level)
{
	const double scale = noise_scale(n->method);
	return n->method == NOISE_MAD || n->method == NOISE_QUIROGA ? nearbyint(level * scale * 2) / 2 / scale : (double)level;
}

/* Room for twice the chunk again. */
static enum status allocate_weighed(struct noise_job *n, const struct slab *chunk, struct error *e)
{
	const size_t work = (size_t)n->source->request->settings->config.limits_work_bytes;
	size_t bytes = chunk->ntiles * LANES * sizeof(float);
	if (chunk->nframes < n->filter->length)
		return error_set(e, STATUS_INVALID, "noise_levels", "give noise_levels", "a noise sample of %zu frames is shorter than the prototype",
				 chunk->nframes);
	if (__builtin_mul_overflow(bytes, chunk->nframes, &bytes) || bytes > work / 4)
		return error_set(e, STATUS_TOO_LARGE, "noise_levels", "give noise_levels, or raise limits.work_bytes",
				 "a filtered noise sample of %zu MiB does not fit in limits.work_bytes", bytes >> 19);
	n->weighed = *chunk;
	n->weighed.tile_stride = chunk->nframes * LANES;
	n->weighed.x = aligned_alloc(64, bytes);
	n->rows = malloc(bytes);
	if (!n->weighed.x || !n->rows)
		return no_memory(e);
	memset(n->weighed.x, 0, bytes);
	return STATUS_OK;
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
	if (!n->scratch)
		n->scratch = aligned_alloc(64, (noise_scratch(chunk, ex) + 127) & ~(size_t)63);
	if (!n->scratch)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for a noise sample");
	enum status status = n->filter && !n->rows ? allocate_weighed(n, chunk, e) : STATUS_OK;
	if (status)
		return status;
	status = n->filter ? filtered_levels(n, chunk, ex) : noise_level(n->method, chunk, ex, n->scratch, n->level);
	if (status)
		return error_set(e, status, "noise_levels", NULL, "a noise sample is empty");
	for (size_t c = 0; c < n->nlevels; c++) {
		n->sum_f32[c] += n->level[c];
		n->levels[c] += n->integers ? of_integers(n, n->level[c]) : (double)n->level[c];
	}
	return STATUS_OK;
}

static void average(struct noise_job *n)
{
	const bool in_f64 = n->integers || n->whole;
	for (size_t c = 0; c < n->nlevels; c++)
		n->levels[c] = in_f64 ? n->levels[c] / (double)chunks_count(n->chunks) : (double)(n->sum_f32[c] / (float)chunks_count(n->chunks));
}

bool noise_job_waits(struct noise_job *n, const struct executor *ex, enum step *step, struct error *e)
{
	return n && chunks_waits(n->chunks, ex, step, e);
}

enum status noise_job_step(struct noise_job *n, const struct executor *ex, bool *done, struct error *e)
{
	struct slab slab;
	*done = n->known;
	if (n->known)
		return STATUS_OK;
	enum status status = chunks_step(n->chunks, ex, &slab, e);
	if (!status && slab.nframes)
		status = end_chunk(n, &slab, ex, e);
	if (!status && chunks_end(n->chunks)) {
		average(n);
		if (n->key)
			noise_cache_put(n->source->request->daemon->noise, n->key, n->levels, n->source->nchannels, NOISE_KEPT);
		*done = true;
	}
	return status;
}
