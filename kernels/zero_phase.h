/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Forward and backward over one piece of one tile, as scipy.signal.sosfiltfilt does it: odd extension at both ends, both passes from the
 * steady state of their first sample.
 */
#ifndef KERNELS_ZERO_PHASE_H
#define KERNELS_ZERO_PHASE_H

#include "kernels/sos.h"

/* Filters nread frames at x and writes nwanted of them, from frame `skip` on, to y.
 *
 *   x        [nread][LANES], nread >= 1, not changed
 *   scratch  [nread + 2 * edge][LANES], 64-byte aligned as x and y
 *
 * The extension is s->edge frames, or nread - 1 if there are fewer to mirror (SciPy raises then). */
void zero_phase_tile(const struct sos *s, const float *x, size_t nread, size_t skip, size_t nwanted, float *scratch, float *y);

#endif
