/* SPDX-License-Identifier: BSD-3-Clause
 *
 * compiler.kernel_dir: Python files whose top-level functions are registered at start; a decorator with signatures, @njit("float64(float64[:])"), has
 * them compiled before the daemon is ready. What is wrong with a file is logged, and the daemon starts without it.
 */
#ifndef DAEMON_KERNEL_DIR_H
#define DAEMON_KERNEL_DIR_H

#include "daemon/programs.h"
#include "daemon/registry.h"

/* Loop thread, before it runs. Files are taken in order of their names, at most max_source bytes each. */
void kernel_dir_load(const char *directory, size_t max_source, struct registry *registry, struct programs *programs);

#endif
