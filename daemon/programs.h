/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The programs that are compiled, kept by program_key() and by id. The table belongs to the loop thread; compiling happens on a lane.
 *
 * Single flight: the first request for a program compiles it, the others of that moment wait (STEP_WAIT, no thread is held) and get the same program
 * or the same error. Errors are not kept: the next request tries again. Bounded by bytes and number: of those that nobody runs, the one that was
 * cheapest to build and is not used for longest goes first. What runs is never freed.
 */
#ifndef DAEMON_PROGRAMS_H
#define DAEMON_PROGRAMS_H

#include "daemon/request.h"
#include "kernels/compiler/program.h"

struct programs;

/* One program. Loop thread; those who hold a ticket may read it anywhere, but for the counts. */
struct compiled {
	char id[33];                 /* 128-bit hash of the key, hex; made to differ where two keys have one hash */
	const struct program *program; /* once it is compiled */
	struct error error;          /* or why it cannot be */
	char *name, *signature;
	bool expression, out;
	bool pointwise, by_place;    /* expression_is_pointwise */
	struct argument *args;       /* nargs + nextra */
	uint32_t nargs, nextra;
	uint64_t hits, compile_ns, used_ns;
	size_t nbytes;
	size_t running;              /* tickets */
	/* programs.c */
	enum { COMPILED_NO, COMPILED_YES, COMPILED_GONE } state; /* GONE: out of the table, freed with the last ticket */
	uint64_t hash[2];
	char *key;
	struct ticket *owner, *waiting;
	struct compiled *next, *next_done;
};

/* A request's hold on a program, part of its state. */
struct ticket {
	struct request *request;
	struct compiled *compiled;   /* NULL: none */
	bool hit;                    /* it was there */
	struct ticket *next;
};

struct programs_counts {
	uint64_t programs, nbytes, limit, hits, misses, evicted;
};

/* wake(r): the program that r waits for is there, or cannot be, or is now r's to compile; its step is due. Takes over the compiler. */
struct programs *programs_new(uv_loop_t *loop, struct compiler *compiler, size_t max_bytes, size_t max_count, void (*wake)(struct request *r));
void programs_stop(struct programs *p);  /* closes its handle; no request holds a ticket any more */
void programs_free(struct programs *p);  /* after the loop has ended */
struct compiler *programs_compiler(struct programs *p);

/* Loop. Where the request goes on: STEP_COMPUTE, STEP_WAIT, or STEP_DONE with the error. t->request is set. */
enum step programs_ask(struct programs *p, const struct program_source *s, struct ticket *t, struct error *e);
enum step programs_ask_id(struct programs *p, const char *id, struct ticket *t, struct error *e);

/* Lane; every step of a request with a ticket begins with it. Compiles if that is this ticket's task. */
enum status programs_compile(struct programs *p, struct ticket *t, const struct program_source *s, struct error *e);

/* Loop. Lets go; whoever waits may have to compile now. */
void programs_release(struct programs *p, struct ticket *t);

/* Loop. Drops what has this id or name; returns how many. */
size_t programs_forget(struct programs *p, const char *id_or_name);

struct programs_counts programs_counts(const struct programs *p);
void programs_each(struct programs *p, void (*visit)(const struct compiled *c, void *arg), void *arg);

#endif
