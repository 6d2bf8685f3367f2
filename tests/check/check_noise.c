/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Noise levels are exact, so every comparison is of bits: against NumPy's, and against a sort. Chunk starts: NumPy's.
 */
#include "kernels/noise.h"
#include "tests/check/check.h"
#include "tests/check/golden_numpy.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The generator of golden_numpy.py. */
static uint64_t golden_bits(uint64_t i)
{
	uint64_t z = (i + 1) * 0x9e3779b97f4a7c15;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static float golden_f32(uint64_t i)
{
	return ((float)(int64_t)(golden_bits(i) >> 44) - 0x1p19f) * 0x1p-10f * (float)(i % 7 + 1);
}

static int compare(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;
	return (x > y) - (x < y);
}

static float sorted_median(float *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (isnan(x[i]))
			return NAN;
	qsort(x, n, sizeof *x, compare);
	return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

static float sorted_mad(const struct slab *s, size_t channel, float *buffer)
{
	for (size_t i = 0; i < s->nframes; i++)
		buffer[i] = slab_get(s, i, channel);
	float m = sorted_median(buffer, s->nframes);
	for (size_t i = 0; i < s->nframes; i++)
		buffer[i] = fabsf(buffer[i] - m);
	return sorted_median(buffer, s->nframes) / 0.6744897501960817f;
}

static struct slab new_slab(size_t nframes, size_t nchannels)
{
	size_t ntiles = (nchannels + LANES - 1) / LANES, stride = (nframes + check_below(3)) * LANES;
	size_t nbytes = ((ntiles - 1) * stride + nframes * LANES) * sizeof(float);
	return (struct slab){ memset(check_guard(nbytes, CHECK_END), 0, nbytes), nchannels, ntiles, stride, nframes, 0 };
}

static void mad(const struct slab *s, const struct executor *ex, float *level)
{
	size_t nbytes = noise_scratch(s, ex);
	check_that(nbytes % 64 == 0, "scratch of %zu bytes", nbytes);
	check_that(noise_level(NOISE_MAD, s, ex, check_guard(nbytes, CHECK_END), level) == STATUS_OK, "noise_level");
}

/* What breaks a selection: ties, two values, order, huge ranges, zeros of both signs. */
enum { FILL_TWO = CHECK_NAN + 1, FILL_INTEGERS, FILL_ASCENDING, FILL_EXPONENTS, FILL_ZEROS, FILL_STRIPES, FILL_COUNT };

static float value(int fill, size_t i, size_t n)
{
	switch (fill) {
	case FILL_TWO:
		return check_below(2) ? 1.0f : 2.0f;
	case FILL_INTEGERS:
		return rintf(3 * check_f32());
	case FILL_ASCENDING:
		return (float)i - (float)(n / 3);
	case FILL_EXPONENTS:
		return ldexpf(check_f32(), (int)check_below(200) - 100);
	case FILL_ZEROS:
		return check_below(3) ? (check_below(2) ? -0.0f : 0.0f) : check_f32();
	default: /* what an even sample never sees */
		return i % 8 == 0 ? 100.0f : check_f32();
	}
}

static void fill_slab(struct slab *s, int fill)
{
	float *column = malloc((s->nframes + 1) * sizeof *column);
	for (size_t c = 0; c < s->nchannels; c++) {
		if (fill <= CHECK_NAN)
			check_fill_f32(column, s->nframes, (enum check_fill)fill);
		for (size_t i = 0; i < s->nframes; i++)
			slab_at(s, c / LANES, i)[c % LANES] = fill <= CHECK_NAN ? column[i] : value(fill, i, s->nframes);
	}
	free(column);
}

CHECK_TEST(noise_mad_sorted)
{
	static const struct executor *const executors[] = { &executor_serial, &check_reverse, &check_threads };
	CHECK_EACH_ISA(isa)
		for (size_t n = 1; n < 6000; n = n < 40 ? n + 1 : n + n / 2 + check_below(9))
			for (int fill = 0; fill < FILL_COUNT; fill++) {
				size_t nchannels = 1 + check_below(20);
				struct slab s = new_slab(n, nchannels);
				float level[32], *buffer = malloc(n * sizeof *buffer);
				fill_slab(&s, fill);
				mad(&s, executors[check_below(3)], level);
				for (size_t c = 0; c < nchannels; c++) {
					float ref = sorted_mad(&s, c, buffer);
					check_that(isnan(ref) ? isnan(level[c]) : ref == level[c] && !signbit(level[c]),
						   "%.9g, not %.9g (fill %d, %zu frames, channel %zu)", level[c], ref, fill, n, c);
				}
				free(buffer);
				check_release();
			}
}

/* Long and hard: the step of bisection, and brackets that fail. */
CHECK_TEST(noise_mad_long)
{
	enum { N = 60000 };
	float *buffer = malloc(N * sizeof *buffer), level[LANES];
	CHECK_EACH_ISA(isa)
		for (int fill = 0; fill < FILL_COUNT; fill++) {
			struct slab s = new_slab(N - check_below(2), 3);
			fill_slab(&s, fill);
			mad(&s, &executor_serial, level);
			for (size_t c = 0; c < 3; c++) {
				float ref = sorted_mad(&s, c, buffer);
				check_that(isnan(ref) ? isnan(level[c]) : ref == level[c], "%.9g, not %.9g (fill %d)", level[c], ref, fill);
			}
			check_release();
		}
	free(buffer);
}

CHECK_TEST(noise_transpose)
{
	CHECK_EACH_ISA(isa)
		for (size_t n = 0; n < 70; n++) {
			size_t stride = n + check_below(20);
			float *x = check_guard(n * LANES * sizeof *x, CHECK_END);
			float *out = check_guard((15 * stride + n) * sizeof *out, CHECK_END);
			check_fill_f32(x, n * LANES, check_below(2) ? CHECK_NOISE : CHECK_NAN);
			unsigned nan = ISA_PICK(noise_transpose)(x, n, out, stride), expected = 0;
			for (size_t i = 0; i < n; i++)
				for (size_t c = 0; c < LANES; c++) {
					check_same("value", &x[i * LANES + c], &out[c * stride + i], sizeof *x);
					expected |= (unsigned)(isnan(x[i * LANES + c]) != 0) << c;
				}
			check_that(nan == expected, "%zu frames: NaN in %04x, not %04x", n, nan, expected);
			check_release();
		}
}

CHECK_TEST(noise_mad_numpy)
{
	CHECK_EACH_ISA(isa)
		for (size_t i = 0; i < sizeof golden_mad / sizeof *golden_mad; i++) {
			size_t n = (size_t)golden_mad_lengths[i];
			struct slab s = new_slab(n, 2);
			float level[2], expected[2] = { golden_mad[i], golden_mad_ties[i] };
			for (size_t t = 0; t < n; t++) {
				slab_at(&s, 0, t)[0] = golden_f32(t);
				slab_at(&s, 0, t)[1] = truncf(golden_f32(t) / 64);
			}
			mad(&s, &executor_serial, level);
			check_same("level", expected, level, sizeof level);
			check_release();
		}
}

/* The sums in long double: what f64 in any order may differ by is far below the last bit of f32, so at most that one differs. */
CHECK_TEST(noise_other_methods)
{
	CHECK_EACH_ISA(isa)
		for (size_t n = 1; n < 6000; n = n < 40 ? n + 1 : n + n / 2 + check_below(9)) {
			struct slab s = new_slab(n, 20);
			float level[3][20], *buffer = malloc(n * sizeof *buffer);
			fill_slab(&s, 0);
			for (int k = 0; k < 3; k++) {
				void *scratch = check_guard(noise_scratch(&s, &executor_serial), CHECK_END);
				check_that(noise_level((enum noise_method)(NOISE_QUIROGA + k), &s, &executor_serial, scratch, level[k]) == STATUS_OK, "level");
			}
			for (size_t c = 0; c < 20; c++) {
				long double sum = 0, squares = 0, around = 0;
				for (size_t t = 0; t < n; t++) {
					const long double v = slab_get(&s, t, c);
					buffer[t] = fabsf((float)v);
					sum += v;
					squares += v * v;
				}
				for (size_t t = 0; t < n; t++)
					around += (slab_get(&s, t, c) - sum / n) * (slab_get(&s, t, c) - sum / n);
				const float quiroga = sorted_median(buffer, n) / 0.6745f;
				const double std = (double)sqrtl(around / n), rms = (double)sqrtl(squares / n);
				check_that(level[0][c] == quiroga, "Quiroga %.9g, not %.9g", level[0][c], quiroga);
				check_that(fabs(level[1][c] - std) <= std * FLT_EPSILON, "std %.9g, not %.9g", level[1][c], std);
				check_that(fabs(level[2][c] - rms) <= rms * FLT_EPSILON, "rms %.9g, not %.9g", level[2][c], rms);
			}
			free(buffer);
			check_release();
		}
}

CHECK_TEST(noise_mad_empty)
{
	struct slab s = { NULL, 3, 1, 0, 0, 0 };
	float level[3], scratch[1];
	check_that(noise_level(NOISE_MAD, &s, &executor_serial, scratch, level) == STATUS_INVALID, "no frames");
}

CHECK_TEST(noise_random_chunks)
{
	enum { NSEGMENTS = sizeof golden_segments / sizeof *golden_segments, NSEEDS = sizeof golden_seeds / sizeof *golden_seeds };
	int64_t starts[NSEGMENTS * 20];
	for (uint64_t i = 0; i < 4; i++)
		check_that(golden_bits(i) == golden_splitmix[i], "the generator of the golden inputs");
	for (size_t i = 0; i < NSEEDS; i++) {
		check_that(random_chunks(golden_seeds[i], NSEGMENTS, golden_segments, 15000, 10, 20, starts, NULL) == STATUS_OK, "seed %zu", i);
		check_same("starts", golden_starts + i * NSEGMENTS * 20, starts, sizeof starts);
	}
	/* detection.md 2.6 */
	const int64_t first[] = { 148500, 368147, 676032 }, drawn[] = { 4592561, 5723101, 7642859 }, nframes = 8985000 + 15000, n2 = 30000;
	check_that(random_chunks(0, 1, &nframes, 15000, 0, 20, starts, NULL) == STATUS_OK, "chunks");
	check_same("first three", first, starts, sizeof first);
	check_that(random_chunks(0, 1, &nframes, 15000, 0, 3, starts, NULL) == STATUS_OK, "chunks");
	check_same("three draws", drawn, starts, sizeof drawn);
	check_that(random_chunks(0, 1, &n2, 30000, 0, 3, starts, NULL) == STATUS_INVALID, "a segment too short");
}

/* A chunk of 0.5 s as SpikeInterface takes 20 of. */
CHECK_TEST(noise_speed)
{
	enum { N = 15000, C = 384 };
	float level[C];
	struct slab s = { check_guard((size_t)N * C * sizeof(float), CHECK_START), C, C / LANES, (size_t)N * LANES, N, 0 };
	struct slab raw = { check_guard((size_t)N * C * sizeof(float), CHECK_START), C, C / LANES, (size_t)N * LANES, N, 0 };
	for (size_t i = 0; i < (size_t)N * C; i++) {
		s.x[i] = (float)(check_uniform() + check_uniform() + check_uniform() - 1.5);
		raw.x[i] = rintf(20 * s.x[i]);
	}
	void *scratch = check_guard(noise_scratch(&s, &executor_serial), CHECK_START);
	CHECK_EACH_ISA(isa) {
		CHECK_BENCH("noise_mad 15 000 x 384, noise", (double)N * C)
			noise_level(NOISE_MAD, &s, &executor_serial, scratch, level);
		CHECK_BENCH("noise_mad 15 000 x 384, integers", (double)N * C)
			noise_level(NOISE_MAD, &raw, &executor_serial, scratch, level);
	}
}
