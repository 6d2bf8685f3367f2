/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What part scalars play in a loop whose iterations are to run apart:
 *	private      an iteration writes it before it reads it; if it is read after the loop, the last value is kept
 *	reduction    read only to update itself, always by the same operator
 *	winner       `if e > m: m = e` and what is set together with it; m decides about nothing else
 *	carried      anything else
 */
#include "kernels/compiler/analysis_private.h"
#include "kernels/compiler/types.h"

#include <string.h>

/* --- which variables may be read before the iteration writes them --- */

/* A set of variables that are surely written; `all`: the place is not reached. */
struct written {
	bool all;
	uint64_t *bits;
};

struct exposing {
	struct analyser *an;
	const struct node *loop;
	bool *exposed;
	struct written now, finish; /* here; on all ways to the end of the iteration */
	struct written *leaves, *breaks; /* by label; of the innermost loop inside, NULL: of the loop itself */
	size_t nwords;
};

static struct written copy_of(struct exposing *x, struct written w)
{
	uint64_t *bits = take(x->an, (x->nwords + 1) * sizeof *bits);
	memcpy(bits, w.bits, x->nwords * sizeof *bits);
	return (struct written){ w.all, bits };
}

static struct written not_reached(struct exposing *x)
{
	return (struct written){ true, take(x->an, (x->nwords + 1) * sizeof(uint64_t)) };
}

static void meet(struct exposing *x, struct written *into, struct written other)
{
	if (other.all)
		return;
	for (size_t i = 0; i < x->nwords; i++)
		into->bits[i] = into->all ? other.bits[i] : into->bits[i] & other.bits[i];
	into->all = false;
}

static void expose_read(void *arg, variable v)
{
	struct exposing *x = arg;
	if (!x->now.all && !(x->now.bits[v / 64] >> v % 64 & 1))
		x->exposed[v] = true;
}

static void write_now(struct exposing *x, variable v)
{
	x->now.bits[v / 64] |= (uint64_t)1 << v % 64;
}

static void expose_block(struct exposing *x, const struct ir_block *b);

static void expose_inner_loop(struct exposing *x, const struct ir_stmt *s)
{
	struct written before = copy_of(x, x->now), ends = not_reached(x), *outer = x->breaks;
	if (s->kind == IR_FOR)
		write_now(x, local_variable(s->local));
	x->breaks = &ends;
	expose_block(x, s->body);
	x->breaks = outer;
	if (s->kind == IR_FOR)
		meet(x, &ends, before); /* it need not run */
	x->now = ends;
}

static void expose_stmt(struct exposing *x, const struct ir_stmt *s)
{
	visit_reads(x->an, s, expose_read, x);
	struct written before, other;
	switch (s->kind) {
	case IR_IF:
		before = copy_of(x, x->now);
		expose_block(x, s->body);
		other = x->now;
		x->now = before;
		expose_block(x, s->orelse);
		meet(x, &x->now, other);
		break;
	case IR_FOR: case IR_LOOP:
		expose_inner_loop(x, s);
		break;
	case IR_BLOCK:
		x->leaves[s->label] = not_reached(x);
		expose_block(x, s->body);
		meet(x, &x->now, x->leaves[s->label]);
		break;
	case IR_LEAVE:
		if (x->leaves[s->label].bits)
			meet(x, &x->leaves[s->label], x->now);
		x->now.all = true;
		break;
	case IR_BREAK:
		meet(x, x->breaks ? x->breaks : &x->finish, x->now);
		x->now.all = true;
		break;
	case IR_CONTINUE:
		if (!x->breaks)
			meet(x, &x->finish, x->now);
		x->now.all = true;
		break;
	case IR_RETURN:
		x->now.all = true;
		break;
	case IR_SET: case IR_PROC:
		if (s->local < x->an->nlocals)
			write_now(x, local_variable(s->local));
		break;
	case IR_ALLOC: case IR_VIEW: case IR_LIST_NEW:
		write_now(x, slot_variable(x->an, s->array));
		break;
	default:
		break;
	}
}

static void expose_block(struct exposing *x, const struct ir_block *b)
{
	for (uint32_t i = 0; b && i < b->count; i++)
		expose_stmt(x, b->items[i]);
}

void find_exposed(struct analyser *an, const struct node *loop, bool *exposed, bool *always)
{
	struct exposing x = { .an = an, .loop = loop, .exposed = exposed, .nwords = an->nvariables / 64 + 1 };
	x.leaves = take(an, (an->f->nlabels + 1) * sizeof *x.leaves);
	x.now = not_reached(&x);
	x.now.all = false;
	x.finish = not_reached(&x);
	if (loop->s->kind == IR_FOR)
		write_now(&x, local_variable(loop->s->local));
	expose_block(&x, loop->s->body);
	meet(&x, &x.finish, x.now);
	for (variable v = 0; v < an->nvariables; v++)
		always[v] = x.finish.all || (x.finish.bits[v / 64] >> v % 64 & 1);
}

/* --- updates --- */

struct update {
	bool any;
	enum ir_reduction_kind kind;
};

static bool is_local(const struct ir_expr *e, uint32_t local)
{
	return e->kind == IR_LOCAL && e->local == local;
}

static bool kind_of(const struct ir_expr *e, enum ir_reduction_kind *kind)
{
	switch (e->op) {
	case IR_ADD: case IR_SUB:
		*kind = IR_REDUCE_SUM;
		return e->dtype != DTYPE_BOOL;
	case IR_MUL: case IR_DIV:
		*kind = IR_REDUCE_PROD;
		return e->dtype != DTYPE_BOOL;
	case IR_MAXIMUM:
		*kind = IR_REDUCE_MAX;
		return true;
	case IR_MINIMUM:
		*kind = IR_REDUCE_MIN;
		return true;
	case IR_BITAND:
		*kind = IR_REDUCE_AND;
		return true;
	case IR_BITOR:
		*kind = IR_REDUCE_OR;
		return true;
	case IR_BITXOR:
		*kind = IR_REDUCE_XOR;
		return true;
	default:
		return false;
	}
}

static bool is_bool_constant(const struct ir_expr *e, int64_t v)
{
	return e->kind == IR_CONST && e->dtype == DTYPE_BOOL && e->constant.i == v;
}

/* `t and e`, `t or e` as a choice: e is evaluated even where Python would not, so it must not fail. */
static bool is_lazy_logic(struct analyser *an, const struct ir_expr *e, uint32_t local, struct update *u, const struct ir_expr **with)
{
	if (e->dtype != DTYPE_BOOL || !is_local(e->test, local))
		return false;
	bool and = is_bool_constant(e->b, 0) || is_local(e->b, local), or = is_bool_constant(e->a, 1) || is_local(e->a, local);
	if (and == or || (u->any && u->kind != (and ? IR_REDUCE_AND : IR_REDUCE_OR)))
		return false;
	*with = and ? e->a : e->b;
	*u = (struct update){ true, and ? IR_REDUCE_AND : IR_REDUCE_OR };
	return !expr_reads(an, *with, local_variable(local)) && !may_fail(an->f, (struct ir_expr *)*with);
}

/* Is e the local itself after updates of one kind? */
static bool match_update(struct analyser *an, const struct ir_expr *e, uint32_t local, struct update *u, unsigned depth)
{
	variable v = local_variable(local);
	const struct ir_expr *with;
	for (;; e = e->a) {
		if (is_local(e, local))
			return true;
		if (depth > 50 || e->dtype != an->f->locals[local].dtype)
			return false;
		if (e->kind == IR_COND && is_lazy_logic(an, e, local, u, &with))
			return true;
		if (e->kind == IR_COND)
			return !expr_reads(an, e->test, v) && match_update(an, e->a, local, u, depth + 1) && match_update(an, e->b, local, u, depth + 1);
		enum ir_reduction_kind kind;
		if (e->kind != IR_OPERATE || !kind_of(e, &kind) || (u->any && u->kind != kind))
			return false;
		*u = (struct update){ true, kind };
		if (!expr_reads(an, e->b, v))
			continue;
		if (expr_reads(an, e->a, v) || e->op == IR_SUB || e->op == IR_DIV)
			return false;
		return match_update(an, e->b, local, u, depth + 1);
	}
}

/* All that stands in the loop and reads v. */
static bool reads_elsewhere(struct analyser *an, const struct node *loop, variable v, const struct node *except, bool allow_sets)
{
	for (uint32_t i = loop->id + 1; i < loop->end; i++) {
		const struct node *n = &an->nodes[i];
		bool own = allow_sets && n->s->kind == IR_SET && local_variable(n->s->local) == v;
		if (n != except && !own && stmt_reads(an, n->s, v))
			return true;
	}
	return false;
}

static void add_reduction(struct trial *t, struct ir_reduction r)
{
	t->reductions[t->nreductions++] = r;
}

static bool try_reduction(struct trial *t, uint32_t local)
{
	struct analyser *an = t->an;
	variable v = local_variable(local);
	struct update u = { 0 };
	if (reads_elsewhere(an, t->loop, v, NULL, true))
		return false;
	for (uint32_t w = an->writer_from[v]; w < an->writer_from[v + 1]; w++) {
		const struct node *n = &an->nodes[an->writers[w]];
		if (is_inside(n, t->loop) && (n->s->kind != IR_SET || !match_update(an, n->s->a, local, &u, 0)))
			return false;
	}
	if (!u.any)
		return false;
	add_reduction(t, (struct ir_reduction){ .kind = u.kind, .local = local, .written = IR_NONE });
	return true;
}

/* --- winners --- */

static bool comparison(const struct ir_expr *test, uint32_t local, enum ir_reduction_kind *kind, const struct ir_expr **with)
{
	if (test->kind != IR_OPERATE || test->op < IR_LT || test->op > IR_GE)
		return false;
	bool right = is_local(test->b, local), left = is_local(test->a, local);
	if (right == left)
		return false;
	static const enum ir_reduction_kind kinds[2][4] = {
		{ IR_REDUCE_LESS, IR_REDUCE_LESS_EQUAL, IR_REDUCE_GREATER, IR_REDUCE_GREATER_EQUAL }, /* e < m, e <= m, e > m, e >= m */
		{ IR_REDUCE_GREATER, IR_REDUCE_GREATER_EQUAL, IR_REDUCE_LESS, IR_REDUCE_LESS_EQUAL }, /* m < e, ... */
	};
	*kind = kinds[left][test->op - IR_LT];
	*with = right ? test->a : test->b;
	return true;
}

/* `e > m`, alone or behind conditions that do not read m. */
static bool guarded_comparison(struct analyser *an, const struct ir_expr *test, uint32_t local, enum ir_reduction_kind *kind,
			       const struct ir_expr **with)
{
	variable v = local_variable(local);
	for (unsigned depth = 0; depth < 50; depth++) {
		if (comparison(test, local, kind, with))
			return true;
		bool both = test->kind == IR_OPERATE && test->op == IR_BITAND && test->dtype == DTYPE_BOOL;
		if (both && !expr_reads(an, test->b, v))
			test = test->a;
		else if (both && !expr_reads(an, test->a, v))
			test = test->b;
		else if (test->kind == IR_COND && is_bool_constant(test->b, 0) && !expr_reads(an, test->test, v))
			test = test->a;
		else
			return false;
	}
	return false;
}

/* `m = e if e > m else m` */
static bool winner_by_choice(struct trial *t, const struct node *set, uint32_t local)
{
	const struct ir_expr *e = set->s->a, *with;
	enum ir_reduction_kind kind;
	variable v = local_variable(local);
	if (e->kind != IR_COND || !is_local(e->b, local) || !guarded_comparison(t->an, e->test, local, &kind, &with) ||
	    !same_expr(t->an->f, with, e->a) || expr_reads(t->an, with, v) || reads_elsewhere(t->an, t->loop, v, set, false))
		return false;
	add_reduction(t, (struct ir_reduction){ .kind = kind, .local = local, .written = IR_NONE });
	return true;
}

static bool written_only_in(struct trial *t, variable v, const struct node *branch)
{
	for (uint32_t w = t->an->writer_from[v]; w < t->an->writer_from[v + 1]; w++) {
		const struct node *n = &t->an->nodes[t->an->writers[w]];
		if (is_inside(n, t->loop) && n->parent != branch)
			return false;
	}
	return true;
}

/* What is set with the winner must not be read in the loop, nor come of anything that may fail: a chunk sets it more often. */
static bool find_followers(struct trial *t, const struct node *branch, uint32_t local, const struct ir_expr *with, struct ir_reduction *r)
{
	struct analyser *an = t->an;
	const struct ir_block *body = branch->s->body;
	bool found = false;
	r->follow = take(an, (body->count + 1) * sizeof *r->follow);
	for (uint32_t i = 0; i < body->count; i++) {
		const struct ir_stmt *s = body->items[i];
		if (s->kind != IR_SET)
			return false;
		if (s->local == local) {
			if (found || !same_expr(an->f, s->a, with))
				return false;
			found = true;
			continue;
		}
		variable v = local_variable(s->local);
		if (!written_only_in(t, v, branch) || reads_elsewhere(an, t->loop, v, NULL, false) || may_fail(an->f, s->a) ||
		    expr_reads(an, s->a, local_variable(local)))
			return false;
		for (uint32_t k = 0; k < r->nfollow; k++)
			if (r->follow[k] == s->local)
				return false;
		r->follow[r->nfollow++] = s->local;
	}
	return found;
}

static bool try_winner(struct trial *t, uint32_t local)
{
	struct analyser *an = t->an;
	variable v = local_variable(local);
	struct node *set = NULL;
	for (uint32_t w = an->writer_from[v]; w < an->writer_from[v + 1]; w++) {
		struct node *n = &an->nodes[an->writers[w]];
		if (!is_inside(n, t->loop))
			continue;
		if (set || n->s->kind != IR_SET)
			return false;
		set = n;
	}
	if (!set || dtype_is_complex(an->f->locals[local].dtype))
		return false;
	if (winner_by_choice(t, set, local))
		return true;
	struct node *branch = set->parent;
	const struct ir_expr *with;
	struct ir_reduction r = { .local = local, .written = IR_NONE };
	if (branch == t->loop || branch->s->kind != IR_IF || (branch->s->orelse && branch->s->orelse->count) ||
	    !guarded_comparison(an, branch->s->a, local, &r.kind, &with) || expr_reads(an, with, v) ||
	    reads_elsewhere(an, t->loop, v, branch, false) || !find_followers(t, branch, local, with, &r))
		return false;
	for (uint32_t k = 0; k < r.nfollow; k++)
		if (expr_reads(an, with, local_variable(r.follow[k])))
			return false;
	add_reduction(t, r);
	return true;
}

/* --- all together --- */

static bool is_follower(const struct trial *t, uint32_t local)
{
	for (uint32_t i = 0; i < t->nreductions; i++)
		for (uint32_t k = 0; k < t->reductions[i].nfollow; k++)
			if (t->reductions[i].follow[k] == local)
				return true;
	return false;
}

static void keep_last(struct trial *t, uint32_t local, bool always)
{
	uint32_t written = IR_NONE;
	if (!always) {
		written = ir_new_local(t->an->f, DTYPE_BOOL, "", 0);
		if (written == IR_NONE)
			need(t->an, NULL);
		t->pending[t->npending++] = (struct pending){ local, written };
	}
	add_reduction(t, (struct ir_reduction){ .kind = IR_REDUCE_LAST, .local = local, .written = written });
}

/* The counter of loops inside is nothing to tell. */
static bool only_counts(const struct analyser *an, const struct node *loop, variable v)
{
	for (uint32_t w = an->writer_from[v]; w < an->writer_from[v + 1]; w++)
		if (is_inside(&an->nodes[an->writers[w]], loop) && an->nodes[an->writers[w]].s->kind != IR_FOR)
			return false;
	return true;
}

void classify_scalars(struct trial *t)
{
	struct analyser *an = t->an;
	uint32_t nlocals = an->nlocals;
	bool *exposed = take(an, an->nvariables + 1), *always = take(an, an->nvariables + 1);
	find_exposed(an, t->loop, exposed, always);
	t->reductions = take(an, (nlocals + 1) * sizeof *t->reductions);
	t->pending = take(an, (nlocals + 1) * sizeof *t->pending);
	t->carried = take(an, (an->nvariables + 1) * sizeof *t->carried);
	for (variable v = 0; v < an->nvariables; v++) {
		if (!exposed[v] || !writes_in(an, t->loop, v))
			continue;
		if (v >= nlocals || (!try_reduction(t, v) && !try_winner(t, v)))
			t->carried[t->ncarried++] = v;
	}
	for (uint32_t local = 0; local < nlocals; local++) {
		variable v = local_variable(local);
		bool counter = local == t->loop->s->local;
		if (exposed[v] || is_follower(t, local) || (!counter && !writes_in(an, t->loop, v)))
			continue;
		char name[64];
		name_of(an, v, name, sizeof name);
		if (live_after(an, t->loop, v))
			keep_last(t, local, counter || always[v]);
		else if (!counter && an->f->locals[local].name.nbytes && !only_counts(an, t->loop, v))
			add_text(an, &t->report->privates, &t->report->nprivates, text(an, "%s", name));
	}
	for (variable v = nlocals; v < an->nvariables; v++)
		if (!exposed[v] && writes_in(an, t->loop, v)) {
			if (live_after(an, t->loop, v))
				t->carried[t->ncarried++] = v;
			else if (an->f->arrays[v - nlocals].name.nbytes)
				add_text(an, &t->report->privates, &t->report->nprivates, text(an, "%.*s", (int)an->f->arrays[v - nlocals].name.nbytes,
					 an->f->arrays[v - nlocals].name.text));
		}
}
