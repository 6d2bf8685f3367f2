/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/reference.h"

size_t reference_scratch(size_t nchannels)
{
	return ((nchannels + LANES - 1) / LANES * REFERENCE_FRAMES + 1) * LANES * sizeof(float);
}

void reference_median(float *x, size_t tile_stride, size_t nframes, size_t nchannels, void *scratch)
{
	for (size_t t = 0; t < nframes; t += REFERENCE_FRAMES) {
		size_t n = nframes - t < REFERENCE_FRAMES ? nframes - t : REFERENCE_FRAMES;
		ISA_PICK(reference_median_16)(x + t * LANES, tile_stride, n, nchannels, scratch);
	}
}

void reference_average(float *x, size_t tile_stride, size_t nframes, size_t nchannels)
{
	for (size_t t = 0; t < nframes; t += REFERENCE_FRAMES) {
		size_t n = nframes - t < REFERENCE_FRAMES ? nframes - t : REFERENCE_FRAMES;
		ISA_PICK(reference_average_16)(x + t * LANES, tile_stride, n, nchannels);
	}
}

size_t reference_sets_scratch(size_t nchannels, size_t nsets, size_t largest)
{
	return reference_scratch(nchannels) + (nsets + largest) * REFERENCE_FRAMES * sizeof(float);
}

void reference_sets(float *x, size_t tile_stride, size_t nframes, size_t nchannels, const struct reference_sets *sets, void *scratch)
{
	for (size_t t = 0; t < nframes; t += REFERENCE_FRAMES) {
		size_t n = nframes - t < REFERENCE_FRAMES ? nframes - t : REFERENCE_FRAMES;
		ISA_PICK(reference_sets_16)(x + t * LANES, tile_stride, n, nchannels, sets, scratch);
	}
}
