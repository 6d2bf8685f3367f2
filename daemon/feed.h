/* SPDX-License-Identifier: BSD-3-Clause
 *
 * From a source through a pipeline: preprocessed frames of any span of any segment, block by block.
 * Lane threads; one at a time.
 */
#ifndef DAEMON_FEED_H
#define DAEMON_FEED_H

#include "daemon/source.h"
#include "kernels/pipeline.h"

struct feed;

/* `spec` holds stages, gain and offset; what the source knows (channels, rate, type) is filled in. STATUS_TOO_LARGE if it would need more than
 * limits.work_bytes. */
enum status feed_new(struct feed **out, struct source *source, struct pipeline_spec *spec, struct error *e);
void feed_free(struct feed *f);

/* The next frames wanted are [start, stop) of a segment, with the bits they have in the whole segment. rough: causal filters may start
 * shortly before `start` instead of at frame 0 (for noise samples: the state has settled to within rounding). */
void feed_seek(struct feed *f, size_t segment, int64_t start, int64_t stop, bool rough);

/* Call it first in each step that may call feed_step. True: the frames come through the helper and are waited for on an I/O thread; return *step, which
 * is STEP_IO, then (on that thread) STEP_COMPUTE or, with *e set, STEP_DONE. */
bool feed_waits(struct feed *f, const struct executor *ex, enum step *step, struct error *e);

/* The next of these frames (maybe none yet, as while feed_waits would), valid until the next call; *end: there are no more. Some milliseconds. */
enum status feed_step(struct feed *f, const struct executor *ex, struct slab *slab, bool *end, struct error *e);

/* Bytes it holds. */
size_t feed_bytes(const struct feed *f);

#endif
