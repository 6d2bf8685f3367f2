/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The layouts that files are recognised by, from their content and never by their names. One file for each; its first comment says where the
 * layout keeps what. layouts.c has the table.
 */
#ifndef DAEMON_HELPER_LAYOUTS_H
#define DAEMON_HELPER_LAYOUTS_H

#include "daemon/helper/description.h"

struct layout {
	const char *name;
	bool (*recognise)(hid_t file);
	enum status (*describe)(hid_t file, const struct wanted *wanted, struct description *d, struct reply *reply, struct error *e);
};

/* The first row of the table that knows the file, or NULL. */
const struct layout *layout_of(hid_t file);

#define LAYOUT(name)                        \
	bool name##_recognise(hid_t file);  \
	enum status name##_describe(hid_t file, const struct wanted *wanted, struct description *d, struct reply *reply, struct error *e);

LAYOUT(brw3)
LAYOUT(brw4)
LAYOUT(maxwell)
LAYOUT(mcs)
LAYOUT(kwik)
LAYOUT(sinaps)
LAYOUT(mearec)
LAYOUT(matlab)
LAYOUT(foreign) /* known, but not read: always an error that says so */

#endif
