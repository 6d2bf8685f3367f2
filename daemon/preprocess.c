/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/preprocess.h"

#include <stdio.h>

/* The pipeline checks what depends on the sampling rate and the channels. */
static void parse_filter(struct params *p, struct stage_spec *stage)
{
	static const char *const families[] = { [FILTER_BUTTERWORTH] = "butterworth", [FILTER_BESSEL] = "bessel", [FILTER_CHEBYSHEV1] = "chebyshev1",
						[FILTER_CHEBYSHEV2] = "chebyshev2", [FILTER_ELLIPTIC] = "elliptic", NULL };
	static const char *const norms[] = { [BESSEL_PHASE] = "phase", [BESSEL_DELAY] = "delay", [BESSEL_MAG] = "mag", NULL };
	if (stage->kind != STAGE_LOWPASS)
		stage->freq_min_hz = params_real(p, "freq_min", 300, 0, true, 1e9);
	if (stage->kind != STAGE_HIGHPASS)
		stage->freq_max_hz = params_real(p, "freq_max", 6000, 0, true, 1e9);
	stage->order = (int)params_int(p, "order", 5, 1, FILTER_MAX_ORDER);
	stage->zero_phase = params_bool(p, "zero_phase", true);
	stage->family = (enum filter_family)params_word(p, "filter", families, FILTER_BUTTERWORTH);
	if (stage->family == FILTER_BESSEL)
		stage->norm = (enum bessel_norm)params_word(p, "norm", norms, BESSEL_PHASE);
	if (stage->family == FILTER_CHEBYSHEV1 || stage->family == FILTER_ELLIPTIC)
		stage->ripple_db = params_real(p, "ripple_db", 0.5, 0, true, 100);
	if (stage->family == FILTER_CHEBYSHEV2 || stage->family == FILTER_ELLIPTIC)
		stage->attenuation_db = params_real(p, "attenuation_db", 40, 0, true, 300);
}

static void parse_notch(struct params *p, struct stage_spec *stage)
{
	stage->freq_min_hz = params_real(p, "freq", 3000, 0, true, 1e9);
	stage->q = params_real(p, "q", 30, 0, true, 1e6);
	stage->zero_phase = params_bool(p, "zero_phase", true);
}

static void parse_reference(struct params *p, struct stage_spec *stage)
{
	static const char *const operators[] = { [REFERENCE_MEDIAN] = "median", [REFERENCE_AVERAGE] = "average", NULL };
	stage->op = (enum reference_operator)params_word(p, "operator", operators, REFERENCE_MEDIAN);
}

static const struct kind {
	const char *name;
	void (*parse)(struct params *p, struct stage_spec *stage);
} kinds[STAGE_KINDS] = {
	[STAGE_BANDPASS] = { "bandpass", parse_filter },
	[STAGE_HIGHPASS] = { "highpass", parse_filter },
	[STAGE_LOWPASS] = { "lowpass", parse_filter },
	[STAGE_BANDSTOP] = { "bandstop", parse_filter },
	[STAGE_NOTCH] = { "notch", parse_notch },
	[STAGE_COMMON_REFERENCE] = { "common_reference", parse_reference },
};

static enum status parse_stage(const json_t *object, const char *prefix, struct stage_spec *stage, struct error *e)
{
	const char *names[STAGE_KINDS + 1] = { NULL };
	struct params p;
	for (size_t i = 0; i < STAGE_KINDS; i++)
		names[i] = kinds[i].name;
	params_init(&p, object, prefix, e);
	int kind = params_word(&p, "stage", names, -1);
	if (kind < 0)
		return params_fail(&p, "stage", NULL, "is missing");
	stage->kind = (enum stage_kind)kind;
	kinds[kind].parse(&p, stage);
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
