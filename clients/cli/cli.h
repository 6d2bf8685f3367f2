/* SPDX-License-Identifier: BSD-3-Clause
 *
 * spikectl: one verb a file. A thin user of libspiked: what it can do, every client can do.
 */
#ifndef CLIENTS_CLI_CLI_H
#define CLIENTS_CLI_CLI_H

#include "clients/c/spiked.h"

#include <jansson.h>
#include <stdbool.h>

/* Exit codes. */
enum {
	EXIT_GOOD = 0,
	EXIT_FAILED = 1,       /* the daemon said no, or a batch has failed files */
	EXIT_USAGE = 2,
	EXIT_NO_DAEMON = 3,
	EXIT_INTERRUPTED = 130,
};

/* What all verbs share, from the command line. */
struct options {
	const char *url, *token;
	int timeout_ms;
	bool json;
	/* recording */
	const char *recording, *dataset;
	double fs_hz;
	int time_axis;
	/* detect, batch, reduce */
	const char *output;
	const char *sign;
	double threshold, sweep_ms;
	bool has_threshold;
	const char *method, *unit, *noise, *compat;                /* NULL: the daemon's default */
	double radius_um, max_threshold, dead_time_ms, max_rate;   /* NAN: the same */
	const char *detection_only;                                /* one of these eight that was given, or NULL */
	const char *bandpass;      /* "300,6000" or NULL */
	const char *highpass;      /* "300" or NULL */
	const char *reference;     /* median, average or NULL */
	bool causal;
	const char *operations;    /* "mean,std" */
	long long start, stop;     /* -1: not given */
	long long seed;
	char **files;
	int nfiles;
};

struct verb {
	const char *name;
	const char *arguments;
	const char *help;
	int (*run)(struct spiked *sp, const struct options *o);
	int min_files, max_files;
};

int verb_ping(struct spiked *sp, const struct options *o);
int verb_info(struct spiked *sp, const struct options *o);
int verb_stats(struct spiked *sp, const struct options *o);
int verb_open(struct spiked *sp, const struct options *o);
int verb_detect(struct spiked *sp, const struct options *o);
int verb_reduce(struct spiked *sp, const struct options *o);
int verb_batch(struct spiked *sp, const struct options *o);
int verb_eval(struct spiked *sp, const struct options *o);
int verb_kernels(struct spiked *sp, const struct options *o);

/* Params for a file: recording keys of SPEC.md 4.1; false (with a message) if it cannot be named. */
bool cli_name_file(json_t *params, const struct options *o, const char *file);

/* Detection and preprocessing keys; false (with a message) for a bad option. */
bool cli_detection(json_t *params, const struct options *o);
bool cli_preprocess(json_t *params, const struct options *o);

/* Calls; on failure prints what was wrong and what to do (as JSON with --json) and frees the reply. The exit code. `params` is consumed. */
int cli_call(struct spiked *sp, const struct options *o, const char *op, json_t *params, struct spiked_reply **reply);

/* The same with arrays. */
int cli_call_arrays(struct spiked *sp, const struct options *o, const char *op, json_t *params, const struct spiked_array *arrays, size_t narrays,
		    struct spiked_reply **reply);

/* The table of `kernels`. */
void cli_print_kernels(const json_t *result);

/* Absolute path of a file that need not exist yet; malloc'ed. */
char *cli_absolute(const char *path);

/* Reads a .npy file of format 1 to 3 in C order; its data is in *file, malloc'ed. 0, or -1 after saying why. */
int cli_read_npy(const char *path, struct spiked_array *a, void **file);

/* Writes a .npy file (format 1.0): the temporary name is renamed when it is whole. 0 or -1 (errno). */
int cli_write_npy(const char *path, const struct spiked_array *a);

/* Set by SIGINT and SIGTERM. */
extern volatile bool cli_interrupted;

#endif
