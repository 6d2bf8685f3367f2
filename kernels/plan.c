/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/plan.h"

#include "kernels/convert.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Frames in a block, if no margin asks for more. A block costs 2 * grid + 3 * margin frames of filtering, so at 300 Hz of 30 kHz (margin 500)
 * 4096 costs 18 % above an endless block and 8192 9 %; but 4096 frames of a tile in, scratch and out are 0.9 MB, what an L2 holds. From
 * 2048 to 16384 the measured times lie within 10 % of each other, so the smaller latency and memory decide. */
enum { PLAN_GRID = 4096 };

size_t plan_margin(double freq_min_hz, double fs_hz)
{
	double margin_ms = 5 * 1000.0 / freq_min_hz;
	double frames = trunc(margin_ms * fs_hz / 1000.0);
	if (!(frames >= 0))
		return 0;
	return frames < (double)PLAN_MAX_MARGIN ? (size_t)frames : PLAN_MAX_MARGIN;
}

static bool is_zero_phase(const struct stage_spec *s)
{
	return s->kind != STAGE_COMMON_REFERENCE && s->zero_phase;
}

/* A power of two, and at least twice the largest margin, so that margins never cost more than 3/4 of the filtering. A piece is one block. */
size_t plan_grid(const struct pipeline_spec *spec)
{
	size_t grid = 0;
	if (spec->piece_frames)
		return spec->piece_frames;
	for (size_t i = 0; i < spec->nstages && i < PIPELINE_MAX_STAGES; i++) {
		if (!is_zero_phase(&spec->stages[i]))
			continue;
		size_t margin = plan_margin(spec->stages[i].freq_min_hz, spec->fs_hz);
		if (grid == 0)
			grid = PLAN_GRID;
		while (grid < 2 * margin)
			grid *= 2;
	}
	return grid;
}

static enum status wrong(struct error *e, size_t stage, const char *key, const char *hint, const char *what, double value)
{
	char field[64];
	snprintf(field, sizeof field, "preprocess[%zu].%s", stage, key);
	return error_set(e, STATUS_INVALID, field, hint, "%s is %g, %s", key, value, what);
}

static enum status check_band(const struct stage_spec *s, size_t i, double fs, struct error *e)
{
	char what[96], hint[96];
	double nyquist = fs / 2;

	snprintf(what, sizeof what, "not between 0 and half the sampling rate (%g Hz)", nyquist);
	snprintf(hint, sizeof hint, "give a frequency in Hz above 0 and below %g", nyquist);
	if (!(s->freq_min_hz > 0 && s->freq_min_hz < nyquist))
		return wrong(e, i, "freq_min", hint, what, s->freq_min_hz);
	if (s->kind != STAGE_BANDPASS)
		return STATUS_OK;
	if (!(s->freq_max_hz > 0 && s->freq_max_hz < nyquist))
		return wrong(e, i, "freq_max", hint, what, s->freq_max_hz);
	snprintf(what, sizeof what, "not above freq_min (%g Hz)", s->freq_min_hz);
	snprintf(hint, sizeof hint, "give a freq_max between %g and %g", s->freq_min_hz, nyquist);
	if (!(s->freq_max_hz > s->freq_min_hz))
		return wrong(e, i, "freq_max", hint, what, s->freq_max_hz);
	return STATUS_OK;
}

static enum status plan_filter(struct plan_stage *p, const struct stage_spec *s, size_t i, double fs, struct error *e)
{
	enum status status = check_band(s, i, fs, e);
	if (status)
		return status;
	if (s->order < 1 || s->order > FILTER_MAX_ORDER)
		return wrong(e, i, "order", "give an order from 1 to 8; 5 is usual", "not from 1 to 8", s->order);
	bool made = s->kind == STAGE_BANDPASS ? sos_bandpass(&p->sos, s->order, s->freq_min_hz, s->freq_max_hz, fs)
					      : sos_highpass(&p->sos, s->order, s->freq_min_hz, fs);
	if (!made)
		return wrong(e, i, "freq_min", "move the band edges away from 0, half the sampling rate and each other, or lower the order",
			     "which gives no stable filter of this order", s->freq_min_hz);
	p->zero_phase = s->zero_phase;
	p->causal = !s->zero_phase;
	p->margin = s->zero_phase ? plan_margin(s->freq_min_hz, fs) : 0;
	if (p->margin >= PLAN_MAX_MARGIN)
		return wrong(e, i, "freq_min", "use a higher freq_min", "whose five periods are too long", s->freq_min_hz);
	return STATUS_OK;
}

static enum status plan_stage(struct plan_stage *p, const struct stage_spec *s, size_t i, double fs, struct error *e)
{
	p->kind = s->kind;
	switch (s->kind) {
	case STAGE_BANDPASS:
	case STAGE_HIGHPASS:
		return plan_filter(p, s, i, fs, e);
	case STAGE_COMMON_REFERENCE:
		p->op = s->op;
		if (s->op == REFERENCE_MEDIAN || s->op == REFERENCE_AVERAGE)
			return STATUS_OK;
		return wrong(e, i, "operator", "use median or average", "no such operator", s->op);
	}
	return wrong(e, i, "stage", "use bandpass, highpass or common_reference", "no such stage", s->kind);
}

static enum status check_scaling(const struct pipeline_spec *spec, struct error *e)
{
	if (!spec->gain != !spec->offset)
		return error_set(e, STATUS_INVALID, "gain", "give both gain and offset, or neither", "only one of gain and offset is there");
	for (size_t c = 0; spec->gain && c < spec->nchannels; c++) {
		if (!isfinite(spec->gain[c]))
			return error_set(e, STATUS_INVALID, "gain", "give finite gains", "the gain of channel %zu is %g", c, spec->gain[c]);
		if (!isfinite(spec->offset[c]))
			return error_set(e, STATUS_INVALID, "offset", "give finite offsets", "the offset of channel %zu is %g", c, spec->offset[c]);
	}
	return STATUS_OK;
}

static enum status check_frames(const struct pipeline_spec *spec, struct error *e)
{
	if (spec->nchannels < 1 || spec->nchannels > SIZE_MAX / 4096)
		return error_set(e, STATUS_INVALID, "num_channels", "there must be at least one channel", "%zu channels", spec->nchannels);
	if (!(spec->fs_hz > 0 && isfinite(spec->fs_hz)))
		return error_set(e, STATUS_INVALID, "sampling_frequency", "give the sampling rate in Hz, above 0", "sampling_frequency is %g",
				 spec->fs_hz);
	if (!convert_takes(spec->dtype))
		return error_set(e, STATUS_INVALID, "dtype", "use integers of 8 to 64 bits, <f4 or <f8", "samples cannot be %s",
				 spec->dtype >= 0 && spec->dtype < DTYPE_COUNT ? dtype_name(spec->dtype) : "of this type");
	if (spec->first_frame < 0)
		return error_set(e, STATUS_INVALID, "start", "count frames from 0", "the first frame is %lld", (long long)spec->first_frame);
	if (spec->nstages > PIPELINE_MAX_STAGES)
		return error_set(e, STATUS_INVALID, "preprocess", "use up to 16 stages", "%zu stages", spec->nstages);
	return STATUS_OK;
}

enum status plan_make(struct plan *plan, const struct pipeline_spec *spec, struct error *e)
{
	enum status status = check_frames(spec, e);
	if (!status)
		status = check_scaling(spec, e);
	memset(plan, 0, sizeof *plan);
	for (size_t i = 0; !status && i < spec->nstages; i++)
		status = plan_stage(&plan->stages[i], &spec->stages[i], i, spec->fs_hz, e);
	if (status)
		return status;
	plan->nstages = spec->nstages;
	plan->grid = plan_grid(spec);
	return STATUS_OK;
}
