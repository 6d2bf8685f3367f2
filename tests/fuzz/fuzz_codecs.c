/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Chunks of a file through every decoder of daemon/recording/codecs.c: one byte chooses it, a few are its parameters and the room it gets.
 */
#include "daemon/recording/codecs.h"
#include "tests/fuzz/fuzz.h"

enum { HEAD = 8, MAX_CAPACITY = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const int ids[] = { 1, 2, 32000, 32001, 32004, 32008, 32015 };
	static struct codec_state state; /* kept from chunk to chunk, as in the daemon */
	if (n < HEAD)
		return 0;
	const struct codec *codec = codec_find(ids[data[0] % (sizeof ids / sizeof *ids)]);
	struct codec_parameters p = { .n = 5 };
	if (codec->id == 2)
		p.at[0] = data[1];
	p.at[2] = data[2];
	p.at[3] = (uint32_t)data[3] * 8;
	p.at[4] = data[4] % 4;
	if (codec->accepts && !codec->accepts(&p))
		return 0;
	size_t capacity = (size_t)(data[5] | data[6] << 8) % MAX_CAPACITY, nout = 0;
	uint8_t *in = exact_copy(data + HEAD, n - HEAD), *out = malloc(capacity ? capacity : 1);
	HOLDS(out);
	if (codec->decode(&state, &p, in, n - HEAD, out, capacity, &nout))
		HOLDS(nout <= capacity);
	free(in);
	free(out);
	return 0;
}
