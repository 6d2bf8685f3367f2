/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/helper/frame_numbers.h"

#include <stdlib.h>

enum { BLOCK = 131072 };

enum status frame_numbers_add(struct frame_numbers *f, const int64_t *numbers, size_t n, struct error *e)
{
	struct description *d = f->d;
	if (f->count == 0 && n)
		f->first = numbers[0];
	for (size_t i = 0; i < n; i++) {
		const bool gap = f->count + i == 0 || numbers[i] != f->next;
		f->next = (int64_t)((uint64_t)numbers[i] + 1);
		if (!gap)
			continue;
		if (!segments_start(&d->segments, (int64_t)(f->count + i), ((double)numbers[i] - (double)f->first) / d->fs_hz))
			return error_set(e, STATUS_UNSUPPORTED, "file", "cut the recording into shorter ones", "%.150s has more than %d gaps", d->stream,
					 DESCRIPTION_MAX_SEGMENTS - 1);
	}
	f->count += n;
	return STATUS_OK;
}

void frame_numbers_end(struct frame_numbers *f, struct reply *reply)
{
	struct description *d = f->d;
	if (!d->segments.n)
		description_one_segment(d, 0);
	segments_close(&d->segments, (int64_t)d->nframes);
	if (d->segments.n > 1)
		reply_warning(reply, "%s has gaps: %zu segments", d->stream, d->segments.n);
}

static bool read_block(hid_t id, hid_t space, hsize_t start, hsize_t count, int64_t *out)
{
	hid_t memory = H5Screate_simple(1, &count, NULL);
	bool ok = memory >= 0 && H5Sselect_hyperslab(space, H5S_SELECT_SET, &start, NULL, &count, NULL) >= 0 &&
		  H5Dread(id, H5T_NATIVE_INT64, memory, space, H5P_DEFAULT, out) >= 0;
	H5Sclose(memory);
	return ok;
}

static enum status scan(hid_t id, hid_t space, const char *path, struct frame_numbers *f, struct error *e)
{
	int64_t *block = malloc(BLOCK * sizeof *block);
	enum status status = block ? STATUS_OK : error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for frame numbers");
	for (size_t at = 0, n; at < f->d->nframes && !status; at += n) {
		n = f->d->nframes - at < BLOCK ? f->d->nframes - at : BLOCK;
		status = read_block(id, space, at, n, block) ? frame_numbers_add(f, block, n, e)
							     : error_set(e, STATUS_CORRUPT, "file", NULL, "%.200s cannot be read", path);
	}
	free(block);
	return status;
}

enum status frame_numbers_read(hid_t file, const char *path, struct description *d, struct reply *reply, struct error *e)
{
	hid_t id;
	struct frame_numbers f = { .d = d };
	enum status status = dataset_open_any(file, path, &id, e);
	if (status)
		return status;
	hid_t space = H5Dget_space(id), type = H5Dget_type(id);
	hssize_t n = H5Sget_simple_extent_npoints(space);
	d->segments.n = 0;
	if (H5Sget_simple_extent_ndims(space) != 1 || n < 0 || (uint64_t)n != d->nframes || H5Tget_class(type) != H5T_INTEGER)
		status = error_set(e, STATUS_CORRUPT, "file", NULL, "%.150s has %lld frame numbers for %zu frames", path, (long long)n, d->nframes);
	else
		status = scan(id, space, path, &f, e);
	if (!status)
		frame_numbers_end(&f, reply);
	H5Tclose(type);
	H5Sclose(space);
	H5Dclose(id);
	return status;
}
