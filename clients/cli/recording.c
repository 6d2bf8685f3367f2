/* SPDX-License-Identifier: BSD-3-Clause */
#include "clients/cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static json_t *header_of(const struct spiked_reply *reply)
{
	return json_loads(spiked_reply_json(reply), 0, NULL);
}

static void print_warnings(const json_t *header)
{
	size_t i;
	json_t *text;
	json_array_foreach(json_object_get(header, "warnings"), i, text)
		fprintf(stderr, "spikectl: note: %s\n", json_string_value(text));
}

int verb_open(struct spiked *sp, const struct options *o)
{
	struct spiked_reply *reply;
	json_t *params = json_object();
	if (!cli_name_file(params, o, o->files[0])) {
		json_decref(params);
		return EXIT_USAGE;
	}
	int code = cli_call(sp, o, "open", params, &reply);
	if (code)
		return code;
	json_t *header = header_of(reply), *result = json_object_get(header, "result");
	if (o->json) {
		json_dumpf(result, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		double fs = json_number_value(json_object_get(result, "sampling_frequency"));
		long long n = json_integer_value(json_object_get(result, "num_samples"));
		printf("layout       %s, %s\n", json_string_value(json_object_get(result, "layout")), json_string_value(json_object_get(result, "recording")));
		printf("channels     %lld\n", (long long)json_integer_value(json_object_get(result, "num_channels")));
		printf("frames       %lld (%.3f s at %.10g Hz)\n", n, (double)n / fs, fs);
		printf("segments     %zu\n", json_array_size(json_object_get(result, "segments")));
		printf("dtype        %s, %s\n", json_string_value(json_object_get(result, "dtype")), json_string_value(json_object_get(result, "unit")));
		printf("storage      %s\n", json_string_value(json_object_get(result, "storage")));
	}
	print_warnings(header);
	json_decref(header);
	spiked_reply_free(reply);
	return EXIT_GOOD;
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);
	return n >= m && strcasecmp(text + n - m, end) == 0;
}

static bool set_output(json_t *params, const char *path)
{
	char *absolute = cli_absolute(path);
	json_t *output = absolute ? json_pack("{s:s}", "file", absolute) : NULL;
	free(absolute);
	if (output)
		json_object_set_new(params, "output", output);
	return output != NULL;
}

static void summarise(const struct spiked_reply *reply, json_t *header, double seconds)
{
	json_t *result = json_object_get(header, "result"), *count;
	const struct spiked_array *levels = spiked_reply_array(reply, "noise_levels");
	const char *rule;
	printf("%lld peaks", (long long)json_integer_value(json_object_get(result, "num_peaks")));
	if (levels)
		printf(" on %llu channels", (unsigned long long)levels->shape[0]);
	printf(" in %.3f s\n", seconds);
	json_object_foreach(json_object_get(result, "dropped"), rule, count)
		if (json_integer_value(count) > 0)
			printf("%lld dropped by %s\n", (long long)json_integer_value(count), rule);
}

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int verb_detect(struct spiked *sp, const struct options *o)
{
	struct spiked_reply *reply;
	json_t *params = json_object();
	bool npy = o->output && ends_with(o->output, ".npy"), nwb = o->output && ends_with(o->output, ".nwb");
	if (o->output && !npy && !nwb) {
		fprintf(stderr, "spikectl: -o %s: expected a name that ends in .npy or .nwb\n", o->output);
		json_decref(params);
		return EXIT_USAGE;
	}
	if (!cli_name_file(params, o, o->files[0]) || !cli_detection(params, o) || (nwb && !set_output(params, o->output))) {
		json_decref(params);
		return EXIT_USAGE;
	}
	double start = now_s();
	int code = cli_call(sp, o, "detect", params, &reply);
	if (code)
		return code;
	json_t *header = header_of(reply);
	if (npy && cli_write_npy(o->output, spiked_reply_array(reply, "peaks")) != 0) {
		fprintf(stderr, "spikectl: cannot write %s: %s\n", o->output, strerror(errno));
		code = EXIT_FAILED;
	} else if (o->json) {
		printf("%s\n", spiked_reply_json(reply));
	} else {
		summarise(reply, header, now_s() - start);
	}
	print_warnings(header);
	json_decref(header);
	spiked_reply_free(reply);
	return code;
}

static json_t *split_names(const char *text)
{
	json_t *list = json_array();
	while (text && *text) {
		size_t n = strcspn(text, ",");
		json_array_append_new(list, json_stringn(text, n));
		text += n + (text[n] == ',');
	}
	return list;
}

static void print_columns(const struct spiked_reply *reply)
{
	size_t n = spiked_reply_narrays(reply);
	if (!n)
		return;
	printf("channel");
	for (size_t i = 0; i < n; i++)
		printf("\t%s", spiked_reply_array_at(reply, i)->name);
	putchar('\n');
	for (uint64_t c = 0; c < spiked_reply_array_at(reply, 0)->shape[0]; c++) {
		printf("%llu", (unsigned long long)c);
		for (size_t i = 0; i < n; i++) {
			const struct spiked_array *a = spiked_reply_array_at(reply, i);
			if (strcmp(a->dtype, "<i8") == 0)
				printf("\t%lld", (long long)((const int64_t *)a->data)[c]);
			else
				printf("\t%.9g", ((const double *)a->data)[c]);
		}
		putchar('\n');
	}
}

static void print_columns_json(const struct spiked_reply *reply)
{
	json_t *object = json_object();
	for (size_t i = 0; i < spiked_reply_narrays(reply); i++) {
		const struct spiked_array *a = spiked_reply_array_at(reply, i);
		json_t *list = json_array();
		for (uint64_t c = 0; c < a->shape[0]; c++) {
			double value = strcmp(a->dtype, "<i8") == 0 ? (double)((const int64_t *)a->data)[c] : ((const double *)a->data)[c];
			json_t *number = json_real(value); /* NULL for NaN, which JSON cannot write */
			json_array_append_new(list, number ? number : json_null());
		}
		json_object_set_new(object, a->name, list);
	}
	json_dumpf(object, stdout, 0);
	putchar('\n');
	json_decref(object);
}

int verb_reduce(struct spiked *sp, const struct options *o)
{
	struct spiked_reply *reply;
	json_t *params = json_object();
	json_object_set_new(params, "operations", split_names(o->operations ? o->operations : "mean,std,rms,min,max"));
	if (o->has_threshold)
		json_object_set_new(params, "threshold", json_real(o->threshold));
	if (!cli_name_file(params, o, o->files[0]) || !cli_preprocess(params, o)) {
		json_decref(params);
		return EXIT_USAGE;
	}
	int code = cli_call(sp, o, "reduce", params, &reply);
	if (code)
		return code;
	if (o->json)
		print_columns_json(reply);
	else
		print_columns(reply);
	spiked_reply_free(reply);
	return EXIT_GOOD;
}
