/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/recording/copy.h"

#include <stdbool.h>
#include <string.h>

enum { TILE = 64, SHORT_RUN = 8 }; /* frames; a tile of rows stays in cache while channels go by. Channels of a run that is worth a memcpy */

#define DEFINE_COPY(type)                                                                                                                    \
	static void copy_##type(const struct copy *c)                                                                                        \
	{                                                                                                                                    \
		for (size_t f0 = 0; f0 < c->nframes; f0 += TILE) {                                                                           \
			size_t f1 = c->nframes - f0 < TILE ? c->nframes : f0 + TILE;                                                         \
			for (size_t k = 0; k < c->nchannels; k++) {                                                                          \
				const type *src = (const type *)c->src + (c->from ? c->from[k] : k) * c->channel_stride;                     \
				type *dst = (type *)c->dst + (c->to ? c->to[k] : k);                                                         \
				for (size_t f = f0; f < f1; f++)                                                                             \
					dst[f * c->row] = src[f * c->frame_stride];                                                          \
			}                                                                                                                    \
		}                                                                                                                            \
	}

DEFINE_COPY(uint8_t)
DEFINE_COPY(uint16_t)
DEFINE_COPY(uint32_t)
DEFINE_COPY(uint64_t)

static void copy_rows(const struct copy *c)
{
	const char *src = c->src;
	char *dst = c->dst;
	size_t n = c->nchannels * c->size;
	if (c->frame_stride == c->nchannels && c->row == c->nchannels) {
		memcpy(dst, src, n * c->nframes);
		return;
	}
	for (size_t f = 0; f < c->nframes; f++)
		memcpy(dst + f * c->row * c->size, src + f * c->frame_stride * c->size, n);
}

/* How many channels from number k on stand side by side in both. */
static size_t run_length(const struct copy *c, size_t k)
{
	size_t n = 1;
	while (k + n < c->nchannels && c->from[k + n] == c->from[k] + n && c->to[k + n] == c->to[k] + n)
		n++;
	return n;
}

/* Lists of channels are mostly long runs: a probe without its synchronisation channel is one. Those go row by row, in tiles of frames that stay
 * in cache while runs go by. */
static bool copy_runs(const struct copy *c)
{
	size_t nruns = 0;
	for (size_t k = 0; k < c->nchannels; k += run_length(c, k))
		nruns++;
	if (c->nchannels / nruns < SHORT_RUN)
		return false;
	for (size_t f = 0; f < c->nframes; f += TILE)
		for (size_t k = 0, n; k < c->nchannels; k += n) {
			struct copy run = *c;
			n = run_length(c, k);
			run.src = (const char *)c->src + (f * c->frame_stride + c->from[k]) * c->size;
			run.dst = (char *)c->dst + (f * c->row + c->to[k]) * c->size;
			run.nframes = c->nframes - f < TILE ? c->nframes - f : TILE;
			run.nchannels = n;
			copy_rows(&run);
		}
	return true;
}

static void fill_block(const struct copy *c)
{
	for (size_t f = 0; f < c->nframes; f++)
		for (size_t k = 0; k < c->nchannels; k++)
			memcpy((char *)c->dst + (f * c->row + (c->to ? c->to[k] : k)) * c->size, c->fill, c->size);
}

void copy_block(const struct copy *c)
{
	if (!c->nframes || !c->nchannels)
		return;
	if (!c->src)
		fill_block(c);
	else if (!c->from && !c->to && c->channel_stride == 1)
		copy_rows(c);
	else if (c->from && c->to && c->channel_stride == 1 && copy_runs(c))
		;
	else if (c->size == 1)
		copy_uint8_t(c);
	else if (c->size == 2)
		copy_uint16_t(c);
	else if (c->size == 4)
		copy_uint32_t(c);
	else
		copy_uint64_t(c);
}
