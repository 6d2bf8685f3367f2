/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/fit_job.h"
#include "daemon/chunks.h"
#include "daemon/daemon.h"
#include "daemon/fit.h"
#include "daemon/noise_cache.h"
#include "daemon/noise_job.h"

#include <stdlib.h>

enum { KEPT = 8, MOST_KEPT = 2 << 20 }; /* numbers: a matrix of 1448 channels */

struct fit_job {
	struct source *source;
	struct pipeline_spec *spec;
	size_t stage;               /* the present one */
	struct pipeline_spec before; /* the stages before it, and it, as the fit sees them */
	struct chunks *chunks;
	struct fit *fit;
	bool thinking;
	char *key;                  /* in the cache; NULL for an array */
};

static const struct fit_method *method_of(const struct pipeline_spec *spec, size_t stage)
{
	const struct stage_spec *s = &spec->stages[stage];
	if (s->kind == STAGE_WHITEN && !s->matrix && (s->fit.wanted || !spec->whiten_matrix))
		return &fit_whiten;
	return s->kind == STAGE_ZSCORE && !s->gain.n ? &fit_zscore : NULL;
}

/* The next stage without numbers, or nstages. */
static size_t next_stage(const struct pipeline_spec *spec)
{
	size_t i = 0;
	while (i < spec->nstages && !method_of(spec, i))
		i++;
	return i;
}

static void end_stage(struct fit_job *j)
{
	if (j->fit)
		method_of(&j->before, j->stage)->free(j->fit);
	chunks_free(j->chunks);
	free(j->key);
	j->fit = NULL;
	j->chunks = NULL;
	j->key = NULL;
	j->thinking = false;
}

void fit_job_free(struct fit_job *j)
{
	if (!j)
		return;
	end_stage(j);
	free(j);
}

/* --- what was measured before --- */

/* The stages up to this one, and all that the chunks depend on. */
static char *key_of(const struct fit_job *j)
{
	struct source *s = j->source;
	const json_t *all = json_object_get(request_params(s->request), "preprocess");
	const struct noise_wanted like = { .spec = j->spec, .scaled = j->spec->gain != NULL };
	json_t *some = json_array();
	for (size_t i = 0; i <= j->stage; i++)
		json_array_append(some, json_array_get(all, i));
	char *text = json_dumps(some, JSON_COMPACT | JSON_SORT_KEYS);
	char *key = text && s->recording ? noise_cache_key(s->recording, text, s->arrays.digest, &like) : NULL;
	json_decref(some);
	free(text);
	return key;
}

struct kept {
	struct fit_job *job;
	enum status status;
	struct error *e;
};

static bool apply_kept(const double *numbers, size_t n, void *arg)
{
	struct kept *k = arg;
	struct fit_job *j = k->job;
	k->status = method_of(j->spec, j->stage)->apply(&j->spec->stages[j->stage], j->spec->nchannels, numbers, n, k->e);
	return true;
}

/* --- one stage --- */

static enum status start_stage(struct fit_job *j, struct error *e)
{
	struct source *s = j->source;
	const struct stage_fit *asked = &j->spec->stages[j->stage].fit;
	const struct chunks_wanted chunks = { .spec = &j->before, .seconds = FIT_CHUNK_S, .each = FIT_CHUNKS, .seed = asked->seed, .field = "preprocess",
					      .hint = "give the stage its numbers" };
	j->before = *j->spec;
	j->before.nstages = j->stage;
	enum status status = chunks_new(&j->chunks, s, &chunks, e);
	if (status)
		return status;
	const struct fit_wanted wanted = { .spec = &j->before, .stage = j->stage, .nchunks = chunks_count(j->chunks), .chunk = (size_t)chunks_frames(j->chunks),
					   .nthreads = s->request->daemon->threads, .budget = (size_t)s->request->settings->config.limits_work_bytes / 2,
					   .integers = j->stage == 0 && !j->spec->gain && s->dtype >= DTYPE_I8 && s->dtype <= DTYPE_U64 };
	return method_of(&j->before, j->stage)->new(&j->fit, &wanted, e);
}

static enum status finish_stage(struct fit_job *j, struct error *e)
{
	const struct fit_method *method = method_of(j->spec, j->stage);
	size_t n;
	const double *numbers = method->numbers(j->fit, &n);
	enum status status = method->apply(&j->spec->stages[j->stage], j->spec->nchannels, numbers, n, e);
	if (!status && j->key && n <= MOST_KEPT)
		noise_cache_put(j->source->request->daemon->fits, j->key, numbers, n, KEPT);
	end_stage(j);
	return status;
}

static enum status fit_some(struct fit_job *j, const struct executor *ex, struct error *e)
{
	const struct fit_method *method = method_of(&j->before, j->stage);
	struct slab chunk;
	enum fit_next next = FIT_THINK;
	if (!j->thinking) {
		enum status status = chunks_step(j->chunks, ex, &chunk, e);
		if (!status && chunk.nframes)
			status = method->add(j->fit, &chunk, ex, e);
		j->thinking = chunks_end(j->chunks);
		return status;
	}
	enum status status = method->think(j->fit, ex, &next, e);
	if (!status && next == FIT_DONE)
		return finish_stage(j, e);
	if (next == FIT_PASS) {
		chunks_rewind(j->chunks);
		j->thinking = false;
	}
	return status;
}

/* --- all of them --- */

/* What the source knows of the channels, so that stages and locations can be looked at. */
static enum status begin(struct fit_job **job, struct source *source, struct pipeline_spec *spec, struct error *e)
{
	spec->nchannels = source->nchannels;
	enum status status = stage_arrays_read(source, spec, e);
	if (status || next_stage(spec) == spec->nstages)
		return status;
	if (spec->exact && source->dtype == DTYPE_I16)
		return error_set(e, STATUS_UNSUPPORTED, "compat", "leave compat out, or send float32",
				 "preprocess[%zu] gives fractions, and compat rounds int16 samples after each stage", next_stage(spec));
	struct fit_job *j = *job = calloc(1, sizeof *j);
	if (!j)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	j->source = source;
	j->spec = spec;
	return STATUS_OK;
}

enum status fit_job_step(struct fit_job **job, struct source *source, struct pipeline_spec *spec, const struct executor *ex, bool *done, struct error *e)
{
	enum status status = *job ? STATUS_OK : begin(job, source, spec, e);
	struct fit_job *j = *job;
	*done = !status && next_stage(spec) == spec->nstages;
	if (status || *done)
		return status;
	if (j->fit)
		return fit_some(j, ex, e);
	struct kept kept = { j, STATUS_OK, e };
	end_stage(j);
	j->stage = next_stage(spec);
	j->key = key_of(j);
	if (j->key && noise_cache_use(source->request->daemon->fits, j->key, apply_kept, &kept))
		return kept.status;
	return start_stage(j, e);
}

bool fit_job_waits(struct fit_job *j, const struct executor *ex, enum step *step, struct error *e)
{
	return j && !j->thinking && chunks_waits(j->chunks, ex, step, e);
}
