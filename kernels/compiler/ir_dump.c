/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The listing of an IR. Keys of the object cache are made of it, so all that changes code or its error reports is in it: a field added to ir.h is
 * to be added here. Locals are v0, v1, ...; arrays x0, x1, ...; @ is a line, ! a checked operation, index marks are + (not negative),
 * = (in bounds) and ? (by a guard). Reals are hexadecimal, so their bits are exact.
 */
#include "kernels/compiler/ir.h"

#include <complex.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct dump {
	const struct ir_function *f;
	FILE *out;
	const struct ir_expr **spine; /* nodes that wait for their left operand to be written; left chains may be very long */
	size_t nspine, capacity;
	bool failed;
};

static const char *type_text(enum dtype d)
{
	static const char *const names[] = {
		[DTYPE_BOOL] = "bool", [DTYPE_I8] = "i8", [DTYPE_U8] = "u8", [DTYPE_I16] = "i16", [DTYPE_U16] = "u16", [DTYPE_I32] = "i32",
		[DTYPE_U32] = "u32", [DTYPE_I64] = "i64", [DTYPE_U64] = "u64", [DTYPE_F16] = "f16", [DTYPE_F32] = "f32", [DTYPE_F64] = "f64",
		[DTYPE_C64] = "c64", [DTYPE_C128] = "c128", [DTYPE_PEAK] = "peak",
	};
	return d >= 0 && d < DTYPE_COUNT ? names[d] : "none";
}

static const struct { const char *text; int arity; } operators[] = {
#define OP(name, text, arity) { text, arity },
	IR_OP_MAP(OP)
#undef OP
};

/* --- expressions --- */

static void write_expr(struct dump *d, const struct ir_expr *e);

/* A NaN keeps its sign and payload. */
static void write_real(struct dump *d, double x)
{
	uint64_t bits;
	memcpy(&bits, &x, sizeof bits);
	if (isnan(x))
		fprintf(d->out, "nan#%" PRIx64, bits);
	else
		fprintf(d->out, "%a", x);
}

static void write_constant(struct dump *d, const struct ir_expr *e)
{
	const union kernel_scalar *s = &e->constant;
	switch (e->dtype) {
	case DTYPE_F32:
		write_real(d, (double)s->f32);
		break;
	case DTYPE_F64:
		write_real(d, s->f64);
		break;
	case DTYPE_C64: case DTYPE_C128:
		write_real(d, e->dtype == DTYPE_C64 ? (double)crealf(s->c64) : creal(s->c128));
		fputs("|", d->out);
		write_real(d, e->dtype == DTYPE_C64 ? (double)cimagf(s->c64) : cimag(s->c128));
		break;
	default:
		fprintf(d->out, "%" PRId64, s->i);
	}
}

static void write_index(struct dump *d, uint32_t array, struct ir_expr *const *index, const uint8_t *flags)
{
	fprintf(d->out, "x%u[", array);
	for (unsigned k = 0; array < d->f->narrays && k < d->f->arrays[array].rank; k++) {
		unsigned flag = flags ? flags[k] : 0;
		fputs(k ? ", " : "", d->out);
		write_expr(d, index[k]);
		fprintf(d->out, "%s%s%s", flag & IR_INDEX_NONNEGATIVE ? "+" : "", flag & IR_INDEX_IN_BOUNDS ? "=" : "", flag & IR_INDEX_GUARDED ? "?" : "");
	}
	fputs("]", d->out);
}

/* What stands before the left operand. */
static void write_opening(struct dump *d, const struct ir_expr *e)
{
	if (e->kind == IR_CAST) {
		fputs("cast(", d->out);
	} else if (e->kind == IR_CALL) {
		fprintf(d->out, "%s(", functions[e->function].name);
	} else if (e->kind == IR_COND) {
		fputs("(if ", d->out);
		write_expr(d, e->test);
		fputs(" then ", d->out);
	} else {
		fprintf(d->out, "%s(", operators[e->op].arity == 1 ? operators[e->op].text : "");
	}
}

static void write_mark(struct dump *d, const struct ir_expr *e)
{
	fprintf(d->out, "%s:%s", e->checked ? "!" : "", type_text(e->dtype));
	if (e->line)
		fprintf(d->out, "@%u", e->line);
}

/* What stands behind it. */
static void write_closing(struct dump *d, const struct ir_expr *e)
{
	if (e->b) {
		if (e->kind == IR_OPERATE)
			fprintf(d->out, " %s ", operators[e->op].text);
		else
			fputs(e->kind == IR_COND ? " else " : ", ", d->out);
		write_expr(d, e->b);
	}
	fputs(")", d->out);
	write_mark(d, e);
}

static void write_leaf(struct dump *d, const struct ir_expr *e)
{
	switch (e->kind) {
	case IR_CONST:
		write_constant(d, e);
		break;
	case IR_LOCAL:
		fprintf(d->out, "v%u", e->local);
		break;
	case IR_SHAPE:
		fprintf(d->out, "len(x%u, %u)", e->array, e->axis);
		break;
	case IR_LOAD:
		write_index(d, e->array, e->index, e->index_flags);
		break;
	default:
		fputs("nothing", d->out);
	}
	write_mark(d, e);
}

static void push(struct dump *d, const struct ir_expr *e)
{
	if (d->nspine == d->capacity) {
		size_t capacity = d->capacity ? 2 * d->capacity : 64;
		const struct ir_expr **spine = realloc(d->spine, capacity * sizeof *spine);
		if (!spine) {
			d->failed = true;
			return;
		}
		d->spine = spine;
		d->capacity = capacity;
	}
	d->spine[d->nspine++] = e;
}

static void write_expr(struct dump *d, const struct ir_expr *e)
{
	size_t base = d->nspine;
	if (!e) {
		fputs("nothing", d->out);
		return;
	}
	for (; e->a && !d->failed; e = e->a) {
		push(d, e);
		write_opening(d, e);
	}
	write_leaf(d, e);
	while (d->nspine > base)
		write_closing(d, d->spine[--d->nspine]);
}

/* --- statements --- */

static void write_block(struct dump *d, const struct ir_block *b, int depth);

static void write_list(struct dump *d, const char *open, struct ir_expr *const *items, unsigned n, const char *absent)
{
	fputs(open, d->out);
	for (unsigned k = 0; k < n; k++) {
		fputs(k ? ", " : "", d->out);
		if (items && items[k])
			write_expr(d, items[k]);
		else
			fputs(absent, d->out);
	}
	fputs(")", d->out);
}

static void write_reduction(struct dump *d, const struct ir_reduction *r)
{
	static const char *const names[] = {
		[IR_REDUCE_SUM] = "sum", [IR_REDUCE_PROD] = "prod", [IR_REDUCE_MIN] = "min", [IR_REDUCE_MAX] = "max", [IR_REDUCE_AND] = "and",
		[IR_REDUCE_OR] = "or", [IR_REDUCE_XOR] = "xor", [IR_REDUCE_LESS] = "less", [IR_REDUCE_GREATER] = "greater",
		[IR_REDUCE_LESS_EQUAL] = "less_equal", [IR_REDUCE_GREATER_EQUAL] = "greater_equal", [IR_REDUCE_LAST] = "last",
	};
	fprintf(d->out, ", %s(v%u", names[r->kind], r->local);
	if (r->kind == IR_REDUCE_LAST && r->written != IR_NONE)
		fprintf(d->out, " if v%u", r->written);
	for (uint32_t k = 0; k < r->nfollow; k++)
		fprintf(d->out, ", v%u", r->follow[k]);
	fputs(")", d->out);
}

static void write_marks(struct dump *d, const struct ir_loop *loop)
{
	fprintf(d->out, "  # %u%s%s%s%s%s", loop->id, loop->wanted ? ", wanted" : "", loop->generated ? ", generated" : "",
		loop->parallel ? ", parallel" : "", loop->releases ? ", releases" : "", loop->light ? ", light" : "");
	for (uint32_t i = 0; i < loop->nreductions; i++)
		write_reduction(d, &loop->reductions[i]);
	if (loop->nguards)
		write_list(d, ", guards(", loop->guards, loop->nguards, "nothing");
}

static void write_loop(struct dump *d, const struct ir_stmt *s)
{
	if (s->kind == IR_FOR) {
		fprintf(d->out, "for v%u = ", s->local);
		write_expr(d, s->a);
		fputs(" .. ", d->out);
		write_expr(d, s->b);
		fputs(" step ", d->out);
		write_expr(d, s->c);
	} else {
		fputs("loop", d->out);
	}
	if (s->loop)
		write_marks(d, s->loop);
}

static void write_view(struct dump *d, const struct ir_stmt *s)
{
	unsigned rank = d->f->arrays[s->array].rank;
	fprintf(d->out, "x%u = view x%u", s->array, s->from);
	write_list(d, " offset(", s->offset, d->f->arrays[s->from].rank, "0");
	write_list(d, " shape(", s->shape, rank, "nothing");
	write_list(d, " step(", s->step, rank, "1");
	fputs(" axes(", d->out);
	for (unsigned k = 0; k < rank; k++)
		fprintf(d->out, "%s%d", k ? ", " : "", s->from_axis[k]);
	fputs(")", d->out);
}

static void write_proc(struct dump *d, const struct ir_stmt *s)
{
	static const char *const names[] = {
#define P(name) #name,
		KERNEL_PROC_MAP(P)
#undef P
	};
	if (s->local != IR_NONE)
		fprintf(d->out, "v%u = ", s->local);
	fputs(names[s->proc], d->out);
	for (uint32_t i = 0; i < s->narrays; i++)
		fprintf(d->out, " x%u", s->arrays[i]);
	struct ir_expr *const operands[] = { s->a, s->b };
	write_list(d, " (", operands, 2, "nothing");
}

static void write_check(struct dump *d, const struct ir_stmt *s)
{
	static const char *const names[] = {
		"none",
#define E(name, text) #name,
		KERNEL_ERROR_MAP(E)
#undef E
	};
	struct ir_expr *const values[] = { s->b, s->c };
	fputs("check ", d->out);
	write_expr(d, s->a);
	fprintf(d->out, " else %s", names[s->code]);
	write_list(d, " (", values, 2, "nothing");
	if (s->array != IR_NONE)
		fprintf(d->out, " x%u", s->array);
}

static void write_stmt(struct dump *d, const struct ir_stmt *s)
{
	switch (s->kind) {
	case IR_SET:
		fprintf(d->out, "v%u = ", s->local);
		write_expr(d, s->a);
		break;
	case IR_STORE:
		write_index(d, s->array, s->index, s->index_flags);
		fputs(" = ", d->out);
		write_expr(d, s->a);
		break;
	case IR_IF:
		fputs("if ", d->out);
		write_expr(d, s->a);
		break;
	case IR_FOR: case IR_LOOP:
		write_loop(d, s);
		break;
	case IR_BREAK: case IR_CONTINUE: case IR_RETURN:
		fputs(s->kind == IR_BREAK ? "break" : s->kind == IR_CONTINUE ? "continue" : "return", d->out);
		break;
	case IR_BLOCK: case IR_LEAVE:
		fprintf(d->out, "%s %u", s->kind == IR_BLOCK ? "block" : "leave", s->label);
		break;
	case IR_ALLOC:
		fprintf(d->out, "x%u = %s", s->array, s->zero ? "zeros" : "empty");
		write_list(d, "(", s->shape, d->f->arrays[s->array].rank, "nothing");
		break;
	case IR_VIEW:
		write_view(d, s);
		break;
	case IR_LIST_NEW:
		fprintf(d->out, "x%u = list", s->array);
		break;
	case IR_LIST_APPEND:
		fprintf(d->out, "append x%u ", s->array);
		write_expr(d, s->a);
		break;
	case IR_PROC:
		write_proc(d, s);
		break;
	case IR_CHECK:
		write_check(d, s);
		break;
	}
}

static void write_block(struct dump *d, const struct ir_block *b, int depth)
{
	for (uint32_t i = 0; b && i < b->count && !d->failed; i++) {
		const struct ir_stmt *s = b->items[i];
		fprintf(d->out, "%4u %*s", s->line, 2 * depth, "");
		write_stmt(d, s);
		fputs("\n", d->out);
		write_block(d, s->body, depth + 1);
		if (s->orelse) {
			fprintf(d->out, "     %*selse\n", 2 * depth, "");
			write_block(d, s->orelse, depth + 1);
		}
	}
}

/* --- the function --- */

static void write_slots(struct dump *d, const char *what, const struct ir_slot *slots, uint32_t n)
{
	fputs(what, d->out);
	for (uint32_t i = 0; i < n; i++)
		fprintf(d->out, "%s%c%u", i ? ", " : "", slots[i].is_array ? 'x' : 'v', slots[i].id);
	fputs(")", d->out);
}

static void write_function(struct dump *d)
{
	const struct ir_function *f = d->f;
	fprintf(d->out, "function %.*s", (int)f->name.nbytes, f->name.nbytes ? f->name.text : "");
	write_slots(d, " params(", f->params, f->nparams);
	write_slots(d, " results(", f->results, f->nresults);
	fprintf(d->out, " loops %u labels %u%s%s\n", f->nloops, f->nlabels, f->fastmath ? " fastmath" : "", f->accurate ? " accurate" : "");
	for (uint32_t i = 0; i < f->nlocals; i++) {
		const struct ir_local *v = &f->locals[i];
		fprintf(d->out, "v%u %s %.*s\n", i, type_text(v->dtype), (int)v->name.nbytes, v->name.nbytes ? v->name.text : "");
	}
	for (uint32_t i = 0; i < f->narrays; i++) {
		const struct ir_array *a = &f->arrays[i];
		fprintf(d->out, "x%u %s rank %u root %u%s%s%s %.*s\n", i, type_text(a->dtype), a->rank, a->root, a->is_list ? " list" : "",
			a->contiguous ? " contiguous" : "", a->read_only ? " read-only" : "", (int)a->name.nbytes, a->name.nbytes ? a->name.text : "");
	}
	write_block(d, f->body, 0);
}

char *ir_dump(const struct ir_function *f)
{
	char *text = NULL;
	size_t nbytes;
	struct dump d = { .f = f, .out = open_memstream(&text, &nbytes) };
	if (!d.out)
		return NULL;
	write_function(&d);
	bool ok = !d.failed && !ferror(d.out);
	if (fclose(d.out) != 0 || !ok) {
		free(text);
		text = NULL;
	}
	free(d.spine);
	return text;
}
