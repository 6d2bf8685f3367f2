/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The analysis in words.
 */
#include "kernels/compiler/analysis_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const verdicts[] = {
#define V(name, text) text,
	VERDICT_MAP(V)
#undef V
};

const char *verdict_text(enum verdict v)
{
	return (unsigned)v < VERDICT_COUNT ? verdicts[v] : "";
}

/* --- names and accesses, as the source has them --- */

struct writer {
	char text[160];
	size_t n;
};

__attribute__((format(printf, 2, 3))) static void put(struct writer *w, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = vsnprintf(w->text + w->n, sizeof w->text - w->n, format, args);
	va_end(args);
	w->n += n > 0 ? (size_t)n : 0;
	if (w->n >= sizeof w->text)
		w->n = sizeof w->text - 1;
}

static void put_slot(struct analyser *an, struct writer *w, uint32_t slot, unsigned depth)
{
	struct name_text name = an->f->arrays[slot].name;
	variable v = slot_variable(an, slot);
	if (name.nbytes) {
		put(w, "%.*s", (int)name.nbytes, name.text);
		return;
	}
	for (uint32_t i = an->writer_from[v]; i < an->writer_from[v + 1]; i++)
		if (an->nodes[an->writers[i]].s->kind == IR_VIEW && depth < 5) {
			put_slot(an, w, an->nodes[an->writers[i]].s->from, depth + 1);
			put(w, "[...]");
			return;
		}
	put(w, "(an array)");
}

static void put_expr(struct analyser *an, struct writer *w, const struct ir_expr *e, unsigned depth);

static void put_access(struct analyser *an, struct writer *w, uint32_t slot, struct ir_expr **index, unsigned depth)
{
	put_slot(an, w, slot, 0);
	put(w, "[");
	for (unsigned k = 0; k < an->f->arrays[slot].rank; k++) {
		put(w, "%s", k ? ", " : "");
		if (index)
			put_expr(an, w, index[k], depth + 1);
		else
			put(w, ":");
	}
	put(w, "]");
}

static void put_expr(struct analyser *an, struct writer *w, const struct ir_expr *e, unsigned depth)
{
	static const char *const symbols[] = {
#define OP(name, text, arity) text,
		IR_OP_MAP(OP)
#undef OP
	};
	bool negative = e->b && e->b->kind == IR_CONST && e->b->dtype == DTYPE_I64 && e->b->constant.i < 0 && e->b->constant.i > -1000;
	if (depth > 5 || (e->kind == IR_LOCAL && !an->f->locals[e->local].name.nbytes)) {
		put(w, "...");
		return;
	}
	switch (e->kind) {
	case IR_CONST:
		if (e->dtype == DTYPE_F64 || e->dtype == DTYPE_F32)
			put(w, "%g", e->dtype == DTYPE_F32 ? (double)e->constant.f32 : e->constant.f64);
		else
			put(w, "%lld", (long long)e->constant.i);
		break;
	case IR_LOCAL:
		put(w, "%.*s", (int)an->f->locals[e->local].name.nbytes, an->f->locals[e->local].name.text);
		break;
	case IR_SHAPE:
		put_slot(an, w, e->array, 0);
		put(w, ".shape[%u]", e->axis);
		break;
	case IR_LOAD:
		put_access(an, w, e->array, e->index, depth);
		break;
	case IR_CAST:
		put_expr(an, w, e->a, depth);
		break;
	case IR_OPERATE:
		if (e->op == IR_ADD && negative) {
			put_expr(an, w, e->a, depth + 1);
			put(w, " - %lld", -(long long)e->b->constant.i);
		} else if (e->b && e->op != IR_MAXIMUM && e->op != IR_MINIMUM) {
			put(w, "%s", depth > 1 ? "(" : "");
			put_expr(an, w, e->a, depth + 1);
			put(w, " %s ", symbols[e->op]);
			put_expr(an, w, e->b, depth + 1);
			put(w, "%s", depth > 1 ? ")" : "");
		} else {
			put(w, "%s(", symbols[e->op]);
			put_expr(an, w, e->a, depth + 1);
			put(w, e->b ? ", " : ")");
			if (e->b) {
				put_expr(an, w, e->b, depth + 1);
				put(w, ")");
			}
		}
		break;
	default:
		put(w, "...");
	}
}

const char *access_text(struct analyser *an, const struct access *a)
{
	struct writer w = { .n = 0 };
	put_access(an, &w, a->array, a->whole ? NULL : a->index, 0);
	return text(an, "%s", w.text);
}

void name_of(struct analyser *an, variable v, char *out, size_t nbytes)
{
	struct writer w = { .n = 0 };
	if (v >= an->nlocals)
		put_slot(an, &w, v - an->nlocals, 0);
	else if (an->f->locals[v].name.nbytes)
		put(&w, "%.*s", (int)an->f->locals[v].name.nbytes, an->f->locals[v].name.text);
	else
		put(&w, "(a temporary)");
	snprintf(out, nbytes, "%s", w.text);
}

/* --- the text --- */

static void print_list(FILE *out, const char *what, const char **items, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		fprintf(out, "%s%s", i ? ", " : what, items[i]);
	if (n)
		fputc('\n', out);
}

static void print_details(FILE *out, const struct loop_report *r)
{
	print_list(out, "    private: ", r->privates, r->nprivates);
	if (r->reassociated)
		fprintf(out, "    float terms are added in another order than in the source, the same for any number of threads\n");
	if (r->assumed)
		fprintf(out, "    by the caller's word (assume_independent): %s\n", r->test);
	for (int i = 0; i < 2; i++)
		if (r->access[i].line)
			fprintf(out, "    line %u: %s of %s\n", r->access[i].line, r->access[i].write ? "write" : "read", r->access[i].text);
	if (*r->test && !r->assumed)
		fprintf(out, "    test: %s\n", r->test);
	if (*r->hint)
		fprintf(out, "    hint: %s\n", r->hint);
}

static void print_loop(FILE *out, const struct loop_report *r, int level)
{
	bool shown = r->wanted || (level >= 3 && !r->generated) || level >= 4;
	if (!shown)
		return;
	fprintf(out, "loop %u, line %u: %s", r->id, r->line, verdict_text(r->verdict));
	if (*r->reason && level >= 2)
		fprintf(out, ": %s", r->reason);
	fputc('\n', out);
	print_list(out, "    ", r->operators, r->noperators);
	if (level >= 2)
		print_details(out, r);
	if (level >= 3 && r->bounds.total)
		fprintf(out, "    indices: %u, of these %u proved in bounds, %u guarded at the loop's entry, %u checked each time\n", r->bounds.total,
			r->bounds.proved, r->bounds.guarded, r->bounds.kept);
}

char *analysis_text(const struct analysis *a, int level)
{
	char *buffer = NULL;
	size_t nbytes = 0;
	FILE *out = open_memstream(&buffer, &nbytes);
	if (!out)
		return NULL;
	for (uint32_t i = 0; i < a->nloops; i++)
		print_loop(out, &a->loops[i], level);
	bool bad = ferror(out);
	if (fclose(out) || bad) {
		free(buffer);
		return NULL;
	}
	return buffer;
}
