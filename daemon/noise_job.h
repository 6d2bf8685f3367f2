/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Noise levels of a source, as SpikeInterface measures them: the centred MAD of 20 random chunks of 0.5 s in each segment, averaged over the
 * chunks, on preprocessed frames. Each chunk is filtered as a piece of its own (kernels/pipeline.h). In steps of one block. Lane threads.
 */
#ifndef DAEMON_NOISE_JOB_H
#define DAEMON_NOISE_JOB_H

#include "daemon/feed.h"

enum { NOISE_CHUNKS = 20 };
#define NOISE_CHUNK_S 0.5

struct noise_job;

/* spec: stages, gain and offset, as for a feed. raw_integers: the frames are stored integers without preprocessing, whose levels NumPy computes in
 * f64. scaled: they are in microvolts. Levels of a recording that are known already are not measured again. */
enum status noise_job_new(struct noise_job **out, struct source *source, const struct pipeline_spec *spec, bool raw_integers, bool scaled,
			  uint64_t seed, struct error *e);
void noise_job_free(struct noise_job *n);

/* *done: the levels are ready. */
enum status noise_job_step(struct noise_job *n, const struct executor *ex, bool *done, struct error *e);

/* [nchannels], in the unit of the preprocessed frames. */
const double *noise_job_levels(const struct noise_job *n);

#endif
