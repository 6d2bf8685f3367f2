/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The texts beside raw recordings: SpikeGLX metadata and Open Ephys structure.oebin; one byte chooses. What comes out must fit together.
 */
#include "daemon/recording/raw/raw.h"
#include "tests/fuzz/fuzz.h"

#include <math.h>

static void check_stream(const struct raw_stream *s)
{
	HOLDS(s->nchannels >= 1 && s->nchannels <= s->nstored && s->nstored <= RAW_MAX_CHANNELS && s->fs_hz > 0 && isfinite(s->fs_hz));
	HOLDS(s->name[0] && memchr(s->name, 0, sizeof s->name) && s->folder[0] != '/' && !strstr(s->folder, "/../") && strcmp(s->folder, "..") != 0);
	for (size_t c = 0; c < s->nchannels; c++) {
		HOLDS(s->rows[c] < s->nstored && (c == 0 || s->rows[c] > s->rows[c - 1]) && memchr(s->ids[c], 0, sizeof s->ids[c]));
		HOLDS(isfinite(s->gains_uv[c]));
		HOLDS(!s->shifts || (s->shifts[c] >= 0 && s->shifts[c] < 1));
		HOLDS(!s->locations || (isfinite(s->locations[2 * c]) && isfinite(s->locations[2 * c + 1])));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct raw_side side;
	struct error e = { 0 };
	if (n < 1)
		return 0;
	char *text = exact_copy(data + 1, n - 1);
	enum status status = data[0] % 2 ? raw_spikeglx_parse(text, n - 1, "/a/run_g0_t0.imec3.ap.bin", &side, &e) : raw_open_ephys_parse(text, n - 1, &side, &e);
	HOLDS(!status == !e.message[0] || status == STATUS_NO_MEMORY);
	for (size_t i = 0; i < side.nstreams && !status; i++)
		check_stream(&side.streams[i]);
	raw_side_fini(&side);
	free(text);
	return 0;
}
