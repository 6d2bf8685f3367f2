/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/helper/dataset.h"
#include "daemon/helper/index.h"
#include "daemon/helper/plugins.h"

#include <stdlib.h>

static enum status read_frames(const struct dataset *d, unsigned axis, const hsize_t start[2], const hsize_t count[2], struct reply *reply,
			       struct error *e)
{
	size_t nbytes = dtype_size(d->dtype);
	if (start[axis] > d->dims[axis] || count[axis] > d->dims[axis] - start[axis])
		return error_set(e, STATUS_CORRUPT, "file", NULL, "%s is shorter than it was", d->path);
	if (__builtin_mul_overflow(nbytes, count[0], &nbytes) || __builtin_mul_overflow(nbytes, count[1], &nbytes))
		return error_set(e, STATUS_CORRUPT, "file", NULL, "%s has more bytes than can be counted", d->path);
	void *data = malloc(nbytes ? nbytes : 1);
	const hsize_t one[1] = { start[0] * d->flat }, n[1] = { count[0] * d->flat };
	hid_t memory = H5Screate_simple((int)d->rank, d->flat ? n : count, NULL), space = H5Dget_space(d->id);
	if (!data)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for %zu bytes of %s", nbytes, d->path);
	if (nbytes && (H5Sselect_hyperslab(space, H5S_SELECT_SET, d->flat ? one : start, NULL, d->flat ? n : count, NULL) < 0 ||
		       H5Dread(d->id, d->memory_type, memory, space, H5P_DEFAULT, data) < 0)) {
		char reason[160];
		file_reason(reason, sizeof reason);
		return error_set(e, STATUS_CORRUPT, "file", "the file is damaged; copy it again from its source", "%s cannot be read: %s", d->path, reason);
	}
	return reply_array(reply, "data", d->dtype, data, count[0], count[1]);
}

/* Of a chunk as stored; 0: there are none. */
static size_t chunk_bytes(const struct dataset *d)
{
	hid_t dcpl = H5Dget_create_plist(d->id), type = H5Dget_type(d->id);
	hsize_t dims[2] = { 1, 1 };
	size_t nbytes = H5Tget_size(type);
	if (H5Pget_layout(dcpl) != H5D_CHUNKED || H5Pget_chunk(dcpl, (int)d->rank, dims) != (int)d->rank ||
	    __builtin_mul_overflow(nbytes, dims[0], &nbytes) || __builtin_mul_overflow(nbytes, dims[1], &nbytes))
		return 0;
	return nbytes;
}

enum status read_run(const struct request *request, struct reply *reply, struct error *e)
{
	struct dataset d;
	hid_t file;
	const char *path = NULL, *dtype = NULL;
	int axis = 0;
	json_int_t start = 0, count = 0, flat = 0;
	/* More keys: what plugins_load has used. */
	if (json_unpack(request->m.header, "{s:s, s:s, s:i, s:I, s:I, s:I}", "dataset", &path, "dtype", &dtype, "axis", &axis, "flat", &flat, "start", &start,
			"count", &count) != 0 || axis < 0 || axis > 1 || flat < 0 || start < 0 || count < 0)
		return error_set(e, STATUS_INTERNAL, NULL, NULL, "bad parameters of read");
	enum status status = file_open(request->fd, &file, e);
	if (!status)
		status = dataset_open(file, path, &d, e);
	if (!status && flat)
		status = dataset_flatten(&d, (uint64_t)flat, e);
	if (!status)
		status = plugins_check(d.id, d.path, chunk_bytes(&d), e);
	if (status)
		return status;
	if (dtype_from_name(dtype) != d.dtype)
		return error_set(e, STATUS_CORRUPT, "file", NULL, "the type of %s has changed", d.path);
	hsize_t from[2] = { 0, 0 }, n[2] = { d.dims[0], d.dims[1] };
	from[axis] = (hsize_t)start;
	n[axis] = (hsize_t)count;
	return read_frames(&d, (unsigned)axis, from, n, reply, e);
}
