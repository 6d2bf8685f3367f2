/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Noise levels of a source, as SpikeInterface measures them: of 20 random chunks of 0.5 s in each segment, averaged over the
 * chunks, on preprocessed frames. Each chunk is filtered as a piece of its own (kernels/pipeline.h). In steps of one block. Lane threads.
 */
#ifndef DAEMON_NOISE_JOB_H
#define DAEMON_NOISE_JOB_H

#include "daemon/chunks.h"
#include "kernels/matched.h"
#include "kernels/noise.h"

enum { NOISE_CHUNKS = 20 };
#define NOISE_CHUNK_S 0.5

struct noise_job;

struct noise_wanted {
	const struct pipeline_spec *spec; /* stages, gain and offset, as for a feed; used during the call */
	enum noise_method method;
	bool whole;                       /* chunks side by side instead of random ones; what is left at the end of a segment does not count */
	uint64_t seed;
	bool integers;                    /* the frames are integers, whose medians NumPy computes in f64 */
	bool scaled;                      /* they are in microvolts */
	const struct matched_filter *filter; /* levels of what it gives, for each depth and channel; or NULL. Borrowed */
};

/* Levels of a recording that are known already are not measured again. */
enum status noise_job_new(struct noise_job **out, struct source *source, const struct noise_wanted *wanted, struct error *e);
void noise_job_free(struct noise_job *n);

/* As feed_waits, before each step; n may be NULL. */
bool noise_job_waits(struct noise_job *n, const struct executor *ex, enum step *step, struct error *e);

/* *done: the levels are ready. */
enum status noise_job_step(struct noise_job *n, const struct executor *ex, bool *done, struct error *e);

/* [nchannels], in the unit of the preprocessed frames; with a filter [nz * nchannels]. */
const double *noise_job_levels(const struct noise_job *n);

#endif
