/* SPDX-License-Identifier: BSD-3-Clause */
#include "clients/cli/cli.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *cli_absolute(const char *path)
{
	char *out = realpath(path, NULL);
	char here[PATH_MAX];
	if (out)
		return out;
	if (path[0] == '/')
		return strdup(path);
	if (!getcwd(here, sizeof here) || asprintf(&out, "%s/%s", here, path) < 0)
		return NULL;
	return out;
}

bool cli_name_file(json_t *params, const struct options *o, const char *file)
{
	char *path = cli_absolute(file);
	json_t *text = path ? json_string(path) : NULL;
	free(path);
	if (!text) {
		fprintf(stderr, "spikectl: %s: the path is not UTF-8 text\n", file);
		return false;
	}
	json_object_set_new(params, "file", text);
	if (o->recording)
		json_object_set_new(params, "recording", json_string(o->recording));
	if (o->dataset)
		json_object_set_new(params, "dataset", json_string(o->dataset));
	if (o->fs_hz > 0)
		json_object_set_new(params, "sampling_frequency", json_real(o->fs_hz));
	if (o->time_axis)
		json_object_set_new(params, "time_axis", json_integer(o->time_axis));
	if (o->start >= 0)
		json_object_set_new(params, "start", json_integer(o->start));
	if (o->stop >= 0)
		json_object_set_new(params, "stop", json_integer(o->stop));
	return true;
}

static bool add_bandpass(json_t *stages, const struct options *o)
{
	double low, high;
	char rest;
	if (!o->bandpass || strcmp(o->bandpass, "none") == 0)
		return true;
	if (sscanf(o->bandpass, "%lf,%lf%c", &low, &high, &rest) != 2) {
		fprintf(stderr, "spikectl: --bandpass %s: expected LOW,HIGH in Hz\n", o->bandpass);
		return false;
	}
	json_array_append_new(stages, json_pack("{s:s, s:f, s:f, s:b}", "stage", "bandpass", "freq_min", low, "freq_max", high, "zero_phase", !o->causal));
	return true;
}

static bool add_highpass(json_t *stages, const struct options *o)
{
	double low;
	char rest;
	if (!o->highpass)
		return true;
	if (sscanf(o->highpass, "%lf%c", &low, &rest) != 1) {
		fprintf(stderr, "spikectl: --highpass %s: expected LOW in Hz\n", o->highpass);
		return false;
	}
	json_array_append_new(stages, json_pack("{s:s, s:f, s:b}", "stage", "highpass", "freq_min", low, "zero_phase", !o->causal));
	return true;
}

bool cli_preprocess(json_t *params, const struct options *o)
{
	json_t *stages = json_array();
	json_object_set_new(params, "preprocess", stages);
	if (!add_bandpass(stages, o))
		return false;
	if (!add_highpass(stages, o))
		return false;
	if (o->reference && strcmp(o->reference, "none") != 0)
		json_array_append_new(stages, json_pack("{s:s, s:s}", "stage", "common_reference", "operator", o->reference));
	return true;
}

static void add_word(json_t *params, const char *key, const char *value)
{
	if (value)
		json_object_set_new(params, key, json_string(value));
}

static void add_number(json_t *params, const char *key, double value)
{
	if (!isnan(value))
		json_object_set_new(params, key, json_real(value));
}

bool cli_detection(json_t *params, const struct options *given)
{
	/* What most recordings want, unless the user says otherwise. */
	struct options o = *given;
	if (!o.bandpass && !o.highpass)
		o.bandpass = "300,6000";
	if (!o.reference)
		o.reference = "median";
	json_object_set_new(params, "peak_sign", json_string(o.sign));
	json_object_set_new(params, "detect_threshold", json_real(o.threshold));
	json_object_set_new(params, "exclude_sweep_ms", json_real(o.sweep_ms));
	json_object_set_new(params, "seed", json_integer(o.seed));
	add_word(params, "method", o.method);
	add_word(params, "threshold_unit", o.unit);
	add_word(params, "noise_method", o.noise);
	add_word(params, "compat", o.compat);
	add_number(params, "radius_um", o.radius_um);
	add_number(params, "max_threshold", o.max_threshold);
	add_number(params, "dead_time_ms", o.dead_time_ms);
	add_number(params, "max_rate", o.max_rate);
	return cli_preprocess(params, &o);
}

int cli_call(struct spiked *sp, const struct options *o, const char *op, json_t *params, struct spiked_reply **reply)
{
	return cli_call_arrays(sp, o, op, params, NULL, 0, reply);
}

int cli_call_arrays(struct spiked *sp, const struct options *o, const char *op, json_t *params, const struct spiked_array *arrays, size_t narrays,
		    struct spiked_reply **reply)
{
	char *text = json_dumps(params, JSON_COMPACT);
	json_decref(params);
	int status = spiked_call(sp, op, text, arrays, narrays, reply);
	free(text);
	if (status == SPIKED_OK)
		return EXIT_GOOD;
	if (*reply && o->json)
		printf("%s\n", spiked_reply_json(*reply));
	else if (*reply)
		fprintf(stderr, "spikectl: %s: %s%s%s\n", spiked_reply_status_name(*reply), spiked_reply_error(*reply),
			*spiked_reply_hint(*reply) ? "\n  hint: " : "", spiked_reply_hint(*reply));
	spiked_reply_free(*reply);
	*reply = NULL;
	return status == SPIKED_NO_DAEMON || status == SPIKED_TIMEOUT ? EXIT_NO_DAEMON : EXIT_FAILED;
}
