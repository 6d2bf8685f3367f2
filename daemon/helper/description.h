/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a layout reader (nwb.c, generic.c) finds out about one stream; index.c adds where the bytes lie.
 */
#ifndef DAEMON_HELPER_DESCRIPTION_H
#define DAEMON_HELPER_DESCRIPTION_H

#include "daemon/helper/dataset.h"
#include "daemon/helper/reply.h"

enum {
	DESCRIPTION_MAX_STREAMS = 64,
	DESCRIPTION_MAX_SEGMENTS = 1024,
	DESCRIPTION_MAX_CHANNELS = 65536,
};

struct segments {
	size_t n;
	int64_t frames[DESCRIPTION_MAX_SEGMENTS][2]; /* first frame, number of frames */
	double start_time_s[DESCRIPTION_MAX_SEGMENTS];
};

struct description {
	const char *layout;
	char stream[DATASET_MAX_PATH];
	char streams[DESCRIPTION_MAX_STREAMS][DATASET_MAX_PATH];
	size_t nstreams;
	struct dataset data;
	int time_axis;
	size_t nframes, nchannels;
	double fs_hz;
	char **ids;          /* [nchannels] */
	double *gains_uv, *offsets_uv;
	bool has_uv;
	double *locations;   /* [nchannels][ndim] um, or NULL */
	size_t ndim;
	struct segments segments;
};

/* Which stream, as asked (recording_name); strings may be NULL. */
struct wanted {
	const char *stream, *dataset;
	double fs_hz;
	int time_axis;
	double gain_uv, offset_uv;
};

/* Sets time_axis, nframes and nchannels, and allocates ids "0", "1", ..., gains 1 and offsets 0. CORRUPT without channels. */
enum status description_axes(struct description *d, int time_axis, struct error *e);

/* One segment of all frames. */
void description_one_segment(struct description *d, double start_time_s);

/* 0 < fs <= 1e9, finite. */
bool description_rate_ok(double fs_hz);

#endif
