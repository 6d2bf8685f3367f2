/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/fir.h"
#include "kernels/matrix.h"
#include "tests/check/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void same(const char *what, float want, float got)
{
	check_that((isnan(want) && isnan(got)) || memcmp(&want, &got, sizeof got) == 0, "%s: %a, not %a", what, (double)got, (double)want);
}

CHECK_TEST(fir_exact)
{
	CHECK_EACH_ISA(isa)
		for (size_t n = 0; n < 60; n = n < 20 ? n + 1 : 2 * n)
			for (size_t ntaps = 1; ntaps < 100; ntaps = 3 * ntaps + check_below(3)) {
				size_t nx = (n + ntaps - 1) * LANES;
				float *x = check_guard(nx * sizeof *x, CHECK_START), *y = check_guard(n * LANES * sizeof *y, CHECK_START);
				float *taps = check_guard(ntaps * LANES * sizeof *taps, CHECK_START);
				check_fill_f32(x, nx, (enum check_fill)(n % (CHECK_NFILL + 1)));
				check_fill_f32(taps, ntaps * LANES, CHECK_NOISE);
				fir_tile(taps, ntaps, x, y, n);
				for (size_t t = 0; t < n; t++)
					for (size_t lane = 0; lane < LANES; lane++) {
						float sum = 0;
						for (size_t k = 0; k < ntaps; k++)
							sum += taps[k * LANES + lane] * x[(t + k) * LANES + lane];
						same("fir", sum, y[t * LANES + lane]);
					}
				check_release();
			}
}

/* The response of each delay on the band it is made for, and what f32 taps add: half an epsilon of the sum of |taps|. */
CHECK_TEST(fir_delay_error)
{
	float taps[FIR_DELAY_TAPS * LANES];
	for (int i = -20; i <= 20; i++) {
		double shift = i / 20.0, sum = 0, worst = 0;
		fir_delay(shift, taps);
		for (int k = 0; k < FIR_DELAY_TAPS; k++)
			sum += fabs((double)taps[k * LANES]);
		for (int step = 0; step <= 900; step++) {
			double w = M_PI * 0.001 * step, re = 0, im = 0;
			for (int k = -FIR_HALF; k <= FIR_HALF; k++) {
				re += (double)taps[(k + FIR_HALF) * LANES] * cos(w * k);
				im += (double)taps[(k + FIR_HALF) * LANES] * sin(w * k);
			}
			worst = fmax(worst, hypot(re - cos(w * shift), im + sin(w * shift)));
		}
		check_that(worst <= 4e-6 + 0x1p-24 * sum, "a delay of %g is off by %g", shift, worst);
	}
	fir_delay(0, taps);
	for (int k = 0; k < FIR_DELAY_TAPS; k++)
		check_that(taps[k * LANES] == (k == FIR_HALF), "no delay: tap %d is %g", k, (double)taps[k * LANES]);
}

CHECK_TEST(matrix_exact)
{
	CHECK_EACH_ISA(isa)
		for (size_t n = 1; n < 70; n = 2 * n + check_below(3)) {
			size_t nchannels = 1 + check_below(60), ntiles = (nchannels + LANES - 1) / LANES, stride = (n + 3) * LANES;
			float *x = check_guard(ntiles * stride * sizeof *x, CHECK_START), *y = check_guard(n * LANES * sizeof *y, CHECK_START);
			float *weights = check_guard(nchannels * LANES * sizeof *weights, CHECK_START);
			uint32_t *row = check_guard(nchannels * sizeof *row, CHECK_END);
			struct matrix_tile m = { 0, row, weights };
			check_fill_f32(x, ntiles * stride, n % 2 ? CHECK_NAN : CHECK_NOISE);
			check_fill_f32(weights, nchannels * LANES, CHECK_NOISE);
			for (uint32_t k = 0; k < nchannels; k++)
				if (check_below(3))
					row[m.nrows++] = k;
			matrix_columns(&m, x, stride, n, y);
			for (size_t t = 0; t < n; t++)
				for (size_t lane = 0; lane < LANES; lane++) {
					float sum = 0;
					for (size_t k = 0; k < m.nrows; k++)
						sum += weights[k * LANES + lane] * x[row[k] / LANES * stride + t * LANES + row[k] % LANES];
					same("matrix", sum, y[t * LANES + lane]);
				}
			check_release();
		}
}

CHECK_TEST(fir_bench)
{
	enum { FRAMES = 4096 };
	float *x = check_guard((FRAMES + FIR_DELAY_TAPS) * LANES * sizeof *x, CHECK_START), *y = check_guard(FRAMES * LANES * sizeof *y, CHECK_START);
	float *taps = check_guard(FIR_DELAY_TAPS * LANES * sizeof *taps, CHECK_START);
	check_fill_f32(x, (FRAMES + FIR_DELAY_TAPS) * LANES, CHECK_NOISE);
	for (size_t lane = 0; lane < LANES; lane++)
		fir_delay(0.05 * (double)lane, taps + lane);
	CHECK_EACH_ISA(isa)
		CHECK_BENCH("delay of 81 taps", FRAMES * LANES)
			fir_tile(taps, FIR_DELAY_TAPS, x, y, FRAMES);
}
