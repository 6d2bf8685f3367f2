/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Scale: y = x * gain + offset in f32, two roundings; z-scores likewise, with numbers that were measured. Center: y = x - value.
 */
#include "kernels/values.h"

static enum stage_form form(const struct stage_spec *s)
{
	(void)s;
	return FORM_FRAMES;
}

/* [2][lanes] gain, offset. */
static enum status plan(struct plan_stage *p, const struct pipeline_spec *spec, size_t i, size_t grid, struct error *e)
{
	const struct stage_spec *s = &spec->stages[i];
	bool center = s->kind == STAGE_CENTER;
	(void)grid;
	if (s->kind == STAGE_ZSCORE && !s->gain.n)
		return stage_wrong(e, i, "stage", NULL, "the numbers of a zscore were not measured");
	enum status status = stage_table(p, i, 2 * values_lanes(p), sizeof(float), e);
	if (!status && !center)
		status = values_spread(p, &s->gain, 1, i, "gain", p->table, e);
	if (!status)
		status = values_spread(p, &s->value, 0, i, center ? "value" : "offset", (float *)p->table + values_lanes(p), e);
	return status;
}

static void scale(const struct plan_stage *p, float *x, size_t tile_stride, size_t nframes, void *scratch)
{
	const float *gain = p->table, *offset = gain + values_lanes(p);
	(void)scratch;
	for (size_t c = 0; c < values_lanes(p); c += LANES, x += tile_stride)
		for (size_t t = 0; t < nframes; t++)
			for (size_t lane = 0; lane < LANES; lane++)
				x[t * LANES + lane] = x[t * LANES + lane] * gain[c + lane] + offset[c + lane];
}

static void center(const struct plan_stage *p, float *x, size_t tile_stride, size_t nframes, void *scratch)
{
	const float *value = (const float *)p->table + values_lanes(p);
	(void)scratch;
	for (size_t c = 0; c < values_lanes(p); c += LANES, x += tile_stride)
		for (size_t t = 0; t < nframes; t++)
			for (size_t lane = 0; lane < LANES; lane++)
				x[t * LANES + lane] -= value[c + lane];
}

const struct stage_type stage_scale = { .name = "scale", .form = form, .plan = plan, .frames = scale };
const struct stage_type stage_zscore = { .name = "zscore", .form = form, .plan = plan, .frames = scale };
const struct stage_type stage_center = { .name = "center", .form = form, .plan = plan, .frames = center };
