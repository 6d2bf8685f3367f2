/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Where a request's samples come from (SPEC.md 4.3): a recording on disk, an array in the message, or an array in the client's memory.
 * After source_open they all look alike: segments of frames, read block by block.
 */
#ifndef DAEMON_SOURCE_H
#define DAEMON_SOURCE_H

#include "daemon/params.h"
#include "daemon/recording/recording.h"
#include "daemon/request.h"
#include "daemon/stage_arrays.h"

/* Frames [start, stop) of one segment. */
struct source_part {
	size_t segment;
	int64_t start, stop;
};

struct source {
	struct request *request;
	struct recording_name name;       /* texts borrowed from the request */
	struct recording *recording;      /* our reference, or NULL for an array */
	const struct array *array;
	int64_t segment, start, stop;     /* as asked; -1: not given */

	size_t nchannels, nsegments;
	double fs_hz;
	enum dtype dtype;
	struct source_part *parts;        /* what the request wants, in order */
	size_t nparts;
	struct stage_arrays arrays;       /* for preprocessing, once they are read */
};

/* Reads the keys of 4.1 and 4.3 and finds the array "traces"; failures stay in `p`. */
void source_parse(struct source *s, struct request *r, struct params *p);

/* May block when it is a recording (STEP_IO). A recording of which only pieces exist is refused, but by source_open_pieces. */
enum status source_open(struct source *s, struct error *e);
enum status source_open_pieces(struct source *s, struct error *e);
void source_close(struct source *s);

/* Lets the spec's frames be microvolts. s is an open recording. */
void source_scale(const struct source *s, struct pipeline_spec *spec);

/* Cuts the parts into ones of at most `nframes`, counted from where each begins. */
enum status source_cut(struct source *s, int64_t nframes, struct error *e);

/* Frames in a segment. */
int64_t source_frames(const struct source *s, size_t segment);

/* All frames that the request wants. */
int64_t source_total(const struct source *s);

/* Bytes of one frame as stored. */
size_t source_frame_bytes(const struct source *s);

/* Copies frames [start, start + nframes) of a segment to dst: [nframes][nchannels] of dtype, C order. Polls the request's cancel flag. */
enum status source_read(struct source *s, size_t segment, int64_t start, size_t nframes, const struct executor *ex, void *dst, struct error *e);

/* Which of those samples were recorded (recording_recorded). */
enum status source_recorded(struct source *s, size_t segment, int64_t start, size_t nframes, const struct executor *ex, uint8_t *dst, struct error *e);

/* The same without a copy, if the frames lie here already (an inline array in C order); NULL otherwise. */
const void *source_view(const struct source *s, size_t segment, int64_t start);

/* Do reads of any few frames cost no more than one long read? Not so where whole chunks are decoded. */
bool source_any_portion(const struct source *s);

/* Does a helper process do the reading? Then source_read belongs on an I/O thread (STEP_IO), so that no lane waits for it. */
bool source_waits(const struct source *s);

/* These frames come next. */
void source_ahead(const struct source *s, size_t segment, int64_t start, size_t nframes);

/* A good number of frames for one read, near `wanted`. */
size_t source_span(const struct source *s, size_t wanted, size_t budget);

/* Adds the time since `start_ns` (clock_ns) to what the request spent reading. */
void source_count_read(struct source *s, uint64_t start_ns);

/* Limits for helper calls under the request's settings. */
struct helper_limits source_helper(const struct request *r);

#endif
