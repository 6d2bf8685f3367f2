/* SPDX-License-Identifier: BSD-3-Clause
 *
 * How fast recording_read is: bench_read.py makes the files, measures h5py in the same run, and calls this.
 *
 *   bench_read HELPER FILE REPEATS THREADS...     prints one line "THREADS BEST_MB_PER_S DIGEST" for each
 */
#include "daemon/recording/recording.h"

#include <fcntl.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void team_run(void *ctx, size_t n, void (*body)(void *arg, size_t i), void *arg)
{
	int threads = *(int *)ctx;
#pragma omp parallel for schedule(dynamic) num_threads(threads)
	for (size_t i = 0; i < n; i++)
		body(arg, i);
}

static double now_s(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

/* Reads everything in spans of at most 64 MiB. */
static double read_all(const struct recording *r, const struct executor *ex, const struct helper_limits *helper, void *buffer, size_t budget)
{
	struct error e;
	double start = now_s();
	size_t total = (size_t)r->segments[0].nframes, span = recording_span(r, total, budget);
	for (size_t at = 0; at < total; at += span) {
		size_t n = total - at < span ? total - at : span;
		if (recording_read(r, 0, (int64_t)at, n, ex, helper, NULL, buffer, &e) != STATUS_OK) {
			fprintf(stderr, "%s\n", e.message);
			exit(1);
		}
	}
	return now_s() - start;
}

int main(int argc, char **argv)
{
	if (argc < 5)
		return 2;
	struct recording *r;
	struct error e;
	const struct helper_limits helper = { argv[1], (size_t)512 << 20, 10000, NULL };
	const struct recording_name name = { .file = argv[2], .dataset = "/data", .fs_hz = 30000, .gain_uv = 1 };
	const size_t budget = (size_t)64 << 20;
	double start = now_s();
	if (recording_open(&r, &name, open(argv[2], O_RDONLY | O_CLOEXEC), &helper, &e) != STATUS_OK) {
		fprintf(stderr, "%s\n", e.message);
		return 1;
	}
	printf("open %.2f ms, %zu chunks\n", 1e3 * (now_s() - start), r->nchunks);
	double mb = 1e-6 * (double)r->segments[0].nframes * (double)r->nchannels * (double)dtype_size(r->dtype);
	void *buffer = malloc(budget);
	for (int i = 4; i < argc; i++) {
		int threads = atoi(argv[i]);
		const struct executor ex = { team_run, &threads, (size_t)threads };
		double best = 1e9;
		for (int k = 0; k < atoi(argv[3]); k++) {
			double t = read_all(r, &ex, &helper, buffer, budget);
			best = t < best ? t : best;
		}
		printf("%d thread%s %8.0f MB/s\n", threads, threads == 1 ? " " : "s", mb / best);
	}
	free(buffer);
	recording_unref(r);
	return 0;
}
