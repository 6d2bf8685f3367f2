/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Peaks are taken in their order, each as soon as all frames of its windows have come. Those that wait are the last few, so the frames to
 * hold are few, too: the windows and what peaks are found late.
 */
#include "daemon/snippets_job.h"
#include "daemon/neighbours.h"
#include "kernels/snippets.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WINDOW_FRAMES = 65535, BATCH_PEAKS = 4096, BATCH_BYTES = 32 << 20, PIECES = 64 };

static const char *const feature_names[] = { [FEATURE_AMPLITUDE_UV] = "amplitude_uV", [FEATURE_PTP] = "ptp", [FEATURE_WIDTH_MS] = "width_ms",
					     [FEATURE_CENTER_OF_MASS] = "center_of_mass", [FEATURE_TIME_OFFSET] = "time_offset" };
static const size_t feature_columns[] = { [FEATURE_AMPLITUDE_UV] = 1, [FEATURE_PTP] = 1, [FEATURE_WIDTH_MS] = 1, [FEATURE_CENTER_OF_MASS] = 2,
					  [FEATURE_TIME_OFFSET] = 1 };

struct snippets_job {
	struct source *source;
	struct snippets_wanted wanted;
	const double *places;
	size_t ndim;
	double *gain, *offset;             /* [nchannels] microvolts = trace * gain + offset; NULL: not wanted */
	struct history *history;
	struct neighbours cut, look;       /* channels of sparse waveforms, and for the centre of mass; in ascending order */
	size_t width;                      /* columns of a waveform */
	size_t row_bytes;                  /* of a waveform */
	size_t peak_bytes;                 /* to look at for a peak, about */

	size_t part;
	int64_t segment_frames;
	bool last;

	size_t done, room;                 /* peaks dealt with; that the arrays below hold */
	double *features[NFEATURES];       /* [room][feature_columns]; NULL: not wanted */
	bool *cut_valid, *look_valid;      /* [room] is the whole window inside the segment? */
	float *waveforms;                  /* [rows_room][frames][width] */
	size_t rows, rows_room;
	int64_t *owner;                    /* with `most`: [rows_room] whose waveform that is */
	size_t slots[BATCH_PEAKS];         /* rows that the peaks of a batch get, or NO_ROW */
};

#define NO_ROW SIZE_MAX

/* --- what is asked --- */

static void parse_window(struct params *p, struct snippet_window *w, double radius)
{
	w->before_ms = params_real(p, "ms_before", 1.0, 0, false, 1000);
	w->after_ms = params_real(p, "ms_after", 2.0, 0, false, 1000);
	w->sparse = params_has(p, "radius_um");
	w->radius_um = params_real(p, "radius_um", radius, 0, false, 1e30);
}

static void parse_waveforms(struct snippets_wanted *w, struct params *p)
{
	struct params mine;
	const json_t *object = params_object(p, "waveforms");
	if (!object || p->status)
		return;
	params_init(&mine, object, "waveforms.", p->error);
	parse_window(&mine, &w->cut, 0);
	w->scaled = params_bool(&mine, "scaled", false);
	w->most = params_int(&mine, "max_waveforms", 0, 0, INT64_MAX);
	w->waveforms = true;
	p->status = params_end(&mine);
}

static void parse_features(struct snippets_wanted *w, struct params *p)
{
	struct params mine;
	size_t i;
	json_t *item;
	const json_t *list = params_list(p, "features"), *object = params_object(p, "feature_window");
	json_array_foreach(list, i, item) {
		const char *name = json_string_value(item);
		int k = 0;
		while (k < NFEATURES && (!name || strcmp(name, feature_names[k]) != 0))
			k++;
		if (k == NFEATURES) {
			params_fail(p, "features", NULL, "%.40s is not one of: amplitude_uV, ptp, width_ms, center_of_mass, time_offset", name ? name : "item");
			return;
		}
		w->features[k] = w->any = true;
	}
	if (p->status)
		return;
	params_init(&mine, object, "feature_window.", p->error);
	parse_window(&mine, &w->look, 75);
	p->status = params_end(&mine);
}

void snippets_parse(struct snippets_wanted *w, struct params *p)
{
	parse_waveforms(w, p);
	parse_features(w, p);
	w->seed = (uint64_t)params_int(p, "seed", 0, 0, INT64_MAX);
	w->gain_given = params_has(p, "gain_uV");
}

bool snippets_asked(const struct snippets_wanted *w)
{
	return w->waveforms || w->any;
}

bool snippets_need_places(const struct snippets_wanted *w)
{
	return (w->waveforms && w->cut.sparse) || w->features[FEATURE_CENTER_OF_MASS];
}

static enum status window_frames(struct snippet_window *w, const char *prefix, double fs_hz, int64_t *reach, struct error *e)
{
	const double before = rint(w->before_ms * fs_hz / 1000.0), after = rint(w->after_ms * fs_hz / 1000.0);
	char field[40];
	snprintf(field, sizeof field, "%s.%s", prefix, after < 1 || after > before ? "ms_after" : "ms_before");
	if (before > MAX_WINDOW_FRAMES || after > MAX_WINDOW_FRAMES)
		return error_set(e, STATUS_INVALID, field, NULL, "%g + %g frames at this sampling rate; at most %d on either side", before, after,
				 MAX_WINDOW_FRAMES);
	if (after < 1)
		return error_set(e, STATUS_INVALID, field, "use a longer one", "the window ends before the peak: ms_after is less than a frame");
	w->before = (size_t)before;
	w->after = (size_t)after;
	*reach = (int64_t)before > *reach ? (int64_t)before : *reach;
	*reach = (int64_t)after > *reach ? (int64_t)after : *reach;
	return STATUS_OK;
}

enum status snippets_frames(struct snippets_wanted *w, double fs_hz, int64_t *reach, struct error *e)
{
	*reach = w->features[FEATURE_TIME_OFFSET] ? 2 : 0;
	enum status status = w->waveforms ? window_frames(&w->cut, "waveforms", fs_hz, reach, e) : STATUS_OK;
	if (!status && w->any)
		status = window_frames(&w->look, "feature_window", fs_hz, reach, e);
	return status;
}

/* --- life --- */

static enum status no_memory(struct error *e)
{
	return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for waveforms or features");
}

static int by_number(const void *a, const void *b)
{
	const size_t x = *(const size_t *)a, y = *(const size_t *)b;
	return (x > y) - (x < y);
}

static enum status find_channels(struct neighbours *n, const struct snippets_job *j, const struct snippet_window *w, const char *field, size_t bytes,
				 struct error *e)
{
	enum status status = neighbours_new(n, j->places, j->source->nchannels, j->ndim, w->radius_um, bytes, e);
	if (status == STATUS_TOO_LARGE)
		snprintf(e->field, sizeof e->field, "%s.radius_um", field);
	for (size_t c = 0; c < j->source->nchannels && !status; c++)
		qsort(n->index + n->start[c], n->start[c + 1] - n->start[c], sizeof *n->index, by_number);
	return status;
}

static size_t most_channels(const struct neighbours *n, size_t nchannels)
{
	size_t most = 1;
	for (size_t c = 0; c < nchannels; c++)
		if (n->start[c + 1] - n->start[c] > most)
			most = n->start[c + 1] - n->start[c];
	return most;
}

static enum status measure_rows(struct snippets_job *j, struct error *e)
{
	const size_t nchannels = j->source->nchannels, limit = (size_t)j->source->request->settings->config.limits_result_bytes;
	size_t table;
	if (!j->wanted.waveforms)
		return STATUS_OK;
	j->width = j->wanted.cut.sparse ? most_channels(&j->cut, nchannels) : nchannels;
	j->row_bytes = (j->wanted.cut.before + j->wanted.cut.after) * j->width * sizeof(float);
	if (!__builtin_mul_overflow(nchannels, j->width * sizeof(int32_t), &table) && (!j->wanted.cut.sparse || table <= limit) && j->row_bytes <= limit)
		return STATUS_OK;
	error_set(e, STATUS_TOO_LARGE, "waveforms", "use a smaller radius_um, or raise limits.result_bytes",
		  "one waveform of %zu channels takes %zu MiB, and limits.result_bytes is %zu MiB", j->width, j->row_bytes >> 20, limit >> 20);
	e->limit = (long long)limit;
	return STATUS_TOO_LARGE;
}

static void measure_work(struct snippets_job *j)
{
	const size_t ntiles = (j->source->nchannels + LANES - 1) / LANES;
	const size_t most = j->look.start ? most_channels(&j->look, j->source->nchannels) : 1, tiles = most < ntiles ? most : ntiles;
	j->peak_bytes = 1 + j->row_bytes + (j->wanted.look.before + j->wanted.look.after) * LANES * sizeof(float) * tiles;
}

static enum status take_scale(struct snippets_job *j, bool offsets, struct error *e)
{
	const struct source *s = j->source;
	const bool known = s->recording ? s->recording->has_uv : j->wanted.gain_given;
	if (!j->wanted.scaled && !j->wanted.features[FEATURE_AMPLITUDE_UV])
		return STATUS_OK;
	if (!known)
		return error_set(e, STATUS_INVALID, j->wanted.scaled ? "waveforms.scaled" : "features", "leave it out, or give gain_uV",
				 "the samples have no known scale in microvolts");
	j->gain = calloc(s->nchannels, sizeof *j->gain);
	j->offset = calloc(s->nchannels, sizeof *j->offset);
	if (!j->gain || !j->offset)
		return no_memory(e);
	for (size_t c = 0; c < s->nchannels; c++) {
		j->gain[c] = s->recording ? s->recording->gains_uv[c] : s->name.gain_uv;
		if (offsets)
			j->offset[c] = s->recording ? s->recording->offsets_uv[c] : s->name.offset_uv;
	}
	return STATUS_OK;
}

static enum status open_history(struct snippets_job *j, const struct snippets_setting *setting, struct error *e)
{
	const struct snippets_wanted *w = &j->wanted;
	size_t before = 1, after = 2;
	if (w->waveforms) {
		before = w->cut.before > before ? w->cut.before : before;
		after = w->cut.after > after ? w->cut.after : after;
	}
	if (w->any) {
		before = w->look.before > before ? w->look.before : before;
		after = w->look.after > after ? w->look.after : after;
	}
	const size_t keep = before + (after > setting->late ? after : setting->late), bytes = history_bytes(j->source->nchannels, keep);
	if (bytes > setting->work_bytes) {
		error_set(e, STATUS_TOO_LARGE, w->waveforms ? "waveforms" : "feature_window", "use shorter windows, or raise limits.work_bytes",
			  "windows of %zu + %zu frames of %zu channels need %zu MiB", before, after, j->source->nchannels, bytes >> 20);
		e->limit = j->source->request->settings->config.limits_work_bytes;
		return STATUS_TOO_LARGE;
	}
	return history_new(&j->history, j->source->nchannels, keep, e);
}

enum status snippets_job_new(struct snippets_job **out, struct source *source, const struct snippets_wanted *wanted,
			     const struct snippets_setting *setting, struct error *e)
{
	struct snippets_job *j = calloc(1, sizeof *j);
	*out = NULL;
	if (!j)
		return no_memory(e);
	*j = (struct snippets_job){ .source = source, .wanted = *wanted, .places = setting->places, .ndim = setting->ndim };
	enum status status = take_scale(j, setting->offsets, e);
	if (!status && wanted->waveforms && wanted->cut.sparse)
		status = find_channels(&j->cut, j, &wanted->cut, "waveforms", setting->work_bytes / 4, e);
	if (!status && wanted->features[FEATURE_CENTER_OF_MASS])
		status = find_channels(&j->look, j, &wanted->look, "feature_window", setting->work_bytes / 4, e);
	if (!status)
		status = measure_rows(j, e);
	if (!status) {
		measure_work(j);
		status = open_history(j, setting, e);
	}
	if (status)
		snippets_job_free(j);
	else
		*out = j;
	return status;
}

void snippets_job_free(struct snippets_job *j)
{
	if (!j)
		return;
	for (int k = 0; k < NFEATURES; k++)
		free(j->features[k]);
	history_free(j->history);
	neighbours_fini(&j->cut);
	neighbours_fini(&j->look);
	free(j->gain);
	free(j->offset);
	free(j->cut_valid);
	free(j->look_valid);
	free(j->waveforms);
	free(j->owner);
	free(j);
}

size_t snippets_job_row(const struct snippets_job *j)
{
	size_t n = sizeof(struct peak) + 2 * sizeof(bool);
	for (int k = 0; k < NFEATURES; k++)
		n += j->wanted.features[k] ? feature_columns[k] * sizeof(double) : 0;
	return n;
}

/* --- the pass --- */

void snippets_job_seek(struct snippets_job *j, size_t part)
{
	j->part = part;
	j->segment_frames = source_frames(j->source, j->source->parts[part].segment);
	history_reset(j->history);
}

void snippets_job_show(struct snippets_job *j, const struct slab *slab, bool last)
{
	history_show(j->history, slab);
	j->last = last;
}

static bool is_ready(const struct snippets_job *j, const struct peak *p)
{
	const struct snippets_wanted *w = &j->wanted;
	const size_t cut = w->waveforms ? w->cut.after : 0, look = w->any ? w->look.after : 0, most = cut > look ? cut : look;
	const int64_t after = (int64_t)(most > 2 ? most : 2);
	return j->last || p->sample_index + after <= j->history->slab.first_frame + (int64_t)j->history->slab.nframes;
}

static bool longer(void *at, size_t n, size_t size)
{
	void **array = at;
	size_t nbytes;
	void *more = __builtin_mul_overflow(n, size, &nbytes) ? NULL : realloc(*array, nbytes);
	if (more)
		*array = more;
	return more != NULL;
}

static enum status make_room(struct snippets_job *j, size_t npeaks, struct error *e)
{
	const size_t n = npeaks + npeaks / 2;
	bool ok = true;
	if (npeaks <= j->room)
		return STATUS_OK;
	for (int k = 0; k < NFEATURES; k++)
		ok &= !j->wanted.features[k] || longer(&j->features[k], n, feature_columns[k] * sizeof(double));
	ok &= !j->wanted.waveforms || longer(&j->cut_valid, n, sizeof(bool));
	ok &= !j->wanted.any || longer(&j->look_valid, n, sizeof(bool));
	if (!ok)
		return no_memory(e);
	j->room = n;
	return STATUS_OK;
}

/* How much of what is wanted has been searched, 0 to 1. */
static double progress(const struct snippets_job *j)
{
	const struct source_part *parts = j->source->parts;
	const struct slab *now = &j->history->slab;
	int64_t seen = now->first_frame + (int64_t)now->nframes - parts[j->part].start;
	const int64_t whole = parts[j->part].stop - parts[j->part].start;
	seen = seen < whole ? seen : whole;
	for (size_t i = 0; i < j->part; i++)
		seen += parts[i].stop - parts[i].start;
	return (double)(seen > 1 ? seen : 1) / (double)source_total(j->source);
}

static enum status too_large(const struct snippets_job *j, size_t limit, size_t npeaks, struct error *e)
{
	const double seen = progress(j), mib = (double)npeaks * (double)j->row_bytes / (1 << 20);
	error_set(e, STATUS_TOO_LARGE, "waveforms", "give max_waveforms, radius_um or a shorter window, or raise limits.result_bytes",
		  "a waveform of %zu frames x %zu channels takes %zu KiB: %.0f MiB for the %zu peaks in the first %.3g %% of the frames, about %.0f MiB for all; at "
		  "most %zu MiB fit", j->wanted.cut.before + j->wanted.cut.after, j->width, (j->row_bytes + 1023) >> 10, mib, npeaks, 100 * seen, mib / seen,
		  limit >> 20);
	e->limit = (long long)limit;
	return STATUS_TOO_LARGE;
}

/* Rows for `n` peaks more of `npeaks` known so far. */
static enum status make_rows(struct snippets_job *j, size_t n, size_t npeaks, struct error *e)
{
	const size_t limit = (size_t)j->source->request->settings->config.limits_result_bytes, peaks = npeaks * snippets_job_row(j);
	const size_t fit = limit > peaks ? (limit - peaks) / j->row_bytes : 0;
	size_t need = j->rows + n;
	if (j->wanted.most && need > (uint64_t)j->wanted.most)
		need = (size_t)j->wanted.most;
	if (need > fit)
		return too_large(j, limit, npeaks, e);
	if (need <= j->rows_room)
		return STATUS_OK;
	const size_t rows = need + need / 2 < fit ? need + need / 2 : fit;
	if (!longer(&j->waveforms, rows, j->row_bytes) || (j->wanted.most && !longer(&j->owner, rows, sizeof *j->owner)))
		return no_memory(e);
	j->rows_room = rows;
	return STATUS_OK;
}

/* A number below n that only depends on seed and index: splitmix64 of both. */
static uint64_t random_below(uint64_t seed, uint64_t index, uint64_t n)
{
	uint64_t z = seed * 0xd1342543de82ef95u + (index + 1) * 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	z ^= z >> 31;
	return (uint64_t)((unsigned __int128)z * n >> 64);
}

/* The row of each peak of a batch. Where only so many are wanted, each that comes may take the place of another one (a reservoir), so that in
 * the end all have had the same chance; one that loses its place in the same batch is not cut out at all. */
static void assign_rows(struct snippets_job *j, size_t n)
{
	const uint64_t most = (uint64_t)j->wanted.most;
	for (size_t i = 0; i < n; i++) {
		const uint64_t index = j->done + i;
		uint64_t row = j->rows;
		if (most && index >= most)
			row = random_below(j->wanted.seed, index, index + 1);
		j->slots[i] = !most || row < most ? (size_t)row : NO_ROW;
		if (j->slots[i] == NO_ROW)
			continue;
		if (most && row < j->rows && j->owner[row] >= (int64_t)j->done)
			j->slots[(size_t)j->owner[row] - j->done] = NO_ROW;
		if (most)
			j->owner[row] = (int64_t)index;
		j->rows += row == j->rows;
	}
}

static bool inside(const struct snippets_job *j, const struct snippet_window *w, int64_t frame)
{
	return frame >= (int64_t)w->before && frame + (int64_t)w->after <= j->segment_frames;
}

static void cut_waveform(const struct snippets_job *j, const struct peak *p, float *out)
{
	const struct snippet_window *w = &j->wanted.cut;
	const int64_t from = p->sample_index - (int64_t)w->before;
	const size_t n = w->before + w->after, c = (size_t)p->channel_index;
	const size_t *channels = w->sparse ? j->cut.index + j->cut.start[c] : NULL, nchannels = w->sparse ? j->cut.start[c + 1] - j->cut.start[c] : j->width;
	if (w->sparse)
		snippet_sparse(j->history, from, n, channels, nchannels, j->width, out);
	else
		snippet_dense(j->history, from, n, nchannels, out);
	if (!j->wanted.scaled)
		return;
	/* Outside the segment there are no microvolts either: 0. */
	for (size_t t = 0; t < n; t++)
		for (size_t k = 0; k < nchannels && from + (int64_t)t >= 0 && from + (int64_t)t < j->segment_frames; k++) {
			float *x = &out[t * j->width + k];
			const size_t channel = channels ? channels[k] : k;
			*x = (float)(*x * j->gain[channel] + j->offset[channel]);
		}
}

static void take_features(struct snippets_job *j, const struct peak *p, size_t at)
{
	const struct snippet_window *w = &j->wanted.look;
	const int64_t from = p->sample_index - (int64_t)w->before;
	const size_t n = w->before + w->after, c = (size_t)p->channel_index;
	double *const *f = j->features;
	if (f[FEATURE_AMPLITUDE_UV])
		f[FEATURE_AMPLITUDE_UV][at] = p->amplitude * j->gain[c] + j->offset[c];
	if (f[FEATURE_PTP])
		f[FEATURE_PTP][at] = snippet_ptp(j->history, from, n, c);
	if (f[FEATURE_WIDTH_MS])
		f[FEATURE_WIDTH_MS][at] = snippet_width(j->history, p->sample_index, w->after - 1, c, p->amplitude < 0) / j->source->fs_hz * 1000;
	if (f[FEATURE_TIME_OFFSET])
		f[FEATURE_TIME_OFFSET][at] = snippet_time_offset(j->history, p->sample_index, c);
	if (f[FEATURE_CENTER_OF_MASS])
		snippet_center(j->history, from, n, j->look.index + j->look.start[c], j->look.start[c + 1] - j->look.start[c], j->places, j->ndim,
			       f[FEATURE_CENTER_OF_MASS] + 2 * at);
	j->look_valid[at] = inside(j, w, p->sample_index);
}

struct batch {
	struct snippets_job *job;
	const struct peak *peaks;
	size_t n;
};

static void do_piece(void *arg, size_t piece)
{
	const struct batch *b = arg;
	struct snippets_job *j = b->job;
	const size_t end = b->n * (piece + 1) / PIECES;
	for (size_t i = b->n * piece / PIECES; i < end; i++) {
		if (j->wanted.any)
			take_features(j, &b->peaks[i], j->done + i);
		if (!j->wanted.waveforms)
			continue;
		j->cut_valid[j->done + i] = inside(j, &j->wanted.cut, b->peaks[i].sample_index);
		if (j->slots[i] != NO_ROW)
			cut_waveform(j, &b->peaks[i], j->waveforms + j->slots[i] * (j->row_bytes / sizeof(float)));
	}
}

enum status snippets_job_step(struct snippets_job *j, const struct peaks *peaks, const struct executor *ex, bool *done, struct error *e)
{
	const size_t fit = BATCH_BYTES / j->peak_bytes + 1, most = fit < BATCH_PEAKS ? fit : BATCH_PEAKS;
	size_t n = 0;
	while (n < most && j->done + n < peaks->count && is_ready(j, &peaks->at[j->done + n]))
		n++;
	*done = n < most;
	enum status status = make_room(j, j->done + n, e);
	if (!status && j->wanted.waveforms)
		status = make_rows(j, n, peaks->count, e);
	if (status)
		return status;
	if (j->wanted.waveforms)
		assign_rows(j, n);
	struct batch b = { j, peaks->at + j->done, n };
	if (n)
		ex->run(ex->ctx, PIECES, do_piece, &b);
	j->done += n;
	if (*done)
		history_hide(j->history, ex);
	return STATUS_OK;
}

/* --- the reply --- */

struct place {
	int64_t owner;
	size_t row;
};

static int by_owner(const void *a, const void *b)
{
	const struct place *p = a, *q = b;
	return (p->owner > q->owner) - (p->owner < q->owner);
}

/* Puts the rows of a reservoir into the order of their peaks, cycle by cycle. */
static void move_rows(char *rows, size_t nbytes, struct place *order, size_t n, void *spare)
{
	for (size_t i = 0; i < n; i++) {
		if (order[i].row == i || order[i].row == NO_ROW)
			continue;
		size_t at = i;
		memcpy(spare, rows + i * nbytes, nbytes);
		for (size_t from; (from = order[at].row) != i; at = from) {
			memcpy(rows + at * nbytes, rows + from * nbytes, nbytes);
			order[at].row = NO_ROW;
		}
		memcpy(rows + at * nbytes, spare, nbytes);
		order[at].row = NO_ROW;
	}
}

static bool sort_rows(struct snippets_job *j)
{
	struct place *order = calloc(j->rows + 1, sizeof *order);
	void *spare = malloc(j->row_bytes);
	const bool ok = order && spare;
	for (size_t i = 0; ok && i < j->rows; i++)
		order[i] = (struct place){ j->owner[i], i };
	if (ok) {
		qsort(order, j->rows, sizeof *order, by_owner);
		for (size_t i = 0; i < j->rows; i++)
			j->owner[i] = order[i].owner;
		move_rows((char *)j->waveforms, j->row_bytes, order, j->rows, spare);
	}
	free(order);
	free(spare);
	return ok;
}

/* Gives an array to the reply; one that nothing was put into was not allocated. */
static bool give(struct request *r, const char *name, enum dtype dtype, unsigned ndim, const uint64_t *shape, void *at)
{
	void **array = at, *data = *array ? *array : malloc(1);
	*array = NULL;
	return request_add_array(r, name, dtype, ndim, shape, data);
}

static bool give_channels(struct snippets_job *j, struct request *r)
{
	const uint64_t shape[2] = { j->source->nchannels, j->width };
	int32_t *table = malloc(shape[0] * shape[1] * sizeof *table);
	for (size_t c = 0; table && c < shape[0]; c++)
		for (size_t k = 0; k < j->width; k++)
			table[c * j->width + k] = j->cut.start[c] + k < j->cut.start[c + 1] ? (int32_t)j->cut.index[j->cut.start[c] + k] : -1;
	return request_add_array(r, "waveform_channels", DTYPE_I32, 2, shape, table);
}

static bool give_waveforms(struct snippets_job *j, struct request *r)
{
	const uint64_t shape[3] = { j->rows, j->wanted.cut.before + j->wanted.cut.after, j->width }, npeaks = j->done;
	if (j->wanted.most && !sort_rows(j))
		return no_memory(&r->error) == STATUS_OK;
	return give(r, "waveforms", DTYPE_F32, 3, shape, &j->waveforms) && give(r, "waveform_valid", DTYPE_BOOL, 1, &npeaks, &j->cut_valid) &&
	       (!j->wanted.cut.sparse || give_channels(j, r)) && (!j->wanted.most || give(r, "waveform_index", DTYPE_I64, 1, shape, &j->owner));
}

bool snippets_job_reply(struct snippets_job *j, struct request *r)
{
	if (j->wanted.waveforms && !give_waveforms(j, r))
		return false;
	for (int k = 0; k < NFEATURES; k++) {
		const uint64_t shape[2] = { j->done, feature_columns[k] };
		if (j->wanted.features[k] && !give(r, feature_names[k], DTYPE_F64, feature_columns[k] > 1 ? 2 : 1, shape, &j->features[k]))
			return false;
	}
	const uint64_t npeaks = j->done;
	return !j->wanted.any || give(r, "feature_valid", DTYPE_BOOL, 1, &npeaks, &j->look_valid);
}
