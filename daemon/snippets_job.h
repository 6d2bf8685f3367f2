/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Waveforms and features of the peaks of a detection (SPEC.md 4.4.1), cut out while the frames pass by. Lane threads; one at a time.
 */
#ifndef DAEMON_SNIPPETS_JOB_H
#define DAEMON_SNIPPETS_JOB_H

#include "daemon/source.h"
#include "kernels/peaks.h"
#include "kernels/slab.h"

enum feature { FEATURE_AMPLITUDE_UV, FEATURE_PTP, FEATURE_WIDTH_MS, FEATURE_CENTER_OF_MASS, FEATURE_TIME_OFFSET, NFEATURES };

struct snippet_window {
	double before_ms, after_ms, radius_um;
	bool sparse;                   /* channels within radius_um only */
	size_t before, after;          /* frames: [peak - before, peak + after) */
};

struct snippets_wanted {
	bool waveforms, scaled;
	struct snippet_window cut;     /* of the waveforms */
	int64_t most;                  /* waveforms; 0: of all peaks */
	bool features[NFEATURES], any;
	struct snippet_window look;    /* of the features */
	uint64_t seed;
	bool gain_given;               /* gain_uV, which an array may have, too */
};

/* Reads the keys of 4.4.1; failures stay in `p`. */
void snippets_parse(struct snippets_wanted *w, struct params *p);

/* Is anything asked for? And does that need to know where the channels are? */
bool snippets_asked(const struct snippets_wanted *w);
bool snippets_need_places(const struct snippets_wanted *w);

/* Turns ms into frames, rounded half to even as SpikeInterface rounds; *reach: most frames on either side of a peak. */
enum status snippets_frames(struct snippets_wanted *w, double fs_hz, int64_t *reach, struct error *e);

struct snippets_setting {
	const double *places;          /* [nchannels][ndim], or NULL; borrowed */
	size_t ndim;
	size_t late;                   /* frames a peak is found late, at most */
	bool offsets;                  /* the traces hold the offset of the stored samples: nothing has been filtered away */
	size_t work_bytes;             /* may be used */
};

struct snippets_job;
enum status snippets_job_new(struct snippets_job **out, struct source *source, const struct snippets_wanted *wanted,
			     const struct snippets_setting *setting, struct error *e);
void snippets_job_free(struct snippets_job *j);

/* Bytes of the result that a peak takes, itself included, waveforms not. */
size_t snippets_job_row(const struct snippets_job *j);

/* The frames that follow are those around a part of the source. */
void snippets_job_seek(struct snippets_job *j, size_t part);

/* The next frames, valid until snippets_job_step says it is done; last: there are no more of this part. */
void snippets_job_show(struct snippets_job *j, const struct slab *slab, bool last);

/* Some megabytes of what can be cut out by now for the new ones of `peaks`, which are in order of time. */
enum status snippets_job_step(struct snippets_job *j, const struct peaks *peaks, const struct executor *ex, bool *done, struct error *e);

/* Adds the arrays to the reply; false: that failed. */
bool snippets_job_reply(struct snippets_job *j, struct request *r);

#endif
