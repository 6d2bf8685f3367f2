/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/feed.h"
#include "daemon/clock.h"

#include <stdlib.h>

/* Bytes that a read from the page cache gives in a microsecond, at least; decoding is slower. Where nothing is to be waited for, asking the system
 * to read ahead would cost a tenth of the whole. */
enum { CACHED_BYTES_US = 600 };

/* Of fewer channels more frames are a step. */
enum { FEW_CHANNELS = 256, MAX_CHUNK_FRAMES = 1 << 16 };

/* Plain frames are read in pieces that stay in the cache; compressed ones in so many chunks at a time that the threads share them evenly. */
enum { MIN_READ_BYTES = 4 << 20, MIN_DECODE_BYTES = 24 << 20, MAX_READ_BYTES = 256 << 20 };

struct feed {
	struct source *source;
	struct pipeline *pipeline;
	struct pipeline_spec spec;
	size_t chunk;                /* frames a pipeline step takes */
	uint8_t *buffer;             /* [capacity] frames as stored */
	size_t capacity;
	size_t nbytes;

	size_t segment;
	int64_t start, stop;         /* wanted */
	int64_t at, to;              /* still to read: [at, to) */
	const uint8_t *rest;         /* read, not yet pushed */
	size_t nrest;
	bool slow;                   /* the last read took longer than one from the page cache */
	bool flushing;
	bool on_io;                  /* the next call of feed_waits is on an I/O thread */
};

enum status feed_new(struct feed **out, struct source *source, struct pipeline_spec *spec, struct error *e)
{
	const struct config *c = &source->request->settings->config;
	struct feed *f = calloc(1, sizeof *f);
	if (!f)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	spec->nchannels = source->nchannels;
	spec->fs_hz = source->fs_hz;
	spec->dtype = source->dtype;
	spec->segment_frames = -1;
	enum status status = stage_arrays_read(source, spec, e);
	f->source = source;
	f->spec = *spec;
	f->chunk = (size_t)c->compute_block_frames * (source->nchannels < FEW_CHANNELS ? FEW_CHANNELS / source->nchannels : 1);
	f->chunk = f->chunk < MAX_CHUNK_FRAMES ? f->chunk : MAX_CHUNK_FRAMES;
	size_t row = source_frame_bytes(source), wanted = f->chunk, work = (size_t)c->limits_work_bytes;
	size_t least = source->recording && source->recording->storage != STORAGE_CONTIGUOUS ? MIN_DECODE_BYTES : MIN_READ_BYTES;
	if (wanted * row < least)
		wanted = least / row;
	f->capacity = source_span(source, wanted, work / 4 < MAX_READ_BYTES ? work / 4 : MAX_READ_BYTES);
	const size_t pipeline = status ? 0 : pipeline_bytes(spec, f->chunk);
	if (!status && (__builtin_mul_overflow(f->capacity, row, &f->nbytes) || __builtin_add_overflow(f->nbytes, pipeline, &f->nbytes) || f->nbytes > work)) {
		status = error_set(e, STATUS_TOO_LARGE, "preprocess", "raise limits.work_bytes, or raise freq_min", "%zu channels with these stages need %zu MiB",
				   source->nchannels, f->nbytes >> 20);
		e->limit = (long long)work;
	}
	if (!status)
		status = pipeline_new(&f->pipeline, spec, f->chunk, e);
	if (!status) {
		f->buffer = malloc(f->capacity * row);
		if (!f->buffer)
			status = error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for a block of %zu frames", f->capacity);
	}
	if (status) {
		feed_free(f);
		return status;
	}
	*out = f;
	return STATUS_OK;
}

void feed_free(struct feed *f)
{
	if (!f)
		return;
	if (f->pipeline)
		pipeline_free(f->pipeline);
	free(f->buffer);
	free(f);
}

size_t feed_bytes(const struct feed *f)
{
	return f->nbytes;
}

void feed_seek(struct feed *f, size_t segment, int64_t start, int64_t stop, bool rough)
{
	int64_t nframes = source_frames(f->source, segment), from, to;
	const bool piece = f->spec.piece_frames;
	pipeline_span(&f->spec, start, stop, nframes, rough || piece, &from, &to);
	f->segment = segment;
	f->start = start;
	f->stop = stop;
	f->at = from;
	f->to = to;
	f->nrest = 0;
	f->flushing = false;
	if (piece)
		pipeline_reset_piece(f->pipeline, start, stop, nframes);
	else
		pipeline_reset(f->pipeline, from, nframes);
}

/* Frames to read now: up to the next multiple of the capacity, so that reads keep to whole rows of chunks. */
static size_t next_read(const struct feed *f)
{
	int64_t capacity = (int64_t)f->capacity, n = capacity - f->at % capacity;
	return (size_t)(f->to - f->at < n ? f->to - f->at : n);
}

/* Straight into the pipeline, where it keeps frames as stored and the source can be read in any portions. */
static void *room(struct feed *f, const struct executor *ex, size_t *n)
{
	size_t fits;
	void *at = source_any_portion(f->source) ? pipeline_room(f->pipeline, ex, &fits) : NULL;
	if (at)
		*n = (size_t)(f->to - f->at) < fits ? (size_t)(f->to - f->at) : fits;
	return at;
}

static enum status refill(struct feed *f, const struct executor *ex, struct error *e)
{
	size_t n = next_read(f);
	f->rest = source_view(f->source, f->segment, f->at);
	if (!f->rest) {
		uint64_t start = clock_ns();
		uint8_t *to = room(f, ex, &n);
		to = to ? to : f->buffer;
		/* Twice as far: the read after this one is on its way already. */
		if (f->slow && f->at + (int64_t)n < f->to)
			source_ahead(f->source, f->segment, f->at + (int64_t)n, 2 * n);
		enum status status = source_read(f->source, f->segment, f->at, n, ex, to, e);
		f->slow = (clock_ns() - start) * CACHED_BYTES_US / 1000 > n * source_frame_bytes(f->source);
		if (!f->on_io) /* where all time counts as reading */
			source_count_read(f->source, start);
		if (status)
			return status;
		f->rest = to;
	}
	f->nrest = n;
	f->at += (int64_t)n;
	return STATUS_OK;
}

/* Are the next frames the helper's to read? */
static bool waits(const struct feed *f)
{
	return source_waits(f->source) && !f->nrest && f->at < f->to;
}

bool feed_waits(struct feed *f, const struct executor *ex, enum step *step, struct error *e)
{
	if (!f || !waits(f))
		return false;
	*step = STEP_IO;
	if (f->on_io)
		*step = refill(f, ex, e) ? STEP_DONE : STEP_COMPUTE;
	f->on_io = !f->on_io;
	return true;
}

static void clip(const struct feed *f, struct slab *s)
{
	int64_t skip = f->start - s->first_frame;
	if (skip > 0) {
		size_t n = (size_t)skip < s->nframes ? (size_t)skip : s->nframes;
		s->x += n * LANES;
		s->first_frame += (int64_t)n;
		s->nframes -= n;
	}
	if (s->nframes && s->first_frame + (int64_t)s->nframes > f->stop)
		s->nframes = s->first_frame < f->stop ? (size_t)(f->stop - s->first_frame) : 0;
}

enum status feed_step(struct feed *f, const struct executor *ex, struct slab *slab, bool *end, struct error *e)
{
	*end = false;
	slab->nframes = 0;
	if (waits(f))
		return STATUS_OK;
	if (!f->nrest && f->at < f->to) {
		enum status status = refill(f, ex, e);
		if (status)
			return status;
	}
	if (f->nrest) {
		size_t consumed;
		pipeline_step(f->pipeline, f->rest, f->nrest, ex, &consumed, slab);
		f->rest += consumed * source_frame_bytes(f->source);
		f->nrest -= consumed;
	} else {
		f->flushing = true;
		pipeline_flush(f->pipeline, ex, slab);
		*end = slab->nframes == 0;
	}
	if (slab->nframes)
		clip(f, slab);
	return STATUS_OK;
}
