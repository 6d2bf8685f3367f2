/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a pipeline's stages come to in numbers: margins and grid in frames, tables, bytes. Checks the spec.
 */
#ifndef KERNELS_PLAN_H
#define KERNELS_PLAN_H

#include "kernels/stage.h"

struct plan {
	size_t nstages;
	size_t grid;                /* frames in a block, one for all stages of that form; 0 if there are none */
	struct plan_stage stages[PIPELINE_MAX_STAGES];
};

/* Errors name the field as a request has it: "preprocess[1].freq_max". After a failure, too, plan_fini is due. */
enum status plan_make(struct plan *plan, const struct pipeline_spec *spec, struct error *e);
void plan_fini(struct plan *plan);

/* Bytes that the stages' tables take. */
size_t plan_bytes(const struct plan *plan);

/* The grid for a spec that need not have been checked. */
size_t plan_grid(const struct pipeline_spec *spec);

/* Form and margin of a stage that need not have been checked; one that does not exist counts as one of frames. */
enum stage_form plan_form(const struct stage_spec *s);
size_t plan_margin(const struct stage_spec *s, double fs_hz);

#endif
