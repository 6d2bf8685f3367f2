/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The linker: object bytes of the code generator become code that can be called. Objects see the symbols of this list and nothing else of the
 * process. All functions may be called on several threads at once.
 */
#ifndef COMPILER_JIT_H
#define COMPILER_JIT_H

#include "kernels/compiler/runtime.h"
#include "protocol/error.h"

#include <stddef.h>
#include <stdint.h>

struct jit;
struct jit_code;

/* NULL: with STATUS_UNAVAILABLE if this process may not make memory executable (then kernels are interpreted). */
struct jit *jit_new(struct error *e);
/* All code must have been unlinked. */
void jit_free(struct jit *jit);

/* Links an object whose entry is `symbol`; symbols must differ from those of the objects that are linked now. The bytes are copied. */
enum status jit_link(struct jit *jit, const uint8_t *object, size_t nobject, const char *symbol, struct jit_code **code, kernel_entry **entry,
		     struct error *e);

/* Frees the code; the caller sees to it that nobody runs it. NULL is allowed. */
void jit_unlink(struct jit_code *code);

#endif
