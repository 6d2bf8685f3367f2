/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Reading the parameters of a request: each getter checks type and range and remembers the key, params_end refuses what nobody asked for.
 * After the first failure all getters return their default and the error stays.
 */
#ifndef DAEMON_PARAMS_H
#define DAEMON_PARAMS_H

#include "protocol/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PARAMS_MAX = 40 };

struct params {
	const json_t *object;    /* may be NULL: no parameters */
	const char *prefix;      /* put before keys in errors: "preprocess[1]." or "" */
	struct error *error;
	const char *seen[PARAMS_MAX];
	size_t nseen;
	enum status status;
};

void params_init(struct params *p, const json_t *object, const char *prefix, struct error *e);

/* Borrowed; NULL if absent. */
const char *params_text(struct params *p, const char *key);
bool params_bool(struct params *p, const char *key, bool fallback);
int64_t params_int(struct params *p, const char *key, int64_t fallback, int64_t min, int64_t max);

/* Finite, and min < x or min <= x (`open_min`), x <= max. */
double params_real(struct params *p, const char *key, double fallback, double min, bool open_min, double max);

/* A list or an object as it is; NULL if absent. */
const json_t *params_list(struct params *p, const char *key);
const json_t *params_object(struct params *p, const char *key);

/* Whatever stands there; NULL if absent. */
const json_t *params_any(struct params *p, const char *key);

/* One of the words (NULL-terminated): its index; `fallback` if absent. */
int params_word(struct params *p, const char *key, const char *const *words, int fallback);

/* Is the key there (and not null)? */
bool params_has(const struct params *p, const char *key);

/* Sets the first failure; returns its status. */
enum status params_fail(struct params *p, const char *key, const char *hint, const char *format, ...) __attribute__((format(printf, 4, 5)));

/* STATUS_OK, or the first failure, or an unknown key. */
enum status params_end(struct params *p);

#endif
