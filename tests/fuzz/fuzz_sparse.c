/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Event records of BRW 4. The first bytes choose channels, block and window; the rest is the block. Nothing outside of the window may be
 * written, and inside only what was recorded.
 */
#include "daemon/recording/sparse.h"
#include "tests/fuzz/fuzz.h"

enum { HEAD = 4, BLOCK_FIRST = 100, NOT_RECORDED = -12345 };

/* sparse_read is not under test. */
enum status recording_read(const struct recording *r, size_t segment, int64_t start, size_t nframes, const struct executor *ex,
			   const struct helper_limits *helper, const atomic_bool *cancel, void *dst, struct error *e)
{
	(void)r, (void)segment, (void)start, (void)nframes, (void)ex, (void)helper, (void)cancel, (void)dst, (void)e;
	return STATUS_INTERNAL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n < HEAD)
		return 0;
	struct sparse_channel channels[4] = { { -1, 2 }, { 0, 1 }, { 7, 3 }, { 4000, 0 } };
	const int64_t nframes = 1 + data[1], skip = data[2] % nframes, wanted = data[3] % (nframes - skip + 1);
	struct sparse_window w = { .channels = channels, .nchannels = 1 + data[0] % 4, .block_first = BLOCK_FIRST, .block_end = BLOCK_FIRST + nframes,
				   .from = BLOCK_FIRST + skip, .to = BLOCK_FIRST + skip + wanted };
	for (size_t c = 0; c < w.nchannels; c++)
		channels[c].column %= (uint32_t)w.nchannels;
	const size_t cells = (size_t)wanted * w.nchannels;
	struct error e = { 0 };
	uint8_t *block = exact_copy(data + HEAD, n - HEAD);
	w.dst = malloc(cells * sizeof *w.dst + !cells);
	w.recorded = calloc(cells + !cells, 1);
	HOLDS(w.dst && w.recorded);
	for (size_t i = 0; i < cells; i++)
		w.dst[i] = NOT_RECORDED;
	enum status status = sparse_decode(&w, block, n - HEAD, &e);
	HOLDS(status == STATUS_OK || (status == STATUS_CORRUPT && e.message[0]));
	for (size_t i = 0; i < cells; i++)
		HOLDS(w.recorded[i] <= 1 && (w.recorded[i] || w.dst[i] == NOT_RECORDED));
	/* Without places to write to it finds the same. */
	struct sparse_window blind = w;
	blind.dst = NULL;
	blind.recorded = NULL;
	HOLDS(sparse_decode(&blind, block, n - HEAD, &e) == status);
	free(w.dst);
	free(w.recorded);
	free(block);
	return 0;
}
