/* SPDX-License-Identifier: BSD-3-Clause
 *
 * check [--seed N] [--bench] [--list] [NAME*]: runs the tests whose names match one of the patterns, or all. Exit status 0 if all passed.
 */
#include "tests/check/check.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The processor's name for the bench's record; "?" where the system does not tell. */
static void print_cpu(void)
{
	char line[256];
	FILE *f = fopen("/proc/cpuinfo", "r");
	const char *name = "?";
	while (f && fgets(line, sizeof line, f))
		if (strncmp(line, "model name", 10) == 0 && strchr(line, ':')) {
			line[strcspn(line, "\n")] = 0;
			name = strchr(line, ':') + 2;
			break;
		}
	printf("cpu %s, best isa %s, compiler %s\n", name, isa_name(isa_level()), __VERSION__);
	if (f)
		fclose(f);
}

static bool wanted(const char *name, char **patterns, int n, bool *used)
{
	bool found = n == 0;
	for (int i = 0; i < n; i++)
		if (fnmatch(patterns[i], name, 0) == 0)
			found = used[i] = true;
	return found;
}

static int usage(void)
{
	fprintf(stderr, "usage: check [--seed N] [--bench] [--list] [NAME*]\n");
	return 2;
}

int main(int argc, char **argv)
{
	struct check_options options = { .seed = (uint64_t)time(NULL) };
	bool list = false;
	int i = 1;
	for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
		if (strcmp(argv[i], "--bench") == 0)
			options.bench = true;
		else if (strcmp(argv[i], "--list") == 0)
			list = true;
		else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
			options.seed = strtoull(argv[++i], NULL, 0);
		else
			return usage();
	}
	char **patterns = argv + i;
	int npatterns = argc - i;
	bool *used = calloc((size_t)npatterns + 1, sizeof *used);
	if (!used)
		return 2;

	if (!list) {
		print_cpu();
		printf("seed %llu\n", (unsigned long long)options.seed);
	}
	size_t npassed = 0, nfailed = 0;
	for (struct check_test *t = check_tests(); t; t = t->next) {
		if (!wanted(t->name, patterns, npatterns, used))
			continue;
		if (list)
			puts(t->name);
		else if (check_run(t, &options))
			npassed++;
		else
			nfailed++;
	}
	for (int p = 0; p < npatterns; p++)
		if (!used[p]) {
			printf("%s: no test of this name\n", patterns[p]);
			nfailed++;
		}
	free(used);
	if (!list)
		printf("%zu passed, %zu failed\n", npassed, nfailed);
	return nfailed != 0;
}
