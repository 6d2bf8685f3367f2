/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Three ways to samples, all cut into independent pieces:
 *
 *   contiguous   pread straight into the result where it is stored as (frames, channels), else tiles that are transposed
 *   chunked      one piece for each chunk, or for a few narrow ones: pread, undo filters, crop and transpose into the result
 *   helper       one helper process for each piece of about 16 MiB, for what only libhdf5 can decode
 *
 * and sparse.c, which takes bytes in one of these ways and decodes event records.
 */
#include "daemon/recording/copy.h"
#include "daemon/recording/helper_call.h"
#include "daemon/recording/pieces.h"
#include "daemon/recording/sparse.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { RUN_BYTES = 512 << 10, TILE_BYTES = 1 << 20, HELPER_BYTES = 16 << 20, REPLY_SLACK = 1 << 20 };
enum { LINE_BYTES = 64, GROUP = 64, GROUP_BYTES = 64 << 20, GROUP_FRAMES = 256 };

struct job {
	const struct recording *r;
	const struct helper_limits *helper;
	uint64_t first;         /* frame of the dataset */
	size_t nframes;
	uint8_t *dst;           /* [nframes][nchannels] */
	size_t size, row_bytes; /* of an element, of a frame in dst */
	size_t piece;           /* frames in a piece (contiguous, helper) or bytes (runs) */
	uint64_t grid_row;      /* chunked: first row of chunks along time */
	size_t *grid_columns, ncolumns; /* columns of chunks that hold wanted channels */
	size_t group;           /* columns that one piece takes */
};

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Channels of the dataset, wanted or not. */
static uint64_t stored_channels(const struct recording *r)
{
	return r->dims[1 - r->time_axis];
}

/* A block of the dataset, channels [c0, c1), cropped and placed; frames from `frame` of the job on. NULL src: fill. */
static enum status place(const struct job *j, struct chunk_scratch *s, const void *src, size_t frame_stride, size_t channel_stride, size_t frame,
			 size_t nframes, uint64_t c0, uint64_t c1, struct error *e)
{
	const struct recording *r = j->r;
	struct copy c = { .src = src, .frame_stride = frame_stride, .channel_stride = channel_stride, .row = r->nchannels, .nframes = nframes,
			  .nchannels = c1 - c0, .fill = r->fill, .size = j->size };
	c.dst = j->dst + frame * j->row_bytes;
	if (!r->channel_rows) {
		c.dst = (uint8_t *)c.dst + c0 * j->size;
		copy_block(&c);
		return STATUS_OK;
	}
	if (!s->from)
		s->from = malloc(r->nchannels * sizeof *s->from);
	if (!s->to)
		s->to = malloc(r->nchannels * sizeof *s->to);
	if (!s->from || !s->to)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for a list of channels");
	c.nchannels = 0;
	for (size_t k = 0; k < r->nchannels; k++)
		if (r->channel_rows[k] >= c0 && r->channel_rows[k] < c1) {
			s->from[c.nchannels] = r->channel_rows[k] - c0;
			s->to[c.nchannels++] = k;
		}
	c.from = s->from;
	c.to = s->to;
	copy_block(&c);
	return STATUS_OK;
}

/* ---- contiguous ---- */

static enum status run_piece(void *arg, size_t i, struct chunk_scratch *s, struct error *e)
{
	const struct job *j = arg;
	size_t at = i * j->piece, total = j->nframes * j->row_bytes;
	(void)s;
	return chunk_pread(j->r, j->dst + at, min_size(j->piece, total - at), j->r->address + j->first * j->row_bytes + at, e);
}

/* (channels, frames): one short read for each channel, then a transposed tile. */
static enum status read_tile_rows(const struct job *j, uint8_t *tile, uint64_t from, size_t n, struct error *e)
{
	const struct recording *r = j->r;
	enum status status = STATUS_OK;
	for (size_t k = 0; k < r->nchannels && !status; k++) {
		uint64_t row = r->channel_rows ? r->channel_rows[k] : k;
		status = chunk_pread(r, tile + k * n * j->size, n * j->size, r->address + (row * r->dims[1] + from) * j->size, e);
	}
	return status;
}

static enum status tile_piece(void *arg, size_t i, struct chunk_scratch *s, struct error *e)
{
	const struct job *j = arg;
	const struct recording *r = j->r;
	size_t frame = i * j->piece, n = min_size(j->piece, j->nframes - frame);
	uint64_t nstored = stored_channels(r);
	size_t width = r->time_axis == 0 ? nstored : r->nchannels;
	if (!codec_reserve(&s->work[0], &s->nwork[0], n * width * j->size))
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for a tile of samples");
	if (r->time_axis == 1) {
		const struct copy c = { .src = s->work[0], .frame_stride = 1, .channel_stride = n, .dst = j->dst + frame * j->row_bytes, .row = r->nchannels,
					.nframes = n, .nchannels = r->nchannels, .size = j->size };
		enum status status = read_tile_rows(j, s->work[0], j->first + frame, n, e);
		if (!status)
			copy_block(&c);
		return status;
	}
	enum status status = chunk_pread(r, s->work[0], n * nstored * j->size, r->address + (j->first + frame) * nstored * j->size, e);
	if (!status)
		status = place(j, s, s->work[0], nstored, 1, frame, n, 0, nstored, e);
	return status;
}

static enum status read_contiguous(struct job *j, struct pieces *p, const struct executor *ex, struct error *e)
{
	const struct recording *r = j->r;
	if (r->time_axis == 0 && !r->channel_rows) {
		size_t total = j->nframes * j->row_bytes;
		j->piece = RUN_BYTES;
		p->work = run_piece;
		return pieces_run(p, total / j->piece + (total % j->piece != 0), ex, e);
	}
	uint64_t widest = stored_channels(r) > r->nchannels ? stored_channels(r) : r->nchannels;
	j->piece = TILE_BYTES / (widest * j->size);
	if (j->piece < 64)
		j->piece = 64;
	p->work = tile_piece;
	return pieces_run(p, j->nframes / j->piece + (j->nframes % j->piece != 0), ex, e);
}

/* ---- chunked ---- */

/* One chunk as far as the job wants it: frames [f0, f1), channels [c0, c1) of the dataset. */
struct part {
	size_t index;           /* in the chunk table */
	uint64_t top;           /* its first frame */
	uint64_t f0, f1, c0, c1;
	bool edge;              /* it reaches past the dataset */
	const uint8_t *data;    /* decoded; NULL: missing */
};

static struct part find_part(const struct job *j, uint64_t row, uint64_t column)
{
	const struct recording *r = j->r;
	const int t = r->time_axis;
	const uint64_t nt = r->chunk_dims[t], nc = r->chunk_dims[1 - t], columns = r->dims[1] / r->chunk_dims[1] + (r->dims[1] % r->chunk_dims[1] != 0);
	const uint64_t left = column * nc, last = j->first + j->nframes;
	struct part p = { .index = t == 0 ? row * columns + column : column * columns + row, .top = row * nt, .c0 = left };
	p.f0 = p.top > j->first ? p.top : j->first;
	p.f1 = last - p.top < nt ? last : p.top + nt;
	p.c1 = stored_channels(r) - left < nc ? stored_channels(r) : left + nc;
	p.edge = r->dims[t] - p.top < nt || stored_channels(r) - left < nc;
	return p;
}

/* Frames [f0, f1) of a decoded chunk, into the result. */
static enum status place_part(const struct job *j, struct chunk_scratch *s, const struct part *p, uint64_t f0, uint64_t f1, struct error *e)
{
	const struct recording *r = j->r;
	const size_t frame_stride = r->time_axis == 0 ? r->chunk_dims[1] : 1, channel_stride = r->time_axis == 0 ? 1 : r->chunk_dims[1];
	const uint8_t *src = p->data ? p->data + (f0 - p->top) * frame_stride * j->size : NULL;
	return place(j, s, src, frame_stride, channel_stride, f0 - j->first, f1 - f0, p->c0, p->c1, e);
}

static enum status single_chunk(const struct job *j, struct part *p, struct chunk_scratch *s, struct error *e)
{
	const struct recording *r = j->r;
	const uint64_t nt = r->chunk_dims[r->time_axis], nc = r->chunk_dims[1 - r->time_axis];
	/* It may be, byte for byte, a piece of the result. */
	const bool whole = r->time_axis == 0 && !r->channel_rows && nc == r->nchannels && !p->edge && p->f0 == p->top && p->f1 - p->f0 == nt;
	enum status status = STATUS_OK;
	if (r->chunks[p->index].nbytes != 0)
		status = chunk_decode(r, p->index, p->edge, s, whole ? j->dst + (p->f0 - j->first) * j->row_bytes : NULL, &p->data, e);
	if (status || (whole && p->data))
		return status;
	return place_part(j, s, p, p->f0, p->f1, e);
}

/* Narrow chunks of the same frames: all are decoded, then the result is written in whole cache lines. One by one they would pass over it once
 * for each channel, and two threads would fight for its lines: 2 to 4 times slower (chunks of one channel). */
static enum status chunk_group(const struct job *j, uint64_t row, const size_t *columns, size_t n, struct chunk_scratch *s, struct error *e)
{
	const struct recording *r = j->r;
	struct part parts[GROUP];
	const size_t nbytes = chunk_bytes(r);
	enum status status = STATUS_OK;
	if (!codec_reserve(&s->group, &s->ngroup, n * nbytes))
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for %zu chunks of %zu bytes", n, nbytes);
	for (size_t k = 0; k < n && !status; k++) {
		parts[k] = find_part(j, row, columns[k]);
		if (r->chunks[parts[k].index].nbytes != 0)
			status = chunk_decode(r, parts[k].index, parts[k].edge, s, s->group + k * nbytes, &parts[k].data, e);
	}
	if (status)
		return status;
	const uint64_t f1 = parts[0].f1;
	for (uint64_t f = parts[0].f0; f < f1 && !status; f += GROUP_FRAMES)
		for (size_t k = 0; k < n && !status; k++)
			status = place_part(j, s, &parts[k], f, f1 - f < GROUP_FRAMES ? f1 : f + GROUP_FRAMES, e);
	return status;
}

static enum status chunk_piece(void *arg, size_t i, struct chunk_scratch *s, struct error *e)
{
	const struct job *j = arg;
	const size_t ngroups = j->ncolumns / j->group + (j->ncolumns % j->group != 0), first = i % ngroups * j->group;
	const uint64_t row = j->grid_row + i / ngroups;
	if (j->group > 1)
		return chunk_group(j, row, j->grid_columns + first, min_size(j->group, j->ncolumns - first), s, e);
	struct part p = find_part(j, row, j->grid_columns[first]);
	return single_chunk(j, &p, s, e);
}

/* How many chunks side by side fill a cache line of the result; 1 for chunks that are wide, large, or missing altogether. */
static size_t group_size(const struct job *j)
{
	const size_t width = j->r->chunk_dims[1 - j->r->time_axis] * j->size, nbytes = chunk_bytes(j->r);
	size_t n = width < LINE_BYTES ? LINE_BYTES / width : 1;
	if (nbytes == 0 || nbytes > GROUP_BYTES)
		return 1;
	n = min_size(n, GROUP_BYTES / nbytes);
	return min_size(n, GROUP);
}

/* The columns of chunks (along the channel axis) that hold at least one wanted channel. */
static bool wanted_columns(struct job *j)
{
	const struct recording *r = j->r;
	uint64_t nc = r->chunk_dims[1 - r->time_axis], n = stored_channels(r) / nc + (stored_channels(r) % nc != 0);
	j->grid_columns = malloc(n * sizeof *j->grid_columns);
	bool *wanted = calloc(n, sizeof *wanted);
	if (!j->grid_columns || !wanted) {
		free(wanted);
		return false;
	}
	for (size_t k = 0; k < r->nchannels; k++)
		wanted[(r->channel_rows ? r->channel_rows[k] : k) / nc] = true;
	for (size_t i = 0; i < n; i++)
		if (wanted[i])
			j->grid_columns[j->ncolumns++] = i;
	free(wanted);
	return true;
}

static enum status read_chunked(struct job *j, struct pieces *p, const struct executor *ex, struct error *e)
{
	uint64_t nt = j->r->chunk_dims[j->r->time_axis];
	if (!wanted_columns(j))
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for a list of chunks");
	j->grid_row = j->first / nt;
	uint64_t nrows = (j->first + j->nframes - 1) / nt - j->grid_row + 1;
	j->group = group_size(j);
	p->work = chunk_piece;
	return pieces_run(p, nrows * (j->ncolumns / j->group + (j->ncolumns % j->group != 0)), ex, e);
}

/* ---- by the helper ---- */

static enum status helper_piece(void *arg, size_t i, struct chunk_scratch *s, struct error *e)
{
	const struct job *j = arg;
	const struct recording *r = j->r;
	/* Pieces end where chunks end. */
	uint64_t origin = j->first / j->piece * j->piece, from = origin + i * j->piece, to = from + j->piece, last = j->first + j->nframes;
	from = from < j->first ? j->first : from;
	to = to > last ? last : to;
	const size_t n = to - from;
	const uint64_t nstored = stored_channels(r);
	struct helper_reply reply;
	json_t *params = json_pack("{s:s, s:s, s:i, s:I, s:I, s:I}", "dataset", r->dataset, "dtype", dtype_name(r->dtype), "axis", r->time_axis, "flat",
				   (json_int_t)(r->flat ? nstored : 0), "start", (json_int_t)from, "count", (json_int_t)n);
	json_t *filters = json_array();
	for (size_t k = 0; k < r->nfilters; k++)
		json_array_append_new(filters, json_integer(r->filters[k].id));
	json_object_set_new(params, "filters", filters);
	if (j->helper->plugin_path)
		json_object_set_new(params, "plugin_path", json_string(j->helper->plugin_path));
	enum status status = helper_ask_json(j->helper, "read", r->fd, params, n * nstored * j->size + REPLY_SLACK, &reply, e);
	if (status)
		return status;
	const struct array *a = message_array(&reply.m, "data");
	if (!a || a->dtype != r->dtype || a->nbytes != n * nstored * j->size)
		status = error_set(e, STATUS_CORRUPT, "file", NULL, "the HDF5 helper returned another shape of %.150s than it announced", r->dataset);
	else
		status = place(j, s, a->data, r->time_axis == 0 ? nstored : 1, r->time_axis == 0 ? 1 : n, from - j->first, n, 0, nstored, e);
	helper_reply_fini(&reply);
	return status;
}

static enum status read_by_helper(struct job *j, struct pieces *p, const struct executor *ex, struct error *e)
{
	uint64_t nt = j->r->chunk_dims[j->r->time_axis], width = stored_channels(j->r) * j->size, wanted = HELPER_BYTES / width;
	j->piece = wanted ? wanted : 1;
	if (nt && nt < 2 * wanted)
		j->piece = nt > wanted ? nt : wanted / nt * nt;
	uint64_t origin = j->first / j->piece * j->piece, total = j->first + j->nframes - origin;
	p->work = helper_piece;
	return pieces_run(p, total / j->piece + (total % j->piece != 0), ex, e);
}

/* ---- */

static enum status check_range(const struct recording *r, size_t segment, int64_t start, size_t nframes, struct error *e)
{
	if (segment >= r->nsegments)
		return error_set(e, STATUS_INVALID, "segment", NULL, "segment %zu of a recording that has %zu", segment, r->nsegments);
	int64_t n = r->segments[segment].nframes;
	if (start < 0 || start > n || nframes > (uint64_t)(n - start))
		return error_set(e, STATUS_INVALID, "stop", NULL, "frames %lld to %lld of a segment of %lld", (long long)start,
				 (long long)start + (long long)nframes, (long long)n);
	return STATUS_OK;
}

enum status recording_read(const struct recording *r, size_t segment, int64_t start, size_t nframes, const struct executor *ex,
			   const struct helper_limits *helper, const atomic_bool *cancel, void *dst, struct error *e)
{
	enum status status = check_range(r, segment, start, nframes, e);
	if (status || nframes == 0)
		return status;
	if (r->storage == STORAGE_SPARSE)
		return sparse_read(r, r->segments[segment].first_frame + start, nframes, ex, helper, cancel, dst, NULL, e);
	struct job j = { .r = r, .helper = helper, .first = (uint64_t)(r->segments[segment].first_frame + start), .nframes = nframes, .dst = dst,
			 .size = dtype_size(r->dtype) };
	j.row_bytes = r->nchannels * j.size;
	struct pieces p = { .arg = &j, .cancel = cancel };
	if (r->storage == STORAGE_CONTIGUOUS)
		status = read_contiguous(&j, &p, ex, e);
	else if (r->storage == STORAGE_CHUNKED)
		status = read_chunked(&j, &p, ex, e);
	else
		status = read_by_helper(&j, &p, ex, e);
	free(j.grid_columns);
	return status;
}

enum status recording_recorded(const struct recording *r, size_t segment, int64_t start, size_t nframes, const struct executor *ex,
			       const struct helper_limits *helper, const atomic_bool *cancel, uint8_t *dst, struct error *e)
{
	enum status status = check_range(r, segment, start, nframes, e);
	if (status || nframes == 0)
		return status;
	if (r->storage == STORAGE_SPARSE)
		return sparse_read(r, r->segments[segment].first_frame + start, nframes, ex, helper, cancel, NULL, dst, e);
	memset(dst, 1, nframes * r->nchannels);
	return STATUS_OK;
}

/* The bytes of all chunks in the rows of chunks that hold frames [first, last), if they lie together. */
static bool chunk_extent(const struct recording *r, uint64_t first, uint64_t last, uint64_t *from, uint64_t *to)
{
	const int t = r->time_axis;
	const uint64_t nt = r->chunk_dims[t], rows = r->dims[t] / nt + (r->dims[t] % nt != 0), columns = r->nchunks / rows;
	uint64_t stored = 0;
	*from = UINT64_MAX;
	*to = 0;
	for (uint64_t row = first / nt; row <= (last - 1) / nt; row++)
		for (uint64_t column = 0; column < columns; column++) {
			const struct recording_chunk *c = &r->chunks[t == 0 ? row * columns + column : column * rows + row];
			if (!c->nbytes)
				continue;
			stored += c->nbytes;
			*from = c->address < *from ? c->address : *from;
			*to = c->address + c->nbytes > *to ? c->address + c->nbytes : *to;
		}
	return stored && *to - *from <= 2 * stored;
}

void recording_ahead(const struct recording *r, size_t segment, int64_t start, size_t nframes)
{
	const struct recording_segment *s = &r->segments[segment];
	uint64_t from = 0, to = 0;
	if (start >= s->nframes || nframes == 0)
		return;
	if (nframes > (uint64_t)(s->nframes - start))
		nframes = (size_t)(s->nframes - start);
	const uint64_t first = (uint64_t)(s->first_frame + start);
	if (r->storage == STORAGE_CONTIGUOUS && r->time_axis == 0) {
		const uint64_t row = stored_channels(r) * dtype_size(r->dtype);
		from = r->address + first * row;
		to = from + nframes * row;
	} else if (r->storage != STORAGE_CHUNKED || !r->nchunks || !chunk_extent(r, first, first + nframes, &from, &to)) {
		return;
	}
	posix_fadvise(r->fd, (off_t)from, (off_t)(to - from), POSIX_FADV_WILLNEED); /* a wish */
}

size_t recording_span(const struct recording *r, size_t wanted, size_t budget)
{
	size_t row = stored_channels(r) * dtype_size(r->dtype), fits = budget / row;
	uint64_t nt = r->chunk_dims[r->time_axis];
	if (fits < 1)
		fits = 1;
	if (wanted < 1)
		wanted = 1;
	if (r->storage == STORAGE_CONTIGUOUS || nt == 0 || nt > fits)
		return wanted < fits ? wanted : fits;
	size_t rows = wanted / nt + (wanted % nt != 0), most = fits / nt;
	return (rows < most ? rows : most) * nt;
}
