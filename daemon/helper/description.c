/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/helper/description.h"
#include "daemon/helper/attrs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

bool description_rate_ok(double fs_hz)
{
	return isfinite(fs_hz) && fs_hz > 0 && fs_hz <= 1e9;
}

enum status description_axes(struct description *d, int time_axis, struct error *e)
{
	if (d->data.rank == 1)
		time_axis = 0;
	uint64_t nchannels = d->data.dims[1 - time_axis];
	d->time_axis = time_axis;
	d->nframes = d->data.dims[time_axis];
	if (nchannels == 0)
		return error_set(e, STATUS_CORRUPT, "file", NULL, "%s has no channels: its shape is (%llu, %llu)", d->data.path,
				 (unsigned long long)d->data.dims[0], (unsigned long long)d->data.dims[1]);
	if (nchannels > DESCRIPTION_MAX_CHANNELS)
		return error_set(e, STATUS_UNSUPPORTED, "file", "is time_axis right?", "%s has %llu channels, at most %d are supported", d->data.path,
				 (unsigned long long)nchannels, DESCRIPTION_MAX_CHANNELS);
	d->nchannels = nchannels;
	d->ids = calloc(nchannels, sizeof *d->ids);
	d->gains_uv = malloc(nchannels * sizeof *d->gains_uv);
	d->offsets_uv = calloc(nchannels, sizeof *d->offsets_uv);
	char *texts = calloc(nchannels, 8);
	if (!d->ids || !d->gains_uv || !d->offsets_uv || !texts)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for %zu channels", d->nchannels);
	for (size_t c = 0; c < d->nchannels; c++) {
		d->ids[c] = texts + 8 * c;
		snprintf(d->ids[c], 8, "%u", (unsigned)(c & 0xffff));
		d->gains_uv[c] = 1;
	}
	return STATUS_OK;
}

void description_one_segment(struct description *d, double start_time_s)
{
	d->segments.n = 1;
	d->segments.frames[0][0] = 0;
	d->segments.frames[0][1] = (int64_t)d->nframes;
	d->segments.start_time_s[0] = start_time_s;
}
