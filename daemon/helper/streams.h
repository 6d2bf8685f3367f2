/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The streams of a file: a reader lists them all, then one is chosen.
 */
#ifndef DAEMON_HELPER_STREAMS_H
#define DAEMON_HELPER_STREAMS_H

#include "daemon/helper/description.h"

/* Adds a stream by its path. Auxiliary ones (triggers, analog inputs) are listed, but never chosen without being named. Beyond the limit
 * they are counted out with a warning. */
void streams_add(struct description *d, const char *path, bool auxiliary, struct reply *reply);

/* Sets d->stream: the one asked for, by its path or by any part of it that names only one ("well001/rec0000", "AP"), or the only one there is.
 * NOT_FOUND when the list is empty. */
enum status streams_choose(struct description *d, const struct wanted *wanted, struct error *e);

#endif
