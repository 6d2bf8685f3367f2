/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/helper/dataset.h"
#include "daemon/helper/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char no_links[] = "copy the data into the file itself (h5repack, h5copy); spiked reads one file at a time";

static enum status check_path(hid_t file, const char *path, int depth, struct error *e);

/* Follows a soft link at parent/...: its target, absolute or relative to the link's group, must pass as well. */
static enum status check_soft(hid_t file, const char *link, size_t nbytes, int depth, struct error *e)
{
	char target[DATASET_MAX_PATH] = "", full[2 * DATASET_MAX_PATH];
	if (nbytes >= sizeof target || H5Lget_val(file, link, target, sizeof target, H5P_DEFAULT) < 0)
		return error_set(e, STATUS_UNSUPPORTED, NULL, NULL, "the soft link %s cannot be followed", link);
	target[sizeof target - 1] = '\0';
	const char *slash = strrchr(link, '/');
	if (target[0] == '/')
		snprintf(full, sizeof full, "%s", target);
	else
		snprintf(full, sizeof full, "%.*s/%s", (int)(slash - link), link, target);
	if (strlen(full) >= DATASET_MAX_PATH)
		return error_set(e, STATUS_UNSUPPORTED, NULL, NULL, "the soft link %s is too long", link);
	return check_path(file, full, depth + 1, e);
}

static enum status check_link(hid_t file, const char *link, int depth, struct error *e)
{
	H5L_info_t info;
	if (H5Lexists(file, link, H5P_DEFAULT) <= 0 || H5Lget_info(file, link, &info, H5P_DEFAULT) < 0)
		return error_set(e, STATUS_NOT_FOUND, "dataset", "list the file with h5ls -r", "the file has no object %s", link);
	if (info.type == H5L_TYPE_HARD)
		return STATUS_OK;
	if (info.type == H5L_TYPE_SOFT)
		return check_soft(file, link, info.u.val_size, depth, e);
	return error_set(e, STATUS_UNSUPPORTED, "file", no_links, "%s is a link into another file, which is not followed", link);
}

static enum status check_path(hid_t file, const char *path, int depth, struct error *e)
{
	char prefix[DATASET_MAX_PATH];
	size_t n = strlen(path);
	if (depth > DATASET_MAX_LINKS)
		return error_set(e, STATUS_UNSUPPORTED, NULL, NULL, "more than %d soft links lead to one object", DATASET_MAX_LINKS);
	if (path[0] != '/' || n >= sizeof prefix)
		return error_set(e, STATUS_INVALID, "dataset", "give a path from the root, like /acquisition/X/data", "bad path in the file: %.200s", path);
	for (size_t i = 1; i <= n; i++) {
		if ((path[i] != '/' && path[i] != '\0') || path[i - 1] == '/')
			continue;
		memcpy(prefix, path, i);
		prefix[i] = '\0';
		enum status status = check_link(file, prefix, depth, e);
		if (status)
			return status;
	}
	return STATUS_OK;
}

enum status path_check(hid_t file, const char *path, struct error *e)
{
	return check_path(file, path, 0, e);
}

/* Storage in other files is refused before anything is read from it. */
static enum status check_storage(hid_t id, const char *path, struct error *e)
{
	hid_t dcpl = H5Dget_create_plist(id);
	int external = dcpl < 0 ? -1 : H5Pget_external_count(dcpl);
	H5D_layout_t layout = dcpl < 0 ? H5D_LAYOUT_ERROR : H5Pget_layout(dcpl);
	H5Pclose(dcpl);
	if (external < 0 || layout == H5D_LAYOUT_ERROR)
		return error_set(e, STATUS_CORRUPT, NULL, NULL, "the storage of %s cannot be understood", path);
	if (external > 0)
		return error_set(e, STATUS_UNSUPPORTED, "file", no_links, "the data of %s lie in other files (external storage), which are not opened", path);
	if (layout == H5D_VIRTUAL)
		return error_set(e, STATUS_UNSUPPORTED, "file", no_links, "%s is a virtual dataset made from other files, which are not opened", path);
	return STATUS_OK;
}

enum status dataset_open_any(hid_t file, const char *path, hid_t *id, struct error *e)
{
	progress_set(path);
	enum status status = path_check(file, path, e);
	if (status)
		return status;
	H5O_info_t info;
	if (H5Oget_info_by_name(file, path, &info, H5P_DEFAULT) < 0)
		return error_set(e, STATUS_CORRUPT, NULL, NULL, "%s cannot be opened", path);
	if (info.type != H5O_TYPE_DATASET)
		return error_set(e, STATUS_INVALID, "dataset", NULL, "%s is not a dataset", path);
	*id = H5Dopen2(file, path, H5P_DEFAULT);
	if (*id < 0)
		return error_set(e, STATUS_CORRUPT, NULL, NULL, "%s cannot be opened", path);
	status = check_storage(*id, path, e);
	if (status)
		H5Dclose(*id);
	return status;
}

/* IEEE half precision has no native type; it is passed on as stored. */
static bool is_half(hid_t type)
{
	size_t sign, exponent_at, exponent, mantissa_at, mantissa;
	return H5Tget_class(type) == H5T_FLOAT && H5Tget_size(type) == 2 && H5Tget_order(type) == H5T_ORDER_LE &&
	       H5Tget_fields(type, &sign, &exponent_at, &exponent, &mantissa_at, &mantissa) >= 0 && sign == 15 && exponent_at == 10 &&
	       exponent == 5 && mantissa_at == 0 && mantissa == 10 && H5Tget_ebias(type) == 15;
}

static enum dtype integer_of(hid_t type)
{
	static const enum dtype table[2][9] = {
		{ [0] = DTYPE_NONE, [1] = DTYPE_U8, [2] = DTYPE_U16, [4] = DTYPE_U32, [8] = DTYPE_U64 },
		{ [0] = DTYPE_NONE, [1] = DTYPE_I8, [2] = DTYPE_I16, [4] = DTYPE_I32, [8] = DTYPE_I64 },
	};
	size_t size = H5Tget_size(type);
	if (size != 1 && size != 2 && size != 4 && size != 8)
		return DTYPE_NONE;
	return table[H5Tget_sign(type) == H5T_SGN_2][size];
}

static hid_t standard_type(enum dtype dtype)
{
	switch (dtype) {
	case DTYPE_I8: return H5T_STD_I8LE;
	case DTYPE_U8: return H5T_STD_U8LE;
	case DTYPE_I16: return H5T_STD_I16LE;
	case DTYPE_U16: return H5T_STD_U16LE;
	case DTYPE_I32: return H5T_STD_I32LE;
	case DTYPE_U32: return H5T_STD_U32LE;
	case DTYPE_I64: return H5T_STD_I64LE;
	case DTYPE_U64: return H5T_STD_U64LE;
	case DTYPE_F32: return H5T_IEEE_F32LE;
	case DTYPE_F64: return H5T_IEEE_F64LE;
	default: return -1;
	}
}

bool type_sound(hid_t type)
{
	const H5T_class_t class = H5Tget_class(type);
	size_t sign, exponent_at, exponent, mantissa_at, mantissa;
	if (class != H5T_INTEGER && class != H5T_FLOAT)
		return true;
	const size_t bits = H5Tget_precision(type), all = 8 * H5Tget_size(type);
	const int offset = H5Tget_offset(type);
	if (bits == 0 || bits > all || offset < 0 || (size_t)offset > all - bits)
		return false;
	if (class == H5T_INTEGER)
		return true;
	return H5Tget_fields(type, &sign, &exponent_at, &exponent, &mantissa_at, &mantissa) >= 0 && sign < all && exponent_at <= all &&
	       exponent <= all - exponent_at && mantissa_at <= all && mantissa <= all - mantissa_at;
}

static enum status element_type(struct dataset *d, struct error *e)
{
	hid_t type = H5Dget_type(d->id);
	H5T_class_t class = H5Tget_class(type);
	size_t size = H5Tget_size(type);
	d->dtype = DTYPE_NONE;
	if (!type_sound(type)) {
		H5Tclose(type);
		return error_set(e, STATUS_CORRUPT, "file", NULL, "the element type of %s is damaged", d->path);
	}
	if (class == H5T_INTEGER)
		d->dtype = integer_of(type);
	else if (class == H5T_FLOAT && is_half(type))
		d->dtype = DTYPE_F16;
	else if (class == H5T_FLOAT && (size == 4 || size == 8))
		d->dtype = size == 4 ? DTYPE_F32 : DTYPE_F64;
	if (d->dtype == DTYPE_NONE) {
		H5Tclose(type);
		return error_set(e, STATUS_UNSUPPORTED, "dataset", "samples must be integers or IEEE floats", "%s does not hold numbers of 1, 2, 4 or 8 bytes",
				 d->path);
	}
	if (d->dtype == DTYPE_F16) {
		d->memory_type = type;
		d->plain = true;
		return STATUS_OK;
	}
	d->memory_type = H5Tcopy(standard_type(d->dtype));
	d->plain = H5Tequal(type, d->memory_type) > 0;
	H5Tclose(type);
	return d->memory_type < 0 ? STATUS_INTERNAL : STATUS_OK;
}

static enum status extent(struct dataset *d, struct error *e)
{
	hsize_t dims[H5S_MAX_RANK];
	hid_t space = H5Dget_space(d->id);
	int rank = H5Sget_simple_extent_dims(space, dims, NULL);
	H5Sclose(space);
	if (rank != 1 && rank != 2)
		return error_set(e, STATUS_UNSUPPORTED, "dataset", "name a dataset of shape (frames, channels), (channels, frames) or (frames,)",
				 "%s has %d dimensions", d->path, rank);
	d->rank = (unsigned)rank;
	d->dims[0] = dims[0];
	d->dims[1] = rank == 2 ? dims[1] : 1;
	for (int i = 0; i < 2; i++)
		if (d->dims[i] > 1ull << 53)
			return error_set(e, STATUS_CORRUPT, "dataset", NULL, "%s claims a dimension of %llu", d->path, (unsigned long long)d->dims[i]);
	return STATUS_OK;
}

enum status dataset_open(hid_t file, const char *path, struct dataset *d, struct error *e)
{
	memset(d, 0, sizeof *d);
	if (strlen(path) >= sizeof d->path)
		return error_set(e, STATUS_INVALID, "dataset", NULL, "a path in the file may have at most %d bytes", DATASET_MAX_PATH - 1);
	snprintf(d->path, sizeof d->path, "%s", path);
	enum status status = dataset_open_any(file, path, &d->id, e);
	if (!status)
		status = element_type(d, e);
	if (!status)
		status = extent(d, e);
	return status;
}

enum status dataset_flatten(struct dataset *d, uint64_t n, struct error *e)
{
	if (d->rank != 1 || n == 0 || d->dims[0] % n != 0)
		return error_set(e, STATUS_CORRUPT, "file", "the file is damaged or was cut short; copy it again from its source",
				 "%.150s has %llu samples, which is no whole number of frames of %llu channels", d->path, (unsigned long long)d->dims[0],
				 (unsigned long long)n);
	d->flat = n;
	d->dims[0] /= n;
	d->dims[1] = n;
	return STATUS_OK;
}
