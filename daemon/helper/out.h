/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Writing HDF5 that is the same bytes for the same content: no object times, object ids derived by hashing. The first failure sticks in
 * out->failed and makes the calls after it do nothing, so that a writer can be a plain list of what it writes.
 */
#ifndef DAEMON_HELPER_OUT_H
#define DAEMON_HELPER_OUT_H

#include "daemon/helper/h5.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct out {
	hid_t file;
	hid_t text;      /* variable-length UTF-8 */
	uint64_t seed;   /* of object ids */
	bool failed;
	char where[200]; /* the object at which it failed */
};

/* Creates the file on a descriptor that is open for reading and writing, and empty. */
void out_open(struct out *o, int fd, uint64_t seed);
void out_close(struct out *o);

/* Groups and datasets stay open until out_close_object, so that attributes can be added; parents must exist. */
hid_t out_group(struct out *o, const char *path);
hid_t out_dataset(struct out *o, const char *path, hid_t file_type, hid_t memory_type, int rank, hsize_t n, const void *data);
hid_t out_texts(struct out *o, const char *path, const char *const *texts, size_t n);
hid_t out_text(struct out *o, const char *path, const char *text);
void out_close_object(struct out *o, hid_t object);

void out_attr_text(struct out *o, hid_t object, const char *name, const char *text);
void out_attr_texts(struct out *o, hid_t object, const char *name, const char *const *texts, size_t n);
void out_attr_number(struct out *o, hid_t object, const char *name, double value);
void out_attr_reference(struct out *o, hid_t object, const char *name, const char *target);
void out_soft_link(struct out *o, const char *path, const char *target);

/* NWB's three attributes of a typed object; the id follows from the seed and the path. */
void out_typed(struct out *o, hid_t object, const char *path, const char *namespace, const char *type);

#endif
