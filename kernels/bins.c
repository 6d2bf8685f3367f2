/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/bins.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum status bins_init(struct bins *b, size_t nchannels, size_t frames, double fs_hz, double threshold, const int64_t *nframes_of_part, size_t nparts,
		      size_t max_bytes, struct error *e)
{
	size_t bytes, row = nchannels * sizeof *b->power;
	*b = (struct bins){ .nchannels = nchannels, .frames = frames, .fs_hz = fs_hz, .threshold = threshold };
	for (size_t i = 0; i < nparts; i++)
		b->capacity += ((size_t)nframes_of_part[i] + frames - 1) / frames;
	if (__builtin_mul_overflow(b->capacity, 2 * row, &bytes) || bytes > max_bytes)
		return error_set(e, STATUS_TOO_LARGE, "bin_ms", "use longer bins, or raise limits.result_bytes", "%zu bins of %zu channels", b->capacity,
				 nchannels);
	b->power = malloc(bytes / 2 + 1);
	b->rate = malloc(bytes / 2 + 1);
	b->sum = calloc(nchannels, sizeof *b->sum);
	b->crossings = calloc(nchannels, sizeof *b->crossings);
	b->beyond = calloc(nchannels, sizeof *b->beyond);
	if (b->power && b->rate && b->sum && b->crossings && b->beyond)
		return STATUS_OK;
	bins_fini(b);
	return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for %zu bins", b->capacity);
}

void bins_fini(struct bins *b)
{
	free(b->power);
	free(b->rate);
	free(b->sum);
	free(b->crossings);
	free(b->beyond);
	b->power = b->rate = b->sum = NULL;
	b->crossings = NULL;
	b->beyond = NULL;
}

static void end_bin(struct bins *b, size_t row, size_t c0, size_t width, size_t filled)
{
	for (size_t c = c0; c < c0 + width; c++) {
		b->power[row * b->nchannels + c] = b->sum[c] / (double)filled;
		b->rate[row * b->nchannels + c] = b->crossings[c] / ((double)filled / b->fs_hz);
		b->sum[c] = 0;
		b->crossings[c] = 0;
	}
}

struct add {
	struct bins *b;
	const struct slab *s;
};

static void add_frame(struct bins *b, const float *x, size_t c0, size_t width)
{
	for (size_t i = 0; i < width; i++) {
		double v = (double)x[i];
		bool beyond = b->threshold < 0 ? v < b->threshold : v > b->threshold;
		b->sum[c0 + i] += fabs(v);
		b->crossings[c0 + i] += beyond && !b->beyond[c0 + i];
		b->beyond[c0 + i] = beyond;
	}
}

static void add_tile(void *arg, size_t tile)
{
	const struct add *a = arg;
	struct bins *b = a->b;
	size_t c0 = tile * LANES, width = b->nchannels - c0 < LANES ? b->nchannels - c0 : LANES, filled = b->filled, row = b->nbins;
	for (size_t t = 0; t < a->s->nframes; t++) {
		add_frame(b, slab_at(a->s, tile, t), c0, width);
		if (++filled == b->frames) {
			end_bin(b, row++, c0, width, filled);
			filled = 0;
		}
	}
}

void bins_add(struct bins *b, const struct slab *s, const struct executor *ex)
{
	struct add a = { b, s };
	ex->run(ex->ctx, s->ntiles, add_tile, &a);
	b->nbins += (b->filled + s->nframes) / b->frames;
	b->filled = (b->filled + s->nframes) % b->frames;
}

void bins_end(struct bins *b)
{
	if (b->filled)
		end_bin(b, b->nbins++, 0, b->nchannels, b->filled);
	b->filled = 0;
	memset(b->beyond, 0, b->nchannels * sizeof *b->beyond);
}
