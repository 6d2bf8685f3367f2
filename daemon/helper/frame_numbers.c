/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/helper/frame_numbers.h"

/* A second of decoding, roughly; and how much to decode around a gap beyond that. */
static const size_t exact_bytes = (size_t)256 << 20, stretch_bytes = (size_t)32 << 20;

struct cutter {
	const struct frame_reader *r;
	struct description *d;
	int64_t first, next;    /* of all; that follows */
	size_t count;           /* frames seen */
};

static enum status unreadable(const struct cutter *c, struct error *e)
{
	return error_set(e, STATUS_CORRUPT, "file", NULL, "the frame numbers of %.150s cannot be read", c->d->stream);
}

static enum status add(struct cutter *c, const int64_t *numbers, size_t n, struct error *e)
{
	struct description *d = c->d;
	if (c->count == 0 && n)
		c->first = numbers[0];
	for (size_t i = 0; i < n; i++) {
		const bool gap = c->count + i == 0 || numbers[i] != c->next;
		c->next = (int64_t)((uint64_t)numbers[i] + 1);
		if (!gap)
			continue;
		if (!segments_start(&d->segments, (int64_t)(c->count + i), ((double)numbers[i] - (double)c->first) / d->fs_hz))
			return error_set(e, STATUS_UNSUPPORTED, "file", "cut the recording into shorter ones", "%.150s has more than %d gaps", d->stream,
					 DESCRIPTION_MAX_SEGMENTS - 1);
	}
	c->count += n;
	return STATUS_OK;
}

/* Looks at each of the next n. */
static enum status scan(struct cutter *c, size_t n, struct error *e)
{
	static int64_t block[FRAME_NUMBERS_BLOCK];
	enum status status = STATUS_OK;
	for (const size_t end = c->count + n; c->count < end && !status;) {
		const size_t k = end - c->count < FRAME_NUMBERS_BLOCK ? end - c->count : FRAME_NUMBERS_BLOCK;
		status = c->r->read(c->r, c->count, k, block) ? add(c, block, k, e) : unreadable(c, e);
	}
	return status;
}

/* Looks at both ends of the next n, and at the rest only if there must be a gap. */
static enum status skim(struct cutter *c, size_t n, struct error *e)
{
	int64_t first, last;
	if (!c->r->read(c->r, c->count, 1, &first) || !c->r->read(c->r, c->count + n - 1, 1, &last))
		return unreadable(c, e);
	if ((uint64_t)last - (uint64_t)first != n - 1)
		return scan(c, n, e);
	enum status status = add(c, &first, 1, e);
	c->count += n - 1;
	c->next = (int64_t)((uint64_t)last + 1);
	return status;
}

enum status frame_numbers_cut(const struct frame_reader *r, struct description *d, struct reply *reply, struct error *e)
{
	struct cutter c = { .r = r, .d = d };
	const bool exact = d->nframes <= exact_bytes / r->frame_bytes;
	const size_t stretch = stretch_bytes / r->frame_bytes + 1;
	enum status status = STATUS_OK;
	d->segments.n = 0;
	if (exact)
		status = scan(&c, d->nframes, e);
	while (c.count < d->nframes && !status)
		status = skim(&c, d->nframes - c.count < stretch ? d->nframes - c.count : stretch, e);
	if (status)
		return status;
	if (!d->segments.n)
		description_one_segment(d, 0);
	segments_close(&d->segments, (int64_t)d->nframes);
	if (d->segments.n > 1)
		reply_warning(reply, "%s has gaps: %zu segments", d->stream, d->segments.n);
	return STATUS_OK;
}

static bool read_list(const struct frame_reader *r, hsize_t start, hsize_t n, int64_t *out)
{
	hid_t memory = H5Screate_simple(1, &n, NULL);
	bool ok = memory >= 0 && H5Sselect_hyperslab(r->space, H5S_SELECT_SET, &start, NULL, &n, NULL) >= 0 &&
		  H5Dread(r->id, H5T_NATIVE_INT64, memory, r->space, H5P_DEFAULT, out) >= 0;
	H5Sclose(memory);
	return ok;
}

enum status frame_numbers_read(hid_t file, const char *path, struct description *d, struct reply *reply, struct error *e)
{
	hid_t id;
	enum status status = dataset_open_any(file, path, &id, e);
	if (status)
		return status;
	hid_t space = H5Dget_space(id), type = H5Dget_type(id);
	hssize_t n = H5Sget_simple_extent_npoints(space);
	const struct frame_reader r = { read_list, id, space, sizeof(int64_t) };
	if (H5Sget_simple_extent_ndims(space) != 1 || n < 0 || (uint64_t)n != d->nframes || H5Tget_class(type) != H5T_INTEGER || !type_sound(type))
		status = error_set(e, STATUS_CORRUPT, "file", NULL, "%.150s has %lld frame numbers for %zu frames", path, (long long)n, d->nframes);
	else
		status = frame_numbers_cut(&r, d, reply, e);
	H5Tclose(type);
	H5Sclose(space);
	H5Dclose(id);
	return status;
}
