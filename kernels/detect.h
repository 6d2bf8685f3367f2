/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Spike detection by SpikeInterface's rules.
 *
 * `by_channel`, each channel alone. Sample s of channel c is a negative peak if
 *	x[s] < -threshold[c]  and  x[s] < x[s-k]  and  x[s] <= x[s+k]   for k = 1..sweep
 * (strict against the past, not against the future: the first sample of a plateau wins); a positive one is the mirror image; with
 * PEAK_BOTH the signs do not compete. Frames outside the segment count as 0. sweep 0: threshold only.
 * Peaks come `sweep` frames late. A NaN is never a peak, and no sample within `sweep` of it is.
 *
 * `locally_exclusive`: candidates of all channels compete. A candidate is a sample with
 *	x[s] <= -threshold[c]  and  x[s] < x[s-1]  and  x[s] <= x[s+1]
 * or its mirror image (note the threshold: not strict), and kernels/exclusive.h says which candidates are peaks. They come sweep + 1 frames
 * late. A NaN is no candidate, nor are its neighbours in time.
 * Source: SpikeInterface 0.105, sortingcomponents/peak_detection/{by_channel,locally_exclusive}.py.
 */
#ifndef KERNELS_DETECT_H
#define KERNELS_DETECT_H

#include "kernels/executor.h"
#include "kernels/isa.h"
#include "kernels/peaks.h"
#include "kernels/slab.h"

enum peak_sign { PEAK_NEG, PEAK_POS, PEAK_BOTH };
enum detect_method { DETECT_BY_CHANNEL, DETECT_LOCALLY_EXCLUSIVE, DETECT_MATCHED_FILTERING }; /* the last one: kernels/matched.h */

struct detect_spec {
	size_t nchannels;
	enum peak_sign sign;
	size_t sweep;            /* frames, up to 2^16 */
	const double *threshold; /* [nchannels], > 0, finite, in the unit of the trace */
	int64_t segment_index;   /* written into each peak */
	size_t max_frames;       /* most frames one step is given */
	enum detect_method method;

	/* locally_exclusive only. The neighbours of channel c are neighbour_index[neighbour_start[c]..neighbour_start[c + 1] - 1], in any order;
	 * c counts as one of them whether listed or not. If a lists b, b must list a. Both arrays are copied. */
	const size_t *neighbour_start; /* [nchannels + 1] */
	const size_t *neighbour_index;
	bool single;                   /* divide by the threshold in float32, not in double; thresholds are then float32 numbers */
};

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
