/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Sources of kernels that are known by a name: sent with `register`, or read from compiler.kernel_dir. Loop thread.
 */
#ifndef DAEMON_REGISTRY_H
#define DAEMON_REGISTRY_H

#include "protocol/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* At most `max_count` names and `max_bytes` of sources. */
struct registry;
struct registry *registry_new(size_t max_count, size_t max_bytes);
void registry_free(struct registry *r);

/* {"source", "kernel", "file", "line", "globals"} of that name, borrowed; NULL if there is none. */
json_t *registry_find(const struct registry *r, const char *name);

/* Is there room? STATUS_TOO_LARGE. */
enum status registry_check(const struct registry *r, const char *name, size_t nbytes, struct error *e);

/* Keeps `source`, whose reference it takes, in place of an older one of the name. */
void registry_put(struct registry *r, const char *name, json_t *source);
/* All: name to source, borrowed. */
json_t *registry_all(const struct registry *r);

bool registry_forget(struct registry *r, const char *name);

#endif
