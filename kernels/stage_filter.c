/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Filters: forward and backward on the fixed grid, or causal.
 */
#include "kernels/design.h"
#include "kernels/exact.h"
#include "kernels/stage.h"
#include "kernels/zero_phase.h"

#include <math.h>
#include <stdio.h>

static enum stage_form form(const struct stage_spec *s)
{
	return s->zero_phase ? FORM_BLOCK : FORM_CAUSAL;
}

static struct filter_spec filter_of(const struct stage_spec *s)
{
	static const enum filter_band bands[STAGE_KINDS] = { [STAGE_BANDPASS] = FILTER_BANDPASS, [STAGE_HIGHPASS] = FILTER_HIGHPASS,
							     [STAGE_LOWPASS] = FILTER_LOWPASS, [STAGE_BANDSTOP] = FILTER_BANDSTOP,
							     [STAGE_NOTCH] = FILTER_NOTCH };
	return (struct filter_spec){ .band = bands[s->kind], .family = s->family, .order = s->order, .freq_min_hz = s->freq_min_hz,
				     .freq_max_hz = s->freq_max_hz, .ripple_db = s->ripple_db, .attenuation_db = s->attenuation_db,
				     .norm = s->norm, .q = s->q };
}

static bool has_low_edge(const struct stage_spec *s)
{
	return s->kind != STAGE_LOWPASS;
}

static bool has_high_edge(const struct stage_spec *s)
{
	return s->kind != STAGE_HIGHPASS && s->kind != STAGE_NOTCH;
}

static const char *low_key(const struct stage_spec *s)
{
	return s->kind == STAGE_NOTCH ? "freq" : "freq_min";
}

static bool is_complete(const struct stage_spec *s, double fs)
{
	bool low = !has_low_edge(s) || (s->freq_min_hz > 0 && s->freq_min_hz < fs / 2);
	bool high = !has_high_edge(s) || (s->freq_max_hz > 0 && s->freq_max_hz < fs / 2);
	bool ordered = !has_low_edge(s) || !has_high_edge(s) || s->freq_min_hz < s->freq_max_hz;
	return low && high && ordered && s->order >= 1 && s->order <= FILTER_MAX_ORDER && (unsigned)s->family <= FILTER_ELLIPTIC;
}

/* Five periods of the lowest frequency, as SpikeInterface reads; of a notch five time constants, as its notch reads. Five periods bring a
 * Butterworth filter of order 5 down to 1e-4. Other families ring longer, and so do narrow band-stops: until the pole farthest out is down
 * to 1e-4, if that takes longer. */
static size_t margin(const struct stage_spec *s, double fs_hz)
{
	struct filter_spec f = filter_of(s);
	struct sos sos;
	if (s->kind == STAGE_NOTCH)
		return stage_margin(trunc(5 / M_PI * (s->q / s->freq_min_hz) * fs_hz));
	size_t periods = stage_periods(has_low_edge(s) ? s->freq_min_hz : s->freq_max_hz, fs_hz);
	if (s->family == FILTER_BUTTERWORTH && s->kind != STAGE_BANDSTOP)
		return periods;
	if (!is_complete(s, fs_hz) || !design_filter(&sos, &f, fs_hz))
		return periods;
	size_t ringing = stage_margin(ceil(log(1e-4) / log(sos.radius)));
	return ringing > periods ? ringing : periods;
}

static enum status check_edge(size_t i, const char *key, double freq, double fs, struct error *e)
{
	char what[96], hint[96];
	if (freq > 0 && freq < fs / 2)
		return STATUS_OK;
	snprintf(what, sizeof what, "not between 0 and half the sampling rate (%g Hz)", fs / 2);
	snprintf(hint, sizeof hint, "give a frequency in Hz above 0 and below %g", fs / 2);
	return stage_wrong_value(e, i, key, hint, what, freq);
}

static enum status check_band(const struct stage_spec *s, size_t i, double fs, struct error *e)
{
	enum status status = STATUS_OK;
	char what[96], hint[96];
	if (has_low_edge(s))
		status = check_edge(i, low_key(s), s->freq_min_hz, fs, e);
	if (!status && has_high_edge(s))
		status = check_edge(i, "freq_max", s->freq_max_hz, fs, e);
	if (status || !has_low_edge(s) || !has_high_edge(s) || s->freq_max_hz > s->freq_min_hz)
		return status;
	snprintf(what, sizeof what, "not above freq_min (%g Hz)", s->freq_min_hz);
	snprintf(hint, sizeof hint, "give a freq_max between %g and %g", s->freq_min_hz, fs / 2);
	return stage_wrong_value(e, i, "freq_max", hint, what, s->freq_max_hz);
}

static enum status check_shape(const struct stage_spec *s, size_t i, struct error *e)
{
	bool ripple = s->family == FILTER_CHEBYSHEV1 || s->family == FILTER_ELLIPTIC;
	bool attenuation = s->family == FILTER_CHEBYSHEV2 || s->family == FILTER_ELLIPTIC;
	if (s->kind == STAGE_NOTCH && !(s->q > 0 && s->q <= 1e6))
		return stage_wrong_value(e, i, "q", "30 is usual", "not above 0 and at most 1e6", s->q);
	if (s->kind == STAGE_NOTCH)
		return STATUS_OK;
	if (s->order < 1 || s->order > FILTER_MAX_ORDER)
		return stage_wrong_value(e, i, "order", "give an order from 1 to 8; 5 is usual", "not from 1 to 8", s->order);
	if ((unsigned)s->family > FILTER_ELLIPTIC)
		return stage_wrong_value(e, i, "filter", "use butterworth, bessel, chebyshev1, chebyshev2 or elliptic", "no such filter", s->family);
	if (s->family == FILTER_BESSEL && (unsigned)s->norm > BESSEL_MAG)
		return stage_wrong_value(e, i, "norm", "use phase, delay or mag", "no such norm", s->norm);
	if (ripple && !(s->ripple_db > 0 && s->ripple_db <= 100))
		return stage_wrong_value(e, i, "ripple_db", "0.5 is usual", "not above 0 and at most 100", s->ripple_db);
	if (attenuation && !(s->attenuation_db > 0 && s->attenuation_db <= 300))
		return stage_wrong_value(e, i, "attenuation_db", "40 is usual", "not above 0 and at most 300", s->attenuation_db);
	if (ripple && attenuation && !(s->attenuation_db > s->ripple_db))
		return stage_wrong_value(e, i, "attenuation_db", "40 is usual", "not above ripple_db", s->attenuation_db);
	return STATUS_OK;
}

static void exact_block(const struct plan_stage *p, const struct stage_block *b, size_t i, void *scratch, float *y)
{
	exact_tile(p->table, b->x + i * b->tile_stride, b->nread, b->skip, b->nwanted, p->rounded, scratch, y);
}

/* What becomes of a filter in an exact pipeline. */
static const struct stage_type exact = { .name = "exact", .tile = exact_block };

static enum status plan(struct plan_stage *p, const struct pipeline_spec *spec, size_t i, size_t grid, struct error *e)
{
	const struct stage_spec *s = &spec->stages[i];
	struct filter_spec f = filter_of(s);
	const char *key = has_low_edge(s) ? low_key(s) : "freq_max";
	double freq = has_low_edge(s) ? s->freq_min_hz : s->freq_max_hz;
	enum status status = check_band(s, i, spec->fs_hz, e);
	if (!status)
		status = check_shape(s, i, e);
	if (!status)
		status = stage_table(p, i, 1, sizeof(struct sos), e);
	if (status)
		return status;
	struct sos *sos = p->table;
	if (!design_filter(sos, &f, spec->fs_hz))
		return stage_wrong_value(e, i, key, "move the band edges away from 0, half the sampling rate and each other, or lower the order",
					 "which gives no stable filter of this order", freq);
	if (p->margin >= STAGE_MAX_MARGIN)
		return stage_wrong_value(e, i, key, "use a higher frequency, or a wider band", "for which a filter rings too long", freq);
	if (spec->exact)
		p->type = &exact;
	if (p->form == FORM_BLOCK)
		p->scratch_bytes = (grid + 2 * p->margin + 2 * sos->edge) * LANES * (spec->exact ? sizeof(double) : sizeof(float));
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

#define FILTER(id)                                                                                                      \
	const struct stage_type stage_##id = { .name = #id, .form = form, .margin = margin, .plan = plan, .start = start, \
					       .run = run, .tile = tile, .tile_stored = tile_stored }

FILTER(bandpass);
FILTER(highpass);
FILTER(lowpass);
FILTER(bandstop);
FILTER(notch);
