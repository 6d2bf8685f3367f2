/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Which detected peaks to keep, channel by channel, in order of time. Three rules, each optional, in this order:
 *	too large   |amplitude| > most[channel]: an artefact (wave_clus' stdmax, RHX' spikeMax)
 *	dead time   fewer than `dead` frames after the last peak that was kept on the channel
 *	rate        the channel has `limit` kept peaks already in this window of `window` frames; windows are counted from frame 0 of the segment
 * What each rule dropped is counted. Costs O(1) a peak; however the peaks arrive, the same ones stay.
 */
#ifndef KERNELS_SELECT_H
#define KERNELS_SELECT_H

#include "kernels/peaks.h"

struct select_spec {
	size_t nchannels;
	const double *most;      /* [nchannels], copied; NULL: any amplitude */
	int64_t dead;            /* frames; 0: none */
	int64_t window, limit;   /* frames, peaks; limit 0: any rate */
};

struct select_counts {
	uint64_t large, dead, rate;
};

struct selection;
enum status selection_new(struct selection **out, const struct select_spec *spec, struct error *e);
void selection_free(struct selection *s);

/* For the next segment; counts go on. */
void selection_reset(struct selection *s);

/* Keeps of peaks->at[first ...] what the rules let pass, in their order. */
void selection_apply(struct selection *s, struct peaks *peaks, size_t first);

/* [nchannels] */
const struct select_counts *selection_counts(const struct selection *s);

#endif
