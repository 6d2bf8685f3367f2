/* SPDX-License-Identifier: BSD-3-Clause
 *
 * How a step goes. The detector keeps the last 2 * reach frames it was given, so with the new ones it sees every window whole:
 *
 *	... history ............................|........ slab ...................
 *	time -2*reach ......... -reach ........ 0 ............... n - reach ... n
 *	                        |<---- decided by this step ---->|
 *
 * The decided frames are taken in blocks. In a block each tile of 16 channels is scanned on its own, which may be in parallel, into a
 * list of events long enough for any data; then a counting sort by frame puts the lists of all tiles straight into place.
 *
 * Before the segment the history holds zeros and behind it nothing is compared: both are the rule, since a peak lies past a threshold
 * above 0, so that a zero never denies it.
 *
 * The window test goes outwards on both sides at once and ends at the first sample that denies the peak. So it costs the distance to the
 * nearer one, and over n samples of any shape no more than n log2(n) steps in all, whatever the reach.
 *
 * The candidates of locally_exclusive are found in the same way: they are by_channel's peaks with a sweep of 1, but for the threshold, which
 * is not strict. `reach` is the sweep of this search: 1, or the one asked for.
 */
#include "kernels/detect.h"

#include "kernels/exclusive.h"
#include "kernels/isa.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { EVENTS_PER_SIGN = 256, CANDIDATES_PER_SIGN = 1024, MAX_SWEEP = 1 << 16 };

#define SIGN_BIT 0x80000000u

struct event {
	uint32_t frame; /* of the block */
	uint32_t lane;
	float amplitude;
};

struct detector {
	size_t nchannels, ntiles, reach;
	enum peak_sign sign;
	struct exclusive *exclusive; /* NULL: by_channel */
	struct peaks candidates;     /* of a block, on their way there */
	int64_t segment_index;
	int64_t next_frame;       /* of the segment: where the next slab starts, once `started` */
	bool started;

	size_t block;             /* most frames decided at once */
	size_t tile_events;       /* events a tile can have in a block */
	size_t capacity, used;    /* frames in the history; it slides when full */
	float *threshold;         /* [ntiles][LANES], what a sample must exceed; INFINITY in lanes without a channel */
	float *history;           /* [ntiles][capacity][LANES] */
	struct event *events;     /* [ntiles][tile_events] */
	size_t *nevents;          /* [ntiles] */
	size_t *place;            /* [block] */
};

/* --- memory --- */

struct layout {
	size_t ntiles, block, tile_events, capacity;
	size_t threshold, history, events, nevents, place, nbytes; /* offsets from the detector */
};

/* Appends n * size bytes, at a multiple of 64; false if that is more than a size_t. */
static bool append(size_t *nbytes, size_t *offset, size_t n, size_t size)
{
	size_t more;
	*offset = *nbytes;
	return !__builtin_mul_overflow(n, size, &more) && !__builtin_add_overflow(more, 63, &more) &&
	       !__builtin_add_overflow(*nbytes, more & ~(size_t)63, nbytes);
}

static size_t reach_of(const struct detect_spec *spec)
{
	return spec->method == DETECT_LOCALLY_EXCLUSIVE ? 1 : spec->sweep;
}

/* Two peaks of one sign on one channel stand more than `reach` frames apart, so a block of EVENTS_PER_SIGN * (reach + 1) frames holds
 * no more than EVENTS_PER_SIGN of them. Candidates, with a reach of 1, would make short blocks: they get more room. */
static bool lay_out(const struct detect_spec *spec, struct layout *l)
{
	size_t reach = reach_of(spec), period = reach + 1, signs = spec->sign == PEAK_BOTH ? 2 : 1;
	size_t most = (spec->method == DETECT_LOCALLY_EXCLUSIVE ? CANDIDATES_PER_SIGN : EVENTS_PER_SIGN) * period;
	size_t need = spec->max_frames > reach ? spec->max_frames : reach;
	size_t tile_floats;
	l->ntiles = spec->nchannels / LANES + (spec->nchannels % LANES != 0);
	l->block = need < most ? need + (need == 0) : most;
	l->tile_events = LANES * signs * ((l->block + period - 1) / period);
	l->capacity = 4 * reach;
	l->nbytes = (sizeof(struct detector) + 63) & ~(size_t)63;
	return !__builtin_mul_overflow(l->capacity * LANES, l->ntiles, &tile_floats) &&
	       append(&l->nbytes, &l->threshold, l->ntiles, LANES * sizeof(float)) &&
	       append(&l->nbytes, &l->history, tile_floats, sizeof(float)) &&
	       append(&l->nbytes, &l->events, l->ntiles, l->tile_events * sizeof(struct event)) &&
	       append(&l->nbytes, &l->nevents, l->ntiles, sizeof(size_t)) &&
	       append(&l->nbytes, &l->place, l->block, sizeof(size_t)) && l->nbytes <= PTRDIFF_MAX;
}

size_t detector_bytes(const struct detect_spec *spec)
{
	struct layout l;
	size_t nbytes, more = spec->method == DETECT_LOCALLY_EXCLUSIVE ? exclusive_bytes(spec) : 0;
	return spec->sweep <= MAX_SWEEP && lay_out(spec, &l) && !__builtin_add_overflow(l.nbytes, more, &nbytes) ? nbytes : SIZE_MAX;
}

/* --- life --- */

static enum status check_spec(const struct detect_spec *spec, struct error *e)
{
	if (spec->nchannels == 0)
		return error_set(e, STATUS_INVALID, "traces", NULL, "there are no channels");
	if (spec->sign != PEAK_NEG && spec->sign != PEAK_POS && spec->sign != PEAK_BOTH)
		return error_set(e, STATUS_INVALID, "peak_sign", "use neg, pos or both", "unknown peak sign");
	if (spec->method != DETECT_BY_CHANNEL && spec->method != DETECT_LOCALLY_EXCLUSIVE)
		return error_set(e, STATUS_INVALID, "method", "use by_channel or locally_exclusive", "unknown method");
	if (spec->sweep > MAX_SWEEP)
		return error_set(e, STATUS_INVALID, "exclude_sweep_ms", "use a shorter window", "%zu frames are more than %d", spec->sweep,
				 MAX_SWEEP);
	for (size_t c = 0; c < spec->nchannels; c++)
		if (!(spec->threshold[c] > 0) || !isfinite(spec->threshold[c]))
			return error_set(e, STATUS_INVALID, "noise_levels", "leave that channel out, or give noise_levels above 0",
					 "the threshold of channel %zu is %g; it must be finite and above 0", c, spec->threshold[c]);
	return STATUS_OK;
}

/* The largest float t <= threshold. For a float x, x > threshold exactly if x > t: if x > threshold, then x > t because t <= threshold;
 * if x > t, then x is at least the next float above t, and that one is > threshold, or t would not be the largest. It holds at both ends:
 * t = 0 below the smallest denormal, t = FLT_MAX above FLT_MAX. By symmetry x < -threshold exactly if x < -t. */
static float round_down(double threshold)
{
	float t = (float)threshold;
	return (double)t > threshold ? nextafterf(t, 0) : t;
}

/* The largest float t < threshold, so that x >= threshold exactly if x > t: if x >= threshold, then x > t because t < threshold; if x > t,
 * then x is at least the next float above t, and that one is >= threshold, or t would not be the largest. (That next float is the threshold
 * rounded up.) At the ends: t = 0 for the smallest denormal and below it, t = FLT_MAX above FLT_MAX. By symmetry x <= -threshold exactly if
 * x < -t. */
static float round_below(double threshold)
{
	float t = (float)threshold;
	return (double)t >= threshold ? nextafterf(t, 0) : t;
}

enum status detector_new(struct detector **out, const struct detect_spec *spec, struct error *e)
{
	struct layout l;
	*out = NULL;
	enum status status = check_spec(spec, e);
	if (status != STATUS_OK)
		return status;
	if (!lay_out(spec, &l))
		return error_set(e, STATUS_TOO_LARGE, NULL, NULL, "a detector of %zu channels does not fit into memory", spec->nchannels);
	struct detector *d = aligned_alloc(64, l.nbytes);
	if (!d)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for a detector of %zu bytes", l.nbytes);

	char *base = (char *)d;
	*d = (struct detector){
		.nchannels = spec->nchannels, .ntiles = l.ntiles, .reach = reach_of(spec), .sign = spec->sign,
		.block = l.block, .tile_events = l.tile_events, .capacity = l.capacity,
		.threshold = (float *)(base + l.threshold), .history = (float *)(base + l.history),
		.events = (struct event *)(base + l.events), .nevents = (size_t *)(base + l.nevents), .place = (size_t *)(base + l.place),
	};
	bool exclusive = spec->method == DETECT_LOCALLY_EXCLUSIVE;
	if (exclusive && (status = exclusive_new(&d->exclusive, spec, e)) != STATUS_OK) {
		detector_free(d);
		return status;
	}
	for (size_t c = 0; c < l.ntiles * LANES; c++)
		d->threshold[c] = c >= spec->nchannels ? INFINITY : exclusive ? round_below(spec->threshold[c]) : round_down(spec->threshold[c]);
	detector_reset(d, spec->segment_index);
	*out = d;
	return STATUS_OK;
}

void detector_free(struct detector *d)
{
	if (!d)
		return;
	exclusive_free(d->exclusive);
	peaks_fini(&d->candidates);
	free(d);
}

void detector_reset(struct detector *d, int64_t segment_index)
{
	d->segment_index = segment_index;
	d->next_frame = 0;
	d->started = false;
	d->candidates.count = 0;
	if (d->exclusive)
		exclusive_reset(d->exclusive);
	d->used = 2 * d->reach;
	for (size_t tile = 0; tile < d->ntiles; tile++)
		memset(d->history + tile * d->capacity * LANES, 0, d->used * LANES * sizeof(float));
}

/* --- one block of one tile --- */

/* Frames of one tile by time: new ones at 0 and later, those kept before 0. */
struct window {
	const float *past; /* frame -1 ends where this points */
	const float *now;
	ptrdiff_t end;     /* frames from here on do not exist */
};

static float window_at(const struct window *w, ptrdiff_t t, unsigned lane)
{
	return (t < 0 ? w->past : w->now)[t * LANES + (ptrdiff_t)lane];
}

/* Has a sample beyond the threshold no rival in its window? With sign = 1 for a maximum, -1 for a minimum; multiplying by it is exact. */
static bool is_peak(const struct window *w, ptrdiff_t t, unsigned lane, ptrdiff_t reach, float x, float sign)
{
	ptrdiff_t ahead = w->end - 1 - t;
	for (ptrdiff_t k = 1; k <= reach; k++) {
		if (!(sign * x > sign * window_at(w, t - k, lane)))
			return false;
		if (k <= ahead && !(sign * x >= sign * window_at(w, t + k, lane)))
			return false;
	}
	return true;
}

struct task {
	struct detector *d;
	const struct slab *slab;   /* NULL in flush */
	ptrdiff_t from, to;        /* times this block decides */
	size_t (*scan)(const float *x, size_t from, size_t end, const float *threshold, uint32_t keep, uint32_t flip, unsigned *lanes);
	bool last;                 /* then the history takes the slab */
};

/* Frames at x that stand at times t0..t1-1: adds their peaks to the tile's list. */
static size_t scan_piece(const struct task *task, size_t tile, const struct window *w, const float *x, ptrdiff_t t0, ptrdiff_t t1,
			 size_t nevents)
{
	struct detector *d = task->d;
	struct event *events = d->events + tile * d->tile_events;
	uint32_t keep = d->sign == PEAK_BOTH ? ~SIGN_BIT : ~0u, flip = d->sign == PEAK_NEG ? SIGN_BIT : 0;
	size_t n = t1 > t0 ? (size_t)(t1 - t0) : 0;
	unsigned lanes;
	for (size_t i = 0; (i = task->scan(x, i, n, d->threshold + tile * LANES, keep, flip, &lanes)) < n; i++) {
		ptrdiff_t t = t0 + (ptrdiff_t)i;
		for (; lanes; lanes &= lanes - 1) {
			unsigned lane = (unsigned)__builtin_ctz(lanes);
			float amplitude = x[i * LANES + lane];
			if (is_peak(w, t, lane, (ptrdiff_t)d->reach, amplitude, amplitude < 0 ? -1.0f : 1.0f))
				events[nevents++] = (struct event){ (uint32_t)(t - task->from), lane, amplitude };
		}
	}
	return nevents;
}

/* How the history takes n new frames: it slides to the front when they do not fit behind what is there. The amount that slides is less
 * than what came in since the last time, so a frame costs no more than two copies however short the steps are. */
struct slide {
	size_t keep, skip; /* frames that stay, new frames not wanted */
	bool move;
};

static struct slide history_plan(const struct detector *d, size_t n)
{
	size_t want = 2 * d->reach;
	if (n >= want)
		return (struct slide){ 0, n - want, true };
	if (d->used + n > d->capacity)
		return (struct slide){ want - n, 0, true };
	return (struct slide){ d->used, 0, false };
}

static void history_take(const struct detector *d, const struct slab *slab, size_t tile)
{
	struct slide p = history_plan(d, slab->nframes);
	float *h = d->history + tile * d->capacity * LANES;
	if (d->reach == 0)
		return;
	if (p.move)
		memmove(h, h + (d->used - p.keep) * LANES, p.keep * LANES * sizeof *h);
	memcpy(h + p.keep * LANES, slab_at(slab, tile, p.skip), (slab->nframes - p.skip) * LANES * sizeof *h);
}

static void scan_tile(void *arg, size_t tile)
{
	const struct task *task = arg;
	struct detector *d = task->d;
	struct window w = {
		.past = d->history + (tile * d->capacity + d->used) * LANES,
		.now = task->slab ? slab_at(task->slab, tile, 0) : NULL,
		.end = task->slab ? (ptrdiff_t)task->slab->nframes : 0,
	};
	ptrdiff_t from = task->from, to = task->to, middle = to < 0 ? to : from > 0 ? from : 0;
	size_t n = scan_piece(task, tile, &w, w.past + from * LANES, from, middle, 0);
	if (to > middle)
		n = scan_piece(task, tile, &w, w.now + middle * LANES, middle, to, n);
	d->nevents[tile] = n;
	if (task->last)
		history_take(d, task->slab, tile);
}

/* --- the list of peaks --- */

/* Counting sort by frame; it is stable, and tiles come in order of channel. `nframes` are the block's, the first stands at `first`. */
static enum status gather(struct detector *d, size_t nframes, int64_t first, struct peaks *peaks)
{
	size_t total = 0, room;
	for (size_t tile = 0; tile < d->ntiles; tile++)
		total += d->nevents[tile];
	if (total == 0)
		return STATUS_OK;
	enum status status = peaks_reserve(peaks, total, &room);
	if (status != STATUS_OK)
		return status;

	memset(d->place, 0, nframes * sizeof *d->place);
	for (size_t tile = 0; tile < d->ntiles; tile++)
		for (size_t i = 0; i < d->nevents[tile]; i++)
			d->place[d->events[tile * d->tile_events + i].frame]++;
	for (size_t f = 0, before = 0; f < nframes; f++) {
		size_t n = d->place[f];
		d->place[f] = before;
		before += n;
	}
	struct peak *out = peaks->at + peaks->count;
	for (size_t tile = 0; tile < d->ntiles; tile++)
		for (size_t i = 0; i < d->nevents[tile]; i++) {
			const struct event *v = &d->events[tile * d->tile_events + i];
			size_t at = d->place[v->frame]++;
			if (at < room)
				out[at] = (struct peak){ first + v->frame, (int64_t)(tile * LANES + v->lane), v->amplitude,
							 d->segment_index };
		}
	peaks->count += room;
	return STATUS_OK;
}

/* --- steps --- */

/* The peaks of a block: what the tiles found, or what is decided of it. */
static enum status conclude(struct detector *d, const struct task *task, struct peaks *peaks)
{
	struct peaks *found = d->exclusive ? &d->candidates : peaks;
	enum status status = gather(d, (size_t)(task->to - task->from), d->next_frame + task->from, found);
	if (status || !d->exclusive)
		return status;
	status = exclusive_step(d->exclusive, found->at, found->count, d->next_frame + task->to, peaks);
	found->count = 0;
	return status;
}

static enum status decide(struct detector *d, const struct slab *slab, ptrdiff_t to, const struct executor *ex, struct peaks *peaks)
{
	struct task task = { .d = d, .slab = slab, .from = -(ptrdiff_t)d->reach, .scan = ISA_PICK(detect_scan) };
	do {
		ptrdiff_t left = to - task.from;
		task.to = left > (ptrdiff_t)d->block ? task.from + (ptrdiff_t)d->block : to;
		task.last = slab && task.to == to;
		ex->run(ex->ctx, d->ntiles, scan_tile, &task);
		enum status status = conclude(d, &task, peaks);
		if (status != STATUS_OK)
			return status;
		task.from = task.to;
	} while (task.to < to);
	return STATUS_OK;
}

enum status detector_step(struct detector *d, const struct slab *slab, const struct executor *ex, struct peaks *peaks)
{
	if (slab->nframes == 0)
		return STATUS_OK;
	if (!d->started)
		d->next_frame = slab->first_frame;
	d->started = true;
	ptrdiff_t n = (ptrdiff_t)slab->nframes;
	enum status status = decide(d, slab, n - (ptrdiff_t)d->reach, ex, peaks);
	struct slide p = history_plan(d, slab->nframes);
	d->used = p.keep + slab->nframes - p.skip;
	d->next_frame += slab->nframes;
	return status;
}

enum status detector_flush(struct detector *d, const struct executor *ex, struct peaks *peaks)
{
	if (!d->started || d->reach == 0)
		return STATUS_OK;
	d->started = false;
	enum status status = decide(d, NULL, 0, ex, peaks);
	return status || !d->exclusive ? status : exclusive_step(d->exclusive, NULL, 0, INT64_MAX, peaks);
}
