/* SPDX-License-Identifier: BSD-3-Clause
 *
 * eval: an array expression over .npy files and numbers. kernels: what the daemon keeps compiled.
 */
#include "clients/cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NAMES = 64, SHOWN = 6 };

struct variables {
	struct spiked_array arrays[MAX_NAMES];
	char labels[MAX_NAMES][8];
	double numbers[MAX_NAMES];
	long long integers[MAX_NAMES];
	void *files[MAX_NAMES];
	json_t *names, *weak;
	size_t n;
};

static void free_variables(struct variables *v)
{
	for (size_t i = 0; i < v->n; i++)
		free(v->files[i]);
	json_decref(v->names);
	json_decref(v->weak);
}

/* A number is as weak as one written in the expression. */
static bool take_number(struct variables *v, const char *text)
{
	struct spiked_array *a = &v->arrays[v->n];
	char *end;
	v->integers[v->n] = strtoll(text, &end, 10);
	bool integer = end != text && !*end;
	if (!integer)
		v->numbers[v->n] = strtod(text, &end);
	if (end == text || *end)
		return false;
	*a = (struct spiked_array){ .dtype = integer ? "<i8" : "<f8", .data = integer ? (void *)&v->integers[v->n] : (void *)&v->numbers[v->n], .nbytes = 8 };
	json_array_append_new(v->weak, json_integer((json_int_t)v->n));
	return true;
}

static bool take_variable(struct variables *v, const char *argument)
{
	const char *equals = strchr(argument, '=');
	if (!equals || equals == argument || v->n == MAX_NAMES) {
		fprintf(stderr, "spikectl: %s: expected NAME=NUMBER or NAME=FILE.npy (at most %d)\n", argument, MAX_NAMES);
		return false;
	}
	if (!take_number(v, equals + 1) && cli_read_npy(equals + 1, &v->arrays[v->n], &v->files[v->n]) != 0)
		return false;
	snprintf(v->labels[v->n], sizeof v->labels[0], "a%zu", v->n);
	v->arrays[v->n].name = v->labels[v->n];
	json_array_append_new(v->names, json_stringn(argument, (size_t)(equals - argument)));
	v->n++;
	return true;
}

static double element(const struct spiked_array *a, uint64_t i)
{
	const char *p = (const char *)a->data;
#define AS(text, type)                                       \
	if (strcmp(a->dtype, text) == 0) {                   \
		type value;                                  \
		memcpy(&value, p + i * sizeof value, sizeof value); \
		return (double)value;                        \
	}
	AS("|b1", uint8_t) AS("|i1", int8_t) AS("|u1", uint8_t) AS("<i2", int16_t) AS("<u2", uint16_t) AS("<i4", int32_t) AS("<u4", uint32_t)
	AS("<i8", int64_t) AS("<u8", uint64_t) AS("<f4", float) AS("<f8", double)
#undef AS
	return 0;
}

static void print_array(const struct spiked_array *a)
{
	uint64_t n = 1;
	bool number = a->dtype[1] != 'c' && strcmp(a->dtype, "<f2") != 0;
	for (unsigned k = 0; k < a->ndim; k++)
		n *= a->shape[k];
	printf("%s", a->dtype + (*a->dtype == '<' || *a->dtype == '|'));
	for (unsigned k = 0; k < a->ndim; k++)
		printf("%s%llu%s", k ? ", " : " (", (unsigned long long)a->shape[k], k + 1 == a->ndim ? ")" : "");
	for (uint64_t i = 0; number && i < n && i < SHOWN; i++)
		printf(" %.17g", element(a, i));
	puts(n > SHOWN ? " ..." : "");
}

static int show(const struct options *o, const struct spiked_reply *reply)
{
	const struct spiked_array *a = spiked_reply_array(reply, "r0");
	if (!a) {
		fprintf(stderr, "spikectl: the answer holds no result\n");
		return EXIT_FAILED;
	}
	if (o->output && cli_write_npy(o->output, a) != 0) {
		perror(o->output);
		return EXIT_FAILED;
	}
	if (o->json)
		printf("%s\n", spiked_reply_json(reply));
	else if (!o->output && a->ndim == 0 && a->dtype[1] != 'c')
		printf("%.17g\n", element(a, 0));
	else
		print_array(a);
	return EXIT_GOOD;
}

int verb_eval(struct spiked *sp, const struct options *o)
{
	struct variables v = { .names = json_array(), .weak = json_array() };
	struct spiked_reply *reply;
	int code = EXIT_GOOD;
	for (int i = 1; i < o->nfiles && !code; i++)
		if (!take_variable(&v, o->files[i]))
			code = EXIT_USAGE;
	if (!code) {
		json_t *params = json_pack("{s:s, s:O, s:O}", "expression", o->files[0], "names", v.names, "weak", v.weak);
		code = params ? cli_call_arrays(sp, o, "evaluate", params, v.arrays, v.n, &reply) : EXIT_USAGE;
		if (!params)
			fprintf(stderr, "spikectl: the expression is not UTF-8 text\n");
		else if (!code) {
			code = show(o, reply);
			spiked_reply_free(reply);
		}
	}
	free_variables(&v);
	return code;
}

void cli_print_kernels(const json_t *result)
{
	size_t i;
	json_t *k;
	printf("%-24s %-34s %8s %10s %-11s %8s\n", "name", "signature", "hits", "compile ms", "from", "bytes");
	json_array_foreach(json_object_get(result, "kernels"), i, k)
		printf("%-24.24s %-34.34s %8lld %10.1f %-11s %8lld\n", json_string_value(json_object_get(k, "name")),
		       json_string_value(json_object_get(k, "signature")), (long long)json_integer_value(json_object_get(k, "hits")),
		       (double)json_integer_value(json_object_get(k, "compile_ns")) / 1e6, json_string_value(json_object_get(k, "provenance")),
		       (long long)json_integer_value(json_object_get(k, "bytes")));
}
