/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Replaces samples: each that is beyond a level, or all of the frames around those where many channels are (saturation).
 *
 * Saturation: a frame is saturated if more than `fraction` of the channels are beyond the level, or if more than that change by `slope` or more up to
 * the next frame; the last frame of a segment has none. The values of `before` frames before it and `after` behind it are replaced, too.
 */
#include "kernels/levels.h"
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
	(void)scratch;
	for (size_t c = 0; c < values_lanes(p); c += LANES, x += tile_stride)
		levels_replace(x, nframes, low_of(p) + c, high_of(p) + c, value_of(p) + c);
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

static void survey(const struct plan_stage *p, const struct stage_block *b, size_t start, size_t n)
{
	const struct table *t = p->table;
	const float *x = b->x + start * LANES;
	uint8_t *saturated = b->shared;
	uint32_t beyond[STAGE_PIECE] = { 0 }, steep[STAGE_PIECE] = { 0 };
	size_t nnext = start + n < b->nread ? n : n - 1;
	for (size_t c = 0; c < values_lanes(p); c += LANES, x += b->tile_stride)
		levels_count(x, n, nnext, low_of(p) + c, high_of(p) + c, slope_of(p) + c, beyond, steep);
	for (size_t i = 0; i < n; i++) {
		uint32_t most = beyond[i] > steep[i] ? beyond[i] : steep[i];
		saturated[start + i] = most / (double)p->nchannels > t->fraction;
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
