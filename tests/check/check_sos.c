/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/sos.h"
#include "kernels/zero_phase.h"
#include "tests/check/check.h"
#include "tests/check/filters.h"
#include "tests/check/golden_filter.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct sos design(const struct golden *g)
{
	struct sos s;
	bool ok = g->highpass ? sos_highpass(&s, g->order, g->low, g->fs) : sos_bandpass(&s, g->order, g->low, g->high, g->fs);
	check_that(ok, "no filter of order %d, %g to %g of %g Hz", g->order, g->low, g->high, g->fs);
	return s;
}

static float *tile(size_t nframes)
{
	return aligned_alloc(64, (nframes + 1) * LANES * sizeof(float));
}

/* --- design --- */

/* sum: 0, or how large the terms of a sum were that may cancel. */
static void near_design(const char *what, size_t d, size_t i, double want, double got, double sum)
{
	check_that(fabs(got - want) <= 1e-14 * fabs(want) + 2 * DBL_EPSILON * sum, "design %zu section %zu: %s is %.17g, not %.17g", d, i, what, got, want);
}

CHECK_TEST(sos_design)
{
	for (size_t d = 0; d < GOLDEN_DESIGNS; d++) {
		const struct golden *g = &golden[d];
		struct sos s = design(g);
		double start[SOS_MAX_SECTIONS][2];
		design_steady(s.nsections, &s.design, start);
		check_that(s.nsections == g->nsections && s.edge == g->edge, "design %zu: %zu sections, edge %zu", d, s.nsections, s.edge);
		for (size_t i = 0; i < g->nsections; i++) {
			double gain = i ? 1 : s.design.gain;
			near_design("b0", d, i, g->sos[i][0], gain, 0);
			near_design("b1", d, i, g->sos[i][1], gain * s.design.b1[i], 0);
			near_design("b2", d, i, g->sos[i][2], gain * s.design.b2[i], 0);
			near_design("a1", d, i, g->sos[i][4], s.design.a1[i], 1);
			near_design("a2", d, i, g->sos[i][5], s.design.a2[i], 1);
			/* A start value solves a system whose condition is 1 / (1 + a1 + a2): last bits of a1, a2 count that often. */
			double condition = 4 / (1 + s.design.a1[i] + s.design.a2[i]);
			double scale = fabs(g->zi[i][0]) + fabs(g->zi[i][1]) + DBL_MIN;
			for (int k = 0; k < 2; k++)
				check_that(fabs(start[i][k] - g->zi[i][k]) <= 4 * DBL_EPSILON * condition * scale, "design %zu section %zu: start %.17g, not %.17g", d, i,
					   start[i][k], g->zi[i][k]);
		}
	}
}

CHECK_TEST(sos_design_refuses)
{
	struct sos s;
	check_that(!sos_bandpass(&s, 8, 1e-3, 2e-3, 30000), "poles that round onto the unit circle");
	check_that(!sos_highpass(&s, 5, 1e-13, 30000), "a highpass at 0");
}

/* The border of f32 arithmetic: usual bands below, LFP and narrow bands above. */
CHECK_TEST(sos_wide)
{
	static const struct {
		int order;
		double low, high, fs;
		bool wide;
	} cases[] = { { 5, 300, 6000, 30000, false }, { 5, 300, 6000, 20000, false }, { 8, 300, 6000, 30000, false }, { 3, 1, 300, 2500, true },
		      { 5, 300, 310, 30000, true },   { 5, 10, 6000, 30000, true } };
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct sos s;
		bool ok = sos_bandpass(&s, cases[i].order, cases[i].low, cases[i].high, cases[i].fs);
		check_that(ok && s.wide == cases[i].wide, "case %zu: radius %g, wide %d", i, s.radius, s.wide);
	}
}

/* --- the filter against a plain one in f32 or f64: same bits --- */

#define PLAIN(name, type, member, fma)                                                                                         \
	static void name(const struct sos *s, type *z, const float *x, float *y, int direction, size_t nframes, bool flush)    \
	{                                                                                                                      \
		for (size_t t = 0; t < nframes; t++, x += direction * LANES, y += direction * LANES)                           \
			for (size_t lane = 0; lane < LANES; lane++) {                                                          \
				type v = (type)x[lane] * s->member.gain;                                                       \
				for (size_t i = 0; i < s->nsections; i++) {                                                    \
					type *z0 = z + 2 * i * LANES + lane, *z1 = z0 + LANES;                                 \
					type out = v + *z0;                                                                    \
					*z0 = fma(-out, s->member.a1[i], s->band ? *z1 : fma(v, s->member.b1[i], *z1));        \
					*z1 = fma(-out, s->member.a2[i], s->band ? -v : v * s->member.b2[i]);                  \
					v = out;                                                                               \
				}                                                                                              \
				y[lane] = (float)v;                                                                            \
			}                                                                                                      \
		for (size_t i = 0; flush && i < 2 * s->nsections * LANES; i++)                                                 \
			if (z[i] < (type)s->tiny && z[i] > (type)-s->tiny)                                                     \
				z[i] = 0;                                                                                      \
	}
PLAIN(plain_f32, float, f32, fmaf)
PLAIN(plain_f64, double, f64, fma)

static void plain_run(const struct sos *s, struct sos_state *state, const float *x, float *y, int direction, size_t nframes)
{
	for (size_t t = 0; t < nframes; t++) {
		bool flush = ++state->phase == SOS_GRID;
		ptrdiff_t at = direction * (ptrdiff_t)(t * LANES);
		if (s->wide)
			plain_f64(s, state->z.f64, x + at, y + at, direction, 1, flush);
		else
			plain_f32(s, state->z.f32, x + at, y + at, direction, 1, flush);
		if (flush)
			state->phase = 0;
	}
}

/* -0 and +0 differ here too; NaN payloads do not. */
static void same_samples(const char *what, const float *want, const float *got, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!(isnan(want[i]) && isnan(got[i])) && memcmp(&want[i], &got[i], sizeof *got) != 0) {
			check_fail(__FILE__, __LINE__, "%s: sample %zu is %a, not %a", what, i, (double)got[i], (double)want[i]);
			return;
		}
}

static void check_run_of(const struct sos *s, size_t n, int direction, enum check_fill fill)
{
	size_t nbytes = n * LANES * sizeof(float);
	float *x = check_guard(nbytes, n % 2 ? CHECK_END : CHECK_START), *want = check_guard(nbytes, CHECK_START);
	float *got = check_guard(nbytes, CHECK_END), *cut = check_guard(nbytes, CHECK_START);
	float first[LANES];
	struct sos_state a, b, c;
	ptrdiff_t step = direction * LANES, begin = direction > 0 || n == 0 ? 0 : (ptrdiff_t)(n - 1) * LANES;

	check_fill_f32(x, n * LANES, fill);
	check_fill_f32(first, LANES, CHECK_NOISE);
	sos_start(s, &a, first);
	sos_start(s, &b, first);
	sos_start(s, &c, first);
	plain_run(s, &a, x + begin, want + begin, direction, n);
	sos_run(s, &b, x + begin, got + begin, direction, n);
	same_samples("run", want, got, n * LANES);

	/* Cut anywhere, in place. */
	if (n > 0)
		memcpy(cut, x, nbytes);
	for (size_t t = 0; t < n;) {
		size_t piece = check_below(n - t + 1);
		float *at = cut + begin + (ptrdiff_t)t * step;
		sos_run(s, &c, at, at, direction, piece);
		t += piece;
	}
	if (n > 0)
		check_same("cut", got, cut, nbytes);
	check_that(b.phase == c.phase && b.phase == n % SOS_GRID, "phase %zu, %zu", b.phase, c.phase);
	check_release();
}

CHECK_TEST(sos_same_bits)
{
	CHECK_EACH_ISA(isa)
		for (size_t d = 0; d < GOLDEN_DESIGNS; d++)
			for (int wide = 0; wide < 2; wide++) {
				struct sos s = design(&golden[d]);
				s.wide = wide;
				for (size_t n = 0; n < 700; n = n < 33 ? n + 1 : 3 * n + check_below(9))
					for (int direction = -1; direction < 2; direction += 2)
						check_run_of(&s, n, direction, (enum check_fill)((n + d) % (CHECK_NFILL + 1)));
			}
}

/* --- against exact arithmetic, within a derived bound --- */

/* The cascade in f64 on one channel: y, and what the f32 cascade may differ by.
 *
 * With u = FLT_EPSILON / 2, a section's f32 arithmetic adds to first order, in each frame, at most
 *	out = v + z0:                      u |out|
 *	z0 = (v b1 + z1) - out a1:         u (|v b1| + |v b1 + z1| + |out a1| for the product, and as much for a1 rounded to f32, + |z0|)
 *	z1 = v b2 - out a2:                u (|v b2| + 2 |out a2| + |z1|)
 * and u |gain x| twice for the gain. Each such error runs through 1/A of its section and all the sections behind; the sum of
 * |impulse response| of that path times the largest error bounds what comes out. An error of the input runs through everything.
 * 1.01 covers the terms of second order. */
struct exact {
	double error; /* in: of x; out: of y */
};

static void exact_cascade(const struct sos *s, const double *start, const double *x, double *y, ptrdiff_t step, size_t n, double *local)
{
	double z[SOS_MAX_SECTIONS][2];
	for (size_t i = 0; i < s->nsections; i++) {
		for (int k = 0; k < 2; k++)
			z[i][k] = start ? start[0] * s->start[i][k] : 0;
		local[i] = fabs(z[i][0]) + fabs(z[i][1]); /* rounded to f32 */
	}
	for (size_t t = 0; t < n; t++) {
		double v = x[(ptrdiff_t)t * step] * s->f64.gain;
		for (size_t i = 0; i < s->nsections; i++) {
			double out = v + z[i][0];
			double p = v * s->f64.b1[i], q = out * s->f64.a1[i], r = v * s->f64.b2[i], w = out * s->f64.a2[i];
			double sum = (i ? 0 : 2 * fabs(v)) + fabs(out) + fabs(p) + fabs(p + z[i][1]) + 2 * fabs(q) + fabs(r) + 2 * fabs(w);
			z[i][0] = (p + z[i][1]) - q;
			z[i][1] = r - w;
			sum += fabs(z[i][0]) + fabs(z[i][1]);
			local[i] = fmax(local[i], sum);
			v = out;
		}
		y[(ptrdiff_t)t * step] = v;
	}
}

/* Sum of |impulse response| from inside section `from` (through its 1/A) to the end; of everything if from is negative. */
static double path_gain(const struct sos *s, int from)
{
	double z[SOS_MAX_SECTIONS][2] = { { 0 } }, sum = 0;
	for (int t = 0; t < 200000; t++) {
		double v = t ? 0 : from < 0 ? s->f64.gain : 1;
		for (size_t i = from < 0 ? 0 : (size_t)from; i < s->nsections; i++) {
			double out = v + z[i][0];
			bool all_pole = (int)i == from;
			z[i][0] = ((all_pole ? 0 : v * s->f64.b1[i]) + z[i][1]) - out * s->f64.a1[i];
			z[i][1] = (all_pole ? 0 : v * s->f64.b2[i]) - out * s->f64.a2[i];
			v = out;
		}
		sum += fabs(v);
	}
	return sum;
}

static double error_bound(const struct sos *s, const double *local, double input_error)
{
	double u = s->wide ? DBL_EPSILON / 2 : FLT_EPSILON / 2, error = input_error * path_gain(s, -1);
	for (size_t i = 0; i < s->nsections; i++)
		error += u * local[i] * path_gain(s, (int)i);
	return 1.01 * error + s->tiny * 1e6; /* flushed states */
}

static double largest(const double *y, size_t n)
{
	double most = 0;
	for (size_t i = 0; i < n; i++)
		most = fmax(most, fabs(y[i]));
	return most;
}

/* sosfiltfilt in f64 on one channel of n > edge frames; returns the bound of what f32 may differ by. */
static double exact_zero_phase(const struct sos *s, const double *x, size_t n, double *y)
{
	size_t e = s->edge, total = n + 2 * e;
	double *ext = malloc(2 * total * sizeof *ext), *forward = ext + total;
	double local[SOS_MAX_SECTIONS];
	for (size_t k = 0; k < e; k++) {
		ext[k] = 2 * x[0] - x[e - k];
		ext[e + n + k] = 2 * x[n - 1] - x[n - 2 - k];
	}
	memcpy(ext + e, x, n * sizeof *x);
	double input_error = FLT_EPSILON / 2 * largest(ext, total); /* extension in f32 */
	exact_cascade(s, ext, ext, forward, 1, total, local);
	/* Samples are f32 between the passes and at the end. */
	double error = error_bound(s, local, input_error) + FLT_EPSILON / 2 * largest(forward, total);
	/* The backward pass starts from forward[last] with its error: scaled start values. */
	double start_error = 0;
	for (size_t i = 0; i < s->nsections; i++)
		start_error += error * (fabs(s->start[i][0]) + fabs(s->start[i][1])) * path_gain(s, (int)i);
	double *back = forward + total - 1;
	exact_cascade(s, back, back, back, -1, total, local);
	error = error_bound(s, local, error) + start_error + FLT_EPSILON / 2 * largest(forward, total);
	memcpy(y, forward + e, n * sizeof *y);
	free(ext);
	return error;
}

CHECK_TEST(sos_zero_phase_near_exact)
{
	enum { N = 3000 };
	double *x = malloc(2 * N * sizeof *x), *want = x + N;
	float *tx = tile(N), *ty = tile(N), *scratch = tile(N + 200);
	CHECK_EACH_ISA(isa)
		for (size_t d = 0; d < GOLDEN_DESIGNS; d++)
			for (enum check_fill fill = 0; fill < CHECK_DENORMAL; fill++) {
				struct sos s = design(&golden[d]);
				check_fill_f32(tx, N * LANES, fill);
				if (fill == CHECK_NOISE)
					for (size_t i = 0; i < N * LANES; i++)
						tx[i] = 100 * tx[i] + 5000; /* noise on an offset */
				zero_phase_tile(&s, tx, N, 0, N, scratch, ty);
				size_t lane = check_below(LANES);
				for (size_t t = 0; t < N; t++)
					x[t] = tx[t * LANES + lane];
				double bound = exact_zero_phase(&s, x, N, want), worst = 0;
				for (size_t t = 0; t < N; t++)
					worst = fmax(worst, fabs(want[t] - ty[t * LANES + lane]));
				check_that(worst <= bound, "design %zu fill %d: off by %g, bound %g", d, fill, worst, bound);
			}
	free(x);
	free(tx);
	free(ty);
	free(scratch);
}

CHECK_TEST(sos_scipy)
{
	float *x = tile(GOLDEN_FRAMES), *y = tile(GOLDEN_FRAMES), *scratch = tile(GOLDEN_FRAMES + 200);
	double in[GOLDEN_FRAMES], exact[GOLDEN_FRAMES], local[SOS_MAX_SECTIONS];
	for (int k = 0; k < GOLDEN_FRAMES; k++) {
		in[k] = (k * 7919 + k * k * 31) % 2001 + 2000;
		for (size_t lane = 0; lane < LANES; lane++)
			x[(size_t)k * LANES + lane] = (float)in[k];
	}
	CHECK_EACH_ISA(isa)
		for (size_t d = 0; d < GOLDEN_DESIGNS; d++) {
			const struct golden *g = &golden[d];
			struct sos s = design(g);
			struct sos_state state;
			zero_phase_tile(&s, x, GOLDEN_FRAMES, 0, GOLDEN_FRAMES, scratch, y);
			double bound = exact_zero_phase(&s, in, GOLDEN_FRAMES, exact);
			for (int k = 0; k < 12; k++) {
				size_t t = (size_t)(k < 4 ? k : k < 8 ? GOLDEN_FRAMES / 2 + k - 4 : GOLDEN_FRAMES - 12 + k);
				double off = fabs(y[t * LANES + 5] - g->zero_phase[k]), far = fabs(exact[t] - g->zero_phase[k]);
				check_that(off <= bound, "design %zu: sosfiltfilt at %zu off by %g, bound %g", d, t, off, bound);
				/* The oracle itself, in f64: the same derivation with that epsilon. */
				check_that(far <= bound * DBL_EPSILON / FLT_EPSILON * 1e4, "design %zu: oracle at %zu off by %g", d, t, far);
			}
			sos_start(&s, &state, x);
			sos_run(&s, &state, x, y, 1, GOLDEN_FRAMES);
			exact_cascade(&s, in, in, exact, 1, GOLDEN_FRAMES, local);
			bound = error_bound(&s, local, 0) + FLT_EPSILON / 2 * largest(exact, GOLDEN_FRAMES);
			for (int k = 0; k < 12; k++) {
				size_t t = (size_t)(k < 4 ? k : k < 8 ? GOLDEN_FRAMES / 2 + k - 4 : GOLDEN_FRAMES - 12 + k);
				double off = fabs(y[t * LANES + 5] - g->causal[k]);
				check_that(off <= bound, "design %zu: sosfilt at %zu off by %g, bound %g", d, t, off, bound);
			}
		}
	free(x);
	free(y);
	free(scratch);
}

/* The check values of SpikeInterface's band-pass: a ramp, rounded, and an impulse. */
CHECK_TEST(sos_check_values)
{
	static const int head[] = { 0, 5, 14, 28, 41, 43, 32, 12 }, tail[] = { 11, -9, -21, -16, 2 };
	float *x = tile(200), *y = tile(200), *scratch = tile(400);
	double in[200], exact[200];
	struct sos s;
	sos_bandpass(&s, 5, 300, 6000, 30000);
	CHECK_EACH_ISA(isa) {
		for (int k = 0; k < 200; k++)
			for (size_t lane = 0; lane < LANES; lane++)
				x[(size_t)k * LANES + lane] = (float)(10 * (k % 7) - 30);
		zero_phase_tile(&s, x, 200, 0, 200, scratch, y);
		for (size_t k = 0; k < 8; k++)
			check_that((int)rintf(y[k * LANES]) == head[k], "ramp at %zu: %g", k, (double)y[k * LANES]);
		for (size_t k = 0; k < 5; k++)
			check_that((int)rintf(y[(195 + k) * LANES]) == tail[k], "ramp at %zu: %g", 195 + k, (double)y[(195 + k) * LANES]);
		memset(x, 0, 200 * LANES * sizeof *x);
		memset(in, 0, sizeof in);
		in[100] = 1000;
		x[100 * LANES + 3] = 1000;
		zero_phase_tile(&s, x, 200, 0, 200, scratch, y);
		double bound = exact_zero_phase(&s, in, 200, exact);
		check_that(fabs(y[100 * LANES + 3] - 381.3977764550712) <= bound, "impulse: %.9g, bound %g", (double)y[100 * LANES + 3], bound);
		check_that(fabs(y[99 * LANES + 3] - 279.1191513755414) <= bound, "before it: %.9g, bound %g", (double)y[99 * LANES + 3], bound);
		check_that(fabs(exact[100] - 381.3977764550712) < 1e-10 && fabs(exact[99] - 279.1191513755414) < 1e-10, "oracle: %.16g", exact[100]);
	}
	free(x);
	free(y);
	free(scratch);
}

/* --- awkward input --- */

CHECK_TEST(sos_short_segments)
{
	struct sos s;
	sos_bandpass(&s, 8, 300, 6000, 30000);
	CHECK_EACH_ISA(isa)
		for (size_t n = 1; n < 2 * s.edge; n++) {
			float *x = check_guard(n * LANES * sizeof *x, CHECK_START), *y = check_guard(n * LANES * sizeof *y, CHECK_START);
			float *scratch = check_guard((n + 2 * s.edge) * LANES * sizeof *scratch, CHECK_START);
			check_fill_f32(x, n * LANES, CHECK_CONSTANT);
			zero_phase_tile(&s, x, n, 0, n, scratch, y);
			for (size_t i = 0; i < n * LANES; i++)
				check_that(fabsf(y[i]) <= 1e-4f * fabsf(x[i]), "constant of %zu frames: %g", n, (double)y[i]);
			check_release();
		}
}

/* After the input falls silent the states are exactly 0 within some grids, and no denormal outlives one. */
CHECK_TEST(sos_falls_silent)
{
	enum { N = 16384 };
	float *x = tile(N), *y = tile(N);
	struct sos s;
	sos_bandpass(&s, 5, 300, 6000, 30000);
	memset(x, 0, N * LANES * sizeof *x);
	check_fill_f32(x, 500 * LANES, CHECK_NOISE);
	CHECK_EACH_ISA(isa)
		for (int wide = 0; wide < 2; wide++) {
			struct sos_state state;
			size_t denormals = 0;
			s.wide = wide;
			sos_start(&s, &state, x);
			sos_run(&s, &state, x, y, 1, N);
			for (size_t i = 0; i < N; i++)
				denormals += fpclassify(y[i * LANES]) == FP_SUBNORMAL;
			check_that(denormals <= SOS_GRID, "%zu denormals", denormals);
			for (size_t i = 0; i < 2 * s.nsections * LANES; i++)
				check_that(wide ? state.z.f64[i] == 0 : state.z.f32[i] == 0, "state %zu is not 0", i);
		}
	free(x);
	free(y);
}

CHECK_TEST(sos_bench)
{
	enum { FRAMES = 4096, MARGIN = 500, READ = FRAMES + 2 * MARGIN };
	static const struct {
		const char *label;
		bool highpass, wide, silent;
	} cases[] = { { "sos bandpass 5 zero phase", false, false, false },
		      { "sos bandpass 5 zero phase, f64", false, true, false },
		      { "sos highpass 5 zero phase", true, false, false },
		      { "sos bandpass 5, denormal input", false, false, true } };
	float *x = tile(READ), *y = tile(FRAMES), *scratch = tile(READ + 200);
	CHECK_EACH_ISA(isa)
		for (int i = 0; i < 4; i++) {
			struct sos s;
			if (cases[i].highpass)
				sos_highpass(&s, 5, 300, 30000);
			else
				sos_bandpass(&s, 5, 300, 6000, 30000);
			s.wide = cases[i].wide;
			check_fill_f32(x, READ * LANES, cases[i].silent ? CHECK_DENORMAL : CHECK_NOISE);
			CHECK_BENCH(cases[i].label, FRAMES * LANES)
				zero_phase_tile(&s, x, READ, MARGIN, FRAMES, scratch, y);
		}
	free(x);
	free(y);
	free(scratch);
}
