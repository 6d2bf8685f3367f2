/* SPDX-License-Identifier: BSD-3-Clause
 *
 * by_channel against the rule written down directly, compared in double; peaks must be the same records whatever the cut, the
 * executor and the instruction set.
 */
#include "kernels/detect.h"
#include "tests/check/check.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FRAMES = 400, MAX_CHANNELS = 40 };

struct data {
	size_t nframes, nchannels;
	float x[MAX_FRAMES * MAX_CHANNELS]; /* [nframes][nchannels] */
	double threshold[MAX_CHANNELS];
};

/* The trace, 0 outside the segment. */
static double trace(const struct data *d, ptrdiff_t s, size_t c)
{
	return s < 0 || s >= (ptrdiff_t)d->nframes ? 0 : (double)d->x[(size_t)s * d->nchannels + c];
}

static bool rule(const struct data *d, ptrdiff_t s, size_t c, size_t sweep, int sign)
{
	double x = sign * trace(d, s, c);
	if (!(x > d->threshold[c]))
		return false;
	for (ptrdiff_t k = 1; k <= (ptrdiff_t)sweep; k++)
		if (!(x > sign * trace(d, s - k, c)) || !(x >= sign * trace(d, s + k, c)))
			return false;
	return true;
}

static struct peaks reference(const struct data *d, enum peak_sign sign, size_t sweep, int64_t first, int64_t segment)
{
	struct peaks p = { .at = malloc((d->nframes * d->nchannels + 1) * sizeof *p.at) };
	for (size_t s = 0; s < d->nframes; s++)
		for (size_t c = 0; c < d->nchannels; c++)
			if ((sign != PEAK_POS && rule(d, (ptrdiff_t)s, c, sweep, -1)) ||
			    (sign != PEAK_NEG && rule(d, (ptrdiff_t)s, c, sweep, 1)))
				p.at[p.count++] = (struct peak){ first + (int64_t)s, (int64_t)c, trace(d, (ptrdiff_t)s, c), segment };
	return p;
}

/* Frames [from, to) as a slab flush with a trapping page, its tiles further apart than they need be at times. */
static struct slab slab_of(const struct data *d, size_t from, size_t to, int64_t first)
{
	size_t n = to - from, ntiles = (d->nchannels + LANES - 1) / LANES, stride = (n + check_below(3)) * LANES;
	struct slab s = { NULL, d->nchannels, ntiles, stride, n, first + (int64_t)from };
	s.x = check_guard(((ntiles - 1) * stride + n * LANES) * sizeof(float), CHECK_END);
	for (size_t tile = 0; tile < ntiles; tile++)
		for (size_t i = 0; i < n * LANES; i++) {
			size_t c = tile * LANES + i % LANES;
			slab_at(&s, tile, 0)[i] = c < d->nchannels ? d->x[(from + i / LANES) * d->nchannels + c] : 0;
		}
	return s;
}

/* Detects with cuts at the places in `cuts` (ascending). */
static struct peaks detect(struct detector *det, const struct data *d, const size_t *cuts, size_t ncuts, const struct executor *ex,
			   int64_t first, struct peaks out)
{
	size_t at = 0;
	for (size_t i = 0; i <= ncuts; i++) {
		size_t to = i < ncuts ? cuts[i] : d->nframes;
		struct slab s = slab_of(d, at, to, first);
		check_that(detector_step(det, &s, ex, &out) == STATUS_OK, "step");
		at = to;
		check_release();
	}
	check_that(detector_flush(det, ex, &out) == STATUS_OK, "flush");
	return out;
}

static void compare(const struct peaks *ref, const struct peaks *got, const struct data *d, enum peak_sign sign, size_t sweep)
{
	check_that(ref->count == got->count, "%zu peaks, not %zu (sign %d, sweep %zu, %zu frames, %zu channels)", got->count, ref->count,
		   sign, sweep, d->nframes, d->nchannels);
	if (ref->count == got->count)
		check_same("peaks", ref->at, got->at, ref->count * sizeof *ref->at);
}

static struct detector *make(const struct data *d, enum peak_sign sign, size_t sweep, size_t max_frames, int64_t segment)
{
	struct detect_spec spec = { .nchannels = d->nchannels, .sign = sign, .sweep = sweep, .threshold = d->threshold, .segment_index = segment,
				    .max_frames = max_frames };
	struct detector *det;
	struct error e;
	check_that(detector_new(&det, &spec, &e) == STATUS_OK, "detector_new");
	return det;
}

static void check_cut(const struct data *d, enum peak_sign sign, size_t sweep, const size_t *cuts, size_t ncuts)
{
	static const struct executor *const executors[] = { &executor_serial, &check_reverse };
	int64_t first = (int64_t)check_below(3) * 1000000007, segment = (int64_t)check_below(3);
	struct peaks ref = reference(d, sign, sweep, first, segment);
	struct detector *det = make(d, sign, sweep, 1 + check_below(MAX_FRAMES), segment);
	struct peaks got = detect(det, d, cuts, ncuts, executors[check_below(2)], first, (struct peaks){ 0 });
	compare(&ref, &got, d, sign, sweep);

	/* The same detector again after a reset, and now with a limit. */
	detector_reset(det, segment);
	size_t limit = 1 + check_below(ref.count + 2);
	struct peaks few = detect(det, d, cuts, ncuts, &executor_serial, first, (struct peaks){ .limit = limit });
	check_that(few.overflow == (ref.count > limit), "overflow is %d with %zu peaks of %zu", few.overflow, ref.count, limit);
	check_that(few.count == (ref.count < limit ? ref.count : limit), "%zu peaks under the limit %zu", few.count, limit);
	check_same("peaks under a limit", ref.at, few.at, few.count * sizeof *few.at);

	detector_free(det);
	peaks_fini(&ref);
	peaks_fini(&got);
	peaks_fini(&few);
}

static size_t random_cuts(size_t *cuts, size_t most, size_t nframes)
{
	size_t n = 0;
	for (size_t at = 0; n < most && (at += check_below(nframes / 4 + 2)) <= nframes; n++)
		cuts[n] = at;
	return n;
}

/* Few different values, so that ties and plateaus abound; sometimes NaN and infinities. */
static void fill(struct data *d)
{
	size_t levels = 2 + check_below(20), smooth = check_below(3);
	bool odd = check_below(4) == 0;
	for (size_t i = 0; i < d->nframes * d->nchannels; i++) {
		bool hold = smooth && i >= d->nchannels && check_below(smooth + 1);
		d->x[i] = hold ? d->x[i - d->nchannels] : (float)check_below(2 * levels + 1) - (float)levels;
		if (odd && check_below(40) == 0)
			d->x[i] = check_below(3) == 0 ? NAN : check_below(2) ? INFINITY : -INFINITY;
	}
	for (size_t c = 0; c < d->nchannels; c++)
		d->threshold[c] = check_below(2) ? 1 + (double)check_below(3) : 0.5 + check_uniform();
}

CHECK_TEST(detect_rule)
{
	static struct data d;
	size_t cuts[MAX_FRAMES];
	CHECK_EACH_ISA(isa)
		for (size_t sweep = 0; sweep <= 40; sweep++)
			for (int sign = PEAK_NEG; sign <= PEAK_BOTH; sign++)
				for (int round = 0; round < 4; round++) {
					d.nframes = check_below(round == 0 ? 50 : MAX_FRAMES + 1);
					d.nchannels = 1 + check_below(MAX_CHANNELS);
					fill(&d);
					check_cut(&d, (enum peak_sign)sign, sweep, cuts, random_cuts(cuts, MAX_FRAMES, d.nframes));
				}
}

/* Longer than the blocks a step is cut into. */
CHECK_TEST(detect_blocks)
{
	static struct data d;
	size_t cuts[MAX_FRAMES];
	CHECK_EACH_ISA(isa)
		for (int round = 0; round < 60; round++) {
			d.nchannels = 1 + check_below(3);
			d.nframes = 1000 + check_below(4000);
			fill(&d);
			check_cut(&d, (enum peak_sign)check_below(3), check_below(6), cuts, random_cuts(cuts, 3, d.nframes));
		}
}

/* The longest window on a ruler of minima, where every test goes far: n log2(n) steps, where n * sweep would not end in time. */
CHECK_TEST(detect_long_sweep)
{
	enum { N = 1 << 19, SWEEP = 1 << 16 };
	struct slab s = { check_guard((size_t)N * LANES * sizeof(float), CHECK_END), 1, 1, (size_t)N * LANES, N, 0 };
	double threshold = 0.5;
	struct detect_spec spec = { .nchannels = 1, .sign = PEAK_NEG, .sweep = SWEEP, .threshold = &threshold, .max_frames = N };
	struct detector *det;
	struct peaks p = { 0 };
	for (size_t i = 0; i < N; i++)
		slab_at(&s, 0, i)[0] = -1 - (float)__builtin_ctzll(i + 1);
	check_that(detector_new(&det, &spec, NULL) == STATUS_OK, "detector_new");
	detector_step(det, &s, &executor_serial, &p);
	detector_flush(det, &executor_serial, &p);
	/* Multiples of 2^17 are deeper than all within 2^16; the odd multiples of 2^16 have the next one of these at just 2^16. */
	check_that(p.count == N >> 17, "%zu peaks", p.count);
	for (size_t i = 0; i < p.count; i++)
		check_that(p.at[i].sample_index == (int64_t)((i + 1) << 17) - 1, "peak %zu at %lld", i, (long long)p.at[i].sample_index);
	detector_free(det);
	peaks_fini(&p);
}

/* Two spikes a little less and a little more than a sweep apart and plateaus, cut at each frame, and frame by frame. */
CHECK_TEST(detect_cut_at_every_frame)
{
	static struct data d;
	size_t cuts[MAX_FRAMES];
	CHECK_EACH_ISA(isa)
		for (size_t sweep = 0; sweep <= 12; sweep += 3)
			for (size_t cut = 0; cut <= 64; cut++) {
				memset(&d, 0, sizeof d);
				d.nframes = 64;
				d.nchannels = 3;
				for (size_t c = 0; c < 3; c++)
					d.threshold[c] = 2;
				for (size_t i = 0; i < 64; i++)
					d.x[3 * i] = (float)(0.01 * (double)i);
				d.x[3 * 20] = d.x[3 * 21] = d.x[3 * (21 + sweep)] = -5;
				d.x[3 * 40 + 1] = 7;
				d.x[3 * (41 + sweep) + 1] = 7;
				d.x[2] = -3;             /* the first frame */
				d.x[3 * 63 + 2] = -3;    /* the last */
				cuts[0] = cut;
				check_cut(&d, PEAK_BOTH, sweep, cuts, 1);
			}
	for (size_t i = 0; i < 64; i++)
		cuts[i] = i + 1;
	for (size_t sweep = 0; sweep <= 40; sweep++)
		check_cut(&d, PEAK_BOTH, sweep, cuts, 64);
}

/* Thresholds that no float equals: the sample is compared as in double. */
CHECK_TEST(detect_threshold_rounding)
{
	static struct data d;
	CHECK_EACH_ISA(isa)
		for (int round = 0; round < 200; round++) {
			d.nframes = 9;
			d.nchannels = 8;
			for (size_t c = 0; c < 8; c++) {
				static const double odd[] = { DBL_TRUE_MIN, FLT_TRUE_MIN, 1.5 * FLT_TRUE_MIN, FLT_MAX, 2.0 * FLT_MAX, DBL_MAX };
				float t = fabsf(check_f32());
				double exact = nextafter(t, check_below(2) ? INFINITY : 0);
				d.threshold[c] = round % 3 == 0 ? odd[check_below(6)] : round % 3 == 1 ? exact : t;
				t = (float)d.threshold[c];
				const float x[] = { 0, t, -t, nextafterf(t, INFINITY), -nextafterf(t, INFINITY), nextafterf(t, 0),
						    -nextafterf(t, 0), INFINITY, -INFINITY };
				for (size_t i = 0; i < 9; i++)
					d.x[8 * i + c] = x[i];
			}
			check_cut(&d, (enum peak_sign)check_below(3), 0, NULL, 0);
			check_cut(&d, (enum peak_sign)check_below(3), 1, NULL, 0);
		}
}

/* The vector of detection.md 2.3, from running SpikeInterface 0.105. */
CHECK_TEST(detect_spikeinterface_vector)
{
	static const float x[24] = { -6, 0, -5, 0, 0, -6, -6, 0, 0, 0, -6, 0, -7, 0, -8, 0, 0, 0, -9, 0, 0, 0, -5, 0 };
	static const int64_t expected[6][2] = { { 0, 0 }, { 5, 0 }, { 14, 0 }, { 18, 0 }, { 18, 1 }, { 19, 1 } };
	static struct data d = { .nframes = 24, .nchannels = 2, .threshold = { 5, 5 } };
	for (size_t i = 0; i < 24; i++) {
		d.x[2 * i] = x[i];
		d.x[2 * i + 1] = i == 18 ? -9 : i == 19 ? 7 : 0;
	}
	for (int both = 0; both < 2; both++) {
		struct detector *det = make(&d, both ? PEAK_BOTH : PEAK_NEG, 2, 24, 0);
		struct peaks got = detect(det, &d, NULL, 0, &executor_serial, 0, (struct peaks){ 0 });
		check_that(got.count == (both ? 6u : 5u), "%zu peaks", got.count);
		for (size_t i = 0; i < got.count && i < 6; i++)
			check_that(got.at[i].sample_index == expected[i][0] && got.at[i].channel_index == expected[i][1], "peak %zu", i);
		detector_free(det);
		peaks_fini(&got);
	}
}

CHECK_TEST(detect_refuses)
{
	double threshold[2] = { 1, 0 };
	struct detect_spec spec = { .nchannels = 2, .sign = PEAK_NEG, .sweep = 30, .threshold = threshold, .max_frames = 100 };
	struct detector *det;
	struct error e;
	static const double bad[] = { 0, -1, NAN, INFINITY };
	for (int i = 0; i < 4; i++) {
		threshold[1] = bad[i];
		check_that(detector_new(&det, &spec, &e) == STATUS_INVALID && !det, "threshold %g", bad[i]);
	}
	threshold[1] = 1;
	spec.sweep = 65537;
	check_that(detector_new(&det, &spec, &e) == STATUS_INVALID, "long sweep");
	check_that(detector_bytes(&spec) == SIZE_MAX, "bytes of a long sweep");
	spec.sweep = 65536;
	spec.nchannels = SIZE_MAX;
	check_that(detector_bytes(&spec) == SIZE_MAX, "bytes of all channels");
	spec.nchannels = 0;
	check_that(detector_new(&det, &spec, &e) == STATUS_INVALID, "no channels");
	detector_free(NULL);
}

/* 384 channels of 1 s: noise with 20 spikes a second on each channel, 5 sigma as a rule does. */
CHECK_TEST(detect_speed)
{
	enum { N = 30000, C = 384, TILES = C / LANES };
	static double threshold[C];
	struct slab s = { check_guard((size_t)N * C * sizeof(float), CHECK_START), C, TILES, (size_t)N * LANES, N, 0 };
	for (size_t i = 0; i < (size_t)N * C; i += 8) {
		uint64_t r = check_rand(), q = check_rand();
		for (size_t j = 0; j < 8; j++)
			s.x[i + j] = (float)(int8_t)(r >> 8 * j) / 37 + (float)(int8_t)(q >> 8 * j) / 37; /* below 7; sigma about 2.8 */
	}
	for (size_t c = 0; c < C; c++)
		threshold[c] = 14;
	for (int spike = 0; spike < 20 * C; spike++) {
		size_t c = check_below(C), t = check_below(N - 30);
		for (size_t k = 0; k < 12; k++)
			slab_at(&s, c / LANES, t + k)[c % LANES] -= (float)(30 - 5 * fabs((double)k - 5));
	}
	struct detect_spec spec = { .nchannels = C, .sign = PEAK_NEG, .sweep = 30, .threshold = threshold, .max_frames = N };
	struct detector *det;
	struct peaks p[2] = { { 0 }, { 0 } };
	check_that(detector_new(&det, &spec, NULL) == STATUS_OK, "detector_new");
	const struct executor *executors[] = { &executor_serial, &check_threads };
	for (int i = 0; i < 2; i++) {
		detector_reset(det, 0);
		detector_step(det, &s, executors[i], &p[i]);
		detector_flush(det, executors[i], &p[i]);
	}
	check_that(p[0].count == p[1].count && p[0].count > 1000, "%zu and %zu peaks", p[0].count, p[1].count);
	check_same("four threads", p[0].at, p[1].at, p[0].count * sizeof *p[0].at);
	CHECK_EACH_ISA(isa)
		CHECK_BENCH("detect 30 000 x 384, sweep 30", (double)N * C) {
			p[0].count = 0;
			detector_reset(det, 0);
			detector_step(det, &s, &executor_serial, &p[0]);
		}
	spec.sign = PEAK_BOTH;
	spec.sweep = 0;
	for (size_t c = 0; c < C; c++)
		threshold[c] = 4;
	detector_free(det);
	check_that(detector_new(&det, &spec, NULL) == STATUS_OK, "detector_new");
	CHECK_BENCH("detect 30 000 x 384, one sample in six", (double)N * C) {
		p[0].count = 0;
		detector_reset(det, 0);
		detector_step(det, &s, &executor_serial, &p[0]);
	}
	detector_free(det);
	peaks_fini(&p[0]);
	peaks_fini(&p[1]);
}
