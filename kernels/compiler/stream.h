/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMPILER_STREAM_H
#define COMPILER_STREAM_H

#include "kernels/compiler/ir.h"

/* How a program meets one parameter. */
struct stream_use {
	bool streams;            /* element by element in parallel loops only: it may be a struct kernel_remote */
	bool fetch, store;       /* of such a one: elements are read before a chunk, written after it */
};

/* uses: [number of params]. f has been analysed. */
void stream_uses(const struct ir_function *f, struct stream_use *uses);

#endif
