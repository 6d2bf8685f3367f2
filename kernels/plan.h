/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a pipeline's stages come to in numbers: filters designed, margins and grid in frames. Checks the spec.
 */
#ifndef KERNELS_PLAN_H
#define KERNELS_PLAN_H

#include "kernels/pipeline.h"
#include "kernels/sos.h"

struct plan_stage {
	enum stage_kind kind;
	bool zero_phase;            /* a filter, forward and backward */
	bool causal;                /* a filter, forward only */
	enum reference_operator op;
	size_t margin;              /* zero-phase: frames before and behind a block */
	struct sos sos;             /* filters */
};

struct plan {
	size_t nstages;
	size_t grid;                /* frames in a block, one for all zero-phase stages; 0 if there are none */
	struct plan_stage stages[PIPELINE_MAX_STAGES];
};

/* Errors name the field as a request has it: "preprocess[1].freq_max". */
enum status plan_make(struct plan *plan, const struct pipeline_spec *spec, struct error *e);

/* trunc(5000 / freq_min * fs / 1000): five periods, as SpikeInterface reads; up to PLAN_MAX_MARGIN. */
size_t plan_margin(double freq_min_hz, double fs_hz);

/* The grid for a spec that need not have been checked. */
size_t plan_grid(const struct pipeline_spec *spec);

#define PLAN_MAX_MARGIN ((size_t)1 << 32)

#endif
