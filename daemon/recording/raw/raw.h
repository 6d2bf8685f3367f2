/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Recordings whose samples lie in a flat file, int16 (frames, channels), and whose meaning in a text file beside it: SpikeGLX (.bin, .meta) and
 * Open Ephys (structure.oebin). The text is as hostile as any file: the parsers are pure, and what they return fits together, whatever came in.
 */
#ifndef DAEMON_RECORDING_RAW_RAW_H
#define DAEMON_RECORDING_RAW_RAW_H

#include "daemon/recording/recording.h"

enum { RAW_MAX_CHANNELS = 65536, RAW_MAX_TEXT = 8 << 20, RAW_MAX_WARNINGS = 8 };

/* Channels of one data file that belong together. */
struct raw_stream {
	char name[256];
	char folder[256];           /* Open Ephys: below continuous/ */
	bool neural;                /* what is meant when no stream is named */
	bool has_uv;
	double fs_hz;
	size_t nstored;             /* channels in the data file */
	size_t nchannels, *rows;    /* [nchannels] where in a frame */
	char (*ids)[64];            /* [nchannels] */
	double *gains_uv;           /* [nchannels] */
	double *locations;          /* [nchannels][2] um, or NULL */
	double *shifts;             /* [nchannels] of a sample period, or NULL */
};

/* What the text says. */
struct raw_side {
	struct raw_stream streams[RECORDING_MAX_STREAMS];
	size_t nstreams;
	uint64_t data_bytes;        /* 0: it does not say */
	double start_time_s;
	char warnings[RAW_MAX_WARNINGS][160];
	size_t nwarnings;
};

/* n bytes of text, the name of the data file (for the stream's name). On failure too the caller calls raw_side_fini. */
enum status raw_spikeglx_parse(const char *text, size_t n, const char *file, struct raw_side *side, struct error *e);
enum status raw_open_ephys_parse(const char *text, size_t n, struct raw_side *side, struct error *e);
void raw_side_fini(struct raw_side *side);

/* Appends a stream of that many channels, all of them zero; NULL: too many, or no memory (*e says). */
struct raw_stream *raw_add_stream(struct raw_side *side, size_t nchannels, struct error *e);
void raw_warn(struct raw_side *side, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Segments from the number of each sample, as Open Ephys stores them (int64 .npy): a step other than 1 begins a new one. *nframes, the
 * frames of the data file, becomes the number of those that have a number; more numbers than frames: the data were cut, CORRUPT. */
enum status raw_segments_from_numbers(struct recording *r, int fd, uint64_t *nframes, struct error *e);

/* Value number `index` of a .npy of float64; false if there is none, or none that is finite. */
bool raw_npy_double(int fd, uint64_t index, double *value);

/* Is the file one of ours? Then *mine is set and r describes its data file: r->fd, r->file and r->side_file. Otherwise nothing has changed. */
enum status raw_open(struct recording *r, const struct recording_name *name, bool *mine, struct error *e);

#endif
