/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/helper/out.h"
#include "daemon/helper/driver.h"
#include "protocol/digest.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool ok(struct out *o, bool good, const char *where)
{
	if (!good && !o->failed) {
		o->failed = true;
		snprintf(o->where, sizeof o->where, "%s", where);
	}
	return good;
}

void out_open(struct out *o, int fd, uint64_t seed)
{
	*o = (struct out){ .file = -1, .seed = seed };
	hid_t fapl = driver_fapl(fd, true), fcpl = H5Pcreate(H5P_FILE_CREATE);
	o->text = H5Tcopy(H5T_C_S1);
	bool good = fapl >= 0 && fcpl >= 0 && H5Pset_obj_track_times(fcpl, false) >= 0 && H5Tset_size(o->text, H5T_VARIABLE) >= 0 &&
		    H5Tset_cset(o->text, H5T_CSET_UTF8) >= 0;
	if (good)
		o->file = H5Fcreate("output", H5F_ACC_TRUNC, fcpl, fapl);
	ok(o, o->file >= 0, "/");
}

void out_close(struct out *o)
{
	if (o->file >= 0)
		ok(o, H5Fclose(o->file) >= 0, "/");
	o->file = -1;
}

void out_close_object(struct out *o, hid_t object)
{
	if (object >= 0)
		ok(o, H5Oclose(object) >= 0, "an object");
}

hid_t out_group(struct out *o, const char *path)
{
	if (o->failed)
		return -1;
	hid_t gcpl = H5Pcreate(H5P_GROUP_CREATE);
	H5Pset_obj_track_times(gcpl, false);
	hid_t group = H5Gcreate2(o->file, path, H5P_DEFAULT, gcpl, H5P_DEFAULT);
	H5Pclose(gcpl);
	ok(o, group >= 0, path);
	return group;
}

hid_t out_dataset(struct out *o, const char *path, hid_t file_type, hid_t memory_type, int rank, hsize_t n, const void *data)
{
	if (o->failed)
		return -1;
	hid_t dcpl = H5Pcreate(H5P_DATASET_CREATE), space = rank ? H5Screate_simple(rank, &n, NULL) : H5Screate(H5S_SCALAR);
	H5Pset_obj_track_times(dcpl, false);
	hid_t dataset = H5Dcreate2(o->file, path, file_type, space, H5P_DEFAULT, dcpl, H5P_DEFAULT);
	bool good = dataset >= 0 && ((rank && n == 0) || H5Dwrite(dataset, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
	H5Sclose(space);
	H5Pclose(dcpl);
	ok(o, good, path);
	return dataset;
}

hid_t out_texts(struct out *o, const char *path, const char *const *texts, size_t n)
{
	return out_dataset(o, path, o->text, o->text, 1, n, texts);
}

hid_t out_text(struct out *o, const char *path, const char *text)
{
	return out_dataset(o, path, o->text, o->text, 0, 1, &text);
}

static void attribute(struct out *o, hid_t object, const char *name, hid_t file_type, hid_t memory_type, int rank, hsize_t n, const void *data)
{
	if (o->failed)
		return;
	hid_t space = rank ? H5Screate_simple(rank, &n, NULL) : H5Screate(H5S_SCALAR);
	hid_t attr = H5Acreate2(object, name, file_type, space, H5P_DEFAULT, H5P_DEFAULT);
	ok(o, attr >= 0 && H5Awrite(attr, memory_type, data) >= 0, name);
	H5Aclose(attr);
	H5Sclose(space);
}

void out_attr_text(struct out *o, hid_t object, const char *name, const char *text)
{
	attribute(o, object, name, o->text, o->text, 0, 1, &text);
}

void out_attr_texts(struct out *o, hid_t object, const char *name, const char *const *texts, size_t n)
{
	attribute(o, object, name, o->text, o->text, 1, n, texts);
}

void out_attr_number(struct out *o, hid_t object, const char *name, double value)
{
	attribute(o, object, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 0, 1, &value);
}

void out_attr_reference(struct out *o, hid_t object, const char *name, const char *target)
{
	hobj_ref_t reference;
	if (!o->failed && ok(o, H5Rcreate(&reference, o->file, target, H5R_OBJECT, -1) >= 0, target))
		attribute(o, object, name, H5T_STD_REF_OBJ, H5T_STD_REF_OBJ, 0, 1, &reference);
}

void out_soft_link(struct out *o, const char *path, const char *target)
{
	if (!o->failed)
		ok(o, H5Lcreate_soft(target, o->file, path, H5P_DEFAULT, H5P_DEFAULT) >= 0, path);
}

void out_typed(struct out *o, hid_t object, const char *path, const char *namespace, const char *type)
{
	char uuid[37];
	uint64_t a = digest_add(o->seed, path, strlen(path)), b = digest_add(a, "id", 2);
	/* Version 8 (RFC 9562): bits of our own making. */
	snprintf(uuid, sizeof uuid, "%08" PRIx32 "-%04x-8%03x-%04x-%012" PRIx64, (uint32_t)(a >> 32), (unsigned)(a >> 16 & 0xffff), (unsigned)(a & 0xfff),
		 (unsigned)(0x8000 | (b >> 48 & 0x3fff)), b & UINT64_C(0xffffffffffff));
	out_attr_text(o, object, "namespace", namespace);
	out_attr_text(o, object, "neurodata_type", type);
	out_attr_text(o, object, "object_id", uuid);
}
