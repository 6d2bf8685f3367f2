/* SPDX-License-Identifier: BSD-3-Clause
 *
 * May two accesses meet in different iterations of a loop? Tests by the form of the subscripts, after Goff, Kennedy, Tseng, "Practical dependence
 * testing", PLDI 1991. With iteration t1 of the one and t2 of the other they meet where, on every axis,
 *	D = constant + a1 t1 - a2 t2 + (counters of loops inside) + (values that do not change) = 0
 * Indices are computed modulo 2^64; |D| is kept below 2^64, so that D = 0 is the only way to meet.
 */
#include "kernels/compiler/analysis_private.h"

/* The distances t2 - t1 that one axis allows. */
struct distances {
	enum { NO_DISTANCE, ONE_DISTANCE, ANY_DISTANCE, UNKNOWN_DISTANCE } kind;
	wide d;
	const char *test;
};

struct equation {
	struct form rest;         /* constant and values that do not change */
	wide a1, a2;              /* of the loop's own iterations */
	wide inner[2 * FORM_TERMS], trips[2 * FORM_TERMS]; /* factors of inner counters, and how many values these have at most */
	unsigned ninner;
};

static const wide far = (wide)1 << 48;

static wide magnitude(wide v) { return v < 0 ? -v : v; }

static wide gcd(wide a, wide b)
{
	while (b) {
		wide r = a % b;
		a = b;
		b = r;
	}
	return magnitude(a);
}

/* Counters inside the loop as start + step * count; everything that changes in the loop gets the side. */
static bool normalise(struct analyser *an, const struct node *loop, struct form *f, uint8_t side, bool *exact_starts)
{
	for (unsigned pass = 0; f->known && pass < 32; pass++) {
		unsigned i = 0;
		while (i < f->n && (f->terms[i].kind != TERM_FOR || term_before(an, &f->terms[i], loop)))
			i++;
		if (i == f->n)
			break;
		struct node *n = &an->nodes[f->terms[i].id];
		const struct range *r = for_range(an, n);
		struct form by = r->start, count = form_constant(0);
		if (!r->known || !by.known)
			return false;
		*exact_starts &= r->exact_start;
		count.terms[count.n++] = (struct term){ .kind = TERM_COUNT, .id = n->id, .side = side, .factor = r->step };
		form_add(an, &by, &count, 1);
		form_substitute(an, f, i, &by);
	}
	for (unsigned i = 0; f->known && i < f->n; i++)
		if (!term_before(an, &f->terms[i], loop))
			f->terms[i].side = side;
	return f->known;
}

static wide most_trips(struct analyser *an, struct node *loop)
{
	const struct range *r = for_range(an, loop);
	wide least = far;
	for (unsigned l = 0; l < r->low.n; l++)
		for (unsigned h = 0; h < r->high.n; h++) {
			struct form span = r->high.form[h];
			form_add(an, &span, &r->low.form[l], -1);
			if (!span.known || !r->low.exact[l] || !r->high.exact[h])
				continue;
			wide most = form_interval(an, &span).high, trips = most < 0 ? 0 : most / magnitude(r->step) + 1;
			least = trips < least ? trips : least;
		}
	return least;
}

/* Splits D; false if something in it is not known. */
static bool make_equation(struct analyser *an, struct node *loop, const struct form *d, struct equation *q)
{
	*q = (struct equation){ .rest = form_constant(d->constant) };
	wide reach = magnitude(d->constant);
	for (unsigned i = 0; i < d->n; i++) {
		const struct term *t = &d->terms[i];
		if (t->kind == TERM_COUNT && magnitude(t->factor) > 1 << 12)
			return false;
		if (t->kind == TERM_COUNT)
			reach += magnitude(t->factor) * far;
		if (t->kind == TERM_COUNT && t->id == loop->id) {
			*(t->side == 1 ? &q->a1 : &q->a2) = t->side == 1 ? t->factor : -t->factor;
		} else if (t->kind == TERM_COUNT) {
			q->inner[q->ninner] = t->factor;
			q->trips[q->ninner++] = most_trips(an, &an->nodes[t->id]);
		} else if (t->side) {
			return false; /* a value that changes from iteration to iteration */
		} else {
			q->rest.terms[q->rest.n++] = *t;
		}
	}
	return reach < (wide)1 << 62;
}

/* All values of the inner counters: sum of factor * [0, trips - 1]. */
static struct interval inner_span(const struct equation *q)
{
	struct interval s = { 0, 0 };
	for (unsigned i = 0; i < q->ninner; i++) {
		wide way = q->inner[i] * (q->trips[i] > 0 ? q->trips[i] - 1 : 0);
		*(way < 0 ? &s.low : &s.high) += way;
	}
	return s;
}

static wide floor_div(wide a, wide b)
{
	wide q = a / b;
	return a % b && (a < 0) != (b < 0) ? q - 1 : q;
}

/* a t1 - a t2 + c + inner = 0: the distance d = t2 - t1 has a d = c + inner. */
static struct distances strong(const struct equation *q, wide trips)
{
	wide a = magnitude(q->a1), c = q->a1 < 0 ? -q->rest.constant : q->rest.constant;
	struct interval s = inner_span(q);
	wide low = q->a1 < 0 ? -s.high : s.low, high = q->a1 < 0 ? -s.low : s.high;
	wide first = -floor_div(-(c + low), a), last = floor_div(c + high, a);
	first = first < 1 - trips ? 1 - trips : first;
	last = last > trips - 1 ? trips - 1 : last;
	const char *test = q->ninner ? "strong SIV over the loops inside" : "strong SIV";
	if (first > last)
		return (struct distances){ NO_DISTANCE, 0, test };
	if (first == last)
		return (struct distances){ ONE_DISTANCE, first, test };
	return (struct distances){ ANY_DISTANCE, 0, test };
}

/* g = gcd(a, b) = a x + b y */
static wide extended_gcd(wide a, wide b, wide *x, wide *y)
{
	wide x0 = 1, y0 = 0, x1 = 0, y1 = 1;
	while (b) {
		wide q = a / b, r = a - q * b, t;
		a = b, b = r;
		t = x0 - q * x1, x0 = x1, x1 = t;
		t = y0 - q * y1, y0 = y1, y1 = t;
	}
	*x = x0, *y = y0;
	return a;
}

/* k with 0 <= p + k s < trips */
static void clip(wide p, wide s, wide trips, wide *low, wide *high)
{
	if (!s) {
		if (p < 0 || p >= trips)
			*high = *low - 1;
		return;
	}
	wide from = s > 0 ? -floor_div(p, s) : -floor_div(trips - 1 - p, -s), to = s > 0 ? floor_div(trips - 1 - p, s) : floor_div(p, -s);
	*low = from > *low ? from : *low;
	*high = to < *high ? to : *high;
}

/* a1 t1 - a2 t2 + c = 0, a1 != a2, no inner counters. */
static struct distances exact(const struct equation *q, wide trips)
{
	const char *test = !q->a1 || !q->a2 ? "weak-zero SIV" : q->a1 == -q->a2 ? "weak-crossing SIV" : "exact SIV";
	wide x, y, g = extended_gcd(q->a1, -q->a2, &x, &y), c = q->rest.constant;
	if (c % g)
		return (struct distances){ NO_DISTANCE, 0, test };
	/* t1 = x m - k a2 / g, t2 = y m - k a1 / g */
	wide m = -c / g, p1 = x * m, s1 = -q->a2 / g, p2 = y * m, s2 = -q->a1 / g, low = -((wide)1 << 120), high = (wide)1 << 120;
	clip(p1, s1, trips, &low, &high);
	clip(p2, s2, trips, &low, &high);
	if (low > high)
		return (struct distances){ NO_DISTANCE, 0, test };
	wide d = p2 - p1 + low * (s2 - s1);
	return low == high ? (struct distances){ ONE_DISTANCE, d, test } : (struct distances){ ANY_DISTANCE, 0, test };
}

static struct distances constant_tests(const struct equation *q, wide trips)
{
	wide g = gcd(q->a1, q->a2);
	for (unsigned i = 0; i < q->ninner; i++)
		g = gcd(g, q->inner[i]);
	if (g && q->rest.constant % g)
		return (struct distances){ NO_DISTANCE, 0, "GCD" };
	if (!g)
		return (struct distances){ q->rest.constant ? NO_DISTANCE : ANY_DISTANCE, 0, "ZIV" };
	if (q->a1 && q->a1 == q->a2)
		return strong(q, trips);
	if (!q->ninner)
		return exact(q, trips);
	struct interval s = inner_span(q);
	wide low = s.low + q->rest.constant, high = s.high + q->rest.constant, reach1 = q->a1 * (trips - 1), reach2 = -q->a2 * (trips - 1);
	*(reach1 < 0 ? &low : &high) += reach1;
	*(reach2 < 0 ? &low : &high) += reach2;
	return (struct distances){ low > 0 || high < 0 ? NO_DISTANCE : ANY_DISTANCE, 0, "bounds" };
}

/* D is never 0 because of what the loops' bounds say, which may be symbols: x[i] and x[i + n] for i < n. */
static bool apart(struct analyser *an, struct node *loop, const struct form *d)
{
	struct form above = *d, below = form_constant(-1), one = form_constant(-1);
	form_add(an, &above, &one, 1);
	form_add(an, &below, d, -1);
	return proved_nonnegative_pair(an, &above, loop) || proved_nonnegative_pair(an, &below, loop);
}

static void give_side(struct analyser *an, const struct node *loop, struct form *f, uint8_t side)
{
	for (unsigned i = 0; i < f->n; i++)
		if (!term_before(an, &f->terms[i], loop))
			f->terms[i].side = side;
}

static struct distances axis_distances(struct analyser *an, struct node *loop, const struct form *one, const struct form *other)
{
	struct distances none = { UNKNOWN_DISTANCE, 0, "" };
	struct form f = *one, g = *other, d = form_constant(0);
	struct equation q;
	bool exact_starts = true;
	if (!f.known || !g.known || !normalise(an, loop, &f, 1, &exact_starts) || !normalise(an, loop, &g, 2, &exact_starts))
		return none;
	form_add(an, &d, &f, 1);
	form_add(an, &d, &g, -1);
	if (!d.known)
		return none;
	bool understood = make_equation(an, loop, &d, &q);
	if (understood && !q.rest.n) {
		struct distances out = constant_tests(&q, most_trips(an, loop));
		if (out.kind != ANY_DISTANCE)
			return out;
		none = out;
	} else if (understood && q.a1 && q.a1 == -q.a2 && !q.ninner) {
		none = (struct distances){ ANY_DISTANCE, 0, "weak-crossing SIV" };
	}
	struct interval reach = form_interval(an, &d);
	f = *one, g = *other, d = form_constant(0);
	give_side(an, loop, &f, 1);
	give_side(an, loop, &g, 2);
	form_add(an, &d, &f, 1);
	form_add(an, &d, &g, -1);
	if (d.known && exact_starts && reach.high < (wide)1 << 64 && reach.low > -((wide)1 << 64) && apart(an, loop, &d))
		return (struct distances){ NO_DISTANCE, 0, "bounds of the loops" };
	return none;
}

/* An index that may be negative may also mean the element `length` further on. */
static struct distances axis_with_wraps(struct analyser *an, struct node *loop, const struct place_of *a, const struct place_of *b, unsigned k)
{
	struct distances out = axis_distances(an, loop, &a->at[k], &b->at[k]);
	for (unsigned side = 0; side < 2; side++) {
		const struct place_of *p = side ? b : a;
		if (!p->may_wrap[k] || out.kind == UNKNOWN_DISTANCE)
			continue;
		struct form moved = p->at[k];
		form_add(an, &moved, &p->length[k], 1);
		struct distances d = side ? axis_distances(an, loop, &a->at[k], &moved) : axis_distances(an, loop, &moved, &b->at[k]);
		if (d.kind != NO_DISTANCE)
			return (struct distances){ UNKNOWN_DISTANCE, 0, "the index may be negative and count from the end" };
	}
	return out;
}

static struct dependence all_axes(struct analyser *an, struct node *loop, const struct place_of *a, const struct place_of *b)
{
	struct dependence out = { .kind = DEPENDS, .test = "ZIV" };
	bool has_distance = false, unknown = false;
	const char *why = "";
	for (unsigned k = 0; k < a->rank; k++) {
		struct distances d = axis_with_wraps(an, loop, a, b, k);
		if (d.kind == NO_DISTANCE || (d.kind == ONE_DISTANCE && !d.d) || (d.kind == ONE_DISTANCE && has_distance && d.d != out.distance))
			return (struct dependence){ .kind = DEPENDS_NOT, .test = d.test };
		if (d.kind == UNKNOWN_DISTANCE) {
			unknown = true;
			why = *why ? why : d.test;
		} else if (d.kind == ONE_DISTANCE) {
			has_distance = true;
			out = (struct dependence){ .kind = DEPENDS_DISTANCE, .distance = (int64_t)d.d, .test = d.test };
		} else if (!has_distance) {
			out.test = d.test;
		}
	}
	return unknown ? (struct dependence){ .kind = DEPENDS_UNKNOWN, .test = why } : out;
}

struct dependence depends(struct analyser *an, struct node *loop, const struct access *a, const struct access *b,
			  const struct place_of *pa, const struct place_of *pb)
{
	struct dependence out = { .kind = DEPENDS_NOT, .test = "different memory" };
	bool one_object = pa->slot == pb->slot && same_definition(pa->def, pb->def);
	bool inside = one_object && !definition_before(pa->def, loop);
	if (!may_share(an, pa, pb))
		return out;
	if (inside && pa->kind == OBJECT_FRESH)
		return out; /* each iteration has its own */
	if (one_object && !inside)
		out = all_axes(an, loop, pa, pb);
	else
		out = (struct dependence){ .kind = DEPENDS_UNKNOWN, .test = "the arrays may share memory" };
	out.a = a;
	out.b = b;
	return out;
}
