/* SPDX-License-Identifier: BSD-3-Clause
 *
 * locally_exclusive against the rule written down directly: every candidate against every other. Peaks must be the same records whatever
 * the cut, the executor and the instruction set.
 */
#include "kernels/detect.h"
#include "tests/check/check.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FRAMES = 301, MAX_CHANNELS = 36 };

struct data {
	size_t nframes, nchannels;
	float x[MAX_FRAMES * MAX_CHANNELS]; /* [nframes][nchannels] */
	double threshold[MAX_CHANNELS];
	bool near[MAX_CHANNELS][MAX_CHANNELS];
	bool single;
	size_t start[MAX_CHANNELS + 1], index[MAX_CHANNELS * MAX_CHANNELS]; /* the same as `near` */
};

/* --- the rule --- */

/* The trace, 0 outside the segment. */
static double trace(const struct data *d, ptrdiff_t s, size_t c)
{
	return s < 0 || s >= (ptrdiff_t)d->nframes ? 0 : (double)d->x[(size_t)s * d->nchannels + c];
}

static bool candidate(const struct data *d, ptrdiff_t s, size_t c, int sign)
{
	double x = sign * trace(d, s, c);
	return x >= d->threshold[c] && x > sign * trace(d, s - 1, c) && x >= sign * trace(d, s + 1, c);
}

static double value(const struct data *d, const struct peak *p)
{
	double threshold = d->threshold[p->channel_index];
	return d->single ? (double)(fabsf((float)p->amplitude) / (float)threshold) : fabs(p->amplitude) / threshold;
}

static bool beats(const struct data *d, const struct peak *j, const struct peak *i, size_t sweep)
{
	int64_t apart = j->sample_index - i->sample_index;
	if (i == j || !d->near[i->channel_index][j->channel_index] || apart > (int64_t)sweep || -apart > (int64_t)sweep)
		return false;
	double vi = value(d, i), vj = value(d, j);
	return vj > vi || (vj == vi && apart < 0);
}

static struct peaks reference(const struct data *d, enum peak_sign sign, size_t sweep, int64_t first, int64_t segment)
{
	size_t most = d->nframes * d->nchannels + 1, n = 0;
	struct peak *all = malloc(most * sizeof *all);
	struct peaks kept = { .at = malloc(most * sizeof *kept.at) };
	for (size_t s = 0; s < d->nframes; s++)
		for (size_t c = 0; c < d->nchannels; c++)
			if ((sign != PEAK_POS && candidate(d, (ptrdiff_t)s, c, -1)) || (sign != PEAK_NEG && candidate(d, (ptrdiff_t)s, c, 1)))
				all[n++] = (struct peak){ first + (int64_t)s, (int64_t)c, trace(d, (ptrdiff_t)s, c), segment };
	for (size_t i = 0; i < n; i++) {
		bool stays = true;
		for (size_t j = 0; j < n && stays; j++)
			stays = !beats(d, &all[j], &all[i], sweep);
		if (stays)
			kept.at[kept.count++] = all[i];
	}
	free(all);
	return kept;
}

/* --- data --- */

static void list_neighbours(struct data *d)
{
	size_t n = 0;
	for (size_t a = 0; a < d->nchannels; a++) {
		d->start[a] = n;
		for (size_t b = 0; b < d->nchannels; b++)
			/* Itself at times not listed: it counts all the same. */
			if (d->near[a][b] && (a != b || a % 2))
				d->index[n++] = b;
	}
	d->start[d->nchannels] = n;
}

/* Any symmetric relation: a probe's is one of these. */
static void relate(struct data *d)
{
	size_t density = check_below(5);
	for (size_t a = 0; a < d->nchannels; a++)
		for (size_t b = 0; b <= a; b++)
			d->near[a][b] = d->near[b][a] = a == b || density == 4 || check_below(8) < density;
	list_neighbours(d);
}

/* Few different values, so that ties and plateaus abound, also between channels with other thresholds; neighbouring floats, whose quotients
 * are equal in one precision and not in the other; sometimes NaN and infinities. */
static void fill(struct data *d)
{
	size_t levels = 2 + check_below(20), smooth = check_below(3);
	bool odd = check_below(4) == 0, close = check_below(2);
	d->single = check_below(2);
	for (size_t i = 0; i < d->nframes * d->nchannels; i++) {
		bool hold = smooth && i >= d->nchannels && check_below(smooth + 1);
		d->x[i] = hold ? d->x[i - d->nchannels] : (float)check_below(2 * levels + 1) - (float)levels;
		if (close && !hold && check_below(3) == 0)
			d->x[i] = nextafterf(d->x[i], check_below(2) ? 100 : -100);
		if (odd && check_below(40) == 0)
			d->x[i] = check_below(3) == 0 ? NAN : check_below(2) ? INFINITY : -INFINITY;
	}
	for (size_t c = 0; c < d->nchannels; c++) {
		float t = (float)(1 + check_below(3));
		if (close && check_below(3) == 0)
			t = nextafterf(t, check_below(2) ? 100 : 0);
		d->threshold[c] = d->single || check_below(2) ? (double)t : 0.5 + check_uniform();
	}
	relate(d);
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

/* --- comparison --- */

static struct detector *make(const struct data *d, enum peak_sign sign, size_t sweep, size_t max_frames, int64_t segment)
{
	struct detect_spec spec = { .nchannels = d->nchannels, .sign = sign, .sweep = sweep, .threshold = d->threshold, .segment_index = segment,
				    .max_frames = max_frames, .method = DETECT_LOCALLY_EXCLUSIVE, .neighbour_start = d->start,
				    .neighbour_index = d->index, .single = d->single };
	struct detector *det;
	struct error e;
	check_that(detector_new(&det, &spec, &e) == STATUS_OK, "detector_new");
	check_that(detector_bytes(&spec) < SIZE_MAX, "detector_bytes");
	return det;
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

static void check_cut(const struct data *d, enum peak_sign sign, size_t sweep, const size_t *cuts, size_t ncuts)
{
	static const struct executor *const executors[] = { &executor_serial, &check_reverse, &check_threads };
	int64_t first = (int64_t)check_below(3) * 1000000007, segment = (int64_t)check_below(3);
	struct peaks ref = reference(d, sign, sweep, first, segment);
	struct detector *det = make(d, sign, sweep, d->nframes / (1 + check_below(3)) + 1, segment);
	struct peaks got = detect(det, d, cuts, ncuts, executors[check_below(3)], first, (struct peaks){ 0 });
	check_that(ref.count == got.count, "%zu peaks, not %zu (sign %d, sweep %zu, %zu frames, %zu channels)", got.count, ref.count, sign, sweep,
		   d->nframes, d->nchannels);
	check_same("peaks", ref.at, got.at, (ref.count < got.count ? ref.count : got.count) * sizeof *ref.at);

	/* The same detector again after a reset, and now with a limit. */
	detector_reset(det, segment);
	size_t limit = 1 + check_below(ref.count + 2);
	struct peaks few = detect(det, d, cuts, ncuts, &executor_serial, first, (struct peaks){ .limit = limit });
	check_that(few.overflow == (ref.count > limit), "overflow is %d with %zu peaks of %zu", few.overflow, ref.count, limit);
	check_that(few.count == (ref.count < limit ? ref.count : limit), "%zu peaks under the limit %zu", few.count, limit);
	check_same("peaks under a limit", ref.at, few.at, (few.count < ref.count ? few.count : ref.count) * sizeof *few.at);

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

/* --- tests --- */

CHECK_TEST(exclusive_rule)
{
	static struct data d;
	size_t cuts[MAX_FRAMES];
	CHECK_EACH_ISA(isa)
		for (size_t sweep = 0; sweep <= 40; sweep++)
			for (int sign = PEAK_NEG; sign <= PEAK_BOTH; sign++)
				for (int round = 0; round < 4; round++) {
					d.nframes = check_below(round < 2 ? 60 : MAX_FRAMES + 1);
					d.nchannels = 1 + check_below(MAX_CHANNELS);
					fill(&d);
					check_cut(&d, (enum peak_sign)sign, sweep, cuts, random_cuts(cuts, MAX_FRAMES, d.nframes));
				}
}

/* More frames than a block of candidates has, and sweeps longer than that. */
CHECK_TEST(exclusive_blocks)
{
	static struct data d;
	size_t cuts[3];
	CHECK_EACH_ISA(isa)
		for (int round = 0; round < 20; round++) {
			d.nchannels = 1 + check_below(3);
			d.nframes = 1000 + check_below(2600);
			fill(&d);
			check_cut(&d, (enum peak_sign)check_below(3), check_below(round % 2 ? 6 : 2500), cuts, random_cuts(cuts, 3, d.nframes));
		}
}

CHECK_TEST(exclusive_cut_at_every_frame)
{
	static struct data d;
	size_t cuts[64];
	for (size_t i = 0; i < 64; i++)
		cuts[i] = i + 1;
	CHECK_EACH_ISA(isa)
		for (size_t sweep = 0; sweep <= 40; sweep++) {
			d.nframes = 64;
			d.nchannels = 4;
			fill(&d);
			d.x[2] = -3;                        /* the first frame */
			d.x[4 * 63 + 2] = d.x[4 * 63] = -3; /* the last */
			check_cut(&d, (enum peak_sign)(sweep % 3), sweep, cuts, 64);
			for (size_t cut = 0; cut <= 64; cut += 1 + check_below(3))
				check_cut(&d, (enum peak_sign)check_below(3), sweep, &cut, 1);
		}
}

/* Thresholds that no float equals, and those that one does: the comparison is not strict, and as in double. */
CHECK_TEST(exclusive_threshold_rounding)
{
	static struct data d;
	static const double odd[] = { DBL_TRUE_MIN, FLT_TRUE_MIN, 1.5 * FLT_TRUE_MIN, FLT_MAX, 2.0 * FLT_MAX, DBL_MAX };
	CHECK_EACH_ISA(isa)
		for (int round = 0; round < 300; round++) {
			d.nframes = 17;
			d.nchannels = 8;
			d.single = false;
			for (size_t c = 0; c < 8; c++) {
				float t = fabsf(check_f32());
				double exact = nextafter(t, check_below(2) ? INFINITY : 0);
				d.threshold[c] = round % 3 == 0 ? odd[check_below(6)] : round % 3 == 1 ? exact : t;
				t = (float)d.threshold[c];
				const float x[] = { t, -t, nextafterf(t, INFINITY), -nextafterf(t, INFINITY), nextafterf(t, 0), -nextafterf(t, 0), INFINITY,
						    -INFINITY };
				for (size_t i = 0; i < 17; i++)
					d.x[8 * i + c] = i % 2 ? x[i / 2] : 0;
			}
			memset(d.near, 0, sizeof d.near);
			for (size_t c = 0; c < 8; c++)
				d.near[c][c] = true;
			list_neighbours(&d);
			check_cut(&d, (enum peak_sign)check_below(3), check_below(3), NULL, 0);
		}
}

/* Quotients that are equal in float32 only: the earlier wins, and equal ones on one frame stay. */
CHECK_TEST(exclusive_single_precision)
{
	static struct data d = { .nframes = 8, .nchannels = 2 };
	size_t found = 0, differ = 0;
	for (int round = 0; round < 2000; round++) {
		float t = 3 + (float)check_uniform(), u = nextafterf(t, 10), x = 20 + (float)check_uniform();
		memset(d.x, 0, sizeof d.x);
		d.threshold[0] = t;
		d.threshold[1] = u;
		d.x[2 * 2] = -x;
		d.x[2 * 4 + 1] = -nextafterf(x, 100);
		memset(d.near, 1, sizeof d.near);
		list_neighbours(&d);
		for (int single = 0; single < 2; single++) {
			d.single = single;
			check_cut(&d, PEAK_NEG, 2, NULL, 0);
		}
		found++;
		differ += fabsf(x) / t == nextafterf(x, 100) / u && !(x / (double)t >= nextafterf(x, 100) / (double)u);
	}
	check_that(differ > 0, "none of %zu pairs differs between the precisions", found);
}

/* An int16 of -32768 is the largest there is, not a number that wrapped around. */
CHECK_TEST(exclusive_saturated)
{
	static struct data d = { .nframes = 4, .nchannels = 1, .threshold = { 5 }, .near = { { true } }, .x = { 0, -32767, 0, -32768 } };
	list_neighbours(&d);
	struct detector *det = make(&d, PEAK_BOTH, 3, 4, 0);
	struct peaks got = detect(det, &d, NULL, 0, &executor_serial, 0, (struct peaks){ 0 });
	check_that(got.count == 1 && got.at[0].sample_index == 3, "%zu peaks", got.count);
	detector_free(det);
	peaks_fini(&got);
}

/* The vector of SpikeInterface 0.105, which gives the same peaks for both signs. */
CHECK_TEST(exclusive_spikeinterface_vector)
{
	static const float x[24] = { -6, 0, -5, 0, 0, -6, -6, 0, 0, 0, -6, 0, -7, 0, -8, 0, 0, 0, -9, 0, 0, 0, -5, 0 };
	static const int64_t expected[6][2] = { { 0, 0 }, { 5, 0 }, { 14, 0 }, { 18, 0 }, { 18, 1 }, { 22, 0 } };
	static struct data d = { .nframes = 24, .nchannels = 2, .threshold = { 5, 5 } };
	memset(d.near, 1, sizeof d.near);
	list_neighbours(&d);
	for (size_t i = 0; i < 24; i++) {
		d.x[2 * i] = x[i];
		d.x[2 * i + 1] = i == 18 ? -9 : i == 19 ? 7 : 0;
	}
	for (int both = 0; both < 2; both++) {
		struct detector *det = make(&d, both ? PEAK_BOTH : PEAK_NEG, 2, 24, 0);
		struct peaks got = detect(det, &d, NULL, 0, &executor_serial, 0, (struct peaks){ 0 });
		check_that(got.count == 6, "%zu peaks", got.count);
		for (size_t i = 0; i < got.count && i < 6; i++)
			check_that(got.at[i].sample_index == expected[i][0] && got.at[i].channel_index == expected[i][1], "peak %zu", i);
		detector_free(det);
		peaks_fini(&got);
	}
}

CHECK_TEST(exclusive_refuses)
{
	double threshold[2] = { 1, 1 };
	size_t start[3] = { 0, 2, 4 }, index[4] = { 0, 1, 0, 1 };
	struct detect_spec spec = { .nchannels = 2, .sweep = 30, .threshold = threshold, .max_frames = 100, .method = DETECT_LOCALLY_EXCLUSIVE,
				    .neighbour_start = start, .neighbour_index = index };
	struct detector *det;
	struct error e;
	index[3] = 2;
	check_that(detector_new(&det, &spec, &e) == STATUS_INVALID && !det, "a neighbour that is no channel");
	index[3] = 1;
	start[1] = 5;
	check_that(detector_new(&det, &spec, &e) == STATUS_INVALID && !det, "lists that fall back");
	spec.neighbour_start = NULL;
	check_that(detector_new(&det, &spec, &e) == STATUS_INVALID && !det, "no lists");
	check_that(detector_bytes(&spec) == SIZE_MAX, "bytes without lists");
	spec.method = (enum detect_method)7;
	check_that(detector_new(&det, &spec, &e) == STATUS_INVALID && !det, "method");
}

/* --- speed --- */

enum { SPEED_FRAMES = 30000, SPEED_CHANNELS = 384 };

/* Two columns of contacts, 20 um apart, radius 50 um: rows within 2 of each other. */
static struct detect_spec probe(double *threshold, double level, size_t *start, size_t *index)
{
	size_t n = 0;
	for (size_t a = 0; a < SPEED_CHANNELS; a++) {
		start[a] = n;
		threshold[a] = level;
		for (size_t b = 0; b < SPEED_CHANNELS; b++)
			if (b / 2 <= a / 2 + 2 && a / 2 <= b / 2 + 2)
				index[n++] = b;
	}
	start[SPEED_CHANNELS] = n;
	return (struct detect_spec){ .nchannels = SPEED_CHANNELS, .sign = PEAK_NEG, .sweep = 30, .threshold = threshold, .max_frames = SPEED_FRAMES,
				     .method = DETECT_LOCALLY_EXCLUSIVE, .neighbour_start = start, .neighbour_index = index };
}

/* Noise (below 7, sigma about 2.8) with 20 spikes a second on each channel. */
static void fill_speed(struct slab *s)
{
	for (size_t i = 0; i < (size_t)SPEED_FRAMES * SPEED_CHANNELS; i += 8) {
		uint64_t r = check_rand(), q = check_rand();
		for (size_t j = 0; j < 8; j++)
			s->x[i + j] = (float)(int8_t)(r >> 8 * j) / 37 + (float)(int8_t)(q >> 8 * j) / 37;
	}
	for (int spike = 0; spike < 20 * SPEED_CHANNELS; spike++) {
		size_t c = check_below(SPEED_CHANNELS), t = check_below(SPEED_FRAMES - 30);
		for (size_t k = 0; k < 12; k++)
			slab_at(s, c / LANES, t + k)[c % LANES] -= (float)(30 - 5 * fabs((double)k - 5));
	}
}

static void run_speed(const struct detect_spec *spec, const struct slab *s, const char *label)
{
	const struct executor *executors[] = { &executor_serial, &check_threads };
	struct peaks p[2] = { { 0 }, { 0 } };
	struct detector *det;
	check_that(detector_new(&det, spec, NULL) == STATUS_OK, "detector_new");
	for (int i = 0; i < 2; i++) {
		detector_reset(det, 0);
		detector_step(det, s, executors[i], &p[i]);
		detector_flush(det, executors[i], &p[i]);
	}
	check_that(p[0].count == p[1].count && p[0].count > 1000, "%zu and %zu peaks", p[0].count, p[1].count);
	check_same("four threads", p[0].at, p[1].at, (p[0].count < p[1].count ? p[0].count : p[1].count) * sizeof *p[0].at);
	CHECK_BENCH(label, (double)SPEED_FRAMES * SPEED_CHANNELS) {
		p[0].count = 0;
		detector_reset(det, 0);
		detector_step(det, s, &executor_serial, &p[0]);
	}
	detector_free(det);
	peaks_fini(&p[0]);
	peaks_fini(&p[1]);
}

CHECK_TEST(exclusive_speed)
{
	static double threshold[SPEED_CHANNELS];
	static size_t start[SPEED_CHANNELS + 1], index[SPEED_CHANNELS * SPEED_CHANNELS];
	struct slab s = { check_guard((size_t)SPEED_FRAMES * SPEED_CHANNELS * sizeof(float), CHECK_START), SPEED_CHANNELS, SPEED_CHANNELS / LANES,
			  (size_t)SPEED_FRAMES * LANES, SPEED_FRAMES, 0 };
	fill_speed(&s);
	struct detect_spec spec = probe(threshold, 14, start, index);
	run_speed(&spec, &s, "exclusive 30 000 x 384, sweep 30");
	spec.method = DETECT_BY_CHANNEL;
	run_speed(&spec, &s, "by_channel on the same");
	/* Every fifth sample or so a candidate: the cost must not grow with the number in a window, about 5000. */
	spec = probe(threshold, 2, start, index);
	run_speed(&spec, &s, "exclusive 30 000 x 384, dense");
}
