/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Reductions against NumPy (golden_numpy.h) and against long double.
 *
 * Tolerances. In a block of R rows and F columns a channel a value goes through at most R / 8 + 7 + 3 additions of rows and log2(F) of
 * columns, and through log2(nblocks) in the tree: with R <= 1024 and F <= 64 that is below 150 + log2(nblocks), and each rounds by at
 * most eps / 2 of a partial sum that is no larger than S, the sum of |terms|. A square rounds once more, a deviation three times, and
 * what an inexact mean does to m2 is n * (mean's error)^2, of second order while |mean| is not many times std. So k = 160 with eps * S
 * bounds sums and m2; a square root halves the relative error. Integers up to 32 bits (squares: 16) are exact.
 */
#include "kernels/reduce.h"
#include "tests/check/check.h"
#include "tests/check/golden_numpy.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NOPS = 9, ALL_OPS = (1 << NOPS) - 1, TOLERANCE = 160 };

static const enum dtype dtypes[] = { DTYPE_I8, DTYPE_U8, DTYPE_I16, DTYPE_U16, DTYPE_I32, DTYPE_U32, DTYPE_I64, DTYPE_U64, DTYPE_F32, DTYPE_F64 };
enum { NDTYPES = sizeof dtypes / sizeof *dtypes };

/* Value i of an array at any alignment. */
static long double load(enum dtype dtype, const void *x, size_t i)
{
	const char *at = (const char *)x + i * dtype_size(dtype);
	union { int8_t i8; uint8_t u8; int16_t i16; uint16_t u16; int32_t i32; uint32_t u32; int64_t i64; uint64_t u64; float f32; double f64; } v;
	memcpy(&v, at, dtype_size(dtype));
	switch (dtype) {
	case DTYPE_I8: return v.i8;
	case DTYPE_U8: return v.u8;
	case DTYPE_I16: return v.i16;
	case DTYPE_U16: return v.u16;
	case DTYPE_I32: return v.i32;
	case DTYPE_U32: return v.u32;
	case DTYPE_I64: return v.i64;
	case DTYPE_U64: return v.u64;
	case DTYPE_F32: return v.f32;
	default: return v.f64;
	}
}

/* All blocks, last first, joined. */
static struct moments *reduce(enum dtype dtype, const void *x, size_t nframes, size_t nchannels, double threshold, unsigned ops)
{
	size_t block = reduce_block(nchannels), nblocks = nframes ? (nframes + block - 1) / block : 1;
	struct moments *m = malloc(nblocks * nchannels * sizeof *m);
	for (size_t i = nblocks; i-- > 0;) {
		size_t n = nframes - i * block < block ? nframes - i * block : block;
		const char *at = (const char *)x + i * block * nchannels * dtype_size(dtype);
		check_that(reduce_block_moments(dtype, at, n, nchannels, threshold, ops, m + i * nchannels) == STATUS_OK, "block");
	}
	reduce_join(m, nblocks, nchannels);
	return m;
}

/* --- NumPy --- */

static uint64_t golden_bits(uint64_t i)
{
	uint64_t z = (i + 1) * 0x9e3779b97f4a7c15;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* The inputs of golden_numpy.py: the top bits; floats scaled. */
static void golden_input(enum dtype dtype, char *x, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t b = golden_bits(i);
		size_t size = dtype_size(dtype);
		float f = ((float)(int64_t)(b >> 44) - 0x1p19f) * 0x1p-10f * (float)(i % 7 + 1);
		double d = ((double)(int64_t)(b >> 14) - 0x1p49) * 0x1p-40 * (double)(i % 7 + 1);
		b >>= 64 - 8 * size;
		memcpy(x + i * size, dtype == DTYPE_F32 ? (void *)&f : dtype == DTYPE_F64 ? (void *)&d : (void *)&b, size);
	}
}

static void compare_golden(enum dtype dtype, const struct moments *m, const double *golden, double abs_sum)
{
	bool exact = dtype_size(dtype) <= 4, exact_squares = dtype_size(dtype) <= 2;
	for (int i = 0; i < NOPS; i++) {
		enum reduce_op op = (enum reduce_op)(1 << i);
		double got = reduce_result(op, m), scale = fabs(golden[i]);
		bool sum = op == REDUCE_sum || op == REDUCE_weighted_sum, extreme = op == REDUCE_min || op == REDUCE_max;
		if (op == REDUCE_count_above || extreme || (sum && exact) || (op == REDUCE_sum_of_squares && exact_squares)) {
			check_that(got == golden[i], "%s op %d: %.17g, not %.17g", dtype_name(dtype), i, got, golden[i]);
			continue;
		}
		/* NumPy's value went through long double, so a quotient may be rounded twice: 1 */
		double k = op == REDUCE_mean && exact ? 1 : TOLERANCE;
		scale = sum ? abs_sum : op == REDUCE_mean && !exact ? abs_sum / (double)m->count : scale;
		check_near_f64(dtype_name(dtype), &golden[i], &got, &scale, 1, k);
	}
}

CHECK_TEST(reduce_numpy)
{
	enum { N = 5000 };
	CHECK_EACH_ISA(isa)
		for (size_t t = 0; t < NDTYPES; t++) {
			size_t nbytes = N * dtype_size(dtypes[t]);
			char *x = (char *)check_guard(nbytes + 1, CHECK_START) + 1;
			golden_input(dtypes[t], x, N);
			double threshold = (double)load(dtypes[t], x, 17), abs_sum = 0;
			for (size_t i = 0; i < N; i++)
				abs_sum += fabs((double)load(dtypes[t], x, i));
			for (size_t nchannels = 1; nchannels <= 2; nchannels++) {
				struct moments *m = reduce(dtypes[t], x, N / nchannels, nchannels, threshold, ALL_OPS);
				for (size_t c = 0; c < nchannels; c++)
					compare_golden(dtypes[t], &m[c], golden_reduce + (3 * t + (nchannels - 1) + c) * NOPS, abs_sum);
				free(m);
			}
			check_release();
		}
}

/* --- long double --- */

struct truth {
	long double sum, abs_sum, square, weighted, m2;
	double above, min, max;
};

static double worse(double a, double b, int sign)
{
	return isnan(a) || isnan(b) ? NAN : sign * b > sign * a ? b : a;
}

static struct truth truth_of(enum dtype dtype, const void *x, size_t nframes, size_t nchannels, size_t c, double threshold)
{
	struct truth r = { .min = nframes ? INFINITY : NAN, .max = nframes ? -INFINITY : NAN };
	for (size_t i = 0; i < nframes; i++) {
		long double v = load(dtype, x, i * nchannels + c);
		r.sum += v;
		r.abs_sum += fabsl(v);
		r.square += v * v;
		r.above += (double)v > threshold;
		r.weighted += (double)v > threshold ? v : -v;
		r.min = worse(r.min, (double)v, -1);
		r.max = worse(r.max, (double)v, 1);
	}
	for (size_t i = 0; i < nframes; i++) {
		long double d = load(dtype, x, i * nchannels + c) - r.sum / (long double)nframes;
		r.m2 += d * d;
	}
	return r;
}

static void compare_truth(const struct moments *m, const struct truth *r, size_t nframes)
{
	double n = (double)nframes, abs_sum = (double)r->abs_sum;
	const double ref[NOPS] = { r->above, (double)r->sum, (double)r->square, (double)r->weighted, (double)(r->sum / n),
				   sqrt((double)r->m2 / n), sqrt((double)r->square / n), r->min, r->max };
	/* std: what rounding the mean does, at most eps * TOLERANCE * mean of |x|, is added since data may be nearly constant */
	const double scale[NOPS] = { 0, abs_sum, ref[2], abs_sum, abs_sum / n, ref[5] + abs_sum / n, ref[6], 0, 0 };
	for (int i = 0; i < NOPS; i++) {
		double got = reduce_result((enum reduce_op)(1 << i), m);
		bool zero = i < 4 && nframes == 0;
		check_near_f64("result", &(double){ zero ? 0 : ref[i] }, &got, &(double){ nframes ? scale[i] : 0 }, 1, TOLERANCE);
	}
}

static void fill(enum dtype dtype, char *x, size_t n, bool odd)
{
	float *f = malloc(n * sizeof *f + 1);
	double *d = malloc(n * sizeof *d + 1);
	enum check_fill how = odd ? CHECK_NAN : (enum check_fill)check_below(CHECK_NFILL);
	check_fill_bytes(x, n * dtype_size(dtype));
	check_fill_f32(f, n, how);
	check_fill_f64(d, n, how);
	if (dtype == DTYPE_F32)
		memcpy(x, f, n * sizeof *f);
	if (dtype == DTYPE_F64)
		memcpy(x, d, n * sizeof *d);
	free(f);
	free(d);
}

/* The bits of the results; of NaN only that it is one. */
static void hold_variants(const struct moments *m, size_t nchannels)
{
	for (size_t c = 0; c < nchannels; c++) {
		double v[NOPS];
		for (int i = 0; i < NOPS; i++) {
			v[i] = reduce_result((enum reduce_op)(1 << i), &m[c]);
			if (isnan(v[i]))
				v[i] = NAN;
		}
		check_variants("moments", v, sizeof v);
	}
}

CHECK_TEST(reduce_shapes)
{
	static const size_t channels[] = { 1, 2, 3, 4, 5, 7, 16, 31, 32, 33, 40, 385, 511, 512, 513, 1100 };
	CHECK_EACH_ISA(isa)
		for (size_t t = 0; t < NDTYPES; t++)
			for (size_t i = 0; i < sizeof channels / sizeof *channels; i++)
				for (int round = 0; round < 6; round++) {
					size_t nchannels = channels[i], most = nchannels > 40 ? 80 : nchannels == 1 ? 40000 : 3000;
					size_t nframes = round < 3 ? check_below(round == 0 ? 4 : 70) : check_below(most);
					size_t nbytes = nframes * nchannels * dtype_size(dtypes[t]);
					char *x = check_guard(nbytes, CHECK_END);
					fill(dtypes[t], x, nframes * nchannels, round % 3 == 2);
					double threshold = dtypes[t] == DTYPE_F64 || dtypes[t] == DTYPE_F32 ? 3.5 : 50;
					struct moments *m = reduce(dtypes[t], x, nframes, nchannels, threshold, ALL_OPS);
					for (size_t c = 0; c < nchannels; c += 1 + nchannels / 16) {
						struct truth r = truth_of(dtypes[t], x, nframes, nchannels, c, threshold);
						compare_truth(&m[c], &r, nframes);
					}
					hold_variants(m, nchannels);
					free(m);
					check_release();
				}
}

/* One operation alone has the bits it has among others. */
CHECK_TEST(reduce_one_operation)
{
	enum { N = 20000 };
	double *x = malloc(N * sizeof *x);
	check_fill_f64(x, N, CHECK_NOISE);
	for (size_t nchannels = 1; nchannels <= 50; nchannels += 7) {
		struct moments *all = reduce(DTYPE_F64, x, N / nchannels, nchannels, 1, ALL_OPS);
		for (int i = 0; i < NOPS; i++) {
			struct moments *one = reduce(DTYPE_F64, x, N / nchannels, nchannels, 1, 1u << i);
			for (size_t c = 0; c < nchannels; c++) {
				double a = reduce_result((enum reduce_op)(1 << i), &all[c]), b = reduce_result((enum reduce_op)(1 << i), &one[c]);
				check_same("operation", &a, &b, sizeof a);
			}
			free(one);
		}
		free(all);
	}
	free(x);
}

/* std of small noise on a great offset: the joined deviations keep digits that sum(x^2) - n mean^2 has lost. */
CHECK_TEST(reduce_std_is_stable)
{
	enum { N = 100000 };
	double *x = malloc(N * sizeof *x);
	for (size_t i = 0; i < N; i++)
		x[i] = 1e9 + (i & 1 ? 1 : -1);
	struct moments *m = reduce(DTYPE_F64, x, N, 1, 0, REDUCE_std);
	check_that(fabs(reduce_result(REDUCE_std, m) - 1) < 1e-9, "std %.17g, not 1", reduce_result(REDUCE_std, m));
	free(m);
	free(x);
}

CHECK_TEST(reduce_refuses)
{
	struct moments m[4];
	char x[16] = { 0 };
	static const enum dtype bad[] = { DTYPE_BOOL, DTYPE_F16, DTYPE_C64, DTYPE_C128, DTYPE_PEAK, DTYPE_NONE, DTYPE_COUNT };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		check_that(reduce_block_moments(bad[i], x, 1, 1, 0, ALL_OPS, m) == STATUS_UNSUPPORTED, "dtype %d", (int)bad[i]);
	check_that(reduce_block_moments(DTYPE_I8, x, 1025, 2, 0, ALL_OPS, m) == STATUS_INVALID, "a block too long");
	check_that(reduce_op_from_name("std") == REDUCE_std && reduce_op_from_name("sum_of_squares") == REDUCE_sum_of_squares, "names");
	check_that(reduce_op_from_name("") == 0 && reduce_op_from_name("st") == 0, "unknown names");
}

/* --- cumsum --- */

/* Two sums of t terms differ by no more than t roundings of partial sums; in chunks there are at most that many. */
static void compare_cumsum(enum dtype dtype, const void *x, size_t nframes, size_t nchannels, const double *y)
{
	for (size_t c = 0; c < nchannels; c++) {
		double serial = 0, scale = 0;
		long double sum = 0;
		for (size_t t = 0; t < nframes; t++) {
			double v = (double)load(dtype, x, t * nchannels + c), got = y[t * nchannels + c];
			serial += v;
			sum += v;
			scale += fabs(v);
			double ref = isfinite(serial) ? (double)sum : serial;
			if (!check_near_f64("cumsum", &ref, &got, &scale, 1, (double)(t + 2)))
				return;
		}
	}
}

static double *run_cumsum(enum dtype dtype, const void *x, size_t nframes, size_t nchannels, const struct executor *ex)
{
	size_t nchunks = (nframes + CUMSUM_CHUNK - 1) / CUMSUM_CHUNK;
	double *carries = check_guard(nchunks * nchannels * sizeof(double), CHECK_END);
	double *y = check_guard(nframes * nchannels * sizeof(double), CHECK_END);
	check_that(cumsum(dtype, x, nframes, nchannels, ex, carries, y) == STATUS_OK, "cumsum");
	return y;
}

CHECK_TEST(reduce_cumsum)
{
	static const struct executor *const executors[] = { &executor_serial, &check_reverse, &check_threads };
	CHECK_EACH_ISA(isa)
		for (size_t t = 0; t < NDTYPES; t++)
			for (int round = 0; round < 8; round++) {
				size_t nchannels = round & 1 ? 1 : 1 + check_below(40), most = nchannels == 1 ? 40000 : 20000;
				size_t nframes = round < 4 ? check_below(30) : check_below(most);
				char *x = check_guard(nframes * nchannels * dtype_size(dtypes[t]), CHECK_END);
				fill(dtypes[t], x, nframes * nchannels, round == 3);
				double *y = run_cumsum(dtypes[t], x, nframes, nchannels, executors[check_below(3)]);
				compare_cumsum(dtypes[t], x, nframes, nchannels, y);
				check_variants("cumsum", y, round == 3 ? 0 : nframes * nchannels * sizeof *y);
				check_release();
			}
	check_that(cumsum(DTYPE_C64, NULL, 0, 1, &executor_serial, NULL, NULL) == STATUS_UNSUPPORTED, "complex");
}

/* Infinities, NaN, and sums that overflow on their way but not in the end, in one channel of three: every value is finite, infinite or
 * NaN as the plain loop has it. */
CHECK_TEST(reduce_cumsum_nonfinite)
{
	enum { N = 3 * CUMSUM_CHUNK + 100, C = 3 };
	static const double odd[] = { NAN, INFINITY, -INFINITY, 1e308, -1e308, 1.7e308, -1.7e308 };
	double *x = malloc(N * C * sizeof *x);
	for (int round = 0; round < 60; round++) {
		check_fill_f64(x, N * C, CHECK_NOISE);
		for (size_t i = check_below(12); i > 0; i--)
			x[check_below(N) * C + 1] = odd[check_below(7)];
		if (round % 4 == 0)
			for (size_t i = 0; i < 1000; i++)
				x[(CUMSUM_CHUNK - 500 + i) * C + 1] = i % 2 ? -1.5e308 : 1.5e308;
		double *y = run_cumsum(DTYPE_F64, x, N, C, &check_reverse);
		compare_cumsum(DTYPE_F64, x, N, C, y);
		check_release();
	}
	free(x);
}

CHECK_TEST(reduce_cumsum_numpy)
{
	char *x = malloc(5000 * 8);
	golden_input(DTYPE_F64, x, 5000);
	double *y = run_cumsum(DTYPE_F64, x, 5000, 1, &executor_serial), scale = 0;
	for (size_t i = 0; i < 5000; i++) {
		scale += fabs((double)load(DTYPE_F64, x, i));
		if (i % 500 == 499)
			check_near_f64("cumsum", &golden_cumsum[i / 500], &y[i], &scale, 1, (double)i);
	}
	free(x);
}

/* --- speed --- */

static void bench(const char *label, enum dtype dtype, const void *x, size_t nframes, size_t nchannels, unsigned ops)
{
	CHECK_EACH_ISA(isa)
		CHECK_BENCH(label, (double)nframes * (double)nchannels)
			free(reduce(dtype, x, nframes, nchannels, 1, ops));
}

CHECK_TEST(reduce_speed)
{
	enum { N = 10000000 };
	double *x = check_guard(N * sizeof *x, CHECK_START), *y = check_guard(N * sizeof *y, CHECK_START);
	double *carries = check_guard(N / 8 * sizeof *carries, CHECK_START);
	for (size_t i = 0; i < N; i++) {
		uint64_t r = check_rand();
		x[i] = (double)(int16_t)r;
	}
	bench("sum f64 10 M", DTYPE_F64, x, N, 1, REDUCE_sum);
	bench("std f64 10 M", DTYPE_F64, x, N, 1, REDUCE_std);
	bench("min max f64 10 M", DTYPE_F64, x, N, 1, REDUCE_min | REDUCE_max);
	bench("all operations f64 10 M", DTYPE_F64, x, N, 1, ALL_OPS);
	bench("sum f32 50 000 x 384", DTYPE_F32, x, 50000, 384, REDUCE_sum);
	bench("sum i16 100 000 x 384", DTYPE_I16, x, 100000, 384, REDUCE_sum);
	bench("std i16 100 000 x 384", DTYPE_I16, x, 100000, 384, REDUCE_std);
	bench("all operations i16 100 000 x 384", DTYPE_I16, x, 100000, 384, ALL_OPS);
	CHECK_EACH_ISA(isa) {
		CHECK_BENCH("cumsum f64 10 M", N)
			cumsum(DTYPE_F64, x, N, 1, &executor_serial, carries, y);
		CHECK_BENCH("cumsum f64 312 500 x 32", N)
			cumsum(DTYPE_F64, x, N / 32, 32, &executor_serial, carries, y);
		CHECK_BENCH("cumsum i16 26 000 x 384", 26000 * 384)
			cumsum(DTYPE_I16, x, 26000, 384, &executor_serial, carries, y);
	}
}
