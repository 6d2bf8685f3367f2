/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The passes, and the verdict on each loop. Of nested loops that were asked to be parallel the outermost that can be is.
 */
#include "kernels/compiler/analysis_private.h"
#include "kernels/compiler/types.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MOST_FOUND = 64, MOST_PAIRS = 4000000 };

/* --- memory --- */

void *need(struct analyser *an, void *p)
{
	if (!p)
		longjmp(an->leave, 1);
	return p;
}

void *take(struct analyser *an, size_t nbytes)
{
	return need(an, arena_alloc(an->f->arena, nbytes ? nbytes : 1));
}

const char *text(struct analyser *an, const char *format, ...)
{
	char line[400];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	return need(an, arena_copy(an->f->arena, line, strlen(line) + 1));
}

void add_text(struct analyser *an, const char ***list, uint32_t *n, const char *item)
{
	const char **longer = take(an, (*n + 1) * sizeof *longer);
	for (uint32_t i = 0; i < *n; i++) {
		longer[i] = (*list)[i];
		if (!strcmp(longer[i], item))
			return;
	}
	longer[(*n)++] = item;
	*list = longer;
}

/* --- bounds of loops as locals, which guards and proofs can name --- */

static void name_bound(struct ir_function *f, struct ir_block *b, uint32_t *at, struct ir_expr **bound, uint32_t line)
{
	if (!*bound || (*bound)->kind == IR_CONST || (*bound)->kind == IR_LOCAL || (*bound)->kind == IR_SHAPE)
		return;
	struct ir_block set = { 0 };
	struct ir_stmt *s = ir_append(f, &set, IR_SET, line);
	uint32_t local = ir_new_local(f, DTYPE_I64, "", 0);
	struct ir_expr *named = ir_local(f, local);
	if (!s || !named)
		return;
	s->local = local;
	s->a = *bound;
	*bound = named;
	ir_insert(f, b, (*at)++, s);
}

static void name_bounds(struct ir_function *f, struct ir_block *b)
{
	for (uint32_t i = 0; b && i < b->count; i++) {
		struct ir_stmt *s = b->items[i];
		if (s->kind == IR_FOR && !s->loop->generated) {
			name_bound(f, b, &i, &s->a, s->line);
			name_bound(f, b, &i, &s->b, s->line);
		}
		name_bounds(f, s->body);
		name_bounds(f, s->orelse);
	}
}

/* --- one loop --- */

void make_serial(struct trial *t, const char *reason, const char *hint)
{
	if (t->serial)
		return;
	t->serial = true;
	t->report->verdict = VERDICT_SERIAL;
	t->report->reason = reason;
	t->report->hint = hint;
}

static bool leaves_loop(const struct analyser *an, const struct node *loop, const struct node *n)
{
	if (n->s->kind == IR_RETURN)
		return true;
	if (n->s->kind != IR_BREAK && n->s->kind != IR_LEAVE)
		return false;
	for (const struct node *p = n->parent; p != loop; p = p->parent)
		if (n->s->kind == IR_BREAK ? is_loop(p->s) : p->s->kind == IR_BLOCK && p->s->label == n->s->label)
			return false;
	(void)an;
	return true;
}

static uint32_t shown_line(const struct analyser *an, uint32_t line)
{
	return an->f->source && an->f->source->first_line ? line + an->f->source->first_line - 1 : line;
}

static void look_for_exits(struct trial *t)
{
	for (uint32_t i = t->loop->id + 1; i < t->loop->end && !t->serial; i++)
		if (leaves_loop(t->an, t->loop, &t->an->nodes[i]))
			make_serial(t, text(t->an, "the loop can end early (line %u)", shown_line(t->an, t->an->nodes[i].s->line)),
				    "use range, or go through all iterations and keep what was found");
}

static void note_found(struct trial *t, struct dependence d)
{
	if (d.kind == DEPENDS_UNKNOWN && t->an->options->assume_independent) {
		t->report->assumed = true;
		t->report->test = *d.test ? d.test : "the index is not a sum of loop counters with constant factors";
	} else if (t->nfound < MOST_FOUND) {
		t->found[t->nfound++] = d;
	}
}

static void look_at_arrays(struct trial *t)
{
	struct analyser *an = t->an;
	uint32_t first = 0, n = 0, writes = 0;
	while (first < an->naccesses && an->accesses[first].node->id <= t->loop->id)
		first++;
	while (first + n < an->naccesses && an->accesses[first + n].node->id < t->loop->end)
		writes += an->accesses[first + n++].write;
	t->found = take(an, MOST_FOUND * sizeof *t->found);
	if ((uint64_t)writes * n > MOST_PAIRS) {
		make_serial(t, "the loop has too many accesses to compare", "split it into smaller loops");
		return;
	}
	struct place_of **places = take(an, (n + 1) * sizeof *places);
	for (uint32_t i = 0; i < n && writes; i++) {
		places[i] = take(an, sizeof **places);
		*places[i] = place_of(an, &an->accesses[first + i]);
	}
	for (uint32_t i = 0; i < n; i++) {
		const struct access *a = &an->accesses[first + i];
		for (uint32_t k = 0; a->write && k < n; k++) {
			const struct access *b = &an->accesses[first + k];
			if (b->write && k < i)
				continue;
			struct dependence d = depends(an, t->loop, a, b, places[i], places[k]);
			if (d.kind != DEPENDS_NOT)
				note_found(t, d);
		}
	}
}

static struct access_report report_access(struct analyser *an, const struct access *a)
{
	return (struct access_report){ shown_line(an, a->line), a->write, access_text(an, a) };
}

static bool is_indirect(struct analyser *an, const struct access *a)
{
	struct form f;
	for (unsigned k = 0; !a->whole && k < an->f->arrays[a->array].rank; k++) {
		f = resolve(an, a->node, a->index[k]);
		for (unsigned i = 0; i < f.n; i++)
			if (f.terms[i].kind == TERM_EXPR || f.terms[i].kind == TERM_LOCAL)
				return true;
	}
	return false;
}

static bool is_update(const struct analyser *an, const struct dependence *d)
{
	const struct access *w = d->a->write ? d->a : d->b, *r = d->a->write ? d->b : d->a;
	bool pair = w->array == r->array && !r->write && w->node == r->node && !w->whole;
	for (unsigned k = 0; pair && k < an->f->arrays[w->array].rank; k++)
		pair = same_expr(an->f, w->index[k], r->index[k]);
	return pair;
}

static void tell_dependence(struct trial *t)
{
	struct analyser *an = t->an;
	const struct dependence *d = &t->found[0];
	/* A read tells more than the same store met twice; an update of elements most. */
	for (uint32_t i = 0; i < t->nfound; i++)
		if (d->a == d->b || (is_update(an, &t->found[i]) && !is_update(an, d)))
			d = &t->found[i];
	struct loop_report *r = t->report;
	r->access[0] = report_access(an, d->a);
	r->access[1] = report_access(an, d->b);
	r->test = d->kind == DEPENDS_DISTANCE ? text(an, "%s, distance %lld", d->test, (long long)d->distance) : d->test;
	if (is_update(an, d))
		make_serial(t, text(an, "iterations may update the same element: %s", r->access[0].text),
			    "keep one array for each iteration of an outer loop and add them up, or update a scalar");
	else if (d->kind == DEPENDS_DISTANCE)
		make_serial(t, text(an, "an iteration needs %s of the iteration %lld %s", r->access[d->a->write ? 1 : 0].text,
				    (long long)(d->distance < 0 ? -d->distance : d->distance), (d->distance < 0) == d->a->write ? "after it" : "before it"),
			    "write to another array than the one that is read");
	else if (d->kind == DEPENDS)
		make_serial(t, "iterations may meet in the same element", "let each iteration write elements of its own");
	else if (d->a->array != d->b->array)
		make_serial(t, "two arrays may share memory", "pass arrays that do not overlap, or a copy");
	else if (*d->test)
		make_serial(t, d->test, "let the range be that of the array's own length, or begin at 0");
	else
		make_serial(t, text(an, "it is not known whether two iterations meet in %s", r->access[0].text),
			    is_indirect(an, d->a) ? "if no index comes twice, say so with assume_independent"
						  : "use an index that is the counter times a constant plus a constant");
}

static void tell_carried(struct trial *t)
{
	char name[64];
	variable v = t->carried[0];
	name_of(t->an, v, name, sizeof name);
	if (v >= t->an->nlocals)
		make_serial(t, text(t->an, "the order of the iterations shows in %s", name),
			    "make the array before the loop and let each iteration write its own elements");
	else
		make_serial(t, text(t->an, "%s is carried from one iteration to the next", name),
			    "compute it from the counter, or use it only as `s = s op e` with one of + - * min max & | ^");
}

/* A loop that must run in order may still be one that has a name. */
static void look_for_scan(struct trial *t)
{
	const char *name = NULL;
	bool induction = false;
	if (t->ncarried == 1 && !t->nfound)
		name = scan_of_scalar(t, t->carried[0], &induction);
	else if (!t->ncarried && t->nfound)
		name = scan_of_array(t);
	if (!name)
		return;
	if (induction && t->ncarried) {
		t->report->reason = text(t->an, "%s: it grows by the same step each time (induction)", t->report->reason);
		return;
	}
	t->report->verdict = VERDICT_SCAN;
	add_text(t->an, &t->report->operators, &t->report->noperators, name);
	t->report->hint = "";
}

/* --- a loop that becomes parallel --- */

static void mark_written(struct ir_function *f, struct ir_block *b, struct pending p)
{
	for (uint32_t i = 0; b && i < b->count; i++) {
		struct ir_stmt *s = b->items[i];
		bool sets = (s->kind == IR_SET || s->kind == IR_PROC) && s->local == p.local, counts = s->kind == IR_FOR && s->local == p.local;
		mark_written(f, s->body, p);
		mark_written(f, s->orelse, p);
		if (!sets && !counts)
			continue;
		struct ir_block made = { 0 };
		struct ir_stmt *mark = ir_append(f, &made, IR_SET, s->line);
		if (!mark)
			return;
		mark->local = p.written;
		mark->a = ir_const_int(f, DTYPE_BOOL, 1);
		ir_insert(f, counts ? s->body : b, counts ? 0 : ++i, mark);
	}
}

static void tell_reduction(struct trial *t, const struct ir_reduction *r)
{
	static const char *const names[] = {
		[IR_REDUCE_SUM] = "sum of", [IR_REDUCE_PROD] = "product of", [IR_REDUCE_MIN] = "minimum of", [IR_REDUCE_MAX] = "maximum of",
		[IR_REDUCE_AND] = "and of", [IR_REDUCE_OR] = "or of", [IR_REDUCE_XOR] = "exclusive or of", [IR_REDUCE_LESS] = "least",
		[IR_REDUCE_GREATER] = "greatest", [IR_REDUCE_LESS_EQUAL] = "last least", [IR_REDUCE_GREATER_EQUAL] = "last greatest",
		[IR_REDUCE_LAST] = "last value of",
	};
	char name[64], line[300];
	enum dtype d = t->an->f->locals[r->local].dtype;
	name_of(t->an, local_variable(r->local), name, sizeof name);
	size_t n = (size_t)snprintf(line, sizeof line, "%s %s", names[r->kind], name);
	for (uint32_t k = 0; k < r->nfollow && n < sizeof line; k++) {
		name_of(t->an, local_variable(r->follow[k]), name, sizeof name);
		n += (size_t)snprintf(line + n, sizeof line - n, "%s%s", k ? ", " : " with ", name);
	}
	add_text(t->an, &t->report->operators, &t->report->noperators, text(t->an, "%s", line));
	t->report->reassociated |= (r->kind == IR_REDUCE_SUM || r->kind == IR_REDUCE_PROD) && (dtype_is_float(d) || dtype_is_complex(d));
	if (r->kind != IR_REDUCE_LAST)
		t->report->verdict = VERDICT_REDUCTION;
	else if (t->report->verdict == VERDICT_PARALLEL)
		t->report->verdict = VERDICT_PRIVATISED;
}

static void make_parallel(struct trial *t)
{
	struct analyser *an = t->an;
	struct ir_loop *loop = t->loop->s->loop;
	t->report->verdict = t->report->nprivates ? VERDICT_PRIVATISED : VERDICT_PARALLEL;
	t->report->reason = t->report->hint = "";
	loop->parallel = true;
	loop->reductions = t->reductions;
	loop->nreductions = t->nreductions;
	for (uint32_t i = 0; i < t->nreductions; i++)
		tell_reduction(t, &t->reductions[i]);
	for (uint32_t i = 0; i < t->npending; i++)
		mark_written(an->f, t->loop->s->body, t->pending[i]);
	for (uint32_t i = t->loop->id + 1; i < t->loop->end; i++) {
		struct ir_stmt *s = an->nodes[i].s;
		if (!is_loop(s))
			continue;
		struct loop_report *r = &an->reports[s->loop->id];
		s->loop->parallel = false;
		r->nested = true;
		r->verdict = VERDICT_SERIAL;
		r->reason = text(an, "it is inside the parallel loop of line %u", shown_line(an, t->loop->s->line));
	}
}

static void try_loop(struct analyser *an, struct node *loop)
{
	struct trial t = { .an = an, .loop = loop, .report = &an->reports[loop->s->loop->id] };
	look_for_exits(&t);
	if (t.serial)
		return;
	classify_scalars(&t);
	look_at_arrays(&t);
	if (t.ncarried)
		tell_carried(&t);
	else if (t.nfound)
		tell_dependence(&t);
	if (!t.serial) {
		make_parallel(&t);
		return;
	}
	t.report->privates = NULL;
	t.report->nprivates = 0;
	look_for_scan(&t);
}

/* --- all loops --- */

static void begin_reports(struct analyser *an)
{
	an->reports = take(an, (an->f->nloops + 1) * sizeof *an->reports);
	for (uint32_t i = 0; i < an->nnodes; i++) {
		const struct ir_stmt *s = an->nodes[i].s;
		if (!is_loop(s))
			continue;
		bool parallel = s->loop->parallel;
		an->reports[s->loop->id] = (struct loop_report){ .id = s->loop->id, .line = shown_line(an, s->line),
								 .wanted = s->loop->wanted, .generated = s->loop->generated,
								 .verdict = !parallel ? VERDICT_SERIAL : s->loop->nreductions ? VERDICT_REDUCTION : VERDICT_PARALLEL,
								 .hint = "", .test = "",
								 .reason = parallel || s->loop->generated ? "" : "it was not asked to run in parallel" };
	}
}

static void try_loops(struct analyser *an)
{
	for (uint32_t i = 0; i < an->nnodes; i++) {
		struct node *n = &an->nodes[i];
		if (n->s->kind != IR_FOR || !n->s->loop->wanted || n->s->loop->generated)
			continue;
		if (an->options->parallel)
			try_loop(an, n);
		else
			an->reports[n->s->loop->id].reason = "parallel loops are switched off";
		if (n->s->loop->parallel)
			i = n->end - 1;
	}
}

static enum status refuse(struct analyser *an, uint32_t line, struct loop_report *r, struct error *e)
{
	char more[200] = "";
	r->verdict = VERDICT_REFUSED;
	if (r->access[0].line)
		snprintf(more, sizeof more, " (line %u: %s, line %u: %s%s%s)", r->access[0].line, r->access[0].text, r->access[1].line, r->access[1].text,
			 *r->test ? "; " : "", r->test);
	const char *hint = *r->hint ? r->hint : "use range: the loop runs in order, with the same result";
	if (!an->f->source)
		return error_set(e, STATUS_UNSUPPORTED, "source", hint, "line %u: this prange cannot run in parallel: %s%s", r->line, r->reason, more);
	return source_error(an->f->source, (struct place){ line, 1 }, STATUS_UNSUPPORTED, e, hint,
			    "this prange cannot run in parallel: %s%s", r->reason, more);
}

static enum status finish_reports(struct analyser *an, struct analysis *out, struct error *e)
{
	enum status status = STATUS_OK;
	out->loops = take(an, (an->f->nloops + 1) * sizeof *out->loops);
	for (uint32_t i = 0; i < an->nnodes; i++) {
		const struct ir_stmt *s = an->nodes[i].s;
		if (!is_loop(s))
			continue;
		struct loop_report *r = &an->reports[s->loop->id];
		if (an->options->strict && an->options->parallel && r->wanted && !s->loop->parallel && !r->nested && status == STATUS_OK)
			status = refuse(an, s->line, r, e);
		out->nparallel += s->loop->parallel && !r->generated;
		out->loops[out->nloops++] = *r;
	}
	return status;
}

static enum status run(struct analyser *an, struct analysis **out, struct error *e)
{
	*out = take(an, sizeof **out);
	name_bounds(an->f, an->f->body);
	number_statements(an);
	collect_accesses(an);
	begin_reports(an);
	mark_bounds(an);
	mark_lifetimes(an);
	try_loops(an);
	if (an->f->arena->failed)
		longjmp(an->leave, 1);
	return finish_reports(an, *out, e);
}

enum status analyse(struct ir_function *f, const struct analysis_options *o, struct analysis **out, struct error *e)
{
	struct analyser an = { .f = f, .options = o };
	if (setjmp(an.leave))
		return error_set(e, STATUS_TOO_LARGE, "source", "split it into smaller kernels", "the program is too large to be analysed");
	return run(&an, out, e);
}
