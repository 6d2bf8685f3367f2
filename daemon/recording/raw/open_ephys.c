/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Open Ephys structure.oebin: JSON with a list "continuous", one entry for each data file continuous/FOLDER_NAME/continuous.dat:
 *
 *   {"folder_name", "sample_rate", "num_channels", "channels": [{"channel_name", "bit_volts", "units"}, ...]}
 *
 * bit_volts is the worth of a count in `units`: "uV", or "V" for auxiliary inputs; where units are missing, microvolts, for ADC channels volts.
 * Channels of one file that are no electrodes, ADC and SYNC, are streams of their own.
 */
#include "daemon/recording/raw/raw.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum part { PART_NEURAL, PART_ADC, PART_SYNC, NPARTS };

struct entry {
	const json_t *json, *channels;
	char folder[256];
	double fs_hz;
	size_t n;
};

static enum status wrong(struct error *e, size_t i, const char *what)
{
	return error_set(e, STATUS_CORRUPT, "file", "copy structure.oebin again from its source", "continuous[%zu] of structure.oebin: %s", i, what);
}

/* A path below continuous/, without a way out of it. */
static bool take_folder(const json_t *value, char *out, size_t nout)
{
	const char *text = json_string_value(value);
	size_t n = text ? strlen(text) : 0;
	while (n && text[n - 1] == '/')
		n--;
	if (!n || n >= nout || text[0] == '/' || strlen(text) != json_string_length(value))
		return false;
	memcpy(out, text, n);
	out[n] = '\0';
	for (const char *p = out; *p; p++)
		if (p[0] == '.' && p[1] == '.' && (p[2] == '/' || !p[2]) && (p == out || p[-1] == '/'))
			return false;
	return true;
}

static enum status take_entry(struct entry *x, const json_t *json, size_t i, struct error *e)
{
	const json_t *rate = json_object_get(json, "sample_rate"), *n = json_object_get(json, "num_channels");
	*x = (struct entry){ .json = json, .channels = json_object_get(json, "channels"), .fs_hz = json_number_value(rate) };
	x->n = json_array_size(x->channels);
	if (!take_folder(json_object_get(json, "folder_name"), x->folder, sizeof x->folder))
		return wrong(e, i, "folder_name is not the name of a folder below continuous");
	if (!json_is_number(rate) || !isfinite(x->fs_hz) || x->fs_hz <= 0 || x->fs_hz > 1e9)
		return wrong(e, i, "sample_rate is not a number above 0");
	if (x->n < 1 || x->n > RAW_MAX_CHANNELS || (n && (!json_is_integer(n) || json_integer_value(n) != (json_int_t)x->n)))
		return wrong(e, i, "num_channels is not the number of channels");
	return STATUS_OK;
}

static const char *name_of(const json_t *channel)
{
	const char *name = json_string_value(json_object_get(channel, "channel_name"));
	return name ? name : "";
}

static enum part part_of(const json_t *channel)
{
	return strstr(name_of(channel), "SYNC") ? PART_SYNC : strstr(name_of(channel), "ADC") ? PART_ADC : PART_NEURAL;
}

/* Microvolts of a count. */
static bool take_gain(const json_t *channel, double *gain, bool *has_uv)
{
	const json_t *volts = json_object_get(channel, "bit_volts");
	const char *units = json_string_value(json_object_get(channel, "units"));
	*gain = json_number_value(volts);
	if (!json_is_number(volts) || !isfinite(*gain))
		return false;
	if (units && strcmp(units, "mV") == 0)
		*gain *= 1e3;
	else if (units && units[0] ? strcmp(units, "V") == 0 : part_of(channel) == PART_ADC)
		*gain *= 1e6;
	else if (units && units[0] && strcmp(units, "uV") != 0 && strcmp(units, "\xc2\xb5V") != 0 && strcmp(units, "\xce\xbcV") != 0)
		*has_uv = false;
	return isfinite(*gain);
}

static enum status add_part(struct raw_side *side, const struct entry *x, enum part part, bool alone, size_t i, struct error *e)
{
	static const char *const suffixes[] = { "", "-ADC", "-SYNC" };
	size_t n = 0;
	for (size_t k = 0; k < x->n; k++)
		n += part_of(json_array_get(x->channels, k)) == part;
	if (!n)
		return STATUS_OK;
	struct raw_stream *s = raw_add_stream(side, n, e);
	if (!s)
		return e->status;
	snprintf(s->name, sizeof s->name, "%.240s%s", x->folder, alone ? "" : suffixes[part]);
	snprintf(s->folder, sizeof s->folder, "%s", x->folder);
	s->neural = part == PART_NEURAL && strncmp(x->folder, "NI-DAQ", 6) != 0;
	s->has_uv = part != PART_SYNC;
	s->fs_hz = x->fs_hz;
	s->nstored = x->n;
	n = 0;
	for (size_t k = 0; k < x->n; k++) {
		const json_t *channel = json_array_get(x->channels, k);
		if (part_of(channel) != part)
			continue;
		if (!name_of(channel)[0] || strlen(name_of(channel)) >= sizeof s->ids[n])
			return wrong(e, i, "a channel has no channel_name, or a very long one");
		if (!take_gain(channel, &s->gains_uv[n], &s->has_uv))
			return wrong(e, i, "bit_volts of a channel is not a number");
		if (part == PART_SYNC)
			s->gains_uv[n] = 1;
		strcpy(s->ids[n], name_of(channel));
		s->rows[n++] = k;
	}
	return STATUS_OK;
}

static enum status add_entry(struct raw_side *side, const json_t *json, size_t i, struct error *e)
{
	struct entry x;
	size_t counts[NPARTS] = { 0 };
	enum status status = take_entry(&x, json, i, e);
	for (size_t k = 0; k < x.n && !status; k++)
		counts[part_of(json_array_get(x.channels, k))]++;
	for (enum part part = 0; part < NPARTS && !status; part++)
		status = add_part(side, &x, part, counts[part] == x.n, i, e);
	return status;
}

enum status raw_open_ephys_parse(const char *text, size_t n, struct raw_side *side, struct error *e)
{
	json_error_t why;
	memset(side, 0, sizeof *side);
	json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
	const json_t *list = json_object_get(root, "continuous");
	enum status status = STATUS_OK;
	if (!root)
		status = error_set(e, STATUS_CORRUPT, "file", "copy structure.oebin again from its source", "structure.oebin is not JSON: line %d: %.100s", why.line,
				   why.text);
	else if (!json_is_array(list))
		status = error_set(e, STATUS_CORRUPT, "file", NULL, "the file is JSON, but has no list \"continuous\" as structure.oebin does");
	else if (!json_array_size(list))
		status = error_set(e, STATUS_NOT_FOUND, "file", "was recording of continuous data switched off?", "structure.oebin lists no continuous data");
	for (size_t i = 0; i < json_array_size(list) && !status; i++)
		status = add_entry(side, json_array_get(list, i), i, e);
	json_decref(root);
	return status;
}
