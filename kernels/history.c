/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/history.h"

#include <stdlib.h>
#include <string.h>

size_t history_bytes(size_t nchannels, size_t keep)
{
	size_t ntiles = nchannels / LANES + (nchannels % LANES != 0), n;
	if (__builtin_mul_overflow(keep, 2 * LANES * sizeof(float), &n) || __builtin_mul_overflow(n, ntiles, &n) ||
	    __builtin_add_overflow(n, sizeof(struct history), &n))
		return SIZE_MAX;
	return n;
}

enum status history_new(struct history **out, size_t nchannels, size_t keep, struct error *e)
{
	const size_t nbytes = history_bytes(nchannels, keep);
	struct history *h = nbytes == SIZE_MAX ? NULL : calloc(1, sizeof *h);
	*out = NULL;
	if (h) {
		*h = (struct history){ .ntiles = (nchannels + LANES - 1) / LANES, .keep = keep, .capacity = 2 * keep };
		h->x = aligned_alloc(64, (nbytes + 63) & ~(size_t)63);
	}
	if (!h || !h->x) {
		history_free(h);
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for %zu frames of %zu channels", 2 * keep, nchannels);
	}
	history_reset(h);
	*out = h;
	return STATUS_OK;
}

void history_free(struct history *h)
{
	if (!h)
		return;
	free(h->x);
	free(h);
}

void history_reset(struct history *h)
{
	h->used = 0;
	h->slab = (struct slab){ 0 };
}

void history_show(struct history *h, const struct slab *slab)
{
	if (slab->nframes)
		h->slab = *slab;
}

/* How many of the frames held stay, when n new ones come, and how many of the new ones are not wanted. */
static size_t plan(const struct history *h, size_t n, size_t *skip)
{
	*skip = n > h->keep ? n - h->keep : 0;
	if (n >= h->keep)
		return 0;
	if (h->used + n <= h->capacity)
		return h->used;
	return h->keep - n;
}

static void take_tile(void *arg, size_t tile)
{
	const struct history *h = arg;
	float *x = h->x + tile * h->capacity * LANES;
	size_t skip, stay = plan(h, h->slab.nframes, &skip);
	memmove(x, x + (h->used - stay) * LANES, stay * LANES * sizeof *x);
	memcpy(x + stay * LANES, slab_at(&h->slab, tile, skip), (h->slab.nframes - skip) * LANES * sizeof *x);
}

void history_hide(struct history *h, const struct executor *ex)
{
	size_t skip, n = h->slab.nframes, stay = plan(h, n, &skip);
	if (!n)
		return;
	if (h->keep)
		ex->run(ex->ctx, h->ntiles, take_tile, h);
	h->used = stay + n - skip;
	h->slab.first_frame += (int64_t)n;
	h->slab.nframes = 0;
}

size_t history_stretches(const struct history *h, size_t tile, int64_t from, size_t n, struct stretch out[2])
{
	const int64_t now = h->slab.first_frame, end = now + (int64_t)h->slab.nframes, to = from + (int64_t)n;
	const int64_t a = from > now - (int64_t)h->used ? from : now - (int64_t)h->used, b = to < now ? to : now;
	const int64_t c = from > now ? from : now, d = to < end ? to : end;
	size_t count = 0;
	if (a < b)
		out[count++] = (struct stretch){ h->x + (tile * h->capacity + h->used - (size_t)(now - a)) * LANES, (size_t)(a - from), (size_t)(b - a) };
	if (c < d)
		out[count++] = (struct stretch){ slab_at(&h->slab, tile, (size_t)(c - now)), (size_t)(c - from), (size_t)(d - c) };
	return count;
}

float history_get(const struct history *h, int64_t frame, size_t channel)
{
	struct stretch s[2];
	return history_stretches(h, channel / LANES, frame, 1, s) ? s[0].x[channel % LANES] : 0;
}
