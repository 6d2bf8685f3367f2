/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/convert.h"
#include "kernels/pipeline.h"
#include "kernels/plan.h"
#include "kernels/reference.h"
#include "kernels/zero_phase.h"
#include "tests/check/check.h"
#include "tests/check/filters.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BAND(zero) { .kind = STAGE_BANDPASS, .freq_min_hz = 300, .freq_max_hz = 6000, .order = 5, .zero_phase = (zero) }
#define HIGH(zero, hz, n) { .kind = STAGE_HIGHPASS, .freq_min_hz = (hz), .order = (n), .zero_phase = (zero) }
#define ELLIPTIC_LOW(hz) \
	{ .kind = STAGE_LOWPASS, .family = FILTER_ELLIPTIC, .freq_max_hz = (hz), .order = 3, .ripple_db = 1, .attenuation_db = 30, .zero_phase = true }
#define NOTCH(zero, hz) { .kind = STAGE_NOTCH, .freq_min_hz = (hz), .q = 30, .zero_phase = (zero) }
#define STOP(zero, lo, hi) { .kind = STAGE_BANDSTOP, .freq_min_hz = (lo), .freq_max_hz = (hi), .order = 2, .zero_phase = (zero) }
#define REFERENCE(how) { .kind = STAGE_COMMON_REFERENCE, .op = REFERENCE_##how }

#define LOCAL(how) { .kind = STAGE_COMMON_REFERENCE, .op = REFERENCE_##how, .scope = REFERENCE_LOCAL, .radius_um = { 30, 55 } }
#define GROUPED(how) \
	{ .kind = STAGE_COMMON_REFERENCE, .op = REFERENCE_##how, .scope = REFERENCE_GROUPS, .grouped = { 1, first }, .ngroups = 1, .group_sizes = one_each }

#define SHIFT { .kind = STAGE_PHASE_SHIFT }
#define NEO(ms) { .kind = STAGE_NEO, .window_ms = (ms) }
#define SATURATION(top, steep, b, a) \
	{ .kind = STAGE_BLANK_SATURATION, .level = (top), .slope = (steep), .fraction = 0.2, .before_ms = (b), .after_ms = (a), .value = { 1, halves } }
#define BLANK(top) { .kind = STAGE_BLANK, .level = (top), .value = { 1, halves } }
#define SCALE { .kind = STAGE_SCALE, .gain = { 1, halves }, .value = { 1, halves } }
#define CENTER { .kind = STAGE_CENTER, .value = { 1, halves } }
#define FIRST(what) { .kind = STAGE_##what, .channels = { 1, first }, .p = 1.3, .sigma_um = 20 }
#define WHITEN { .kind = STAGE_WHITEN }

static const double halves[] = { 0.5 };
static const uint32_t first[] = { 0 };
static const size_t one_each[] = { 1 };

/* At 30 kHz: margins 500, 600 and 3000, the last with a grid of 8192. */
static const struct chain {
	const char *name;
	size_t nstages;
	struct stage_spec stages[5];
} chains[] = {
	{ "nothing", 0, { { 0 } } },
	{ "median", 1, { REFERENCE(MEDIAN) } },
	{ "causal", 1, { BAND(false) } },
	{ "zero phase", 1, { BAND(true) } },
	{ "average, zero phase, median", 3, { REFERENCE(AVERAGE), BAND(true), REFERENCE(MEDIAN) } },
	{ "zero phase twice", 2, { BAND(true), HIGH(true, 250, 3) } },
	{ "causal, median, causal", 3, { HIGH(false, 250, 2), REFERENCE(MEDIAN), BAND(false) } },
	{ "other filters", 4, { NOTCH(false, 2000), ELLIPTIC_LOW(5000), NOTCH(true, 3000), STOP(false, 400, 900) } },
	{ "references", 4, { LOCAL(MEDIAN), GROUPED(MEDIAN), BAND(true), LOCAL(AVERAGE) } },
	{ "shift, whiten", 4, { SHIFT, CENTER, BAND(true), WHITEN } },
	{ "blank, energy", 5, { SATURATION(20, 30, 1, 2.5), BLANK(25), SCALE, BAND(false), NEO(0.5) } },
	{ "energy, interpolate, silence", 4, { FIRST(INTERPOLATE), NEO(0), SATURATION(1e5, 0, 0, 0.3), FIRST(SILENCE) } },
	{ "all kinds", 5, { HIGH(false, 300, 1), HIGH(true, 50, 2), REFERENCE(MEDIAN), BAND(true), HIGH(false, 500, 3) } },
};
enum { NCHAINS = sizeof chains / sizeof *chains };

enum { MAX_CHANNELS = 384 };
static double locations[2 * MAX_CHANNELS]; /* two columns */
static double shifts[MAX_CHANNELS];
static double matrix[MAX_CHANNELS * MAX_CHANNELS]; /* [nchannels][nchannels] of the spec made last */

static struct pipeline_spec spec_of(const struct chain *chain, size_t nchannels, enum dtype dtype)
{
	struct pipeline_spec spec = { .nchannels = nchannels, .fs_hz = 30000, .dtype = dtype, .segment_frames = -1, .nstages = chain->nstages };
	memcpy(spec.stages, chain->stages, sizeof chain->stages);
	for (size_t i = 0; i < 2 * MAX_CHANNELS; i++)
		locations[i] = i % 2 ? 20.0 * (double)(i / 4) : 32.0 * (double)(i / 2 % 2);
	spec.locations = locations;
	spec.ndim = 2;
	for (size_t i = 0; i < MAX_CHANNELS; i++)
		shifts[i] = (double)(i % 13) / 13;
	spec.inter_sample_shift = shifts;
	if (nchannels <= MAX_CHANNELS)
		for (size_t i = 0; i < nchannels * nchannels; i++) {
			double apart = fabs((double)(i / nchannels) - (double)(i % nchannels));
			matrix[i] = apart < 20 ? 1 / (1 + apart * apart) : 0;
		}
	spec.whiten_matrix = matrix;
	return spec;
}

/* What came out, frames in order, [nframes][nchannels]. */
struct output {
	float *x;
	size_t nchannels, nframes, capacity;
	int64_t first; /* -1: nothing yet */
};

static struct output output_new(size_t nchannels, size_t capacity)
{
	return (struct output){ calloc(nchannels * capacity + 1, sizeof(float)), nchannels, 0, capacity, -1 };
}

static void take(struct output *o, const struct slab *slab)
{
	if (slab->nframes == 0)
		return;
	if (o->first < 0)
		o->first = slab->first_frame;
	check_that(slab->first_frame == o->first + (int64_t)o->nframes, "frames come at %lld, not %lld", (long long)slab->first_frame,
		   (long long)o->first + (long long)o->nframes);
	check_that(o->nframes + slab->nframes <= o->capacity, "too many frames");
	for (size_t t = 0; t < slab->nframes && o->nframes < o->capacity; t++, o->nframes++)
		for (size_t c = 0; c < o->nchannels; c++)
			o->x[o->nframes * o->nchannels + c] = slab_get(slab, t, c);
	for (size_t c = o->nchannels; c < slab->ntiles * LANES; c++)
		for (size_t t = 0; t < slab->nframes; t++)
			check_that(slab_get(slab, t, c) == 0, "lane %zu behind the last channel is %g", c, (double)slab_get(slab, t, c));
}

enum cut { CUT_NOT, CUT_RANDOM, CUT_SMALL };

static size_t next_chunk(enum cut cut, size_t left)
{
	size_t n = cut == CUT_NOT ? left : cut == CUT_SMALL ? check_below(4) : check_below(3) ? check_below(3000) : check_below(2);
	return n < left ? n : left;
}

/* Pushes [from, to) of a segment at `frames` and collects all that comes. */
static struct output push(const struct pipeline_spec *spec, const char *frames, int64_t from, int64_t to, size_t max_chunk, enum cut cut,
			  const struct executor *ex)
{
	size_t row = spec->nchannels * dtype_size(spec->dtype);
	struct pipeline_spec at = *spec;
	struct pipeline *p;
	struct error e;
	struct slab slab;
	struct output o = output_new(spec->nchannels, (size_t)(to - from));

	at.first_frame = from;
	if (pipeline_new(&p, &at, max_chunk, &e)) {
		check_fail(__FILE__, __LINE__, "%s: %s", e.field, e.message);
		return o;
	}
	while (from < to) {
		size_t n = next_chunk(cut, (size_t)(to - from));
		const char *chunk = frames + (size_t)from * row;
		from += (int64_t)n;
		do {
			size_t consumed, fits;
			/* Now and then through the pipeline's own buffer. */
			void *room = check_below(2) ? pipeline_room(p, ex, &fits) : NULL;
			if (room && fits <= n)
				memcpy(room, chunk, fits * row);
			else
				room = NULL;
			pipeline_step(p, room ? room : chunk, room ? fits : n, ex, &consumed, &slab);
			check_that(!room || consumed == fits, "consumed %zu of %zu from its own buffer", consumed, fits);
			check_that(consumed <= n && consumed <= max_chunk && (consumed > 0 || n == 0), "consumed %zu of %zu", consumed, n);
			take(&o, &slab);
			chunk += consumed * row;
			n -= consumed;
		} while (n > 0);
	}
	do {
		pipeline_flush(p, ex, &slab);
		take(&o, &slab);
	} while (slab.nframes > 0);
	pipeline_free(p);
	return o;
}

static char *random_frames(enum dtype dtype, size_t nvalues)
{
	char *x = malloc(nvalues * 4 + 1);
	if (dtype == DTYPE_F32)
		check_fill_f32((float *)x, nvalues, CHECK_NOISE);
	else
		for (size_t i = 0; i < nvalues; i++)
			((int16_t *)x)[i] = (int16_t)(1000 + 100 * check_f32());
	return x;
}

/* --- however cut, whoever runs it --- */

CHECK_TEST(pipeline_cut_anywhere)
{
	static const size_t lengths[] = { 1, 40, 4595, 4597, 12000, 21000 }, widths[] = { 1, 17, 33 };
	static const struct executor *const executors[] = { &executor_serial, &check_reverse, &check_threads };
	for (size_t i = 0; i < NCHAINS; i++)
		for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
			size_t n = lengths[l], nchannels = widths[(i + l) % 3];
			enum dtype dtype = (i + l) % 2 ? DTYPE_I16 : DTYPE_F32;
			struct pipeline_spec spec = spec_of(&chains[i], nchannels, dtype);
			char *x = random_frames(dtype, n * nchannels);
			struct output whole = { 0 };
			CHECK_EACH_ISA(isa) {
				for (int k = 0; k < 4; k++) {
					enum cut cut = k == 0 ? CUT_NOT : k == 1 && n < 5000 ? CUT_SMALL : CUT_RANDOM;
					size_t max_chunk = k == 0 ? 1 << 15 : 1 + check_below(9000);
					struct output o = push(&spec, x, 0, (int64_t)n, max_chunk, cut, executors[k % 3]);
					check_that(o.first == 0 && o.nframes == n, "%s: %zu frames from %lld, not %zu", chains[i].name, o.nframes,
						   (long long)o.first, n);
					if (whole.x && o.nframes == n)
						check_same(chains[i].name, whole.x, o.x, n * nchannels * sizeof *o.x);
					if (whole.x)
						free(o.x);
					else
						whole = o;
				}
			}
			free(whole.x);
			free(x);
		}
}

/* Long enough for batches of blocks, which few channels make: the same bits as block by block. */
CHECK_TEST(pipeline_batches)
{
	enum { N = 300000 };
	static const size_t widths[] = { 1, 33 };
	for (size_t w = 0; w < 2; w++) {
		char *x = random_frames(DTYPE_I16, N * widths[w]);
		for (size_t i = 3; i < 6; i++) {
			struct pipeline_spec spec = spec_of(&chains[i], widths[w], DTYPE_I16);
			struct output slow = push(&spec, x, 0, N, 1024, CUT_NOT, &executor_serial), fast = push(&spec, x, 0, N, 1 << 20, CUT_NOT, &check_threads);
			check_that(slow.nframes == N && fast.nframes == N, "%s: %zu and %zu frames", chains[i].name, slow.nframes, fast.nframes);
			check_same(chains[i].name, slow.x, fast.x, (size_t)N * widths[w] * sizeof *slow.x);
			free(slow.x);
			free(fast.x);
		}
		free(x);
	}
}

/* A pipeline that was used, then reset, is like new. */
CHECK_TEST(pipeline_reset)
{
	enum { N = 9000, CHANNELS = 3 };
	char *x = random_frames(DTYPE_I16, N * CHANNELS);
	for (size_t i = 0; i < NCHAINS; i++) {
		struct pipeline_spec spec = spec_of(&chains[i], CHANNELS, DTYPE_I16);
		struct output want = push(&spec, x, 0, N, 1024, CUT_NOT, &executor_serial), got = output_new(CHANNELS, N);
		struct pipeline *p;
		struct slab slab;
		size_t consumed;
		if (pipeline_new(&p, &spec, 1024, NULL))
			continue;
		for (size_t at = 0; at < 7000; at += consumed)
			pipeline_step(p, x + 7 * at, 7000 - at, &executor_serial, &consumed, &slab);
		pipeline_reset(p, 0, -1);
		for (size_t at = 0; at < N; at += consumed) {
			pipeline_step(p, x + at * CHANNELS * 2, N - at, &executor_serial, &consumed, &slab);
			take(&got, &slab);
		}
		do {
			pipeline_flush(p, &executor_serial, &slab);
			take(&got, &slab);
		} while (slab.nframes > 0);
		check_that(got.nframes == N, "%s: %zu frames", chains[i].name, got.nframes);
		check_same(chains[i].name, want.x, got.x, N * CHANNELS * sizeof *got.x);
		pipeline_free(p);
		free(want.x);
		free(got.x);
	}
	free(x);
}

/* --- parts of a segment --- */

/* Frames that are enough before and behind any request; from_start: only all of them before it are. */
static void halo(const struct pipeline_spec *spec, size_t *before, size_t *behind, bool *from_start)
{
	size_t grid = plan_grid(spec), frames = 0;

	*from_start = false;
	for (size_t i = 0; i < spec->nstages && i < PIPELINE_MAX_STAGES; i++) {
		enum stage_form form = plan_form(&spec->stages[i]);
		if (form == FORM_BLOCK)
			frames += grid - 1 + plan_margin(&spec->stages[i], spec->fs_hz);
		else if (form == FORM_CAUSAL)
			*from_start = true;
	}
	*before = *behind = frames;
}

static void check_part(const struct chain *chain, const struct output *whole, const char *x, int64_t n, int64_t start, int64_t stop, bool span)
{
	struct pipeline_spec spec = spec_of(chain, whole->nchannels, DTYPE_I16);
	int64_t from, to;
	size_t before, behind;
	bool from_start;

	spec.segment_frames = n;
	halo(&spec, &before, &behind, &from_start);
	if (span) {
		pipeline_span(&spec, start, stop, n, false, &from, &to);
	} else {
		from = from_start || start < (int64_t)before ? 0 : start - (int64_t)before;
		to = stop + (int64_t)behind < n ? stop + (int64_t)behind : n;
	}
	check_that(from >= 0 && from <= start && to >= stop && to <= n, "reads [%lld, %lld)", (long long)from, (long long)to);
	check_that(!from_start || from == 0, "%s: not from the start", chain->name);
	check_that(start - from <= (int64_t)before || from_start, "%s: span reads more than halo", chain->name);
	struct output o = push(&spec, x, from, to, 5000, CUT_RANDOM, &executor_serial);
	check_that(start == stop || (o.first >= 0 && o.first <= start && o.first + (int64_t)o.nframes >= stop),
		   "%s: [%lld, %lld) wanted, [%lld, %lld) read, %zu frames from %lld came", chain->name, (long long)start, (long long)stop,
		   (long long)from, (long long)to, o.nframes, (long long)o.first);
	if (o.nframes > 0)
		check_same(chain->name, whole->x + (size_t)o.first * o.nchannels, o.x, o.nframes * o.nchannels * sizeof *o.x);
	free(o.x);
}

CHECK_TEST(pipeline_part_as_from_whole)
{
	enum { N = 60000, CHANNELS = 2 };
	char *x = random_frames(DTYPE_I16, N * CHANNELS);
	for (size_t i = 0; i < NCHAINS; i++) {
		struct pipeline_spec spec = spec_of(&chains[i], CHANNELS, DTYPE_I16);
		struct output whole = push(&spec, x, 0, N, 1 << 16, CUT_NOT, &executor_serial);
		for (int k = 0; k < 24; k++) {
			int64_t start = (int64_t)check_below(N + 1), stop = start + (int64_t)check_below((size_t)(N - start) + 1);
			if (k % 3 == 0)
				start = start / 4096 * 4096;
			if (k % 4 == 0 && start < N)
				stop = start + 1;
			check_part(&chains[i], &whole, x, N, start, stop, k % 2);
		}
		free(whole.x);
	}
	free(x);
}

/* --- against the kernels, stage by stage --- */

/* One zero-phase stage on one channel by its definition. */
static void plain_zero_phase(const struct sos *s, size_t grid, size_t margin, const float *x, size_t n, float *y)
{
	float *in = aligned_alloc(64, (n + 1) * LANES * sizeof *in), *out = aligned_alloc(64, (grid + 1) * LANES * sizeof *out);
	float *scratch = aligned_alloc(64, (grid + 2 * margin + 2 * s->edge) * LANES * sizeof *scratch);
	for (size_t t = 0; t < n; t++)
		for (size_t lane = 0; lane < LANES; lane++)
			in[t * LANES + lane] = x[t];
	for (size_t start = 0; start < n; start += grid) {
		size_t stop = start + grid < n ? start + grid : n;
		size_t from = start > margin ? start - margin : 0, to = stop + margin < n && stop < n ? stop + margin : n;
		if (start + grid + margin < n)
			to = start + grid + margin;
		zero_phase_tile(s, in + from * LANES, to - from, start - from, stop - start, scratch, out);
		for (size_t t = start; t < stop; t++)
			y[t] = out[(t - start) * LANES + 9];
	}
	free(in);
	free(out);
	free(scratch);
}

CHECK_TEST(pipeline_blocks)
{
	static const size_t lengths[] = { 1, 30, 34, 500, 4096, 4097, 4596, 13000 };
	for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
		size_t n = lengths[l];
		char *x = random_frames(DTYPE_I16, n);
		float *in = malloc(n * sizeof *in), *want = malloc(n * sizeof *want);
		struct pipeline_spec spec = spec_of(&chains[3], 1, DTYPE_I16);
		struct sos s;
		sos_bandpass(&s, 5, 300, 6000, 30000);
		for (size_t t = 0; t < n; t++)
			in[t] = ((int16_t *)x)[t];
		check_that(plan_grid(&spec) == 4096 && plan_margin(&spec.stages[0], 30000) == 500, "grid %zu", plan_grid(&spec));
		plain_zero_phase(&s, 4096, 500, in, n, want);
		struct output o = push(&spec, x, 0, (int64_t)n, 700, CUT_RANDOM, &check_reverse);
		check_same("blocks", want, o.x, n * sizeof *want);
		free(o.x);
		free(in);
		free(want);
		free(x);
	}
}

/* Two in a row: the second sees the first one's whole output. */
/* What a filter gives for [start, stop) of x, frame 0 of which is number `at` of a segment of `total` frames. */
static void plain_piece(const struct sos *s, int64_t margin, const float *x, int64_t at, int64_t start, int64_t stop, int64_t total, float *y)
{
	const int64_t from = start > margin ? start - margin : 0, to = total - stop > margin ? stop + margin : total;
	float *all = malloc((size_t)(to - from + 1) * sizeof *all);
	plain_zero_phase(s, (size_t)(to - from), 0, x + (from - at), (size_t)(to - from), all);
	memcpy(y, all + (start - from), (size_t)(stop - start) * sizeof *y);
	free(all);
}

/* Pushes a piece of which [start, stop) is wanted. */
static struct output push_piece(const struct pipeline_spec *spec, const char *frames, int64_t start, int64_t stop, int64_t total)
{
	const size_t row = spec->nchannels * dtype_size(spec->dtype);
	int64_t from, to;
	struct pipeline *p;
	struct error e;
	struct slab slab;
	struct output o = output_new(spec->nchannels, (size_t)(stop - start));
	if (pipeline_new(&p, spec, 1 + check_below(3000), &e)) {
		check_fail(__FILE__, __LINE__, "%s: %s", e.field, e.message);
		return o;
	}
	pipeline_span(spec, start, stop, total, true, &from, &to);
	pipeline_reset_piece(p, start, stop, total);
	for (size_t consumed; from < to; from += (int64_t)consumed) {
		pipeline_step(p, frames + (size_t)from * row, (size_t)(to - from), &check_reverse, &consumed, &slab);
		check_that(consumed > 0 && slab.nframes == 0, "%zu frames consumed, %zu came", consumed, slab.nframes);
	}
	do {
		pipeline_flush(p, &check_reverse, &slab);
		take(&o, &slab);
	} while (slab.nframes > 0);
	pipeline_free(p);
	return o;
}

CHECK_TEST(pipeline_pieces)
{
	enum { N = 9000 };
	char *x = random_frames(DTYPE_I16, N);
	float *in = malloc(N * sizeof *in), *between = malloc(N * sizeof *in), *want = malloc(N * sizeof *want);
	struct sos band, high;
	sos_bandpass(&band, 5, 300, 6000, 30000);
	sos_highpass(&high, 3, 250, 30000);
	for (size_t t = 0; t < N; t++)
		in[t] = ((int16_t *)x)[t];
	CHECK_EACH_ISA(isa)
		for (int k = 0; k < 30; k++) {
			struct pipeline_spec spec = spec_of(&chains[5], 1, DTYPE_I16);
			int64_t start = k % 4 ? (int64_t)check_below(N) : 0, stop = k % 5 ? start + 1 + (int64_t)check_below((size_t)(N - start)) : N;
			/* Around 0 and N: where the second filter's margin ends inside of the segment, and the first one's does not. */
			if (k % 3 == 0 && start > 1500)
				start = 600 + (int64_t)check_below(500);
			const int64_t from = start > 600 ? start - 600 : 0, to = N - stop > 600 ? stop + 600 : N;
			spec.piece_frames = pipeline_piece(&spec, (size_t)(stop - start));
			check_that(spec.piece_frames == (size_t)(stop - start) + 2 * (500 + 600), "%zu frames of a piece", spec.piece_frames);
			struct output o = push_piece(&spec, x, start, stop, N);
			plain_piece(&band, 500, in, 0, from, to, N, between);
			plain_piece(&high, 600, between, from, start, stop, N, want);
			check_that(o.first == start && o.nframes == (size_t)(stop - start), "[%lld, %lld) gave %zu frames from %lld", (long long)start,
				   (long long)stop, o.nframes, (long long)o.first);
			if (o.nframes == (size_t)(stop - start))
				check_same("piece", want, o.x, o.nframes * sizeof *want);
			free(o.x);
		}
	free(in);
	free(between);
	free(want);
	free(x);
}

CHECK_TEST(pipeline_blocks_twice)
{
	static const size_t lengths[] = { 34, 4096, 4650, 5100, 5250, 13000 };
	for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
		size_t n = lengths[l];
		char *x = random_frames(DTYPE_I16, n);
		float *in = malloc(n * sizeof *in), *between = malloc(n * sizeof *in), *want = malloc(n * sizeof *want);
		struct pipeline_spec spec = spec_of(&chains[5], 1, DTYPE_I16);
		struct sos band, high;
		sos_bandpass(&band, 5, 300, 6000, 30000);
		sos_highpass(&high, 3, 250, 30000);
		for (size_t t = 0; t < n; t++)
			in[t] = ((int16_t *)x)[t];
		plain_zero_phase(&band, 4096, 500, in, n, between);
		plain_zero_phase(&high, 4096, 600, between, n, want);
		struct output o = push(&spec, x, 0, (int64_t)n, 700, CUT_RANDOM, &check_reverse);
		check_same("blocks", want, o.x, n * sizeof *want);
		free(o.x);
		free(in);
		free(between);
		free(want);
		free(x);
	}
}

CHECK_TEST(pipeline_gain_and_reference)
{
	enum { N = 300, CHANNELS = 19 };
	double gain[CHANNELS], offset[CHANNELS];
	_Alignas(64) float tiles[2 * N * LANES];
	char *x = random_frames(DTYPE_I16, N * CHANNELS);
	void *scratch = aligned_alloc(64, reference_scratch(CHANNELS));
	for (int c = 0; c < CHANNELS; c++) {
		gain[c] = 0.195 + 0.01 * c;
		offset[c] = c - 7;
	}
	struct pipeline_spec spec = spec_of(&chains[1], CHANNELS, DTYPE_I16);
	spec.gain = gain;
	spec.offset = offset;
	CHECK_EACH_ISA(isa) {
		convert_frames(DTYPE_I16, x, N, CHANNELS, gain, offset, tiles, N * LANES);
		reference_median(tiles, N * LANES, N, CHANNELS, scratch);
		struct output o = push(&spec, x, 0, N, 77, CUT_RANDOM, &executor_serial);
		for (size_t t = 0; t < N; t++)
			for (size_t c = 0; c < CHANNELS; c++)
				check_that(o.x[t * CHANNELS + c] == tiles[c / LANES * N * LANES + t * LANES + c % LANES], "frame %zu channel %zu", t, c);
		free(o.x);
	}
	free(scratch);
	free(x);
}

/* --- awkward input: the same bits everywhere, and damage stays where it belongs --- */

CHECK_TEST(pipeline_awkward_input)
{
	enum { N = 14000, CHANNELS = 5 };
	float *x = malloc(N * CHANNELS * sizeof *x);
	for (size_t i = 0; i < NCHAINS; i++)
		for (enum check_fill fill = 0; fill < CHECK_NFILL; fill++) {
			struct pipeline_spec spec = spec_of(&chains[i], CHANNELS, DTYPE_F32);
			struct output whole = { 0 };
			check_fill_f32(x, N * CHANNELS, fill);
			CHECK_EACH_ISA(isa) {
				struct output o = push(&spec, (char *)x, 0, N, 6000, CUT_RANDOM, &executor_serial);
				if (whole.x) {
					check_same(chains[i].name, whole.x, o.x, N * CHANNELS * sizeof *o.x);
					free(o.x);
				} else {
					whole = o;
				}
			}
			free(whole.x);
		}
	free(x);
}

CHECK_TEST(pipeline_nan)
{
	enum { N = 20000, CHANNELS = 3 };
	float *x = calloc(N * CHANNELS, sizeof *x);
	struct pipeline_spec zero = spec_of(&chains[3], CHANNELS, DTYPE_F32), causal = spec_of(&chains[2], CHANNELS, DTYPE_F32);
	x[9000 * CHANNELS + 1] = NAN;
	CHECK_EACH_ISA(isa) {
		struct output z = push(&zero, (char *)x, 0, N, 5000, CUT_RANDOM, &executor_serial);
		struct output c = push(&causal, (char *)x, 0, N, 5000, CUT_RANDOM, &executor_serial);
		for (size_t t = 0; t < N; t++) {
			/* Frame 9000 is read by the block of 8192 only. */
			check_that(!isnan(z.x[t * CHANNELS + 1]) == (t < 8192 || t >= 12288), "zero phase, frame %zu", t);
			check_that(!isnan(c.x[t * CHANNELS + 1]) == (t < 9000), "causal, frame %zu", t);
			check_that(z.x[t * CHANNELS] == 0 && c.x[t * CHANNELS + 2] == 0, "another channel at %zu", t);
		}
		free(z.x);
		free(c.x);
	}
	free(x);
}

/* --- specs --- */

static void refused(struct pipeline_spec spec, const char *field)
{
	struct pipeline *p;
	struct error e = { 0 };
	enum status status = pipeline_new(&p, &spec, 100, &e);
	check_that(status == STATUS_INVALID && !p && strcmp(e.field, field) == 0 && e.hint[0], "%s: status %d, field \"%s\", \"%s\", \"%s\"", field,
		   status, e.field, e.message, e.hint);
	pipeline_free(p);
}

CHECK_TEST(pipeline_refuses)
{
	const struct pipeline_spec good = spec_of(&chains[4], 8, DTYPE_I16);
	const double numbers[] = { 0, -1, NAN, INFINITY, 15000, 20000 }, one = 1, no[8] = { NAN };
	struct pipeline_spec s;
	struct pipeline *p;
	for (size_t i = 0; i < 6; i++) {
		s = good;
		s.stages[1].freq_min_hz = numbers[i];
		refused(s, "preprocess[1].freq_min");
		s = good;
		s.stages[1].freq_max_hz = numbers[i];
		refused(s, "preprocess[1].freq_max");
	}
	s = good, s.stages[1].freq_max_hz = 300, refused(s, "preprocess[1].freq_max");
	s = good, s.stages[1].freq_min_hz = 1e-4, refused(s, "preprocess[1].freq_min");
	s = good, s.stages[1].order = 0, refused(s, "preprocess[1].order");
	s = good, s.stages[1].order = 9, refused(s, "preprocess[1].order");
	s = good, s.stages[1] = (struct stage_spec)NOTCH(true, 15000), refused(s, "preprocess[1].freq");
	s = good, s.stages[1] = (struct stage_spec)NOTCH(true, 100), s.stages[1].q = NAN, refused(s, "preprocess[1].q");
	s = good, s.stages[1] = (struct stage_spec)STOP(true, 500, 400), refused(s, "preprocess[1].freq_max");
	s = good, s.stages[1] = (struct stage_spec)ELLIPTIC_LOW(-1), refused(s, "preprocess[1].freq_max");
	s = good, s.stages[1] = (struct stage_spec)ELLIPTIC_LOW(100), s.stages[1].ripple_db = 30, refused(s, "preprocess[1].attenuation_db");
	s = good, s.stages[1] = (struct stage_spec)ELLIPTIC_LOW(100), s.stages[1].ripple_db = 0, refused(s, "preprocess[1].ripple_db");
	s = good, s.stages[1].family = 9, refused(s, "preprocess[1].filter");
	s = good, s.stages[1].family = FILTER_BESSEL, s.stages[1].norm = 9, refused(s, "preprocess[1].norm");
	s = good, s.stages[0] = (struct stage_spec)LOCAL(MEDIAN), s.locations = NULL, refused(s, "channel_locations");
	s = good, s.stages[0] = (struct stage_spec)LOCAL(MEDIAN), s.stages[0].radius_um[1] = INFINITY, refused(s, "preprocess[0].local_radius_um");
	s = good, s.stages[0] = (struct stage_spec)GROUPED(MEDIAN), s.stages[0].ngroups = 0, refused(s, "preprocess[0].groups");
	s = good, s.stages[0].excluded = (struct channel_list){ 2, (const uint32_t[]){ 3, 3 } }, refused(s, "preprocess[0].excluded");
	s = good, s.stages[0].excluded = (struct channel_list){ 1, (const uint32_t[]){ 8 } }, refused(s, "preprocess[0].excluded");
	s = good, s.stages[0].scope = 9, refused(s, "preprocess[0].reference");
	s = good, s.stages[0] = (struct stage_spec)SHIFT, s.inter_sample_shift = NULL, refused(s, "inter_sample_shift");
	s = good, s.stages[0] = (struct stage_spec)SHIFT, s.inter_sample_shift = no, refused(s, "inter_sample_shift");
	s = good, s.stages[0] = (struct stage_spec)WHITEN, s.whiten_matrix = NULL, refused(s, "whiten_matrix");
	s = good, s.stages[0] = (struct stage_spec)NEO(NAN), refused(s, "preprocess[0].window_ms");
	s = good, s.stages[0] = (struct stage_spec)NEO(1000), refused(s, "preprocess[0].window_ms");
	s = good, s.stages[0] = (struct stage_spec)BLANK(0), refused(s, "preprocess[0].level");
	s = good, s.stages[0] = (struct stage_spec)BLANK(1), s.stages[0].microvolts = true, refused(s, "preprocess[0].unit");
	s = good, s.stages[0] = (struct stage_spec)BLANK(1), s.stages[0].value = (struct channel_values){ 8, no }, refused(s, "preprocess[0].value");
	s = good, s.stages[0] = (struct stage_spec)BLANK(1), s.stages[0].value.n = 7, refused(s, "preprocess[0].value");
	s = good, s.stages[0] = (struct stage_spec)SATURATION(1, NAN, 0, 0), refused(s, "preprocess[0].slope");
	s = good, s.stages[0] = (struct stage_spec)SATURATION(1, 0, 1e9, 0), refused(s, "preprocess[0].before_ms");
	s = good, s.stages[0] = (struct stage_spec)SATURATION(1, 0, 0, NAN), refused(s, "preprocess[0].after_ms");
	s = good, s.stages[0] = (struct stage_spec)SATURATION(1, 0, 0, 0), s.stages[0].fraction = 1, refused(s, "preprocess[0].fraction");
	s = good, s.stages[0] = (struct stage_spec)FIRST(SILENCE), s.stages[0].channels.n = 0, refused(s, "preprocess[0].channels");
	s = good, s.stages[0] = (struct stage_spec)FIRST(INTERPOLATE), s.stages[0].p = 0, refused(s, "preprocess[0].p");
	s = good, s.stages[0] = (struct stage_spec)FIRST(INTERPOLATE), s.stages[0].sigma_um = NAN, refused(s, "preprocess[0].sigma_um");
	s = good, s.stages[0] = (struct stage_spec)FIRST(INTERPOLATE), s.locations = NULL, refused(s, "channel_locations");
	s = good, s.stages[0].op = 7, refused(s, "preprocess[0].operator");
	s = good, s.stages[0].kind = STAGE_KINDS, refused(s, "preprocess[0].stage");
	s = good, s.nstages = 17, refused(s, "preprocess");
	s = good, s.nchannels = 0, refused(s, "num_channels");
	s = good, s.fs_hz = NAN, refused(s, "sampling_frequency");
	s = good, s.dtype = DTYPE_BOOL, refused(s, "dtype");
	s = good, s.dtype = DTYPE_NONE, refused(s, "dtype");
	s = good, s.first_frame = -1, refused(s, "start");
	s = good, s.gain = &one, refused(s, "gain");
	s = good, s.gain = s.offset = no, refused(s, "gain");
	check_that(pipeline_new(&p, &good, 0, NULL) == STATUS_INVALID && pipeline_new(&p, &good, (1 << 20) + 1, NULL) == STATUS_INVALID, "chunks");
	check_that(pipeline_new(&p, &good, 1 << 20, NULL) == STATUS_OK, "a good spec");
	pipeline_free(p);
	pipeline_free(NULL);
	s = good;
	s.nchannels = SIZE_MAX / 8192;
	check_that(pipeline_bytes(&s, 1000) == SIZE_MAX && pipeline_new(&p, &s, 1000, NULL) == STATUS_NO_MEMORY, "more than memory");
	size_t bytes = pipeline_bytes(&good, 1000);
	check_that(bytes > 5096 * 64 && bytes < 1 << 24, "%zu bytes", bytes);
}

CHECK_TEST(pipeline_bench)
{
	enum { FRAMES = 8 * 4096, CHANNELS = 384, CHUNK = 4096 };
	static const size_t which[] = { 0, 2, 3, 4 };
	char *x = random_frames(DTYPE_I16, FRAMES * CHANNELS);
	CHECK_EACH_ISA(isa)
		for (int i = 0; i < 4; i++) {
			struct pipeline_spec spec = spec_of(&chains[which[i]], CHANNELS, DTYPE_I16);
			struct pipeline *p;
			struct slab slab;
			size_t consumed;
			char label[64];
			snprintf(label, sizeof label, "pipeline i16, %s", chains[which[i]].name);
			if (pipeline_new(&p, &spec, CHUNK, NULL))
				continue;
			/* Without end, so as not to count a segment's last blocks. */
			CHECK_BENCH(label, FRAMES * CHANNELS)
				for (size_t at = 0; at < FRAMES; at += consumed)
					pipeline_step(p, x + at * CHANNELS * 2, FRAMES - at, &executor_serial, &consumed, &slab);
			pipeline_free(p);
		}
	free(x);
}

/* One stage at a time, 384 channels in two columns. */
CHECK_TEST(pipeline_stage_bench)
{
	enum { FRAMES = 4 * 4096, CHANNELS = 384, CHUNK = 4096 };
	static const struct chain stages[] = {
		{ "lowpass, elliptic 3", 1, { ELLIPTIC_LOW(5000) } },
		{ "notch", 1, { NOTCH(true, 3000) } },
		{ "bandstop 2, causal", 1, { STOP(false, 400, 900) } },
		{ "local median", 1, { LOCAL(MEDIAN) } },
		{ "local average", 1, { LOCAL(AVERAGE) } },
		{ "phase shift", 1, { SHIFT } },
		{ "energy", 1, { NEO(0) } },
		{ "energy, 1 ms", 1, { NEO(1) } },
		{ "scale", 1, { SCALE } },
		{ "center", 1, { CENTER } },
		{ "blank", 1, { BLANK(1200) } },
		{ "blank saturation", 1, { SATURATION(1200, 300, 1, 1) } },
		{ "silence", 1, { FIRST(SILENCE) } },
		{ "interpolate", 1, { FIRST(INTERPOLATE) } },
		{ "whiten, 39 of 384", 1, { WHITEN } },
		{ "whiten, 384 of 384", 1, { WHITEN } },
	};
	enum { NSTAGES = sizeof stages / sizeof *stages };
	char *x = random_frames(DTYPE_I16, FRAMES * CHANNELS);
	CHECK_EACH_ISA(isa)
		for (int i = 0; i < NSTAGES; i++) {
			struct pipeline_spec spec = spec_of(&stages[i], CHANNELS, DTYPE_I16);
			struct pipeline *p;
			struct slab slab;
			size_t consumed;
			for (size_t k = 0; k < CHANNELS * CHANNELS && i == NSTAGES - 1; k++)
				matrix[k] = 1 / (1.0 + (double)k);
			if (pipeline_new(&p, &spec, CHUNK, NULL))
				continue;
			CHECK_BENCH(stages[i].name, FRAMES * CHANNELS)
				for (size_t at = 0; at < FRAMES; at += consumed)
					pipeline_step(p, x + at * CHANNELS * 2, FRAMES - at, &executor_serial, &consumed, &slab);
			pipeline_free(p);
		}
	free(x);
}
