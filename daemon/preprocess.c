/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/preprocess.h"

#include <stdio.h>

static enum status parse_stage(const json_t *object, const char *prefix, struct stage_spec *stage, struct error *e)
{
	static const char *const kinds[] = { [STAGE_BANDPASS] = "bandpass", [STAGE_HIGHPASS] = "highpass", [STAGE_COMMON_REFERENCE] = "common_reference", NULL };
	static const char *const reference_ops[] = { [REFERENCE_MEDIAN] = "median", [REFERENCE_AVERAGE] = "average", NULL };
	struct params p;
	params_init(&p, object, prefix, e);
	int kind = params_word(&p, "stage", kinds, -1);
	if (kind < 0)
		return params_fail(&p, "stage", NULL, "is missing");
	stage->kind = (enum stage_kind)kind;
	if (stage->kind == STAGE_COMMON_REFERENCE) {
		stage->op = (enum reference_operator)params_word(&p, "operator", reference_ops, REFERENCE_MEDIAN);
		return params_end(&p);
	}
	/* The pipeline checks the ranges, which depend on the sampling rate. */
	stage->freq_min_hz = params_real(&p, "freq_min", 300, 0, true, 1e9);
	if (stage->kind == STAGE_BANDPASS)
		stage->freq_max_hz = params_real(&p, "freq_max", 6000, 0, true, 1e9);
	stage->order = (int)params_int(&p, "order", 5, 1, FILTER_MAX_ORDER);
	stage->zero_phase = params_bool(&p, "zero_phase", true);
	return params_end(&p);
}

void preprocess_parse(struct params *p, struct pipeline_spec *spec)
{
	const json_t *list = params_list(p, "preprocess");
	size_t n = json_array_size(list);
	if (n > PIPELINE_MAX_STAGES) {
		params_fail(p, "preprocess", NULL, "%zu stages; at most %d", n, PIPELINE_MAX_STAGES);
		return;
	}
	for (size_t i = 0; i < n && !p->status; i++) {
		char prefix[32];
		const json_t *object = json_array_get(list, i);
		snprintf(prefix, sizeof prefix, "preprocess[%zu].", i);
		if (!json_is_object(object))
			params_fail(p, "preprocess", "write {\"stage\": \"bandpass\", ...}", "stage %zu is not an object", i);
		else
			p->status = parse_stage(object, prefix, &spec->stages[i], p->error);
	}
	spec->nstages = n;
}
