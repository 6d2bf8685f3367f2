/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/recording/chunk.h"
#include "daemon/recording/filters.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char damaged[] = "the file is damaged; copy it again from its source";

void chunk_scratch_fini(struct chunk_scratch *s)
{
	codec_state_fini(&s->codecs);
	free(s->stored);
	free(s->work[0]);
	free(s->work[1]);
	free(s->group);
	free(s->from);
	free(s->to);
	memset(s, 0, sizeof *s);
}

size_t chunk_bytes(const struct recording *r)
{
	size_t n = dtype_size(r->dtype);
	if (__builtin_mul_overflow(n, r->chunk_dims[0], &n) || __builtin_mul_overflow(n, r->chunk_dims[1], &n))
		return 0;
	return n;
}

enum status chunk_pread(const struct recording *r, void *dst, size_t n, uint64_t address, struct error *e)
{
	for (size_t done = 0; done < n;) {
		ssize_t k = pread(r->fd, (char *)dst + done, n - done, (off_t)(address + done));
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return error_set(e, STATUS_IO, "file", NULL, "%.200s cannot be read: %s", r->file, strerror(errno));
		if (k == 0)
			return error_set(e, STATUS_CORRUPT, "file", "it was changed while it was open; open it again", "%.200s became shorter", r->file);
		done += (size_t)k;
	}
	return STATUS_OK;
}

/* The filters that were applied to this chunk, in the order of writing. */
struct applied {
	size_t n, index[RECORDING_MAX_FILTERS];
};

static struct applied applied_filters(const struct recording *r, const struct recording_chunk *chunk, bool edge)
{
	struct applied a = { 0 };
	if (edge && r->partial_unfiltered)
		return a;
	for (size_t i = 0; i < r->nfilters; i++)
		if (!(chunk->filter_mask >> i & 1))
			a.index[a.n++] = i;
	return a;
}

static enum status bad_chunk(const struct recording *r, size_t index, const char *what, struct error *e)
{
	return error_set(e, STATUS_CORRUPT, "file", damaged, "chunk %zu of %.150s: %s", index, r->dataset, what);
}

static enum status damaged_by(const struct recording *r, size_t index, const struct recording_filter *f, struct error *e)
{
	char what[96];
	if (f->codec->decode)
		snprintf(what, sizeof what, "its compressed data (%s) are damaged", f->name);
	else
		snprintf(what, sizeof what, "its checksum (%s) is wrong", f->name);
	return bad_chunk(r, index, what, e);
}

/* Room for what a filter in the middle of a pipeline got: filters before it may have made the chunk larger, by headers and checksums, but nothing
 * honest by more than an eighth. */
static size_t roomy(size_t nbytes)
{
	return nbytes + nbytes / 8 + 4096;
}

/* Undoes the applied filters, last first. `cur` walks from the stored bytes through the two work buffers, or ends in target. What the first filter
 * was given is the chunk, so that must have its size. */
static enum status undo(const struct recording *r, size_t index, const struct applied *a, struct chunk_scratch *s, size_t nbytes, void *target,
			const uint8_t **out, struct error *e)
{
	const uint8_t *cur = s->stored;
	size_t ncur = r->chunks[index].nbytes, which = 0;
	for (size_t k = a->n; k-- > 0;) {
		const struct recording_filter *f = &r->filters[a->index[k]];
		if (!f->codec->decode) {
			if (!filters_fletcher32_ok(cur, ncur))
				return damaged_by(r, index, f, e);
			ncur -= 4;
			continue;
		}
		const bool last = target && k == 0;
		const size_t capacity = k == 0 ? nbytes : roomy(nbytes);
		if (!last && !codec_reserve(&s->work[which], &s->nwork[which], capacity))
			return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for a chunk of %zu bytes", capacity);
		uint8_t *next = last ? target : s->work[which];
		if (!f->codec->decode(&s->codecs, &f->parameters, cur, ncur, next, capacity, &ncur))
			return damaged_by(r, index, f, e);
		cur = next;
		which ^= 1;
	}
	if (ncur != nbytes)
		return bad_chunk(r, index, "its size is not that of a chunk", e);
	*out = cur;
	return STATUS_OK;
}

enum status chunk_decode(const struct recording *r, size_t index, bool edge, struct chunk_scratch *s, void *target, const uint8_t **out,
			 struct error *e)
{
	const struct recording_chunk *chunk = &r->chunks[index];
	const struct applied a = applied_filters(r, chunk, edge);
	size_t nbytes = chunk_bytes(r);
	if (a.n == 0 && chunk->nbytes != nbytes)
		return bad_chunk(r, index, "its size is not that of a chunk", e);
	if (a.n == 0 && target) {
		*out = target;
		return chunk_pread(r, target, nbytes, chunk->address, e);
	}
	if (!codec_reserve(&s->stored, &s->nstored, chunk->nbytes))
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for a chunk of %u bytes", chunk->nbytes);
	enum status status = chunk_pread(r, s->stored, chunk->nbytes, chunk->address, e);
	if (!status)
		status = undo(r, index, &a, s, nbytes, target, out, e);
	if (!status && target && *out != target) {
		memcpy(target, *out, nbytes);
		*out = target;
	}
	return status;
}
