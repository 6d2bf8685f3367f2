/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A finished temporary file gets its name: sync it, rename it, sync the directory. After a crash at any point there is the old file or the new one.
 */
#ifndef DAEMON_HELPER_PUBLISH_H
#define DAEMON_HELPER_PUBLISH_H

#include "protocol/error.h"

#include <stdbool.h>

enum status publish(int dir, int fd, const char *part, const char *name, bool replace, struct error *e);
void publish_discard(int dir, const char *part);

#endif
