/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Delays each channel by its inter_sample_shift (frames), so that channels that an analogue-to-digital converter samples one after the other look
 * as if sampled at once: SpikeInterface's phase_shift, with a windowed sinc (kernels/fir.h) in place of a Fourier transform. Frames outside
 * the segment are 0.
 */
#include "kernels/fir.h"
#include "kernels/stage.h"

#include <math.h>
#include <string.h>

static enum stage_form form(const struct stage_spec *s)
{
	(void)s;
	return FORM_BLOCK;
}

static size_t margin(const struct stage_spec *s, double fs_hz)
{
	(void)s;
	(void)fs_hz;
	return FIR_HALF;
}

static enum status plan(struct plan_stage *p, const struct pipeline_spec *spec, size_t i, size_t grid, struct error *e)
{
	size_t ntiles = (p->nchannels + LANES - 1) / LANES;
	if (!spec->inter_sample_shift)
		return error_set(e, STATUS_INVALID, "inter_sample_shift", "give the array inter_sample_shift (channels), in frames",
				 "preprocess[%zu]: this stage needs to know when the channels are sampled", i);
	enum status status = stage_table(p, i, ntiles, FIR_DELAY_TAPS * LANES * sizeof(float), e);
	for (size_t c = 0; c < p->nchannels && !status; c++) {
		double shift = spec->inter_sample_shift[c];
		if (!(fabs(shift) <= 1))
			return error_set(e, STATUS_INVALID, "inter_sample_shift", "shifts are parts of a frame, from -1 to 1",
					 "channel %zu is shifted by %g frames", c, shift);
		fir_delay(shift, (float *)p->table + c / LANES * FIR_DELAY_TAPS * LANES + c % LANES);
	}
	p->scratch_bytes = (grid + 2 * FIR_HALF) * LANES * sizeof(float);
	return status;
}

/* The frames that the wanted ones are made of, with 0 where the segment has none. */
static const float *padded(const struct stage_block *b, const float *x, float *scratch)
{
	size_t behind = b->nread - b->skip - b->nwanted;
	if (b->skip == FIR_HALF && behind >= FIR_HALF)
		return x;
	size_t gap = FIR_HALF - b->skip, rest = behind < FIR_HALF ? FIR_HALF - behind : 0;
	memset(scratch, 0, gap * LANES * sizeof *x);
	memcpy(scratch + gap * LANES, x, b->nread * LANES * sizeof *x);
	memset(scratch + (gap + b->nread) * LANES, 0, rest * LANES * sizeof *x);
	return scratch;
}

static void tile(const struct plan_stage *p, const struct stage_block *b, size_t i, void *scratch, float *y)
{
	const float *taps = (const float *)p->table + i * FIR_DELAY_TAPS * LANES;
	fir_tile(taps, FIR_DELAY_TAPS, padded(b, b->x + i * b->tile_stride, scratch), y, b->nwanted);
}

const struct stage_type stage_phase_shift = { .name = "phase_shift", .form = form, .margin = margin, .plan = plan, .tile = tile };
