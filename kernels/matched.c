/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Blocks of BLOCK places s. Of each, first the tiles are correlated with the prototype, into one row a channel, then each channel adds up the
 * rows of its neighbours, depth by depth, and looks for candidates. Whatever the block, a value is the same sum in the same order.
 */
#include "kernels/matched.h"
#include "kernels/exclusive.h"
#include "kernels/history.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 512, STRIDE = BLOCK + LANES };

/* --- the filter --- */

struct columns {
	const struct matched_filter_spec *spec;
	float *w;                    /* [nz][nchannels j][nchannels i] */
};

static double distance(const struct matched_filter_spec *s, size_t a, size_t b)
{
	double sum = 0;
	for (size_t i = 0; i < s->ndim; i++) {
		const double d = s->places[a * s->ndim + i] - s->places[b * s->ndim + i];
		sum += d * d;
	}
	return sqrt(sum);
}

/* Divides column j by its norm; with `least`, smaller ones become 0. In f32, in the order of i. */
static void normalise(float *w, size_t n, float least)
{
	float sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += w[i] * w[i];
	const float norm = sqrtf(sum);
	for (size_t i = 0; i < n; i++) {
		const float x = w[i] / norm;
		w[i] = isfinite(x) && x >= least ? x : 0;
	}
}

static void make_column(void *arg, size_t job)
{
	const struct columns *c = arg;
	const struct matched_filter_spec *s = c->spec;
	const size_t n = s->nchannels, z = job / n, j = job % n;
	float *w = c->w + job * n;
	for (size_t i = 0; i < n; i++) {
		const double d = distance(s, i, j);
		w[i] = (float)exp(-sqrt(d * d + s->z_um[z] * s->z_um[z]) / s->sigma_um);
	}
	normalise(w, n, (float)(0.5 / sqrt((double)n)));
	normalise(w, n, 0);
}

/* From columns to rows of what is not 0: first start[row + 1] counts row, then start[row] is where its next one goes, and in the end starts
 * have moved one row on. */
static bool keep_weights(struct matched_filter *f, const float *w)
{
	const size_t n = f->nchannels, nrows = f->nz * n;
	for (size_t k = 0; k < nrows * n; k++)
		f->start[k / (n * n) * n + k % n + 1] += w[k] > 0;
	for (size_t row = 0; row < nrows; row++)
		f->start[row + 1] += f->start[row];
	f->index = calloc(f->start[nrows] + 1, sizeof *f->index);
	f->weight = calloc(f->start[nrows] + 1, sizeof *f->weight);
	if (!f->index || !f->weight)
		return false;
	for (size_t k = 0; k < nrows * n; k++)
		if (w[k] > 0) {
			const size_t at = f->start[k / (n * n) * n + k % n]++;
			f->index[at] = k / n % n;
			f->weight[at] = w[k];
		}
	memmove(f->start + 1, f->start, nrows * sizeof *f->start);
	f->start[0] = 0;
	return true;
}

enum status matched_filter_new(struct matched_filter **out, const struct matched_filter_spec *spec, const struct executor *ex, struct error *e)
{
	const size_t n = spec->nchannels;
	size_t nbytes;
	double sum = 0;
	struct matched_filter *f = calloc(1, sizeof *f);
	*out = NULL;
	const bool fits = !__builtin_mul_overflow(n, n * spec->nz * sizeof(float), &nbytes);
	float *w = fits ? malloc(nbytes) : NULL;
	if (f) {
		*f = (struct matched_filter){ .nchannels = n, .length = spec->length, .before = spec->before, .nz = spec->nz };
		f->prototype = calloc(spec->length, sizeof *f->prototype);
		f->start = calloc(n * spec->nz + 1, sizeof *f->start);
	}
	bool ok = w && f && f->prototype && f->start;
	if (ok) {
		ex->run(ex->ctx, n * spec->nz, make_column, &(struct columns){ spec, w });
		ok = keep_weights(f, w);
	}
	free(w);
	if (!ok) {
		matched_filter_free(f);
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for the weights of %zu channels and %zu depths", n, spec->nz);
	}
	for (size_t k = 0; k < spec->length; k++)
		sum += spec->prototype[k] * spec->prototype[k];
	for (size_t k = 0; k < spec->length; k++)
		f->prototype[k] = (float)(spec->prototype[k] / sqrt(sum));
	*out = f;
	return STATUS_OK;
}

void matched_filter_free(struct matched_filter *f)
{
	if (!f)
		return;
	free(f->prototype);
	free(f->start);
	free(f->index);
	free(f->weight);
	free(f);
}

size_t matched_late(const struct matched_filter *f, size_t sweep)
{
	return f->length + sweep + 2;
}

static size_t lanes_of(const struct matched_filter *f, size_t tile)
{
	return f->nchannels - tile * LANES < LANES ? f->nchannels - tile * LANES : LANES;
}

/* n places of a row and depth, from place `at` on of rows with this stride. */
static void weigh(const struct matched_filter *f, size_t row, const float *rows, size_t stride, size_t at, size_t n, float *out)
{
	void (*add)(float *, const float *, float, size_t) = ISA_PICK(matched_add);
	memset(out, 0, n * sizeof *out);
	for (size_t i = f->start[row]; i < f->start[row + 1]; i++)
		add(out, rows + f->index[i] * stride + at, f->weight[i], n);
}

struct whole {
	const struct matched_filter *f;
	const struct slab *x;
	float *to;
	const float *rows;
	size_t n, z;
	struct slab *out;
};

static void correlate_all(void *arg, size_t tile)
{
	const struct whole *w = arg;
	ISA_PICK(matched_correlate_tile)(slab_at(w->x, tile, 0), w->n, w->f->prototype, w->f->length, w->to + tile * LANES * w->n, w->n, lanes_of(w->f, tile));
}

void matched_correlate(const struct matched_filter *f, const struct slab *x, const struct executor *ex, float *rows)
{
	ex->run(ex->ctx, x->ntiles, correlate_all, &(struct whole){ .f = f, .x = x, .to = rows, .n = x->nframes - f->length + 1 });
}

static void weigh_all(void *arg, size_t channel)
{
	const struct whole *w = arg;
	float row[BLOCK];
	for (size_t at = 0; at < w->n; at += BLOCK) {
		const size_t n = w->n - at < BLOCK ? w->n - at : BLOCK;
		weigh(w->f, w->z * w->f->nchannels + channel, w->rows, w->n, at, n, row);
		float *to = slab_at(w->out, channel / LANES, at) + channel % LANES;
		for (size_t t = 0; t < n; t++)
			to[t * LANES] = row[t];
	}
}

void matched_weigh(const struct matched_filter *f, size_t z, const float *rows, size_t n, const struct executor *ex, struct slab *out)
{
	out->nframes = n;
	ex->run(ex->ctx, f->nchannels, weigh_all, &(struct whole){ .f = f, .rows = rows, .n = n, .z = z, .out = out });
}

/* --- the detector --- */

struct find {
	uint32_t t, z;
	double value;                /* conv / threshold */
};

struct matched {
	const struct matched_filter *filter;
	enum peak_sign sign;
	double *threshold;           /* [nz * nchannels] */
	struct history *history;
	struct exclusive *exclusive;
	size_t ntiles, window;       /* frames of a tile's window */
	float *windows;              /* [ntiles][window][LANES] */
	float *rows;                 /* [ntiles * LANES][STRIDE] */
	struct find *finds;          /* [nchannels][BLOCK], ascending */
	size_t *nfinds;
	struct peaks candidates;
	int64_t segment_index, next; /* the next place to decide */
	bool started;
	size_t n;                    /* places of this block */
};

size_t matched_bytes(const struct matched_spec *spec)
{
	const size_t n = spec->filter->nchannels, ntiles = (n + LANES - 1) / LANES, window = STRIDE + spec->filter->length;
	const size_t history = history_bytes(n, matched_late(spec->filter, spec->sweep) + 2);
	size_t bytes;
	if (__builtin_mul_overflow(ntiles * LANES, (window + STRIDE) * sizeof(float) + BLOCK * sizeof(struct find) + 256, &bytes) ||
	    __builtin_add_overflow(bytes, history, &bytes))
		return SIZE_MAX;
	return bytes;
}

/* The contest is in units of the threshold, so for it all thresholds are 1. */
static enum status make_contest(struct matched *m, const struct matched_spec *spec, struct error *e)
{
	const size_t n = spec->filter->nchannels;
	double *ones = calloc(n, sizeof *ones);
	if (!ones)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	for (size_t c = 0; c < n; c++)
		ones[c] = 1;
	const struct detect_spec s = { .nchannels = n, .sweep = spec->sweep, .threshold = ones, .neighbour_start = spec->neighbour_start,
				       .neighbour_index = spec->neighbour_index };
	const enum status status = exclusive_new(&m->exclusive, &s, e);
	free(ones);
	return status;
}

enum status matched_new(struct matched **out, const struct matched_spec *spec, struct error *e)
{
	const struct matched_filter *f = spec->filter;
	const size_t n = f->nchannels, ntiles = (n + LANES - 1) / LANES;
	struct matched *m = calloc(1, sizeof *m);
	*out = NULL;
	if (!m)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	*m = (struct matched){ .filter = f, .sign = spec->sign, .ntiles = ntiles, .window = STRIDE + f->length };
	m->threshold = malloc(f->nz * n * sizeof *m->threshold);
	m->windows = aligned_alloc(64, ntiles * m->window * LANES * sizeof *m->windows);
	m->rows = calloc(ntiles * LANES * STRIDE, sizeof *m->rows);
	m->finds = calloc(n * BLOCK, sizeof *m->finds);
	m->nfinds = calloc(n, sizeof *m->nfinds);
	enum status status = m->threshold && m->windows && m->rows && m->finds && m->nfinds ? STATUS_OK :
				     error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for a detector of %zu channels", n);
	if (!status)
		status = history_new(&m->history, n, matched_late(f, spec->sweep) + 2, e);
	if (!status)
		status = make_contest(m, spec, e);
	if (status) {
		matched_free(m);
		return status;
	}
	memcpy(m->threshold, spec->threshold, f->nz * n * sizeof *m->threshold);
	matched_reset(m, 0);
	*out = m;
	return STATUS_OK;
}

void matched_free(struct matched *m)
{
	if (!m)
		return;
	history_free(m->history);
	exclusive_free(m->exclusive);
	peaks_fini(&m->candidates);
	free(m->threshold);
	free(m->windows);
	free(m->rows);
	free(m->finds);
	free(m->nfinds);
	free(m);
}

void matched_reset(struct matched *m, int64_t segment_index)
{
	m->segment_index = segment_index;
	m->started = false;
	m->candidates.count = 0;
	history_reset(m->history);
	exclusive_reset(m->exclusive);
}

/* Places next - 1 to next + n, that is one more on either side. */
static void correlate_tile(void *arg, size_t tile)
{
	const struct matched *m = arg;
	const struct matched_filter *f = m->filter;
	const size_t nplaces = m->n + 2, nframes = nplaces + f->length - 1;
	float *x = m->windows + tile * m->window * LANES;
	struct stretch s[2];
	const size_t count = history_stretches(m->history, tile, m->next - 1, nframes, s);
	memset(x, 0, nframes * LANES * sizeof *x);
	for (size_t i = 0; i < count; i++)
		memcpy(x + s[i].skip * LANES, s[i].x, s[i].n * LANES * sizeof *x);
	ISA_PICK(matched_correlate_tile)(x, nplaces, f->prototype, f->length, m->rows + tile * LANES * STRIDE, STRIDE, lanes_of(f, tile));
}

/* Is y[1] a candidate? */
static bool is_candidate(const float *y, double threshold, enum peak_sign sign)
{
	if (y[1] >= threshold)
		return y[1] > y[0] && y[1] >= y[2];
	return sign == PEAK_BOTH && -y[1] >= threshold && y[1] < y[0] && y[1] <= y[2];
}

/* Candidates of all depths of a channel, the best of each place. */
static void find_candidates(void *arg, size_t channel)
{
	struct matched *m = arg;
	const struct matched_filter *f = m->filter;
	size_t (*scan)(const float *, size_t, size_t, float) = ISA_PICK(matched_scan);
	float y[BLOCK + 2];
	double best[BLOCK];
	uint8_t depth[BLOCK];
	size_t n = 0;
	memset(best, 0, m->n * sizeof *best);
	for (size_t z = 0; z < f->nz; z++) {
		const double threshold = m->threshold[z * f->nchannels + channel];
		const float least = nextafterf((float)threshold, 0);
		weigh(f, z * f->nchannels + channel, m->rows, STRIDE, 0, m->n + 2, y);
		for (size_t t = 0; (t = scan(y + 1, t, m->n, least)) < m->n; t++) {
			const double value = fabs((double)y[t + 1]) / threshold;
			if (value > best[t] && is_candidate(y + t, threshold, m->sign)) {
				best[t] = value;
				depth[t] = (uint8_t)z;
			}
		}
	}
	struct find *finds = m->finds + channel * BLOCK;
	for (size_t t = 0; t < m->n; t++)
		if (best[t] > 0)
			finds[n++] = (struct find){ (uint32_t)t, depth[t], best[t] };
	m->nfinds[channel] = n;
}

/* Counting sort by place; channels come in order. */
static enum status gather(struct matched *m)
{
	size_t total = 0, room, place[BLOCK] = { 0 };
	for (size_t c = 0; c < m->filter->nchannels; c++) {
		total += m->nfinds[c];
		for (size_t i = 0; i < m->nfinds[c]; i++)
			place[m->finds[c * BLOCK + i].t]++;
	}
	m->candidates.count = 0;
	enum status status = peaks_reserve(&m->candidates, total, &room);
	if (status)
		return status;
	for (size_t t = 0, before = 0; t < m->n; t++) {
		const size_t n = place[t];
		place[t] = before;
		before += n;
	}
	for (size_t c = 0; c < m->filter->nchannels; c++)
		for (size_t i = 0; i < m->nfinds[c]; i++) {
			const struct find *found = &m->finds[c * BLOCK + i];
			m->candidates.at[place[found->t]++] = (struct peak){ m->next + found->t + (int64_t)m->filter->before, (int64_t)c, found->value, found->z };
		}
	m->candidates.count = total;
	return STATUS_OK;
}

static enum status conclude(struct matched *m, int64_t known, struct peaks *peaks)
{
	const size_t first = peaks->count;
	enum status status = exclusive_step(m->exclusive, m->candidates.at, m->candidates.count, known, peaks);
	for (size_t i = first; i < peaks->count; i++) {
		struct peak *p = &peaks->at[i];
		p->amplitude = (double)history_get(m->history, p->sample_index, (size_t)p->channel_index);
		p->segment_index = p->segment_index << 32 | m->segment_index;
	}
	return status;
}

/* Decides all places before `end`, whose frames and those of `end` itself are there. */
static enum status decide(struct matched *m, int64_t end, const struct executor *ex, struct peaks *peaks)
{
	enum status status = STATUS_OK;
	while (m->next < end && !status) {
		m->n = end - m->next < BLOCK ? (size_t)(end - m->next) : BLOCK;
		ex->run(ex->ctx, m->ntiles, correlate_tile, m);
		ex->run(ex->ctx, m->filter->nchannels, find_candidates, m);
		status = gather(m);
		m->next += (int64_t)m->n;
		if (!status)
			status = conclude(m, m->next + (int64_t)m->filter->before, peaks);
	}
	return status;
}

enum status matched_step(struct matched *m, const struct slab *slab, const struct executor *ex, struct peaks *peaks)
{
	if (slab->nframes == 0)
		return STATUS_OK;
	if (!m->started)
		m->next = slab->first_frame - (int64_t)m->filter->length + 1;
	m->started = true;
	history_show(m->history, slab);
	enum status status = decide(m, slab->first_frame + (int64_t)slab->nframes - (int64_t)m->filter->length, ex, peaks);
	history_hide(m->history, ex);
	return status;
}

enum status matched_flush(struct matched *m, const struct executor *ex, struct peaks *peaks)
{
	if (!m->started)
		return STATUS_OK;
	m->started = false;
	enum status status = decide(m, m->history->slab.first_frame, ex, peaks);
	m->candidates.count = 0;
	return status ? status : conclude(m, INT64_MAX, peaks);
}
