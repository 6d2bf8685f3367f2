/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Configuration: defaults < file < environment SPIKED_SECTION_KEY < --set. One struct, filled from the table of options.h.
 */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

#include "daemon/options.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CONFIG_BOOL bool
#define CONFIG_INT int64_t
#define CONFIG_BYTES int64_t
#define CONFIG_TIME int64_t
#define CONFIG_TEXT char *
#define CONFIG_PATH char *
#define CONFIG_PATHS char *

/* limits.message_bytes is config.limits_message_bytes. Texts belong to the struct. */
struct config {
#define O(section, key, type, value, min, max, when, help) CONFIG_##type section##_##key;
	OPTION_MAP(O)
#undef O
};

/* Where a failure was: "spiked.conf:12: unknown option listen.tpc, did you mean listen.tcp?" */
struct config_error {
	char text[512];
};

/* All defaults. */
void config_init(struct config *c);
void config_fini(struct config *c);

/* Reads everything in order: defaults, `file` (NULL: none), the environment, then `sets` ("key=value"). Nothing is left to free on failure. */
bool config_load(struct config *c, const char *file, char *const *sets, size_t nsets, struct config_error *e);

/* Sets one option from text; `where` is put before messages. */
bool config_set(struct config *c, const char *key, const char *value, const char *where, struct config_error *e);

/* The file that would give this configuration, commented. */
void config_dump(const struct config *c, FILE *out);

/* The options for --help. */
void config_help(FILE *out);

/* Options that differ from their default, as {"key": "value"}. */
json_t *config_differences(const struct config *c);

/* Gives `next` the values of `now` where an option waits for a restart; the keys that would have changed are written to `pending`,
 * separated by blanks. */
void config_keep_restart(struct config *next, const struct config *now, char *pending, size_t npending);

#endif
