/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/exact.h"

#include "kernels/design.h"

#include <math.h>

/* All sections over n frames of a tile, the first of which stands at x; `step` f64 from one to the next. They start in the steady state of the
 * first frame. */
static void run(const struct sos *s, double *x, ptrdiff_t step, size_t n)
{
	double start[SOS_MAX_SECTIONS][2], first[LANES];
	_Alignas(64) double z[2 * LANES];

	design_steady(s->nsections, &s->design, start);
	for (size_t lane = 0; lane < LANES; lane++)
		first[lane] = x[lane];
	for (size_t i = 0; i < s->nsections; i++) {
		const double gain = i ? 1.0 : s->design.gain;
		const struct exact_section c = { gain, gain * s->design.b1[i], gain * s->design.b2[i], s->design.a1[i], s->design.a2[i] };
		for (size_t lane = 0; lane < LANES; lane++) {
			z[lane] = start[i][0] * first[lane];
			z[LANES + lane] = start[i][1] * first[lane];
		}
		ISA_PICK(exact_section)(&c, z, x, step, n);
	}
}

/* In float32, as SciPy extends what it is given: it makes float64 of the whole. */
static void extend(const double *end, ptrdiff_t step, size_t edge, double *y)
{
	for (ptrdiff_t k = 1; k <= (ptrdiff_t)edge; k++)
		for (size_t lane = 0; lane < LANES; lane++)
			y[-k * step + (ptrdiff_t)lane] = (float)(2 * end[lane] - end[k * step + (ptrdiff_t)lane]);
}

static float as_int16(double x)
{
	const double whole = nearbyint(x);
	return (float)(whole > 32767 ? 32767 : whole < -32768 ? -32768 : whole);
}

void exact_tile(const struct sos *s, const float *x, size_t nread, size_t skip, size_t nwanted, bool rounded, double *scratch, float *y)
{
	const size_t edge = s->edge < nread ? s->edge : nread - 1, total = nread + 2 * edge;
	double *main = scratch + edge * LANES, *last = scratch + (total - 1) * LANES;

	for (size_t i = 0; i < nread * LANES; i++)
		main[i] = x[i];
	extend(main, LANES, edge, main);
	extend(main + (nread - 1) * LANES, -LANES, edge, main + (nread - 1) * LANES);
	run(s, scratch, LANES, total);
	run(s, last, -LANES, total);
	for (size_t i = 0; i < nwanted * LANES; i++)
		y[i] = rounded ? as_int16(main[skip * LANES + i]) : (float)main[skip * LANES + i];
}
