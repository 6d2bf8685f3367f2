/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A filter of second-order sections (SOS) on a tile of 16 channels; kernels/design.h makes them.
 *
 * The sections in order, one frame after the other, in transposed direct form II with b0 = 1 (the gain goes in front):
 *	x = gain * x                      once
 *	y = x + z0;  z0 = fma(-a1, y, fma(b1, x, z1));  z1 = fma(-a2, y, b2 * x);  x = y      for each section
 * A band-pass has as many zeros at 1 as at -1. It runs with one of each in every section ("band": b1 = 0, b2 = -1), whatever pairs the design
 * has: the transfer function is the same and a section takes 3 operations instead of 5 (z0 = fma(-a1, y, z1), z1 = fma(-a2, y, -x)), and an
 * offset of the input is gone after the first.
 * Samples are f32. State and arithmetic are f32 too, or f64 ("wide") when a pole lies near the unit circle.
 *
 * Why 0.99 is the border (SOS_WIDE_RADIUS). A rounding error that enters a state comes out through 1/A(z); for a pole pair rho*exp(+-jw)
 * the sum of |impulse response| of 1/A is at most 1/(1-rho)^2, 1e4 at the border. That times half an f32 epsilon is 6e-4 of the largest
 * value in the section if every rounding conspires; as independent errors (rms gain of 1/A: about 60 at 300 Hz of 30 kHz) it is some 1e-5.
 * Measured, order 5, zero phase, against f64: noise of 60 counts rms after the filter comes out with an error of 0.0004 rms, on an
 * offset of 20000 counts 0.001 (order 8: 0.02), below the step of the converter. The usual bands (300 Hz and up, to 48 kHz, order 5) have
 * rho < 0.99; narrow ones and those for LFP do not, and take two to three times as long.
 *
 * Fused where written, nowhere else: all instruction sets give the same bits, and so does every cut of a run into pieces.
 * NaN and infinity stay in the state of their channel for good.
 * Denormals: when the input falls silent, states decay into denormals, which some CPUs take 100 times longer for (not Zen 5, where
 * denormal input was measured to cost less than 6 %). Every SOS_GRID frames, counted from the start of the run, states below `tiny` are
 * therefore set to 0: at most SOS_GRID frames are slow, and it does not depend on how the run is cut. No FTZ or DAZ is asked for, nor may
 * a thread set them: they would change bits. tiny is 2^-80, and less where the gain in front is below 2^-20.
 */
#ifndef KERNELS_SOS_H
#define KERNELS_SOS_H

#include "kernels/isa.h"
#include "kernels/slab.h"

#include <stdbool.h>

enum { SOS_MAX_SECTIONS = 8, SOS_GRID = 256 };
#define SOS_WIDE_RADIUS 0.99
#define SOS_MAX_RADIUS (1 - 1e-6) /* by the same bound f64 would lose 1e12 * 2^-53 = 1e-4 here; 0.1 Hz of 30 kHz is still well inside */

/* Coefficients of section i; SciPy's row 0 is (gain, gain * b1, gain * b2, 1, a1, a2), the others have b0 = 1. */
struct sos_f32 {
	float gain, b1[SOS_MAX_SECTIONS], b2[SOS_MAX_SECTIONS], a1[SOS_MAX_SECTIONS], a2[SOS_MAX_SECTIONS];
};
struct sos_f64 {
	double gain, b1[SOS_MAX_SECTIONS], b2[SOS_MAX_SECTIONS], a1[SOS_MAX_SECTIONS], a2[SOS_MAX_SECTIONS];
};

struct sos {
	size_t nsections;                   /* 1..SOS_MAX_SECTIONS */
	size_t edge;                        /* frames of odd extension sosfiltfilt puts at each end */
	double radius;                      /* of the pole farthest out */
	bool wide;                          /* f64 state and arithmetic */
	bool band;                          /* b1 = 0 and b2 = -1 in all sections of f64 and f32 */
	struct sos_f64 design;              /* SciPy's sections */
	struct sos_f64 f64;                 /* the sections that run */
	struct sos_f32 f32;                 /* f64 rounded */
	double tiny;                        /* states below it become 0 */
	double start[SOS_MAX_SECTIONS][2];  /* their states in the steady state of a constant input 1 */
};

/* What a tile carries from frame to frame: [nsections][2][LANES] f32, or f64 if wide. */
struct sos_state {
	_Alignas(64) union {
		float f32[SOS_MAX_SECTIONS * 2 * LANES];
		double f64[SOS_MAX_SECTIONS * 2 * LANES];
	} z;
	size_t phase; /* frames since the start, modulo SOS_GRID */
};

/* The steady state for a constant input like the frame at x (LANES values). */
void sos_start(const struct sos *s, struct sos_state *state, const float *x);

/* Filters nframes frames of a tile from x to y, which may be the same place; both 64-byte aligned. direction -1: backward in time, x and y
 * then stand at the last frame. No allocation. */
void sos_run(const struct sos *s, struct sos_state *state, const float *x, float *y, int direction, size_t nframes);

/* The variants: at most up to the next multiple of SOS_GRID; flush: small states become 0 at the end. */
ISA_DECLARE(void, sos_tile_f32, const struct sos *s, float *z, const float *x, float *y, int direction, size_t nframes, bool flush);
ISA_DECLARE(void, sos_tile_f64, const struct sos *s, double *z, const float *x, float *y, int direction, size_t nframes, bool flush);

#endif
