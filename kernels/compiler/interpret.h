/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The IR run as it stands: the oracle machine code is held to, and what runs where there is no machine code. Results are those of machine
 * code, but that float sums and products inside a chunk of a parallel loop are taken in order here.
 */
#ifndef COMPILER_INTERPRET_H
#define COMPILER_INTERPRET_H

#include "kernels/compiler/ir.h"

/* Runs a verified function; otherwise a kernel_entry. */
int interpret(const struct ir_function *f, struct kernel_context *ctx, struct kernel_array *arrays, union kernel_scalar *scalars);

#endif
