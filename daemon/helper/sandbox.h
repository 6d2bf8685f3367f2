/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the helper gives up before it looks at a file. Each layer is used where the build and the kernel have it; which ones are active stands in
 * every reply, so that a missing one can be seen.
 *
 *   limits         address space, CPU seconds, no core dump, no new descriptors; readers may not write files
 *   no_new_privs   nothing executed later could gain rights
 *   landlock       (kernel >= 5.13) no path can be opened; the writer keeps its output directory
 *   seccomp        only the calls that libhdf5 needs on open descriptors; any other one kills the process
 */
#ifndef DAEMON_HELPER_SANDBOX_H
#define DAEMON_HELPER_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

enum { SANDBOX_LIMITS = 1, SANDBOX_NO_NEW_PRIVS = 2, SANDBOX_LANDLOCK = 4, SANDBOX_SECCOMP = 8 };

struct sandbox {
	size_t memory;  /* bytes of address space, 0: unlimited */
	unsigned cpu_s; /* 0: unlimited */
	int output_dir; /* directory the writer may write in, or -1 for a reader */
};

/* Enters it, for good. Returns the SANDBOX_* parts that are active. Load libraries and open descriptors before. */
unsigned sandbox_enter(const struct sandbox *s);

/* Builds with AddressSanitizer need calls and memory that the sandbox forbids; false there. */
bool sandbox_compiled(void);

#endif
