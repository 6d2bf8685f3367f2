/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The second half of SpikeInterface's `locally_exclusive` rule: which candidates of all channels are peaks.
 *
 * Let v = |x| / threshold of the candidate's channel. A candidate i is dropped if another candidate j on a neighbouring channel (its own
 * included), at most `sweep` frames away, has v_j > v_i, or v_j = v_i and stands on an earlier frame. Equal ones on the same frame both stay.
 * It is one contest, not a repeated one: a dropped candidate still drops others. With PEAK_BOTH the signs compete.
 * Source: SpikeInterface 0.105, sortingcomponents/peak_detection/locally_exclusive.py.
 */
#ifndef KERNELS_EXCLUSIVE_H
#define KERNELS_EXCLUSIVE_H

#include "kernels/peaks.h"

struct detect_spec;
struct exclusive;

/* Takes nchannels, sweep, threshold, single and the neighbours from the spec, whose thresholds are already found good. */
enum status exclusive_new(struct exclusive **out, const struct detect_spec *spec, struct error *e);
void exclusive_free(struct exclusive *x);
void exclusive_reset(struct exclusive *x);

/* Bytes of an empty one; what it holds of the last frames comes on top. SIZE_MAX if they do not fit. */
size_t exclusive_bytes(const struct detect_spec *spec);

/* Takes the next candidates, in order of sample, then channel, and appends the peaks that are decided, in the same order. `known`: the
 * candidates of all frames before this one have been given; INT64_MAX at the end of a segment. After a failure only reset or free. */
enum status exclusive_step(struct exclusive *x, const struct peak *candidates, size_t n, int64_t known, struct peaks *peaks);

#endif
