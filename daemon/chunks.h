/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Chunks of a source's preprocessed frames, one after another: drawn as SpikeInterface draws its random chunks, or side by side. Each is filtered as a
 * piece of its own (kernels/pipeline.h). For what is measured on the data: noise levels, stages that are fitted, bad channels. Lane threads.
 */
#ifndef DAEMON_CHUNKS_H
#define DAEMON_CHUNKS_H

#include "daemon/feed.h"

struct chunks;

struct chunks_wanted {
	const struct pipeline_spec *spec; /* stages, gain and offset, as for a feed; used during the call */
	double seconds;                   /* of a chunk, truncated to frames; a segment that is shorter shortens them all */
	size_t each;                      /* so many random ones in each segment; 0: side by side, what is left at the end of a segment does not count */
	uint64_t seed;
	const char *field, *hint;         /* for errors: which parameter asked, and what to do instead; static texts */
};

enum status chunks_new(struct chunks **out, struct source *source, const struct chunks_wanted *wanted, struct error *e);
void chunks_free(struct chunks *c);

/* As feed_waits, before each step; c may be NULL. */
bool chunks_waits(struct chunks *c, const struct executor *ex, enum step *step, struct error *e);

/* The next chunk, whole, valid until the next call; nframes 0: not there yet. One block of frames. Not to be called after the last chunk. */
enum status chunks_step(struct chunks *c, const struct executor *ex, struct slab *slab, struct error *e);

/* Are there more? */
bool chunks_end(const struct chunks *c);

/* From the first one again. */
void chunks_rewind(struct chunks *c);

size_t chunks_count(const struct chunks *c);
int64_t chunks_frames(const struct chunks *c); /* of a chunk */

#endif
