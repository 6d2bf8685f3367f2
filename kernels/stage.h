/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a pipeline knows of a stage. A stage is one file stage_NAME.c that defines a struct stage_type, a row in the table of stage.c, and the
 * keys it is asked for with in struct stage_spec.
 *
 * A stage has one of three forms:
 *   FORM_FRAMES  in place, each frame by itself: parallel over frames (references, matrices, values)
 *   FORM_CAUSAL  in place, a tile of channels by itself, from frame to frame with a state: parallel over tiles
 *   FORM_BLOCK   from one place to another in blocks of the fixed grid, with `margin` frames before and behind: parallel over tiles
 * All give the same bits however the frames are cut and whoever runs them (kernels/pipeline.h).
 */
#ifndef KERNELS_STAGE_H
#define KERNELS_STAGE_H

#include "kernels/pipeline.h"
#include "kernels/zero_phase.h"

enum stage_form { FORM_FRAMES, FORM_CAUSAL, FORM_BLOCK };

/* A stage with its numbers. */
struct plan_stage {
	const struct stage_type *type;
	enum stage_form form;
	size_t nchannels;
	size_t margin;          /* block: frames read before and behind */
	size_t settle;          /* causal: frames after which a state that began elsewhere has settled */
	bool rounded;           /* what comes out are integers */
	size_t state_bytes;     /* causal: what a tile carries from call to call */
	size_t scratch_bytes;   /* frames and block: for one worker */
	size_t shared_bytes;    /* block: what survey finds, for all tiles of a block */
	size_t table_bytes;
	void *table;            /* what the stage derived from the spec: one aligned_alloc, or NULL */
};

/* What one block reads: frames [0, nread) at x, of which [skip, skip + nwanted) are wanted. Fewer than `margin` frames before or behind these
 * only where the segment begins or ends. x: tile 0; all places are 64-byte aligned. */
struct stage_block {
	const float *x;
	size_t tile_stride, nread, skip, nwanted;
	void *shared;
};

/* Frames in a piece of a frames stage and of a survey: 384 channels of it, as stored and as f32, fit in L2. */
enum { STAGE_PIECE = 64 };

struct stage_type {
	const char *name;       /* as requests have it */
	enum stage_form (*form)(const struct stage_spec *s);

	/* Frames a block reads around itself; causal: frames after which a state that began elsewhere has settled. NULL: 0. The spec need not have
	 * been checked. At most STAGE_MAX_MARGIN. */
	size_t (*margin)(const struct stage_spec *s, double fs_hz);

	/* Checks stage i of the spec and fills in scratch_bytes and the like, and the table; form, margin, nchannels are there. grid: frames of a block.
	 * Nothing in *p points into the spec afterwards. */
	enum status (*plan)(struct plan_stage *p, const struct pipeline_spec *spec, size_t i, size_t grid, struct error *e);

	/* FORM_FRAMES: up to STAGE_PIECE frames of all channels, at x (tile 0). */
	void (*frames)(const struct plan_stage *p, float *x, size_t tile_stride, size_t nframes, void *scratch);

	/* FORM_CAUSAL: the state before the frame at x; nframes frames of a tile. */
	void (*start)(const struct plan_stage *p, void *state, const float *x);
	void (*run)(const struct plan_stage *p, void *state, float *x, size_t nframes);

	/* FORM_BLOCK: the wanted frames of a tile to y. x is not changed. */
	void (*tile)(const struct plan_stage *p, const struct stage_block *b, size_t tile, void *scratch, float *y);
	/* FORM_BLOCK, optional: the same bits from a tile that is still as stored (the frames that are read; b->x is NULL). */
	void (*tile_stored)(const struct plan_stage *p, const struct stage_block *b, const struct stored_tile *in, void *scratch, float *y);
	/* FORM_BLOCK, optional: before the tiles, looks at frames [start, start + n) of what is read, all channels, and writes to b->shared what
	 * belongs to these frames. n <= STAGE_PIECE. */
	void (*survey)(const struct plan_stage *p, const struct stage_block *b, size_t start, size_t n);
};

#define STAGE_MAX_MARGIN ((size_t)1 << 32)

/* NULL if there is no such kind. */
const struct stage_type *stage_type_of(enum stage_kind kind);

/* frames as a margin: 0 for what is no number, up to STAGE_MAX_MARGIN. */
size_t stage_margin(double frames);

/* Five periods, as SpikeInterface reads: trunc(5000 / freq * fs / 1000). */
size_t stage_periods(double freq_hz, double fs_hz);

/* Errors of a plan. The field is "preprocess[stage].key". */
enum status stage_wrong(struct error *e, size_t stage, const char *key, const char *hint, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
/* "freq_min is -1, not above 0" */
enum status stage_wrong_value(struct error *e, size_t stage, const char *key, const char *hint, const char *what, double value);

/* Room for the table, zeroed. STATUS_NO_MEMORY, or STATUS_TOO_LARGE above STAGE_MAX_TABLE, which is also the most that all stages may take. */
enum status stage_table(struct plan_stage *p, size_t stage, size_t count, size_t item, struct error *e);
#define STAGE_MAX_TABLE ((size_t)1 << 28)

/* The rows of the table in stage.c. */
extern const struct stage_type stage_bandpass, stage_highpass, stage_lowpass, stage_bandstop, stage_notch, stage_common_reference,
	stage_phase_shift, stage_neo, stage_scale, stage_center, stage_blank, stage_blank_saturation, stage_silence, stage_interpolate, stage_whiten,
	stage_zscore;

#endif
