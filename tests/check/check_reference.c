/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/reference.h"
#include "tests/check/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum fill { NORMAL, TIES, OUTLIERS, INFINITIES, SAME, DENORMALS, ZEROS, SOME_NAN, NFILLS };

static float draw(enum fill fill)
{
	switch (fill) {
	case TIES:
		return rintf(2 * check_f32());
	case OUTLIERS:
		return expf(40 * check_f32()) * (check_below(2) ? 1 : -1);
	case INFINITIES:
		return check_below(3) ? check_f32() : check_below(2) ? INFINITY : -INFINITY;
	case SAME:
		return 7.25f;
	case DENORMALS:
		return check_f32() * 1e-41f;
	case ZEROS:
		return check_below(2) ? 0.0f : -0.0f;
	case SOME_NAN:
		return check_below(300) ? check_f32() : NAN;
	default:
		return 20 * check_f32();
	}
}

struct block {
	size_t nframes, nchannels, ntiles, stride;
	float *x, *y; /* before, after */
	void *scratch;
};

static struct block make(size_t nframes, size_t nchannels, enum fill fill)
{
	struct block b = { .nframes = nframes, .nchannels = nchannels, .ntiles = (nchannels + LANES - 1) / LANES };
	b.stride = (nframes + 1) * LANES;
	b.x = check_guard(b.ntiles * b.stride * sizeof *b.x, CHECK_START);
	b.y = check_guard(b.ntiles * b.stride * sizeof *b.y, CHECK_START);
	b.scratch = check_guard(reference_scratch(nchannels), CHECK_START);
	for (size_t t = 0; t < nframes; t++)
		for (size_t c = 0; c < b.ntiles * LANES; c++)
			b.x[c / LANES * b.stride + t * LANES + c % LANES] = c < nchannels ? draw(fill) : 0.0f;
	memcpy(b.y, b.x, b.ntiles * b.stride * sizeof *b.x);
	return b;
}

static int ascending(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;
	return (x > y) - (x < y);
}

static float plain_median(float *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (isnan(v[i]))
			return NAN;
	qsort(v, n, sizeof *v, ascending);
	float m = n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
	return m + 0.0f;
}

static float plain_average(const float *v, size_t n)
{
	double sum[LANES] = { 0 };
	for (size_t c = 0; c < n; c++)
		sum[c % LANES] += (double)v[c];
	for (size_t half = LANES / 2; half; half /= 2)
		for (size_t i = 0; i < half; i++)
			sum[i] += sum[i + half];
	return (float)(sum[0] / (double)n);
}

static bool same(float a, float b)
{
	return (isnan(a) && isnan(b)) || memcmp(&a, &b, sizeof a) == 0;
}

static void compare(const struct block *b, bool median, const char *what)
{
	float *v = malloc(b->nchannels * sizeof *v);
	for (size_t t = 0; t < b->nframes; t++) {
		for (size_t c = 0; c < b->nchannels; c++)
			v[c] = b->x[c / LANES * b->stride + t * LANES + c % LANES];
		float reference = median ? plain_median(v, b->nchannels) : plain_average(v, b->nchannels);
		for (size_t c = 0; c < b->ntiles * LANES; c++) {
			size_t at = c / LANES * b->stride + t * LANES + c % LANES;
			float want = c < b->nchannels ? b->x[at] - reference : 0.0f;
			if (!same(want, b->y[at])) {
				check_fail(__FILE__, __LINE__, "%s, %zu frames of %zu channels: frame %zu channel %zu is %a, not %a", what, b->nframes,
					   b->nchannels, t, c, (double)b->y[at], (double)want);
				free(v);
				return;
			}
		}
	}
	free(v);
}

CHECK_TEST(reference_exact)
{
	static const size_t shapes[] = { 1, 2, 3, 4, 7, 15, 16, 17, 31, 32, 33, 64, 65, 384, 385 };
	CHECK_EACH_ISA(isa)
		for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
			for (enum fill fill = 0; fill < NFILLS; fill++)
				for (size_t n = 0; n < 70; n = n < 18 ? n + 1 : 2 * n) {
					struct block b = make(n, shapes[s], fill);
					reference_median(b.y, b.stride, n, b.nchannels, b.scratch);
					compare(&b, true, "median");
					memcpy(b.y, b.x, b.ntiles * b.stride * sizeof *b.x);
					reference_average(b.y, b.stride, n, b.nchannels);
					compare(&b, false, "average");
					check_release();
				}
}

/* Worst case of the search: values spread over all magnitudes, each channel another power of two. */
CHECK_TEST(reference_all_magnitudes)
{
	CHECK_EACH_ISA(isa) {
		struct block b = make(48, 277, NORMAL);
		for (size_t t = 0; t < 48; t++)
			for (size_t c = 0; c < 277; c++)
				b.x[c / LANES * b.stride + t * LANES + c % LANES] =
					ldexpf(check_below(2) ? 1.5f : -1.5f, (int)((c * 61 + t) % 277) - 148);
		memcpy(b.y, b.x, b.ntiles * b.stride * sizeof *b.x);
		reference_median(b.y, b.stride, 48, 277, b.scratch);
		compare(&b, true, "magnitudes");
		check_release();
	}
}

/* --- sets --- */

static float plain_set_average(const float *v, size_t n)
{
	double sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += (double)v[i];
	return (float)(sum / (double)n);
}

/* Random sets, of few channels and of many. */
static struct reference_sets random_sets(size_t nchannels, bool median)
{
	size_t nsets = 1 + check_below(nchannels), n = 0, most = check_below(2) ? nchannels : nchannels < 30 ? nchannels : 30;
	uint32_t *start = check_guard((nsets + 1) * sizeof *start, CHECK_END), *set_of = check_guard(nchannels * sizeof *set_of, CHECK_END);
	uint32_t *source = check_guard(nsets * nchannels * sizeof *source, CHECK_START);
	size_t largest = 0;
	for (size_t i = 0; i < nsets; i++) {
		size_t size = 1 + check_below(most);
		start[i] = (uint32_t)n;
		for (size_t k = 0; k < size; k++)
			source[n++] = (uint32_t)check_below(nchannels);
		largest = size > largest ? size : largest;
	}
	start[nsets] = (uint32_t)n;
	for (size_t c = 0; c < nchannels; c++)
		set_of[c] = check_below(10) ? (uint32_t)check_below(nsets) : REFERENCE_NONE;
	return (struct reference_sets){ nsets, start, source, set_of, largest, median };
}

static void compare_sets(const struct block *b, const struct reference_sets *sets)
{
	float *v = malloc(sets->largest * sizeof *v);
	for (size_t t = 0; t < b->nframes; t++)
		for (size_t c = 0; c < b->ntiles * LANES; c++) {
			size_t at = c / LANES * b->stride + t * LANES + c % LANES;
			float want = b->x[at];
			if (c < b->nchannels && sets->set_of[c] != REFERENCE_NONE) {
				size_t set = sets->set_of[c], n = sets->start[set + 1] - sets->start[set];
				for (size_t i = 0; i < n; i++) {
					size_t from = sets->source[sets->start[set] + i];
					v[i] = b->x[from / LANES * b->stride + t * LANES + from % LANES];
				}
				want -= sets->median ? plain_median(v, n) : plain_set_average(v, n);
			}
			check_that(same(want, b->y[at]), "%zu channels: frame %zu channel %zu is %a, not %a", b->nchannels, t, c, (double)b->y[at],
				   (double)want);
		}
	free(v);
}

CHECK_TEST(reference_sets)
{
	static const size_t shapes[] = { 1, 2, 5, 16, 17, 40, 70 };
	CHECK_EACH_ISA(isa)
		for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
			for (enum fill fill = 0; fill < NFILLS; fill++)
				for (size_t n = 1; n < 40; n = 2 * n + check_below(4)) {
					struct block b = make(n, shapes[s], fill);
					struct reference_sets sets = random_sets(shapes[s], check_below(2));
					size_t nscratch = reference_sets_scratch(shapes[s], sets.nsets, sets.largest);
					reference_sets(b.y, b.stride, n, b.nchannels, &sets, check_guard(nscratch, CHECK_END));
					compare_sets(&b, &sets);
					check_release();
				}
}

CHECK_TEST(reference_sets_bench)
{
	enum { FRAMES = 1024, CHANNELS = 384, AROUND = 10 };
	CHECK_EACH_ISA(isa)
		for (int median = 0; median < 2; median++) {
			struct block b = make(FRAMES, CHANNELS, NORMAL);
			uint32_t start[CHANNELS + 1], source[CHANNELS * AROUND], set_of[CHANNELS];
			for (uint32_t c = 0; c <= CHANNELS; c++)
				start[c] = c * AROUND;
			for (uint32_t c = 0; c < CHANNELS; c++) {
				set_of[c] = c;
				for (uint32_t i = 0; i < AROUND; i++)
					source[c * AROUND + i] = (c + 2 * i + 3) % CHANNELS;
			}
			struct reference_sets sets = { CHANNELS, start, source, set_of, AROUND, median };
			void *scratch = check_guard(reference_sets_scratch(CHANNELS, CHANNELS, AROUND), CHECK_START);
			CHECK_BENCH(median ? "local median of 384, 10 around" : "local average of 384, 10 around", FRAMES * CHANNELS)
				reference_sets(b.y, b.stride, FRAMES, CHANNELS, &sets, scratch);
			check_release();
		}
}

CHECK_TEST(reference_bench)
{
	enum { FRAMES = 1024 };
	static const struct {
		enum fill fill;
		bool median;
		const char *label;
	} cases[] = { { NORMAL, true, "median of 384, noise" }, { TIES, true, "median of 384, integers" }, { OUTLIERS, true, "median of 384, outliers" },
		      { NORMAL, false, "average of 384" } };
	CHECK_EACH_ISA(isa)
		for (int i = 0; i < 4; i++) {
			struct block b = make(FRAMES, 384, cases[i].fill);
			CHECK_BENCH(cases[i].label, FRAMES * 384) {
				if (cases[i].median)
					reference_median(b.y, b.stride, FRAMES, 384, b.scratch);
				else
					reference_average(b.y, b.stride, FRAMES, 384);
			}
			check_release();
		}
}
