/* SPDX-License-Identifier: BSD-3-Clause */
#include "clients/cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* The result object of a reply; decref'ed by the caller. */
static json_t *result_of(const struct spiked_reply *reply)
{
	json_t *header = json_loads(spiked_reply_json(reply), 0, NULL);
	json_t *result = json_incref(json_object_get(header, "result"));
	json_decref(header);
	return result;
}

int verb_ping(struct spiked *sp, const struct options *o)
{
	struct spiked_reply *reply;
	double start = now_us();
	int code = cli_call(sp, o, "ping", json_object(), &reply);
	double connected = now_us();
	if (code)
		return code;
	spiked_reply_free(reply);
	/* The first call includes connecting. */
	code = cli_call(sp, o, "ping", json_object(), &reply);
	if (code)
		return code;
	double again = now_us();
	if (o->json)
		printf("{\"url\": \"%s\", \"first_us\": %.1f, \"round_trip_us\": %.1f}\n", spiked_url(sp), connected - start, again - connected);
	else
		printf("%s answers in %.0f us\n", spiked_url(sp), again - connected);
	spiked_reply_free(reply);
	return EXIT_GOOD;
}

static void print_value(const char *key, const json_t *value)
{
	char *text = json_is_string(value) ? strdup(json_string_value(value)) : json_dumps(value, JSON_ENCODE_ANY);
	printf("%-12s %s\n", key, text ? text : "");
	free(text);
}

static void print_info(const json_t *result)
{
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)result, key, value)
		print_value(key, value);
}

static double per_call_us(const json_t *row, const char *key)
{
	double count = json_number_value(json_object_get(row, "count"));
	return count > 0 ? json_number_value(json_object_get(row, key)) / count / 1e3 : 0;
}

static void print_stats(const json_t *result)
{
	const char *name;
	json_t *row;
	printf("%-10s %10s %8s %12s %12s %12s %12s\n", "operation", "count", "errors", "queue us", "read us", "compute us", "total us");
	json_object_foreach(json_object_get(result, "operations"), name, row) {
		if (json_integer_value(json_object_get(row, "count")) == 0)
			continue;
		printf("%-10s %10lld %8lld %12.1f %12.1f %12.1f %12.1f\n", name, (long long)json_integer_value(json_object_get(row, "count")),
		       (long long)json_integer_value(json_object_get(row, "errors")), per_call_us(row, "queue_ns"), per_call_us(row, "read_ns"),
		       per_call_us(row, "compute_ns"), per_call_us(row, "total_ns"));
	}
	static const char *const keys[] = { "clients", "queued", "running", "bytes_in_flight" };
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		printf("%s%s %lld", i ? ", " : "", keys[i], (long long)json_integer_value(json_object_get(result, keys[i])));
	putchar('\n');
}

/* Asks `op` without parameters and shows its result: as JSON, or by `print`. */
static int show(struct spiked *sp, const struct options *o, const char *op, void (*print)(const json_t *result))
{
	struct spiked_reply *reply;
	int code = cli_call(sp, o, op, json_object(), &reply);
	if (code)
		return code;
	json_t *result = result_of(reply);
	if (o->json) {
		json_dumpf(result, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		print(result);
	}
	json_decref(result);
	spiked_reply_free(reply);
	return EXIT_GOOD;
}

int verb_info(struct spiked *sp, const struct options *o)
{
	return show(sp, o, "info", print_info);
}

int verb_stats(struct spiked *sp, const struct options *o)
{
	return show(sp, o, "stats", print_stats);
}

int verb_kernels(struct spiked *sp, const struct options *o)
{
	return show(sp, o, "kernels", cli_print_kernels);
}
