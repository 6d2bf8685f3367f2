/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What stands around a peak: its waveform, and numbers that describe it. A window is n frames from `from` on; frames outside the segment are 0,
 * also for these numbers. A NaN in what a number is taken from makes it NaN.
 *
 *	ptp            largest - smallest sample of the window, on the peak's channel, in f64
 *	width          frames from a negative peak to the largest sample behind it, from a positive one to the smallest, in the rest of the
 *	               window on its channel (the first of equal ones); NaN if no frame follows. After SpikeInterface's template metric
 *	               peak_to_trough_duration (once peak_to_valley)
 *	time offset    where the parabola through the peak and its two neighbours has its vertex: (a - c) / 2 / (a - 2b + c) frames, kept within
 *	               -0.5..0.5; 0 where the three lie on a line
 *	centre of mass sum(ptp * place) / sum(ptp) over given channels, in f64, in their order: SpikeInterface's localize_peaks with the method
 *	               center_of_mass and the feature ptp
 */
#ifndef KERNELS_SNIPPETS_H
#define KERNELS_SNIPPETS_H

#include "kernels/history.h"
#include "kernels/isa.h"

#include <stdbool.h>

/* All channels: out [n][nchannels]. */
void snippet_dense(const struct history *h, int64_t from, size_t n, size_t nchannels, float *out);

/* Some of them: out [n][width], the columns behind them 0. */
void snippet_sparse(const struct history *h, int64_t from, size_t n, const size_t *channels, size_t nchannels, size_t width, float *out);

double snippet_ptp(const struct history *h, int64_t from, size_t n, size_t channel);

/* n: frames behind `frame`, negative: of a negative peak. */
double snippet_width(const struct history *h, int64_t frame, size_t n, size_t channel, bool negative);

double snippet_time_offset(const struct history *h, int64_t frame, size_t channel);

/* places: [all channels][ndim], ndim >= 2; out: x, y. Costs a pass over the window for each tile that the channels are in. */
void snippet_center(const struct history *h, int64_t from, size_t n, const size_t *channels, size_t nchannels, const double *places, size_t ndim,
		    double out[2]);

/* Folds x [n][LANES] into the smallest and largest of each lane; bit i of the result: lane i holds a NaN. Same bits on every instruction set. */
ISA_DECLARE(unsigned, snippet_extremes, const float *x, size_t n, float *low, float *high);

#endif
