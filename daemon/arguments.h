/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The arrays a0, a1, ... of a request as arguments of a program (SPEC.md 4.9): their types, their bytes, their values.
 *
 * Inline arrays are used where they lie, in the body. Of arrays in the client's memory those in memory files are mapped and used in place; large ones
 * that the program meets element by element stay where they are, and each chunk's part is moved when its turn comes (struct kernel_remote); the rest
 * is copied here, what overlaps into one buffer, so that it overlaps here too.
 */
#ifndef DAEMON_ARGUMENTS_H
#define DAEMON_ARGUMENTS_H

#include "daemon/params.h"
#include "daemon/program_spec.h"
#include "daemon/shared_memory.h"
#include "daemon/transfer.h"

struct arguments {
	size_t n;
	struct argument types[ARGUMENTS_MAX + 1]; /* one more: of an output */
	const struct array *arrays[ARGUMENTS_MAX + 1];
	uint8_t *data[ARGUMENTS_MAX + 1];
	struct {
		void *memory;
		size_t nbytes;
	} blocks[ARGUMENTS_MAX + 1];     /* of copies (block_pool.h) */
	size_t nblocks;
	size_t copied;                   /* bytes of the copies */
	struct shared_memory *shared;    /* of the holds */
	struct shared_mapping *holds[ARGUMENTS_MAX + 1]; /* of mapped ones */
	struct kernel_remote remotes[ARGUMENTS_MAX + 1];
	uint64_t remote_address[ARGUMENTS_MAX + 1];
	unsigned nremotes;
	bool output;                     /* the last one receives the result: its bytes are not fetched, and it shares memory with no other */
	bool flat;                       /* arrays of one shape and order are passed as 1-D */
	bool fortran;                    /* then: that order */
};

/* Types of the request's arrays; reads `weak` and `read_only`. Loop thread. Failures are in p. */
void arguments_parse(struct arguments *a, const struct message *m, struct params *p);

/* The expression's output behind the arguments. */
enum status arguments_add_output(struct arguments *a, const struct array *out, struct error *e);

/* Do all arrays (there is one of rank 2 or more) have one shape and one order, so that a pointwise expression may take them as 1-D? */
bool arguments_are_alike(const struct arguments *a, bool *fortran);
void arguments_flatten(struct arguments *a, bool fortran);

/* May a program compiled for `types` be called with these? */
enum status arguments_fit(const struct arguments *a, const struct argument *types, size_t n, const bool *writes, struct error *e);

/* Finds each array's place: maps, leaves, or makes room for copies (at most max_bytes in all) and says what is to be fetched. `uses` of the program's
 * parameters, or NULL: nothing stays in the client's memory. pointwise: the output may be one of the arguments. */
enum status arguments_place(struct arguments *a, struct request *r, const struct stream_use *uses, bool pointwise, struct transfer *fetch, struct error *e);

/* Values for program_run: arrays first in `arrays`, scalars in `scalars`, each in order. */
void arguments_bind(const struct arguments *a, struct kernel_array *arrays, union kernel_scalar *scalars);

/* What is to be written back into the client's memory. */
void arguments_written(const struct arguments *a, const bool *writes, struct transfer *back);

void arguments_free(struct arguments *a);

#endif
