/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/plan.h"

#include "kernels/convert.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Frames in a block, if no margin asks for more. A block costs 2 * grid + 3 * margin frames of filtering, so at 300 Hz of 30 kHz (margin 500)
 * 4096 costs 18 % above an endless block and 8192 9 %; but 4096 frames of a tile in, scratch and out are 0.9 MB, what an L2 holds. From
 * 2048 to 16384 the measured times lie within 10 % of each other, so the smaller latency and memory decide. */
enum { PLAN_GRID = 4096 };

enum stage_form plan_form(const struct stage_spec *s)
{
	const struct stage_type *type = stage_type_of(s->kind);
	return type ? type->form(s) : FORM_FRAMES;
}

size_t plan_margin(const struct stage_spec *s, double fs_hz)
{
	const struct stage_type *type = stage_type_of(s->kind);
	return type && type->margin ? type->margin(s, fs_hz) : 0;
}

/* A power of two, and at least twice the largest margin, so that margins never cost more than 3/4 of the filtering. A piece is one block. */
size_t plan_grid(const struct pipeline_spec *spec)
{
	size_t grid = 0;
	if (spec->piece_frames)
		return spec->piece_frames;
	for (size_t i = 0; i < spec->nstages && i < PIPELINE_MAX_STAGES; i++) {
		if (plan_form(&spec->stages[i]) != FORM_BLOCK)
			continue;
		size_t margin = plan_margin(&spec->stages[i], spec->fs_hz);
		if (grid == 0)
			grid = PLAN_GRID;
		while (grid < 2 * margin)
			grid *= 2;
	}
	return grid;
}

static enum status plan_stage(struct plan_stage *p, const struct pipeline_spec *spec, size_t i, size_t grid, struct error *e)
{
	const struct stage_spec *s = &spec->stages[i];
	p->type = stage_type_of(s->kind);
	if (!p->type)
		return stage_wrong_value(e, i, "stage", "see SPEC.md 4.5", "no such stage", s->kind);
	p->form = p->type->form(s);
	p->nchannels = spec->nchannels;
	p->rounded = spec->exact && spec->dtype == DTYPE_I16;
	p->margin = p->form == FORM_BLOCK ? plan_margin(s, spec->fs_hz) : 0;
	p->settle = p->form == FORM_CAUSAL ? plan_margin(s, spec->fs_hz) : 0;
	return p->type->plan(p, spec, i, grid, e);
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

/* Reproducing SpikeInterface is for what it is used with. */
static enum status check_exact(const struct pipeline_spec *spec, struct error *e)
{
	if (!spec->exact)
		return STATUS_OK;
	if ((spec->dtype != DTYPE_I16 && spec->dtype != DTYPE_F32) || spec->gain)
		return error_set(e, STATUS_UNSUPPORTED, "compat", "leave compat out", "compat takes int16 and float32 samples as stored, not %s",
				 spec->gain ? "scaled ones" : dtype_name(spec->dtype));
	for (size_t i = 0; i < spec->nstages; i++)
		if (plan_form(&spec->stages[i]) == FORM_CAUSAL)
			return error_set(e, STATUS_UNSUPPORTED, "compat", "set zero_phase to true, or leave compat out",
					 "preprocess[%zu] is causal, and compat has zero-phase filters only", i);
	return STATUS_OK;
}

enum status plan_make(struct plan *plan, const struct pipeline_spec *spec, struct error *e)
{
	enum status status = check_frames(spec, e);
	if (!status)
		status = check_scaling(spec, e);
	if (!status)
		status = check_exact(spec, e);
	memset(plan, 0, sizeof *plan);
	if (status)
		return status;
	plan->grid = plan_grid(spec);
	plan->nstages = spec->nstages;
	for (size_t i = 0; !status && i < spec->nstages; i++)
		status = plan_stage(&plan->stages[i], spec, i, plan->grid, e);
	if (!status && plan_bytes(plan) > STAGE_MAX_TABLE)
		return error_set(e, STATUS_TOO_LARGE, "preprocess", "use fewer stages or channels", "the stages' tables take %zu MiB", plan_bytes(plan) >> 20);
	return status;
}

void plan_fini(struct plan *plan)
{
	for (size_t i = 0; i < plan->nstages; i++)
		free(plan->stages[i].table);
	plan->nstages = 0;
}

size_t plan_bytes(const struct plan *plan)
{
	size_t bytes = 0;
	for (size_t i = 0; i < plan->nstages; i++)
		bytes += plan->stages[i].table_bytes;
	return bytes;
}
