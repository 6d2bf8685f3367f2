/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A team of OpenMP threads, owned by the one thread that calls it (a lane of the scheduler).
 */
#ifndef DAEMON_TEAM_H
#define DAEMON_TEAM_H

#include "kernels/executor.h"

/* An executor of `nthreads` threads. libgomp keeps the threads of each calling thread for itself, so two lanes never share a team. */
struct executor team_executor(size_t nthreads);

/* Which thread of the team runs this piece, 0..nthreads-1; 0 outside. For scratch memory only: results must not depend on it. */
size_t team_thread(void);

/* Threads this process may use: the smallest of affinity, cgroup quota and SLURM_CPUS_PER_TASK; at least 1. */
size_t team_available(void);

#endif
