/* SPDX-License-Identifier: BSD-3-Clause */
#include "clients/cli/cli.h"

#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct verb verbs[] = {
	{ "ping", "", "is the daemon there? round trip time", verb_ping, 0, 0 },
	{ "info", "", "version, threads, endpoints, options that differ from default", verb_info, 0, 0 },
	{ "stats", "", "counts and times of each operation", verb_stats, 0, 0 },
	{ "open", "FILE", "what a recording holds", verb_open, 1, 1 },
	{ "detect", "FILE [-o OUT.npy|OUT.nwb]", "find spikes", verb_detect, 1, 1 },
	{ "reduce", "FILE --ops mean,std,...", "per-channel numbers", verb_reduce, 1, 1 },
	{ "eval", "EXPR [NAME=FILE.npy|NUMBER]...", "an array expression; -o OUT.npy", verb_eval, 1, 65 },
	{ "kernels", "", "what is compiled and warm", verb_kernels, 0, 0 },
	{ "batch", "FILE... -o DIR", "detect in many files; skips what is done", verb_batch, 1, 1 << 30 },
};

enum { NVERBS = sizeof verbs / sizeof *verbs };

volatile bool cli_interrupted;

static void on_interrupt(int number)
{
	(void)number;
	cli_interrupted = true;
}

static void usage(FILE *out)
{
	fputs("usage: spikectl VERB [options] [FILE...]\n\n", out);
	for (int i = 0; i < NVERBS; i++)
		fprintf(out, "  %-7s %-30s %s\n", verbs[i].name, verbs[i].arguments, verbs[i].help);
	fputs("\n"
	      "  --url URL            ipc:///path or tcp://host:port; default $SPIKED_URL, else this user's daemon\n"
	      "  --token TEXT         for TCP; default $SPIKED_TOKEN, else endpoint.json's\n"
	      "  --timeout SECONDS    longest wait for one answer (3600)\n"
	      "  --json               the whole answer as JSON\n"
	      "Recording:\n"
	      "  --recording PATH     stream in the file, if there are several\n"
	      "  --dataset PATH       plain 2-D dataset; needs --fs HZ; --time-axis 0|1 (0)\n"
	      "  --start N --stop N   frames\n"
	      "Detection (detect, batch) and preprocessing (also reduce):\n"
	      "  --threshold K        times the noise level (5); reduce: in the samples' unit\n"
	      "  --sign neg|pos|both  (neg)      --sweep MS  half-window, 1.0\n"
	      "  --method by_channel|locally_exclusive   (by_channel)   --radius UM  of the latter's neighbours (50)\n"
	      "  --unit noise|uV|raw  of --threshold and --max-threshold (noise)\n"
	      "  --noise mad|quiroga|std|rms  what the noise level is (mad)\n"
	      "  --max-threshold K    larger peaks are artefacts, and dropped\n"
	      "  --dead-time MS       none so soon after a peak, on its channel   --max-rate HZ  most peaks a second on a channel\n"
	      "  --compat spikeinterface  its arithmetic and chunks: its peaks, row by row\n"
	      "  --bandpass LOW,HIGH  Hz (detect, batch: 300,6000)   --no-filter   --highpass LOW   --causal\n"
	      "  --reference median|average|none  (detect, batch: median)\n"
	      "  --seed N             of the noise samples (0)\n"
	      "  --ops NAMES          count_above sum sum_of_squares weighted_sum mean std rms min max mad\n"
	      "  -o PATH              .npy: peak table; .nwb: result file; batch: directory\n"
	      "\n"
	      "Exit codes: 0 good; 1 the daemon refused, or files of a batch failed; 2 usage; 3 no daemon; 130 interrupted.\n",
	      out);
}

enum { URL = 256, TOKEN, TIMEOUT, JSON, RECORDING, DATASET, FS, TIME_AXIS, START, STOP, THRESHOLD, SIGN, SWEEP, BANDPASS, NO_FILTER, HIGHPASS, CAUSAL,
       REFERENCE, SEED, OPS, HELP, VERSION, METHOD, RADIUS, UNIT, NOISE, MAX_THRESHOLD, DEAD_TIME, MAX_RATE, COMPAT };

static const struct option longs[] = {
	{ "url", 1, 0, URL }, { "token", 1, 0, TOKEN }, { "timeout", 1, 0, TIMEOUT }, { "json", 0, 0, JSON }, { "recording", 1, 0, RECORDING },
	{ "dataset", 1, 0, DATASET }, { "fs", 1, 0, FS }, { "time-axis", 1, 0, TIME_AXIS }, { "start", 1, 0, START }, { "stop", 1, 0, STOP },
	{ "threshold", 1, 0, THRESHOLD }, { "sign", 1, 0, SIGN }, { "sweep", 1, 0, SWEEP }, { "bandpass", 1, 0, BANDPASS },
	{ "no-filter", 0, 0, NO_FILTER }, { "highpass", 1, 0, HIGHPASS }, { "causal", 0, 0, CAUSAL }, { "reference", 1, 0, REFERENCE },
	{ "seed", 1, 0, SEED }, { "ops", 1, 0, OPS }, { "output", 1, 0, 'o' }, { "help", 0, 0, HELP }, { "version", 0, 0, VERSION },
	{ "method", 1, 0, METHOD }, { "radius", 1, 0, RADIUS }, { "unit", 1, 0, UNIT }, { "noise", 1, 0, NOISE }, { "max-threshold", 1, 0, MAX_THRESHOLD },
	{ "dead-time", 1, 0, DEAD_TIME }, { "max-rate", 1, 0, MAX_RATE }, { "compat", 1, 0, COMPAT }, { 0 },
};

static bool number(const char *text, double *out, const char *name)
{
	char *end;
	*out = strtod(text, &end);
	if (end != text && !*end && isfinite(*out))
		return true;
	fprintf(stderr, "spikectl: --%s %s: not a number\n", name, text);
	return false;
}

static bool integer(const char *text, long long *out, const char *name)
{
	char *end;
	*out = strtoll(text, &end, 10);
	if (end != text && !*end && *out >= 0)
		return true;
	fprintf(stderr, "spikectl: --%s %s: not an integer >= 0\n", name, text);
	return false;
}

/* Options that only detect and batch know. */
static bool take_detection(struct options *o, int key, const char *value)
{
	switch (key) {
	case METHOD: o->detection_only = "method"; o->method = value; return true;
	case UNIT: o->detection_only = "unit"; o->unit = value; return true;
	case NOISE: o->detection_only = "noise"; o->noise = value; return true;
	case COMPAT: o->detection_only = "compat"; o->compat = value; return true;
	case RADIUS: return number(value, &o->radius_um, o->detection_only = "radius");
	case MAX_THRESHOLD: return number(value, &o->max_threshold, o->detection_only = "max-threshold");
	case DEAD_TIME: return number(value, &o->dead_time_ms, o->detection_only = "dead-time");
	case MAX_RATE: return number(value, &o->max_rate, o->detection_only = "max-rate");
	default: return false;
	}
}

static bool take(struct options *o, int key, const char *value)
{
	double real;
	long long whole;
	switch (key) {
	case URL: o->url = value; return true;
	case TOKEN: o->token = value; return true;
	case JSON: o->json = true; return true;
	case RECORDING: o->recording = value; return true;
	case DATASET: o->dataset = value; return true;
	case SIGN: o->sign = value; return true;
	case BANDPASS: o->bandpass = value; return true;
	case NO_FILTER: o->bandpass = "none"; return true;
	case HIGHPASS: o->highpass = value; return true;
	case CAUSAL: o->causal = true; return true;
	case REFERENCE: o->reference = value; return true;
	case OPS: o->operations = value; return true;
	case 'o': o->output = value; return true;
	case START: return integer(value, &o->start, "start");
	case STOP: return integer(value, &o->stop, "stop");
	case SEED: return integer(value, &o->seed, "seed");
	case FS: return number(value, &o->fs_hz, "fs");
	case SWEEP: return number(value, &o->sweep_ms, "sweep");
	case THRESHOLD: o->has_threshold = true; return number(value, &o->threshold, "threshold");
	case TIME_AXIS:
		if (!integer(value, &whole, "time-axis"))
			return false;
		o->time_axis = (int)whole;
		return true;
	case TIMEOUT:
		if (!number(value, &real, "timeout"))
			return false;
		if (real <= 0 || real > 2e6) {
			fprintf(stderr, "spikectl: --timeout %s: from above 0 to 2000000 seconds\n", value);
			return false;
		}
		o->timeout_ms = (int)(real * 1000);
		return true;
	default:
		return take_detection(o, key, value);
	}
}

static const struct verb *find(const char *name)
{
	for (int i = 0; i < NVERBS; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

/* -1: go on; else the exit code. */
static int parse(int argc, char **argv, struct options *o, const struct verb **verb)
{
	int key;
	while ((key = getopt_long(argc, argv, "o:", longs, NULL)) != -1) {
		if (key == HELP) {
			usage(stdout);
			return EXIT_GOOD;
		}
		if (key == VERSION) {
			puts("spikectl " SPIKED_VERSION);
			return EXIT_GOOD;
		}
		if (key == '?' || !take(o, key, optarg))
			return EXIT_USAGE;
	}
	if (optind == argc) {
		usage(stderr);
		return EXIT_USAGE;
	}
	*verb = find(argv[optind]);
	o->files = argv + optind + 1;
	o->nfiles = argc - optind - 1;
	if (!*verb) {
		fprintf(stderr, "spikectl: there is no verb %s; try spikectl --help\n", argv[optind]);
		return EXIT_USAGE;
	}
	if (o->detection_only && (*verb)->run != verb_detect && (*verb)->run != verb_batch) {
		fprintf(stderr, "spikectl: --%s is an option of detect and batch, not of %s\n", o->detection_only, (*verb)->name);
		return EXIT_USAGE;
	}
	if (o->nfiles < (*verb)->min_files || o->nfiles > (*verb)->max_files) {
		fprintf(stderr, "usage: spikectl %s %s\n", (*verb)->name, (*verb)->arguments);
		return EXIT_USAGE;
	}
	return -1;
}

int main(int argc, char **argv)
{
	struct options o = { .timeout_ms = 3600 * 1000, .sign = "neg", .threshold = 5, .sweep_ms = 1.0, .start = -1, .stop = -1,
			     .radius_um = NAN, .max_threshold = NAN, .dead_time_ms = NAN, .max_rate = NAN };
	const struct verb *verb = NULL;
	signal(SIGPIPE, SIG_IGN);
	int code = parse(argc, argv, &o, &verb);
	if (code >= 0)
		return code;
	struct spiked *sp;
	if (spiked_connect(&sp, o.url, o.token) != SPIKED_OK) {
		fprintf(stderr, "spikectl: %s\n", spiked_connect_error());
		return EXIT_NO_DAEMON;
	}
	spiked_set_timeout(sp, o.timeout_ms);
	struct sigaction stop = { .sa_handler = on_interrupt };
	if (verb->run == verb_batch) {
		sigaction(SIGINT, &stop, NULL);
		sigaction(SIGTERM, &stop, NULL);
	}
	code = verb->run(sp, &o);
	spiked_close(sp);
	return code;
}
