/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/levels.h"
#include "tests/check/check.h"

#include <math.h>
#include <string.h>

struct levels {
	_Alignas(64) float low[LANES], high[LANES], slope[LANES], value[LANES];
};

static struct levels random_levels(void)
{
	struct levels l;
	for (int i = 0; i < LANES; i++) {
		l.low[i] = -10 * fabsf(check_f32());
		l.high[i] = 10 * fabsf(check_f32());
		l.slope[i] = check_below(4) ? 10 * fabsf(check_f32()) : NAN;
		l.value[i] = check_f32();
	}
	return l;
}

CHECK_TEST(levels_exact)
{
	CHECK_EACH_ISA(isa)
		for (size_t n = 1; n < 70; n++)
			for (enum check_fill fill = 0; fill <= CHECK_NAN; fill++) {
				struct levels l = random_levels();
				size_t nnext = check_below(2) ? n - 1 : n;
				float *x = check_guard((nnext + 1) * LANES * sizeof *x, CHECK_START), *y = check_guard(n * LANES * sizeof *y, CHECK_START);
				uint32_t beyond[70] = { 0 }, steep[70] = { 0 };
				check_fill_f32(x, (nnext + 1) * LANES, fill);
				memcpy(y, x, n * LANES * sizeof *x);
				levels_replace(y, n, l.low, l.high, l.value);
				levels_count(x, n, nnext, l.low, l.high, l.slope, beyond, steep);
				for (size_t t = 0; t < n; t++) {
					uint32_t out = 0, change = 0;
					for (size_t i = 0; i < LANES; i++) {
						float v = x[t * LANES + i], want = v > l.high[i] || v < l.low[i] ? l.value[i] : v;
						out += v > l.high[i] || v < l.low[i];
						change += t < nnext && fabsf(x[(t + 1) * LANES + i] - v) >= l.slope[i];
						check_that(memcmp(&want, &y[t * LANES + i], sizeof want) == 0, "frame %zu lane %zu", t, i);
					}
					check_that(beyond[t] == out && steep[t] == change, "frame %zu: %u and %u, not %u and %u", t, beyond[t], steep[t], out,
						   change);
				}
				check_release();
			}
}
