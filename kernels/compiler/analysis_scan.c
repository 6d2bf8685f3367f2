/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Recurrences y = A y' + B, with A and B free of y, on a scalar or on the element before (the class of Redon and Feautrier,
 * "Scheduling reductions", 1994). They run in order, which gives the bits of the source; what is told is why they cannot be cut.
 */
#include "kernels/compiler/analysis_private.h"

enum shape_of { FREE, SAME, SUM, PRODUCT, LINEAR, HIGHEST, LOWEST, OTHER };

struct scan {
	struct analyser *an;
	const struct node *loop;
	variable v;                    /* IR_NONE: the loads of an array */
	const struct trial *trial;
};

static bool is_state(const struct scan *c, const struct ir_expr *e)
{
	if (c->v != IR_NONE)
		return e->kind == IR_LOCAL && local_variable(e->local) == c->v;
	for (uint32_t i = 0; e->kind == IR_LOAD && i < c->trial->nfound; i++)
		if (c->trial->found[i].a->expr == e || c->trial->found[i].b->expr == e)
			return true;
	return false;
}

static struct node *set_inside(const struct scan *c, const struct node *at, const struct ir_expr *e)
{
	if (e->kind != IR_LOCAL)
		return NULL;
	struct definition d = reaching(c->an, at, local_variable(e->local));
	bool inside = d.kind == SEES_AFTER && is_inside(d.node, c->loop);
	return inside && d.node->s->kind == IR_SET ? d.node : NULL;
}

struct finding {
	const struct scan *scan;
	const struct node *at;
	unsigned depth;
	bool found;
};

static void find_state(void *arg, struct ir_expr *e)
{
	struct finding *f = arg;
	if (f->found || is_state(f->scan, e)) {
		f->found = true;
		return;
	}
	if (e->kind != IR_LOCAL || !writes_in(f->scan->an, f->scan->loop, local_variable(e->local)))
		return;
	struct definition d = reaching(f->scan->an, f->at, local_variable(e->local));
	if (d.kind == SEES_FOR)
		return;
	struct node *set = set_inside(f->scan, f->at, e);
	if (!set || f->depth > 8) {
		f->found = true; /* not followed */
		return;
	}
	struct finding inner = { f->scan, set, f->depth + 1, false };
	visit_expr(f->scan->an->f, set->s->a, find_state, &inner);
	f->found |= inner.found;
}

static bool has_state(const struct scan *c, const struct node *at, struct ir_expr *e)
{
	struct finding f = { c, at, 0, false };
	visit_expr(c->an->f, e, find_state, &f);
	return f.found;
}

static enum shape_of add(enum shape_of a, enum shape_of b, bool minus)
{
	if (a >= HIGHEST || b >= HIGHEST)
		return OTHER;
	if (b == FREE)
		return a == FREE ? FREE : a == SAME || a == SUM ? SUM : LINEAR;
	if (a == FREE)
		return minus ? LINEAR : add(b, a, false);
	return LINEAR;
}

static enum shape_of shape(const struct scan *c, const struct node *at, struct ir_expr *e, unsigned depth)
{
	if (depth > 40)
		return OTHER;
	if (is_state(c, e))
		return SAME;
	if (!has_state(c, at, e))
		return FREE;
	struct node *set = set_inside(c, at, e);
	if (set)
		return shape(c, set, set->s->a, depth + 1);
	if (e->kind == IR_CAST)
		return shape(c, at, e->a, depth + 1);
	if (e->kind == IR_COND) {
		enum shape_of a = shape(c, at, e->a, depth + 1), b = shape(c, at, e->b, depth + 1);
		if (has_state(c, at, e->test))
			return OTHER;
		return a == b ? a : a == SAME ? b : b == SAME ? a : a >= HIGHEST || b >= HIGHEST ? OTHER : LINEAR;
	}
	if (e->kind != IR_OPERATE)
		return OTHER;
	enum shape_of a = shape(c, at, e->a, depth + 1), b = e->b ? shape(c, at, e->b, depth + 1) : FREE;
	switch (e->op) {
	case IR_ADD: case IR_SUB:
		return add(a, b, e->op == IR_SUB);
	case IR_NEG:
		return a >= HIGHEST ? OTHER : LINEAR;
	case IR_MUL: case IR_DIV: {
		if (b != FREE && (a != FREE || e->op == IR_DIV))
			return OTHER;
		enum shape_of s = a == FREE ? b : a;
		return s >= HIGHEST ? OTHER : s == SAME || s == PRODUCT ? PRODUCT : LINEAR;
	}
	case IR_MAXIMUM: case IR_MINIMUM: {
		enum shape_of s = a == FREE ? b : b == FREE ? a : OTHER, own = e->op == IR_MAXIMUM ? HIGHEST : LOWEST;
		return s == SAME || s == own ? own : OTHER;
	}
	default:
		return OTHER;
	}
}

static const char *name_of_shape(enum shape_of s)
{
	static const char *const names[] = { [SAME] = "first-order linear recurrence", [SUM] = "cumulative sum", [PRODUCT] = "cumulative product",
					     [LINEAR] = "first-order linear recurrence", [HIGHEST] = "cumulative maximum", [LOWEST] = "cumulative minimum" };
	return s == OTHER || s == FREE ? NULL : names[s];
}

/* The state decides nothing: no branch, no bound, no index. */
static bool decides(const struct scan *c)
{
	for (uint32_t i = c->loop->id + 1; i < c->loop->end; i++) {
		const struct node *n = &c->an->nodes[i];
		const struct ir_stmt *s = n->s;
		if ((s->kind == IR_IF || s->kind == IR_FOR || s->kind == IR_CHECK || s->kind == IR_VIEW || s->kind == IR_ALLOC) && s->a && has_state(c, n, s->a))
			return true;
		if (s->kind == IR_FOR && (has_state(c, n, s->b) || has_state(c, n, s->c)))
			return true;
		for (unsigned k = 0; s->kind == IR_STORE && k < c->an->f->arrays[s->array].rank; k++)
			if (has_state(c, n, s->index[k]))
				return true;
	}
	return false;
}

static enum shape_of both(enum shape_of all, enum shape_of s)
{
	if (all == OTHER || s == OTHER)
		return OTHER;
	if (all == SAME)
		return s == FREE ? LINEAR : s;
	return s == SAME || s == all ? all : all >= HIGHEST || s >= HIGHEST ? OTHER : LINEAR;
}

const char *scan_of_scalar(struct trial *t, variable v, bool *induction)
{
	struct scan c = { t->an, t->loop, v, t };
	enum shape_of all = SAME;
	bool depends = false;
	*induction = true;
	if (v >= t->an->nlocals || decides(&c))
		return NULL;
	for (uint32_t w = t->an->writer_from[v]; w < t->an->writer_from[v + 1]; w++) {
		struct node *n = &t->an->nodes[t->an->writers[w]];
		if (!is_inside(n, t->loop))
			continue;
		if (n->s->kind != IR_SET)
			return NULL;
		enum shape_of s = shape(&c, n, n->s->a, 0);
		all = both(all, s);
		depends |= s != FREE;
		const struct ir_expr *e = n->s->a;
		bool steps = e->kind == IR_OPERATE && (e->op == IR_ADD || e->op == IR_SUB) && e->b->kind == IR_CONST && n->parent == t->loop;
		*induction &= s == SUM && steps;
	}
	return depends ? name_of_shape(all) : NULL;
}

/* One store, and what depends on it are loads of what it stored one iteration before. */
const char *scan_of_array(struct trial *t)
{
	struct scan c = { t->an, t->loop, IR_NONE, t };
	const struct access *store = NULL;
	for (uint32_t i = 0; i < t->nfound; i++) {
		const struct dependence *d = &t->found[i];
		const struct access *write = d->a->write ? d->a : d->b, *read = d->a->write ? d->b : d->a;
		int64_t distance = d->a->write ? d->distance : -d->distance;
		if (d->kind != DEPENDS_DISTANCE || distance != 1 || read->write || write->node->s->kind != IR_STORE || (store && store != write))
			return NULL;
		store = write;
	}
	if (!store || decides(&c))
		return NULL;
	return name_of_shape(shape(&c, store->node, store->node->s->a, 0));
}
