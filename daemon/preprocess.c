/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/preprocess.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void no_memory(struct params *p)
{
	if (!p->status)
		p->status = error_set(p->error, STATUS_NO_MEMORY, NULL, NULL, "no memory");
}

/* Channels of a JSON list into at[*n...]; false after a failure. */
static bool add_channels(struct params *p, const char *key, const json_t *list, uint32_t *at, size_t *n)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);
		double number = json_number_value(item);
		if (!json_is_number(item) || !(number >= 0 && number < UINT32_MAX) || number != floor(number)) {
			params_fail(p, key, "channels are counted from 0", "must hold indices of channels");
			return false;
		}
		at[(*n)++] = (uint32_t)number;
	}
	return true;
}

static void parse_channels(struct params *p, const char *key, struct channel_list *out)
{
	const json_t *list = params_list(p, key);
	if (!json_array_size(list))
		return;
	uint32_t *at = calloc(json_array_size(list), sizeof *at);
	out->at = at;
	if (!at)
		no_memory(p);
	else
		add_channels(p, key, list, at, &out->n);
}

static void parse_groups(struct params *p, struct stage_spec *stage)
{
	const json_t *lists = params_list(p, "groups");
	size_t ngroups = json_array_size(lists), total = 0;
	for (size_t g = 0; g < ngroups; g++)
		total += json_array_size(json_array_get(lists, g));
	uint32_t *at = calloc(total + 1, sizeof *at);
	size_t *sizes = calloc(ngroups + 1, sizeof *sizes);
	stage->grouped.at = at;
	stage->group_sizes = sizes;
	stage->ngroups = ngroups;
	if (!at || !sizes) {
		no_memory(p);
		return;
	}
	for (size_t g = 0; g < ngroups; g++) {
		const json_t *list = json_array_get(lists, g);
		sizes[g] = json_array_size(list);
		if (!json_is_array(list))
			params_fail(p, "groups", "for example [[0, 1, 2, 3], [4, 5, 6, 7]]", "must be a list of lists of channels");
		if (p->status || !add_channels(p, "groups", list, at, &stage->grouped.n))
			return;
	}
}

/* A number, or a list of numbers. */
static void parse_values(struct params *p, const char *key, struct channel_values *out)
{
	const json_t *value = params_any(p, key);
	size_t n = json_is_array(value) ? json_array_size(value) : 1;
	double *at = value ? calloc(n + 1, sizeof *at) : NULL;
	out->at = at;
	if (value && !at)
		no_memory(p);
	if (!at)
		return;
	if (n == 0)
		params_fail(p, key, "give one number for each channel, or one for all", "is an empty list");
	for (size_t i = 0; i < n; i++) {
		const json_t *item = json_is_array(value) ? json_array_get(value, i) : value;
		if (!json_is_number(item))
			params_fail(p, key, "give one number for each channel, or one for all", "must be a number or a list of numbers");
		at[i] = json_number_value(item);
	}
	out->n = n;
}

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
	static const char *const scopes[] = { [REFERENCE_GLOBAL] = "global", [REFERENCE_SINGLE] = "single", [REFERENCE_LOCAL] = "local",
					      [REFERENCE_GROUPS] = "groups", NULL };
	stage->op = (enum reference_operator)params_word(p, "operator", operators, REFERENCE_MEDIAN);
	stage->scope = (enum reference_scope)params_word(p, "reference", scopes, REFERENCE_GLOBAL);
	parse_channels(p, "excluded", &stage->excluded);
	if (stage->scope == REFERENCE_GLOBAL || stage->scope == REFERENCE_SINGLE)
		parse_channels(p, "ref_channels", &stage->channels);
	if (stage->scope == REFERENCE_GROUPS)
		parse_groups(p, stage);
	if (stage->scope != REFERENCE_LOCAL)
		return;
	const json_t *radius = params_list(p, "local_radius_um");
	const double fallback[2] = { 30, 55 };
	if (radius && (json_array_size(radius) != 2 || !json_is_number(json_array_get(radius, 0)) || !json_is_number(json_array_get(radius, 1))))
		params_fail(p, "local_radius_um", "for example [30, 55]", "must be a list of two numbers");
	for (size_t i = 0; i < 2; i++)
		stage->radius_um[i] = radius ? json_number_value(json_array_get(radius, i)) : fallback[i];
}

/* Stages whose arrays say all. */
static void parse_nothing(struct params *p, struct stage_spec *stage)
{
	(void)p;
	(void)stage;
}

static void parse_neo(struct params *p, struct stage_spec *stage)
{
	stage->window_ms = params_real(p, "window_ms", 0, 0, false, 1e6);
}

static void parse_scale(struct params *p, struct stage_spec *stage)
{
	parse_values(p, "gain", &stage->gain);
	parse_values(p, "offset", &stage->value);
}

static void parse_center(struct params *p, struct stage_spec *stage)
{
	parse_values(p, "value", &stage->value);
	if (!params_has(p, "value"))
		params_fail(p, "value", "give what to take away: a number, or one for each channel", "is missing");
}

static void parse_blank(struct params *p, struct stage_spec *stage)
{
	static const char *const units[] = { "raw", "uV", NULL };
	stage->level = params_real(p, "level", 0, 0, true, 1e30);
	if (!params_has(p, "level"))
		params_fail(p, "level", "give the largest value that is still good", "is missing");
	stage->microvolts = params_word(p, "unit", units, 0) == 1;
	parse_values(p, "value", &stage->value);
}

static void parse_saturation(struct params *p, struct stage_spec *stage)
{
	parse_blank(p, stage);
	stage->slope = params_real(p, "slope", 0, 0, true, 1e30);
	stage->fraction = params_real(p, "fraction", 0.2, 0, false, 1);
	stage->before_ms = params_real(p, "before_ms", 0, 0, false, 10000);
	stage->after_ms = params_real(p, "after_ms", 0, 0, false, 10000);
}

static void parse_silence(struct params *p, struct stage_spec *stage)
{
	parse_channels(p, "channels", &stage->channels);
}

static void parse_interpolate(struct params *p, struct stage_spec *stage)
{
	parse_channels(p, "channels", &stage->channels);
	stage->sigma_um = params_real(p, "sigma_um", 0, 0, true, 1e30);
	stage->p = params_real(p, "p", 1.3, 0, true, 100);
}

/* How the matrix is measured; without `mode` that depends on whether one comes with the request. */
static void parse_whiten(struct params *p, struct stage_spec *stage)
{
	static const char *const modes[] = { "global", "local", NULL };
	struct stage_fit *fit = &stage->fit;
	fit->wanted = params_has(p, "mode");
	fit->local = params_word(p, "mode", modes, 0) == 1;
	fit->radius_um = params_real(p, "radius_um", 100, 0, false, 1e30);
	fit->mean = params_bool(p, "apply_mean", false);
	fit->eps = params_real(p, "eps", 0, 0, true, 1e30);
	fit->seed = (uint64_t)params_int(p, "seed", 0, 0, INT64_MAX);
}

static void parse_zscore(struct params *p, struct stage_spec *stage)
{
	static const char *const modes[] = { "median+mad", "mean+std", NULL };
	stage->fit.wanted = true;
	stage->fit.robust = params_word(p, "mode", modes, 0) == 0;
	stage->fit.seed = (uint64_t)params_int(p, "seed", 0, 0, INT64_MAX);
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
	[STAGE_PHASE_SHIFT] = { "phase_shift", parse_nothing },
	[STAGE_NEO] = { "neo", parse_neo },
	[STAGE_SCALE] = { "scale", parse_scale },
	[STAGE_CENTER] = { "center", parse_center },
	[STAGE_BLANK] = { "blank", parse_blank },
	[STAGE_BLANK_SATURATION] = { "blank_saturation", parse_saturation },
	[STAGE_SILENCE] = { "silence", parse_silence },
	[STAGE_INTERPOLATE] = { "interpolate", parse_interpolate },
	[STAGE_WHITEN] = { "whiten", parse_whiten },
	[STAGE_ZSCORE] = { "zscore", parse_zscore },
};

void preprocess_fini(struct pipeline_spec *spec)
{
	for (size_t i = 0; i < PIPELINE_MAX_STAGES; i++) {
		struct stage_spec *s = &spec->stages[i];
		free((void *)s->channels.at);
		free((void *)s->excluded.at);
		free((void *)s->grouped.at);
		free((void *)s->group_sizes);
		free((void *)s->gain.at);
		free((void *)s->value.at);
		free((void *)s->matrix);
		*s = (struct stage_spec){ .kind = s->kind };
	}
}

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
