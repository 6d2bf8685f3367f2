/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/helper/attrs.h"
#include "daemon/helper/dataset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Copies up to n bytes, without trailing spaces, CR, LF. */
static void copy_trimmed(char *out, size_t nout, const char *in, size_t n)
{
	n = strnlen(in, n);
	if (n > nout - 1)
		n = nout - 1;
	while (n && (in[n - 1] == ' ' || in[n - 1] == '\r' || in[n - 1] == '\n'))
		n--;
	memcpy(out, in, n);
	out[n] = '\0';
}

/* An attribute of that name with one element of that class, or -1. */
static hid_t open_single(hid_t object, const char *name, H5T_class_t class)
{
	if (H5Aexists(object, name) <= 0)
		return -1;
	hid_t attr = H5Aopen(object, name, H5P_DEFAULT);
	hid_t type = H5Aget_type(attr), space = H5Aget_space(attr);
	bool ok = attr >= 0 && type >= 0 && space >= 0 && H5Sget_simple_extent_npoints(space) == 1;
	H5T_class_t got = ok && type_sound(type) ? H5Tget_class(type) : H5T_NO_CLASS;
	ok = ok && (got == class || (class == H5T_FLOAT && got == H5T_INTEGER));
	H5Tclose(type);
	H5Sclose(space);
	if (ok)
		return attr;
	H5Aclose(attr);
	return -1;
}

/* A string type to read one element of `stored` into; *nbytes is 0 for a variable-length one. */
static hid_t text_type(hid_t stored, size_t *nbytes)
{
	hid_t type = H5Tcopy(stored);
	*nbytes = H5Tis_variable_str(stored) > 0 ? 0 : H5Tget_size(stored);
	return type;
}

bool attr_text(hid_t object, const char *name, char *out, size_t nout)
{
	hid_t attr = open_single(object, name, H5T_STRING);
	if (attr < 0)
		return false;
	size_t nbytes;
	hid_t stored = H5Aget_type(attr), type = text_type(stored, &nbytes);
	bool ok = false;
	if (nbytes == 0) {
		char *text = NULL;
		ok = H5Aread(attr, type, &text) >= 0 && text;
		if (ok)
			copy_trimmed(out, nout, text, nout);
		H5free_memory(text);
	} else if (nbytes <= 65536) {
		char *text = calloc(1, nbytes);
		ok = text && H5Aread(attr, type, text) >= 0;
		if (ok)
			copy_trimmed(out, nout, text, nbytes);
		free(text);
	}
	H5Tclose(type);
	H5Tclose(stored);
	H5Aclose(attr);
	return ok;
}

bool attr_number(hid_t object, const char *name, double *out)
{
	hid_t attr = open_single(object, name, H5T_FLOAT);
	if (attr < 0)
		return false;
	bool ok = H5Aread(attr, H5T_NATIVE_DOUBLE, out) >= 0;
	H5Aclose(attr);
	return ok;
}

bool attr_target(hid_t object, const char *name, char *out, size_t nout)
{
	hid_t attr = open_single(object, name, H5T_REFERENCE);
	if (attr < 0)
		return false;
	hobj_ref_t reference;
	hid_t type = H5Aget_type(attr);
	bool ok = H5Tequal(type, H5T_STD_REF_OBJ) > 0 && H5Aread(attr, H5T_STD_REF_OBJ, &reference) >= 0;
	ssize_t n = ok ? H5Rget_name(object, H5R_OBJECT, &reference, out, nout) : 0;
	H5Tclose(type);
	H5Aclose(attr);
	return n > 0 && (size_t)n < nout;
}

bool path_join(char *out, size_t nout, const char *group, const char *name)
{
	int n = snprintf(out, nout, "%s/%s", strcmp(group, "/") == 0 ? "" : group, name);
	return n > 0 && (size_t)n < nout;
}

/* Opens group/name and counts its elements. */
static enum status column_open(hid_t file, const char *group, const char *name, H5T_class_t class, hid_t *id, size_t *n, struct error *e)
{
	char path[DATASET_MAX_PATH];
	if (!path_join(path, sizeof path, group, name))
		return error_set(e, STATUS_UNSUPPORTED, NULL, NULL, "a path in the file is longer than %d bytes", DATASET_MAX_PATH);
	enum status status = dataset_open_any(file, path, id, e);
	if (status)
		return status;
	hid_t type = H5Dget_type(*id), space = H5Dget_space(*id);
	H5T_class_t got = type_sound(type) ? H5Tget_class(type) : H5T_NO_CLASS;
	hssize_t count = H5Sget_simple_extent_npoints(space);
	int rank = H5Sget_simple_extent_ndims(space);
	H5Tclose(type);
	H5Sclose(space);
	if (got != class && !(class == H5T_FLOAT && got == H5T_INTEGER))
		status = error_set(e, STATUS_CORRUPT, NULL, NULL, "%s has an unexpected element type", path);
	else if (count < 0 || count > ATTRS_MAX_ROWS || rank > 1)
		status = error_set(e, STATUS_CORRUPT, NULL, NULL, "%s is not a list of at most %d values", path, ATTRS_MAX_ROWS);
	if (status)
		H5Dclose(*id);
	*n = (size_t)(count > 0 ? count : 0);
	return status;
}

static enum status column_read(hid_t file, const char *group, const char *name, H5T_class_t class, hid_t type, size_t size, void **out, size_t *n,
			       struct error *e)
{
	hid_t id;
	*out = NULL;
	enum status status = column_open(file, group, name, class, &id, n, e);
	if (status)
		return status;
	*out = calloc(*n ? *n : 1, size);
	if (!*out)
		status = error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for %zu values of %s/%s", *n, group, name);
	else if (*n && H5Dread(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, *out) < 0)
		status = error_set(e, STATUS_CORRUPT, NULL, NULL, "%s/%s cannot be read", group, name);
	H5Dclose(id);
	return status;
}

enum status column_numbers(hid_t file, const char *group, const char *name, double **out, size_t *n, struct error *e)
{
	return column_read(file, group, name, H5T_FLOAT, H5T_NATIVE_DOUBLE, sizeof(double), (void **)out, n, e);
}

enum status column_integers(hid_t file, const char *group, const char *name, int64_t **out, size_t *n, struct error *e)
{
	return column_read(file, group, name, H5T_INTEGER, H5T_NATIVE_INT64, sizeof(int64_t), (void **)out, n, e);
}

static enum status read_texts(hid_t id, size_t n, char **out, const char *name, struct error *e)
{
	size_t nbytes;
	hid_t stored = H5Dget_type(id), type = text_type(stored, &nbytes);
	enum status status = error_set(e, STATUS_CORRUPT, NULL, NULL, "column %s cannot be read", name);
	bool variable = nbytes == 0;
	size_t width = variable ? sizeof(char *) : nbytes;
	char *raw = width <= 65536 ? calloc(n ? n : 1, width) : NULL;
	if (!raw || (n && H5Dread(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, raw) < 0))
		goto done;
	for (size_t i = 0; i < n; i++) {
		const char *text = variable ? ((char **)(void *)raw)[i] : raw + i * width;
		out[i] = calloc(1, ATTRS_MAX_TEXT);
		if (!out[i])
			goto done;
		copy_trimmed(out[i], ATTRS_MAX_TEXT, text ? text : "", variable ? ATTRS_MAX_TEXT : width);
	}
	status = STATUS_OK;
done:
	free(raw); /* variable texts stay with the process, which ends after one answer */
	H5Tclose(type);
	H5Tclose(stored);
	return status;
}

enum status column_texts(hid_t file, const char *group, const char *name, char ***out, size_t *n, struct error *e)
{
	hid_t id;
	*out = NULL;
	enum status status = column_open(file, group, name, H5T_STRING, &id, n, e);
	if (status)
		return status;
	*out = calloc(*n ? *n : 1, sizeof **out);
	status = *out ? read_texts(id, *n, *out, name, e) : error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for column %s", name);
	H5Dclose(id);
	return status;
}
