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

enum status description_channels(struct description *d, uint64_t nchannels, struct error *e)
{
	if (nchannels == 0 || nchannels > DESCRIPTION_MAX_CHANNELS)
		return error_set(e, nchannels ? STATUS_UNSUPPORTED : STATUS_CORRUPT, "file", NULL, "%.150s has %llu channels; 1 to %d are supported",
				 d->data.path, (unsigned long long)nchannels, DESCRIPTION_MAX_CHANNELS);
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
	return description_channels(d, nchannels, e);
}

enum status description_rows(struct description *d, int64_t *rows, size_t n, struct error *e)
{
	bool all = n == d->nchannels;
	if (n == 0 || n > d->nchannels)
		return error_set(e, STATUS_CORRUPT, "file", NULL, "the file lists %zu channels for the %zu rows of %.150s", n, d->nchannels, d->data.path);
	for (size_t c = 0; c < n; c++) {
		if (rows[c] < 0 || (uint64_t)rows[c] >= d->nchannels)
			return error_set(e, STATUS_CORRUPT, "file", NULL, "channel %zu should lie in row %lld of %.150s, which has %zu", c,
					 (long long)rows[c], d->data.path, d->nchannels);
		all &= (uint64_t)rows[c] == c;
	}
	d->nchannels = n;
	d->rows = all ? NULL : rows;
	return STATUS_OK;
}

enum status description_id(struct description *d, size_t c, long long number, struct error *e)
{
	d->ids[c] = malloc(24);
	if (!d->ids[c])
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for channel ids");
	snprintf(d->ids[c], 24, "%lld", number);
	return STATUS_OK;
}

enum status description_scale(struct description *d, double gain_uv, double offset_uv, struct error *e)
{
	if (!isfinite(gain_uv) || !isfinite(offset_uv) || gain_uv == 0)
		return error_set(e, STATUS_CORRUPT, "file", NULL, "the scale of %.150s is %g uV and %g uV at 0", d->stream, gain_uv, offset_uv);
	for (size_t c = 0; c < d->nchannels; c++) {
		d->gains_uv[c] = gain_uv;
		d->offsets_uv[c] = offset_uv;
	}
	d->has_uv = true;
	return STATUS_OK;
}

enum status description_locations(struct description *d, size_t ndim, struct error *e)
{
	d->ndim = ndim;
	d->locations = calloc(d->nchannels * ndim, sizeof *d->locations);
	return d->locations ? STATUS_OK : error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for channel locations");
}

enum status description_rate(struct description *d, double fs_hz, struct error *e)
{
	if (!description_rate_ok(fs_hz))
		return error_set(e, STATUS_CORRUPT, "file", "the writer must store the sampling rate in Hz", "the sampling rate of %.150s is %g", d->stream,
				 fs_hz);
	d->fs_hz = fs_hz;
	return STATUS_OK;
}

void description_one_segment(struct description *d, double start_time_s)
{
	d->segments.n = 1;
	d->segments.frames[0][0] = 0;
	d->segments.frames[0][1] = (int64_t)d->nframes;
	d->segments.start_time_s[0] = start_time_s;
}

bool segments_start(struct segments *s, int64_t frame, double start_time_s)
{
	if (s->n == DESCRIPTION_MAX_SEGMENTS)
		return false;
	s->frames[s->n][0] = frame;
	s->start_time_s[s->n++] = start_time_s;
	return true;
}

void segments_close(struct segments *s, int64_t nframes)
{
	for (size_t i = 0; i < s->n; i++)
		s->frames[i][1] = (i + 1 < s->n ? s->frames[i + 1][0] : nframes) - s->frames[i][0];
}
