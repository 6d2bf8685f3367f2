/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/design.h"
#include "tests/check/check.h"
#include "tests/check/golden_design.h"

#include <float.h>
#include <math.h>

/* Roots come out with a relative error of some eps (those that are searched for, of Bessel and elliptic filters, with some more, in SciPy too):
 * a coefficient, a sum or a product of two of them, is off by K eps of their size. A gain is a product of up to 48 factors. */
enum { K = 64 };

static double coefficient_error(double size)
{
	return K * DBL_EPSILON * size;
}

static void near(const char *what, size_t d, size_t i, double want, double got, double tolerance)
{
	const struct filter_spec *f = &golden_filters[d].spec;
	check_that(fabs(got - want) <= tolerance, "design %zu (band %d family %d order %d) section %zu: %s is %.17g, not %.17g, tolerance %g", d, f->band,
		   f->family, f->order, i, what, got, want, tolerance);
}

CHECK_TEST(design_scipy)
{
	for (size_t d = 0; d < GOLDEN_FILTERS; d++) {
		const struct golden_filter *g = &golden_filters[d];
		struct sos s;
		bool made = design_filter(&s, &g->spec, 30000);
		check_that(made && s.nsections == g->nsections, "design %zu: made %d, %zu sections", d, made, s.nsections);
		if (!made || s.nsections != g->nsections)
			continue;
		near("gain", d, 0, g->sos[0][0], s.design.gain, coefficient_error(4 * g->sos[0][0]));
		for (size_t i = 0; i < g->nsections; i++) {
			double b0 = g->sos[i][0];
			near("b1", d, i, g->sos[i][1] / b0, s.design.b1[i], coefficient_error(2));
			near("b2", d, i, g->sos[i][2] / b0, s.design.b2[i], coefficient_error(1));
			near("a1", d, i, g->sos[i][4], s.design.a1[i], coefficient_error(2));
			near("a2", d, i, g->sos[i][5], s.design.a2[i], coefficient_error(1));
		}
	}
}

/* sosfilt_zi of SciPy's own sections: a system whose condition is 1 / (1 + a1 + a2) for each section, scaled by the gains before. */
CHECK_TEST(design_steady)
{
	for (size_t d = 0; d < GOLDEN_FILTERS; d++) {
		const struct golden_filter *g = &golden_filters[d];
		struct sos_f64 c = { .gain = g->sos[0][0] };
		double start[SOS_MAX_SECTIONS][2], condition = 0;
		for (size_t i = 0; i < g->nsections; i++) {
			c.b1[i] = g->sos[i][1] / g->sos[i][0];
			c.b2[i] = g->sos[i][2] / g->sos[i][0];
			c.a1[i] = g->sos[i][4];
			c.a2[i] = g->sos[i][5];
		}
		design_steady(g->nsections, &c, start);
		for (size_t i = 0; i < g->nsections; i++) {
			double scale = fabs(g->zi[i][0]) + fabs(g->zi[i][1]) + DBL_MIN, dc = fabs(1 + c.b1[i] + c.b2[i]);
			condition += 8 / (1 + c.a1[i] + c.a2[i]) + (dc > 0 ? 8 / dc : 0);
			for (size_t k = 0; k < 2; k++)
				near("start", d, i, g->zi[i][k], start[i][k], 8 * DBL_EPSILON * condition * scale);
		}
	}
}

/* What runs has SciPy's transfer function: on the unit circle, against the product of SciPy's sections. A section with its poles at a
 * distance 1 - rho from the circle amplifies an error of its coefficients by up to 1 / (1 - rho)^2. */
CHECK_TEST(design_runs_as_designed)
{
	for (size_t d = 0; d < GOLDEN_FILTERS; d++) {
		struct sos s;
		if (!design_filter(&s, &golden_filters[d].spec, 30000))
			continue;
		for (int k = 1; k < 64; k++) {
			double w = M_PI * k / 64, want = fabs(s.design.gain), got = fabs(s.f64.gain);
			for (size_t i = 0; i < s.nsections; i++) {
				want *= hypot(1 + s.design.b1[i] * cos(w) + s.design.b2[i] * cos(2 * w), s.design.b1[i] * sin(w) + s.design.b2[i] * sin(2 * w));
				got *= hypot(1 + s.f64.b1[i] * cos(w) + s.f64.b2[i] * cos(2 * w), s.f64.b1[i] * sin(w) + s.f64.b2[i] * sin(2 * w));
			}
			near("zeros", d, 0, want, got, 1e-12 * want + 1e-300);
		}
	}
}

CHECK_TEST(design_refuses)
{
	static const struct filter_spec bad[] = {
		{ .band = FILTER_BANDPASS, .order = 8, .freq_min_hz = 1e-3, .freq_max_hz = 2e-3 },
		{ .band = FILTER_HIGHPASS, .order = 5, .freq_min_hz = 1e-13 },
		{ .band = FILTER_LOWPASS, .order = 2, .freq_max_hz = 1e-9 },
		{ .band = FILTER_BANDSTOP, .order = 4, .freq_min_hz = 1000, .freq_max_hz = 1000.0001 },
		{ .band = FILTER_BANDPASS, .family = FILTER_ELLIPTIC, .order = 8, .freq_min_hz = 300, .freq_max_hz = 6000, .ripple_db = 1, .attenuation_db = 1 },
		{ .band = FILTER_NOTCH, .freq_min_hz = 3000, .q = 0.1 },
		{ .band = FILTER_NOTCH, .freq_min_hz = 3000, .q = 1e6 },
	};
	struct sos s;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		check_that(!design_filter(&s, &bad[i], 30000), "design %zu is no filter: radius %.17g", i, s.radius);
}

static double gain_db(const struct sos *s, double f_hz, double fs_hz)
{
	double w = 2 * M_PI * f_hz / fs_hz, db = 20 * log10(fabs(s->f64.gain));
	for (size_t i = 0; i < s->nsections; i++) {
		const struct sos_f64 *c = &s->f64;
		db += 20 * log10(hypot(1 + c->b1[i] * cos(w) + c->b2[i] * cos(2 * w), c->b1[i] * sin(w) + c->b2[i] * sin(2 * w)));
		db -= 20 * log10(hypot(1 + c->a1[i] * cos(w) + c->a2[i] * cos(2 * w), c->a1[i] * sin(w) + c->a2[i] * sin(2 * w)));
	}
	return db;
}

/* What defines each family: its gain at the edges. 1e-6 dB: gains are products of up to 16 factors, each with a relative error of some eps times
 * 1 / (1 - radius) <= 1e3 here; with less than 40 dB an elliptic filter of order 8 may be too steep for that, or for any use. */
CHECK_TEST(design_edges)
{
	for (int round = 0; round < 3000; round++) {
		struct filter_spec f = { .band = (enum filter_band)check_below(4), .family = (enum filter_family)check_below(5),
					 .order = 1 + (int)check_below(8), .freq_min_hz = 500 + 3000 * check_uniform(), .ripple_db = 0.01 + 3 * check_uniform(),
					 .attenuation_db = 40 + 50 * check_uniform(), .norm = BESSEL_MAG };
		struct sos s;
		f.freq_max_hz = f.freq_min_hz + 2000 + 8000 * check_uniform();
		double edge = f.family == FILTER_CHEBYSHEV1 || f.family == FILTER_ELLIPTIC ? -f.ripple_db
			      : f.family == FILTER_CHEBYSHEV2			       ? -f.attenuation_db
											       : -10 * log10(2);
		bool made = design_filter(&s, &f, 30000);
		check_that(made && s.radius < 1, "round %d: band %d family %d order %d is no filter", round, f.band, f.family, f.order);
		double low = f.band == FILTER_LOWPASS ? edge : gain_db(&s, f.freq_min_hz, 30000);
		double high = f.band == FILTER_HIGHPASS ? edge : gain_db(&s, f.freq_max_hz, 30000);
		check_that(fabs(low - edge) < 1e-6 && fabs(high - edge) < 1e-6, "round %d: band %d family %d order %d: %.9g and %.9g dB at the edges, not %.9g",
			   round, f.band, f.family, f.order, low, high, edge);
	}
}

/* Whatever the numbers: a stable filter or none. */
CHECK_TEST(design_any_numbers)
{
	for (int round = 0; round < 20000; round++) {
		struct filter_spec f = { .band = (enum filter_band)check_below(5), .family = (enum filter_family)check_below(5),
					 .order = 1 + (int)check_below(8), .freq_min_hz = ldexp(check_uniform(), (int)check_below(30) - 10),
					 .freq_max_hz = ldexp(check_uniform(), (int)check_below(30) - 10), .ripple_db = ldexp(check_uniform(), (int)check_below(60) - 50),
					 .attenuation_db = ldexp(check_uniform(), (int)check_below(60) - 50), .norm = (enum bessel_norm)check_below(3),
					 .q = ldexp(check_uniform(), (int)check_below(60) - 30) };
		struct sos s;
		if (!design_filter(&s, &f, 30000))
			continue;
		bool finite = isfinite(s.f64.gain) && isfinite(s.tiny) && s.radius <= SOS_MAX_RADIUS && s.nsections >= 1 && s.nsections <= SOS_MAX_SECTIONS;
		for (size_t i = 0; i < s.nsections; i++)
			finite = finite && isfinite(s.f64.b1[i]) && isfinite(s.f64.b2[i]) && fabs(s.f64.a1[i]) <= 2 && fabs(s.f64.a2[i]) <= 1;
		check_that(finite, "round %d: band %d family %d order %d", round, f.band, f.family, f.order);
	}
}
