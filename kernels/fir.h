/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Filters of finite response on a tile of 16 channels, each with taps of its own.
 *
 * y[t] = sum of taps[k] * x[t + k] over k = 0, 1, ..., ntaps - 1, in that order, in f32, products rounded before they are added: same bits on
 * every instruction set. A NaN or an infinity reaches ntaps frames.
 */
#ifndef KERNELS_FIR_H
#define KERNELS_FIR_H

#include "kernels/isa.h"
#include "kernels/slab.h"

/*   taps     [ntaps][LANES], x [nframes + ntaps - 1][LANES], y [nframes][LANES]; 64-byte aligned. y is not x. */
void fir_tile(const float *taps, size_t ntaps, const float *x, float *y, size_t nframes);

/* Windowed sinc that delays by `shift` frames, |shift| <= 1, for fir_tile with x[t] standing FIR_HALF frames before y[t]: to be added to taps
 * at [k * LANES]. Kaiser window, beta 12: on what lies below 0.9 of half the sampling rate the error is below 4e-6 of the amplitude. */
enum { FIR_HALF = 40, FIR_DELAY_TAPS = 2 * FIR_HALF + 1 };
void fir_delay(double shift, float *taps);

ISA_DECLARE(void, fir_frames, const float *taps, size_t ntaps, const float *x, float *y, size_t nframes);

#endif
