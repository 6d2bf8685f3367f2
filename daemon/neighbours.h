/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Which channels lie near each other: Euclidean distance in double over all given dimensions, at most the radius, as SpikeInterface's
 * get_channel_distances(recording) <= radius_um.
 */
#ifndef DAEMON_NEIGHBOURS_H
#define DAEMON_NEIGHBOURS_H

#include "protocol/error.h"

#include <stddef.h>

/* The neighbours of channel c, itself included, are index[start[c]..start[c + 1] - 1]. */
struct neighbours {
	size_t *start; /* [nchannels + 1] */
	size_t *index;
};

/* locations: [nchannels][ndim], finite. STATUS_TOO_LARGE if the lists would take more than max_bytes. */
enum status neighbours_new(struct neighbours *n, const double *locations, size_t nchannels, size_t ndim, double radius_um, size_t max_bytes,
			   struct error *e);
void neighbours_fini(struct neighbours *n);

#endif
