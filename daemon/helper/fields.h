/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Values that describe a recording, out of datasets of a file that is not trusted: single numbers, texts, lists, tables, columns of records.
 * Paths are absolute; every step of them is checked (dataset.h). A missing object is NOT_FOUND, one of another shape or type CORRUPT.
 */
#ifndef DAEMON_HELPER_FIELDS_H
#define DAEMON_HELPER_FIELDS_H

#include "daemon/helper/attrs.h"

enum { FIELDS_MAX_LONG_TEXT = 4 << 20, FIELDS_MAX_CHILDREN = 1024, FIELDS_MAX_NAME = 128 };

/* Is there an object at that path, reached without leaving the file? */
bool field_exists(hid_t file, const char *path);

/* A single number, however it is wrapped: rank 0, (1,), (1,1). */
enum status field_number(hid_t file, const char *path, double *out, struct error *e);

/* The same in a group. */
enum status field_number_in(hid_t file, const char *group, const char *name, double *out, struct error *e);

/* A single text; the long one is malloc'ed and may have up to FIELDS_MAX_LONG_TEXT bytes. */
enum status field_text(hid_t file, const char *path, char *out, size_t nout, struct error *e);
enum status field_long_text(hid_t file, const char *path, char **out, struct error *e);

/* Rows of `ncolumns` numbers each; a list of ncolumns numbers is one row. At most ATTRS_MAX_ROWS of them. */
enum status field_table(hid_t file, const char *path, size_t ncolumns, int64_t **out, size_t *nrows, struct error *e);
enum status field_table_numbers(hid_t file, const char *path, size_t ncolumns, double **out, size_t *nrows, struct error *e);

/* One member of a list of records. */
enum status field_member_integers(hid_t file, const char *path, const char *member, int64_t **out, size_t *n, struct error *e);
enum status field_member_numbers(hid_t file, const char *path, const char *member, double **out, size_t *n, struct error *e);
enum status field_member_texts(hid_t file, const char *path, const char *member, char ***out, size_t *n, struct error *e);

/* An attribute with several numbers, malloc'ed; false if there is none. */
bool field_attr_numbers(hid_t object, const char *name, double **out, size_t *n);

/* An attribute of the object at that path. */
bool field_attr_text(hid_t file, const char *path, const char *name, char *out, size_t nout);
bool field_attr_number(hid_t file, const char *path, const char *name, double *out);

/* Names of the objects in a group, in order; other than external links, and none longer than FIELDS_MAX_NAME. Empty without such a group. */
struct children {
	size_t n;
	char name[FIELDS_MAX_CHILDREN][FIELDS_MAX_NAME];
};

struct children *field_children(hid_t file, const char *group);

#endif
