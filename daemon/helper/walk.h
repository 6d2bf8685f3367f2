/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Visits the objects of a file by hard links, in order of name, within limits that a crafted file cannot pass.
 */
#ifndef DAEMON_HELPER_WALK_H
#define DAEMON_HELPER_WALK_H

#include "daemon/helper/h5.h"

#include <stdbool.h>
#include <stddef.h>

enum { WALK_MAX_DEPTH = 24, WALK_MAX_OBJECTS = 100000 };

struct walk_report {
	size_t nobjects;
	size_t nexternal; /* links into other files, not followed */
	bool stopped;     /* by a limit */
};

/* visit returns false to stop. report may be NULL. */
void walk(hid_t file, bool (*visit)(hid_t file, const char *path, H5O_type_t type, void *arg), void *arg, struct walk_report *report);

#endif
