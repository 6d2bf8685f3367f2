/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Noise levels, and where to sample them.
 */
#ifndef KERNELS_NOISE_H
#define KERNELS_NOISE_H

#include "kernels/executor.h"
#include "kernels/slab.h"
#include "protocol/error.h"

/* Centred MAD of each channel of a slab: m = median(x), level = median(|x - m|) / 0.6744897501960817, in f32 as NumPy computes it on
 * float32 traces (for an even count the median is the f32 mean of the two middle values).
 *
 *   level    [nchannels] out; 0 for a constant channel, NaN if the channel holds one
 *   scratch  noise_mad_scratch(slab) bytes, 64-byte aligned
 * STATUS_INVALID for a slab without frames. O(nframes) a channel, exact. */
enum status noise_mad(const struct slab *slab, const struct executor *ex, void *scratch, float *level);
size_t noise_mad_scratch(const struct slab *slab, const struct executor *ex);

/* Starts of the chunks SpikeInterface would draw: numpy.random.default_rng(seed).integers(margin, num_frames - chunk - margin, size=nchunks,
 * endpoint=True), sorted, one generator over all segments.
 *
 *   num_frames  [nsegments] frames in each segment, each > chunk + 2 * margin
 *   starts      [nsegments][nchunks] out, ascending in each segment */
enum status random_chunks(uint64_t seed, size_t nsegments, const int64_t *num_frames, int64_t chunk, int64_t margin, size_t nchunks,
			  int64_t *starts, struct error *e);

#endif
