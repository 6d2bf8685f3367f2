/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/select.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct channel {
	int64_t last;            /* the peak that was kept last, or NEVER */
	int64_t window, count;   /* kept in this window */
};

enum { NO_WINDOW = -1 };
static const int64_t NEVER = INT64_MIN;

struct selection {
	struct select_spec spec;
	struct channel *channels;
	struct select_counts *counts;
	double *most;
};

enum status selection_new(struct selection **out, const struct select_spec *spec, struct error *e)
{
	struct selection *s = calloc(1, sizeof *s);
	*out = NULL;
	if (s) {
		s->spec = *spec;
		s->channels = calloc(spec->nchannels, sizeof *s->channels);
		s->counts = calloc(spec->nchannels, sizeof *s->counts);
		s->most = calloc(spec->nchannels, sizeof *s->most);
	}
	if (!s || !s->channels || !s->counts || !s->most) {
		selection_free(s);
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for %zu channels", spec->nchannels);
	}
	for (size_t c = 0; c < spec->nchannels; c++)
		s->most[c] = spec->most ? spec->most[c] : INFINITY;
	selection_reset(s);
	*out = s;
	return STATUS_OK;
}

void selection_free(struct selection *s)
{
	if (!s)
		return;
	free(s->channels);
	free(s->counts);
	free(s->most);
	free(s);
}

void selection_reset(struct selection *s)
{
	for (size_t c = 0; c < s->spec.nchannels; c++)
		s->channels[c] = (struct channel){ NEVER, NO_WINDOW, 0 };
}

static bool passes(struct selection *s, const struct peak *p)
{
	const size_t c = (size_t)p->channel_index;
	struct channel *channel = &s->channels[c];
	if (fabs(p->amplitude) > s->most[c]) {
		s->counts[c].large++;
		return false;
	}
	if (channel->last != NEVER && p->sample_index - channel->last < s->spec.dead) {
		s->counts[c].dead++;
		return false;
	}
	if (s->spec.limit) {
		const int64_t window = p->sample_index / s->spec.window;
		if (window != channel->window)
			channel->count = 0;
		channel->window = window;
		if (channel->count == s->spec.limit) {
			s->counts[c].rate++;
			return false;
		}
		channel->count++;
	}
	channel->last = p->sample_index;
	return true;
}

void selection_apply(struct selection *s, struct peaks *peaks, size_t first)
{
	size_t kept = first;
	for (size_t i = first; i < peaks->count; i++)
		if (passes(s, &peaks->at[i]))
			peaks->at[kept++] = peaks->at[i];
	peaks->count = kept;
}

const struct select_counts *selection_counts(const struct selection *s)
{
	return s->counts;
}
