/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the files of the parser share.
 *
 * A failure is recorded once (parser.lexer.status); the current token is then END for good, nodes are one spare node, and each function
 * returns as if it had found nothing more. So none of them has to look at the result of another.
 */
#ifndef COMPILER_PARSE_H
#define COMPILER_PARSE_H

#include "kernels/compiler/ast.h"
#include "kernels/compiler/lex.h"

struct parser {
	struct lexer lexer;
	struct token token;      /* the current one */
	uint32_t depth, nodes;
	uint32_t functions;      /* `def`s around here */
	uint32_t loops;          /* loops around here in the same function */
	struct ast spare;        /* stands for each node after a failure */
};

void parse_init(struct parser *p, struct arena *arena, const struct source_text *s, const struct parse_limits *limits, bool expression,
		struct error *e);
bool parse_failed(const struct parser *p);

/* The current token: is it this, and if so take it; or complain. */
void parse_advance(struct parser *p);
bool parse_at(const struct parser *p, enum token_kind kind);
bool parse_accept(struct parser *p, enum token_kind kind);
void parse_expect(struct parser *p, enum token_kind kind, const char *what);
struct name parse_name(struct parser *p, const char *what);

void parse_fail(struct parser *p, struct place at, enum status status, const char *hint, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
/* The current token is not what could stand here; says what the language has instead of it if it is one of Python's. */
void parse_unexpected(struct parser *p, const char *expected);

struct ast *parse_node(struct parser *p, enum ast_kind kind, struct place at);
/* Makes room for one more item behind `count` of them; NULL after a failure. */
void *parse_grow(struct parser *p, void *items, uint32_t count, size_t size);
void parse_append(struct parser *p, struct ast_list *list, struct ast *item);

/* Each recursion of the grammar passes enter, so that limits->depth bounds the stack. */
void parse_enter(struct parser *p, struct place at);
void parse_leave(struct parser *p);
/* One more term of a chain that has `terms` of them. */
void parse_chain(struct parser *p, uint32_t terms);
/* One more name in a list of `count` parameters or named arguments. */
void parse_named(struct parser *p, struct place at, uint32_t count);

struct ast *parse_test(struct parser *p);      /* one expression */
struct ast *parse_tests(struct parser *p);     /* one, or a tuple without brackets */
struct ast *parse_target(struct parser *p);    /* of `for`: names and elements, where `in` ends it */
void parse_no_star(struct parser *p);          /* refuses * and ** of argument lists and unpacking */

void parse_statement(struct parser *p, struct ast_list *out);

#endif
