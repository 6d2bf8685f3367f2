/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a program is known by, and what can be said of its text without compiling it.
 */
#include "kernels/compiler/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the key: every field with its length, so that no two sources run together --- */

static void put(FILE *f, const char *label, const char *text, size_t nbytes)
{
	fprintf(f, "%s %zu:", label, nbytes);
	fwrite(text, 1, nbytes, f);
	fputc('\n', f);
}

static void put_global(FILE *f, const struct global *g)
{
	const uint8_t *value = (const uint8_t *)&g->value;
	put(f, "global", g->name.text, g->name.nbytes);
	fprintf(f, "%d %d %d %u ", (int)g->kind, (int)g->type.dtype, g->type.weak, g->argument);
	for (size_t i = 0; g->kind == GLOBAL_CONSTANT && i < dtype_size(g->type.dtype); i++)
		fprintf(f, "%02x", value[i]);
	put(f, "", g->target.text ? g->target.text : "", g->target.nbytes);
}

char *program_key(const struct program_source *s)
{
	char *key = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&key, &n);
	if (!f)
		return NULL;
	put(f, s->expression ? "expression" : "source", s->text, s->nbytes);
	put(f, "kernel", s->kernel.text ? s->kernel.text : "", s->kernel.nbytes);
	put(f, "file", s->file ? s->file : "", s->file ? strlen(s->file) : 0);
	for (uint32_t k = 0; s->expression && k + s->out < s->nargs; k++)
		put(f, "name", s->names[k].text, s->names[k].nbytes);
	for (uint32_t k = 0; k < s->nglobals; k++)
		put_global(f, &s->globals[k]);
	for (uint32_t k = 0; k < s->nargs + s->nextra; k++) {
		const struct argument *a = &s->args[k];
		fprintf(f, "arg %d %d %d%d%d %u %u\n", (int)a->dtype, a->rank, a->weak, a->contiguous, a->read_only, a->shape_class, a->alias_class);
	}
	fprintf(f, "line %u out %d casting %d options %d%d%d%d%d%d%d extra %u\n", s->first_line, s->out, (int)s->casting, s->parallel, s->strict,
		s->assume_independent, s->fastmath, s->accurate, s->numpy_errors, s->interpret, s->nextra);
	if (fclose(f) != 0) {
		free(key);
		return NULL;
	}
	return key;
}

/* --- pointwise expressions --- */

static bool is_one_of(struct name n, const char *const *words)
{
	for (; *words; words++)
		if (name_is(n, *words))
			return true;
	return false;
}

static bool pointwise_call(const struct ast *n, bool *by_place)
{
	static const char *const places[] = { "argmin", "argmax", NULL };
	static const char *const reductions[] = { "sum", "prod", "min", "max", "any", "all", "mean", "var", "std", "argmin", "argmax", NULL };
	if (n->a->kind != AST_NAME || n->nkeywords)
		return false;
	*by_place |= is_one_of(n->a->name, places);
	/* What is left of EXPRESSION functions works element by element (library rows). */
	return !is_one_of(n->a->name, reductions) || n->list.count == 1;
}

static bool pointwise(const struct ast *n, bool *by_place)
{
	for (; n; n = n->a) {
		switch (n->kind) {
		case AST_NAME: case AST_INT: case AST_FLOAT: case AST_IMAG: case AST_BOOL: return true;
		case AST_UNARY: case AST_BINARY: case AST_COMPARE: break;
		case AST_ATTRIBUTE:
			if (!name_is(n->name, "real") && !name_is(n->name, "imag"))
				return false;
			break;
		case AST_CALL:
			if (!pointwise_call(n, by_place))
				return false;
			break;
		default: return false;
		}
		if (n->kind == AST_BINARY && (n->op == AST_MATMUL || !pointwise(n->b, by_place)))
			return false;
		for (uint32_t i = 0; i < n->list.count; i++)
			if (!pointwise(n->list.items[i], by_place))
				return false;
		if (n->kind == AST_CALL || n->kind == AST_COMPARE)
			return true;
	}
	return true;
}

bool expression_is_pointwise(const char *text, size_t nbytes, bool *by_place)
{
	struct arena arena;
	struct source_text source = { .text = text, .nbytes = nbytes, .first_line = 1 };
	struct module module;
	struct error e;
	arena_init(&arena, 64 << 20);
	*by_place = false;
	bool good = parse_expression(&arena, &source, &parse_limits_default, &module, &e) == STATUS_OK && pointwise(module.expression, by_place);
	arena_free(&arena);
	return good;
}

/* --- signatures --- */

struct reader {
	const char *at, *end;
};

static void skip_blanks(struct reader *r)
{
	while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n'))
		r->at++;
}

static bool take(struct reader *r, char c)
{
	skip_blanks(r);
	if (r->at == r->end || *r->at != c)
		return false;
	r->at++;
	return true;
}

static size_t word(struct reader *r)
{
	skip_blanks(r);
	const char *start = r->at;
	while (r->at < r->end && (*r->at == '_' || (*r->at >= '0' && *r->at <= '9') || (*r->at >= 'a' && *r->at <= 'z') || (*r->at >= 'A' && *r->at <= 'Z')))
		r->at++;
	return (size_t)(r->at - start);
}

/* [:], [::1], [:,:], [:, ::1] */
static bool axes(struct reader *r, struct argument *a)
{
	if (!take(r, '['))
		return true;
	do {
		if (!take(r, ':') || ++a->rank > KERNEL_MAX_RANK)
			return false;
		if (take(r, ':') && !take(r, '1'))
			return false;
	} while (take(r, ','));
	return take(r, ']');
}

static bool one_type(struct reader *r, struct argument *a)
{
	size_t n = word(r);
	*a = (struct argument){ .dtype = dtype_from_numpy_name(r->at - n, n), .contiguous = true };
	if (n == 7 && memcmp(r->at - n, "boolean", 7) == 0)
		a->dtype = DTYPE_BOOL;
	return a->dtype != DTYPE_NONE && axes(r, a);
}

int signature_parse(const char *text, size_t nbytes, struct argument *args, int max, struct error *e)
{
	struct reader r = { text, text + nbytes };
	struct argument result;
	int n = 0;
	if (!take(&r, '(')) {
		/* the type of the result: the compiler finds it itself */
		struct reader start = r;
		if (word(&start) == 4 && memcmp(start.at - 4, "void", 4) == 0)
			r = start;
		else if (!one_type(&r, &result))
			goto bad;
		if (!take(&r, '('))
			goto bad;
	}
	if (!take(&r, ')')) {
		do {
			skip_blanks(&r);
			if (r.at < r.end && *r.at == ')')
				break;
			if (n == max || !one_type(&r, &args[n++]))
				goto bad;
		} while (take(&r, ','));
		if (!take(&r, ')'))
			goto bad;
	}
	skip_blanks(&r);
	if (r.at == r.end)
		return n;
bad:
	error_set(e, STATUS_INVALID, "signature", "for example float64(float64[:], int64)", "the signature '%.*s' cannot be read at character %zu",
		  (int)(nbytes > 100 ? 100 : nbytes), text, (size_t)(r.at - text) + 1);
	return -1;
}
