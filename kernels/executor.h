/* SPDX-License-Identifier: BSD-3-Clause
 *
 * How kernels ask for parallel work without owning threads: the caller lends an executor. The daemon's is an OpenMP team;
 * tests use executor_serial. Independent pieces only: the result must not depend on who runs which piece, or when.
 */
#ifndef KERNELS_EXECUTOR_H
#define KERNELS_EXECUTOR_H

#include <stddef.h>

struct executor {
	/* Calls body(arg, i) once for each i < n, in any order, on up to nthreads threads; returns when all have returned. */
	void (*run)(void *ctx, size_t n, void (*body)(void *arg, size_t i), void *arg);
	void *ctx;
	size_t nthreads;
};

/* Runs everything on the calling thread, in index order. */
extern const struct executor executor_serial;

#endif
