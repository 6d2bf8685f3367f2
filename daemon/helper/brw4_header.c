/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/helper/brw4.h"
#include "daemon/helper/fields.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <strings.h>

static const char settings[] = "/ExperimentSettings", info[] = "/ExperimentInfo", toc_path[] = "/TOC";
static const double pitch_um = 42; /* of plates without another one */

bool brw4_has_header(hid_t file)
{
	double rate;
	return field_exists(file, settings) || field_exists(file, info) || field_attr_number(file, "/", "SamplingRate", &rate);
}

/* A number at a.b.c, or `otherwise`. */
static double json_at(const json_t *object, const char *const *keys, double otherwise)
{
	for (; *keys; keys++)
		object = json_object_get(object, *keys);
	return json_is_number(object) ? json_number_value(object) : otherwise;
}

#define AT(object, otherwise, ...) json_at(object, (const char *const[]){ __VA_ARGS__, NULL }, otherwise)

/* CorePlate comes with 1, 6, 24, ... wells; the model says how many, if one is lucky ("CorePlate1W38/60"). */
static void take_model(const char *model, struct brw4_header *h)
{
	const bool core = strncasecmp(model, "CorePlate", 9) == 0;
	h->small_chips = core && strncasecmp(model + 9, "1W", 2) != 0;
	if (core || strncasecmp(model, "Accura", 6) == 0)
		h->pitch_um = 60;
	else if (strncasecmp(model, "Stimulo", 7) == 0)
		h->pitch_um = 81;
}

static void from_settings(const json_t *json, struct brw4_header *h)
{
	h->min_analog_uv = AT(json, NAN, "ValueConverter", "MinAnalogValue");
	h->max_analog_uv = AT(json, NAN, "ValueConverter", "MaxAnalogValue");
	h->min_digital = AT(json, NAN, "ValueConverter", "MinDigitalValue");
	h->max_digital = AT(json, NAN, "ValueConverter", "MaxDigitalValue");
	h->scale_factor = AT(json, 1, "ValueConverter", "ScaleFactor");
	h->rate_hz = AT(json, NAN, "TimeConverter", "FrameRate");
	const char *model = json_string_value(json_object_get(json_object_get(json, "MeaPlate"), "Model"));
	take_model(model ? model : "", h);
}

static void from_info(const json_t *json, struct brw4_header *h)
{
	const json_t *converter = json_object_get(json_object_get(json, "SignalConverter"), "DigitalToAnalogConverter");
	h->min_analog_uv = AT(converter, NAN, "MinAnalogValueMicroVolt");
	h->max_analog_uv = AT(converter, NAN, "MaxAnalogValueMicroVolt");
	h->min_digital = AT(converter, NAN, "MinDigitalValue");
	h->max_digital = AT(converter, NAN, "MaxDigitalValue");
	h->scale_factor = AT(converter, 1, "ScaleFactor");
	h->rate_hz = AT(json, NAN, "SignalConverter", "SampleToTimeConverter", "FrameRateHertz");
	take_model(json_object_get(json, "CorePlateData") ? "CorePlate" : "", h);
}

static void from_attributes(hid_t file, struct brw4_header *h)
{
	field_attr_number(file, "/", "MinAnalogValue", &h->min_analog_uv);
	field_attr_number(file, "/", "MaxAnalogValue", &h->max_analog_uv);
	field_attr_number(file, "/", "MinDigitalValue", &h->min_digital);
	field_attr_number(file, "/", "MaxDigitalValue", &h->max_digital);
	field_attr_number(file, "/", "ScaleFactor", &h->scale_factor);
	field_attr_number(file, "/", "SamplingRate", &h->rate_hz);
}

static enum status from_text(hid_t file, const char *path, void (*take)(const json_t *json, struct brw4_header *h), struct brw4_header *h,
			     struct error *e)
{
	char *text;
	json_error_t where;
	enum status status = field_long_text(file, path, &text, e);
	if (status)
		return status;
	json_t *json = json_loads(text, 0, &where);
	free(text);
	if (!json)
		return error_set(e, STATUS_CORRUPT, "file", NULL, "%s is not JSON: %.100s", path, where.text);
	take(json, h);
	json_decref(json);
	return STATUS_OK;
}

enum status brw4_header(hid_t file, struct brw4_header *h, struct error *e)
{
	enum status status = STATUS_OK;
	*h = (struct brw4_header){ NAN, NAN, NAN, NAN, 1, NAN, pitch_um, false };
	if (field_exists(file, settings))
		status = from_text(file, settings, from_settings, h, e);
	else if (field_exists(file, info))
		status = from_text(file, info, from_info, h, e);
	else
		from_attributes(file, h);
	if (!status && !(h->max_digital > h->min_digital && isfinite(h->max_analog_uv - h->min_analog_uv) && isfinite(h->scale_factor)))
		status = error_set(e, STATUS_CORRUPT, "file", NULL, "the scale is %g to %g uV for %g to %g, times %g", h->min_analog_uv, h->max_analog_uv,
				   h->min_digital, h->max_digital, h->scale_factor);
	return status;
}

enum status brw4_toc(hid_t file, struct brw4_toc *toc, struct error *e)
{
	int64_t *rows;
	*toc = (struct brw4_toc){ 0 };
	enum status status = field_table(file, toc_path, 2, &rows, &toc->n, e);
	if (status)
		return status;
	toc->range = (int64_t(*)[2])rows;
	for (size_t i = 0; i < toc->n; i++) {
		const int64_t start = rows[2 * i], end = rows[2 * i + 1];
		if (start < 0 || end <= start || end > INT64_C(1) << 53 || (i && start < rows[2 * i - 1]))
			return error_set(e, STATUS_CORRUPT, "file", NULL, "block %zu in %s has frames %lld to %lld", i, toc_path, (long long)start, (long long)end);
		toc->nframes += end - start;
	}
	return toc->n ? STATUS_OK : error_set(e, STATUS_CORRUPT, "file", NULL, "%s has no blocks", toc_path);
}
