/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/sos.h"

#include <complex.h>
#include <math.h>
#include <string.h>

#ifndef CMPLX /* glibc has it for GCC only */
#define CMPLX(re, im) __builtin_complex((double)(re), (double)(im))
#endif

/* The design follows scipy.signal (1.10.1) buttap, lp2bp_zpk, lp2hp_zpk, bilinear_zpk and zpk2sos step by step and in the same order of
 * operations, so that poles and coefficients come out as SciPy's to the last bits. */

enum { MAX_POLES = 2 * SOS_MAX_SECTIONS };

/* Poles and zeros of the digital filter on their way to sections; of a conjugate pair only the upper one is listed. Zeros are real. */
struct roots {
	double complex pole[MAX_POLES];
	double zero[MAX_POLES];
	size_t npoles, nzeros;
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

/* Analogue prototype: pole i of `order` on the left half of the unit circle. */
static double complex prototype_pole(int order, int i)
{
	double m = 1 - order + 2 * i;
	return -cexp(CMPLX(0.0, M_PI * m / (2 * order)));
}

/* s to z at fs = 2, and the gain of the transform: 4^nzeros_at_0 / prod(4 - pole). */
static double bilinear(double complex *pole, size_t npoles, size_t nzeros)
{
	double complex product = 1.0;
	for (size_t i = 0; i < npoles; i++) {
		double complex below = CMPLX(4.0 - creal(pole[i]), -cimag(pole[i]));
		product = i ? multiply(product, below) : below;
		pole[i] = divide(CMPLX(4.0 + creal(pole[i]), cimag(pole[i])), below);
	}
	double power = 1.0;
	for (size_t i = 0; i < nzeros; i++)
		power *= 4.0;
	return creal(divide(CMPLX(power, 0.0), product));
}

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

/* _cplxreal: from all poles to one of each pair, by real part, then the real ones. */
static void keep_upper(struct roots *r, double complex *pole, size_t npoles)
{
	double complex upper[MAX_POLES], lower[MAX_POLES];
	double real[MAX_POLES];
	size_t nupper = 0, nlower = 0, nreal = 0;
	sort(pole, npoles, by_real_part);
	for (size_t i = 0; i < npoles; i++) {
		if (is_real(pole[i]))
			real[nreal++] = creal(pole[i]);
		else if (cimag(pole[i]) > 0)
			upper[nupper++] = pole[i];
		else
			lower[nlower++] = pole[i];
	}
	sort_runs(upper, nupper);
	sort_runs(lower, nlower);
	r->npoles = 0;
	for (size_t i = 0; i < nupper && i < nlower; i++)
		r->pole[r->npoles++] = CMPLX((creal(upper[i]) + creal(lower[i])) / 2, (cimag(upper[i]) - cimag(lower[i])) / 2);
	for (size_t i = 0; i < nreal; i++)
		r->pole[r->npoles++] = real[i];
}

static double complex take_pole(struct roots *r, size_t i)
{
	double complex p = r->pole[i];
	memmove(&r->pole[i], &r->pole[i + 1], (r->npoles - i - 1) * sizeof r->pole[0]);
	r->npoles--;
	return p;
}

/* The pole closest to the unit circle; only among real ones if asked. */
static size_t worst_pole(const struct roots *r, bool real_only)
{
	size_t best = 0;
	double least = INFINITY;
	for (size_t i = 0; i < r->npoles; i++) {
		double distance = fabs(1 - cabs(r->pole[i]));
		if ((!real_only || cimag(r->pole[i]) == 0) && distance < least) {
			least = distance;
			best = i;
		}
	}
	return best;
}

static double take_nearest_zero(struct roots *r, double complex p)
{
	size_t best = 0;
	for (size_t i = 1; i < r->nzeros; i++)
		if (cabs(r->zero[i] - p) < cabs(r->zero[best] - p))
			best = i;
	double z = r->zero[best];
	memmove(&r->zero[best], &r->zero[best + 1], (r->nzeros - best - 1) * sizeof r->zero[0]);
	r->nzeros--;
	return z;
}

static bool any_real(const struct roots *r)
{
	for (size_t i = 0; i < r->npoles; i++)
		if (cimag(r->pole[i]) == 0)
			return true;
	return false;
}

/* zpk2sos, pairing "nearest": the worst pair of poles goes last and takes the zeros nearest to it. */
static void pair_roots(struct sos *s, struct roots *r)
{
	for (size_t i = s->nsections; i-- > 0;) {
		double complex p1 = take_pole(r, worst_pole(r, false));
		double complex p2 = conj(p1);
		if (cimag(p1) == 0)
			p2 = any_real(r) ? take_pole(r, worst_pole(r, true)) : 0.0;
		double z1 = take_nearest_zero(r, p1), z2 = take_nearest_zero(r, p1);
		s->design.b1[i] = -z1 - z2;
		s->design.b2[i] = z1 * z2;
		s->design.a1[i] = -creal(p1) - creal(p2);
		s->design.a2[i] = creal(multiply(p1, p2));
	}
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

void sos_steady(size_t nsections, const struct sos_f64 *c, double start[][2])
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
		finite = finite && isfinite(s->f64.a1[i]) && isfinite(s->f64.a2[i]) && isfinite(s->start[i][0]) && isfinite(s->start[i][1]);
	return finite && s->radius <= SOS_MAX_RADIUS;
}

/* As many zeros at 1 as at -1, two for each section? */
static bool is_band(const struct roots *r, size_t nsections)
{
	size_t high = 0, low = 0;
	for (size_t i = 0; i < r->nzeros; i++) {
		high += r->zero[i] == 1.0;
		low += r->zero[i] == -1.0;
	}
	return high == nsections && low == nsections && r->nzeros == 2 * nsections;
}

/* From the design to what runs. */
static void find_form(struct sos *s)
{
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
	sos_steady(s->nsections, &s->f64, s->start);
}

/* From all digital poles and the zeros to a filter. */
static bool finish(struct sos *s, double gain, double complex *pole, size_t npoles, struct roots *r)
{
	s->radius = 0;
	for (size_t i = 0; i < npoles; i++)
		s->radius = fmax(s->radius, isfinite(cabs(pole[i])) ? cabs(pole[i]) : INFINITY);
	if (!(s->radius <= SOS_MAX_RADIUS))
		return false;
	s->nsections = (npoles + 1) / 2;
	keep_upper(r, pole, npoles);
	if (npoles % 2) {
		r->pole[r->npoles++] = 0.0;
		r->zero[r->nzeros++] = 0.0;
	}
	s->band = is_band(r, s->nsections);
	pair_roots(s, r);
	s->design.gain = gain;
	s->edge = edge(s);
	s->wide = s->radius > SOS_WIDE_RADIUS;
	find_form(s);
	return usable(s);
}

/* Analogue frequency that lands on f_hz, at fs = 2. */
static double warp(double f_hz, double fs_hz)
{
	return 4.0 * tan(M_PI * (2 * f_hz / fs_hz) / 2.0);
}

bool sos_bandpass(struct sos *s, int order, double freq_min_hz, double freq_max_hz, double fs_hz)
{
	double complex pole[MAX_POLES];
	struct roots r = { .nzeros = 0 };
	size_t n = (size_t)order;
	double low = warp(freq_min_hz, fs_hz), high = warp(freq_max_hz, fs_hz);
	double width = high - low, centre = sqrt(low * high);

	memset(s, 0, sizeof *s);
	for (size_t i = 0; i < n; i++) {
		double complex p = prototype_pole(order, (int)i);
		p = CMPLX(creal(p) * width / 2, cimag(p) * width / 2);
		double complex square = multiply(p, p);
		double complex root = csqrt(CMPLX(creal(square) - centre * centre, cimag(square)));
		pole[i] = p + root;
		pole[n + i] = p - root;
	}
	double gain = pow(width, order) * bilinear(pole, 2 * n, n);
	for (size_t i = 0; i < 2 * n; i++)
		r.zero[r.nzeros++] = i < n ? -1.0 : 1.0;
	return finish(s, gain, pole, 2 * n, &r);
}

bool sos_highpass(struct sos *s, int order, double freq_min_hz, double fs_hz)
{
	double complex pole[MAX_POLES];
	struct roots r = { .nzeros = 0 };
	size_t n = (size_t)order;
	double edge_w = warp(freq_min_hz, fs_hz);
	double complex product = 1.0;

	memset(s, 0, sizeof *s);
	for (size_t i = 0; i < n; i++) {
		double complex p = prototype_pole(order, (int)i);
		product = i ? multiply(product, -p) : -p;
		pole[i] = divide(CMPLX(edge_w, 0.0), p);
	}
	double gain = creal(divide(1.0, product)) * bilinear(pole, n, n);
	for (size_t i = 0; i < n; i++)
		r.zero[r.nzeros++] = 1.0;
	return finish(s, gain, pole, n, &r);
}

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
