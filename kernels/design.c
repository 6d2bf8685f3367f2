/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/design.h"

#include <complex.h>
#include <math.h>
#include <string.h>

#ifndef CMPLX /* glibc has it for GCC only */
#define CMPLX(re, im) __builtin_complex((double)(re), (double)(im))
#endif

/* The design follows scipy.signal (1.10.1): prototype (buttap, besselap, ...), lp2xx_zpk, bilinear_zpk, zpk2sos, in the same order of
 * operations, so that poles and coefficients come out as SciPy's to the last bits (where roots are searched for: nearly). */

enum { MAX_ROOTS = 2 * SOS_MAX_SECTIONS, MAX_ORDER = 8 };

struct zpk {
	double complex zero[MAX_ROOTS], pole[MAX_ROOTS];
	size_t nzeros, npoles;
	double gain;
};

/* NumPy's product and quotient (Smith), where C99 would call a function that also sorts out infinities. */
static double complex multiply(double complex a, double complex b)
{
	return CMPLX(creal(a) * creal(b) - cimag(a) * cimag(b), creal(a) * cimag(b) + cimag(a) * creal(b));
}

static double complex divide(double complex a, double complex b)
{
	double ar = creal(a), ai = cimag(a), br = creal(b), bi = cimag(b);
	if (fabs(br) >= fabs(bi)) {
		double ratio = bi / br, scale = 1.0 / (br + bi * ratio);
		return CMPLX((ar + ai * ratio) * scale, (ai - ar * ratio) * scale);
	}
	double ratio = br / bi, scale = 1.0 / (bi + br * ratio);
	return CMPLX((ar * ratio + ai) * scale, (ai * ratio - ar) * scale);
}

static double complex scaled(double complex a, double by)
{
	return CMPLX(creal(a) * by, cimag(a) * by);
}

/* The product of (from - root). */
static double complex product(const double complex *root, size_t n, double from)
{
	double complex p = 1.0;
	for (size_t i = 0; i < n; i++) {
		double complex factor = CMPLX(from - creal(root[i]), -cimag(root[i]));
		p = i ? multiply(p, factor) : factor;
	}
	return p;
}

/* Gain of a prototype that is 1 at frequency 0. */
static double unit_gain(const struct zpk *f)
{
	return creal(divide(product(f->pole, f->npoles, 0), product(f->zero, f->nzeros, 0)));
}

/* --- prototypes: low-pass filters with their edge at 1 --- */

/* Pole i of `order` on the left half of the unit circle. */
static double complex circle_pole(int order, int i)
{
	double m = 1 - order + 2 * i;
	return -cexp(CMPLX(0.0, M_PI * m / (2 * order)));
}

static void butterworth(struct zpk *f, int order)
{
	for (int i = 0; i < order; i++)
		f->pole[f->npoles++] = circle_pole(order, i);
	f->gain = 1;
}

/* The reverse Bessel polynomial at s, and its derivative; *last: the coefficient at s^0. */
static void bessel_at(int order, long double complex s, long double complex *value, long double complex *slope, double *last)
{
	long double c = 1; /* of s^order */
	*value = 1;
	*slope = 0;
	for (int k = order - 1; k >= 0; k--) {
		c *= (long double)((2 * order - k) * (k + 1)) / (2 * (order - k));
		*slope = *slope * s + *value;
		*value = *value * s + c;
	}
	*last = (double)c;
}

/* All its zeros at once (Aberth 1973), from a half circle on the left. */
static double bessel_zeros(int order, double complex *pole)
{
	long double complex at[MAX_ORDER], value, slope;
	double last = 1;
	for (int i = 0; i < order; i++)
		at[i] = order * (long double complex)cexp(CMPLX(0.01, M_PI * (0.5 + (i + 0.5) / order)));
	for (int pass = 0; pass < 60; pass++)
		for (int i = 0; i < order; i++) {
			bessel_at(order, at[i], &value, &slope, &last);
			long double complex repel = 0, newton = value / slope;
			for (int j = 0; j < order; j++)
				if (j != i)
					repel += 1 / (at[i] - at[j]);
			at[i] -= newton / (1 - newton * repel);
		}
	for (int i = 0; i < order; i++)
		pole[i] = CMPLX((double)creall(at[i]), fabsl(cimagl(at[i])) < 1e-14L ? 0.0 : (double)cimagl(at[i]));
	return last;
}

/* Where the gain of the filter with a group delay of 1 is 1/sqrt(2). */
static double bessel_edge(const struct zpk *f, double last)
{
	double low = 0, high = 2.0 * MAX_ORDER;
	for (int i = 0; i < 100; i++) {
		double w = (low + high) / 2, gain = last;
		for (size_t k = 0; k < f->npoles; k++)
			gain /= cabs(CMPLX(-creal(f->pole[k]), w - cimag(f->pole[k])));
		*(gain > M_SQRT1_2 ? &low : &high) = w;
	}
	return (low + high) / 2;
}

static void bessel(struct zpk *f, int order, enum bessel_norm norm)
{
	double last = bessel_zeros(order, f->pole), edge = 1;
	f->npoles = (size_t)order;
	if (norm == BESSEL_MAG)
		edge = bessel_edge(f, last);
	if (norm == BESSEL_PHASE)
		edge = 1 / pow(10, -log10(last) / order);
	for (size_t i = 0; i < f->npoles; i++)
		f->pole[i] = scaled(f->pole[i], 1 / edge);
	f->gain = norm == BESSEL_PHASE ? 1 : pow(edge, -order) * last;
}

static double ripple_squared(double db)
{
	return expm1(M_LN10 * 0.1 * db);
}

static void chebyshev1(struct zpk *f, int order, double ripple_db)
{
	double epsilon = sqrt(ripple_squared(ripple_db)), mu = 1.0 / order * asinh(1 / epsilon);
	for (int i = 0; i < order; i++) {
		double theta = M_PI * (1 - order + 2 * i) / (2 * order);
		f->pole[f->npoles++] = -csinh(CMPLX(mu, theta));
	}
	f->gain = creal(product(f->pole, f->npoles, 0));
	if (order % 2 == 0)
		f->gain /= sqrt(1 + epsilon * epsilon);
}

static void chebyshev2(struct zpk *f, int order, double attenuation_db)
{
	double mu = asinh(sqrt(ripple_squared(attenuation_db))) / order;
	for (int i = 0; i < order; i++) {
		int m = 1 - order + 2 * i;
		double complex p = circle_pole(order, i);
		if (m != 0)
			f->zero[f->nzeros++] = CMPLX(0.0, 1 / sin(m * M_PI / (2.0 * order)));
		f->pole[f->npoles++] = divide(1.0, CMPLX(sinh(mu) * creal(p), cosh(mu) * cimag(p)));
	}
	f->gain = unit_gain(f);
}

/* Complete elliptic integral by the arithmetic-geometric mean; m1 = 1 - m. */
static double complete_integral(double m1)
{
	double a = 1, b = sqrt(m1);
	for (int i = 0; i < 40 && fabs(a - b) > 0x1p-52 * a; i++) {
		double mean = (a + b) / 2;
		b = sqrt(a * b);
		a = mean;
	}
	return M_PI / (a + b);
}

/* Carlson's R_F by duplication (Carlson 1995), to the last bits. */
static double carlson(double x, double y, double z)
{
	for (int i = 0; i < 30; i++) {
		double lambda = sqrt(x) * sqrt(y) + sqrt(y) * sqrt(z) + sqrt(z) * sqrt(x);
		x = (x + lambda) / 4;
		y = (y + lambda) / 4;
		z = (z + lambda) / 4;
	}
	return 1 / sqrt((x + y + z) / 3);
}

/* sn, cn, dn of u by descending Landen transformations (Abramowitz and Stegun 16.4); m1 = 1 - m. */
static void jacobi(double u, double m, double m1, double *sn, double *cn, double *dn)
{
	double a[40] = { 1 }, c[40] = { sqrt(m) }, b = sqrt(m1), phi;
	int n = 0;
	while (n < 39 && fabs(c[n]) > 0x1p-53 * a[n]) {
		a[n + 1] = (a[n] + b) / 2;
		c[n + 1] = (a[n] - b) / 2;
		b = sqrt(a[n] * b);
		n++;
	}
	phi = ldexp(a[n] * u, n);
	for (; n > 0; n--)
		phi = (asin(c[n] * sin(phi) / a[n]) + phi) / 2;
	*sn = sin(phi);
	*cn = cos(phi);
	*dn = sqrt(*cn * *cn + m1 * *sn * *sn);
}

/* The parameter m whose complete integrals have the ratio `order` times that of m1, by the nome. */
static double degree(int order, double ratio)
{
	double q = pow(exp(-M_PI * ratio), 1.0 / order), above = 0, below = 0;
	for (int i = 7; i >= 0; i--) {
		above += pow(q, i * (i + 1));
		below += pow(q, (i + 1) * (i + 1));
	}
	return 16 * q * pow(above / (1 + 2 * below), 4);
}

static void elliptic(struct zpk *f, int order, double ripple_db, double attenuation_db)
{
	double squared = ripple_squared(ripple_db), selectivity = squared / ripple_squared(attenuation_db);
	if (order == 1) {
		f->pole[f->npoles++] = -sqrt(1 / squared);
		f->gain = -creal(f->pole[0]);
		return;
	}
	double k1 = complete_integral(1 - selectivity), m = degree(order, complete_integral(selectivity) / k1);
	double k = complete_integral(1 - m), tangent = 1 / squared, sv, cv, dv;
	/* The amplitude whose tangent is 1 / epsilon. */
	double r = sqrt(tangent / (1 + tangent)) * carlson(1 / (1 + tangent), (1 + selectivity * tangent) / (1 + tangent), 1);
	jacobi(k * r / (order * k1), 1 - m, m, &sv, &cv, &dv);
	for (int j = 1 - order % 2; j < order; j += 2) {
		double s, c, d;
		jacobi(j * k / order, m, 1 - m, &s, &c, &d);
		double below = 1 - d * sv * (d * sv), re = -(c * d * sv * cv) / below, im = -(s * dv) / below;
		if (j == 0) {
			f->pole[f->npoles++] = re;
			continue;
		}
		f->pole[f->npoles++] = CMPLX(re, im);
		f->pole[f->npoles++] = CMPLX(re, -im);
		f->zero[f->nzeros++] = CMPLX(0.0, 1 / (sqrt(m) * s));
		f->zero[f->nzeros++] = CMPLX(0.0, -1 / (sqrt(m) * s));
	}
	f->gain = unit_gain(f);
	if (order % 2 == 0)
		f->gain /= sqrt(1 + squared);
}

static void prototype(struct zpk *f, const struct filter_spec *s)
{
	*f = (struct zpk){ .gain = 1 };
	switch (s->family) {
	case FILTER_BUTTERWORTH: butterworth(f, s->order); break;
	case FILTER_BESSEL: bessel(f, s->order, s->norm); break;
	case FILTER_CHEBYSHEV1: chebyshev1(f, s->order, s->ripple_db); break;
	case FILTER_CHEBYSHEV2: chebyshev2(f, s->order, s->attenuation_db); break;
	case FILTER_ELLIPTIC: elliptic(f, s->order, s->ripple_db, s->attenuation_db); break;
	}
}

/* --- from the prototype to its band --- */

/* Analogue frequency that lands on f_hz, at fs = 2. */
static double warp(double f_hz, double fs_hz)
{
	return 4.0 * tan(M_PI * (2 * f_hz / fs_hz) / 2.0);
}

static void add_zeros(struct zpk *f, size_t n, double complex zero)
{
	for (size_t i = 0; i < n; i++)
		f->zero[f->nzeros++] = zero;
}

static void to_lowpass(struct zpk *f, double edge)
{
	for (size_t i = 0; i < f->nzeros; i++)
		f->zero[i] = scaled(f->zero[i], edge);
	for (size_t i = 0; i < f->npoles; i++)
		f->pole[i] = scaled(f->pole[i], edge);
	f->gain *= pow(edge, (double)(f->npoles - f->nzeros));
}

static void invert(double complex *root, size_t n, double by)
{
	for (size_t i = 0; i < n; i++)
		root[i] = divide(CMPLX(by, 0.0), root[i]);
}

static void to_highpass(struct zpk *f, double edge)
{
	f->gain *= creal(divide(product(f->zero, f->nzeros, 0), product(f->pole, f->npoles, 0)));
	invert(f->zero, f->nzeros, edge);
	invert(f->pole, f->npoles, edge);
	add_zeros(f, f->npoles - f->nzeros, 0.0);
}

/* Each root becomes two: r +- sqrt(r^2 - centre^2). */
static void split(double complex *root, size_t *n, double centre)
{
	for (size_t i = 0; i < *n; i++) {
		double complex r = root[i], square = multiply(r, r);
		double complex distance = csqrt(CMPLX(creal(square) - centre * centre, cimag(square)));
		root[i] = r + distance;
		root[*n + i] = r - distance;
	}
	*n *= 2;
}

static void to_bandpass(struct zpk *f, double centre, double width)
{
	size_t degree = f->npoles - f->nzeros;
	for (size_t i = 0; i < f->nzeros; i++)
		f->zero[i] = CMPLX(creal(f->zero[i]) * width / 2, cimag(f->zero[i]) * width / 2);
	for (size_t i = 0; i < f->npoles; i++)
		f->pole[i] = CMPLX(creal(f->pole[i]) * width / 2, cimag(f->pole[i]) * width / 2);
	split(f->zero, &f->nzeros, centre);
	split(f->pole, &f->npoles, centre);
	add_zeros(f, degree, 0.0);
	f->gain *= pow(width, (double)degree);
}

static void to_bandstop(struct zpk *f, double centre, double width)
{
	size_t degree = f->npoles - f->nzeros;
	f->gain *= creal(divide(product(f->zero, f->nzeros, 0), product(f->pole, f->npoles, 0)));
	invert(f->zero, f->nzeros, width / 2);
	invert(f->pole, f->npoles, width / 2);
	split(f->zero, &f->nzeros, centre);
	split(f->pole, &f->npoles, centre);
	add_zeros(f, degree, CMPLX(0.0, centre));
	add_zeros(f, degree, CMPLX(0.0, -centre));
}

/* s to z at fs = 2. */
static void bilinear(struct zpk *f)
{
	f->gain *= creal(divide(product(f->zero, f->nzeros, 4), product(f->pole, f->npoles, 4)));
	for (size_t i = 0; i < f->nzeros; i++)
		f->zero[i] = divide(CMPLX(4.0 + creal(f->zero[i]), cimag(f->zero[i])), CMPLX(4.0 - creal(f->zero[i]), -cimag(f->zero[i])));
	for (size_t i = 0; i < f->npoles; i++)
		f->pole[i] = divide(CMPLX(4.0 + creal(f->pole[i]), cimag(f->pole[i])), CMPLX(4.0 - creal(f->pole[i]), -cimag(f->pole[i])));
	add_zeros(f, f->npoles - f->nzeros, -1.0);
}

static void to_band(struct zpk *f, const struct filter_spec *s, double fs_hz)
{
	double low = warp(s->freq_min_hz, fs_hz), high = warp(s->freq_max_hz, fs_hz);
	switch (s->band) {
	case FILTER_LOWPASS: to_lowpass(f, high); break;
	case FILTER_HIGHPASS: to_highpass(f, low); break;
	case FILTER_BANDSTOP: to_bandstop(f, sqrt(low * high), high - low); break;
	default: to_bandpass(f, sqrt(low * high), high - low);
	}
	bilinear(f);
}

/* --- from roots to sections --- */

static int by_real_part(double complex a, double complex b)
{
	if (creal(a) != creal(b))
		return creal(a) < creal(b) ? -1 : 1;
	return (fabs(cimag(a)) > fabs(cimag(b))) - (fabs(cimag(a)) < fabs(cimag(b)));
}

/* Stable, for a handful of elements. */
static void sort(double complex *p, size_t n, int (*compare)(double complex, double complex))
{
	for (size_t i = 1; i < n; i++)
		for (size_t j = i; j > 0 && compare(p[j], p[j - 1]) < 0; j--) {
			double complex swap = p[j];
			p[j] = p[j - 1];
			p[j - 1] = swap;
		}
}

static bool is_real(double complex p)
{
	return fabs(cimag(p)) <= 100 * 0x1p-52 * cabs(p);
}

static int by_imaginary_part(double complex a, double complex b)
{
	return (fabs(cimag(a)) > fabs(cimag(b))) - (fabs(cimag(a)) < fabs(cimag(b)));
}

/* Runs of the same real part, up to rounding, ordered by imaginary part. */
static void sort_runs(double complex *p, size_t n)
{
	for (size_t start = 0, end; start < n; start = end) {
		for (end = start + 1; end < n && creal(p[end]) - creal(p[end - 1]) <= 100 * 0x1p-52 * cabs(p[end - 1]); end++)
			;
		sort(p + start, end - start, by_imaginary_part);
	}
}

/* _cplxreal: from all roots to one of each pair, by real part, then the real ones. */
static void keep_upper(double complex *root, size_t *n)
{
	double complex upper[MAX_ROOTS], lower[MAX_ROOTS];
	double real[MAX_ROOTS];
	size_t nupper = 0, nlower = 0, nreal = 0;
	sort(root, *n, by_real_part);
	for (size_t i = 0; i < *n; i++) {
		if (is_real(root[i]))
			real[nreal++] = creal(root[i]);
		else if (cimag(root[i]) > 0)
			upper[nupper++] = root[i];
		else
			lower[nlower++] = root[i];
	}
	sort_runs(upper, nupper);
	sort_runs(lower, nlower);
	*n = 0;
	for (size_t i = 0; i < nupper && i < nlower; i++)
		root[(*n)++] = CMPLX((creal(upper[i]) + creal(lower[i])) / 2, (cimag(upper[i]) - cimag(lower[i])) / 2);
	for (size_t i = 0; i < nreal; i++)
		root[(*n)++] = real[i];
}

static double complex take(double complex *root, size_t *n, size_t i)
{
	double complex r = root[i];
	memmove(&root[i], &root[i + 1], (*n - i - 1) * sizeof *root);
	--*n;
	return r;
}

/* The pole closest to the unit circle; only among real ones if asked. */
static size_t worst_pole(const struct zpk *f, bool real_only)
{
	size_t best = 0;
	double least = INFINITY;
	for (size_t i = 0; i < f->npoles; i++) {
		double distance = fabs(1 - cabs(f->pole[i]));
		if ((!real_only || cimag(f->pole[i]) == 0) && distance < least) {
			least = distance;
			best = i;
		}
	}
	return best;
}

static size_t nearest_zero(const struct zpk *f, double complex p, bool real_only)
{
	size_t best = 0;
	double least = INFINITY;
	for (size_t i = 0; i < f->nzeros; i++) {
		double distance = cabs(f->zero[i] - p);
		if ((!real_only || cimag(f->zero[i]) == 0) && distance < least) {
			least = distance;
			best = i;
		}
	}
	return best;
}

/* zpk2sos, pairing "nearest": the worst pair of poles goes last and takes the zeros nearest to it. The number of real poles and that of real
 * zeros are even, so that each finds its partner. */
static bool pair_roots(struct sos *s, struct zpk *f)
{
	for (size_t i = s->nsections; i-- > 0;) {
		if (f->npoles == 0 || f->nzeros == 0)
			return false;
		double complex p1 = take(f->pole, &f->npoles, worst_pole(f, false)), p2 = conj(p1);
		if (cimag(p1) == 0)
			p2 = f->npoles ? take(f->pole, &f->npoles, worst_pole(f, true)) : 0.0;
		double complex z1 = take(f->zero, &f->nzeros, nearest_zero(f, p1, false)), z2 = conj(z1);
		if (cimag(z1) == 0)
			z2 = f->nzeros ? take(f->zero, &f->nzeros, nearest_zero(f, p1, true)) : 0.0;
		s->design.b1[i] = -creal(z1) - creal(z2);
		s->design.b2[i] = creal(multiply(z1, z2));
		s->design.a1[i] = -creal(p1) - creal(p2);
		s->design.a2[i] = creal(multiply(p1, p2));
	}
	return f->npoles == 0 && f->nzeros == 0;
}

/* sosfilt_zi: LU with partial pivoting of (1+a1) z0 - z1 = B1, a2 z0 + z1 = B2, as LAPACK does it. */
static void solve_start(double a1, double a2, double B1, double B2, double *z)
{
	double m[2][3] = { { 1 + a1, -1, B1 }, { a2, 1, B2 } };
	int pivot = fabs(m[1][0]) > fabs(m[0][0]);
	const double *top = m[pivot], *low = m[!pivot];
	double factor = low[0] * (1 / top[0]);
	z[1] = (low[2] - factor * top[2]) / (low[1] - factor * top[1]);
	z[0] = (top[2] - top[1] * z[1]) / top[0];
}

void design_steady(size_t nsections, const struct sos_f64 *c, double start[][2])
{
	double scale = 1.0;
	for (size_t i = 0; i < nsections; i++) {
		double gain = i ? 1.0 : c->gain, a1 = c->a1[i], a2 = c->a2[i];
		double b0 = gain, b1 = gain * c->b1[i], b2 = gain * c->b2[i];
		double z[2];
		solve_start(a1, a2, b1 - a1 * b0, b2 - a2 * b0, z);
		start[i][0] = scale * z[0];
		start[i][1] = scale * z[1];
		scale *= (b0 + b1 + b2) / (1 + a1 + a2);
	}
}

/* Odd extension of sosfiltfilt, 3 * (taps - 1) in its count of taps. */
static size_t edge(const struct sos *s)
{
	size_t zeros = 0, poles = 0;
	for (size_t i = 0; i < s->nsections; i++) {
		zeros += s->design.b2[i] == 0;
		poles += s->design.a2[i] == 0;
	}
	return 3 * (2 * s->nsections + 1 - (zeros < poles ? zeros : poles));
}

static bool usable(const struct sos *s)
{
	bool finite = isfinite(s->f64.gain) && s->f64.gain != 0;
	for (size_t i = 0; i < s->nsections; i++)
		finite = finite && isfinite(s->f64.b1[i]) && isfinite(s->f64.b2[i]) && isfinite(s->f64.a1[i]) && isfinite(s->f64.a2[i]) &&
			 isfinite(s->start[i][0]) && isfinite(s->start[i][1]);
	return finite && s->radius <= SOS_MAX_RADIUS;
}

/* As many zeros at 1 as at -1, two for each section? */
static bool is_band(const struct zpk *f, size_t nsections)
{
	size_t high = 0, low = 0;
	for (size_t i = 0; i < f->nzeros; i++) {
		high += f->zero[i] == 1.0;
		low += f->zero[i] == -1.0;
	}
	return high == nsections && low == nsections && f->nzeros == 2 * nsections;
}

/* States are in the unit of the input times the gain in front, which may be tiny (a low-pass). */
static void find_tiny(struct sos *s)
{
	double tiny = 0x1p-80;
	if (fabs(s->f64.gain) < 0x1p-20)
		tiny *= fabs(s->f64.gain) * 0x1p20;
	s->tiny = s->wide ? fmax(tiny, 0x1p-900) : fmax(tiny, 0x1p-110);
}

/* From the design to what runs. */
static bool find_form(struct sos *s)
{
	s->edge = edge(s);
	s->wide = s->radius > SOS_WIDE_RADIUS;
	s->f64 = s->design;
	for (size_t i = 0; s->band && i < s->nsections; i++) {
		s->f64.b1[i] = 0;
		s->f64.b2[i] = -1;
	}
	s->f32.gain = (float)s->f64.gain;
	for (size_t i = 0; i < s->nsections; i++) {
		s->f32.b1[i] = (float)s->f64.b1[i];
		s->f32.b2[i] = (float)s->f64.b2[i];
		s->f32.a1[i] = (float)s->f64.a1[i];
		s->f32.a2[i] = (float)s->f64.a2[i];
	}
	design_steady(s->nsections, &s->f64, s->start);
	find_tiny(s);
	return usable(s);
}

static bool from_roots(struct sos *s, struct zpk *f)
{
	for (size_t i = 0; i < f->npoles; i++)
		s->radius = fmax(s->radius, isfinite(cabs(f->pole[i])) ? cabs(f->pole[i]) : INFINITY);
	if (!(s->radius <= SOS_MAX_RADIUS))
		return false;
	s->nsections = (f->npoles + 1) / 2;
	if (f->npoles % 2) {
		f->pole[f->npoles++] = 0.0;
		f->zero[f->nzeros++] = 0.0;
	}
	s->band = is_band(f, s->nsections);
	keep_upper(f->pole, &f->npoles);
	keep_upper(f->zero, &f->nzeros);
	s->design.gain = f->gain;
	return pair_roots(s, f) && find_form(s);
}

/* scipy.signal.iirnotch. */
static bool notch(struct sos *s, double freq_hz, double q, double fs_hz)
{
	double w = 2 * freq_hz / fs_hz, width = w / q * M_PI;
	double half = 1 / sqrt(2), beta = sqrt(1 - half * half) / half * tan(width / 2), gain = 1 / (1 + beta);
	if (!(width > 0 && width < M_PI))
		return false;
	w *= M_PI;
	s->nsections = 1;
	s->design.gain = gain;
	s->design.b1[0] = -2 * cos(w);
	s->design.b2[0] = 1;
	s->design.a1[0] = -2 * gain * cos(w);
	s->design.a2[0] = 2 * gain - 1;
	/* Poles: a conjugate pair, or two real ones of a wide notch. */
	double square = gain * cos(w) * (gain * cos(w)) - s->design.a2[0];
	s->radius = square < 0 ? sqrt(s->design.a2[0]) : fabs(gain * cos(w)) + sqrt(square);
	return find_form(s);
}

bool design_filter(struct sos *s, const struct filter_spec *spec, double fs_hz)
{
	struct zpk f;
	memset(s, 0, sizeof *s);
	if (spec->band == FILTER_NOTCH)
		return notch(s, spec->freq_min_hz, spec->q, fs_hz);
	prototype(&f, spec);
	to_band(&f, spec, fs_hz);
	return from_roots(s, &f);
}
