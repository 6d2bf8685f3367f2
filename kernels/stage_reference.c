/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Common reference of all channels.
 */
#include "kernels/reference.h"
#include "kernels/stage.h"

struct table {
	enum reference_operator op;
};

static enum stage_form form(const struct stage_spec *s)
{
	(void)s;
	return FORM_FRAMES;
}

static enum status plan(struct plan_stage *p, const struct pipeline_spec *spec, size_t i, size_t grid, struct error *e)
{
	const struct stage_spec *s = &spec->stages[i];
	(void)grid;
	if (s->op != REFERENCE_MEDIAN && s->op != REFERENCE_AVERAGE)
		return stage_wrong_value(e, i, "operator", "use median or average", "no such operator", s->op);
	enum status status = stage_table(p, i, 1, sizeof(struct table), e);
	if (status)
		return status;
	*(struct table *)p->table = (struct table){ s->op };
	p->scratch_bytes = s->op == REFERENCE_MEDIAN ? reference_scratch(p->nchannels) : 0;
	return STATUS_OK;
}

static void frames(const struct plan_stage *p, float *x, size_t tile_stride, size_t nframes, void *scratch)
{
	const struct table *t = p->table;
	if (t->op == REFERENCE_MEDIAN)
		reference_median(x, tile_stride, nframes, p->nchannels, scratch);
	else
		reference_average(x, tile_stride, nframes, p->nchannels);
}

const struct stage_type stage_common_reference = { .name = "common_reference", .form = form, .plan = plan, .frames = frames };
