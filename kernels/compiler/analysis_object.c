/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Accesses, and the memory they mean: a view is traced to the array it looks at, its indices to coordinates there.
 */
#include "kernels/compiler/analysis_private.h"

#include <string.h>

/* --- collecting --- */

static void add_access(struct analyser *an, struct access a)
{
	if (an->naccesses == an->access_capacity) {
		uint32_t capacity = an->access_capacity ? 2 * an->access_capacity : 64;
		struct access *larger = take(an, capacity * sizeof *larger);
		if (an->naccesses)
			memcpy(larger, an->accesses, an->naccesses * sizeof *larger);
		an->accesses = larger;
		an->access_capacity = capacity;
	}
	an->accesses[an->naccesses++] = a;
}

struct collecting {
	struct analyser *an;
	struct node *node;
};

static void collect_load(void *arg, struct ir_expr *e)
{
	struct collecting *c = arg;
	if (e->kind == IR_LOAD)
		add_access(c->an, (struct access){ c->node, e, e->array, e->line ? e->line : c->node->s->line, false, false, e->index, e->index_flags });
}

void collect_accesses(struct analyser *an)
{
	for (uint32_t i = 0; i < an->nnodes; i++) {
		struct node *n = &an->nodes[i];
		const struct ir_stmt *s = n->s;
		struct collecting c = { an, n };
		visit_stmt(an->f, s, collect_load, &c);
		if (s->kind == IR_STORE)
			add_access(an, (struct access){ n, NULL, s->array, s->line, true, false, s->index, s->index_flags });
		if (s->kind == IR_LIST_APPEND)
			add_access(an, (struct access){ n, NULL, s->array, s->line, true, true, NULL, NULL });
		for (uint32_t k = 0; s->kind == IR_PROC && k < s->narrays; k++) {
			bool writes = k == 0 && (s->proc == KERNEL_PROC_SORT || s->proc == KERNEL_PROC_ARGSORT);
			add_access(an, (struct access){ n, NULL, s->arrays[k], s->line, writes, true, NULL, NULL });
		}
	}
}

/* --- places --- */

static struct form scaled(struct analyser *an, struct node *at, struct ir_expr *step, const struct form *index)
{
	struct form out = form_constant(0), factor = step ? resolve(an, at, step) : form_constant(1);
	if (factor.known && !factor.n)
		form_add(an, &out, index, factor.constant);
	else
		out.known = false;
	return out;
}

/* From coordinates in the view to coordinates in what it looks at. An index of the view that may be negative is counted from the view's end, and
 * says nothing here. */
static void look_through(struct analyser *an, struct place_of *p, struct node *view)
{
	const struct ir_stmt *s = view->s;
	unsigned rank = an->f->arrays[s->from].rank;
	struct form at[IR_MAX_RANK];
	for (unsigned k = 0; k < rank; k++)
		at[k] = s->offset && s->offset[k] ? resolve(an, view, s->offset[k]) : form_constant(0);
	for (unsigned d = 0; d < p->rank; d++) {
		if (s->from_axis[d] < 0)
			continue;
		struct form *to = &at[s->from_axis[d]];
		struct form part = scaled(an, view, s->step ? s->step[d] : NULL, &p->at[d]);
		if (p->may_wrap[d])
			to->known = false;
		else
			form_add(an, to, &part, 1);
	}
	memcpy(p->at, at, sizeof at);
	memset(p->may_wrap, 0, sizeof p->may_wrap);
	p->rank = rank;
	p->slot = s->from;
}

static void find_indices(struct analyser *an, const struct access *a, struct place_of *p)
{
	p->rank = an->f->arrays[a->array].rank;
	for (unsigned k = 0; k < p->rank; k++) {
		p->at[k] = (struct form){ 0 };
		if (a->whole)
			continue;
		p->at[k] = resolve(an, a->node, a->index[k]);
		p->may_wrap[k] = !(a->flags[k] & IR_INDEX_NONNEGATIVE) && !proved_nonnegative(an, &p->at[k]);
		if (p->may_wrap[k])
			p->length[k] = resolve_shape(an, a->node, a->array, k);
	}
}

struct place_of place_of(struct analyser *an, const struct access *a)
{
	struct place_of p = { .slot = a->array, .root = an->f->arrays[a->array].root };
	struct node *at = a->node;
	find_indices(an, a, &p);
	for (;;) {
		p.def = reaching(an, at, slot_variable(an, p.slot));
		if (p.def.kind == SEES_ENTRY) {
			p.kind = OBJECT_ENTRY;
			return p;
		}
		const struct ir_stmt *s = p.def.node->s;
		p.kind = p.def.kind == SEES_AFTER && (s->kind == IR_ALLOC || s->kind == IR_LIST_NEW) ? OBJECT_FRESH : OBJECT_OTHER;
		if (p.def.kind != SEES_AFTER || s->kind != IR_VIEW)
			return p;
		at = p.def.node;
		look_through(an, &p, at);
	}
}

bool may_share(const struct analyser *an, const struct place_of *a, const struct place_of *b)
{
	if (a->root && b->root && a->root != b->root)
		return false;
	uint32_t ra = an->f->arrays[a->slot].root, rb = an->f->arrays[b->slot].root;
	if (ra && rb && ra != rb)
		return false;
	/* New memory is no memory that was there before. */
	if (a->kind == OBJECT_FRESH && b->kind != OBJECT_OTHER)
		return b->kind == OBJECT_FRESH && same_definition(a->def, b->def);
	if (b->kind == OBJECT_FRESH && a->kind != OBJECT_OTHER)
		return false;
	return true;
}
