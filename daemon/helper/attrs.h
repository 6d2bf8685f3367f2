/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Attributes and small datasets, whatever way they were written: fixed or variable strings, padded with NUL or spaces, rank 0 or (1,), any
 * width of number. Everything is bounded; what does not fit or is of another class counts as absent.
 */
#ifndef DAEMON_HELPER_ATTRS_H
#define DAEMON_HELPER_ATTRS_H

#include "daemon/helper/h5.h"
#include "protocol/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ATTRS_MAX_ROWS = 1 << 20, ATTRS_MAX_TEXT = 256 };

bool attr_text(hid_t object, const char *name, char *out, size_t nout);
bool attr_number(hid_t object, const char *name, double *out);

/* The path of the object that a reference attribute points at. */
bool attr_target(hid_t object, const char *name, char *out, size_t nout);

/* A path of at most nout - 1 bytes; false if it is too long. */
bool path_join(char *out, size_t nout, const char *group, const char *name);

/* A 1-D or scalar dataset as a malloc'ed list. NOT_FOUND if there is none; of another type or too long: CORRUPT. */
enum status column_numbers(hid_t file, const char *group, const char *name, double **out, size_t *n, struct error *e);
enum status column_integers(hid_t file, const char *group, const char *name, int64_t **out, size_t *n, struct error *e);
enum status column_texts(hid_t file, const char *group, const char *name, char ***out, size_t *n, struct error *e);

#endif
