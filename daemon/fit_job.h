/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Stages whose numbers are measured on the data (SPEC.md 4.5): each is fitted in turn, on random chunks of what the stages before it give. What was
 * measured on a recording is kept for the next request. In steps of one block, or some ms. Lane threads.
 */
#ifndef DAEMON_FIT_JOB_H
#define DAEMON_FIT_JOB_H

#include "daemon/source.h"

struct fit_job;

/* Call it before a pipeline is made, until *done: the stages then hold their numbers, which preprocess_fini frees. The source is open; gain and offset of
 * the spec are set. *job begins as NULL, and fit_job_free is due in the end. */
enum status fit_job_step(struct fit_job **job, struct source *source, struct pipeline_spec *spec, const struct executor *ex, bool *done, struct error *e);

/* As feed_waits, before each step; job may be NULL. */
bool fit_job_waits(struct fit_job *job, const struct executor *ex, enum step *step, struct error *e);
void fit_job_free(struct fit_job *job);

#endif
