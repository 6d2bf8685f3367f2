/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/team.h"

#include <omp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

static void run(void *ctx, size_t n, void (*body)(void *arg, size_t i), void *arg)
{
	int nthreads = (int)(size_t)ctx;
	if (n <= 1 || nthreads <= 1) {
		for (size_t i = 0; i < n; i++)
			body(arg, i);
		return;
	}
#pragma omp parallel for num_threads(nthreads) schedule(dynamic, 1)
	for (size_t i = 0; i < n; i++)
		body(arg, i);
}

struct executor team_executor(size_t nthreads)
{
	return (struct executor){ run, (void *)nthreads, nthreads };
}

size_t team_thread(void)
{
	return (size_t)omp_get_thread_num();
}

/* "max 100000" or "200000 100000": quota and period in microseconds (cgroup v2). */
static size_t cgroup_threads(void)
{
	FILE *in = fopen("/sys/fs/cgroup/cpu.max", "r");
	long quota = 0, period = 0;
	if (!in)
		return 0;
	int fields = fscanf(in, "%ld %ld", &quota, &period);
	fclose(in);
	return fields == 2 && quota > 0 && period > 0 ? (size_t)((quota + period - 1) / period) : 0;
}

size_t team_available(void)
{
	cpu_set_t set;
	size_t n = 1;
	if (sched_getaffinity(0, sizeof set, &set) == 0)
		n = (size_t)CPU_COUNT(&set);
	size_t quota = cgroup_threads();
	if (quota && quota < n)
		n = quota;
	const char *slurm = getenv("SLURM_CPUS_PER_TASK");
	size_t given = slurm ? strtoul(slurm, NULL, 10) : 0;
	if (given && given < n)
		n = given;
	return n ? n : 1;
}
