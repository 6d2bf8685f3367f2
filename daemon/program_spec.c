/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/program_spec.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- constants --- */

/* A number that may stand as text: integers beyond 2^53, nan, inf, -inf. */
static bool read_real(const json_t *value, double *out)
{
	const char *text = json_string_value(value);
	*out = json_number_value(value);
	if (!text)
		return json_is_number(value);
	bool known = strcmp(text, "nan") == 0 || strcmp(text, "inf") == 0 || strcmp(text, "-inf") == 0;
	char *end;
	*out = strtod(text, &end);
	return known || (end != text && !*end && strspn(text, "+-0123456789") == strlen(text));
}

static bool read_integer(const json_t *value, enum dtype dtype, union kernel_scalar *out)
{
	const char *text = json_string_value(value);
	char *end = NULL;
	errno = 0;
	if (dtype == DTYPE_U64) {
		out->u = text ? strtoull(text, &end, 10) : (uint64_t)json_integer_value(value);
		return text ? end != text && !*end && !errno && text[0] != '-' : json_is_integer(value) && json_integer_value(value) >= 0;
	}
	out->i = text ? strtoll(text, &end, 10) : json_integer_value(value);
	bool whole = text ? end != text && !*end && !errno : json_is_integer(value);
	return whole && out->i >= dtype_min(dtype) && out->i <= dtype_max(dtype);
}

static bool read_complex(const json_t *value, double *re, double *im)
{
	*im = 0;
	if (!json_is_array(value))
		return read_real(value, re);
	return json_array_size(value) == 2 && read_real(json_array_get(value, 0), re) && read_real(json_array_get(value, 1), im);
}

static bool read_value(const json_t *value, enum dtype dtype, union kernel_scalar *out)
{
	double re, im;
	memset(out, 0, sizeof *out);
	if (dtype == DTYPE_BOOL) {
		out->i = json_is_true(value);
		return json_is_boolean(value);
	}
	if (dtype_is_integer(dtype))
		return read_integer(value, dtype, out);
	if (!read_complex(value, &re, &im) || (json_is_array(value) && !dtype_is_complex(dtype)))
		return false;
	if (dtype == DTYPE_F32)
		out->f32 = (float)re;
	else if (dtype == DTYPE_F64)
		out->f64 = re;
	else if (dtype == DTYPE_C64)
		out->c64 = __builtin_complex((float)re, (float)im);
	else
		out->c128 = __builtin_complex(re, im);
	return true;
}

/* --- globals --- */

static struct name name_of(const json_t *text)
{
	return (struct name){ json_string_value(text), json_string_length(text) };
}

static bool read_constant(const json_t *constant, struct global *g)
{
	const char *dtype = json_string_value(json_object_get(constant, "dtype"));
	enum dtype d = dtype ? dtype_from_name(dtype) : DTYPE_NONE;
	if (d == DTYPE_F16)
		d = DTYPE_F32;
	if (d == DTYPE_NONE || d == DTYPE_PEAK)
		return false;
	g->kind = GLOBAL_CONSTANT;
	g->type = (struct type){ d, json_is_true(json_object_get(constant, "weak")) };
	if (g->type.weak && d != DTYPE_I64 && d != DTYPE_F64 && d != DTYPE_C128)
		return false;
	return read_value(json_object_get(constant, "value"), d, &g->value);
}

static bool read_global(const json_t *object, struct global *g)
{
	const json_t *constant = json_object_get(object, "constant"), *library = json_object_get(object, "library");
	const json_t *argument = json_object_get(object, "argument");
	memset(g, 0, sizeof *g);
	g->name = name_of(json_object_get(object, "name"));
	if (!g->name.text || json_object_size(object) != 2)
		return false;
	if (constant)
		return read_constant(constant, g);
	g->kind = library ? GLOBAL_LIBRARY : GLOBAL_ARGUMENT;
	g->target = name_of(library);
	return library ? g->target.text != NULL : json_is_true(argument);
}

static void read_globals(struct program_spec *s, struct params *p, const json_t *list)
{
	size_t n = json_array_size(list);
	if (list && !json_is_array(list))
		params_fail(p, "globals", NULL, "must be a list");
	s->globals = calloc(n + 1, sizeof *s->globals);
	for (size_t i = 0; s->globals && i < n; i++)
		if (!read_global(json_array_get(list, i), &s->globals[i]))
			params_fail(p, "globals", "see SPEC.md 4.8", "item %zu is not a name with a constant, a library or an argument", i);
	s->source.globals = s->globals;
	s->source.nglobals = s->globals ? (uint32_t)n : 0;
}

/* --- the program --- */

static void read_names(struct program_spec *s, struct params *p)
{
	const json_t *list = params_list(p, "names");
	s->nnames = json_array_size(list);
	if (s->nnames > ARGUMENTS_MAX)
		params_fail(p, "names", NULL, "at most %d arguments", ARGUMENTS_MAX);
	s->names = calloc(s->nnames + 1, sizeof *s->names);
	for (size_t i = 0; s->names && i < s->nnames; i++) {
		s->names[i] = name_of(json_array_get(list, i));
		if (!s->names[i].nbytes)
			params_fail(p, "names", NULL, "name %zu is not a text", i);
	}
	s->source.names = s->names;
}

/* `from`: the request, or the registered source. */
static void read_source(struct program_spec *s, struct params *p, const json_t *from, const char *kernel)
{
	s->from = from;
	const json_t *text = json_object_get(from, "source"), *line = json_object_get(from, "line"), *file = json_object_get(from, "file");
	if (!json_is_string(text))
		params_fail(p, "source", NULL, "must be a string");
	bool counted = !line || (json_is_integer(line) && json_integer_value(line) >= 1 && json_integer_value(line) <= 1 << 24);
	if ((file && !json_is_string(file)) || !counted)
		params_fail(p, "file", NULL, "file must be a string, and line a number from 1 on");
	s->source.text = json_string_value(text);
	s->source.nbytes = json_string_length(text);
	s->source.file = json_string_value(file);
	s->source.first_line = line ? (uint32_t)json_integer_value(line) : 1;
	s->source.kernel = (struct name){ kernel, strlen(kernel) };
	read_globals(s, p, json_object_get(from, "globals"));
}

static void read_kernel(struct program_spec *s, struct params *p, const struct registry *r)
{
	const char *kernel = params_text(p, "kernel");
	s->keep_as = params_text(p, "register");
	params_text(p, "file");
	params_int(p, "line", 1, 1, 1 << 24);
	params_list(p, "globals");
	if (!kernel || !*kernel) {
		params_fail(p, "kernel", "see SPEC.md 4.8", "name an expression, a source with a kernel, a registered kernel, or an id");
		return;
	}
	if (params_text(p, "source")) {
		read_source(s, p, p->object, kernel);
		return;
	}
	json_t *kept = registry_find(r, kernel);
	if (s->keep_as)
		params_fail(p, "register", NULL, "is for a source that is sent");
	if (!kept) {
		if (!p->status)
			p->status = error_set(p->error, STATUS_NOT_FOUND, "kernel", "send its source, or ask kernels for those there are",
					      "no kernel is registered as %.60s", kernel);
		return;
	}
	s->kept = json_incref(kept);
	read_source(s, p, kept, json_string_value(json_object_get(kept, "kernel")));
}

static void read_expression(struct program_spec *s, struct params *p, const char *text)
{
	s->source.text = text;
	s->source.nbytes = strlen(text);
	s->source.expression = true;
	s->source.first_line = 1;
	read_names(s, p);
}

static void read_options(struct program_source *s, struct params *p)
{
	static const char *const accuracies[] = { "fast", "high", NULL }, *const models[] = { "python", "numpy", NULL };
	struct params o;
	params_init(&o, params_object(p, "options"), "options.", p->error);
	s->parallel = params_bool(&o, "parallel", s->expression);
	s->strict = params_bool(&o, "strict", false);
	s->assume_independent = params_bool(&o, "assume_independent", false);
	s->fastmath = params_bool(&o, "fastmath", false);
	s->accurate = params_word(&o, "accuracy", accuracies, 0) == 1;
	s->numpy_errors = params_word(&o, "error_model", models, s->expression) == 1;
	s->interpret = params_bool(&o, "interpret", false);
	enum status status = params_end(&o);
	if (status && !p->status)
		p->status = status;
}

void program_spec_parse(struct program_spec *s, struct params *p, const struct registry *r, bool with_id, size_t max_source)
{
	const char *expression = params_text(p, "expression");
	memset(s, 0, sizeof *s);
	s->source.casting = CASTING_SAFE;
	if (with_id)
		s->id = params_text(p, "id");
	if (s->id && (expression || params_has(p, "kernel") || params_has(p, "source")))
		params_fail(p, "id", NULL, "names a program by itself: leave expression, source and kernel out");
	if (s->id)
		return;
	if (expression && (params_has(p, "kernel") || params_has(p, "source")))
		params_fail(p, "expression", NULL, "is not for a kernel: leave source and kernel out");
	if (expression)
		read_expression(s, p, expression);
	else
		read_kernel(s, p, r);
	read_options(&s->source, p);
	if (s->source.nbytes > max_source && !p->status) {
		p->status = error_set(p->error, STATUS_TOO_LARGE, expression ? "expression" : "source", "raise compiler.source_bytes",
				      "the text has %zu bytes", s->source.nbytes);
		p->error->limit = (long long)max_source;
	}
	if (s->keep_as && !p->status)
		p->status = registry_check(r, s->keep_as, s->source.nbytes, p->error);
}

enum status program_spec_arguments(struct program_spec *s, const struct argument *args, size_t n, bool out, struct error *e)
{
	struct program_source *source = &s->source;
	source->args = args;
	source->out = out;
	if (source->expression) {
		source->nargs = (uint32_t)n;
		if (n - out == s->nnames)
			return STATUS_OK;
		return error_set(e, STATUS_INVALID, "names", "name each argument", "%zu names, but %zu arguments", s->nnames, n - out);
	}
	for (uint32_t i = 0; i < source->nglobals; i++)
		source->nextra += s->globals[i].kind == GLOBAL_ARGUMENT;
	if (source->nextra > n)
		return error_set(e, STATUS_INVALID, "globals", "send the arrays of globals behind the arguments",
				 "%u globals are arguments, but there are only %zu arrays", source->nextra, n);
	source->nargs = (uint32_t)n - source->nextra;
	uint32_t number = source->nargs;
	for (uint32_t i = 0; i < source->nglobals; i++)
		if (s->globals[i].kind == GLOBAL_ARGUMENT)
			s->globals[i].argument = number++;
	return STATUS_OK;
}

void program_spec_register(const struct program_spec *s, struct registry *r)
{
	static const char *const keys[] = { "source", "file", "line", "globals" };
	if (!s->keep_as)
		return;
	json_t *kept = json_pack("{s:s%}", "kernel", s->source.kernel.text, s->source.kernel.nbytes);
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (json_object_get(s->from, keys[i]))
			json_object_set(kept, keys[i], json_object_get(s->from, keys[i]));
	registry_put(r, s->keep_as, kept);
}

void program_spec_fini(struct program_spec *s)
{
	free(s->names);
	free(s->globals);
	json_decref(s->kept);
}
