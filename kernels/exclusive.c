/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Candidates come in order of time. Each one meets every neighbouring channel once, in two directions:
 *
 * - Back: is there a candidate of the last `sweep` frames, dropped or not, that beats it? A channel keeps these as a list of falling v
 *   (a newer, larger one makes the smaller before it needless, since it stays longer), so the head of the list is the answer. Equal ones
 *   are kept: on a tie it matters whether an earlier frame has it.
 * - Forward: it drops the smaller ones of the last `sweep` frames that still stand. A channel has at most one of these: of two candidates
 *   on one channel within `sweep` frames one beats the other, and it was dropped when the later one came.
 *
 * So a candidate costs its number of neighbours, whatever the sweep and however dense the candidates are; a list of all candidates of a
 * window, walked for each of them, would not end on noisy data.
 *
 * A candidate at frame s is decided once those up to s + sweep are known.
 *
 * Precision. SpikeInterface divides in the types it is given: int16 traces, or any traces with float64 noise levels, in double; float32 traces
 * with noise levels it measured itself (float32) in float32, so that quotients which differ in double may be equal. `single` asks for the
 * latter. Samples of both kinds stand here exactly, as floats, and a double holds both quotients. |-32768| is 32768 here; there it wraps
 * around to -32768, so that a saturated sample loses to all.
 */
#include "kernels/exclusive.h"
#include "kernels/detect.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NEVER INT64_MIN

struct rival {
	int64_t frame;
	double value;
};

struct channel {
	struct rival *rivals;      /* [first, end): frames rise, values fall or stay */
	size_t first, end, capacity;
	int64_t standing_frame;    /* the candidate not beaten so far; NEVER: none */
	double standing_value;
	uint64_t standing;         /* its number */
	double threshold;
};

struct pending {
	struct peak peak;
	bool dropped;
};

struct exclusive {
	size_t nchannels;
	int64_t sweep;
	bool single;
	size_t *start;             /* [nchannels + 1] into index */
	size_t *index;             /* neighbours, without the channel itself */
	struct channel *channels;

	struct pending *pending;   /* [first, end): not beaten when they came, not decided yet */
	size_t first, end, capacity;
	uint64_t number;           /* of pending[first], counted from the start */
};

/* --- life --- */

static bool neighbours_fit(const struct detect_spec *spec)
{
	const size_t *start = spec->neighbour_start, *index = spec->neighbour_index;
	if (!start || start[0] != 0)
		return false;
	for (size_t c = 0; c < spec->nchannels; c++)
		if (start[c + 1] < start[c])
			return false;
	for (size_t i = 0; i < start[spec->nchannels]; i++)
		if (index[i] >= spec->nchannels)
			return false;
	return true;
}

size_t exclusive_bytes(const struct detect_spec *spec)
{
	size_t a, b, n = spec->nchannels;
	if (!spec->neighbour_start || __builtin_mul_overflow(n, sizeof(struct channel) + sizeof(size_t), &a) ||
	    __builtin_mul_overflow(spec->neighbour_start[n], sizeof(size_t), &b) || __builtin_add_overflow(a, b, &a) ||
	    __builtin_add_overflow(a, sizeof(struct exclusive) + sizeof(size_t), &a))
		return SIZE_MAX;
	return a;
}

static void copy_neighbours(struct exclusive *x, const struct detect_spec *spec)
{
	size_t n = 0;
	for (size_t c = 0; c < x->nchannels; c++) {
		x->start[c] = n;
		for (size_t i = spec->neighbour_start[c]; i < spec->neighbour_start[c + 1]; i++)
			if (spec->neighbour_index[i] != c)
				x->index[n++] = spec->neighbour_index[i];
	}
	x->start[x->nchannels] = n;
}

enum status exclusive_new(struct exclusive **out, const struct detect_spec *spec, struct error *e)
{
	*out = NULL;
	if (!neighbours_fit(spec))
		return error_set(e, STATUS_INVALID, "channel_locations", NULL, "the lists of neighbours are not lists of channels");
	struct exclusive *x = exclusive_bytes(spec) == SIZE_MAX ? NULL : calloc(1, sizeof *x);
	if (x) {
		x->nchannels = spec->nchannels;
		x->sweep = (int64_t)spec->sweep;
		x->single = spec->single;
		x->start = calloc(spec->nchannels + 1, sizeof *x->start);
		x->index = calloc(spec->neighbour_start[spec->nchannels] + 1, sizeof *x->index);
		x->channels = calloc(spec->nchannels, sizeof *x->channels);
	}
	if (!x || !x->start || !x->index || !x->channels) {
		exclusive_free(x);
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for the neighbours of %zu channels", spec->nchannels);
	}
	copy_neighbours(x, spec);
	for (size_t c = 0; c < spec->nchannels; c++)
		x->channels[c].threshold = spec->threshold[c];
	exclusive_reset(x);
	*out = x;
	return STATUS_OK;
}

void exclusive_free(struct exclusive *x)
{
	if (!x)
		return;
	for (size_t c = 0; x->channels && c < x->nchannels; c++)
		free(x->channels[c].rivals);
	free(x->channels);
	free(x->start);
	free(x->index);
	free(x->pending);
	free(x);
}

void exclusive_reset(struct exclusive *x)
{
	for (size_t c = 0; c < x->nchannels; c++) {
		x->channels[c].first = x->channels[c].end = 0;
		x->channels[c].standing_frame = NEVER;
	}
	x->first = x->end = 0;
	x->number = 0;
}

/* --- queues --- */

/* Makes room for one more at `end`: to the front, if at least half of the room is free there, else a longer array. Amortised over the items
 * that came and went, either is a constant. */
static bool make_room(void **items, size_t *first, size_t *end, size_t *capacity, size_t size)
{
	if (*end < *capacity)
		return true;
	if (*first > 0 && *first >= *capacity / 2) {
		memmove(*items, (char *)*items + *first * size, (*end - *first) * size);
		*end -= *first;
		*first = 0;
		return true;
	}
	size_t more, nbytes;
	if (__builtin_mul_overflow(*capacity ? *capacity : 4, 2, &more) || __builtin_mul_overflow(more, size, &nbytes))
		return false;
	void *longer = realloc(*items, nbytes);
	if (!longer)
		return false;
	*items = longer;
	*capacity = more;
	return true;
}

static bool add_rival(struct channel *c, int64_t frame, double value)
{
	void *items = c->rivals;
	while (c->end > c->first && c->rivals[c->end - 1].value < value)
		c->end--;
	if (!make_room(&items, &c->first, &c->end, &c->capacity, sizeof *c->rivals))
		return false;
	c->rivals = items;
	c->rivals[c->end++] = (struct rival){ frame, value };
	return true;
}

static bool add_standing(struct exclusive *x, struct channel *c, const struct peak *p, double value)
{
	void *items = x->pending;
	if (!make_room(&items, &x->first, &x->end, &x->capacity, sizeof *x->pending))
		return false;
	x->pending = items;
	c->standing_frame = p->sample_index;
	c->standing_value = value;
	c->standing = x->number + (x->end - x->first);
	x->pending[x->end++] = (struct pending){ *p, false };
	return true;
}

/* --- the contest --- */

static double value_of(const struct exclusive *x, const struct peak *p)
{
	double threshold = x->channels[p->channel_index].threshold;
	return x->single ? (double)((float)fabs(p->amplitude) / (float)threshold) : fabs(p->amplitude) / threshold;
}

/* A candidate meets a channel: is it beaten there, and whom does it beat? Those that it beats are pending, for they are no more than `sweep`
 * frames old, and only older ones have been decided. */
static bool meet(struct exclusive *x, struct channel *c, int64_t frame, double value)
{
	int64_t oldest = frame - x->sweep;
	while (c->first < c->end && c->rivals[c->first].frame < oldest)
		c->first++;
	if (c->standing_frame >= oldest && c->standing_value < value) {
		x->pending[x->first + (size_t)(c->standing - x->number)].dropped = true;
		c->standing_frame = NEVER;
	}
	if (c->first == c->end)
		return false;
	const struct rival *top = &c->rivals[c->first];
	return top->value > value || (top->value == value && top->frame < frame);
}

static bool take(struct exclusive *x, const struct peak *p)
{
	size_t at = (size_t)p->channel_index;
	struct channel *c = &x->channels[at];
	double value = value_of(x, p);
	bool beaten = meet(x, c, p->sample_index, value);
	for (size_t i = x->start[at]; i < x->start[at + 1]; i++)
		beaten |= meet(x, &x->channels[x->index[i]], p->sample_index, value);
	return add_rival(c, p->sample_index, value) && (beaten || add_standing(x, c, p, value));
}

static enum status give(struct exclusive *x, int64_t known, struct peaks *peaks)
{
	for (; x->first < x->end && x->pending[x->first].peak.sample_index < known - x->sweep; x->first++, x->number++) {
		size_t room;
		if (x->pending[x->first].dropped)
			continue;
		enum status status = peaks_reserve(peaks, 1, &room);
		if (status)
			return status;
		if (room)
			peaks->at[peaks->count++] = x->pending[x->first].peak;
	}
	return STATUS_OK;
}

enum status exclusive_step(struct exclusive *x, const struct peak *candidates, size_t n, int64_t known, struct peaks *peaks)
{
	for (size_t i = 0; i < n; i++)
		if (!take(x, &candidates[i]))
			return STATUS_NO_MEMORY;
	return give(x, known, peaks);
}
