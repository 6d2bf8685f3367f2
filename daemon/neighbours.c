/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Channels are sorted along one axis, the one they are spread over most, and each looks both ways from its place until the distance along
 * that axis alone is too large. Contacts of a probe have few others within a radius, so this is far from looking at all pairs. It leaves
 * nobody out: rounding is monotonic, so the square root of a sum of squares is no less than that of one of them.
 */
#include "daemon/neighbours.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct place {
	double along;
	size_t channel;
};

struct search {
	const double *locations;
	size_t nchannels, ndim, axis;
	double radius;
	struct place *places; /* [nchannels], sorted */
	size_t *rank;         /* [nchannels], of each channel in places */
	size_t count, capacity, limit;
};

static int by_place(const void *a, const void *b)
{
	const struct place *p = a, *q = b;
	return p->along != q->along ? (p->along > q->along) - (p->along < q->along) : (p->channel > q->channel) - (p->channel < q->channel);
}

static size_t widest_axis(const double *locations, size_t nchannels, size_t ndim)
{
	size_t widest = 0;
	double most = -1;
	for (size_t i = 0; i < ndim; i++) {
		double low = INFINITY, high = -INFINITY;
		for (size_t c = 0; c < nchannels; c++) {
			low = fmin(low, locations[c * ndim + i]);
			high = fmax(high, locations[c * ndim + i]);
		}
		if (high - low > most) {
			most = high - low;
			widest = i;
		}
	}
	return widest;
}

static bool near(const struct search *s, size_t a, size_t b)
{
	double sum = 0;
	for (size_t i = 0; i < s->ndim; i++) {
		double d = s->locations[a * s->ndim + i] - s->locations[b * s->ndim + i];
		sum += d * d;
	}
	return sqrt(sum) <= s->radius;
}

static bool near_along(const struct search *s, size_t i, size_t j)
{
	double d = s->places[i].along - s->places[j].along;
	return sqrt(d * d) <= s->radius;
}

static enum status add(struct search *s, struct neighbours *n, size_t channel)
{
	if (s->count == s->capacity) {
		size_t capacity = s->capacity ? 2 * s->capacity : 16 * s->nchannels;
		if (s->count >= s->limit)
			return STATUS_TOO_LARGE;
		if (capacity > s->limit)
			capacity = s->limit;
		size_t *longer = realloc(n->index, capacity * sizeof *longer);
		if (!longer)
			return STATUS_NO_MEMORY;
		n->index = longer;
		s->capacity = capacity;
	}
	n->index[s->count++] = channel;
	return STATUS_OK;
}

static enum status look_around(struct search *s, struct neighbours *n, size_t channel)
{
	size_t here = s->rank[channel];
	enum status status = add(s, n, channel);
	for (size_t i = here; i-- > 0 && near_along(s, i, here) && !status;)
		if (near(s, channel, s->places[i].channel))
			status = add(s, n, s->places[i].channel);
	for (size_t i = here + 1; i < s->nchannels && near_along(s, i, here) && !status; i++)
		if (near(s, channel, s->places[i].channel))
			status = add(s, n, s->places[i].channel);
	return status;
}

static enum status search(struct search *s, struct neighbours *n)
{
	enum status status = STATUS_OK;
	for (size_t c = 0; c < s->nchannels; c++)
		s->places[c] = (struct place){ s->locations[c * s->ndim + s->axis], c };
	qsort(s->places, s->nchannels, sizeof *s->places, by_place);
	for (size_t i = 0; i < s->nchannels; i++)
		s->rank[s->places[i].channel] = i;
	for (size_t c = 0; c < s->nchannels && !status; c++) {
		n->start[c] = s->count;
		status = look_around(s, n, c);
	}
	n->start[s->nchannels] = s->count;
	return status;
}

enum status neighbours_new(struct neighbours *n, const double *locations, size_t nchannels, size_t ndim, double radius_um, size_t max_bytes,
			   struct error *e)
{
	struct search s = { .locations = locations, .nchannels = nchannels, .ndim = ndim, .axis = widest_axis(locations, nchannels, ndim),
			    .radius = radius_um, .limit = max_bytes / sizeof(size_t) };
	enum status status = STATUS_NO_MEMORY;
	*n = (struct neighbours){ .start = calloc(nchannels + 1, sizeof *n->start) };
	s.places = calloc(nchannels, sizeof *s.places);
	s.rank = calloc(nchannels, sizeof *s.rank);
	if (n->start && s.places && s.rank)
		status = search(&s, n);
	free(s.places);
	free(s.rank);
	if (!status)
		return STATUS_OK;
	neighbours_fini(n);
	if (status == STATUS_TOO_LARGE)
		return error_set(e, status, "radius_um", "use a smaller radius, or raise limits.work_bytes",
				 "%zu channels with those within %g um of each do not fit in limits.work_bytes", nchannels, radius_um);
	return error_set(e, status, NULL, NULL, "no memory for the neighbours of %zu channels", nchannels);
}

void neighbours_fini(struct neighbours *n)
{
	free(n->start);
	free(n->index);
	*n = (struct neighbours){ 0 };
}
