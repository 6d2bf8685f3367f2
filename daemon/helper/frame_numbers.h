/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Gaps by the frame numbers that a device counts: a step other than 1 starts a new segment, at (number - first number) / fs seconds.
 *
 * Looking at every number of a long recording means to decode it all, so beyond some bytes only the ends of stretches are compared: numbers rise,
 * so a stretch whose ends lie as far apart as it is long has no gap.
 */
#ifndef DAEMON_HELPER_FRAME_NUMBERS_H
#define DAEMON_HELPER_FRAME_NUMBERS_H

#include "daemon/helper/description.h"

enum { FRAME_NUMBERS_BLOCK = 65536 };

struct frame_reader {
	/* The numbers of n frames, at most FRAME_NUMBERS_BLOCK, from `start` on. */
	bool (*read)(const struct frame_reader *r, hsize_t start, hsize_t n, int64_t *out);
	hid_t id, space;
	size_t frame_bytes;     /* to decode for one number */
};

/* Sets the segments of d, whose nframes and fs_hz are set; warns of gaps. UNSUPPORTED with too many of them. */
enum status frame_numbers_cut(const struct frame_reader *r, struct description *d, struct reply *reply, struct error *e);

/* The same for a list of d->nframes numbers. */
enum status frame_numbers_read(hid_t file, const char *path, struct description *d, struct reply *reply, struct error *e);

#endif
