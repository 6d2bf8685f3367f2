/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Spreads pieces of work over the executor's threads when each thread needs scratch of its own: pieces are handed out one by one to
 * workers, and a worker knows its number.
 */
#ifndef KERNELS_SPREAD_H
#define KERNELS_SPREAD_H

#include "kernels/executor.h"

/* Calls body(arg, worker, i) once for each i < n. There are at most `workers` (>= 1) workers, numbered from 0; calls with the same number do
 * not overlap. Which worker does which piece is not defined. */
void spread(const struct executor *ex, size_t n, size_t workers, void (*body)(void *arg, size_t worker, size_t i), void *arg);

#endif
