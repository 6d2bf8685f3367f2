/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/recording/codecs.h"
#include "daemon/recording/filters.h"

#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

static CODEC_DECODER(deflate)
{
	(void)p;
	if (!s->inflate)
		s->inflate = libdeflate_alloc_decompressor();
	return s->inflate && filters_inflate(s->inflate, in, nin, out, capacity, nout);
}

static CODEC_DECODER(shuffle)
{
	(void)s;
	*nout = nin;
	if (nin > capacity)
		return false;
	filters_unshuffle(in, out, nin, p->at[0]);
	return true;
}

static bool shuffle_accepts(const struct codec_parameters *p)
{
	return p->n >= 1 && p->at[0] >= 1 && p->at[0] <= 256;
}

static const struct codec codecs[] = {
	{ 1, "deflate", codec_deflate, NULL },
	{ 2, "shuffle", codec_shuffle, shuffle_accepts },
	{ 3, "fletcher32", NULL, NULL },
	{ 32000, "lzf", codec_lzf, NULL },
	{ 32001, "blosc", codec_blosc, codec_blosc_accepts },
	{ 32004, "lz4", codec_lz4, NULL },
	{ 32008, "bitshuffle", codec_bitshuffle, codec_bitshuffle_accepts },
	{ 32015, "zstd", codec_zstd, NULL },
};

const struct codec *codec_find(int id)
{
	for (size_t i = 0; i < sizeof codecs / sizeof *codecs; i++)
		if (codecs[i].id == id)
			return &codecs[i];
	return NULL;
}

void codec_state_fini(struct codec_state *s)
{
	if (s->inflate)
		libdeflate_free_decompressor(s->inflate);
	ZSTD_freeDCtx(s->zstd);
	free(s->block);
	memset(s, 0, sizeof *s);
}

bool codec_reserve(uint8_t **buffer, size_t *capacity, size_t n)
{
	if (n <= *capacity)
		return true;
	free(*buffer);
	*buffer = malloc(n);
	*capacity = *buffer ? n : 0;
	return *buffer;
}
