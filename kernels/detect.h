/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Spike detection on each channel alone: SpikeInterface's `by_channel` rule.
 *
 * Sample s of channel c is a negative peak if
 *	x[s] < -threshold[c]  and  x[s] < x[s-k]  and  x[s] <= x[s+k]   for k = 1..sweep
 * (strict against the past, not against the future: the first sample of a plateau wins); a positive one is the mirror image; with
 * PEAK_BOTH the signs do not compete. Frames outside the segment count as 0. sweep 0: threshold only.
 * Peaks come `sweep` frames late. A NaN is never a peak, and no sample within `sweep` of it is.
 * Source: SpikeInterface 0.105, sortingcomponents/peak_detection/by_channel.py.
 */
#ifndef KERNELS_DETECT_H
#define KERNELS_DETECT_H

#include "kernels/executor.h"
#include "kernels/isa.h"
#include "kernels/slab.h"
#include "protocol/dtype.h"
#include "protocol/error.h"

#include <stdbool.h>

enum peak_sign { PEAK_NEG, PEAK_POS, PEAK_BOTH };

struct detect_spec {
	size_t nchannels;
	enum peak_sign sign;
	size_t sweep;            /* frames, up to 2^16 */
	const double *threshold; /* [nchannels], > 0, finite, in the unit of the trace */
	int64_t segment_index;   /* written into each peak */
	size_t max_frames;       /* most frames one step is given */
};

/* A growing list of peaks; the owner frees it with peaks_fini. */
struct peaks {
	struct peak *at;
	size_t count, capacity, limit; /* limit: most peaks allowed (0: none); past it `overflow` is set and the rest dropped */
	bool overflow;
};
void peaks_fini(struct peaks *p);

struct detector;
enum status detector_new(struct detector **out, const struct detect_spec *spec, struct error *e);
void detector_free(struct detector *d);
size_t detector_bytes(const struct detect_spec *spec);

/* Takes the next frames (slabs must be contiguous in time) and appends the peaks that are decided, in order of sample, then channel.
 * STATUS_NO_MEMORY if the list cannot grow. */
enum status detector_step(struct detector *d, const struct slab *slab, const struct executor *ex, struct peaks *peaks);

/* The segment has ended. Only detector_reset or detector_free may follow, also after a failed step. */
enum status detector_flush(struct detector *d, const struct executor *ex, struct peaks *peaks);

/* For the next segment. */
void detector_reset(struct detector *d, int64_t segment_index);

/* The first frame in [from, end) of a tile x[][LANES] with a sample past its lane's threshold, that is (bits(x) & keep ^ flip) > threshold;
 * *lanes: which, one bit each. `end` if there is none. Same bits on every instruction set. */
ISA_DECLARE(size_t, detect_scan, const float *x, size_t from, size_t end, const float *threshold, uint32_t keep, uint32_t flip,
	    unsigned *lanes);

#endif
