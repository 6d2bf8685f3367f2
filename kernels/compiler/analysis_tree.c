/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Statements with their places. The IR is structured, so a write that stands before a read in the same list of statements, or in a list around it,
 * dominates it: what a read sees is found by looking back in these lists. Jumps only go forward to the end of something that contains the
 * jump, or to the next iteration, and skip lists as a whole.
 */
#include "kernels/compiler/analysis_private.h"

#include <string.h>

variable local_variable(uint32_t local)
{
	return local;
}

variable slot_variable(const struct analyser *an, uint32_t slot)
{
	return an->nlocals + slot;
}

/* --- numbering --- */

static uint32_t count_list(const struct ir_block *b)
{
	uint32_t n = 0;
	for (uint32_t i = 0; b && i < b->count; i++)
		n += 1 + count_list(b->items[i]->body) + count_list(b->items[i]->orelse);
	return n;
}

static void number_list(struct analyser *an, struct ir_block *b, struct node *parent)
{
	uint32_t list = an->nnodes;
	for (uint32_t i = 0; b && i < b->count; i++) {
		struct node *n = &an->nodes[an->nnodes];
		n->s = b->items[i];
		n->parent = parent;
		n->id = an->nnodes++;
		n->list = list;
		n->depth = parent ? parent->depth + is_loop(parent->s) : 0;
		number_list(an, n->s->body, n);
		number_list(an, n->s->orelse, n);
		n->end = an->nnodes;
	}
}

static variable written_by(const struct analyser *an, const struct ir_stmt *s)
{
	switch (s->kind) {
	case IR_SET: case IR_FOR: case IR_PROC:
		return s->local < an->nlocals ? local_variable(s->local) : IR_NONE;
	case IR_ALLOC: case IR_VIEW: case IR_LIST_NEW: case IR_LIST_APPEND:
		return slot_variable(an, s->array);
	default:
		return IR_NONE;
	}
}

static void index_writers(struct analyser *an)
{
	an->writer_from = take(an, (an->nvariables + 2) * sizeof *an->writer_from);
	an->writers = take(an, (an->nnodes + 1) * sizeof *an->writers);
	uint32_t *count = an->writer_from + 1;
	for (uint32_t i = 0; i < an->nnodes; i++) {
		variable v = written_by(an, an->nodes[i].s);
		if (v != IR_NONE)
			count[v]++;
	}
	for (uint32_t v = 0; v < an->nvariables; v++)
		an->writer_from[v + 1] += an->writer_from[v];
	uint32_t *next = take(an, (an->nvariables + 1) * sizeof *next);
	memcpy(next, an->writer_from, an->nvariables * sizeof *next);
	for (uint32_t i = 0; i < an->nnodes; i++) {
		variable v = written_by(an, an->nodes[i].s);
		if (v != IR_NONE)
			an->writers[next[v]++] = i;
	}
}

void number_statements(struct analyser *an)
{
	an->nlocals = an->f->nlocals;
	an->nvariables = an->nlocals + an->f->narrays;
	an->nodes = take(an, (count_list(an->f->body) + 1) * sizeof *an->nodes);
	an->nnodes = 0;
	number_list(an, an->f->body, NULL);
	index_writers(an);
}

/* --- definitions --- */

/* The last writer with from <= number < to. */
static struct node *last_writer(const struct analyser *an, variable v, uint32_t from, uint32_t to)
{
	uint32_t low = an->writer_from[v], high = an->writer_from[v + 1];
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (an->writers[middle] < to)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == an->writer_from[v] || an->writers[low - 1] < from)
		return NULL;
	return &an->nodes[an->writers[low - 1]];
}

bool writes_in(const struct analyser *an, const struct node *loop, variable v)
{
	return last_writer(an, v, loop->id + 1, loop->end) != NULL;
}

struct definition reaching(struct analyser *an, const struct node *at, variable v)
{
	for (const struct node *n = at;; n = n->parent) {
		struct node *writer = last_writer(an, v, n->list, n->id);
		if (writer) {
			while (writer->parent != n->parent)
				writer = writer->parent;
			return (struct definition){ SEES_AFTER, writer };
		}
		struct node *outer = n->parent;
		if (!outer)
			return (struct definition){ SEES_ENTRY, NULL };
		if (!is_loop(outer->s))
			continue;
		if (outer->s->kind == IR_FOR && v == local_variable(outer->s->local))
			return (struct definition){ SEES_FOR, outer };
		if (writes_in(an, outer, v))
			return (struct definition){ SEES_TOP, outer };
	}
}

bool definition_before(struct definition d, const struct node *loop)
{
	return d.kind == SEES_ENTRY || d.node->id < loop->id;
}

/* --- looking at expressions --- */

void visit_expr(const struct ir_function *f, struct ir_expr *e, visit_fn *fn, void *arg)
{
	for (; e; e = e->a) {
		fn(arg, e);
		visit_expr(f, e->b, fn, arg);
		visit_expr(f, e->test, fn, arg);
		if (e->kind == IR_LOAD)
			for (unsigned k = 0; k < f->arrays[e->array].rank; k++)
				visit_expr(f, e->index[k], fn, arg);
	}
}

static void visit_list(const struct ir_function *f, struct ir_expr **list, unsigned n, visit_fn *fn, void *arg)
{
	for (unsigned k = 0; list && k < n; k++)
		visit_expr(f, list[k], fn, arg);
}

void visit_stmt(const struct ir_function *f, const struct ir_stmt *s, visit_fn *fn, void *arg)
{
	visit_expr(f, s->a, fn, arg);
	visit_expr(f, s->b, fn, arg);
	visit_expr(f, s->c, fn, arg);
	if (s->kind == IR_STORE)
		visit_list(f, s->index, f->arrays[s->array].rank, fn, arg);
	if (s->kind == IR_ALLOC || s->kind == IR_VIEW)
		visit_list(f, s->shape, f->arrays[s->array].rank, fn, arg);
	if (s->kind == IR_VIEW) {
		visit_list(f, s->step, f->arrays[s->array].rank, fn, arg);
		visit_list(f, s->offset, f->arrays[s->from].rank, fn, arg);
	}
}

struct reads {
	const struct analyser *an;
	visit_read_fn *fn;
	void *arg;
};

static void read_of(void *arg, struct ir_expr *e)
{
	const struct reads *r = arg;
	if (e->kind == IR_LOCAL)
		r->fn(r->arg, local_variable(e->local));
	else if (e->kind == IR_SHAPE || e->kind == IR_LOAD)
		r->fn(r->arg, slot_variable(r->an, e->array));
}

void visit_expr_reads(const struct analyser *an, struct ir_expr *e, visit_read_fn *fn, void *arg)
{
	struct reads r = { an, fn, arg };
	visit_expr(an->f, e, read_of, &r);
}

/* The slot of a store, of an append and of a procedure is read: its binding is. */
void visit_reads(const struct analyser *an, const struct ir_stmt *s, visit_read_fn *fn, void *arg)
{
	struct reads r = { an, fn, arg };
	visit_stmt(an->f, s, read_of, &r);
	if (s->kind == IR_STORE || s->kind == IR_LIST_APPEND)
		fn(arg, slot_variable(an, s->array));
	if (s->kind == IR_VIEW)
		fn(arg, slot_variable(an, s->from));
	for (uint32_t i = 0; s->kind == IR_PROC && i < s->narrays; i++)
		fn(arg, slot_variable(an, s->arrays[i]));
}

struct search {
	variable v;
	bool found;
};

static void search_read(void *arg, variable v)
{
	struct search *s = arg;
	s->found |= v == s->v;
}

bool expr_reads(const struct analyser *an, const struct ir_expr *e, variable v)
{
	struct search s = { v, false };
	visit_expr_reads(an, (struct ir_expr *)e, search_read, &s);
	return s.found;
}

bool stmt_reads(const struct analyser *an, const struct ir_stmt *st, variable v)
{
	struct search s = { v, false };
	visit_reads(an, st, search_read, &s);
	return s.found;
}

static bool same_node(const struct ir_function *f, const struct ir_expr *a, const struct ir_expr *b)
{
	if (a->kind != b->kind || a->dtype != b->dtype)
		return false;
	switch (a->kind) {
	case IR_CONST:
		return !memcmp(&a->constant, &b->constant, sizeof a->constant);
	case IR_LOCAL:
		return a->local == b->local;
	case IR_SHAPE:
		return a->array == b->array && a->axis == b->axis;
	case IR_LOAD:
		for (unsigned k = 0; a->array == b->array && k < f->arrays[a->array].rank; k++)
			if (!same_expr(f, a->index[k], b->index[k]))
				return false;
		return a->array == b->array;
	case IR_OPERATE:
		return a->op == b->op && a->checked == b->checked;
	case IR_CALL:
		return a->function == b->function;
	case IR_CAST:
		return a->checked == b->checked;
	case IR_COND:
		return true;
	}
	return false;
}

bool same_expr(const struct ir_function *f, const struct ir_expr *a, const struct ir_expr *b)
{
	for (; a && b; a = a->a, b = b->a)
		if (!same_node(f, a, b) || !same_expr(f, a->b, b->b) || !same_expr(f, a->test, b->test))
			return false;
	return !a && !b;
}

struct failing {
	const struct ir_function *f;
	bool found;
};

static void find_failing(void *arg, struct ir_expr *e)
{
	struct failing *s = arg;
	if (e->kind == IR_LOAD)
		for (unsigned k = 0; k < s->f->arrays[e->array].rank; k++)
			s->found |= !(e->index_flags[k] & IR_INDEX_IN_BOUNDS);
	bool divides = e->kind == IR_OPERATE && (e->op == IR_FLOORDIV || e->op == IR_MOD || e->op == IR_FMOD) && e->checked;
	bool by_constant = divides && e->b->kind == IR_CONST && e->b->constant.u;
	s->found |= (divides && !by_constant) || (e->kind == IR_CAST && e->checked) || (e->kind == IR_OPERATE && e->op == IR_POW);
}

bool may_fail(const struct ir_function *f, struct ir_expr *e)
{
	struct failing s = { f, false };
	visit_expr(f, e, find_failing, &s);
	return s.found;
}

/* --- liveness --- */

/* Looks back from a read outside of the loop, past writes that need not happen, for the loop. */
static bool sees_loop(struct analyser *an, const struct node *at, const struct node *loop, variable v)
{
	for (const struct node *n = at;; n = n->parent) {
		for (uint32_t to = n->id;;) {
			struct node *writer = last_writer(an, v, n->list, to);
			if (!writer)
				break;
			bool surely = writer->parent == n->parent && writer->s->kind != IR_FOR;
			while (writer->parent != n->parent)
				writer = writer->parent;
			if (writer == loop || is_inside(loop, writer))
				return true;
			if (surely && writer->s->kind != IR_LIST_APPEND)
				return false;
			to = writer->id;
		}
		struct node *outer = n->parent;
		if (!outer)
			return false;
		if (outer->s->kind == IR_FOR && v == local_variable(outer->s->local))
			return false;
		if (is_loop(outer->s) && is_inside(loop, outer))
			return true;
	}
}

bool live_after(struct analyser *an, const struct node *loop, variable v)
{
	for (uint32_t i = 0; i < an->f->nresults; i++) {
		struct ir_slot r = an->f->results[i];
		if (v == (r.is_array ? slot_variable(an, r.id) : local_variable(r.id)))
			return true;
	}
	for (uint32_t i = 0; i < an->nnodes; i++) {
		if (i == loop->id)
			i = loop->end;
		if (i >= an->nnodes)
			break;
		if (stmt_reads(an, an->nodes[i].s, v) && sees_loop(an, &an->nodes[i], loop, v))
			return true;
	}
	/* The bounds of the loop itself, in an iteration of a loop around it. */
	return stmt_reads(an, loop->s, v) && sees_loop(an, loop, loop, v);
}
