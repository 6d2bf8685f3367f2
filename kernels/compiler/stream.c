/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Which array parameters a program meets only element by element, in parallel loops: those may stay in the client's memory, and each chunk's part
 * is brought when its turn comes (struct kernel_remote). So a sum over a client's array is read once, through the cache, and never copied whole.
 */
#include "kernels/compiler/stream.h"

#include <string.h>

struct walk {
	const struct ir_function *f;
	struct stream_use *uses;         /* [nparams] */
	uint32_t counter;                /* of the parallel loop around here, or IR_NONE */
	bool always;                     /* every iteration comes by here */
	bool jumps;                      /* the loop has a continue */
};

static struct stream_use *use_of(const struct walk *w, uint32_t array)
{
	for (uint32_t k = 0; k < w->f->nparams; k++)
		if (w->f->params[k].is_array && w->f->params[k].id == array)
			return &w->uses[k];
	return NULL;
}

static void refuse(const struct walk *w, uint32_t array)
{
	struct stream_use *u = use_of(w, array);
	if (u)
		u->streams = false;
}

static bool by_counter(const struct walk *w, struct ir_expr *const *index)
{
	return w->counter != IR_NONE && index[0]->kind == IR_LOCAL && index[0]->local == w->counter;
}

static void walk_expr(struct walk *w, const struct ir_expr *e)
{
	/* Chains are long on the side of a. */
	for (; e; e = e->a) {
		if (e->kind == IR_LOAD) {
			struct stream_use *u = use_of(w, e->array);
			if (u) {
				u->streams &= w->f->arrays[e->array].rank == 1 && by_counter(w, e->index);
				u->fetch = true;
			}
			for (unsigned k = 0; k < w->f->arrays[e->array].rank; k++)
				walk_expr(w, e->index[k]);
		}
		walk_expr(w, e->b);
		walk_expr(w, e->test);
	}
}

static void walk_store(struct walk *w, const struct ir_stmt *s)
{
	struct stream_use *u = use_of(w, s->array);
	if (u) {
		u->streams &= w->f->arrays[s->array].rank == 1 && by_counter(w, s->index);
		/* What is not surely overwritten must be there before. */
		u->fetch |= !w->always || w->jumps;
		u->store = true;
	}
	for (unsigned k = 0; k < w->f->arrays[s->array].rank; k++)
		walk_expr(w, s->index[k]);
}

static bool has(const struct ir_block *b, enum ir_stmt_kind kind, uint32_t local)
{
	for (uint32_t i = 0; b && i < b->count; i++) {
		const struct ir_stmt *s = b->items[i];
		if (s->kind == kind && (local == IR_NONE || s->local == local))
			return true;
		if (has(s->body, kind, local) || has(s->orelse, kind, local))
			return true;
	}
	return false;
}

static bool is_int(const struct ir_expr *e, int64_t v)
{
	return e && e->kind == IR_CONST && e->constant.i == v;
}

/* Iteration number and index are the same, and stay it. */
static bool counts_plainly(const struct ir_stmt *s)
{
	return s->loop->parallel && is_int(s->a, 0) && (!s->c || is_int(s->c, 1)) && !has(s->body, IR_SET, s->local) && !has(s->body, IR_FOR, s->local) &&
	       !has(s->body, IR_PROC, s->local);
}

static void walk_block(struct walk *w, const struct ir_block *b);

static void walk_loop(struct walk *w, const struct ir_stmt *s)
{
	struct walk inside = *w;
	bool outermost = w->counter == IR_NONE;
	if (outermost && s->kind == IR_FOR && counts_plainly(s)) {
		inside.counter = s->local;
		inside.always = true;
		inside.jumps = has(s->body, IR_CONTINUE, IR_NONE) || has(s->body, IR_LEAVE, IR_NONE);
	} else {
		inside.always = false;
	}
	for (uint32_t i = 0; i < s->loop->nguards; i++)
		walk_expr(w, s->loop->guards[i]);
	walk_block(&inside, s->body);
}

static void walk_view(struct walk *w, const struct ir_stmt *s)
{
	unsigned from = w->f->arrays[s->from].rank, rank = w->f->arrays[s->array].rank;
	refuse(w, s->from);
	for (unsigned k = 0; s->offset && k < from; k++)
		walk_expr(w, s->offset[k]);
	for (unsigned k = 0; k < rank; k++) {
		walk_expr(w, s->shape[k]);
		walk_expr(w, s->step ? s->step[k] : NULL);
	}
}

static void walk_stmt(struct walk *w, const struct ir_stmt *s)
{
	struct walk inside = *w;
	walk_expr(w, s->a);
	walk_expr(w, s->b);
	walk_expr(w, s->c);
	switch (s->kind) {
	case IR_STORE: walk_store(w, s); return;
	case IR_FOR:
	case IR_LOOP: walk_loop(w, s); return;
	case IR_IF:
		inside.always = false;
		walk_block(&inside, s->body);
		walk_block(&inside, s->orelse);
		return;
	case IR_BLOCK: walk_block(w, s->body); return;
	case IR_VIEW:
		walk_view(w, s);
		refuse(w, s->array);
		return;
	case IR_ALLOC:
		for (unsigned k = 0; k < w->f->arrays[s->array].rank; k++)
			walk_expr(w, s->shape[k]);
		refuse(w, s->array);
		return;
	case IR_LIST_NEW:
	case IR_LIST_APPEND: refuse(w, s->array); return;
	case IR_PROC:
		for (uint32_t i = 0; i < s->narrays; i++)
			refuse(w, s->arrays[i]);
		return;
	default: return;
	}
}

static void walk_block(struct walk *w, const struct ir_block *b)
{
	for (uint32_t i = 0; b && i < b->count; i++)
		walk_stmt(w, b->items[i]);
}

/* Chunks of more arrays than a layout names (codegen_parallel.c) are not streamed. */
enum { MOST_ARRAYS = 256 };

void stream_uses(const struct ir_function *f, struct stream_use *uses)
{
	if (f->narrays > MOST_ARRAYS)
		return;
	struct walk w = { .f = f, .uses = uses, .counter = IR_NONE, .always = true };
	for (uint32_t k = 0; k < f->nparams; k++) {
		const struct ir_array *a = f->params[k].is_array ? &f->arrays[f->params[k].id] : NULL;
		uses[k] = (struct stream_use){ .streams = a && a->rank == 1 && a->contiguous && a->root };
		/* Memory that two parameters may share must be one piece of memory here, too. */
		for (uint32_t j = 0; a && j < f->nparams; j++)
			if (j != k && f->params[j].is_array && f->arrays[f->params[j].id].root == a->root)
				uses[k].streams = false;
	}
	walk_block(&w, f->body);
	for (uint32_t k = 0; k < f->nresults; k++)
		if (f->results[k].is_array)
			refuse(&w, f->results[k].id);
}
