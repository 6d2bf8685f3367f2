/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/values.h"

#include <math.h>

enum status values_spread(const struct plan_stage *p, const struct channel_values *v, double fallback, size_t stage, const char *key, float *out,
			  struct error *e)
{
	if (v->n > 1 && v->n != p->nchannels)
		return stage_wrong(e, stage, key, "give one number for each channel, or one for all", "%zu numbers for %zu channels", v->n, p->nchannels);
	for (size_t c = 0; c < values_lanes(p); c++) {
		double value = v->n == 0 ? fallback : v->at[v->n == 1 ? 0 : c < p->nchannels ? c : 0];
		if (!(fabs(value) <= 3e38))
			return stage_wrong(e, stage, key, "use finite numbers that float32 can hold", "%g for channel %zu", value, c);
		out[c] = c < p->nchannels ? (float)value : 0;
	}
	return STATUS_OK;
}

/* Are the frames in microvolts already? Then a level needs no gain. */
static bool needs_gain(const struct pipeline_spec *spec, size_t stage)
{
	return spec->stages[stage].microvolts && !spec->gain;
}

enum status values_levels(const struct plan_stage *p, const struct pipeline_spec *spec, size_t stage, float *low, float *high, struct error *e)
{
	double level = spec->stages[stage].level;
	bool scaled = needs_gain(spec, stage);
	if (!(level > 0))
		return stage_wrong_value(e, stage, "level", "give a level above 0", "not above 0", level);
	if (scaled && !spec->gain_uv)
		return stage_wrong(e, stage, "unit", "use raw", "the source does not say how much a microvolt is");
	for (size_t c = 0; c < values_lanes(p); c++) {
		double gain = scaled && c < p->nchannels ? spec->gain_uv[c] : 1, offset = scaled && c < p->nchannels ? spec->offset_uv[c] : 0;
		if (gain == 0)
			return stage_wrong(e, stage, "unit", "use raw", "the gain of channel %zu is 0", c);
		double a = (-level - offset) / gain, b = (level - offset) / gain;
		low[c] = c < p->nchannels ? (float)fmin(a, b) : -INFINITY;
		high[c] = c < p->nchannels ? (float)fmax(a, b) : INFINITY;
	}
	return STATUS_OK;
}

void values_slopes(const struct plan_stage *p, const struct pipeline_spec *spec, size_t stage, float *slope)
{
	double level = spec->stages[stage].slope;
	for (size_t c = 0; c < values_lanes(p); c++) {
		double gain = needs_gain(spec, stage) && c < p->nchannels ? fabs(spec->gain_uv[c]) : 1;
		slope[c] = c < p->nchannels && level > 0 ? (float)(level / gain) : NAN;
	}
}
