/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Filters: forward and backward on the fixed grid, or causal.
 */
#include "kernels/stage.h"
#include "kernels/zero_phase.h"

#include <math.h>
#include <stdio.h>

static enum stage_form form(const struct stage_spec *s)
{
	return s->zero_phase ? FORM_BLOCK : FORM_CAUSAL;
}

static size_t margin(const struct stage_spec *s, double fs_hz)
{
	return stage_periods(s->freq_min_hz, fs_hz);
}

static enum status check_band(const struct stage_spec *s, size_t i, double fs, struct error *e)
{
	char what[96], hint[96];
	double nyquist = fs / 2;

	snprintf(what, sizeof what, "not between 0 and half the sampling rate (%g Hz)", nyquist);
	snprintf(hint, sizeof hint, "give a frequency in Hz above 0 and below %g", nyquist);
	if (!(s->freq_min_hz > 0 && s->freq_min_hz < nyquist))
		return stage_wrong_value(e, i, "freq_min", hint, what, s->freq_min_hz);
	if (s->kind != STAGE_BANDPASS)
		return STATUS_OK;
	if (!(s->freq_max_hz > 0 && s->freq_max_hz < nyquist))
		return stage_wrong_value(e, i, "freq_max", hint, what, s->freq_max_hz);
	snprintf(what, sizeof what, "not above freq_min (%g Hz)", s->freq_min_hz);
	snprintf(hint, sizeof hint, "give a freq_max between %g and %g", s->freq_min_hz, nyquist);
	if (!(s->freq_max_hz > s->freq_min_hz))
		return stage_wrong_value(e, i, "freq_max", hint, what, s->freq_max_hz);
	return STATUS_OK;
}

static enum status plan(struct plan_stage *p, const struct pipeline_spec *spec, size_t i, size_t grid, struct error *e)
{
	const struct stage_spec *s = &spec->stages[i];
	double fs = spec->fs_hz;
	enum status status = check_band(s, i, fs, e);
	if (status)
		return status;
	if (s->order < 1 || s->order > FILTER_MAX_ORDER)
		return stage_wrong_value(e, i, "order", "give an order from 1 to 8; 5 is usual", "not from 1 to 8", s->order);
	status = stage_table(p, i, 1, sizeof(struct sos), e);
	if (status)
		return status;
	struct sos *sos = p->table;
	bool made = s->kind == STAGE_BANDPASS ? sos_bandpass(sos, s->order, s->freq_min_hz, s->freq_max_hz, fs)
					      : sos_highpass(sos, s->order, s->freq_min_hz, fs);
	if (!made)
		return stage_wrong_value(e, i, "freq_min", "move the band edges away from 0, half the sampling rate and each other, or lower the order",
					 "which gives no stable filter of this order", s->freq_min_hz);
	if (p->margin >= STAGE_MAX_MARGIN)
		return stage_wrong_value(e, i, "freq_min", "use a higher freq_min", "whose five periods are too long", s->freq_min_hz);
	if (p->form == FORM_BLOCK)
		p->scratch_bytes = (grid + 2 * p->margin + 2 * sos->edge) * LANES * sizeof(float);
	else
		p->state_bytes = sizeof(struct sos_state);
	return STATUS_OK;
}

static void start(const struct plan_stage *p, void *state, const float *x)
{
	sos_start(p->table, state, x);
}

static void run(const struct plan_stage *p, void *state, float *x, size_t nframes)
{
	sos_run(p->table, state, x, x, 1, nframes);
}

static void tile(const struct plan_stage *p, const struct stage_block *b, size_t i, void *scratch, float *y)
{
	zero_phase_tile(p->table, b->x + i * b->tile_stride, b->nread, b->skip, b->nwanted, scratch, y);
}

static void tile_stored(const struct plan_stage *p, const struct stage_block *b, const struct stored_tile *in, void *scratch, float *y)
{
	zero_phase_stored(p->table, in, b->nread, b->skip, b->nwanted, scratch, y);
}

const struct stage_type stage_bandpass = { .name = "bandpass", .form = form, .margin = margin, .plan = plan, .start = start, .run = run, .tile = tile,
					   .tile_stored = tile_stored };
const struct stage_type stage_highpass = { .name = "highpass", .form = form, .margin = margin, .plan = plan, .start = start, .run = run, .tile = tile,
					   .tile_stored = tile_stored };
