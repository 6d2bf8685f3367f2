/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/sos.h"

void sos_start(const struct sos *s, struct sos_state *state, const float *x)
{
	for (size_t i = 0; i < 2 * s->nsections; i++)
		for (size_t lane = 0; lane < LANES; lane++) {
			double z = s->start[i / 2][i % 2] * x[lane];
			if (s->wide)
				state->z.f64[i * LANES + lane] = z;
			else
				state->z.f32[i * LANES + lane] = (float)z;
		}
	state->phase = 0;
}

void sos_run(const struct sos *s, struct sos_state *state, const float *x, float *y, int direction, size_t nframes)
{
	while (nframes > 0) {
		size_t n = SOS_GRID - state->phase;
		bool flush = n <= nframes;
		if (!flush)
			n = nframes;
		if (s->wide)
			ISA_PICK(sos_tile_f64)(s, state->z.f64, x, y, direction, n, flush);
		else
			ISA_PICK(sos_tile_f32)(s, state->z.f32, x, y, direction, n, flush);
		state->phase = flush ? 0 : state->phase + n;
		ptrdiff_t moved = direction * (ptrdiff_t)(n * LANES);
		x += moved;
		y += moved;
		nframes -= n;
	}
}
