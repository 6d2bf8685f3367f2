/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a request asks of a detection (SPEC.md 4.4), and what follows for the thresholds of a source's channels.
 */
#ifndef DAEMON_DETECTION_H
#define DAEMON_DETECTION_H

#include "daemon/matched_job.h"
#include "daemon/source.h"
#include "kernels/detect.h"
#include "kernels/noise.h"
#include "kernels/pipeline.h"

enum threshold_unit { UNIT_NOISE, UNIT_UV, UNIT_RAW };

struct detection {
	enum detect_method method;
	enum peak_sign sign;
	double threshold, sweep_ms, radius_um;
	enum threshold_unit unit;
	enum noise_method noise;
	bool whole;                    /* noise of all frames, not of samples */
	uint64_t seed;
	double max_threshold;          /* artefact limit, in the unit of the threshold; 0: none */
	double dead_ms, max_rate;      /* max_rate: peaks a second and channel; 0: any */
	struct matched_wanted matched; /* matched_filtering */
	size_t nrows;                  /* noise levels of a channel: one, or one for each depth */
	bool compat;                   /* SpikeInterface's arithmetic and chunks */
	int64_t chunk;                 /* compat: frames of a chunk; 0: a second of them */
	struct pipeline_spec spec;     /* stages */
	const struct array *given;     /* noise levels */
	const struct array *places;    /* channel locations, where they are needed */
};

/* Reads the keys of 4.4 and 4.5 and finds the arrays; failures stay in `p`. places: channel locations are needed whatever the method. */
void detection_parse(struct detection *d, const struct request *r, bool places, struct params *p);

/* Are the traces integers, as stored or as SpikeInterface rounds them? */
bool detection_integers(const struct detection *d, const struct source *s);

/* levels[nrows * nchannels]: those the client gave, or what one unit of the threshold is on each channel. *measure: neither, they must be measured. */
enum status detection_levels(const struct detection *d, const struct source *s, struct request *r, double *levels, bool *measure);

/* The locations the client gave, [nchannels][ndim] (malloc'ed); NULL if it gave none. */
enum status detection_locations(const struct detection *d, const struct source *s, struct request *r, double **locations);

/* thresholds[nrows * nchannels] from levels, in the unit of the traces. A channel without noise gets one that nothing reaches, and a warning names it. */
enum status detection_thresholds(const struct detection *d, const struct source *s, struct request *r, const double *levels, double *thresholds);

/* Does SpikeInterface compare these traces in float32? Levels it measures on float32 traces are float32, and so are their products with the
 * threshold and quotients by it; with integers, or with float64 levels, everything is in double. by_channel takes the product in double always. */
bool detection_single(const struct detection *d, const struct source *s);

#endif
