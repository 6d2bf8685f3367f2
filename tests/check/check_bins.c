/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/bins.h"
#include "tests/check/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* By definition, a part of n frames of one channel: mean of |x| and crossings of bin i. */
static void plain(const float *x, size_t n, size_t i, const struct bins *b, double *power, double *rate)
{
	size_t start = i * b->frames, stop = start + b->frames < n ? start + b->frames : n;
	double sum = 0;
	uint32_t crossings = 0;
	for (size_t t = start; t < stop; t++) {
		double v = (double)x[t], before = t ? (double)x[t - 1] : 0;
		bool beyond = b->threshold < 0 ? v < b->threshold : v > b->threshold;
		bool was = t && (b->threshold < 0 ? before < b->threshold : before > b->threshold);
		sum += fabs(v);
		crossings += beyond && !was;
	}
	*power = sum / (double)(stop - start);
	*rate = crossings / ((double)(stop - start) / b->fs_hz);
}

static void push(struct bins *b, const float *x, size_t n, const struct executor *ex)
{
	size_t ntiles = (b->nchannels + LANES - 1) / LANES;
	float *tiles = check_guard(ntiles * (n + 1) * LANES * sizeof *tiles, CHECK_START);
	for (size_t c = 0; c < b->nchannels; c++)
		for (size_t t = 0; t < n; t++)
			tiles[c / LANES * (n + 1) * LANES + t * LANES + c % LANES] = x[c * n + t];
	for (size_t at = 0, piece; at < n; at += piece) {
		piece = 1 + check_below(n - at);
		struct slab s = { tiles + at * LANES, b->nchannels, ntiles, (n + 1) * LANES, piece, (int64_t)at };
		bins_add(b, &s, ex);
	}
	bins_end(b);
}

CHECK_TEST(bins_cut_anywhere)
{
	static const struct executor *const executors[] = { &executor_serial, &check_reverse, &check_threads };
	for (int round = 0; round < 60; round++) {
		size_t nchannels = 1 + check_below(40), row = 0;
		int64_t parts[3] = { (int64_t)check_below(300), 1 + (int64_t)check_below(300), 0 };
		struct bins b;
		check_that(bins_init(&b, nchannels, 1 + check_below(70), 1000, check_below(2) ? -8 : 5, parts, 3, 1 << 24, NULL) == STATUS_OK, "no bins");
		for (int part = 0; part < 3; part++) {
			size_t n = (size_t)parts[part], nbins = (n + b.frames - 1) / b.frames;
			float *x = malloc((n * nchannels + 1) * sizeof *x);
			check_fill_f32(x, n * nchannels, round % 5 ? CHECK_NOISE : CHECK_RAILS);
			push(&b, x, n, executors[round % 3]);
			for (size_t i = 0; i < nbins; i++, row++)
				for (size_t c = 0; c < nchannels; c++) {
					double power, rate;
					plain(x + c * n, n, i, &b, &power, &rate);
					check_that(power == b.power[row * nchannels + c] && rate == b.rate[row * nchannels + c],
						   "bin %zu channel %zu: %g, %g, not %g, %g", row, c, b.power[row * nchannels + c], b.rate[row * nchannels + c],
						   power, rate);
				}
			free(x);
		}
		check_that(b.nbins == row && b.capacity == row, "%zu bins, room for %zu, not %zu", b.nbins, b.capacity, row);
		bins_fini(&b);
		check_release();
	}
}

CHECK_TEST(bins_refuses)
{
	struct bins b;
	check_that(bins_init(&b, 100, 1, 1000, 0, &(int64_t){ 1000000 }, 1, 1 << 20, NULL) == STATUS_TOO_LARGE, "more than there is room for");
	check_that(bins_init(&b, SIZE_MAX / 64, 1, 1000, 0, &(int64_t){ INT64_MAX }, 1, SIZE_MAX, NULL) == STATUS_TOO_LARGE, "an overflow");
}

CHECK_TEST(bins_bench)
{
	enum { FRAMES = 4096, CHANNELS = 384 };
	float *x = check_guard(CHANNELS * FRAMES * sizeof *x, CHECK_START);
	struct slab s = { x, CHANNELS, CHANNELS / LANES, FRAMES * LANES, FRAMES, 0 };
	struct bins b;
	check_fill_f32(x, CHANNELS * FRAMES, CHECK_NOISE);
	if (bins_init(&b, CHANNELS, 600, 30000, -30, &(int64_t){ FRAMES }, 1, 1 << 24, NULL) == STATUS_OK)
		CHECK_BENCH("bins of 600", FRAMES * CHANNELS) {
			bins_add(&b, &s, &executor_serial);
			bins_end(&b);
			b.nbins = 0;
		}
	bins_fini(&b);
}
