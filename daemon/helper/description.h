/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a layout reader (layouts.h, generic.c) finds out about one stream; index.c adds where the bytes lie.
 */
#ifndef DAEMON_HELPER_DESCRIPTION_H
#define DAEMON_HELPER_DESCRIPTION_H

#include "daemon/helper/dataset.h"
#include "daemon/helper/reply.h"

enum {
	DESCRIPTION_MAX_STREAMS = 256,
	DESCRIPTION_MAX_SEGMENTS = 1024,
	DESCRIPTION_MAX_CHANNELS = 65536,
};

struct segments {
	size_t n;
	int64_t frames[DESCRIPTION_MAX_SEGMENTS][2]; /* first frame, number of frames */
	double start_time_s[DESCRIPTION_MAX_SEGMENTS];
};

/* BRW 4's event-based storage (daemon/recording/sparse.h): the dataset is a stream of bytes, cut into blocks of frames. */
struct sparse {
	size_t nblocks;
	int64_t (*blocks)[4]; /* [nblocks] the device's number of the first frame, frames, first byte, byte behind the last */
	int64_t *channels;    /* [nchannels] the number by which records name the channel */
	int64_t *fill;        /* [nchannels] value of samples that were not recorded */
};

struct description {
	const char *layout;
	char stream[DATASET_MAX_PATH];
	char streams[DESCRIPTION_MAX_STREAMS][DATASET_MAX_PATH];
	bool auxiliary[DESCRIPTION_MAX_STREAMS]; /* not a recording of electrodes */
	size_t nstreams;
	bool more_streams;   /* than are listed */
	struct dataset data;
	int time_axis;
	size_t nframes, nchannels;
	double fs_hz;
	char **ids;          /* [nchannels] */
	double *gains_uv, *offsets_uv;
	bool has_uv;
	double *locations;   /* [nchannels][ndim] um, or NULL */
	size_t ndim;
	int64_t *rows;       /* [nchannels] place of each channel on the dataset's channel axis; NULL: 0, 1, 2, ... */
	struct sparse *sparse; /* or NULL */
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

/* The same for n channels that have no axis of their own in the dataset; nframes is then the caller's. */
enum status description_channels(struct description *d, uint64_t n, struct error *e);

/* After description_axes: the channels are these n rows of the dataset, in this order; the list is taken over. CORRUPT with a row outside. */
enum status description_rows(struct description *d, int64_t *rows, size_t n, struct error *e);

/* Id of channel c, from a number. */
enum status description_id(struct description *d, size_t c, long long number, struct error *e);

/* The same scale for all channels: uV = stored * gain + offset; CORRUPT if it is not finite. */
enum status description_scale(struct description *d, double gain_uv, double offset_uv, struct error *e);

/* Room for nchannels locations of ndim numbers. */
enum status description_locations(struct description *d, size_t ndim, struct error *e);

/* The rate as stored; CORRUPT unless description_rate_ok. */
enum status description_rate(struct description *d, double fs_hz, struct error *e);

/* One segment of all frames. */
void description_one_segment(struct description *d, double start_time_s);

/* A segment that starts at `frame` of the dataset; false when there are too many. After the last one, segments_close sets the lengths. */
bool segments_start(struct segments *s, int64_t frame, double start_time_s);
void segments_close(struct segments *s, int64_t nframes);

/* 0 < fs <= 1e9, finite. */
bool description_rate_ok(double fs_hz);

#endif
