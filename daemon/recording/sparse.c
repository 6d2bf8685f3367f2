/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A block is read whole and decoded for each span that touches it; spans are asked for in order, so few blocks are read twice.
 */
#include "daemon/recording/sparse.h"

#include <stdlib.h>
#include <string.h>

enum { HEAD_BYTES = 8, RANGE_BYTES = 16, MAX_BLOCKS = 1 << 20 };

/* Blocks are read whole; real ones hold seconds. */
static const uint64_t max_block_bytes = (uint64_t)1 << 30;

/* ---- decoding ---- */

static int32_t get_i32(const uint8_t *p)
{
	int32_t x;
	memcpy(&x, p, sizeof x);
	return x;
}

static int64_t get_i64(const uint8_t *p)
{
	int64_t x;
	memcpy(&x, p, sizeof x);
	return x;
}

static enum status damaged(struct error *e, const char *what, size_t at)
{
	return error_set(e, STATUS_CORRUPT, "file", "the file is damaged; copy it again from its source", "event records: %s at byte %zu of a block", what, at);
}

static const struct sparse_channel *find_channel(const struct sparse_window *w, int32_t number)
{
	size_t low = 0, high = w->nchannels;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (w->channels[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < w->nchannels && w->channels[low].number == number ? &w->channels[low] : NULL;
}

/* The part of frames [from, to) that the window wants. */
static void place_range(const struct sparse_window *w, uint32_t column, int64_t from, int64_t to, const uint8_t *samples)
{
	const int64_t start = from > w->from ? from : w->from, stop = to < w->to ? to : w->to;
	for (int64_t f = start; f < stop; f++) {
		const size_t at = (size_t)(f - w->from) * w->nchannels + column;
		if (w->dst)
			memcpy(&w->dst[at], samples + 2 * (f - from), 2);
		if (w->recorded)
			w->recorded[at] = 1;
	}
}

/* Ranges of one channel, data[at, end). */
static enum status decode_ranges(const struct sparse_window *w, uint32_t column, const uint8_t *data, size_t at, size_t end, struct error *e)
{
	while (at < end) {
		if (end - at < RANGE_BYTES)
			return damaged(e, "a range is cut short", at);
		const int64_t from = get_i64(data + at), to = get_i64(data + at + 8);
		if (from < w->block_first || to < from || to > w->block_end)
			return damaged(e, "a range reaches out of its block", at);
		at += RANGE_BYTES;
		if ((uint64_t)(to - from) > (end - at) / 2)
			return damaged(e, "a range has fewer samples than it says", at);
		place_range(w, column, from, to, data + at);
		at += 2 * (size_t)(to - from);
	}
	return STATUS_OK;
}

enum status sparse_decode(const struct sparse_window *w, const uint8_t *data, size_t n, struct error *e)
{
	enum status status = STATUS_OK;
	for (size_t at = 0; at < n && !status;) {
		if (n - at < HEAD_BYTES)
			return damaged(e, "a record is cut short", at);
		const int32_t number = get_i32(data + at), nbytes = get_i32(data + at + 4);
		const struct sparse_channel *channel = find_channel(w, number);
		if (!channel)
			return damaged(e, "a record of a channel that is not stored", at);
		at += HEAD_BYTES;
		if (nbytes < 0 || (size_t)nbytes > n - at)
			return damaged(e, "a record is longer than its block", at);
		status = decode_ranges(w, channel->column, data, at, at + (size_t)nbytes, e);
		at += (size_t)nbytes;
	}
	return status;
}

/* ---- opening ---- */

static int by_number(const void *a, const void *b)
{
	const struct sparse_channel *x = a, *y = b;
	return (x->number > y->number) - (x->number < y->number);
}

static const int64_t *numbers(const struct helper_reply *reply, const char *name, size_t n)
{
	const struct array *a = message_array(&reply->m, name);
	return a && a->dtype == DTYPE_I64 && a->nbytes / sizeof(int64_t) == n ? a->data : NULL;
}

static enum status nonsense(struct error *e, const char *what)
{
	return error_set(e, STATUS_CORRUPT, "file", "the file is probably damaged; copy it again from its source",
			 "the HDF5 helper's answer cannot be used: %s", what);
}

static enum status take_channels(struct sparse *s, const struct recording *r, const struct helper_reply *reply, struct error *e)
{
	const int64_t *channels = numbers(reply, "sparse_channels", r->nchannels), *fill = numbers(reply, "sparse_fill", r->nchannels);
	if (!channels || !fill)
		return nonsense(e, "channels of event records");
	s->channels = calloc(r->nchannels, sizeof *s->channels);
	s->fill = calloc(r->nchannels, sizeof *s->fill);
	if (!s->channels || !s->fill)
		return STATUS_NO_MEMORY;
	for (size_t c = 0; c < r->nchannels; c++) {
		if (channels[c] < INT32_MIN || channels[c] > INT32_MAX || fill[c] < INT16_MIN || fill[c] > INT16_MAX)
			return nonsense(e, "channels of event records");
		s->channels[c] = (struct sparse_channel){ (int32_t)channels[c], (uint32_t)c };
		s->fill[c] = (int16_t)fill[c];
	}
	qsort(s->channels, r->nchannels, sizeof *s->channels, by_number);
	for (size_t c = 1; c < r->nchannels; c++)
		if (s->channels[c].number == s->channels[c - 1].number)
			return error_set(e, STATUS_CORRUPT, "file", NULL, "channel %d is listed twice", s->channels[c].number);
	return STATUS_OK;
}

static enum status take_blocks(struct sparse *s, const struct recording *r, uint64_t nbytes, const struct helper_reply *reply, struct error *e)
{
	const struct array *a = message_array(&reply->m, "sparse_blocks");
	const size_t n = a ? a->nbytes / (4 * sizeof(int64_t)) : 0;
	const int64_t(*from)[4] = (const int64_t(*)[4])numbers(reply, "sparse_blocks", 4 * n);
	int64_t at = 0;
	if (!from || n < 1 || n > MAX_BLOCKS)
		return nonsense(e, "blocks of event records");
	s->blocks = calloc(n, sizeof *s->blocks);
	if (!s->blocks)
		return STATUS_NO_MEMORY;
	s->nblocks = n;
	for (size_t i = 0; i < n; i++) {
		const int64_t *b = from[i];
		if (b[0] < 0 || b[1] < 1 || b[1] > (int64_t)r->dims[0] - at || b[0] > INT64_MAX - b[1] || b[2] < 0 || b[3] < b[2] || (uint64_t)b[3] > nbytes)
			return nonsense(e, "blocks of event records");
		if ((uint64_t)(b[3] - b[2]) > max_block_bytes)
			return error_set(e, STATUS_TOO_LARGE, "file", NULL, "a block of event records has %lld bytes", (long long)(b[3] - b[2]));
		s->blocks[i] = (struct sparse_block){ b[0], b[1], (uint64_t)b[2], (uint64_t)b[3], at };
		at += b[1];
	}
	return at == (int64_t)r->dims[0] ? STATUS_OK : nonsense(e, "blocks of event records");
}

enum status sparse_take(struct recording *r, const struct helper_reply *reply, struct error *e)
{
	const json_t *size = json_object_get(reply->result, "sparse_bytes");
	struct sparse *s = calloc(1, sizeof *s);
	r->sparse = s;
	r->storage = STORAGE_SPARSE;
	if (!s || !(s->bytes = calloc(1, sizeof *s->bytes)))
		return STATUS_NO_MEMORY;
	if (!json_is_integer(size) || json_integer_value(size) < 0 || json_integer_value(size) > INT64_C(1) << 53 || r->dtype != DTYPE_I16 ||
	    r->time_axis != 0 || r->channel_rows)
		return nonsense(e, "event records");
	struct recording *b = s->bytes;
	b->fd = r->fd;
	b->file_size = r->file_size;
	b->dataset = r->dataset;
	b->dtype = DTYPE_U8;
	b->nchannels = 1;
	b->dims[0] = (uint64_t)json_integer_value(size);
	b->dims[1] = 1;
	b->nsegments = 1;
	b->segments[0] = (struct recording_segment){ 0, (int64_t)b->dims[0], 0 };
	enum status status = take_channels(s, r, reply, e);
	if (!status)
		status = take_blocks(s, r, b->dims[0], reply, e);
	if (!status)
		r->chunk_dims[0] = (uint64_t)s->blocks[0].nframes; /* spans of whole blocks, where blocks are alike */
	return status;
}

void sparse_free(struct sparse *s)
{
	if (!s)
		return;
	if (s->bytes)
		free(s->bytes->chunks);
	free(s->bytes);
	free(s->blocks);
	free(s->channels);
	free(s->fill);
	free(s);
}

/* ---- reading ---- */

/* The last block that starts at or before a frame. */
static size_t find_block(const struct sparse *s, int64_t frame)
{
	size_t low = 0, high = s->nblocks;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (s->blocks[middle].at <= frame)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static enum status read_block(const struct recording *r, const struct sparse_block *b, const struct sparse_window *w, const struct executor *ex,
			      const struct helper_limits *helper, const atomic_bool *cancel, struct error *e)
{
	const size_t n = (size_t)(b->end - b->start);
	uint8_t *data = malloc(n ? n : 1);
	if (!data)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for a block of %zu bytes", n);
	enum status status = recording_read(r->sparse->bytes, 0, (int64_t)b->start, n, ex, helper, cancel, data, e);
	if (!status)
		status = sparse_decode(w, data, n, e);
	free(data);
	return status;
}

enum status sparse_read(const struct recording *r, int64_t first, size_t nframes, const struct executor *ex, const struct helper_limits *helper,
			const atomic_bool *cancel, int16_t *dst, uint8_t *recorded, struct error *e)
{
	const struct sparse *s = r->sparse;
	const size_t n = r->nchannels;
	const int64_t end = first + (int64_t)nframes;
	enum status status = STATUS_OK;
	for (size_t f = 0; dst && f < nframes; f++)
		memcpy(dst + f * n, s->fill, n * sizeof *dst);
	if (recorded)
		memset(recorded, 0, nframes * n);
	for (size_t i = find_block(s, first); i < s->nblocks && s->blocks[i].at < end && !status; i++) {
		const struct sparse_block *b = &s->blocks[i];
		const int64_t from = first > b->at ? first : b->at, to = end < b->at + b->nframes ? end : b->at + b->nframes;
		const size_t skip = (size_t)(from - first) * n;
		const struct sparse_window w = { .channels = s->channels, .nchannels = n, .block_first = b->first_frame,
						 .block_end = b->first_frame + b->nframes, .from = b->first_frame + (from - b->at),
						 .to = b->first_frame + (to - b->at), .dst = dst ? dst + skip : NULL,
						 .recorded = recorded ? recorded + skip : NULL };
		status = read_block(r, b, &w, ex, helper, cancel, e);
	}
	return status;
}
