/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The rule `matched_filtering`: where do the traces look like a prototype, spread over the channels as from a source at some depth?
 *
 *	w[z, i, j]    exp(-sqrt(distance(i, j)^2 + z^2) / sigma), f32; divided by its L2 norm over i; 0 where less than 0.5 / sqrt(channels);
 *	              divided by the norm again
 *	conv[z, i, s] sum over j of w[z, i, j] * (sum over k of prototype[k] / |prototype| * x[s + k, j]), in f32, in ascending order of k and j
 *
 * A candidate of channel i and depth z at s has conv >= threshold[z, i], conv > that at s - 1, and conv >= that at s + 1 (PEAK_BOTH: or so has
 * -conv). Of the candidates of a channel at one s the one with the largest conv / threshold stays, of equal ones the shallowest; all others
 * compete as in kernels/exclusive.h. The peak stands at frame s + before. Every s where the prototype overlaps the segment is looked at.
 * Source: SpikeInterface 0.105, sortingcomponents/peak_detection/matched_filtering.py and get_convolution_weights. Different from there: no frame
 * is left out at the ends of a chunk, and candidates of two channels at one s whose values are equal both stay, whatever their depths.
 */
#ifndef KERNELS_MATCHED_H
#define KERNELS_MATCHED_H

#include "kernels/detect.h"

enum { MATCHED_MAX_DEPTHS = 16, MATCHED_MAX_SAMPLES = 4096 };

struct matched_filter_spec {
	size_t nchannels, ndim, length, before, nz; /* before < length <= MATCHED_MAX_SAMPLES, nz <= MATCHED_MAX_DEPTHS */
	const double *places;        /* [nchannels][ndim], um */
	const double *prototype;     /* [length], finite, not all 0 */
	const double *z_um;          /* [nz] */
	double sigma_um;             /* > 0 */
};

struct matched_filter {
	size_t nchannels, length, before, nz;
	float *prototype;            /* [length], of norm 1 */
	size_t *start;               /* [nz * nchannels + 1]: row z * nchannels + i */
	size_t *index;               /* channels j, ascending */
	float *weight;
};

/* Costs nz * nchannels^2 exponentials. */
enum status matched_filter_new(struct matched_filter **out, const struct matched_filter_spec *spec, const struct executor *ex, struct error *e);
void matched_filter_free(struct matched_filter *f);

/* The inner sum for all frames of a slab where the prototype fits, n = nframes - length + 1: rows [nchannels][n]. */
void matched_correlate(const struct matched_filter *f, const struct slab *x, const struct executor *ex, float *rows);

/* The outer sum for one depth: out of n frames. */
void matched_weigh(const struct matched_filter *f, size_t z, const float *rows, size_t n, const struct executor *ex, struct slab *out);

struct matched_spec {
	const struct matched_filter *filter; /* borrowed */
	enum peak_sign sign;                 /* NEG, POS: the prototype has the sign */
	size_t sweep;
	const double *threshold;             /* [nz * nchannels], > 0; copied */
	const size_t *neighbour_start, *neighbour_index; /* as detect_spec */
};

struct matched;
enum status matched_new(struct matched **out, const struct matched_spec *spec, struct error *e);
void matched_free(struct matched *m);
size_t matched_bytes(const struct matched_spec *spec);

/* As detector_step, detector_flush and detector_reset. The depth's index stands in the upper half of each peak's segment_index. Peaks may lie
 * outside the frames given, where the prototype reaches over their ends; their amplitude is 0. */
enum status matched_step(struct matched *m, const struct slab *slab, const struct executor *ex, struct peaks *peaks);
enum status matched_flush(struct matched *m, const struct executor *ex, struct peaks *peaks);
void matched_reset(struct matched *m, int64_t segment_index);

/* Most frames that a peak is found behind its own. */
size_t matched_late(const struct matched_filter *f, size_t sweep);

/* Takes the depth's index off a peak. */
static inline float matched_take_depth(struct peak *p)
{
	const float z = (float)(p->segment_index >> 32);
	p->segment_index &= INT64_C(0xffffffff);
	return z;
}

/* out[lane * stride + t] = sum over k of p[k] * x[t + k][lane], k ascending, for t < n. Same bits on every instruction set, as of all here. */
ISA_DECLARE(void, matched_correlate_tile, const float *x, size_t n, const float *p, size_t length, float *out, size_t stride, size_t nlanes);

/* y += w * x */
ISA_DECLARE(void, matched_add, float *y, const float *x, float w, size_t n);

/* The first of y[from, end) with |y| >= least, else end. */
ISA_DECLARE(size_t, matched_scan, const float *y, size_t from, size_t end, float least);

#endif
