/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Integers as c0 + sum ck * xk in checked 128-bit arithmetic. The run-time value of an index is the form modulo 2^64, since sums and products
 * with constants are; it is the form itself where that fits int64. A loop's bounds are used only where this was seen to be so (compare
 * llvm/llvm-project#207662: wide arithmetic does not wrap, the program's does).
 */
#include "kernels/compiler/analysis_private.h"
#include "kernels/compiler/types.h"

#include <string.h>

#define LARGEST_AXIS ((wide)1 << 60)
#define LARGEST_FACTOR ((wide)1 << 62)
#define MOST_TRIPS ((wide)1 << 48)

/* --- forms --- */

struct form form_constant(wide c)
{
	return (struct form){ .known = true, .constant = c };
}

static struct form form_of(struct term t)
{
	struct form f = form_constant(0);
	t.factor = 1;
	f.terms[f.n++] = t;
	return f;
}

static bool in_reach(wide v)
{
	return v >= -LARGEST_FACTOR * 4 && v <= LARGEST_FACTOR * 4;
}

static bool same_leaf_value(struct analyser *an, const struct term *a, const struct term *b);

bool same_term(struct analyser *an, const struct term *a, const struct term *b)
{
	if (a->kind != b->kind || a->side != b->side)
		return false;
	switch (a->kind) {
	case TERM_FOR: case TERM_COUNT:
		return a->id == b->id;
	case TERM_LOCAL:
		return a->id == b->id && same_definition(a->def, b->def);
	case TERM_SHAPE:
		return a->id == b->id && a->axis == b->axis && same_definition(a->def, b->def);
	case TERM_EXPR:
		return same_leaf_value(an, a, b);
	}
	return false;
}

void form_add(struct analyser *an, struct form *f, const struct form *g, wide factor)
{
	wide part;
	f->known = f->known && g->known && in_reach(factor) && !__builtin_mul_overflow(g->constant, factor, &part) &&
		   !__builtin_add_overflow(f->constant, part, &f->constant) && in_reach(f->constant);
	for (unsigned i = 0; f->known && i < g->n; i++) {
		const struct term *t = &g->terms[i];
		unsigned k = 0;
		while (k < f->n && !same_term(an, &f->terms[k], t))
			k++;
		if (k == FORM_TERMS || __builtin_mul_overflow(t->factor, factor, &part) || !in_reach(part)) {
			f->known = false;
			return;
		}
		if (k == f->n) {
			f->terms[f->n] = *t;
			f->terms[f->n++].factor = 0;
		}
		f->terms[k].factor += part;
		f->known = in_reach(f->terms[k].factor);
		if (!f->terms[k].factor)
			f->terms[k] = f->terms[--f->n];
	}
}

void form_substitute(struct analyser *an, struct form *f, unsigned term, const struct form *by)
{
	wide factor = f->terms[term].factor;
	f->terms[term] = f->terms[--f->n];
	form_add(an, f, by, factor);
}

/* --- values of expressions --- */

static struct form unknown(void)
{
	return (struct form){ 0 };
}

static struct form opaque(struct node *at, struct ir_expr *e)
{
	return form_of((struct term){ .kind = TERM_EXPR, .expr = e, .at = at });
}

static bool is_int_constant(const struct ir_expr *e, int64_t *v)
{
	if (e->kind != IR_CONST || (!dtype_is_integer(e->dtype) && e->dtype != DTYPE_BOOL))
		return false;
	*v = e->constant.i;
	return e->dtype != DTYPE_U64 || *v >= 0;
}

static const struct form *set_form(struct analyser *an, struct node *set)
{
	if (!set->form && !set->busy) {
		set->busy = 1;
		struct form f = resolve(an, set, set->s->a);
		struct form *kept = take(an, sizeof *kept);
		*kept = f;
		set->form = kept;
		set->busy = 0;
	}
	return set->form;
}

static struct form resolve_local(struct analyser *an, struct node *at, uint32_t local)
{
	struct definition d = reaching(an, at, local_variable(local));
	if (d.kind == SEES_FOR)
		return form_of((struct term){ .kind = TERM_FOR, .id = d.node->id });
	if (d.kind == SEES_AFTER && d.node->s->kind == IR_SET && an->f->locals[local].dtype == DTYPE_I64) {
		const struct form *f = set_form(an, d.node);
		/* An opaque value is better known by its variable, which guards can read. */
		if (f && f->known && !(f->n == 1 && f->constant == 0 && f->terms[0].kind == TERM_EXPR))
			return *f;
	}
	return form_of((struct term){ .kind = TERM_LOCAL, .id = local, .def = d });
}

/* `i < 0 ? i + n : i` of an i that is not negative. */
static struct ir_expr *surely_chosen(struct analyser *an, struct node *at, struct ir_expr *e)
{
	const struct ir_expr *t = e->test;
	int64_t zero;
	if (t->kind != IR_OPERATE || t->op != IR_LT || t->a->dtype != DTYPE_I64 || !is_int_constant(t->b, &zero) || zero)
		return NULL;
	struct form f = resolve(an, at, t->a);
	return proved_nonnegative(an, &f) ? e->b : NULL;
}

static struct form resolve_operate(struct analyser *an, struct node *at, struct ir_expr *e)
{
	if (e->op != IR_ADD && e->op != IR_SUB && e->op != IR_NEG && e->op != IR_MUL)
		return opaque(at, e);
	struct form f = form_constant(0), a = resolve(an, at, e->a), b = e->b ? resolve(an, at, e->b) : form_constant(0);
	if (e->op == IR_MUL && a.known && !a.n)
		form_add(an, &f, &b, a.constant);
	else if (e->op == IR_MUL && b.known && !b.n)
		form_add(an, &f, &a, b.constant);
	else if (e->op == IR_MUL)
		return opaque(at, e);
	else
		form_add(an, &f, &a, e->op == IR_NEG ? -1 : 1);
	if (e->op == IR_ADD || e->op == IR_SUB)
		form_add(an, &f, &b, e->op == IR_ADD ? 1 : -1);
	return f.known ? f : opaque(at, e);
}

static bool too_deep(const struct ir_expr *e)
{
	unsigned depth = 0;
	for (; e; e = e->a)
		if (++depth > 100)
			return true;
	return false;
}

struct form resolve(struct analyser *an, struct node *at, struct ir_expr *e)
{
	int64_t v;
	if (e->dtype == DTYPE_I64 && is_int_constant(e, &v))
		return form_constant(v);
	if (e->dtype != DTYPE_I64)
		return unknown();
	if (too_deep(e))
		return opaque(at, e);
	switch (e->kind) {
	case IR_LOCAL:
		return resolve_local(an, at, e->local);
	case IR_SHAPE:
		return resolve_shape(an, at, e->array, e->axis);
	case IR_OPERATE:
		return resolve_operate(an, at, e);
	case IR_CAST:
		if (is_int_constant(e->a, &v))
			return form_constant(v);
		if (e->a->kind == IR_LOCAL && dtype_is_integer(e->a->dtype) && e->a->dtype != DTYPE_U64)
			return resolve_local(an, at, e->a->local);
		return opaque(at, e);
	case IR_COND: {
		struct ir_expr *chosen = surely_chosen(an, at, e);
		return chosen ? resolve(an, at, chosen) : opaque(at, e);
	}
	default:
		return opaque(at, e);
	}
}

/* The length in an ALLOC is trusted if it cannot have wrapped into a length that memory was found for. */
static bool is_true_length(struct analyser *an, const struct form *f)
{
	wide near = (wide)1 << 40;
	bool simple = f->n == 1 && (f->terms[0].factor == 1 || f->terms[0].factor == -1) && f->constant > -near && f->constant < near;
	return f->known && (simple || fits_int64(form_interval(an, f)));
}

struct form resolve_shape(struct analyser *an, struct node *at, uint32_t slot, unsigned axis)
{
	struct definition d = reaching(an, at, slot_variable(an, slot));
	if (d.kind == SEES_AFTER && (d.node->s->kind == IR_ALLOC || d.node->s->kind == IR_VIEW) && !d.node->busy) {
		d.node->busy = 1;
		struct form f = resolve(an, d.node, d.node->s->shape[axis]);
		d.node->busy = 0;
		bool leaf = f.known && f.n == 1 && f.terms[0].kind == TERM_EXPR;
		bool certain = d.node->s->kind == IR_ALLOC ? is_true_length(an, &f) : f.known && fits_int64(form_interval(an, &f));
		if (!leaf && certain)
			return f;
	}
	return form_of((struct term){ .kind = TERM_SHAPE, .id = slot, .axis = axis, .def = d });
}

/* --- when two opaque values are one --- */

struct leaf_check {
	struct analyser *an;
	struct node *one, *other;
	const struct node *loop;
	bool differs;
};

static void compare_leaf(void *arg, struct ir_expr *e)
{
	struct leaf_check *c = arg;
	if (e->kind == IR_LOAD)
		c->differs = true; /* memory may have changed */
	if (e->kind != IR_LOCAL && e->kind != IR_SHAPE)
		return;
	variable v = e->kind == IR_LOCAL ? local_variable(e->local) : slot_variable(c->an, e->array);
	struct definition d = reaching(c->an, c->one, v);
	if (c->other && !same_definition(d, reaching(c->an, c->other, v)))
		c->differs = true;
	if (c->loop && !definition_before(d, c->loop))
		c->differs = true;
}

static bool same_leaf_value(struct analyser *an, const struct term *a, const struct term *b)
{
	if (a->expr == b->expr && a->at == b->at)
		return true;
	struct leaf_check c = { an, a->at, b->at, NULL, false };
	if (!same_expr(an->f, a->expr, b->expr))
		return false;
	visit_expr(an->f, a->expr, compare_leaf, &c);
	return !c.differs;
}

bool term_before(struct analyser *an, const struct term *t, const struct node *loop)
{
	if (t->kind == TERM_FOR || t->kind == TERM_COUNT)
		return t->id < loop->id;
	if (t->kind != TERM_EXPR)
		return definition_before(t->def, loop);
	struct leaf_check c = { an, t->at, NULL, loop, false };
	visit_expr(an->f, t->expr, compare_leaf, &c);
	return !c.differs;
}

/* --- ranges of values --- */

static struct interval dtype_interval(enum dtype d)
{
	if (d == DTYPE_BOOL)
		return (struct interval){ 0, 1 };
	if (d == DTYPE_U64)
		return (struct interval){ 0, UINT64_MAX };
	if (dtype_is_integer(d))
		return (struct interval){ dtype_min(d), dtype_max(d) };
	return (struct interval){ INT64_MIN, INT64_MAX };
}

bool fits_int64(struct interval i)
{
	return i.low >= INT64_MIN && i.high <= INT64_MAX;
}

static wide lesser(wide a, wide b) { return a < b ? a : b; }
static wide greater(wide a, wide b) { return a > b ? a : b; }

static struct interval value_interval(struct analyser *an, struct node *at, struct ir_expr *e, unsigned depth);

static struct interval operate_interval(struct analyser *an, struct node *at, struct ir_expr *e, unsigned depth)
{
	struct interval all = dtype_interval(e->dtype), a = value_interval(an, at, e->a, depth + 1);
	struct interval b = e->b ? value_interval(an, at, e->b, depth + 1) : a;
	bool constant = b.low == b.high && b.low > 0;
	switch (e->op) {
	case IR_MAXIMUM:
		return (struct interval){ greater(a.low, b.low), greater(a.high, b.high) };
	case IR_MINIMUM:
		return (struct interval){ lesser(a.low, b.low), lesser(a.high, b.high) };
	case IR_MOD: /* of a zero divisor: an error, or 0 */
		return b.low >= 0 ? (struct interval){ 0, greater(b.high - 1, 0) } : all;
	case IR_FLOORDIV:
		return constant && a.low >= 0 ? (struct interval){ a.low / b.low, a.high / b.low } : all;
	case IR_SHR:
		return a.low >= 0 ? (struct interval){ 0, a.high } : all;
	case IR_BITAND:
		return b.low >= 0 ? (struct interval){ 0, b.high } : a.low >= 0 ? (struct interval){ 0, a.high } : all;
	default:
		return all;
	}
}

static struct interval value_interval(struct analyser *an, struct node *at, struct ir_expr *e, unsigned depth)
{
	struct interval all = dtype_interval(e->dtype);
	int64_t v;
	if (is_int_constant(e, &v))
		return (struct interval){ v, v };
	if (depth > 8 || (!dtype_is_integer(e->dtype) && e->dtype != DTYPE_BOOL))
		return all;
	if (e->kind == IR_LOCAL || e->kind == IR_SHAPE || (e->kind == IR_OPERATE && (e->op == IR_ADD || e->op == IR_SUB || e->op == IR_MUL))) {
		struct form f = resolve(an, at, e);
		bool itself = f.known && f.n == 1 && f.terms[0].kind == TERM_EXPR && f.terms[0].expr == e;
		struct interval i = f.known && !itself ? form_interval(an, &f) : all;
		return fits_int64(i) ? i : all;
	}
	if (e->kind == IR_CAST && (dtype_is_integer(e->a->dtype) || e->a->dtype == DTYPE_BOOL)) {
		struct interval i = value_interval(an, at, e->a, depth + 1);
		return i.low >= all.low && i.high <= all.high ? i : all;
	}
	if (e->kind == IR_COND) {
		struct interval a = value_interval(an, at, e->a, depth + 1), b = value_interval(an, at, e->b, depth + 1);
		return (struct interval){ lesser(a.low, b.low), greater(a.high, b.high) };
	}
	return e->kind == IR_OPERATE && e->b ? operate_interval(an, at, e, depth) : all;
}

static struct interval counter_interval(struct analyser *an, struct node *loop)
{
	const struct range *r = for_range(an, loop);
	struct interval out = { INT64_MIN, INT64_MAX };
	if (loop->interval)
		return *loop->interval;
	for (unsigned k = 0; r->known && k < r->low.n; k++)
		if (r->low.exact[k])
			out.low = greater(out.low, form_interval(an, &r->low.form[k]).low);
	for (unsigned k = 0; r->known && k < r->high.n; k++)
		if (r->high.exact[k])
			out.high = lesser(out.high, form_interval(an, &r->high.form[k]).high);
	/* Nobody sees the end of a longer way. */
	struct interval start = r->known && r->exact_start ? form_interval(an, &r->start) : out;
	if (r->known && r->step > 0)
		out.high = lesser(out.high, start.high + r->step * MOST_TRIPS);
	else if (r->known)
		out.low = greater(out.low, start.low + r->step * MOST_TRIPS);
	if (loop->range) {
		loop->interval = take(an, sizeof out);
		*loop->interval = out;
	}
	return out;
}

static struct interval term_interval(struct analyser *an, const struct term *t)
{
	switch (t->kind) {
	case TERM_FOR:
		return counter_interval(an, &an->nodes[t->id]);
	case TERM_COUNT:
		return (struct interval){ 0, MOST_TRIPS };
	case TERM_SHAPE:
		return (struct interval){ 0, LARGEST_AXIS };
	case TERM_LOCAL: {
		struct node *set = t->def.kind == SEES_AFTER && t->def.node->s->kind == IR_SET ? t->def.node : NULL;
		struct interval all = dtype_interval(an->f->locals[t->id].dtype);
		if (!set || (set->busy && !set->interval))
			return all;
		if (!set->interval) {
			set->busy = 1;
			struct interval i = value_interval(an, set, set->s->a, 0);
			set->busy = 0;
			set->interval = take(an, sizeof i);
			*set->interval = i;
		}
		return *set->interval;
	}
	case TERM_EXPR:
		return value_interval(an, t->at, t->expr, 0);
	}
	return (struct interval){ INT64_MIN, INT64_MAX };
}

struct interval form_interval(struct analyser *an, const struct form *f)
{
	struct interval out = { f->constant, f->constant };
	for (unsigned i = 0; i < f->n; i++) {
		struct interval t = term_interval(an, &f->terms[i]);
		wide factor = f->terms[i].factor, low, high;
		if (__builtin_mul_overflow(factor, factor > 0 ? t.low : t.high, &low) || __builtin_mul_overflow(factor, factor > 0 ? t.high : t.low, &high) ||
		    __builtin_add_overflow(out.low, low, &out.low) || __builtin_add_overflow(out.high, high, &out.high))
			return (struct interval){ -((wide)1 << 126), (wide)1 << 126 };
	}
	return out;
}

/* --- bounds of counters --- */

/* Is the run-time value the form, and not the form modulo 2^64? */
static bool is_exact(struct analyser *an, const struct form *f)
{
	return f->known && ((f->n == 1 && f->terms[0].factor == 1 && !f->constant) || fits_int64(form_interval(an, f)));
}

/* Forms the value of e is never below (op MAXIMUM) or above (MINIMUM), beginning with its own. */
static void bound_forms(struct analyser *an, struct node *at, struct ir_expr *e, enum ir_op op, wide shift, struct bounds *out)
{
	struct form f = resolve(an, at, e);
	if (f.known && out->n < RANGE_FORMS) {
		out->exact[out->n] = is_exact(an, &f);
		f.constant += shift;
		out->form[out->n++] = f;
	}
	for (unsigned hops = 0; hops < 4 && e->kind == IR_LOCAL; hops++) {
		struct definition d = reaching(an, at, local_variable(e->local));
		if (d.kind != SEES_AFTER || d.node->s->kind != IR_SET)
			return;
		at = d.node;
		e = d.node->s->a;
	}
	if (e->kind != IR_OPERATE || e->op != op || e->dtype != DTYPE_I64 || out->n >= RANGE_FORMS)
		return;
	bound_forms(an, at, e->a, op, shift, out);
	bound_forms(an, at, e->b, op, shift, out);
}

const struct range *for_range(struct analyser *an, struct node *loop)
{
	static const struct range none;
	if (loop->range)
		return loop->range;
	if (loop->busy)
		return &none;
	loop->busy = 1;
	struct range *r = take(an, sizeof *r);
	const struct ir_stmt *s = loop->s;
	int64_t step;
	if (is_int_constant(s->c, &step) && step && step != INT64_MIN) {
		r->step = step;
		r->start = resolve(an, loop, s->a);
		r->exact_start = is_exact(an, &r->start);
		bound_forms(an, loop, step > 0 ? s->a : s->b, IR_MAXIMUM, step > 0 ? 0 : 1, &r->low);
		bound_forms(an, loop, step > 0 ? s->b : s->a, IR_MINIMUM, step > 0 ? -1 : 0, &r->high);
		r->known = true;
	}
	loop->busy = 0;
	loop->range = r;
	return r;
}

/* Counters are replaced by their bounds, the innermost first, whose bounds may hold outer ones. */
static bool prove(struct analyser *an, const struct form *f, const struct node *loop, unsigned depth)
{
	if (!f->known)
		return false;
	if (form_interval(an, f).low >= 0)
		return true;
	unsigned inner = FORM_TERMS;
	for (unsigned i = 0; i < f->n; i++)
		if (f->terms[i].kind == TERM_FOR && (inner == FORM_TERMS || f->terms[i].id > f->terms[inner].id))
			inner = i;
	if (inner == FORM_TERMS || depth > 6)
		return false;
	const struct term t = f->terms[inner];
	const struct range *r = for_range(an, &an->nodes[t.id]);
	const struct bounds *bounds = t.factor > 0 ? &r->low : &r->high;
	for (unsigned k = 0; r->known && k < bounds->n; k++) {
		struct form g = *f, bound = bounds->form[k];
		if (!bounds->exact[k])
			continue;
		for (unsigned i = 0; i < bound.n; i++)
			if (t.side && !term_before(an, &bound.terms[i], loop))
				bound.terms[i].side = t.side;
		form_substitute(an, &g, inner, &bound);
		if (prove(an, &g, loop, depth + 1))
			return true;
	}
	return false;
}

bool proved_nonnegative(struct analyser *an, const struct form *f)
{
	return prove(an, f, NULL, 0);
}

bool proved_nonnegative_pair(struct analyser *an, const struct form *f, const struct node *loop)
{
	return prove(an, f, loop, 0);
}
