/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A program as clients read of it (SPEC.md 4.10, 4.12).
 */
#ifndef DAEMON_OPERATIONS_PROGRAM_JSON_H
#define DAEMON_OPERATIONS_PROGRAM_JSON_H

#include "daemon/programs.h"

const char *program_provenance(const struct compiled *c, bool hit);
const char *program_form(const struct program *p);

/* SPEC.md 4.10, without texts. */
json_t *program_json(const struct compiled *c, bool hit);

/* Adds the texts that are named: report1 to report4, ir, llvm, llvm_optimized, assembly. */
enum status program_json_texts(json_t *object, const struct compiled *c, const json_t *names, struct error *e);

/* Is it the name of one? */
bool program_text_known(const char *name);

/* Text from outside: JSON takes UTF-8 only. */
json_t *program_text_json(const char *text);

#endif
