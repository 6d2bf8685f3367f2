/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Replaces samples: each that is beyond a level, or all of the frames around those where many channels are (saturation).
 *
 * Saturation: a frame is saturated if more than `fraction` of the channels are beyond the level, or if more than that change by `slope` or more up to
 * the next frame; the last frame of a segment has none. The values of `before` frames before it and `after` behind it are replaced, too.
 */
#include "kernels/values.h"

#include <math.h>
#include <string.h>

/* [lanes] each, behind it: */
struct table {
	size_t before, after; /* frames */
	double fraction;
	_Alignas(64) float values[];
};

static const float *low_of(const struct plan_stage *p)
{
	return ((const struct table *)p->table)->values;
}

static const float *high_of(const struct plan_stage *p)
{
	return low_of(p) + values_lanes(p);
}

static const float *slope_of(const struct plan_stage *p)
{
	return low_of(p) + 2 * values_lanes(p);
}

static const float *value_of(const struct plan_stage *p)
{
	return low_of(p) + 3 * values_lanes(p);
}

static enum status plan_values(struct plan_stage *p, const struct pipeline_spec *spec, size_t i, struct error *e)
{
	size_t n = values_lanes(p);
	enum status status = stage_table(p, i, 1, sizeof(struct table) + 4 * n * sizeof(float), e);
	if (status)
		return status;
	float *at = ((struct table *)p->table)->values;
	status = values_levels(p, spec, i, at, at + n, e);
	if (!status)
		values_slopes(p, spec, i, at + 2 * n);
	return status ? status : values_spread(p, &spec->stages[i].value, 0, i, "value", at + 3 * n, e);
}

/* --- sample by sample --- */

static enum stage_form blank_form(const struct stage_spec *s)
{
	(void)s;
	return FORM_FRAMES;
}

static enum status plan_blank(struct plan_stage *p, const struct pipeline_spec *spec, size_t i, size_t grid, struct error *e)
{
	(void)grid;
	return plan_values(p, spec, i, e);
}

static void blank(const struct plan_stage *p, float *x, size_t tile_stride, size_t nframes, void *scratch)
{
	const float *low = low_of(p), *high = high_of(p), *value = value_of(p);
	(void)scratch;
	for (size_t c = 0; c < values_lanes(p); c += LANES, x += tile_stride)
		for (size_t t = 0; t < nframes; t++)
			for (size_t lane = 0; lane < LANES; lane++) {
				float v = x[t * LANES + lane];
				x[t * LANES + lane] = v > high[c + lane] || v < low[c + lane] ? value[c + lane] : v;
			}
}

const struct stage_type stage_blank = { .name = "blank", .form = blank_form, .plan = plan_blank, .frames = blank };

/* --- saturation --- */

static enum stage_form saturation_form(const struct stage_spec *s)
{
	(void)s;
	return FORM_BLOCK;
}

static size_t frames_of(double ms, double fs_hz)
{
	return stage_margin(rint(ms * fs_hz / 1000));
}

/* One more than it looks around, for the slope. */
static size_t margin(const struct stage_spec *s, double fs_hz)
{
	size_t before = frames_of(s->before_ms, fs_hz), after = frames_of(s->after_ms, fs_hz), most = before > after ? before : after;
	return most < STAGE_MAX_MARGIN ? most + 1 : STAGE_MAX_MARGIN;
}

static enum status plan_saturation(struct plan_stage *p, const struct pipeline_spec *spec, size_t i, size_t grid, struct error *e)
{
	const struct stage_spec *s = &spec->stages[i];
	if (!(s->fraction >= 0 && s->fraction < 1))
		return stage_wrong_value(e, i, "fraction", "0.2 is usual", "not from 0 to below 1", s->fraction);
	if (!(s->slope >= 0 && isfinite(s->slope)))
		return stage_wrong_value(e, i, "slope", "leave it out, or give a slope above 0", "not above 0", s->slope);
	if (!(s->before_ms >= 0 && s->before_ms <= 10000))
		return stage_wrong_value(e, i, "before_ms", "at most 10000", "not from 0 to 10000", s->before_ms);
	if (!(s->after_ms >= 0 && s->after_ms <= 10000))
		return stage_wrong_value(e, i, "after_ms", "at most 10000", "not from 0 to 10000", s->after_ms);
	enum status status = plan_values(p, spec, i, e);
	if (status)
		return status;
	if (p->margin >= STAGE_MAX_MARGIN)
		return stage_wrong_value(e, i, "before_ms", "use less", "too many frames", s->before_ms);
	struct table *t = p->table;
	t->before = frames_of(s->before_ms, spec->fs_hz);
	t->after = frames_of(s->after_ms, spec->fs_hz);
	t->fraction = s->fraction;
	p->shared_bytes = grid + 2 * p->margin;
	return STATUS_OK;
}

/* How many channels of frame t are beyond their level; *steep: and how many change by their slope up to the next frame. */
static size_t count(const struct plan_stage *p, const struct stage_block *b, size_t t, size_t *steep)
{
	const float *low = low_of(p), *high = high_of(p), *slope = slope_of(p), *x = b->x + t * LANES;
	size_t beyond = 0, next = t + 1 < b->nread ? LANES : 0;
	*steep = 0;
	for (size_t c = 0; c < values_lanes(p); c += LANES, x += b->tile_stride)
		for (size_t lane = 0; lane < LANES; lane++) {
			beyond += x[lane] > high[c + lane] || x[lane] < low[c + lane];
			*steep += fabsf(x[next + lane] - x[lane]) >= slope[c + lane];
		}
	return beyond;
}

static void survey(const struct plan_stage *p, const struct stage_block *b, size_t start, size_t n)
{
	const struct table *t = p->table;
	uint8_t *saturated = b->shared;
	for (size_t at = start; at < start + n; at++) {
		size_t steep, beyond = count(p, b, at, &steep), most = beyond > steep ? beyond : steep;
		saturated[at] = (double)most / (double)p->nchannels > t->fraction;
	}
}

static void tile(const struct plan_stage *p, const struct stage_block *b, size_t i, void *scratch, float *y)
{
	const struct table *t = p->table;
	const uint8_t *saturated = b->shared;
	const float *x = b->x + i * b->tile_stride, *value = value_of(p) + i * LANES;
	size_t seen = 0, last = 0; /* of the frames before `seen`, `last` is one behind the last saturated one */
	(void)scratch;
	for (size_t at = b->skip; at < b->skip + b->nwanted; at++, y += LANES) {
		for (; seen < b->nread && seen <= at + t->before; seen++)
			if (saturated[seen])
				last = seen + 1;
		memcpy(y, last && last + t->after > at ? value : x + at * LANES, LANES * sizeof *y);
	}
}

const struct stage_type stage_blank_saturation = { .name = "blank_saturation", .form = saturation_form, .margin = margin, .plan = plan_saturation,
						   .survey = survey, .tile = tile };
