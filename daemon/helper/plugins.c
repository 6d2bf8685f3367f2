/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/helper/plugins.h"

#include <dirent.h>
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { MAX_PLUGINS = 8, MAX_NAME = 32 };

typedef int get_type(void);              /* H5PLget_plugin_type */
typedef const void *get_info(void);      /* H5PLget_plugin_info: a H5Z_class2_t */

static struct {
	H5Z_filter_t id;
	H5Z_func_t filter;
} loaded[MAX_PLUGINS];
static size_t nloaded, first, expected;  /* `first` plugin was applied first: it gives `expected` bytes; 0: anything */
static char trouble[200];                /* with an object that could not be loaded */

/* ---- calling ---- */

static size_t call(size_t which, unsigned flags, size_t n, const unsigned *values, size_t nbytes, size_t *room, void **buffer)
{
	size_t got = loaded[which].filter(flags, n, values, nbytes, room, buffer);
	if (got > *room || (flags & H5Z_FLAG_REVERSE && expected && which == first && got != expected))
		return 0; /* libhdf5 reports a failed filter */
	return got;
}

/* libhdf5 does not tell a filter who it is: one function for each. */
#define CALL(i)                                                                                                                                      \
	static size_t call##i(unsigned flags, size_t n, const unsigned values[], size_t nbytes, size_t *room, void **buffer)                         \
	{                                                                                                                                            \
		return call(i, flags, n, values, nbytes, room, buffer);                                                                              \
	}
CALL(0)
CALL(1)
CALL(2)
CALL(3)
CALL(4)
CALL(5)
CALL(6)
CALL(7)
static const H5Z_func_t calls[MAX_PLUGINS] = { call0, call1, call2, call3, call4, call5, call6, call7 };

/* ---- loading ---- */

static void *symbol(void *object, const char *name)
{
	return object ? dlsym(object, name) : NULL;
}

/* Registers the object's filter if it is number id. */
static bool load(const char *path, H5Z_filter_t id)
{
	void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	void *type_symbol = symbol(object, "H5PLget_plugin_type"), *info_symbol = symbol(object, "H5PLget_plugin_info");
	get_type *type;
	get_info *info;
	if (!object)
		snprintf(trouble, sizeof trouble, "%s", dlerror());
	memcpy(&type, &type_symbol, sizeof type);
	memcpy(&info, &info_symbol, sizeof info);
	const H5Z_class2_t *class = type && info && type() == 0 /* a filter */ ? info() : NULL;
	if (!class || class->version != H5Z_CLASS_T_VERS || class->id != id || !class->filter) {
		if (object)
			dlclose(object);
		return false;
	}
	H5Z_class2_t wrapped = *class;
	loaded[nloaded].id = id;
	loaded[nloaded].filter = class->filter;
	wrapped.filter = calls[nloaded++];
	return H5Zregister(&wrapped) >= 0;
}

static bool search(const char *directory, H5Z_filter_t id)
{
	char path[PATH_MAX];
	bool found = false;
	DIR *d = opendir(directory);
	for (struct dirent *entry; d && !found && (entry = readdir(d));)
		if (strstr(entry->d_name, ".so") && (size_t)snprintf(path, sizeof path, "%s/%s", directory, entry->d_name) < sizeof path)
			found = load(path, id);
	if (d)
		closedir(d);
	return found;
}

void plugins_load(const char *directories, const json_t *ids)
{
	for (size_t i = 0; i < json_array_size(ids) && nloaded < MAX_PLUGINS; i++) {
		const H5Z_filter_t id = (H5Z_filter_t)json_integer_value(json_array_get(ids, i));
		bool found = H5Zfilter_avail(id) > 0;
		for (const char *at = directories; at && *at && !found;) {
			char directory[PATH_MAX];
			const size_t n = strcspn(at, ":");
			snprintf(directory, sizeof directory, "%.*s", (int)n, at);
			at += n + (at[n] == ':');
			found = directory[0] && search(directory, id);
		}
	}
}

/* ---- checking ---- */

enum status plugins_check(hid_t dataset, const char *path, size_t chunk_bytes, struct error *e)
{
	hid_t dcpl = H5Dget_create_plist(dataset);
	const int n = H5Pget_layout(dcpl) == H5D_CHUNKED ? H5Pget_nfilters(dcpl) : 0;
	H5Z_filter_t ids[H5Z_MAX_NFILTERS] = { 0 };
	for (int i = 0; i < n && i < H5Z_MAX_NFILTERS; i++) {
		unsigned flags, config;
		size_t none = 0;
		char name[MAX_NAME] = "";
		ids[i] = H5Pget_filter2(dcpl, (unsigned)i, &flags, &none, NULL, sizeof name, name, &config);
		name[sizeof name - 1] = '\0';
		if (ids[i] < 0)
			return error_set(e, STATUS_CORRUPT, "file", NULL, "the filters of %s cannot be read", path);
		if (H5Zfilter_avail(ids[i]) <= 0)
			return error_set(e, STATUS_UNSUPPORTED, "recordings.plugin_path",
					 "put its HDF5 plugin into a directory and name that in recordings.plugin_path, or rewrite the file with h5repack",
					 "%.100s is compressed with filter %d (%s), for which no plugin was found%s%s", path, ids[i], name[0] ? name : "no name",
					 trouble[0] ? "; " : "", trouble);
	}
	bool twice = false;
	for (int i = 1; i < n && i < H5Z_MAX_NFILTERS; i++)
		twice |= ids[i] == ids[0];
	for (size_t k = 0; k < nloaded && n > 0 && !twice; k++)
		if (loaded[k].id == ids[0]) {
			first = k;
			expected = chunk_bytes;
		}
	return STATUS_OK;
}
