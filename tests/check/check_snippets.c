/* SPDX-License-Identifier: BSD-3-Clause
 *
 * History and windows against the whole stream at hand: any cut into slabs, any window that is still held, ends of the stream included.
 */
#include "kernels/snippets.h"
#include "tests/check/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FRAMES = 700, MAX_CHANNELS = 40 };

struct stream {
	int64_t first;
	size_t nframes, nchannels, ntiles;
	float x[MAX_FRAMES * MAX_CHANNELS]; /* [nframes][nchannels] */
	float *tiles;                       /* [ntiles][nframes][LANES] */
};

/* The stream's sample, 0 outside. */
static float at(const struct stream *s, int64_t frame, size_t channel)
{
	const int64_t i = frame - s->first;
	return i < 0 || i >= (int64_t)s->nframes ? 0 : s->x[(size_t)i * s->nchannels + channel];
}

/* Few values, so that ties abound; sometimes NaN and infinities. */
static void make(struct stream *s)
{
	const bool odd = check_below(3) == 0;
	s->first = check_below(2) ? (int64_t)check_below(1 << 20) : 0;
	s->nframes = 1 + check_below(MAX_FRAMES);
	s->nchannels = 1 + check_below(MAX_CHANNELS);
	s->ntiles = (s->nchannels + LANES - 1) / LANES;
	s->tiles = aligned_alloc(64, s->ntiles * s->nframes * LANES * sizeof(float));
	memset(s->tiles, 0, s->ntiles * s->nframes * LANES * sizeof(float));
	for (size_t i = 0; i < s->nframes * s->nchannels; i++) {
		const size_t t = i / s->nchannels, c = i % s->nchannels;
		s->x[i] = (float)check_below(13) - 6;
		if (odd && check_below(200) == 0)
			s->x[i] = check_below(2) ? NAN : check_below(2) ? INFINITY : -INFINITY;
		s->tiles[(c / LANES * s->nframes + t) * LANES + c % LANES] = s->x[i];
	}
}

static bool same(double a, double b)
{
	return a == b || (isnan(a) && isnan(b));
}

static double plain_ptp(const struct stream *s, int64_t from, size_t n, size_t c)
{
	double low = INFINITY, high = -INFINITY;
	for (size_t t = 0; t < n; t++) {
		const double x = at(s, from + (int64_t)t, c);
		if (isnan(x))
			return NAN;
		low = x < low ? x : low;
		high = x > high ? x : high;
	}
	return high - low;
}

/* The first of the largest of the n frames behind, frames behind the stream being 0. */
static double plain_width(const struct stream *s, int64_t frame, size_t n, size_t c, bool negative)
{
	size_t best = 0;
	for (size_t t = 1; t <= n; t++) {
		const float x = at(s, frame + (int64_t)t, c), most = best ? at(s, frame + (int64_t)best, c) : 0;
		if (isnan(x))
			return NAN;
		if (!best || (negative ? x > most : x < most))
			best = t;
	}
	return n ? (double)best : NAN;
}

static void look(const struct stream *s, const struct history *h, int64_t peak, size_t before, size_t after)
{
	float got[300 * MAX_CHANNELS], expected[300 * MAX_CHANNELS];
	size_t channels[MAX_CHANNELS], nlisted = 0;
	double places[3 * MAX_CHANNELS], sum = 0, x = 0, y = 0, center[2];
	const int64_t from = peak - (int64_t)before;
	const size_t n = before + after, c = check_below(s->nchannels), ndim = 2 + check_below(2);
	for (size_t k = 0; k < s->nchannels; k++)
		if (check_below(2) || k == c)
			channels[nlisted++] = k;
	for (size_t i = 0; i < n * s->nchannels; i++)
		expected[i] = at(s, from + (int64_t)(i / s->nchannels), i % s->nchannels);
	snippet_dense(h, from, n, s->nchannels, got);
	check_same("dense", expected, got, n * s->nchannels * sizeof(float));

	const size_t width = nlisted + check_below(MAX_CHANNELS - nlisted + 1);
	memset(expected, 0, sizeof expected);
	for (size_t t = 0; t < n; t++)
		for (size_t k = 0; k < nlisted; k++)
			expected[t * width + k] = at(s, from + (int64_t)t, channels[k]);
	snippet_sparse(h, from, n, channels, nlisted, width, got);
	check_same("sparse", expected, got, n * width * sizeof(float));

	for (size_t i = 0; i < ndim * s->nchannels; i++)
		places[i] = (double)check_f32();
	for (size_t k = 0; k < nlisted; k++) {
		const double weight = plain_ptp(s, from, n, channels[k]);
		sum += weight;
		x += weight * places[channels[k] * ndim];
		y += weight * places[channels[k] * ndim + 1];
	}
	snippet_center(h, from, n, channels, nlisted, places, ndim, center);
	check_that(same(center[0], x / sum) && same(center[1], y / sum), "centre %g %g, not %g %g", center[0], center[1], x / sum, y / sum);

	const bool negative = check_below(2);
	const double ptp = snippet_ptp(h, from, n, c), rest = snippet_width(h, peak, after - 1, c, negative);
	check_that(same(ptp, plain_ptp(s, from, n, c)), "ptp %g, not %g", ptp, plain_ptp(s, from, n, c));
	check_that(same(rest, plain_width(s, peak, after - 1, c, negative)), "width %g, not %g", rest, plain_width(s, peak, after - 1, c, negative));

	const double u = at(s, peak - 1, c), v = at(s, peak, c), w = at(s, peak + 1, c), offset = snippet_time_offset(h, peak, c);
	const double exact = u - 2 * v + w == 0 ? 0 : (u - w) / (2 * (u - 2 * v + w));
	check_that(same(offset, exact > 0.5 ? 0.5 : exact < -0.5 ? -0.5 : exact), "time offset %g of %g %g %g", offset, u, v, w);
}

CHECK_TEST(snippets_any_cut)
{
	const struct executor *const executors[] = { &executor_serial, &check_reverse, &check_threads };
	struct stream *s = malloc(sizeof *s);
	for (int k = 0; k < 120; k++) {
		const size_t keep = 3 + check_below(200), most = 1 + check_below(check_below(2) ? 20 : MAX_FRAMES);
		struct history *h;
		struct error e;
		make(s);
		check_that(history_new(&h, s->nchannels, keep, &e) == STATUS_OK, "no history");
		check_that(history_bytes(s->nchannels, keep) >= s->ntiles * keep * LANES * sizeof(float), "too few bytes told");
		for (int again = 0; again < 2; again++) {
			history_reset(h);
			for (size_t done = 0; done < s->nframes;) {
				const size_t n = 1 + check_below(most), cut = s->nframes - done < n ? s->nframes - done : n;
				const struct slab slab = { .x = s->tiles + done * LANES, .nchannels = s->nchannels, .ntiles = s->ntiles,
							   .tile_stride = s->nframes * LANES, .nframes = cut, .first_frame = s->first + (int64_t)done };
				const bool shown = check_below(4) != 0;
				history_show(h, &slab);
				done += cut;
				if (!shown)
					history_hide(h, executors[k % 3]);
				/* Held are the slab, or what is kept of it, and at least `keep` frames before. */
				const size_t reach = shown ? keep + cut : keep, before = check_below(keep < 140 ? keep : 140);
				const int64_t end = s->first + (int64_t)done;
				int64_t peak = end - (int64_t)reach + (int64_t)(before + check_below(reach - before));
				peak = peak < s->first ? s->first : peak >= end ? end - 1 : peak;
				const size_t left = (size_t)(end - peak), after = 1 + check_below(left < 140 ? left : 140);
				const bool inside = peak - 1 >= end - (int64_t)reach || peak == s->first;
				if (inside && (after > 1 || done == s->nframes) && peak + 1 < end + (done == s->nframes))
					look(s, h, peak, before, done == s->nframes ? 1 + check_below(140) : after);
				history_hide(h, executors[k % 3]);
			}
		}
		history_free(h);
		free(s->tiles);
	}
	free(s);
}

CHECK_TEST(snippets_extremes)
{
	CHECK_EACH_ISA(isa) {
		for (int k = 0; k < 40; k++) {
			const size_t n = check_below(200);
			float *x = check_guard((n + !n) * LANES * sizeof *x, k % 2 ? CHECK_END : CHECK_START), low[LANES], high[LANES];
			unsigned bad = 0;
			check_fill_f32(x, (n + !n) * LANES, (enum check_fill)(k % (CHECK_NFILL + 1)));
			for (size_t i = 0; i < LANES; i++) {
				low[i] = k % 3 ? INFINITY : 0;
				high[i] = k % 3 ? -INFINITY : 0;
			}
			float least[LANES], most[LANES];
			memcpy(least, low, sizeof low);
			memcpy(most, high, sizeof high);
			for (size_t i = 0; i < n * LANES; i++) {
				least[i % LANES] = fminf(least[i % LANES], x[i]);
				most[i % LANES] = fmaxf(most[i % LANES], x[i]);
				bad |= (unsigned)isnan(x[i]) << i % LANES;
			}
			const unsigned got = ISA_PICK(snippet_extremes)(x, n, low, high);
			check_that(got == bad, "NaN in lanes %x, not %x", got, bad);
			for (size_t i = 0; i < LANES; i++)
				check_that(low[i] == least[i] && high[i] == most[i], "lane %zu: %g to %g, not %g to %g", i, low[i], high[i], least[i], most[i]);
			check_variants("extremes", low, sizeof low);
			check_variants("extremes", high, sizeof high);
			check_release();
		}
	}
	CHECK_EACH_ISA(isa) {
		static float x[90 * LANES];
		float low[LANES] = { 0 }, high[LANES] = { 0 };
		CHECK_BENCH("extremes of 90 frames", 90 * LANES * 1000)
			for (int i = 0; i < 1000; i++)
				ISA_PICK(snippet_extremes)(x, 90, low, high);
	}
}
