/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/helper/fields.h"
#include "daemon/helper/dataset.h"
#include "daemon/helper/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool field_exists(hid_t file, const char *path)
{
	H5O_info_t info;
	progress_set(path);
	return path_check(file, path, NULL) == STATUS_OK && H5Oget_info_by_name(file, path, &info, H5P_DEFAULT) >= 0;
}

/* ---- shapes and types ---- */

static bool fits(H5T_class_t got, H5T_class_t wanted)
{
	return got == wanted || (wanted == H5T_FLOAT && got == H5T_INTEGER);
}

static H5T_class_t class_of(hid_t id)
{
	hid_t type = H5Dget_type(id);
	H5T_class_t class = type_sound(type) ? H5Tget_class(type) : H5T_NO_CLASS;
	H5Tclose(type);
	return class;
}

static enum status wrong(const char *path, const char *what, struct error *e)
{
	return error_set(e, STATUS_CORRUPT, "file", NULL, "%.200s is not %s", path, what);
}

/* Opens a dataset of `wanted` elements with at most max of them (scalars have one). */
static enum status open_values(hid_t file, const char *path, H5T_class_t wanted, size_t max, hid_t *id, size_t *n, const char *what, struct error *e)
{
	enum status status = dataset_open_any(file, path, id, e);
	if (status)
		return status;
	hid_t space = H5Dget_space(*id);
	hssize_t count = H5Sget_simple_extent_npoints(space);
	H5Sclose(space);
	*n = count > 0 ? (size_t)count : 0;
	if (fits(class_of(*id), wanted) && count >= 0 && (uint64_t)count <= max)
		return STATUS_OK;
	H5Dclose(*id);
	return wrong(path, what, e);
}

/* Reads n elements of memory type `type` into a new array of n times `size` bytes. */
static enum status read_values(hid_t id, const char *path, hid_t type, size_t n, size_t size, void **out, struct error *e)
{
	*out = calloc(n ? n : 1, size);
	if (!*out)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for %zu values of %.150s", n, path);
	if (n && H5Dread(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, *out) < 0) {
		free(*out);
		*out = NULL;
		return error_set(e, STATUS_CORRUPT, "file", NULL, "%.200s cannot be read", path);
	}
	return STATUS_OK;
}

/* ---- numbers and texts ---- */

enum status field_number(hid_t file, const char *path, double *out, struct error *e)
{
	hid_t id;
	size_t n;
	void *value;
	enum status status = open_values(file, path, H5T_FLOAT, 1, &id, &n, "a number", e);
	if (status)
		return status;
	status = n == 1 ? read_values(id, path, H5T_NATIVE_DOUBLE, 1, sizeof *out, &value, e) : wrong(path, "a number", e);
	H5Dclose(id);
	if (status)
		return status;
	memcpy(out, value, sizeof *out);
	free(value);
	return STATUS_OK;
}

enum status field_number_in(hid_t file, const char *group, const char *name, double *out, struct error *e)
{
	char path[DATASET_MAX_PATH];
	if (!path_join(path, sizeof path, group, name))
		return error_set(e, STATUS_UNSUPPORTED, "file", NULL, "a path in the file is longer than %d bytes", DATASET_MAX_PATH);
	return field_number(file, path, out, e);
}

/* One text of a dataset of texts, as libhdf5 stores it: *out is malloc'ed and ends in NUL. */
static enum status read_text(hid_t id, const char *path, char **out, struct error *e)
{
	hid_t type = H5Dget_type(id);
	bool variable = H5Tis_variable_str(type) > 0;
	size_t width = variable ? sizeof(char *) : H5Tget_size(type);
	char *raw = width <= FIELDS_MAX_LONG_TEXT ? calloc(1, width + 1) : NULL;
	bool ok = raw && H5Dread(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, raw) >= 0;
	H5Tclose(type);
	*out = NULL;
	if (ok && variable) {
		char *text;
		memcpy(&text, raw, sizeof text);
		size_t n = text ? strnlen(text, FIELDS_MAX_LONG_TEXT + 1) : 0;
		*out = n <= FIELDS_MAX_LONG_TEXT ? strdup(text ? text : "") : NULL;
	} else if (ok) {
		*out = strdup(raw);
	}
	free(raw); /* a variable text stays with the process, which ends after one answer */
	return *out ? STATUS_OK : error_set(e, STATUS_CORRUPT, "file", NULL, "the text %.200s cannot be read", path);
}

enum status field_long_text(hid_t file, const char *path, char **out, struct error *e)
{
	hid_t id;
	size_t n;
	enum status status = open_values(file, path, H5T_STRING, 1, &id, &n, "a text", e);
	if (status)
		return status;
	status = n == 1 ? read_text(id, path, out, e) : wrong(path, "a text", e);
	H5Dclose(id);
	return status;
}

enum status field_text(hid_t file, const char *path, char *out, size_t nout, struct error *e)
{
	char *text;
	enum status status = field_long_text(file, path, &text, e);
	if (status)
		return status;
	snprintf(out, nout, "%s", text);
	free(text);
	for (size_t n = strlen(out); n && (out[n - 1] == ' ' || out[n - 1] == '\r' || out[n - 1] == '\n'); n--)
		out[n - 1] = '\0';
	return STATUS_OK;
}

/* ---- tables ---- */

static enum status read_table(hid_t file, const char *path, H5T_class_t class, hid_t type, size_t ncolumns, void **out, size_t *nrows, struct error *e)
{
	hid_t id;
	size_t n;
	hsize_t dims[2] = { 1, 1 };
	enum status status = open_values(file, path, class, ATTRS_MAX_ROWS * ncolumns, &id, &n, "a table of numbers", e);
	if (status)
		return status;
	hid_t space = H5Dget_space(id);
	int rank = H5Sget_simple_extent_ndims(space);
	if (rank == 1 || rank == 2)
		H5Sget_simple_extent_dims(space, rank == 2 ? dims : dims + 1, NULL);
	H5Sclose(space);
	if ((rank != 1 && rank != 2) || dims[1] != ncolumns)
		status = error_set(e, STATUS_CORRUPT, "file", NULL, "%.200s is not a table of %zu columns", path, ncolumns);
	else
		status = read_values(id, path, type, n, 8, out, e);
	*nrows = (size_t)dims[0];
	H5Dclose(id);
	return status;
}

enum status field_table(hid_t file, const char *path, size_t ncolumns, int64_t **out, size_t *nrows, struct error *e)
{
	return read_table(file, path, H5T_INTEGER, H5T_NATIVE_INT64, ncolumns, (void **)out, nrows, e);
}

enum status field_table_numbers(hid_t file, const char *path, size_t ncolumns, double **out, size_t *nrows, struct error *e)
{
	return read_table(file, path, H5T_FLOAT, H5T_NATIVE_DOUBLE, ncolumns, (void **)out, nrows, e);
}

/* ---- records ---- */

/* The member's type as stored, or -1 if there is none of that class. */
static hid_t member_type(hid_t id, const char *member, H5T_class_t wanted)
{
	hid_t records = H5Dget_type(id), type = -1;
	int index = H5Tget_member_index(records, member);
	if (index >= 0)
		type = H5Tget_member_type(records, (unsigned)index);
	H5Tclose(records);
	if (type >= 0 && type_sound(type) && fits(H5Tget_class(type), wanted))
		return type;
	if (type >= 0)
		H5Tclose(type);
	return -1;
}

/* Reads one member of all records; `native` 0: as stored. *width is that of an element. */
static enum status read_member(hid_t file, const char *path, const char *member, H5T_class_t class, hid_t native, void **out, size_t *width, bool *variable,
			       size_t *n, struct error *e)
{
	hid_t id;
	*out = NULL;
	enum status status = open_values(file, path, H5T_COMPOUND, ATTRS_MAX_ROWS, &id, n, "a list of records", e);
	if (status)
		return status;
	hid_t stored = member_type(id, member, class), type = native ? native : stored;
	*width = stored >= 0 ? H5Tget_size(type) : 0;
	*variable = stored >= 0 && class == H5T_STRING && H5Tis_variable_str(stored) > 0;
	hid_t record = *width && *width <= 65536 ? H5Tcreate(H5T_COMPOUND, *width) : -1;
	if (record < 0 || H5Tinsert(record, member, 0, type) < 0)
		status = error_set(e, STATUS_CORRUPT, "file", NULL, "the records of %.150s have no usable %s", path, member);
	else if (*n > ((size_t)256 << 20) / *width)
		status = error_set(e, STATUS_CORRUPT, "file", NULL, "%.150s is larger than any real one", path);
	else
		status = read_values(id, path, record, *n, *width, out, e);
	if (record >= 0)
		H5Tclose(record);
	if (stored >= 0)
		H5Tclose(stored);
	H5Dclose(id);
	return status;
}

enum status field_member_integers(hid_t file, const char *path, const char *member, int64_t **out, size_t *n, struct error *e)
{
	size_t width;
	bool variable;
	return read_member(file, path, member, H5T_INTEGER, H5T_NATIVE_INT64, (void **)out, &width, &variable, n, e);
}

enum status field_member_numbers(hid_t file, const char *path, const char *member, double **out, size_t *n, struct error *e)
{
	size_t width;
	bool variable;
	return read_member(file, path, member, H5T_FLOAT, H5T_NATIVE_DOUBLE, (void **)out, &width, &variable, n, e);
}

static char *short_text(const char *text, size_t n)
{
	n = text ? strnlen(text, n < ATTRS_MAX_TEXT - 1 ? n : ATTRS_MAX_TEXT - 1) : 0;
	while (n && (text[n - 1] == ' ' || text[n - 1] == '\r' || text[n - 1] == '\n'))
		n--;
	return strndup(text ? text : "", n);
}

enum status field_member_texts(hid_t file, const char *path, const char *member, char ***out, size_t *n, struct error *e)
{
	size_t width;
	bool variable;
	char *raw;
	*out = NULL;
	enum status status = read_member(file, path, member, H5T_STRING, 0, (void **)&raw, &width, &variable, n, e);
	if (status)
		return status;
	*out = calloc(*n ? *n : 1, sizeof **out);
	for (size_t i = 0; i < *n && *out && !status; i++) {
		const char *text = raw + i * width;
		if (variable)
			memcpy(&text, raw + i * width, sizeof text);
		(*out)[i] = short_text(text, variable ? ATTRS_MAX_TEXT : width);
		if (!(*out)[i])
			status = STATUS_NO_MEMORY;
	}
	free(raw);
	return *out && !status ? STATUS_OK : error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for %zu texts", *n);
}

/* ---- attributes ---- */

bool field_attr_numbers(hid_t object, const char *name, double **out, size_t *n)
{
	*out = NULL;
	if (H5Aexists(object, name) <= 0)
		return false;
	hid_t attr = H5Aopen(object, name, H5P_DEFAULT), type = H5Aget_type(attr), space = H5Aget_space(attr);
	hssize_t count = H5Sget_simple_extent_npoints(space);
	if (attr >= 0 && type_sound(type) && fits(H5Tget_class(type), H5T_FLOAT) && count > 0 && count <= ATTRS_MAX_ROWS)
		*out = calloc((size_t)count, sizeof **out);
	if (*out && H5Aread(attr, H5T_NATIVE_DOUBLE, *out) < 0) {
		free(*out);
		*out = NULL;
	}
	*n = *out ? (size_t)count : 0;
	H5Sclose(space);
	H5Tclose(type);
	H5Aclose(attr);
	return *out;
}

bool field_attr_text(hid_t file, const char *path, const char *name, char *out, size_t nout)
{
	hid_t object = field_exists(file, path) ? H5Oopen(file, path, H5P_DEFAULT) : -1;
	bool found = object >= 0 && attr_text(object, name, out, nout);
	if (object >= 0)
		H5Oclose(object);
	return found;
}

bool field_attr_number(hid_t file, const char *path, const char *name, double *out)
{
	hid_t object = field_exists(file, path) ? H5Oopen(file, path, H5P_DEFAULT) : -1;
	bool found = object >= 0 && attr_number(object, name, out);
	if (object >= 0)
		H5Oclose(object);
	return found;
}

/* ---- groups ---- */

static herr_t add_child(hid_t group, const char *name, const H5L_info_t *link, void *arg)
{
	struct children *list = arg;
	(void)group;
	if (list->n == FIELDS_MAX_CHILDREN)
		return 1;
	if (link->type != H5L_TYPE_EXTERNAL && strlen(name) < FIELDS_MAX_NAME)
		strcpy(list->name[list->n++], name);
	return 0;
}

struct children *field_children(hid_t file, const char *group)
{
	struct children *list = calloc(1, sizeof *list);
	if (!list || !field_exists(file, group))
		return list;
	hid_t id = H5Gopen2(file, group, H5P_DEFAULT);
	if (id >= 0) {
		H5Literate(id, H5_INDEX_NAME, H5_ITER_INC, NULL, add_child, list);
		H5Gclose(id);
	}
	return list;
}
