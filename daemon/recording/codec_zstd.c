/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Zstandard: one frame. Decoding in one go needs no window, so a header that claims a large one costs nothing.
 */
#include "daemon/recording/codecs.h"

#include <zstd.h>

CODEC_DECODER(zstd)
{
	(void)p;
	if (!s->zstd)
		s->zstd = ZSTD_createDCtx();
	*nout = s->zstd ? ZSTD_decompressDCtx(s->zstd, out, capacity, in, nin) : 0;
	return s->zstd && !ZSTD_isError(*nout);
}

bool codec_zstd_exactly(struct codec_state *s, const uint8_t *in, size_t nin, uint8_t *out, size_t nout)
{
	size_t got;
	return codec_zstd(s, NULL, in, nin, out, nout, &got) && got == nout;
}
