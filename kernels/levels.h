/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Samples beyond levels of their channels, on tiles: replaced, or counted. A NaN is beyond nothing.
 */
#ifndef KERNELS_LEVELS_H
#define KERNELS_LEVELS_H

#include "kernels/isa.h"
#include "kernels/slab.h"

/* low, high, value, slope: [LANES], of the tile. x[t] > high or < low becomes value. */
void levels_replace(float *x, size_t nframes, const float *low, const float *high, const float *value);

/* Adds to beyond[t] how many channels of frame t are, and to steep[t] how many change by their slope or more up to frame t + 1, of which there are
 * `nnext` <= nframes; the frame behind the last is read if nnext is nframes. A slope that is NaN is never reached. */
void levels_count(const float *x, size_t nframes, size_t nnext, const float *low, const float *high, const float *slope, uint32_t *beyond,
		  uint32_t *steep);

ISA_DECLARE(void, levels_replace_tile, float *x, size_t nframes, const float *low, const float *high, const float *value);
ISA_DECLARE(void, levels_count_tile, const float *x, size_t nframes, size_t nnext, const float *low, const float *high, const float *slope,
	    uint32_t *beyond, uint32_t *steep);

#endif
