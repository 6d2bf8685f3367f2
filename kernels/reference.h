/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Common reference: from each frame its median or average over all channels is taken away, in place; or, with sets, from each channel that
 * over a set of channels.
 *
 * Median: exact. For an even number of channels the f32 mean of the two middle values, (a + b) / 2 as NumPy computes it for float32; a
 * median of -0 counts as +0. Average: channels c, c + 16, c + 32 ... are summed in f64 in that order, the 16 sums joined as
 * a[i] + a[i + 8], then + 4, + 2, + 1, and the total divided by the number of channels and rounded to f32. Over a set they are summed in f64 in
 * the order of the set.
 *
 * A NaN in a frame makes its reference NaN, and so the whole frame, as in NumPy; other frames do not notice. Infinities are ordinary values
 * of the median (between two of different sign in the middle the mean is NaN). Lanes past the last channel stay 0. Same bits on every
 * instruction set, up to which NaN it is. Frames are independent of each other.
 */
#ifndef KERNELS_REFERENCE_H
#define KERNELS_REFERENCE_H

#include "kernels/isa.h"
#include "kernels/slab.h"

#include <stdbool.h>

/* Frames that are handled at once, as lanes. */
enum { REFERENCE_FRAMES = 16 };

/* Bytes of scratch, 64-byte aligned, for the median: one cache line a channel, rounded up to tiles, and one more. Checked by the caller for
 * overflow. */
size_t reference_scratch(size_t nchannels);

/* x: first frame of tile 0; nchannels >= 1. */
void reference_median(float *x, size_t tile_stride, size_t nframes, size_t nchannels, void *scratch);
void reference_average(float *x, size_t tile_stride, size_t nframes, size_t nchannels);

/* Sets of channels, and which of them each channel takes its reference from. */
struct reference_sets {
	size_t nsets;
	const uint32_t *start;  /* [nsets + 1] set i is source[start[i]] to source[start[i + 1] - 1], at least one */
	const uint32_t *source;
	const uint32_t *set_of; /* [nchannels]; REFERENCE_NONE: the channel stays as it is */
	size_t largest;         /* set */
	bool median;
};
enum { REFERENCE_NONE = UINT32_MAX };

/* Bytes of scratch for them, checked for overflow by the caller as above. */
size_t reference_sets_scratch(size_t nchannels, size_t nsets, size_t largest);

void reference_sets(float *x, size_t tile_stride, size_t nframes, size_t nchannels, const struct reference_sets *sets, void *scratch);

/* The variants take nframes 1..REFERENCE_FRAMES. */
ISA_DECLARE(void, reference_median_16, float *x, size_t tile_stride, size_t nframes, size_t nchannels, float *scratch);
ISA_DECLARE(void, reference_average_16, float *x, size_t tile_stride, size_t nframes, size_t nchannels);
ISA_DECLARE(void, reference_sets_16, float *x, size_t tile_stride, size_t nframes, size_t nchannels, const struct reference_sets *sets,
	    float *scratch);

#endif
