/* SPDX-License-Identifier: BSD-3-Clause
 *
 * batch: one idempotent request a file. The state of a batch is its result files: each is written under a temporary name, synced and renamed by
 * the daemon, and holds what made it; so running the same command again skips what is done and true, whatever ended the last run.
 */
#include "clients/cli/cli.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct tally {
	int done, skipped, failed, total;
	long long peaks;
	double start_s;
};

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void show_progress(const struct tally *t, const char *file)
{
	enum { WIDTH = 30 };
	char bar[WIDTH + 1];
	int finished = t->done + t->skipped + t->failed, filled = finished * WIDTH / t->total;
	double used = now_s() - t->start_s;
	if (!isatty(STDERR_FILENO))
		return;
	memset(bar, '.', WIDTH);
	memset(bar, '#', (size_t)filled);
	bar[WIDTH] = '\0';
	fprintf(stderr, "\r\033[K[%s] %d/%d", bar, finished, t->total);
	if (finished && finished < t->total)
		fprintf(stderr, " %.0f s left", used / finished * (t->total - finished));
	if (file)
		fprintf(stderr, "  %.60s", file);
	if (finished == t->total)
		fputc('\n', stderr);
	fflush(stderr);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

/* DIR/NAME.spiked.nwb for .../NAME.ext. */
static char *result_path(const char *directory, const char *file)
{
	const char *name = base_name(file), *dot = strrchr(name, '.');
	int n = dot && dot != name ? (int)(dot - name) : (int)strlen(name);
	char *path, *absolute = cli_absolute(directory);
	if (!absolute || asprintf(&path, "%s/%.*s.spiked.nwb", absolute, n, name) < 0)
		path = NULL;
	free(absolute);
	return path;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* O(n log n): thousands of files are common. */
static bool names_collide(const struct options *o)
{
	char **paths = calloc((size_t)o->nfiles, sizeof *paths);
	bool same = !paths;
	int n = 0;
	while (paths && n < o->nfiles && (paths[n] = result_path(o->output, o->files[n])))
		n++;
	if (paths)
		qsort(paths, (size_t)n, sizeof *paths, by_text);
	for (int i = 1; i < n && !same; i++)
		if ((same = strcmp(paths[i - 1], paths[i]) == 0))
			fprintf(stderr, "spikectl: two of the files would give the same result file %s\n", paths[i]);
	while (n)
		free(paths[--n]);
	free(paths);
	return same;
}

static json_t *params_for(const struct options *o, const char *file)
{
	char *path = result_path(o->output, file);
	json_t *params = json_object(), *output = path ? json_pack("{s:s, s:b}", "file", path, "skip_done", 1) : NULL;
	free(path);
	if (output)
		json_object_set_new(params, "output", output);
	if (output && cli_name_file(params, o, file) && cli_detection(params, o))
		return params;
	json_decref(params);
	return NULL;
}

static void report(const struct options *o, const char *file, const char *state, const char *text, const char *hint, long long peaks)
{
	if (o->json) {
		json_t *line = json_pack("{s:s, s:s, s:I, s:s, s:s}", "file", file, "state", state, "peaks", (json_int_t)peaks, "error", text, "hint", hint);
		json_dumpf(line, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(line);
	} else if (*text) {
		fprintf(stderr, "%s%s: %s: %s%s%s\n", isatty(STDERR_FILENO) ? "\r\033[K" : "", file, state, text, *hint ? "; " : "", hint);
	} else {
		printf("%s%s: %s, %lld peaks\n", isatty(STDERR_FILENO) ? "\r\033[K" : "", file, state, peaks);
	}
	fflush(stdout);
}

/* Asks again while the daemon is BUSY: a batch has time. */
static int detect(struct spiked *sp, const char *params, struct spiked_reply **reply)
{
	const struct timespec pause = { 0, 200 * 1000 * 1000 };
	for (;;) {
		int status = spiked_call(sp, "detect", params, NULL, 0, reply);
		if (status != SPIKED_BUSY || cli_interrupted)
			return status;
		spiked_reply_free(*reply);
		nanosleep(&pause, NULL);
	}
}

/* SPIKED_OK or why not. */
static int run_one(struct spiked *sp, const struct options *o, const char *file, struct tally *t)
{
	json_t *params = params_for(o, file);
	if (!params) {
		t->failed++;
		return SPIKED_INVALID;
	}
	struct spiked_reply *reply;
	char *text = json_dumps(params, JSON_COMPACT);
	json_decref(params);
	int status = detect(sp, text, &reply);
	free(text);
	if (cli_interrupted) {
		spiked_reply_free(reply);
		return SPIKED_CANCELLED;
	}
	if (status != SPIKED_OK) {
		t->failed++;
		report(o, file, "failed", reply ? spiked_reply_error(reply) : "out of memory", reply ? spiked_reply_hint(reply) : "", 0);
	} else {
		json_t *header = json_loads(spiked_reply_json(reply), 0, NULL), *result = json_object_get(header, "result");
		bool skipped = json_is_true(json_object_get(result, "skipped"));
		long long peaks = json_integer_value(json_object_get(result, "num_peaks"));
		*(skipped ? &t->skipped : &t->done) += 1;
		t->peaks += peaks;
		report(o, file, skipped ? "skipped" : "done", "", "", peaks);
		json_decref(header);
	}
	spiked_reply_free(reply);
	return status;
}

static int make_directory(const char *path)
{
	if (mkdir(path, 0777) == 0 || errno == EEXIST)
		return 0;
	fprintf(stderr, "spikectl: cannot make %s: %s\n", path, strerror(errno));
	return -1;
}

int verb_batch(struct spiked *sp, const struct options *o)
{
	struct tally t = { .total = o->nfiles, .start_s = now_s() };
	int status = SPIKED_OK;
	if (!o->output) {
		fprintf(stderr, "spikectl: batch needs -o DIR\n");
		return EXIT_USAGE;
	}
	if (names_collide(o) || make_directory(o->output) != 0)
		return EXIT_USAGE;
	spiked_set_class(sp, "batch");
	for (int i = 0; i < o->nfiles && !cli_interrupted; i++) {
		show_progress(&t, o->files[i]);
		status = run_one(sp, o, o->files[i], &t);
		if (status == SPIKED_NO_DAEMON || status == SPIKED_TIMEOUT || status == SPIKED_UNAVAILABLE)
			break;
	}
	show_progress(&t, NULL);
	if (!o->json)
		printf("%d files: %d done, %d skipped, %d failed; %lld peaks in %.1f s%s\n", t.total, t.done, t.skipped, t.failed, t.peaks,
		       now_s() - t.start_s, cli_interrupted ? "; interrupted, run the same command to go on" : "");
	if (cli_interrupted)
		return EXIT_INTERRUPTED;
	return status == SPIKED_NO_DAEMON || status == SPIKED_UNAVAILABLE ? EXIT_NO_DAEMON : t.failed || t.done + t.skipped < t.total ? EXIT_FAILED : EXIT_GOOD;
}
