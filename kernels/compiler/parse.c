/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The entries of the parser, and the tools of its two halves: parse_expression.c and parse_statement.c.
 */
#include "kernels/compiler/parse.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const struct parse_limits parse_limits_default = { .bytes = 1 << 20, .tokens = 200000, .nodes = 200000, .depth = 100, .chain = 5000 };

bool name_is(struct name n, const char *text)
{
	return strlen(text) == n.nbytes && memcmp(n.text, text, n.nbytes) == 0;
}

bool name_equal(struct name a, struct name b)
{
	return a.nbytes == b.nbytes && memcmp(a.text, b.text, a.nbytes) == 0;
}

void parse_init(struct parser *p, struct arena *arena, const struct source_text *s, const struct parse_limits *limits, bool expression,
		struct error *e)
{
	memset(p, 0, sizeof *p);
	lex_init(&p->lexer, arena, s, limits, expression, e);
	parse_advance(p);
}

bool parse_failed(const struct parser *p)
{
	return p->lexer.status != STATUS_OK;
}

void parse_advance(struct parser *p)
{
	p->token = lex_next(&p->lexer);
}

bool parse_at(const struct parser *p, enum token_kind kind)
{
	return p->token.kind == kind;
}

bool parse_accept(struct parser *p, enum token_kind kind)
{
	if (!parse_at(p, kind))
		return false;
	parse_advance(p);
	return true;
}

void parse_expect(struct parser *p, enum token_kind kind, const char *what)
{
	if (!parse_accept(p, kind))
		parse_unexpected(p, what);
}

struct name parse_name(struct parser *p, const char *what)
{
	struct name name = p->token.text;
	parse_expect(p, TOKEN_NAME, what);
	return name;
}

void parse_fail(struct parser *p, struct place at, enum status status, const char *hint, const char *format, ...)
{
	char text[256];
	va_list ap;
	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	lex_fail(&p->lexer, at, status, hint, "%s", text);
	p->token.kind = TOKEN_END;
}

/* What Python has and the language has not, where the grammar meets it. */
static const struct {
	enum token_kind kind;
	const char *what, *hint;
} refused[] = {
	{ TOKEN_CLASS, "classes are not part of the language", "write functions that take arrays" },
	{ TOKEN_LAMBDA, "lambda is not part of the language", "write a nested def" },
	{ TOKEN_YIELD, "generators are not part of the language", "write the values into an array and return it" },
	{ TOKEN_TRY, "exceptions are not part of the language", "test the condition with if before the operation" },
	{ TOKEN_EXCEPT, "exceptions are not part of the language", "test the condition with if before the operation" },
	{ TOKEN_FINALLY, "exceptions are not part of the language", "test the condition with if before the operation" },
	{ TOKEN_RAISE, "raise is not part of the language", "write assert condition, \"message\"" },
	{ TOKEN_WITH, "with is not part of the language", "open files and hold locks outside the kernel" },
	{ TOKEN_GLOBAL, "global is not part of the language", "pass the value as an argument and return the new one" },
	{ TOKEN_NONLOCAL, "nonlocal is not part of the language", "pass the value as an argument and return the new one" },
	{ TOKEN_ASYNC, "async is not part of the language", "write a plain def; prange makes a loop parallel" },
	{ TOKEN_AWAIT, "await is not part of the language", "call the function directly" },
	{ TOKEN_DEL, "del is not part of the language", "leave the name alone; memory is given back at the end" },
	{ TOKEN_IMPORT, "import cannot stand inside a function", "write the import above the function" },
	{ TOKEN_FROM, "import cannot stand inside a function", "write the import above the function" },
	{ TOKEN_IS, "'is' is not part of the language", "compare values with == or !=; a number or an array is never None" },
	{ TOKEN_IN, "'in' as an operator is not part of the language", "compare with == in a loop, or join comparisons by or" },
	{ TOKEN_WALRUS, "':=' is not part of the language", "assign on a line of its own" },
	{ TOKEN_LBRACE, "dicts and sets are not part of the language", "use arrays or tuples" },
	{ TOKEN_ELLIPSIS, "'...' stands only in an index", "write pass for an empty body" },
};

/* What people write by mistake. */
static const char *usual_hint(enum token_kind kind)
{
	switch (kind) {
	case TOKEN_ASSIGN: return "use == to compare";
	case TOKEN_NOT: return "put not in front of a comparison, or in parentheses: (not a)";
	case TOKEN_BITAND: return "write and for && and & for the bits of integers";
	case TOKEN_BITOR: return "write or for || and | for the bits of integers";
	case TOKEN_GT: return "write != for <>";
	case TOKEN_ELSE: case TOKEN_ELIF: return "indent it like its if";
	default: return NULL;
	}
}

static void describe(const struct token *t, char *text, size_t size)
{
	enum { SHOWN = 40 };
	if (t->kind == TOKEN_END)
		snprintf(text, size, "the end of the text");
	else if (t->kind == TOKEN_NEWLINE)
		snprintf(text, size, "the end of the line");
	else if (t->kind == TOKEN_INDENT)
		snprintf(text, size, "a deeper indentation");
	else if (t->kind == TOKEN_DEDENT)
		snprintf(text, size, "the end of the block");
	else if (t->kind == TOKEN_STRING)
		snprintf(text, size, "a string");
	else if (t->text.nbytes > SHOWN)
		snprintf(text, size, "a %s", t->kind == TOKEN_NAME ? "long name" : "long number");
	else
		snprintf(text, size, "'%.*s'", (int)t->text.nbytes, t->text.text);
}

void parse_unexpected(struct parser *p, const char *expected)
{
	char found[64];
	struct token wrong = p->token;
	if (parse_accept(p, TOKEN_NOT) && !parse_at(p, TOKEN_IN))
		p->token = wrong;
	enum token_kind kind = p->token.kind;
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		if (refused[i].kind == kind)
			parse_fail(p, p->token.place, STATUS_UNSUPPORTED, refused[i].hint, "%s", refused[i].what);
	if (kind == TOKEN_FOR && p->lexer.nbrackets)
		parse_fail(p, p->token.place, STATUS_UNSUPPORTED, "make an array with np.empty(n) and fill it in a for loop",
			   "comprehensions are not part of the language");
	describe(&wrong, found, sizeof found);
	parse_fail(p, wrong.place, STATUS_INVALID, usual_hint(kind), "expected %s, found %s", expected, found);
}

struct ast *parse_node(struct parser *p, enum ast_kind kind, struct place at)
{
	uint32_t limit = p->lexer.limits->nodes;
	if (!parse_failed(p) && p->nodes >= limit)
		lex_limit(&p->lexer, at, limit, "nodes in the syntax tree", "split the program");
	struct ast *node = parse_failed(p) ? NULL : ARENA_NEW(p->lexer.arena, struct ast);
	if (!node) {
		lex_no_memory(&p->lexer, at);
		p->token.kind = TOKEN_END;
		p->spare = (struct ast){ 0 };
		node = &p->spare;
	}
	p->nodes++;
	node->kind = kind;
	node->place = at;
	return node;
}

void *parse_grow(struct parser *p, void *items, uint32_t count, size_t size)
{
	if (parse_failed(p))
		return NULL;
	if (count && (count == 1 || (count & (count - 1)) != 0))
		return items;
	void *larger = arena_alloc(p->lexer.arena, (count ? 2 * count : 2) * size);
	if (!larger) {
		lex_no_memory(&p->lexer, p->token.place);
		p->token.kind = TOKEN_END;
	} else if (count) {
		memcpy(larger, items, count * size);
	}
	return larger;
}

void parse_append(struct parser *p, struct ast_list *list, struct ast *item)
{
	struct ast **items = parse_grow(p, list->items, list->count, sizeof *items);
	if (!items)
		return;
	list->items = items;
	list->items[list->count++] = item;
}

void parse_enter(struct parser *p, struct place at)
{
	if (p->depth++ < p->lexer.limits->depth)
		return;
	lex_depth(&p->lexer, at);
	p->token.kind = TOKEN_END;
}

void parse_leave(struct parser *p)
{
	p->depth--;
}

void parse_chain(struct parser *p, uint32_t terms)
{
	if (terms < p->lexer.limits->chain)
		return;
	lex_limit(&p->lexer, p->token.place, p->lexer.limits->chain, "terms in one chain of operators", "give parts of it names of their own");
	p->token.kind = TOKEN_END;
}

void parse_named(struct parser *p, struct place at, uint32_t count)
{
	enum { MOST = 1000 };    /* each is compared with all before it */
	if (count < MOST)
		return;
	lex_limit(&p->lexer, at, MOST, "names in one list of parameters or arguments", "pass arrays");
	p->token.kind = TOKEN_END;
}

/* Blanks and line ends may stand around the expression; nothing else may. */
enum status parse_expression(struct arena *arena, const struct source_text *s, const struct parse_limits *limits, struct module *out, struct error *e)
{
	struct parser p;
	*out = (struct module){ .source = s };
	parse_init(&p, arena, s, limits, true, e);
	out->expression = parse_test(&p);
	if (parse_accept(&p, TOKEN_NEWLINE) && !parse_at(&p, TOKEN_END))
		parse_fail(&p, p.token.place, STATUS_INVALID, "put an expression of several lines in parentheses",
			   "a second line behind the expression");
	if (parse_at(&p, TOKEN_COMMA) || parse_at(&p, TOKEN_SEMICOLON))
		parse_fail(&p, p.token.place, STATUS_INVALID, "send one expression at a time, or put a tuple in parentheses",
			   "a '%c' behind the expression", *p.token.text.text);
	if (!parse_at(&p, TOKEN_END))
		parse_unexpected(&p, "an operator or the end of the expression");
	if (parse_failed(&p))
		*out = (struct module){ .source = s };
	return p.lexer.status;
}

/* Assignments of constants stay, docstrings and `pass` go; nothing else has a meaning outside functions. */
static void keep(struct parser *p, struct module *out, struct ast *statement)
{
	bool dropped = statement->kind == AST_PASS || (statement->kind == AST_EXPR && statement->a->kind == AST_STRING);
	if (dropped)
		return;
	if (statement->kind == AST_ANNASSIGN && statement->c) {
		parse_append(p, &statement->list, statement->a);
		statement->a = statement->c;
		statement->b = statement->c = NULL;
		statement->kind = AST_ASSIGN;
	}
	if (statement->kind == AST_DEF || statement->kind == AST_ASSIGN)
		parse_append(p, &out->body, statement);
	else
		parse_fail(p, statement->place, STATUS_UNSUPPORTED, "put it into a function", "only functions and constants stand outside functions");
}

/* module: {statement} */
enum status parse_kernel(struct arena *arena, const struct source_text *s, const struct parse_limits *limits, struct module *out, struct error *e)
{
	struct parser p;
	*out = (struct module){ .source = s };
	parse_init(&p, arena, s, limits, false, e);
	while (!parse_at(&p, TOKEN_END)) {
		struct ast_list some = { 0 };
		if (parse_at(&p, TOKEN_IF) || parse_at(&p, TOKEN_FOR) || parse_at(&p, TOKEN_WHILE))
			parse_fail(&p, p.token.place, STATUS_UNSUPPORTED, "put it into a function",
				   "only functions and constants stand outside functions");
		parse_statement(&p, &some);
		for (uint32_t i = 0; i < some.count && !parse_failed(&p); i++)
			keep(&p, out, some.items[i]);
	}
	if (parse_failed(&p))
		*out = (struct module){ .source = s };
	return p.lexer.status;
}
