/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DAEMON_COMPILER_START_H
#define DAEMON_COMPILER_START_H

#include "daemon/daemon.h"

/* The compiler, its caches and the kernels of compiler.kernel_dir. What does not work on this machine is logged; only memory can fail it. */
enum status compiler_start(struct daemon *d, struct error *e);

#endif
