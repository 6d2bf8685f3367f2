/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Forward and backward over one piece of one tile, as scipy.signal.sosfiltfilt does it: odd extension at both ends, both passes from the
 * steady state of their first sample.
 */
#ifndef KERNELS_ZERO_PHASE_H
#define KERNELS_ZERO_PHASE_H

#include "kernels/sos.h"
#include "protocol/dtype.h"

/* Filters nread frames at x and writes nwanted of them, from frame `skip` on, to y.
 *
 *   x        [nread][LANES], nread >= 1, not changed
 *   scratch  [nread + 2 * edge][LANES], 64-byte aligned as x and y
 *
 * The extension is s->edge frames, or nread - 1 if there are fewer to mirror (SciPy raises then). */
void zero_phase_tile(const struct sos *s, const float *x, size_t nread, size_t skip, size_t nwanted, float *scratch, float *y);

/* A tile of frames as stored: what convert_tile takes (kernels/convert.h). */
struct stored_tile {
	enum dtype dtype;
	const char *frames;          /* the tile's first value in the first frame */
	size_t frame_bytes, nlanes;  /* from one frame to the next; values of the tile in each */
	const double *gain, *offset;
};

/* The same bits from frames that are still as stored: they are converted piece by piece just before the filter passes over them, which saves a
 * trip of all samples through memory. */
void zero_phase_stored(const struct sos *s, const struct stored_tile *in, size_t nread, size_t skip, size_t nwanted, float *scratch, float *y);

#endif
