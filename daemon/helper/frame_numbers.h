/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Gaps by the frame numbers that a device counts: a step other than 1 starts a new segment.
 */
#ifndef DAEMON_HELPER_FRAME_NUMBERS_H
#define DAEMON_HELPER_FRAME_NUMBERS_H

#include "daemon/helper/description.h"

/* Zeroed, but for d. */
struct frame_numbers {
	struct description *d;  /* its segments are filled; fs_hz must be set */
	int64_t next;           /* number that follows */
	int64_t first;          /* of all */
	size_t count;           /* frames seen */
};

/* Takes the numbers of the next n frames. Segments start at (number - first number) / fs seconds. UNSUPPORTED with too many gaps. */
enum status frame_numbers_add(struct frame_numbers *f, const int64_t *numbers, size_t n, struct error *e);

/* Ends the last segment; warns of gaps. */
void frame_numbers_end(struct frame_numbers *f, struct reply *reply);

/* All of it for a list of d->nframes numbers. */
enum status frame_numbers_read(hid_t file, const char *path, struct description *d, struct reply *reply, struct error *e);

#endif
