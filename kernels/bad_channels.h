/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Which channels are bad, chunk by chunk, by SpikeInterface's rules (detect_bad_channels; the first one is the International Brain Laboratory's).
 */
#ifndef KERNELS_BAD_CHANNELS_H
#define KERNELS_BAD_CHANNELS_H

#include "kernels/executor.h"
#include "kernels/slab.h"
#include "protocol/error.h"

#include <stdbool.h>

enum channel_label { CHANNEL_GOOD, CHANNEL_DEAD, CHANNEL_NOISE, CHANNEL_OUT, CHANNEL_LABELS };

struct bad_spec {
	size_t nchannels;
	size_t nframes;                       /* of a chunk */
	double fs_hz;

	/* Coherence and spectrum: x . ref / ref . ref, where ref is the median over channels, against the median of that over channels near in order; and
	 * the mean density above `nyquist` of half the rate (Welch: Hann windows that overlap by half, each without its mean). */
	const size_t *order;                  /* [nchannels] from the bottom up; copied */
	size_t window;                        /* frames of a window; 1..BAD_MAX_WINDOW */
	size_t nneighbours;                   /* width of the median over channels */
	double nyquist, density, dead, noisy, outside;
	bool top, bottom;

	/* Correlation with the median of the channels nearer than radius_um. */
	const double *locations;              /* [nchannels][ndim], for this rule only */
	size_t ndim;
	double radius_um;
};

enum { BAD_MAX_WINDOW = 8192 };

struct bad_channels;
enum status bad_channels_new(struct bad_channels **out, const struct bad_spec *spec, size_t nthreads, size_t budget, struct error *e);
void bad_channels_free(struct bad_channels *b);

/* Labels of one chunk, [nchannels]. */
void bad_channels_coherence(struct bad_channels *b, const struct slab *chunk, const struct executor *ex, uint8_t *labels);

/* Correlations of one chunk, [nchannels]; NaN for a channel that has none around it. */
void bad_channels_correlation(struct bad_channels *b, const struct slab *chunk, const struct executor *ex, double *r);

/* The median of n numbers, which are sorted; NaN if one is. */
double bad_channels_median(double *x, size_t n);

#endif
