/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Copies a block of samples into (frames, channels) rows: crops, transposes and picks channels, never changes a value.
 */
#ifndef DAEMON_RECORDING_COPY_H
#define DAEMON_RECORDING_COPY_H

#include <stddef.h>
#include <stdint.h>

struct copy {
	const void *src;         /* the block's first frame and channel; NULL: fill */
	size_t frame_stride, channel_stride; /* in elements */
	void *dst;               /* row of the first frame */
	size_t row;              /* elements in a row of dst */
	size_t nframes, nchannels;
	const size_t *from, *to; /* [nchannels] channel in src and column in dst; NULL: both count from 0 */
	const void *fill;        /* one element */
	size_t size;             /* of an element: 1, 2, 4, 8 or 16 bytes */
};

void copy_block(const struct copy *c);

#endif
