/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Common reference: over all channels, or over sets: listed channels, groups, those around each channel.
 *
 * Around a channel (SpikeInterface's rule): the channels farther away than the first radius and at most the second; if these are fewer than 5,
 * the 5 closest that are farther away than the first, the lower index first at the same distance. A channel is not its own neighbour, wherever
 * others are. One without neighbours keeps its values, and so does one in no group.
 */
#include "kernels/channels.h"
#include "kernels/reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MIN_NEIGHBOURS = 5, LOCAL_MAX_CHANNELS = 4096, MAX_SOURCES = 1 << 25 };

struct table {
	enum reference_operator op;
	bool all;                     /* one set of all channels */
	struct reference_sets sets;
};

static enum stage_form form(const struct stage_spec *s)
{
	(void)s;
	return FORM_FRAMES;
}

/* Sets while they are made. */
struct sets {
	uint32_t *start, *source, *set_of;
	size_t nsets, nsources, capacity, largest;
};

static bool add_source(struct sets *sets, size_t channel)
{
	if (sets->nsources == sets->capacity) {
		size_t capacity = sets->capacity ? 2 * sets->capacity : 1024;
		uint32_t *longer = capacity <= MAX_SOURCES ? realloc(sets->source, capacity * sizeof *longer) : NULL;
		if (!longer)
			return false;
		sets->source = longer;
		sets->capacity = capacity;
	}
	sets->source[sets->nsources++] = (uint32_t)channel;
	return true;
}

/* Ends the set that sources were added to: its number, or REFERENCE_NONE if there were none. */
static uint32_t end_set(struct sets *sets)
{
	size_t n = sets->nsources - sets->start[sets->nsets];
	if (n == 0)
		return REFERENCE_NONE;
	sets->largest = n > sets->largest ? n : sets->largest;
	sets->start[++sets->nsets] = (uint32_t)sets->nsources;
	return (uint32_t)sets->nsets - 1;
}

/* One set for all channels: those marked, or if none are, all but the excluded. */
static bool make_global(struct sets *sets, const bool *marks, bool any, const bool *excluded, size_t nchannels)
{
	for (size_t c = 0; c < nchannels; c++)
		if ((!any || marks[c]) && !excluded[c] && !add_source(sets, c))
			return false;
	uint32_t set = end_set(sets);
	for (size_t c = 0; c < nchannels; c++)
		sets->set_of[c] = set;
	return true;
}

static bool make_groups(struct sets *sets, const struct stage_spec *s, const bool *excluded)
{
	const uint32_t *at = s->grouped.at;
	for (size_t g = 0; g < s->ngroups; at += s->group_sizes[g++]) {
		for (size_t i = 0; i < s->group_sizes[g]; i++)
			if (!excluded[at[i]] && !add_source(sets, at[i]))
				return false;
		uint32_t set = end_set(sets);
		for (size_t i = 0; i < s->group_sizes[g]; i++)
			sets->set_of[at[i]] = set;
	}
	return true;
}

/* The least (distance, channel) above the last one taken; nchannels if there is none. */
static size_t next_closest(const double *distance, size_t nchannels, double inner, double last, size_t last_channel)
{
	size_t best = nchannels;
	for (size_t c = 0; c < nchannels; c++) {
		double d = distance[c];
		bool behind = d > last || (d == last && c > last_channel);
		if (d > inner && d < INFINITY && behind && (best == nchannels || d < distance[best]))
			best = c;
	}
	return best;
}

static int ascending(const void *a, const void *b)
{
	uint32_t p = *(const uint32_t *)a, q = *(const uint32_t *)b;
	return (p > q) - (p < q);
}

/* distance: [nchannels], infinite for the channel itself and those excluded. */
static bool add_around(struct sets *sets, const struct stage_spec *s, const double *distance, size_t nchannels)
{
	size_t first = sets->nsources;
	for (size_t c = 0; c < nchannels; c++)
		if (distance[c] > s->radius_um[0] && distance[c] <= s->radius_um[1] && !add_source(sets, c))
			return false;
	if (sets->nsources - first >= MIN_NEIGHBOURS)
		return true;
	double last = -1;
	size_t channel = 0;
	sets->nsources = first;
	for (int i = 0; i < MIN_NEIGHBOURS; i++) {
		channel = next_closest(distance, nchannels, s->radius_um[0], last, channel);
		if (channel == nchannels)
			break;
		if (!add_source(sets, channel))
			return false;
		last = distance[channel];
	}
	if (sets->nsources > first)
		qsort(sets->source + first, sets->nsources - first, sizeof *sets->source, ascending);
	return true;
}

static bool make_local(struct sets *sets, const struct pipeline_spec *spec, const struct stage_spec *s, const bool *excluded)
{
	size_t n = spec->nchannels;
	double *distance = malloc(n * sizeof *distance);
	bool made = distance != NULL;
	for (size_t c = 0; c < n && made; c++) {
		for (size_t other = 0; other < n; other++)
			distance[other] = other == c || excluded[other] ? INFINITY : channels_distance(spec, c, other);
		made = add_around(sets, s, distance, n);
		sets->set_of[c] = made ? end_set(sets) : REFERENCE_NONE;
	}
	free(distance);
	return made;
}

static bool make_sets(struct sets *sets, const struct pipeline_spec *spec, const struct stage_spec *s, const bool *marks, const bool *excluded)
{
	size_t n = spec->nchannels;
	sets->start = calloc((s->scope == REFERENCE_LOCAL ? n : s->ngroups) + 2, sizeof *sets->start);
	sets->set_of = malloc(n * sizeof *sets->set_of);
	if (!sets->start || !sets->set_of)
		return false;
	for (size_t c = 0; c < n; c++)
		sets->set_of[c] = REFERENCE_NONE;
	if (s->scope == REFERENCE_LOCAL)
		return make_local(sets, spec, s, excluded);
	if (s->scope == REFERENCE_GROUPS)
		return make_groups(sets, s, excluded);
	return make_global(sets, marks, s->channels.n > 0, excluded, n);
}

static enum status check_groups(const struct stage_spec *s, size_t i, struct error *e)
{
	size_t total = 0;
	for (size_t g = 0; g < s->ngroups; g++) {
		if (s->group_sizes[g] < 1)
			return stage_wrong(e, i, "groups", "leave it out", "group %zu has no channels", g);
		total += s->group_sizes[g];
	}
	if (s->ngroups < 1 || total != s->grouped.n)
		return stage_wrong(e, i, "groups", "for example [[0, 1, 2, 3], [4, 5, 6, 7]]", "reference groups needs lists of channels");
	return STATUS_OK;
}

static enum status check(const struct pipeline_spec *spec, size_t i, struct error *e)
{
	const struct stage_spec *s = &spec->stages[i];
	if (s->op != REFERENCE_MEDIAN && s->op != REFERENCE_AVERAGE)
		return stage_wrong_value(e, i, "operator", "use median or average", "no such operator", s->op);
	switch (s->scope) {
	case REFERENCE_GLOBAL:
		return STATUS_OK;
	case REFERENCE_SINGLE:
		if (s->channels.n != 1)
			return stage_wrong(e, i, "ref_channels", "name one channel", "reference single needs one channel, not %zu", s->channels.n);
		return STATUS_OK;
	case REFERENCE_GROUPS:
		return check_groups(s, i, e);
	case REFERENCE_LOCAL:
		if (!(s->radius_um[0] >= 0 && s->radius_um[1] > s->radius_um[0] && isfinite(s->radius_um[1])))
			return stage_wrong(e, i, "local_radius_um", "for example [30, 55]", "%g to %g um is no ring", s->radius_um[0], s->radius_um[1]);
		if (spec->nchannels > LOCAL_MAX_CHANNELS)
			return stage_wrong(e, i, "reference", "use groups", "local takes up to %d channels", LOCAL_MAX_CHANNELS);
		return channels_located(spec, i, e);
	}
	return stage_wrong_value(e, i, "reference", "use global, single, local or groups", "no such reference", s->scope);
}

/* From the sets to the table, all in one piece. */
static enum status keep(struct plan_stage *p, size_t i, const struct sets *sets, enum reference_operator op, struct error *e)
{
	size_t n = p->nchannels, nstart = sets->nsets + 1;
	enum status status = stage_table(p, i, 1, sizeof(struct table) + (nstart + sets->nsources + n) * sizeof(uint32_t), e);
	if (status)
		return status;
	struct table *t = p->table;
	uint32_t *at = (uint32_t *)(t + 1);
	t->op = op;
	t->sets = (struct reference_sets){ sets->nsets, at, at + nstart, at + nstart + sets->nsources, sets->largest, op == REFERENCE_MEDIAN };
	memcpy(at, sets->start, nstart * sizeof *at);
	if (sets->nsources)
		memcpy(at + nstart, sets->source, sets->nsources * sizeof *at);
	memcpy(at + nstart + sets->nsources, sets->set_of, n * sizeof *at);
	p->scratch_bytes = reference_sets_scratch(n, sets->nsets, sets->largest);
	return STATUS_OK;
}

static enum status plan_sets(struct plan_stage *p, const struct pipeline_spec *spec, size_t i, struct error *e)
{
	const struct stage_spec *s = &spec->stages[i];
	size_t n = p->nchannels;
	struct sets sets = { NULL };
	bool *marks = calloc(3, n); /* those of channels, excluded, grouped */
	enum status status = marks ? STATUS_OK : error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	if (!status)
		status = channels_mark(&s->channels, i, "ref_channels", n, marks, e);
	if (!status)
		status = channels_mark(&s->excluded, i, "excluded", n, marks + n, e);
	if (!status)
		status = channels_mark(&s->grouped, i, "groups", n, marks + 2 * n, e);
	if (!status && s->scope == REFERENCE_SINGLE && marks[n + s->channels.at[0]])
		status = stage_wrong(e, i, "excluded", "use another channel", "channel %u is the reference", s->channels.at[0]);
	if (!status && !make_sets(&sets, spec, s, marks, marks + n))
		status = error_set(e, STATUS_NO_MEMORY, NULL, "use a smaller outer radius", "no memory for the references of %zu channels", n);
	if (!status)
		status = keep(p, i, &sets, s->op, e);
	free(marks);
	free(sets.start);
	free(sets.source);
	free(sets.set_of);
	return status;
}

static enum status plan(struct plan_stage *p, const struct pipeline_spec *spec, size_t i, size_t grid, struct error *e)
{
	const struct stage_spec *s = &spec->stages[i];
	enum status status = check(spec, i, e);
	(void)grid;
	if (status)
		return status;
	if (s->scope != REFERENCE_GLOBAL || s->channels.n > 0 || s->excluded.n > 0)
		return plan_sets(p, spec, i, e);
	status = stage_table(p, i, 1, sizeof(struct table), e);
	if (status)
		return status;
	*(struct table *)p->table = (struct table){ .op = s->op, .all = true };
	p->scratch_bytes = s->op == REFERENCE_MEDIAN ? reference_scratch(p->nchannels) : 0;
	return STATUS_OK;
}

static void frames(const struct plan_stage *p, float *x, size_t tile_stride, size_t nframes, void *scratch)
{
	const struct table *t = p->table;
	if (!t->all)
		reference_sets(x, tile_stride, nframes, p->nchannels, &t->sets, scratch);
	else if (t->op == REFERENCE_MEDIAN)
		reference_median(x, tile_stride, nframes, p->nchannels, scratch);
	else
		reference_average(x, tile_stride, nframes, p->nchannels);
}

const struct stage_type stage_common_reference = { .name = "common_reference", .form = form, .plan = plan, .frames = frames };
