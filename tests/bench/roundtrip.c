/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Round trips of small requests through libspiked: bench_roundtrip COUNT prints "ping_us MEDIAN P99" and "reduce_us MEDIAN P99".
 */
#include "clients/c/spiked.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static int measure(struct spiked *sp, const char *label, const char *op, const char *params, const struct spiked_array *array, int count, double *times)
{
	for (int i = 0; i < count; i++) {
		struct spiked_reply *reply;
		double start = now_us();
		int status = spiked_call(sp, op, params, array, array != NULL, &reply);
		times[i] = now_us() - start;
		if (status)
			fprintf(stderr, "%s: %s\n", label, spiked_reply_error(reply));
		spiked_reply_free(reply);
		if (status)
			return 1;
	}
	qsort(times, (size_t)count, sizeof *times, ascending);
	printf("%s %.1f %.1f\n", label, times[count / 2], times[count - 1 - count / 100]);
	return 0;
}

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 5000;
	double x[50] = { 0 }, *times = malloc((size_t)count * sizeof *times);
	struct spiked_array array = { "traces", "<f8", 1, { 50 }, x, sizeof x };
	struct spiked *sp;
	if (!times || spiked_connect(&sp, NULL, NULL) != SPIKED_OK) {
		fprintf(stderr, "%s\n", spiked_connect_error());
		return 1;
	}
	int failed = measure(sp, "ping_us", "ping", NULL, NULL, count, times) ||
		     measure(sp, "reduce_us", "reduce", "{\"operations\": [\"sum\"]}", &array, count, times);
	spiked_close(sp);
	free(times);
	return failed;
}
