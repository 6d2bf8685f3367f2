/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Forward and backward filtering with the very bits of scipy.signal.sosfiltfilt (1.10 and later) on float32 frames: the ends extended in f32, SciPy's
 * sections in SciPy's order of operations, nothing fused, f64 between the passes. For the mode that reproduces SpikeInterface; the pipeline's own filters (zero_phase.h) are
 * several times faster and differ by less than a converter's step.
 */
#ifndef KERNELS_EXACT_H
#define KERNELS_EXACT_H

#include "kernels/sos.h"

/* As zero_phase_tile, with scratch [nread + 2 * edge][LANES] of f64. rounded: what comes out is rounded to the nearest integer, ties to even, and kept
 * within [-32768, 32767], as int16 traces; else to f32. */
void exact_tile(const struct sos *s, const float *x, size_t nread, size_t skip, size_t nwanted, bool rounded, double *scratch, float *y);

/* One section, in place, nframes frames of a tile; z: its two states [2][LANES]. */
struct exact_section {
	double b0, b1, b2, a1, a2;
};
ISA_DECLARE(void, exact_section, const struct exact_section *c, double *z, double *x, ptrdiff_t step, size_t nframes);

#endif
