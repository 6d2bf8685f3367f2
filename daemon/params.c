/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/params.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void params_init(struct params *p, const json_t *object, const char *prefix, struct error *e)
{
	*p = (struct params){ .object = object, .prefix = prefix, .error = e };
}

enum status params_fail(struct params *p, const char *key, const char *hint, const char *format, ...)
{
	if (p->status)
		return p->status;
	char message[256], field[64];
	va_list ap;
	va_start(ap, format);
	vsnprintf(message, sizeof message, format, ap);
	va_end(ap);
	snprintf(field, sizeof field, "%s%s", p->prefix, key);
	return p->status = error_set(p->error, STATUS_INVALID, field, hint, "%s: %s", field, message);
}

bool params_has(const struct params *p, const char *key)
{
	const json_t *value = json_object_get(p->object, key);
	return value && !json_is_null(value);
}

static const json_t *get(struct params *p, const char *key)
{
	if (p->nseen < PARAMS_MAX)
		p->seen[p->nseen++] = key;
	return params_has(p, key) ? json_object_get(p->object, key) : NULL;
}

const char *params_text(struct params *p, const char *key)
{
	const json_t *value = get(p, key);
	if (value && !json_is_string(value))
		params_fail(p, key, NULL, "must be a string");
	return json_string_value(value);
}

bool params_bool(struct params *p, const char *key, bool fallback)
{
	const json_t *value = get(p, key);
	if (value && !json_is_boolean(value))
		params_fail(p, key, NULL, "must be true or false");
	return value ? json_is_true(value) : fallback;
}

int64_t params_int(struct params *p, const char *key, int64_t fallback, int64_t min, int64_t max)
{
	const json_t *value = get(p, key);
	if (!value)
		return fallback;
	/* MATLAB and JavaScript write 3 as 3.0. */
	double real = json_number_value(value);
	bool whole = json_is_integer(value) || (json_is_real(value) && fabs(real) <= 9007199254740992.0 && real == floor(real));
	int64_t number = json_is_integer(value) ? json_integer_value(value) : whole ? (int64_t)real : 0;
	if (whole && number >= min && number <= max)
		return number;
	params_fail(p, key, NULL, "must be an integer from %lld to %lld", (long long)min, (long long)max);
	return fallback;
}

double params_real(struct params *p, const char *key, double fallback, double min, bool open_min, double max)
{
	const json_t *value = get(p, key);
	if (!value)
		return fallback;
	double number = json_number_value(value);
	if (json_is_number(value) && isfinite(number) && (open_min ? number > min : number >= min) && number <= max)
		return number;
	char range[96] = "";
	if (isfinite(min) && isfinite(max))
		snprintf(range, sizeof range, " %s %g and at most %g", open_min ? "above" : "of at least", min, max);
	else if (isfinite(min))
		snprintf(range, sizeof range, " %s %g", open_min ? "above" : "of at least", min);
	params_fail(p, key, NULL, "must be a finite number%s", range);
	return fallback;
}

const json_t *params_list(struct params *p, const char *key)
{
	const json_t *value = get(p, key);
	if (value && !json_is_array(value))
		params_fail(p, key, NULL, "must be a list");
	return json_is_array(value) ? value : NULL;
}

const json_t *params_object(struct params *p, const char *key)
{
	const json_t *value = get(p, key);
	if (value && !json_is_object(value))
		params_fail(p, key, NULL, "must be an object");
	return json_is_object(value) ? value : NULL;
}

const json_t *params_any(struct params *p, const char *key)
{
	return get(p, key);
}

int params_word(struct params *p, const char *key, const char *const *words, int fallback)
{
	const char *text = params_text(p, key);
	char list[256] = "";
	if (!text)
		return fallback;
	for (int i = 0; words[i]; i++) {
		if (strcmp(words[i], text) == 0)
			return i;
		size_t n = strlen(list);
		snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "", words[i]);
	}
	params_fail(p, key, NULL, "%.40s is not one of: %s", text, list);
	return fallback;
}

enum status params_end(struct params *p)
{
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)p->object, key, value) {
		bool found = strncmp(key, "x_", 2) == 0;
		for (size_t i = 0; i < p->nseen && !found; i++)
			found = strcmp(p->seen[i], key) == 0;
		if (!found)
			params_fail(p, key, "see protocol/SPEC.md, section 4", "there is no such parameter here");
	}
	return p->status;
}
