/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Parser of kernels and expressions. What it accepts is a whole tree with places in the text; what it refuses has a message that can be shown.
 */
#include "kernels/compiler/ast.h"
#include "kernels/compiler/lex.h"
#include "tests/fuzz/fuzz.h"

static void walk(const struct ast *n, const struct source_text *s);

static void walk_list(const struct ast_list *list, const struct source_text *s)
{
	for (uint32_t i = 0; i < list->count; i++) {
		HOLDS(list->items[i]);
		walk(list->items[i], s);
	}
}

static void walk(const struct ast *n, const struct source_text *s)
{
	if (!n)
		return;
	HOLDS(n->kind <= AST_DEF && n->op <= AST_OR && n->place.line >= 1 && n->place.line <= s->nbytes + 1);
	HOLDS(n->place.column >= 1 && n->place.column <= s->nbytes + 1);
	HOLDS(!n->name.nbytes || n->name.text);
	HOLDS(n->kind != AST_BINARY || (n->a && n->b));
	HOLDS(n->kind != AST_COMPARE || (n->list.count >= 2 && n->ops));
	walk(n->a, s);
	walk(n->b, s);
	walk(n->c, s);
	walk(n->test, s);
	walk_list(&n->list, s);
	walk_list(&n->body, s);
	walk_list(&n->orelse, s);
	for (uint32_t i = 0; i < n->nkeywords; i++) {
		HOLDS(n->keywords[i].value && n->keywords[i].name.nbytes);
		walk(n->keywords[i].value, s);
	}
	for (uint32_t i = 0; i < n->nparams; i++) {
		HOLDS(n->params[i].name.nbytes);
		walk(n->params[i].annotation, s);
		walk(n->params[i].value, s);
	}
}

/* Messages go into JSON, so they must be UTF-8. */
static void check_error(const struct error *e, enum status status)
{
	HOLDS(e->status == status && status != STATUS_NO_MEMORY && status != STATUS_INTERNAL);
	const char *end = memchr(e->message, 0, sizeof e->message);
	HOLDS(end && end > e->message && memchr(e->hint, 0, sizeof e->hint));
	for (const char *p = e->message; p < end;) {
		uint32_t code;
		size_t n = utf8_decode(p, (size_t)(end - p), &code);
		HOLDS(n && (code >= ' ' || code == '\n'));
		p += n;
	}
}

static void check(const struct source_text *s, bool expression, const struct parse_limits *limits, size_t budget)
{
	struct arena arena;
	struct module m;
	struct error e = { 0 };
	arena_init(&arena, budget);
	enum status status = expression ? parse_expression(&arena, s, limits, &m, &e) : parse_kernel(&arena, s, limits, &m, &e);
	HOLDS(arena.used <= budget);
	if (status) {
		check_error(&e, status);
		HOLDS(!m.expression && !m.body.count);
	} else {
		HOLDS(!expression == !m.expression);
		walk(m.expression, s);
		walk_list(&m.body, s);
	}
	arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct parse_limits tight = { .bytes = 4096, .tokens = 300, .nodes = 200, .depth = 7, .chain = 9 };
	char *text = exact_copy(data, n);
	struct source_text s = { .text = text, .nbytes = n, .first_line = 1, .kernel = "kernel" };
	struct source_text other = { .text = text, .nbytes = n, .first_line = 12, .file = "file.py" };
	check(&s, false, &parse_limits_default, 64 << 20);
	check(&other, true, &parse_limits_default, 64 << 20);
	check(&other, false, &tight, 1 << 20);
	check(&s, true, &tight, n * 8);
	free(text);
	return 0;
}
