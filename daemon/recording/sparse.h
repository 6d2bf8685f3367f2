/* SPDX-License-Identifier: BSD-3-Clause
 *
 * BRW 4's event-based storage: the device kept pieces around events only. What lies between was not recorded; it reads as the channel's noise
 * mean, and recording_recorded tells which samples are real.
 *
 * The frames are cut into blocks. A block is a run of records
 *
 *   i4 channel number, i4 nbytes, then nbytes of ranges: i8 from, i8 to, i2 samples[to - from]
 *
 * with from and to in the device's frame numbers, inside the block. Every number in it may be a lie.
 */
#ifndef DAEMON_RECORDING_SPARSE_H
#define DAEMON_RECORDING_SPARSE_H

#include "daemon/recording/helper_call.h"
#include "daemon/recording/recording.h"

struct sparse_block {
	int64_t first_frame;     /* as the device counts */
	int64_t nframes;
	uint64_t start, end;     /* bytes of the stream */
	int64_t at;              /* its first frame in the recording */
};

struct sparse_channel {
	int32_t number;          /* in the records */
	uint32_t column;
};

struct sparse {
	struct recording *bytes; /* the stream: one channel of bytes, in any storage; owned, its descriptor is not */
	size_t nblocks;
	struct sparse_block *blocks;
	struct sparse_channel *channels; /* [nchannels] in order of number */
	int16_t *fill;           /* [nchannels] */
};

/* Frames [from, to) as the device counts, of one block. */
struct sparse_window {
	const struct sparse_channel *channels;
	size_t nchannels;
	int64_t block_first, block_end;
	int64_t from, to;
	int16_t *dst;            /* [to - from][nchannels], filled before; or NULL */
	uint8_t *recorded;       /* the same shape, 0 before; becomes 1 where a sample is stored; or NULL */
};

/* Decodes the bytes of a block into a window. CORRUPT if a record breaks the rules above; nothing outside of the window is written. */
enum status sparse_decode(const struct sparse_window *w, const uint8_t *data, size_t n, struct error *e);

/* Takes the helper's answer for r (its channels and dims are there) and checks it; r->sparse is freed by sparse_free. */
enum status sparse_take(struct recording *r, const struct helper_reply *reply, struct error *e);
void sparse_free(struct sparse *s);

/* Frames [first, first + nframes) of the recording; dst or recorded may be NULL. */
enum status sparse_read(const struct recording *r, int64_t first, size_t nframes, const struct executor *ex, const struct helper_limits *helper,
			const atomic_bool *cancel, int16_t *dst, uint8_t *recorded, struct error *e);

#endif
