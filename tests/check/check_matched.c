/* SPDX-License-Identifier: BSD-3-Clause
 *
 * matched_filtering against the rule written down directly, in the same f32 sums: every place of the stream and one beyond, every candidate against
 * every other. Peaks must be the same records whatever the cut, the executor and the instruction set.
 */
#include "kernels/matched.h"
#include "tests/check/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FRAMES = 1300, MAX_CHANNELS = 20, MAX_LENGTH = 30, MAX_NZ = 3 };

struct data {
	size_t nframes, nchannels, ntiles, length, before, nz, sweep;
	int64_t first;
	enum peak_sign sign;
	double places[2 * MAX_CHANNELS], prototype[MAX_LENGTH], z_um[MAX_NZ], threshold[MAX_NZ * MAX_CHANNELS], radius;
	float x[MAX_FRAMES * MAX_CHANNELS]; /* [nframes][nchannels] */
	float *tiles;
	size_t start[MAX_CHANNELS + 1], index[MAX_CHANNELS * MAX_CHANNELS];
	struct matched_filter *filter;
};

static bool near(const struct data *d, size_t a, size_t b)
{
	return hypot(d->places[2 * a] - d->places[2 * b], d->places[2 * a + 1] - d->places[2 * b + 1]) <= d->radius;
}

static void make(struct data *d)
{
	struct error e;
	d->nframes = 1 + check_below(check_below(3) ? MAX_FRAMES : 60);
	d->nchannels = 1 + check_below(MAX_CHANNELS);
	d->ntiles = (d->nchannels + LANES - 1) / LANES;
	d->length = 1 + check_below(MAX_LENGTH);
	d->before = check_below(d->length);
	d->nz = 1 + check_below(MAX_NZ);
	d->sweep = check_below(12);
	d->first = check_below(2) ? 1000 : 0;
	d->sign = check_below(2) ? PEAK_BOTH : PEAK_NEG;
	d->radius = 10.0 * (double)check_below(10);
	for (size_t i = 0; i < 2 * d->nchannels; i++)
		d->places[i] = 10.0 * (double)check_below(12);
	for (size_t k = 0; k < d->length; k++)
		d->prototype[k] = check_f32();
	for (size_t z = 0; z < d->nz; z++)
		d->z_um[z] = 20.0 * (double)z;
	for (size_t i = 0; i < d->nz * d->nchannels; i++)
		d->threshold[i] = i >= d->nchannels && check_below(2) ? d->threshold[i - d->nchannels] : 1 + 2 * check_uniform(); /* so that depths tie */
	d->tiles = aligned_alloc(64, d->ntiles * d->nframes * LANES * sizeof(float));
	memset(d->tiles, 0, d->ntiles * d->nframes * LANES * sizeof(float));
	const bool odd = check_below(5) == 0;
	for (size_t i = 0; i < d->nframes * d->nchannels; i++) {
		const size_t t = i / d->nchannels, c = i % d->nchannels;
		/* Channels alike now and then, so that values tie. */
		d->x[i] = c && check_below(3) ? d->x[i - 1] : odd && check_below(300) == 0 ? NAN : (float)check_below(7) - 3;
		d->tiles[(c / LANES * d->nframes + t) * LANES + c % LANES] = d->x[i];
	}
	size_t n = 0;
	for (size_t a = 0; a < d->nchannels; a++) {
		d->start[a] = n;
		for (size_t b = 0; b < d->nchannels; b++)
			if (near(d, a, b))
				d->index[n++] = b;
	}
	d->start[d->nchannels] = n;
	const struct matched_filter_spec spec = { .nchannels = d->nchannels, .ndim = 2, .length = d->length, .before = d->before, .nz = d->nz,
						  .places = d->places, .prototype = d->prototype, .z_um = d->z_um, .sigma_um = 20 };
	check_that(matched_filter_new(&d->filter, &spec, &check_threads, &e) == STATUS_OK, "no filter");
}

/* Weights as documented, in f64: f32 and its order of sums apart. Those at the edge of being kept do not count. */
static void check_weights(const struct data *d)
{
	const size_t n = d->nchannels;
	for (size_t z = 0; z < d->nz; z++)
		for (size_t j = 0; j < n; j++) {
			double w[MAX_CHANNELS], norm = 0, again = 0, got[MAX_CHANNELS] = { 0 };
			bool edge = false;
			for (size_t i = 0; i < n; i++) {
				const double dx = d->places[2 * i] - d->places[2 * j], dy = d->places[2 * i + 1] - d->places[2 * j + 1];
				w[i] = exp(-sqrt(dx * dx + dy * dy + d->z_um[z] * d->z_um[z]) / 20);
				norm += w[i] * w[i];
				for (size_t k = d->filter->start[z * n + i]; k < d->filter->start[z * n + i + 1]; k++)
					if (d->filter->index[k] == j)
						got[i] = d->filter->weight[k];
			}
			for (size_t i = 0; i < n; i++) {
				w[i] /= sqrt(norm);
				edge |= fabs(w[i] - 0.5 / sqrt((double)n)) < 1e-5;
				w[i] = w[i] < 0.5 / sqrt((double)n) ? 0 : w[i];
				again += w[i] * w[i];
			}
			for (size_t i = 0; i < n && !edge; i++)
				check_that(fabs(w[i] / sqrt(again) - got[i]) < 1e-5, "weight %zu %zu %zu: %g, not %g", z, i, j, got[i], w[i] / sqrt(again));
		}
}

struct found {
	int64_t at;
	size_t channel, z;
	double value;
};

/* conv at a place, frames outside the stream being 0. */
static float conv(const struct data *d, size_t z, size_t channel, int64_t s)
{
	const struct matched_filter *f = d->filter;
	float sum = 0;
	for (size_t i = f->start[z * d->nchannels + channel]; i < f->start[z * d->nchannels + channel + 1]; i++) {
		float inner = 0;
		for (size_t k = 0; k < d->length; k++) {
			const int64_t t = s + (int64_t)k - d->first;
			inner += f->prototype[k] * (t < 0 || t >= (int64_t)d->nframes ? 0 : d->x[(size_t)t * d->nchannels + f->index[i]]);
		}
		sum += f->weight[i] * inner;
	}
	return sum;
}

static size_t list(const struct data *d, struct found *out)
{
	size_t n = 0;
	for (int64_t s = d->first - (int64_t)d->length + 1; s < d->first + (int64_t)d->nframes; s++)
		for (size_t c = 0; c < d->nchannels; c++)
			for (size_t z = 0; z < d->nz; z++)
				for (int sign = 1; sign >= (d->sign == PEAK_BOTH ? -1 : 1); sign -= 2) {
					const float a = (float)sign * conv(d, z, c, s - 1), b = (float)sign * conv(d, z, c, s), e = (float)sign * conv(d, z, c, s + 1);
					const double threshold = d->threshold[z * d->nchannels + c];
					if (b >= threshold && b > a && b >= e)
						out[n++] = (struct found){ s, c, z, b / threshold };
				}
	return n;
}

static bool beats(const struct data *d, const struct found *j, const struct found *i)
{
	const int64_t apart = j->at - i->at;
	if (apart > (int64_t)d->sweep || -apart > (int64_t)d->sweep || !near(d, i->channel, j->channel))
		return false;
	return j->value > i->value || (j->value == i->value && (apart < 0 || (apart == 0 && j->channel == i->channel && j->z < i->z)));
}

static struct peaks reference(const struct data *d)
{
	const size_t most = (d->nframes + d->length) * d->nchannels * d->nz * 2;
	struct found *all = malloc(most * sizeof *all);
	const size_t n = list(d, all);
	struct peaks kept = { .at = malloc((n + 1) * sizeof *kept.at) };
	for (size_t i = 0; i < n; i++) {
		bool stays = true;
		for (size_t j = 0; j < n && stays; j++)
			stays = !beats(d, &all[j], &all[i]);
		const int64_t frame = all[i].at + (int64_t)d->before, t = frame - d->first;
		if (stays)
			kept.at[kept.count++] = (struct peak){ frame, (int64_t)all[i].channel,
							       t < 0 || t >= (int64_t)d->nframes ? 0 : d->x[(size_t)t * d->nchannels + all[i].channel],
							       (int64_t)all[i].z << 32 | 5 };
	}
	free(all);
	return kept;
}

static void run(const struct data *d, struct matched *m, size_t most, const struct executor *ex, struct peaks *peaks)
{
	matched_reset(m, 5);
	for (size_t done = 0; done < d->nframes;) {
		const size_t n = 1 + check_below(most), cut = d->nframes - done < n ? d->nframes - done : n;
		const struct slab slab = { .x = d->tiles + done * LANES, .nchannels = d->nchannels, .ntiles = d->ntiles, .tile_stride = d->nframes * LANES,
					   .nframes = cut, .first_frame = d->first + (int64_t)done };
		check_that(matched_step(m, &slab, ex, peaks) == STATUS_OK, "step");
		done += cut;
	}
	check_that(matched_flush(m, ex, peaks) == STATUS_OK, "flush");
}

CHECK_TEST(matched_any_cut)
{
	static const size_t cuts[] = { MAX_FRAMES, 1, 30, 700 };
	const struct executor *const executors[] = { &executor_serial, &check_reverse, &check_threads };
	struct data *d = malloc(sizeof *d);
	size_t total = 0;
	CHECK_EACH_ISA(isa)
		for (int k = 0; k < 14; k++) {
			make(d);
			check_weights(d);
			struct peaks expected = reference(d);
			const struct matched_spec spec = { .filter = d->filter, .sign = d->sign, .sweep = d->sweep, .threshold = d->threshold,
							   .neighbour_start = d->start, .neighbour_index = d->index };
			struct matched *m;
			struct error e;
			check_that(matched_new(&m, &spec, &e) == STATUS_OK, "no detector");
			for (size_t i = 0; i < 4; i++) {
				struct peaks got = { 0 };
				run(d, m, cuts[i], executors[i % 3], &got);
				check_that(got.count == expected.count, "%zu peaks, not %zu, in cuts of %zu", got.count, expected.count, cuts[i]);
				if (got.count == expected.count)
					check_same("peaks", expected.at, got.at, got.count * sizeof *got.at);
				peaks_fini(&got);
			}
			total += expected.count;
			matched_free(m);
			matched_filter_free(d->filter);
			free(expected.at);
			free(d->tiles);
		}
	check_that(total > 200, "only %zu peaks", total);
	free(d);
}

/* The noise job's way: all of a slab at once. */
CHECK_TEST(matched_whole_slab)
{
	struct data *d = malloc(sizeof *d);
	for (int k = 0; k < 20; k++) {
		make(d);
		const size_t n = d->nframes - d->length + 1;
		if (d->nframes >= d->length) {
			const struct slab x = { .x = d->tiles, .nchannels = d->nchannels, .ntiles = d->ntiles, .tile_stride = d->nframes * LANES,
						.nframes = d->nframes };
			float *rows = check_guard(d->nchannels * n * sizeof *rows, CHECK_END);
			struct slab out = x;
			out.x = aligned_alloc(64, d->ntiles * d->nframes * LANES * sizeof(float));
			matched_correlate(d->filter, &x, &check_threads, rows);
			for (size_t z = 0; z < d->nz; z++) {
				matched_weigh(d->filter, z, rows, n, &check_threads, &out);
				check_that(out.nframes == n, "frames");
				for (size_t t = 0; t < n; t += 1 + n / 50)
					for (size_t c = 0; c < d->nchannels; c++) {
						const float got = slab_get(&out, t, c), expected = conv(d, z, c, d->first + (int64_t)t);
						check_that(got == expected || (isnan(got) && isnan(expected)), "conv %g, not %g", got, expected);
					}
			}
			free(out.x);
			check_release();
		}
		matched_filter_free(d->filter);
		free(d->tiles);
	}
	free(d);
}
