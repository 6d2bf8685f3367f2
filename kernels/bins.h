/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Each channel in bins of time: the mean of |x| (spiking-band power, on a band-passed signal) and the rate of threshold crossings.
 *
 * |x| is summed in f64, frame by frame, so the result does not depend on how the frames come. A crossing is a frame beyond the threshold (above it,
 * or below it if it is negative) whose predecessor is not; the first frame of a part has none. The last bin of a part may be shorter, and is
 * averaged over what it has.
 */
#ifndef KERNELS_BINS_H
#define KERNELS_BINS_H

#include "kernels/executor.h"
#include "kernels/slab.h"
#include "protocol/error.h"

#include <stdbool.h>

struct bins {
	size_t nchannels, frames;    /* in a bin */
	double fs_hz, threshold;
	size_t nbins;                /* rows that are done */
	size_t capacity;             /* rows there is room for */
	double *power, *rate;        /* [capacity][nchannels] |x|; crossings a second */
	double *sum;                 /* [nchannels] of the bin that is filling */
	uint32_t *crossings;         /* [nchannels] */
	bool *beyond;                /* [nchannels] the frame before */
	size_t filled;               /* frames of that bin */
};

/* nframes_of_part: [nparts] parts of so many frames will come. STATUS_TOO_LARGE if the results take more than max_bytes, STATUS_NO_MEMORY. */
enum status bins_init(struct bins *b, size_t nchannels, size_t frames, double fs_hz, double threshold, const int64_t *nframes_of_part, size_t nparts,
		      size_t max_bytes, struct error *e);
void bins_fini(struct bins *b);

/* The next frames of a part; parallel over tiles. */
void bins_add(struct bins *b, const struct slab *s, const struct executor *ex);

/* The part has ended. */
void bins_end(struct bins *b);

#endif
