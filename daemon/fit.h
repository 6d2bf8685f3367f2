/* SPDX-License-Identifier: BSD-3-Clause
 *
 * How the numbers of a stage are measured: a method is one file fit_NAME.c. fit_job.h drives it: add for each chunk of a pass, then think, which may
 * ask for another pass over the same chunks. Lane threads.
 */
#ifndef DAEMON_FIT_H
#define DAEMON_FIT_H

#include "kernels/pipeline.h"

struct fit_wanted {
	const struct pipeline_spec *spec;  /* as the feed has filled it in; lives as long as the fit */
	size_t stage;
	size_t nchunks, chunk;             /* frames of a chunk */
	size_t nthreads, budget;           /* bytes it may take */
	bool integers;                     /* the frames are integers as stored, which NumPy averages in f64 */
};

struct fit;

/* What think wants next: to be called again, another pass, or nothing. */
enum fit_next { FIT_THINK, FIT_PASS, FIT_DONE };

struct fit_method {
	/* After a failure, too, *out is to be freed (it may be NULL). */
	enum status (*new)(struct fit **out, const struct fit_wanted *wanted, struct error *e);
	void (*free)(struct fit *f);
	enum status (*add)(struct fit *f, const struct slab *chunk, const struct executor *ex, struct error *e);
	/* After a pass; some ms. */
	enum status (*think)(struct fit *f, const struct executor *ex, enum fit_next *next, struct error *e);
	/* What was measured, once done; *n of them. */
	const double *(*numbers)(const struct fit *f, size_t *n);
	/* Copies of the numbers, from now or from the cache, into the stage. */
	enum status (*apply)(struct stage_spec *s, size_t nchannels, const double *numbers, size_t n, struct error *e);
};

/* The same chunks as SpikeInterface: 20 of 0.5 s in each segment. */
enum { FIT_CHUNKS = 20, FIT_MAX_GLOBAL = 1024, FIT_MAX_LOCAL = 256 };
#define FIT_CHUNK_S 0.5

extern const struct fit_method fit_whiten, fit_zscore;

/* [nchannels] MAD or standard deviation, once done. */
const float *fit_zscore_levels(const struct fit *f);

#endif
