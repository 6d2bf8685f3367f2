/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/config.h"
#include "daemon/daemon.h"
#include "daemon/log.h"
#include "kernels/isa.h"

#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usage[] =
	"usage: spiked [CONFIG] [--set section.key=value]... [--test-config | --dump-config | --version | --help]\n"
	"\n"
	"The spike detection and array computing daemon. Runs in the foreground, logs to standard error, stops on SIGTERM,\n"
	"reads CONFIG again on SIGHUP. Without CONFIG all options have their defaults.\n"
	"\n"
	"  --set section.key=value   set one option; goes before environment SPIKED_SECTION_KEY and CONFIG\n"
	"  --test-config             check the configuration and the files it names, then exit: 0 good, 1 not\n"
	"  --dump-config             print the configuration in force as a commented file, then exit\n"
	"  --version, --help\n"
	"\n"
	"Options (defaults):\n";

struct arguments {
	const char *file;
	char **sets;
	size_t nsets;
	enum { RUN, TEST, DUMP } mode;
};

static void print_help(void)
{
	fputs(usage, stdout);
	config_help(stdout);
}

/* -1: go on; otherwise the exit code. */
static int parse(int argc, char **argv, struct arguments *a)
{
	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i];
		if (strcmp(arg, "--help") == 0) {
			print_help();
			return 0;
		} else if (strcmp(arg, "--version") == 0) {
			puts("spiked " SPIKED_VERSION);
			return 0;
		} else if (strcmp(arg, "--test-config") == 0) {
			a->mode = TEST;
		} else if (strcmp(arg, "--dump-config") == 0) {
			a->mode = DUMP;
		} else if (strcmp(arg, "--set") == 0 && i + 1 < argc) {
			a->sets[a->nsets++] = argv[++i];
		} else if (arg[0] == '-' || a->file) {
			fprintf(stderr, "spiked: %s: %s\nTry spiked --help.\n", arg, arg[0] == '-' ? "unknown option" : "only one CONFIG");
			return 2;
		} else {
			a->file = arg;
		}
	}
	return -1;
}

/* What a start would trip over: roots and the helper must exist. */
static bool test_files(const struct config *c)
{
	const char *lists[][2] = { { "recordings.roots", c->recordings_roots },
				   { "recordings.plugin_path", strcmp(c->recordings_plugin_path, "off") ? c->recordings_plugin_path : "" },
				   { "output.roots", c->output_roots } };
	bool good = true;
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		for (const char *at = lists[i][1]; *at;) {
			size_t n = strcspn(at, ":");
			char root[PATH_MAX];
			struct stat st;
			snprintf(root, sizeof root, "%.*s", (int)n, at);
			at += n + (at[n] == ':');
			if (stat(root, &st) != 0 || !S_ISDIR(st.st_mode)) {
				fprintf(stderr, "spiked: %s: %s is not a directory\n", lists[i][0], root);
				good = false;
			}
		}
	if (strcmp(c->helper_path, "auto") != 0 && access(c->helper_path, X_OK) != 0) {
		fprintf(stderr, "spiked: helper.path: %s cannot be run\n", c->helper_path);
		good = false;
	}
	return good;
}

static void limit_isa(void)
{
	const char *name = getenv("SPIKED_ISA");
	for (int i = ISA_C; name && i <= ISA_AVX512; i++)
		if (strcmp(name, isa_name((enum isa)i)) == 0)
			isa_limit((enum isa)i);
}

/* libgomp lets waiting threads spin for milliseconds. On a machine that others use as well a spinning thread takes the core from the one it waits
 * for (measured: 30 times slower beside a compiler). Some 10 us of spinning, then sleep: 10 % faster than sleeping at once on an idle machine, 25 %
 * slower beside two busy neighbours on two cores. libgomp reads its environment before main, hence the exec. */
static void make_threads_sleep(char **argv)
{
	if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT"))
		return;
	setenv("OMP_WAIT_POLICY", "passive", 1);
	setenv("GOMP_SPINCOUNT", "2000", 1);
	execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
	make_threads_sleep(argv);
	/* A client that leaves while its reply is written must not end the process. */
	signal(SIGPIPE, SIG_IGN);
	struct arguments a = { .sets = calloc((size_t)argc, sizeof *a.sets) };
	struct config config;
	struct config_error e;
	int code = a.sets ? parse(argc, argv, &a) : 1;
	if (code >= 0)
		goto out;
	if (!config_load(&config, a.file, a.sets, a.nsets, &e)) {
		fprintf(stderr, "spiked: %s\n", e.text);
		code = 1;
		goto out;
	}
	if (a.mode == RUN) {
		limit_isa();
		log_set_level(log_level_from_name(config.log_level));
		struct daemon_options options = { a.file, a.sets, a.nsets };
		code = daemon_run(&config, &options);
		goto out;
	}
	code = 0;
	if (a.mode == DUMP)
		config_dump(&config, stdout);
	else if (!test_files(&config))
		code = 1;
	else
		printf("spiked: the configuration%s%s is good\n", a.file ? " " : "", a.file ? a.file : "");
	config_fini(&config);
out:
	free(a.sets);
	return code;
}
