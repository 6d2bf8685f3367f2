/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/convert.h"

#include <string.h>

/* Frames converted for one tile before the next tile's turn, if they fit in STAGE_BYTES, so that each tile is written in runs of cache lines.
 * They are first copied to a stage in L1: tiles read frames in steps of a row, which the processor does not foresee, and straight from memory
 * the conversion takes nearly twice the time. Rows longer than the stage go frame by frame. */
enum { CONVERT_FRAMES = 32, STAGE_BYTES = 32768 };

bool convert_takes(enum dtype dtype)
{
	switch (dtype) {
	case DTYPE_I8: case DTYPE_U8: case DTYPE_I16: case DTYPE_U16: case DTYPE_I32: case DTYPE_U32: case DTYPE_I64: case DTYPE_U64:
	case DTYPE_F32: case DTYPE_F64:
		return true;
	default:
		return false;
	}
}

void convert_frames(enum dtype dtype, const void *frames, size_t nframes, size_t nchannels, const double *gain, const double *offset, float *x,
		    size_t tile_stride)
{
	_Alignas(64) char stage[STAGE_BYTES];
	size_t item = dtype_size(dtype), row = nchannels * item, most = CONVERT_FRAMES;

	if (most > STAGE_BYTES / row)
		most = row <= STAGE_BYTES ? STAGE_BYTES / row : 1;
	for (size_t start = 0, n; start < nframes; start += n) {
		n = nframes - start < most ? nframes - start : most;
		const char *block = (const char *)frames + start * row;
		float *y = x + start * LANES;
		if (n * row <= STAGE_BYTES)
			block = memcpy(stage, block, n * row);
		for (size_t c = 0; c < nchannels; c += LANES, y += tile_stride) {
			size_t nlanes = nchannels - c < LANES ? nchannels - c : LANES;
			ISA_PICK(convert_tile)(dtype, block + c * item, row, n, nlanes, gain ? gain + c : NULL, gain ? offset + c : NULL, y);
		}
	}
}
