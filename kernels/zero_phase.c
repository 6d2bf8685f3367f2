/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/zero_phase.h"

/* Mirrors `edge` frames through the frame at `end`, which stand `step` floats apart, away from it: y[k] = 2 * end - x[k]. */
static void extend(const float *end, ptrdiff_t step, size_t edge, float *y)
{
	for (ptrdiff_t k = 1; k <= (ptrdiff_t)edge; k++)
		for (size_t lane = 0; lane < LANES; lane++)
			y[-k * step + (ptrdiff_t)lane] = 2 * end[lane] - end[k * step + (ptrdiff_t)lane];
}

void zero_phase_tile(const struct sos *s, const float *x, size_t nread, size_t skip, size_t nwanted, float *scratch, float *y)
{
	size_t edge = s->edge < nread ? s->edge : nread - 1;
	float *main = scratch + edge * LANES;         /* where frame 0 of x goes */
	float *behind = main + nread * LANES;         /* one past its last frame */
	struct sos_state state;

	/* extend() writes relative to the place of the mirror frame: frame 0, and frame nread - 1. */
	extend(x, LANES, edge, main);
	extend(x + (nread - 1) * LANES, -LANES, edge, behind - LANES);

	sos_start(s, &state, edge ? scratch : x);
	sos_run(s, &state, scratch, scratch, 1, edge);
	sos_run(s, &state, x, main, 1, nread);
	sos_run(s, &state, behind, behind, 1, edge);

	float *last = behind + edge * LANES - LANES;
	float *wanted_last = main + (skip + nwanted) * LANES - LANES;
	sos_start(s, &state, last);
	sos_run(s, &state, last, last, -1, (size_t)(last - wanted_last) / LANES);
	sos_run(s, &state, wanted_last, y + nwanted * LANES - LANES, -1, nwanted);
}
