/* SPDX-License-Identifier: BSD-3-Clause
 *
 * LZF, the format of liblzf: a control byte below 32 is followed by that many literals and one; otherwise its upper three bits are a length, its
 * lower five and another byte how far back the copy starts. Length 7 is continued by one more byte.
 */
#include "daemon/recording/codecs.h"

#include <string.h>

/* Copies forward byte by byte where source and destination overlap: so a run repeats. */
static void copy_back(uint8_t *to, size_t distance, size_t n)
{
	const uint8_t *from = to - distance;
	if (distance >= n) {
		memcpy(to, from, n);
		return;
	}
	for (size_t i = 0; i < n; i++)
		to[i] = from[i];
}

CODEC_DECODER(lzf)
{
	const uint8_t *end = in + nin;
	size_t done = 0;
	(void)s;
	(void)p;
	while (in < end) {
		size_t control = *in++, n = control + 1;
		if (control < 32) {
			if (n > (size_t)(end - in) || n > capacity - done)
				return false;
			memcpy(out + done, in, n);
			in += n;
			done += n;
			continue;
		}
		n = control >> 5;
		if (n == 7) {
			if (in == end)
				return false;
			n += *in++;
		}
		if (in == end)
			return false;
		size_t distance = ((control & 31) << 8 | *in++) + 1;
		n += 2;
		if (distance > done || n > capacity - done)
			return false;
		copy_back(out + done, distance, n);
		done += n;
	}
	*nout = done;
	return true;
}
