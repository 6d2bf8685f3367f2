/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Machine code of one kernel: IR to object bytes, by LLVM. The bytes go to the linker (jit.h) and to the cache on disk (object_cache.h).
 * May be called on several threads at once: each call has an LLVM context and a target machine of its own.
 */
#ifndef COMPILER_CODEGEN_H
#define COMPILER_CODEGEN_H

#include "kernels/compiler/ir.h"

/* What a user may want to read. malloc'ed; free with codegen_texts_free. */
struct codegen_texts {
	char *llvm_before, *llvm_after, *assembly;
};
void codegen_texts_free(struct codegen_texts *texts);

/* Compiles a verified function. `symbol` is the name of its entry (a kernel_entry), unique among the objects that are linked together.
 * texts may be NULL. *object is malloc'ed. */
enum status codegen_object(const struct ir_function *f, const char *symbol, struct codegen_texts *texts, uint8_t **object, size_t *nobject,
			   struct error *e);

/* What objects depend on besides the IR: processor and its features, LLVM, this code generator, the vector library. Part of every cache key. */
const char *codegen_identity(void);

/* Prepares LLVM; once is enough, more do nothing. Called by the others of this header. STATUS_UNSUPPORTED on a machine without a code generator. */
enum status codegen_init(struct error *e);

#endif
