/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/convert.h"
#include "tests/check/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const enum dtype dtypes[] = { DTYPE_I8, DTYPE_U8, DTYPE_I16, DTYPE_U16, DTYPE_I32, DTYPE_U32, DTYPE_I64, DTYPE_U64, DTYPE_F32, DTYPE_F64 };
static const size_t shapes[] = { 1, 2, 15, 16, 17, 33, 385 };

enum { NDTYPES = sizeof dtypes / sizeof *dtypes, NSHAPES = sizeof shapes / sizeof *shapes };

/* One value, by plain C conversions. */
static float expected(enum dtype dtype, const char *at, const double *gain, const double *offset, size_t c)
{
#define AS(name, type)                                                                    \
	case DTYPE_##name: {                                                              \
		type v;                                                                   \
		memcpy(&v, at, sizeof v);                                                 \
		return gain ? (float)((double)v * gain[c] + offset[c]) : (float)v;        \
	}
	switch (dtype) {
	AS(I8, int8_t)
	AS(U8, uint8_t)
	AS(I16, int16_t)
	AS(U16, uint16_t)
	AS(I32, int32_t)
	AS(U32, uint32_t)
	AS(I64, int64_t)
	AS(U64, uint64_t)
	AS(F32, float)
	AS(F64, double)
	default:
		return NAN;
	}
#undef AS
}

/* Same bits, but any NaN for a NaN: which payload survives an operation is the processor's choice. */
static bool same(float a, float b)
{
	return (isnan(a) && isnan(b)) || memcmp(&a, &b, sizeof a) == 0;
}

static void check_shape(enum dtype dtype, size_t nframes, size_t nchannels, bool scaled, enum check_edge edge)
{
	size_t item = dtype_size(dtype), ntiles = (nchannels + LANES - 1) / LANES, stride = (nframes + 3) * LANES;
	double gain[385], offset[385];
	char *x = check_guard(nframes * nchannels * item, edge);
	float *y = check_guard((ntiles * stride) * sizeof *y, CHECK_START);

	check_fill_bytes(x, nframes * nchannels * item);
	for (size_t c = 0; c < nchannels; c++) {
		gain[c] = check_uniform() * 3 - 1;
		offset[c] = check_uniform() * 100 - 50;
	}
	convert_frames(dtype, x, nframes, nchannels, scaled ? gain : NULL, scaled ? offset : NULL, y, stride);
	for (size_t t = 0; t < nframes; t++)
		for (size_t c = 0; c < ntiles * LANES; c++) {
			float got = y[c / LANES * stride + t * LANES + c % LANES];
			float want = c < nchannels ? expected(dtype, x + (t * nchannels + c) * item, scaled ? gain : NULL, offset, c) : 0.0f;
			if (!same(want, got)) {
				check_fail(__FILE__, __LINE__, "%s frame %zu channel %zu of %zux%zu, scaled %d: %a, not %a", dtype_name(dtype), t, c,
					   nframes, nchannels, scaled, (double)got, (double)want);
				return;
			}
		}
	check_release();
}

CHECK_TEST(convert_shapes)
{
	CHECK_EACH_ISA(isa)
		for (size_t d = 0; d < NDTYPES; d++)
			for (size_t s = 0; s < NSHAPES; s++)
				for (size_t n = 0; n < 80; n = n < 33 && s < 6 ? n + 1 : 2 * n + 1 + check_below(9))
					for (int scaled = 0; scaled < 2; scaled++)
						check_shape(dtypes[d], n, shapes[s], scaled, n % 2 ? CHECK_END : CHECK_START);
}

/* Rows that do not fit the stage, and the last that do. */
CHECK_TEST(convert_long_rows)
{
	static const size_t nchannels[] = { 4095, 4096, 4097, 17000 };
	double *x = malloc(3 * 17000 * sizeof *x);
	float *y = aligned_alloc(64, 3 * 17024 * sizeof *y);
	CHECK_EACH_ISA(isa)
		for (size_t k = 0; k < 4; k++) {
			size_t n = nchannels[k];
			check_fill_f64(x, 3 * n, CHECK_NOISE);
			convert_frames(DTYPE_F64, x, 3, n, NULL, NULL, y, 3 * LANES);
			for (size_t t = 0; t < 3; t++)
				for (size_t c = 0; c < n; c++)
					check_that(y[c / LANES * 3 * LANES + t * LANES + c % LANES] == (float)x[t * n + c], "%zu channels: frame %zu channel %zu", n, t, c);
		}
	free(x);
	free(y);
}

/* Every value of 16 bits, signed and not, 16 channels in a frame, at an odd address. */
CHECK_TEST(convert_all_16_bit)
{
	enum { N = 65536 };
	float *y = aligned_alloc(64, N * sizeof *y);
	char *bytes = malloc(N * 2 + 1);
	CHECK_EACH_ISA(isa)
		for (int is_signed = 0; is_signed < 2; is_signed++) {
			for (uint32_t v = 0; v < N; v++) {
				uint16_t word = (uint16_t)v;
				memcpy(bytes + 1 + 2 * v, &word, 2);
			}
			convert_frames(is_signed ? DTYPE_I16 : DTYPE_U16, bytes + 1, N / LANES, LANES, NULL, NULL, y, N);
			for (uint32_t v = 0; v < N; v++) {
				float want = is_signed ? (float)(int16_t)(uint16_t)v : (float)v;
				check_that(y[v] == want, "%u became %g", v, (double)y[v]);
			}
		}
	free(y);
	free(bytes);
}

/* Rounding of integers that f32 cannot hold: once, ties to even. */
CHECK_TEST(convert_wide_integers)
{
	static const int64_t signed_values[] = { INT64_MIN, INT64_MAX, 16777217, 16777219, -16777217, 0x4000004000000001, 0x4000003fffffffff, 0 };
	static const uint64_t unsigned_values[] = { UINT64_MAX, 0x8000000000000000, 0x8000008000000001, 0x8000008000000000, 16777217, 1, 0, 3 };
	_Alignas(64) float y[LANES];
	CHECK_EACH_ISA(isa) {
		convert_frames(DTYPE_I64, signed_values, 1, 8, NULL, NULL, y, LANES);
		for (int i = 0; i < 8; i++)
			check_that(y[i] == (float)signed_values[i], "i8 %lld became %a", (long long)signed_values[i], (double)y[i]);
		convert_frames(DTYPE_U64, unsigned_values, 1, 8, NULL, NULL, y, LANES);
		for (int i = 0; i < 8; i++)
			check_that(y[i] == (float)unsigned_values[i], "u8 %llu became %a", (unsigned long long)unsigned_values[i], (double)y[i]);
	}
	check_that(!convert_takes(DTYPE_BOOL) && !convert_takes(DTYPE_F16) && !convert_takes(DTYPE_C64) && !convert_takes(DTYPE_PEAK) &&
			   !convert_takes(DTYPE_NONE),
		   "takes too much");
}

CHECK_TEST(convert_bench)
{
	enum { FRAMES = 2048, CHANNELS = 384, STRIDE = (FRAMES + 1) * LANES };
	static const struct {
		enum dtype dtype;
		bool scaled;
		const char *label;
	} cases[] = { { DTYPE_I16, false, "convert i16" }, { DTYPE_U16, false, "convert u16" }, { DTYPE_F32, false, "convert f32" },
		      { DTYPE_I16, true, "convert i16 gain" } };
	char *x = calloc(FRAMES * CHANNELS, 4);
	float *y = aligned_alloc(64, sizeof *y * STRIDE * CHANNELS / LANES);
	double gain[CHANNELS], offset[CHANNELS];
	for (int c = 0; c < CHANNELS; c++) {
		gain[c] = 0.195;
		offset[c] = 1;
	}
	CHECK_EACH_ISA(isa)
		for (int i = 0; i < 4; i++)
			CHECK_BENCH(cases[i].label, FRAMES * CHANNELS)
				convert_frames(cases[i].dtype, x, FRAMES, CHANNELS, cases[i].scaled ? gain : NULL, cases[i].scaled ? offset : NULL, y,
					       STRIDE);
	free(x);
	free(y);
}
