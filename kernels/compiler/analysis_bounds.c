/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Indices: proved to be in bounds, or in bounds if guards hold that one loop looks at when it begins. A guard is about the least and the greatest
 * value that a form can have over the loops inside: each counter is replaced by an end of its range, the innermost first. All numbers in a guard are
 * themselves guarded to lie within 2^40, and factors are small, so that a guard cannot wrap into a false yes.
 */
#include "kernels/compiler/analysis_private.h"

#include <string.h>

#define NEAR ((int64_t)1 << 40)

struct guard_set {
	struct ir_expr **items;
	uint32_t n, capacity;
};

/* --- proofs --- */

static void prove_axis(struct analyser *an, struct access *a, unsigned k)
{
	if (a->flags[k] & IR_INDEX_IN_BOUNDS)
		return;
	struct form f = resolve(an, a->node, a->index[k]);
	if (!f.known || !proved_nonnegative(an, &f))
		return;
	a->flags[k] |= IR_INDEX_NONNEGATIVE;
	struct form room = resolve_shape(an, a->node, a->array, k);
	room.constant -= 1;
	form_add(an, &room, &f, -1);
	if (proved_nonnegative(an, &room))
		a->flags[k] |= IR_INDEX_IN_BOUNDS;
}

/* --- guards --- */

/* The term has one value during the whole loop, which its local or shape still holds at the entry. */
static bool known_at_entry(struct analyser *an, const struct term *t, struct node *loop)
{
	if (t->side || !term_before(an, t, loop) || t->kind == TERM_EXPR || t->kind == TERM_COUNT)
		return false;
	uint32_t local = t->kind == TERM_FOR ? an->nodes[t->id].s->local : t->id;
	variable v = t->kind == TERM_SHAPE ? slot_variable(an, t->id) : local_variable(local);
	struct definition d = reaching(an, loop, v);
	if (writes_in(an, loop, v) || (t->kind != TERM_SHAPE && local == loop->s->local))
		return false;
	return t->kind == TERM_FOR ? d.kind == SEES_FOR && d.node->id == t->id : same_definition(d, t->def);
}

static struct ir_expr *term_at_entry(struct analyser *an, const struct term *t)
{
	if (t->kind == TERM_SHAPE)
		return ir_shape(an->f, t->id, t->axis);
	return ir_cast(an->f, DTYPE_I64, ir_local(an->f, t->kind == TERM_FOR ? an->nodes[t->id].s->local : t->id), false);
}

static bool form_known_at_entry(struct analyser *an, const struct form *g, struct node *loop)
{
	bool good = g->known && g->constant <= NEAR && g->constant >= -NEAR;
	for (unsigned i = 0; good && i < g->n; i++)
		good = g->terms[i].factor <= 1 << 16 && g->terms[i].factor >= -(1 << 16) && known_at_entry(an, &g->terms[i], loop);
	return good;
}

/* sum of factor * term + constant */
static struct ir_expr *form_at_entry(struct analyser *an, const struct form *g)
{
	struct ir_function *f = an->f;
	struct ir_expr *sum = ir_const_int(f, DTYPE_I64, (int64_t)g->constant);
	for (unsigned i = 0; i < g->n; i++) {
		struct ir_expr *e = term_at_entry(an, &g->terms[i]);
		if (g->terms[i].factor != 1)
			e = ir_binary(f, IR_MUL, DTYPE_I64, e, ir_const_int(f, DTYPE_I64, (int64_t)g->terms[i].factor));
		sum = ir_binary(f, IR_ADD, DTYPE_I64, sum, e);
	}
	return sum;
}

/* What must not be negative, and the bounds that were used for it and must not have wrapped. */
enum { DEEPEST = 6 };
struct needed {
	struct form least;
	struct form used[DEEPEST];
	unsigned nused;
};

/* The form with each counter of the loop and inside at the end of its range that makes it least; false if none can be told at the entry. */
static bool least_at_entry(struct analyser *an, const struct form *f, struct node *loop, unsigned depth, struct needed *out)
{
	unsigned inner = FORM_TERMS;
	for (unsigned i = 0; i < f->n; i++)
		if (f->terms[i].kind == TERM_FOR && f->terms[i].id >= loop->id && (inner == FORM_TERMS || f->terms[i].id > f->terms[inner].id))
			inner = i;
	if (inner == FORM_TERMS) {
		out->least = *f;
		/* A guard that can never hold would take all others with it. */
		return form_known_at_entry(an, f, loop) && (f->n || f->constant >= 0);
	}
	const struct range *r = for_range(an, &an->nodes[f->terms[inner].id]);
	const struct bounds *bounds = f->terms[inner].factor > 0 ? &r->low : &r->high;
	for (unsigned k = 0; depth < DEEPEST && r->known && k < bounds->n; k++) {
		struct form g = *f;
		unsigned nused = out->nused;
		form_substitute(an, &g, inner, &bounds->form[k]);
		if (!bounds->exact[k] && !form_known_at_entry(an, &bounds->form[k], loop))
			continue;
		if (!bounds->exact[k])
			out->used[out->nused++] = bounds->form[k];
		if (g.known && least_at_entry(an, &g, loop, depth + 1, out))
			return true;
		out->nused = nused;
	}
	return false;
}

/* Of an axis: the least index, and the least room above it. */
static bool guard_forms(struct analyser *an, const struct access *a, unsigned k, struct node *loop, struct needed out[2])
{
	struct form f = resolve(an, a->node, a->index[k]), room = form_constant(-1);
	if (!f.known || !definition_before(reaching(an, a->node, slot_variable(an, a->array)), loop))
		return false;
	struct form length = resolve_shape(an, a->node, a->array, k);
	form_add(an, &room, &length, 1);
	form_add(an, &room, &f, -1);
	out[0].nused = out[1].nused = 0;
	return room.known && least_at_entry(an, &f, loop, 0, &out[0]) && least_at_entry(an, &room, loop, 0, &out[1]);
}

static void add_guard(struct analyser *an, struct guard_set *g, struct ir_expr *e)
{
	need(an, e);
	for (uint32_t i = 0; i < g->n; i++)
		if (same_expr(an->f, g->items[i], e))
			return;
	if (g->n == g->capacity) {
		g->capacity = g->capacity ? 2 * g->capacity : 8;
		struct ir_expr **larger = take(an, g->capacity * sizeof *larger);
		if (g->n)
			memcpy(larger, g->items, g->n * sizeof *larger);
		g->items = larger;
	}
	g->items[g->n++] = e;
}

static void guard_terms(struct analyser *an, struct guard_set *g, const struct form *form)
{
	struct ir_function *f = an->f;
	for (unsigned i = 0; i < form->n; i++) {
		if (form->terms[i].kind != TERM_SHAPE)
			add_guard(an, g, ir_binary(f, IR_GE, DTYPE_BOOL, term_at_entry(an, &form->terms[i]), ir_const_int(f, DTYPE_I64, -NEAR)));
		add_guard(an, g, ir_binary(f, IR_LE, DTYPE_BOOL, term_at_entry(an, &form->terms[i]), ir_const_int(f, DTYPE_I64, NEAR)));
	}
}

static void guard_needed(struct analyser *an, struct guard_set *g, const struct needed *needed)
{
	for (unsigned i = 0; i < needed->nused; i++)
		guard_terms(an, g, &needed->used[i]);
	guard_terms(an, g, &needed->least);
	if (needed->least.n || needed->least.constant < 0)
		add_guard(an, g, ir_binary(an->f, IR_GE, DTYPE_BOOL, form_at_entry(an, &needed->least), ir_const_int(an->f, DTYPE_I64, 0)));
}

/* --- which loop looks --- */

static bool wants_guard(const struct analyser *an, const struct access *a, unsigned k)
{
	return !a->whole && k < an->f->arrays[a->array].rank && !(a->flags[k] & (IR_INDEX_IN_BOUNDS | IR_INDEX_GUARDED));
}

/* The accesses inside a loop are weighed by how deep they stand: 16 times as often with each loop. */
static double weight(const struct access *a)
{
	double w = 1;
	for (unsigned d = 0; d < a->node->depth && d < 32; d++)
		w *= 16;
	return w;
}

static uint32_t first_access(const struct analyser *an, uint32_t node)
{
	uint32_t low = 0, high = an->naccesses;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (an->accesses[middle].node->id < node)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static double gain_of(struct analyser *an, struct node *loop)
{
	double gain = 0;
	struct needed unused[2];
	for (uint32_t i = first_access(an, loop->id + 1); i < an->naccesses && an->accesses[i].node->id < loop->end; i++)
		for (unsigned k = 0; k < IR_MAX_RANK; k++)
			if (wants_guard(an, &an->accesses[i], k) && guard_forms(an, &an->accesses[i], k, loop, unused))
				gain += weight(&an->accesses[i]);
	return gain;
}

static void guard_loop(struct analyser *an, struct node *loop)
{
	struct guard_set g = { loop->s->loop->guards, loop->s->loop->nguards, loop->s->loop->nguards };
	struct needed forms[2];
	for (uint32_t i = first_access(an, loop->id + 1); i < an->naccesses && an->accesses[i].node->id < loop->end; i++) {
		struct access *a = &an->accesses[i];
		for (unsigned k = 0; k < IR_MAX_RANK; k++) {
			if (!wants_guard(an, a, k) || !guard_forms(an, a, k, loop, forms))
				continue;
			guard_needed(an, &g, &forms[0]);
			guard_needed(an, &g, &forms[1]);
			a->flags[k] |= IR_INDEX_GUARDED;
		}
	}
	loop->s->loop->guards = g.items;
	loop->s->loop->nguards = g.n;
}

/* The most that guards in this loop, or else in loops inside, can do; a guarded loop holds no other. best: by node, the gain of what is chosen. */
static double choose(struct analyser *an, struct node *loop, bool *here)
{
	double inside = 0;
	for (uint32_t i = loop->id + 1; i < loop->end;) {
		struct node *n = &an->nodes[i];
		if (is_loop(n->s)) {
			inside += choose(an, n, here);
			i = n->end;
		} else {
			i++;
		}
	}
	double own = loop->s->kind == IR_FOR && !loop->s->loop->generated ? gain_of(an, loop) : 0;
	here[loop->id] = own > 0 && own >= inside;
	return own > inside ? own : inside;
}

static void place_guards(struct analyser *an, const bool *here)
{
	for (uint32_t i = 0; i < an->nnodes;) {
		struct node *n = &an->nodes[i];
		if (here[i])
			guard_loop(an, n);
		i = here[i] ? n->end : i + 1;
	}
}

/* --- the report --- */

static struct node *loop_around(const struct access *a)
{
	struct node *n = a->node->parent;
	while (n && !is_loop(n->s))
		n = n->parent;
	return n;
}

static void count(struct analyser *an, const struct access *a)
{
	struct node *loop = loop_around(a);
	if (!loop || a->whole)
		return;
	struct loop_report *r = &an->reports[loop->s->loop->id];
	for (unsigned k = 0; k < an->f->arrays[a->array].rank; k++) {
		r->bounds.total++;
		if (a->flags[k] & IR_INDEX_IN_BOUNDS)
			r->bounds.proved++;
		else if (a->flags[k] & IR_INDEX_GUARDED)
			r->bounds.guarded++;
		else
			r->bounds.kept++;
	}
}

void mark_bounds(struct analyser *an)
{
	for (uint32_t i = 0; i < an->naccesses; i++)
		for (unsigned k = 0; !an->accesses[i].whole && k < an->f->arrays[an->accesses[i].array].rank; k++)
			prove_axis(an, &an->accesses[i], k);
	bool *here = take(an, an->nnodes + 1);
	for (uint32_t i = 0; i < an->nnodes;) {
		struct node *n = &an->nodes[i];
		if (is_loop(n->s))
			choose(an, n, here);
		i = is_loop(n->s) ? n->end : i + 1;
	}
	place_guards(an, here);
	for (uint32_t i = 0; i < an->naccesses; i++)
		count(an, &an->accesses[i]);
}
