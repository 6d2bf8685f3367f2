/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/zero_phase.h"

#include "kernels/convert.h"

/* Mirrors `edge` frames through the frame at `end`, which stand `step` floats apart, away from it: y[k] = 2 * end - x[k]. */
static void extend(const float *end, ptrdiff_t step, size_t edge, float *y)
{
	for (ptrdiff_t k = 1; k <= (ptrdiff_t)edge; k++)
		for (size_t lane = 0; lane < LANES; lane++)
			y[-k * step + (ptrdiff_t)lane] = 2 * end[lane] - end[k * step + (ptrdiff_t)lane];
}

/* Where things stand in the scratch: edge frames of extension, the frames themselves, edge frames more. */
struct places {
	size_t edge;
	float *before, *main, *behind; /* behind: one past the last frame */
};

static struct places find_places(const struct sos *s, size_t nread, float *scratch)
{
	size_t edge = s->edge < nread ? s->edge : nread - 1;
	return (struct places){ edge, scratch, scratch + edge * LANES, scratch + (edge + nread) * LANES };
}

static void run_backward(const struct sos *s, const struct places *at, size_t skip, size_t nwanted, float *y)
{
	struct sos_state state;
	float *last = at->behind + at->edge * LANES - LANES;
	float *wanted_last = at->main + (skip + nwanted) * LANES - LANES;
	sos_start(s, &state, last);
	sos_run(s, &state, last, last, -1, (size_t)(last - wanted_last) / LANES);
	sos_run(s, &state, wanted_last, y + nwanted * LANES - LANES, -1, nwanted);
}

void zero_phase_tile(const struct sos *s, const float *x, size_t nread, size_t skip, size_t nwanted, float *scratch, float *y)
{
	const struct places at = find_places(s, nread, scratch);
	struct sos_state state;

	/* extend() writes relative to the place of the mirror frame: frame 0, and frame nread - 1. */
	extend(x, LANES, at.edge, at.main);
	extend(x + (nread - 1) * LANES, -LANES, at.edge, at.behind - LANES);

	sos_start(s, &state, at.edge ? scratch : x);
	sos_run(s, &state, scratch, scratch, 1, at.edge);
	sos_run(s, &state, x, at.main, 1, nread);
	sos_run(s, &state, at.behind, at.behind, 1, at.edge);
	run_backward(s, &at, skip, nwanted, y);
}

enum { PIECE = SOS_GRID }; /* frames that are converted at a time: they stay in L1 */

static void convert(const struct stored_tile *in, size_t from, size_t n, float *y)
{
	ISA_PICK(convert_tile)(in->dtype, in->frames + from * in->frame_bytes, in->frame_bytes, n, in->nlanes, in->gain, in->offset, y);
}

/* Frames lie a row apart, in pages the processor does not cross by itself. */
static void fetch(const struct stored_tile *in, size_t from, size_t end)
{
	for (size_t t = from; t < end; t++)
		__builtin_prefetch(in->frames + t * in->frame_bytes);
}

void zero_phase_stored(const struct sos *s, const struct stored_tile *in, size_t nread, size_t skip, size_t nwanted, float *scratch, float *y)
{
	const struct places at = find_places(s, nread, scratch);
	struct sos_state state;

	/* The ends first: the passes overwrite what they are mirrored from. */
	convert(in, 0, at.edge + 1, at.main);
	convert(in, nread - at.edge - 1, at.edge + 1, at.behind - (at.edge + 1) * LANES);
	extend(at.main, LANES, at.edge, at.main);
	extend(at.behind - LANES, -LANES, at.edge, at.behind - LANES);

	sos_start(s, &state, at.edge ? scratch : at.main);
	sos_run(s, &state, scratch, scratch, 1, at.edge);
	for (size_t from = 0; from < nread; from += PIECE) {
		const size_t end = nread - from < PIECE ? nread : from + PIECE;
		convert(in, from, end - from, at.main + from * LANES);
		fetch(in, end, nread - end < PIECE ? nread : end + PIECE);
		sos_run(s, &state, at.main + from * LANES, at.main + from * LANES, 1, end - from);
	}
	sos_run(s, &state, at.behind, at.behind, 1, at.edge);
	run_backward(s, &at, skip, nwanted, y);
}
