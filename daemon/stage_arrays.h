/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What preprocessing stages need to know of the channels beyond their keys (SPEC.md 4.5): arrays of the request, or else of the recording.
 */
#ifndef DAEMON_STAGE_ARRAYS_H
#define DAEMON_STAGE_ARRAYS_H

#include "kernels/pipeline.h"
#include "protocol/error.h"

struct source;

struct stage_arrays {
	bool ready;
	double *locations;      /* [nchannels][ndim] of the request; NULL: not given or not needed */
	size_t ndim;
	double *shift;          /* [nchannels] */
	double *whiten;         /* [nchannels][nchannels] */
	uint64_t digest;        /* of what the request gave; 0: nothing */
};

/* Reads those that the spec's stages need into s->arrays, once, and lets the spec point to them. s is open. May copy from the client. */
enum status stage_arrays_read(struct source *s, struct pipeline_spec *spec, struct error *e);

/* The locations for other purposes than stages: those of the request, or of the recording, or none. After stage_arrays_read. */
enum status stage_arrays_locate(struct source *s, struct pipeline_spec *spec, struct error *e);
void stage_arrays_free(struct stage_arrays *a);

#endif
