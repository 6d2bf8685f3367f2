/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A pipeline: frames as stored go in, preprocessed frames come out. The only way samples flow, for streams and for files.
 *
 * The invariant: however a segment is cut into chunks, and however many threads run, the frames that come out are the same bits.
 *   stages of frames (references, matrices, values) know nothing but the frame;
 *   causal stages (filters) carry their state from chunk to chunk;
 *   stages of blocks (zero-phase filters, delays, energy, saturation) work on a fixed grid of blocks that starts at frame 0 of the segment. A
 *   zero-phase filter takes a block forward and backward from `margin` frames before it to `margin` frames behind it (clipped to the
 *   segment), and others need as little, so it depends on nothing else; such a stage holds frames back until it has seen them all.
 *
 * The grid is the least power of two that is 4096 frames or more and at least twice the largest margin of the spec's stages of blocks,
 * which all share it; margin = trunc(5000 / freq_min * fs / 1000) frames (SpikeInterface's five periods: 500 at 300 Hz of 30 kHz; other kinds
 * of filters: stage_filter.c). At both ends of what is read, a block is extended as scipy.signal.sosfiltfilt does it (odd, or by as many
 * frames as there are to mirror when the read is too short) and each pass starts in the steady state of its first sample; a causal stage starts in the steady state of the
 * first frame it is given, so that an offset makes no transient.
 *
 * Part of a segment: a pipeline that starts at first_frame > 0 gives only frames that are right, that is the bits they would have from
 * the whole segment. Each stage of blocks gives its first block whose left margin it has seen whole, and what comes before is dropped
 * (out->first_frame tells where the output begins); and when the frames end before segment_frames does, the blocks that would need
 * the rest do not come. pipeline_span says what to push. Causal stages are right only from frame 0 of the segment on.
 *
 * Pieces: with spec.piece_frames the pipeline does without the grid, as SpikeInterface does. What is pushed from pipeline_reset_piece to the flush is
 * one piece. Each stage of blocks takes the frames that are wanted of it and `margin` more at both ends (up to those of the segment) at once, so the
 * frames depend, within the filter's edge tolerance, on where the piece was cut. They come out at the flush.
 *
 * NaN and infinity: a zero-phase filter carries them to the whole block that has read one, a causal one to all that follows in that channel, a
 * reference or matrix to the channels of the frame that take part, a delay or smoothed energy as far as its taps reach. The invariant holds up
 * to which NaN it is (sign and payload).
 *
 * Stages see the frames as a slab (f32). Each is parallel along one axis: filters over tiles of channels, references over frames.
 * A pipeline serves one segment at a time and is not thread-safe; the executor's threads work inside a call only.
 */
#ifndef KERNELS_PIPELINE_H
#define KERNELS_PIPELINE_H

#include "kernels/design.h"
#include "kernels/executor.h"
#include "kernels/slab.h"
#include "protocol/dtype.h"
#include "protocol/error.h"

enum stage_kind {
	STAGE_BANDPASS, STAGE_HIGHPASS, STAGE_LOWPASS, STAGE_BANDSTOP, STAGE_NOTCH,
	STAGE_COMMON_REFERENCE, STAGE_PHASE_SHIFT, STAGE_NEO, STAGE_SCALE, STAGE_CENTER, STAGE_BLANK, STAGE_BLANK_SATURATION,
	STAGE_SILENCE, STAGE_INTERPOLATE, STAGE_WHITEN, STAGE_ZSCORE,
	STAGE_KINDS
};
enum reference_operator { REFERENCE_MEDIAN, REFERENCE_AVERAGE };
enum reference_scope { REFERENCE_GLOBAL, REFERENCE_SINGLE, REFERENCE_LOCAL, REFERENCE_GROUPS };

enum { PIPELINE_MAX_STAGES = 16, FILTER_MAX_ORDER = 8 };

/* Channels by their indices, each at most once. */
struct channel_list {
	size_t n;
	const uint32_t *at;
};

/* Numbers for the channels: one for all, or one for each. */
struct channel_values {
	size_t n;                        /* 1 or nchannels */
	const double *at;
};

/* How a stage's numbers are to be measured on the data, before there is a pipeline: pipelines look at the numbers only. */
struct stage_fit {
	bool wanted;
	bool robust;                     /* zscore: median and MAD, otherwise mean and standard deviation */
	bool local, mean;                /* whiten: of the channels around each; take the mean away */
	double radius_um, eps;           /* whiten: how far around; eps 0: by SpikeInterface's rule */
	uint64_t seed;
};

/* What a pointer leads to is read by pipeline_new and pipeline_bytes only. */
struct stage_spec {
	enum stage_kind kind;

	/* Filters (kernels/design.h) */
	enum filter_family family;       /* not of a notch */
	double freq_min_hz, freq_max_hz; /* 0 < freq_min < freq_max < fs/2; a notch has its centre in freq_min */
	int order;                       /* 1..FILTER_MAX_ORDER, of the prototype */
	double ripple_db, attenuation_db, q;
	enum bessel_norm norm;
	bool zero_phase;                 /* forward and backward on the fixed grid */

	/* Common reference */
	enum reference_operator op;
	enum reference_scope scope;
	struct channel_list channels;    /* global: the reference's (none listed: all); single: the one; silence, interpolate: those */
	struct channel_list excluded;    /* never part of a reference */
	struct channel_list grouped;     /* groups: their channels, one group behind the other, ... */
	size_t ngroups;
	const size_t *group_sizes;       /* ... of so many channels each */
	double radius_um[2];             /* local: farther away than the first and at most the second */

	/* Others */
	double window_ms;                /* neo: of the smoothing, 0: none */
	struct channel_values gain;      /* scale, zscore */
	struct channel_values value;     /* scale, zscore: the offset; center, whiten: what is taken away; blank, blank_saturation: what is put in */
	double level, slope, fraction;   /* blank, blank_saturation; slope 0: not looked at */
	bool microvolts;                 /* level and slope are, otherwise in the unit of the samples */
	double before_ms, after_ms;      /* blank_saturation */
	double sigma_um, p;              /* interpolate; sigma 0: from the locations */
	const double *matrix;            /* whiten: [nchannels][nchannels] if it was measured; otherwise the pipeline's */
	struct stage_fit fit;            /* whiten, zscore */
};

struct pipeline_spec {
	size_t nchannels;                /* >= 1 */
	double fs_hz;                    /* > 0, finite */
	enum dtype dtype;                /* of the frames that go in: integers to 64 bits, F32, F64 */
	const double *gain, *offset;     /* [nchannels], y = x * gain + offset in f64 then rounded to f32; both NULL: raw values */
	const double *gain_uv, *offset_uv; /* [nchannels] from frames as stored to microvolts; NULL: not known */
	const double *locations;         /* [nchannels][ndim] um, finite; NULL: not known */
	size_t ndim;
	const double *inter_sample_shift; /* [nchannels] frames, finite: when a channel is sampled; NULL: not known */
	const double *whiten_matrix;     /* [nchannels][nchannels], finite; NULL: not given */
	size_t nstages;
	struct stage_spec stages[PIPELINE_MAX_STAGES];
	int64_t first_frame;             /* where in the segment the first frame stands that will be pushed; 0 for a whole segment */
	int64_t segment_frames;          /* frames in the segment if known, else -1; only used to clip margins */
	bool exact;                      /* SpikeInterface's arithmetic: int16 frames are integers again after each stage, filters are those of
	                                    kernels/exact.h. For int16 and float32 frames without gain, and zero-phase filters */
	size_t piece_frames;             /* most frames of a piece, with its margins; 0: the grid */
};

struct pipeline;

/* Checks the spec (errors name the stage and the field: "preprocess[1].freq_max") and allocates all state.
 * max_chunk: most frames one step consumes, 1..2^20. STATUS_INVALID, or STATUS_NO_MEMORY. */
enum status pipeline_new(struct pipeline **out, const struct pipeline_spec *spec, size_t max_chunk, struct error *e);
void pipeline_free(struct pipeline *p);

/* Bytes that pipeline_new would allocate for this spec, so that a budget can refuse it first; SIZE_MAX if it overflows,
 * 0 if the spec is wrong. */
size_t pipeline_bytes(const struct pipeline_spec *spec, size_t max_chunk);

/* What a request (or, with piece_frames, a piece) must read: push [*from, *to), with first_frame = *from and segment_frames told, and the output
 * holds at least [start, stop), 0 <= start <= stop <= segment_frames. settled: causal stages need not start
 * at frame 0 but may as long before as their state takes to settle. */
void pipeline_span(const struct pipeline_spec *spec, int64_t start, int64_t stop, int64_t segment_frames, bool settled, int64_t *from,
		   int64_t *to);

/* The piece_frames that pieces of `nframes` wanted frames need, with causal stages settled. */
size_t pipeline_piece(const struct pipeline_spec *spec, size_t nframes);

/* Consumes 1 to max_chunk (0 if nframes is 0) of `nframes` frames at `frames` (C order, nchannels values of dtype each, any alignment).
 * *consumed: how many; call again with the rest. *out: the frames that are ready, valid until the next call; may hold 0 frames.
 * No allocation, no I/O. */
void pipeline_step(struct pipeline *p, const void *frames, size_t nframes, const struct executor *ex, size_t *consumed, struct slab *out);

/* Where the caller may put the next frames itself, up to *nframes of them, and then pass that address to pipeline_step: saves a copy of all
 * samples. NULL if frames are converted as they arrive. Valid until the next call. */
void *pipeline_room(struct pipeline *p, const struct executor *ex, size_t *nframes);

/* The segment has ended: call until *out holds 0 frames. Afterwards only pipeline_reset and pipeline_free. */
void pipeline_flush(struct pipeline *p, const struct executor *ex, struct slab *out);

/* Back to the state after pipeline_new, for a segment (part) that starts at first_frame. */
void pipeline_reset(struct pipeline *p, int64_t first_frame, int64_t segment_frames);

/* The same for a piece of which [start, stop) is wanted; push what pipeline_span says, with causal stages settled. */
void pipeline_reset_piece(struct pipeline *p, int64_t start, int64_t stop, int64_t segment_frames);

#endif
