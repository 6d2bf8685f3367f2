/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Noise levels, and where to sample them.
 */
#ifndef KERNELS_NOISE_H
#define KERNELS_NOISE_H

#include "kernels/executor.h"
#include "kernels/isa.h"
#include "kernels/slab.h"
#include "protocol/error.h"

#include <stdbool.h>

/* NOISE_MAD       centred: m = median(x), level = median(|x - m|) / 0.6744897501960817, as SpikeInterface
 * NOISE_QUIROGA   median(|x|) / 0.6745 (Quiroga et al. 2004, Neural Computation 16:1661)
 * NOISE_STD       sqrt(mean((x - mean(x))^2)), of the population
 * NOISE_RMS       sqrt(mean(x^2))
 * Medians in f32 as NumPy computes them on float32 traces (for an even count the f32 mean of the two middle values), exact; sums in f64, in 8
 * partial sums of every 8th value, and the level then rounded to f32. */
enum noise_method { NOISE_MAD, NOISE_QUIROGA, NOISE_STD, NOISE_RMS };

/* The divisor of a median, 1 where there is none. */
double noise_scale(enum noise_method method);

/* The level of each channel of a slab.
 *
 *   level    [nchannels] out; 0 for a constant channel (RMS: of zeros), NaN if the channel holds one
 *   scratch  noise_scratch(slab) bytes, 64-byte aligned
 * STATUS_INVALID for a slab without frames. O(nframes) a channel. */
enum status noise_level(enum noise_method method, const struct slab *slab, const struct executor *ex, void *scratch, float *level);

/* The same, and to center [nchannels] what the level is measured from: the median (MAD), the mean (STD, rounded to f32), otherwise 0. */
enum status noise_center_level(enum noise_method method, const struct slab *slab, const struct executor *ex, void *scratch, float *center,
			       float *level);
size_t noise_scratch(const struct slab *slab, const struct executor *ex);

/* Starts of the chunks SpikeInterface would draw: numpy.random.default_rng(seed).integers(margin, num_frames - chunk - margin, size=nchunks,
 * endpoint=True), sorted, one generator over all segments.
 *
 *   num_frames  [nsegments] frames in each segment, each > chunk + 2 * margin
 *   starts      [nsegments][nchunks] out, ascending in each segment */
enum status random_chunks(uint64_t seed, size_t nsegments, const int64_t *num_frames, int64_t chunk, int64_t margin, size_t nchunks,
			  int64_t *starts, struct error *e);

/* The loops of the medians (noise_simd.c); same bits on every instruction set. */
enum { NOISE_SLACK = 16, NOISE_FEW = 128 };

/* x [n][LANES] into out [LANES][stride]; bit c of the result: channel c holds a NaN. */
ISA_DECLARE(unsigned, noise_transpose, const float *x, size_t n, float *out, size_t stride);

/* x = |x - m|; nonzero if there is a NaN among these. */
ISA_DECLARE(int, noise_deviations, float *x, size_t n, float m);

/* Copies the values with lo <= x <= hi in their order to `inside` [n + NOISE_SLACK], returns how many; *below: how many are < lo. */
ISA_DECLARE(size_t, noise_split, const float *x, size_t n, float lo, float hi, float *inside, size_t *below);

/* The values of rank k0 and k1 (from 0) among n <= NOISE_FEW, none NaN, in O(n^2). */
ISA_DECLARE(void, noise_rank, const float *x, size_t n, size_t k0, size_t k1, float *v0, float *v1);

#endif
