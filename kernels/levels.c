/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/levels.h"

void levels_replace(float *x, size_t nframes, const float *low, const float *high, const float *value)
{
	ISA_PICK(levels_replace_tile)(x, nframes, low, high, value);
}

void levels_count(const float *x, size_t nframes, size_t nnext, const float *low, const float *high, const float *slope, uint32_t *beyond,
		  uint32_t *steep)
{
	ISA_PICK(levels_count_tile)(x, nframes, nnext, low, high, slope, beyond, steep);
}
