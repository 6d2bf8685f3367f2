/* SPDX-License-Identifier: BSD-3-Clause
 *
 * z-scores: gain and offset of each channel from the median and MAD, or mean and standard deviation, of all chunks behind each other. As many
 * tiles of channels at a time as the budget holds, each group by a pass over the chunks. Numbers: [nchannels] gain, [nchannels] offset.
 */
#include "daemon/fit.h"
#include "kernels/noise.h"
#include "kernels/stage.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct fit {
	const struct stage_fit *asked;
	size_t nchannels, ntiles, nthreads, stage;
	bool integers;
	size_t first, group, at; /* tiles: where the present pass begins, how many a full one takes, how many of these are done */
	struct slab all;         /* [group] tiles of all chunks */
	void *scratch;
	float *center, *level;   /* [nchannels] */
	double *numbers;
};

static enum status too_large(const struct fit_wanted *w, struct error *e)
{
	error_set(e, STATUS_TOO_LARGE, NULL, "raise limits.work_bytes, or take fewer or shorter samples",
		  "%zu samples of %zu frames, as medians need them side by side, do not fit in limits.work_bytes", w->nchunks, w->chunk);
	e->limit = (long long)w->budget;
	return STATUS_TOO_LARGE;
}

/* The scratch that each thread needs is a bit more than a tile. */
static enum status size_group(struct fit *f, const struct fit_wanted *w, struct error *e)
{
	const struct executor threads = { .nthreads = w->nthreads };
	size_t total, bytes;
	if (__builtin_mul_overflow(w->nchunks, w->chunk, &total) || __builtin_mul_overflow(total, 2 * LANES * sizeof(float), &bytes))
		return too_large(w, e);
	f->all = (struct slab){ .nchannels = LANES, .ntiles = 1, .nframes = total, .tile_stride = total * LANES };
	for (f->group = 0; f->group < f->ntiles; f->group++) {
		f->all.ntiles = f->group + 1;
		size_t scratch = noise_scratch(&f->all, &threads), tiles;
		if (__builtin_mul_overflow(bytes / 2, f->all.ntiles, &tiles) || scratch > w->budget || tiles > w->budget - scratch)
			break;
	}
	return f->group ? STATUS_OK : too_large(w, e);
}

static void zscore_free(struct fit *f)
{
	if (!f)
		return;
	free(f->all.x);
	free(f->scratch);
	free(f->center);
	free(f->level);
	free(f->numbers);
	free(f);
}

static enum status zscore_new(struct fit **out, const struct fit_wanted *w, struct error *e)
{
	struct fit *f = calloc(1, sizeof *f);
	if (!f)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	*out = f;
	f->asked = &w->spec->stages[w->stage].fit;
	f->nchannels = w->spec->nchannels;
	f->ntiles = (f->nchannels + LANES - 1) / LANES;
	f->nthreads = w->nthreads;
	f->integers = w->integers;
	f->stage = w->stage;
	enum status status = size_group(f, w, e);
	if (status)
		return status;
	const struct executor threads = { .nthreads = w->nthreads };
	f->all.ntiles = f->group;
	f->all.nchannels = f->group * LANES;
	f->all.x = aligned_alloc(64, f->group * f->all.tile_stride * sizeof(float));
	f->scratch = aligned_alloc(64, (noise_scratch(&f->all, &threads) + 127) & ~(size_t)63);
	f->center = calloc(f->ntiles * LANES, sizeof *f->center);
	f->level = calloc(f->ntiles * LANES, sizeof *f->level);
	f->numbers = calloc(f->nchannels, 2 * sizeof *f->numbers);
	f->all.nframes = 0;
	if (!f->all.x || !f->scratch || !f->center || !f->level || !f->numbers)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for samples of %zu channels", f->nchannels);
	return STATUS_OK;
}

static size_t group_tiles(const struct fit *f)
{
	return f->ntiles - f->first < f->group ? f->ntiles - f->first : f->group;
}

static enum status zscore_add(struct fit *f, const struct slab *chunk, const struct executor *ex, struct error *e)
{
	(void)ex;
	(void)e;
	for (size_t tile = 0; tile < group_tiles(f); tile++)
		memcpy(slab_at(&f->all, tile, f->all.nframes), slab_at(chunk, f->first + tile, 0), chunk->nframes * LANES * sizeof(float));
	f->all.nframes += chunk->nframes;
	return STATUS_OK;
}

/* NumPy's arithmetic: on float32 traces float32, on integers f64, where levels times the scale are multiples of 1/2. A channel without any spread
 * becomes 0. */
static void of_channel(const struct fit *f, size_t c, double *gain, double *offset)
{
	const double scale = noise_scale(NOISE_MAD);
	const float level = f->level[c], center = f->center[c];
	const bool usable = isfinite(1 / level) && isfinite(center / level);
	*gain = usable ? (double)(1 / level) : 0;
	*offset = usable ? (double)(-center / level) : 0;
	if (usable && f->integers && f->asked->robust) {
		const double exact = nearbyint((double)level * scale * 2) / 2 / scale;
		*gain = 1 / exact;
		*offset = -(double)center / exact;
	}
}

/* As many tiles as there are threads. */
static enum status zscore_think(struct fit *f, const struct executor *ex, enum fit_next *next, struct error *e)
{
	struct slab some = f->all;
	size_t left = group_tiles(f) - f->at, first = (f->first + f->at) * LANES;
	some.x = slab_at(&f->all, f->at, 0);
	some.ntiles = left < f->nthreads ? left : f->nthreads;
	some.nchannels = some.ntiles * LANES;
	enum status status = noise_center_level(f->asked->robust ? NOISE_MAD : NOISE_STD, &some, ex, f->scratch, f->center + first, f->level + first);
	if (status)
		return error_set(e, status, "preprocess", NULL, "preprocess[%zu]: there are no frames to measure on", f->stage);
	f->at += some.ntiles;
	*next = FIT_THINK;
	if (f->at < group_tiles(f))
		return STATUS_OK;
	f->first += f->at;
	f->at = f->all.nframes = 0;
	*next = f->first < f->ntiles ? FIT_PASS : FIT_DONE;
	for (size_t c = 0; *next == FIT_DONE && c < f->nchannels; c++)
		of_channel(f, c, &f->numbers[c], &f->numbers[f->nchannels + c]);
	return STATUS_OK;
}

static const double *zscore_numbers(const struct fit *f, size_t *n)
{
	*n = 2 * f->nchannels;
	return f->numbers;
}

const float *fit_zscore_levels(const struct fit *f)
{
	return f->level;
}

static enum status zscore_apply(struct stage_spec *s, size_t nchannels, const double *numbers, size_t n, struct error *e)
{
	double *gain = malloc(nchannels * sizeof *gain), *offset = malloc(nchannels * sizeof *offset);
	s->gain.at = gain;
	s->value.at = offset;
	if (!gain || !offset || n != 2 * nchannels)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	memcpy(gain, numbers, nchannels * sizeof *gain);
	memcpy(offset, numbers + nchannels, nchannels * sizeof *offset);
	s->gain.n = s->value.n = nchannels;
	return STATUS_OK;
}

const struct fit_method fit_zscore = { .new = zscore_new, .free = zscore_free, .add = zscore_add, .think = zscore_think,
				       .numbers = zscore_numbers, .apply = zscore_apply };
