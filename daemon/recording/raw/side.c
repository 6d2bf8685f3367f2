/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/recording/raw/raw.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct raw_stream *raw_add_stream(struct raw_side *side, size_t nchannels, struct error *e)
{
	if (side->nstreams == RECORDING_MAX_STREAMS) {
		error_set(e, STATUS_TOO_LARGE, "file", NULL, "more than %d streams", RECORDING_MAX_STREAMS);
		return NULL;
	}
	struct raw_stream *s = &side->streams[side->nstreams++];
	s->nchannels = nchannels;
	s->rows = calloc(nchannels + 1, sizeof *s->rows);
	s->ids = calloc(nchannels + 1, sizeof *s->ids);
	s->gains_uv = calloc(nchannels + 1, sizeof *s->gains_uv);
	if (s->rows && s->ids && s->gains_uv)
		return s;
	error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for %zu channels", nchannels);
	return NULL;
}

void raw_side_fini(struct raw_side *side)
{
	for (size_t i = 0; i < side->nstreams; i++) {
		free(side->streams[i].rows);
		free(side->streams[i].ids);
		free(side->streams[i].gains_uv);
		free(side->streams[i].locations);
		free(side->streams[i].shifts);
	}
	memset(side, 0, sizeof *side);
}

void raw_warn(struct raw_side *side, const char *format, ...)
{
	va_list ap;
	if (side->nwarnings == RAW_MAX_WARNINGS)
		return;
	va_start(ap, format);
	vsnprintf(side->warnings[side->nwarnings++], sizeof side->warnings[0], format, ap);
	va_end(ap);
}
