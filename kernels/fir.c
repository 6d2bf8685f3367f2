/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/fir.h"

#include <math.h>

void fir_tile(const float *taps, size_t ntaps, const float *x, float *y, size_t nframes)
{
	ISA_PICK(fir_frames)(taps, ntaps, x, y, nframes);
}

/* Modified Bessel function of order 0, by its series. */
static double bessel_i0(double x)
{
	double term = 1, sum = 1;
	for (int k = 1; k < 60; k++) {
		term *= x / (2 * k) * (x / (2 * k));
		sum += term;
	}
	return sum;
}

static double sinc(double x)
{
	return x == 0 ? 1 : sin(M_PI * x) / (M_PI * x);
}

void fir_delay(double shift, float *taps)
{
	const double beta = 12;
	for (int k = -FIR_HALF; k <= FIR_HALF; k++) {
		/* y[t] takes x[t + k], which weighs as the response at -k. */
		double at = -k - shift, part = at / (FIR_HALF + 1), inside = 1 - part * part;
		double window = inside > 0 ? bessel_i0(beta * sqrt(inside)) / bessel_i0(beta) : 0;
		taps[(k + FIR_HALF) * LANES] = fabs(at - round(at)) < 1e-12 ? (float)(round(at) == 0) : (float)(sinc(at) * window);
	}
}
