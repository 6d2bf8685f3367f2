/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Statements. Each function stands under its rule; [] is optional, {} any number of times.
 */
#include "kernels/compiler/parse.h"

static struct ast *statement_node(struct parser *p, enum ast_kind kind, struct ast_list *out)
{
	struct ast *n = parse_node(p, kind, p->token.place);
	parse_append(p, out, n);
	return n;
}

static void check_element(struct parser *p, const struct ast *target)
{
	if (parse_failed(p) || target->kind == AST_NAME || target->kind == AST_SUBSCRIPT)
		return;
	if (target->kind == AST_TUPLE || target->kind == AST_LIST)
		parse_fail(p, target->place, STATUS_UNSUPPORTED, "unpack it in two steps", "unpacking inside unpacking is not part of the language");
	else if (target->kind == AST_ATTRIBUTE)
		parse_fail(p, target->place, STATUS_UNSUPPORTED, "assign to a name, or to elements as in x[i] = ...",
			   "attributes cannot be assigned to");
	else
		parse_fail(p, target->place, STATUS_INVALID, "use == to compare", "this cannot be assigned to; only names and elements can");
}

/* target: NAME | subscript | tuple or list of those */
static void check_target(struct parser *p, const struct ast *target)
{
	bool several = !parse_failed(p) && (target->kind == AST_TUPLE || target->kind == AST_LIST);
	if (!several) {
		check_element(p, target);
		return;
	}
	if (!target->list.count)
		parse_fail(p, target->place, STATUS_INVALID, NULL, "there are no names to assign to");
	for (uint32_t i = 0; i < target->list.count && !parse_failed(p); i++)
		check_element(p, target->list.items[i]);
}

static bool augmented_operator(enum token_kind kind, enum ast_op *op)
{
	switch (kind) {
	case TOKEN_ADD_ASSIGN: *op = AST_ADD; return true;
	case TOKEN_SUB_ASSIGN: *op = AST_SUB; return true;
	case TOKEN_MUL_ASSIGN: *op = AST_MUL; return true;
	case TOKEN_DIV_ASSIGN: *op = AST_DIV; return true;
	case TOKEN_FLOORDIV_ASSIGN: *op = AST_FLOORDIV; return true;
	case TOKEN_MOD_ASSIGN: *op = AST_MOD; return true;
	case TOKEN_POWER_ASSIGN: *op = AST_POW; return true;
	case TOKEN_MATMUL_ASSIGN: *op = AST_MATMUL; return true;
	case TOKEN_SHL_ASSIGN: *op = AST_SHL; return true;
	case TOKEN_SHR_ASSIGN: *op = AST_SHR; return true;
	case TOKEN_AND_ASSIGN: *op = AST_BITAND; return true;
	case TOKEN_OR_ASSIGN: *op = AST_BITOR; return true;
	case TOKEN_XOR_ASSIGN: *op = AST_BITXOR; return true;
	default: return false;
	}
}

/* target {'=' target} '=' tests; n->list has no target yet, the first is `value` */
static void assign(struct parser *p, struct ast *n, struct ast *value)
{
	n->kind = AST_ASSIGN;
	while (parse_accept(p, TOKEN_ASSIGN)) {
		check_target(p, value);
		parse_append(p, &n->list, value);
		value = parse_tests(p);
	}
	n->a = value;
}

/* expression: tests | assign | target op= tests | target ':' test ['=' tests] */
static void expression_statement(struct parser *p, struct ast_list *out)
{
	struct ast *n = statement_node(p, AST_EXPR, out), *first = parse_tests(p);
	n->a = first;
	if (parse_at(p, TOKEN_ASSIGN)) {
		assign(p, n, first);
	} else if (augmented_operator(p->token.kind, &n->op)) {
		check_element(p, first);
		n->kind = AST_AUGASSIGN;
		parse_advance(p);
		n->b = parse_tests(p);
	} else if (parse_at(p, TOKEN_COLON)) {
		check_element(p, first);
		n->kind = AST_ANNASSIGN;
		parse_advance(p);
		n->b = parse_test(p);
		n->c = parse_accept(p, TOKEN_ASSIGN) ? parse_tests(p) : NULL;
	}
}

static void jump(struct parser *p, enum ast_kind kind, struct ast_list *out)
{
	statement_node(p, kind, out);
	if (!p->loops)
		parse_fail(p, p->token.place, STATUS_INVALID, NULL, "'%s' outside a loop", kind == AST_BREAK ? "break" : "continue");
	parse_advance(p);
}

static bool ends_statement(const struct parser *p)
{
	return parse_at(p, TOKEN_NEWLINE) || parse_at(p, TOKEN_SEMICOLON) || parse_at(p, TOKEN_END);
}

/* return: 'return' [tests] */
static void return_statement(struct parser *p, struct ast_list *out)
{
	struct ast *n = statement_node(p, AST_RETURN, out);
	if (!p->functions)
		parse_fail(p, n->place, STATUS_INVALID, NULL, "'return' outside a function");
	parse_advance(p);
	if (!ends_statement(p))
		n->a = parse_tests(p);
}

/* assert: 'assert' test [',' test] */
static void assert_statement(struct parser *p, struct ast_list *out)
{
	struct ast *n = statement_node(p, AST_ASSERT, out);
	parse_advance(p);
	n->test = parse_test(p);
	if (parse_accept(p, TOKEN_COMMA))
		n->a = parse_test(p);
}

/* Imports above the functions were resolved by who sent the text. */
static void skip_import(struct parser *p)
{
	if (p->functions)
		parse_unexpected(p, "a statement");
	while (!ends_statement(p))
		parse_advance(p);
}

/* simple: pass | break | continue | return | assert | import | expression */
static void simple(struct parser *p, struct ast_list *out)
{
	switch (p->token.kind) {
	case TOKEN_PASS:
		statement_node(p, AST_PASS, out);
		parse_advance(p);
		break;
	case TOKEN_BREAK: jump(p, AST_BREAK, out); break;
	case TOKEN_CONTINUE: jump(p, AST_CONTINUE, out); break;
	case TOKEN_RETURN: return_statement(p, out); break;
	case TOKEN_ASSERT: assert_statement(p, out); break;
	case TOKEN_IMPORT: case TOKEN_FROM: skip_import(p); break;
	case TOKEN_IF: case TOKEN_FOR: case TOKEN_WHILE: case TOKEN_DEF: case TOKEN_AT:
		parse_unexpected(p, "a statement without a block of its own");
		break;
	default: expression_statement(p, out); break;
	}
}

/* line: simple {';' simple} [';'] NEWLINE */
static void simple_line(struct parser *p, struct ast_list *out)
{
	do {
		simple(p, out);
	} while (parse_accept(p, TOKEN_SEMICOLON) && !parse_at(p, TOKEN_NEWLINE));
	parse_expect(p, TOKEN_NEWLINE, "an operator or the end of the line");
}

/* block: ':' line | ':' NEWLINE INDENT statement {statement} DEDENT */
static void block(struct parser *p, struct ast_list *out, struct place owner)
{
	parse_expect(p, TOKEN_COLON, "':'");
	parse_enter(p, owner);
	if (!parse_accept(p, TOKEN_NEWLINE)) {
		simple_line(p, out);
	} else {
		if (!parse_accept(p, TOKEN_INDENT))
			parse_fail(p, p->token.place, STATUS_INVALID, "indent the lines that belong to it, or write pass",
				   "an indented block is missing");
		while (!parse_at(p, TOKEN_DEDENT) && !parse_at(p, TOKEN_END))
			parse_statement(p, out);
		parse_accept(p, TOKEN_DEDENT);
	}
	parse_leave(p);
}

/* if: 'if' test block {'elif' test block} ['else' block]
 * An elif is an `if` alone in the orelse of the one before, so each counts as a level of nesting for who walks the tree. */
static void if_statement(struct parser *p, struct ast_list *out)
{
	uint32_t depth = p->depth;
	for (;;) {
		struct ast *n = statement_node(p, AST_IF, out);
		parse_advance(p);
		n->test = parse_test(p);
		block(p, &n->body, n->place);
		out = &n->orelse;
		if (!parse_at(p, TOKEN_ELIF))
			break;
		parse_enter(p, p->token.place);
	}
	struct place at = p->token.place;
	if (parse_accept(p, TOKEN_ELSE)) {
		if (parse_at(p, TOKEN_IF))
			parse_fail(p, p->token.place, STATUS_INVALID, "write elif", "expected ':', found 'if'");
		block(p, out, at);
	}
	p->depth = depth;
}

static void loop_body(struct parser *p, struct ast *n)
{
	p->loops++;
	block(p, &n->body, n->place);
	p->loops--;
	if (parse_at(p, TOKEN_ELSE))
		parse_fail(p, p->token.place, STATUS_UNSUPPORTED, "set a flag before break and test it behind the loop", "a loop has no else");
}

/* for: 'for' target 'in' tests block */
static void for_statement(struct parser *p, struct ast_list *out)
{
	struct ast *n = statement_node(p, AST_FOR, out);
	parse_advance(p);
	n->a = parse_target(p);
	check_target(p, n->a);
	parse_expect(p, TOKEN_IN, "'in'");
	n->b = parse_tests(p);
	loop_body(p, n);
}

/* while: 'while' test block */
static void while_statement(struct parser *p, struct ast_list *out)
{
	struct ast *n = statement_node(p, AST_WHILE, out);
	parse_advance(p);
	n->test = parse_test(p);
	loop_body(p, n);
}

static void refuse_special_parameter(struct parser *p)
{
	const char *plain = "write a plain parameter; it can be passed by position and by name";
	struct place at = p->token.place;
	if (parse_at(p, TOKEN_DIV))
		parse_fail(p, at, STATUS_UNSUPPORTED, plain, "positional-only parameters ('/') are not part of the language");
	if (parse_at(p, TOKEN_POWER))
		parse_fail(p, at, STATUS_UNSUPPORTED, "name each parameter", "'**' parameters are not part of the language");
	if (!parse_accept(p, TOKEN_MUL))
		return;
	if (parse_at(p, TOKEN_NAME))
		parse_fail(p, at, STATUS_UNSUPPORTED, "name each parameter", "'*' parameters are not part of the language");
	parse_fail(p, at, STATUS_UNSUPPORTED, plain, "keyword-only parameters ('*') are not part of the language");
}

/* parameter: NAME [':' test] ['=' test] */
static void parameter(struct parser *p, struct ast *function)
{
	struct ast_param one = { .place = p->token.place };
	refuse_special_parameter(p);
	one.name = parse_name(p, "the name of a parameter");
	if (parse_accept(p, TOKEN_COLON))
		one.annotation = parse_test(p);
	if (parse_accept(p, TOKEN_ASSIGN))
		one.value = parse_test(p);
	parse_named(p, one.place, function->nparams);
	struct ast_param *params = parse_grow(p, function->params, function->nparams, sizeof *params);
	if (!params)
		return;
	function->params = params;
	for (uint32_t i = 0; i < function->nparams; i++)
		if (name_equal(params[i].name, one.name))
			parse_fail(p, one.place, STATUS_INVALID, "give each parameter a name of its own", "two parameters have this name");
	if (!one.value && function->nparams && params[function->nparams - 1].value)
		parse_fail(p, one.place, STATUS_INVALID, "give it a default, or write it first",
			   "a parameter without a default behind one with a default");
	params[function->nparams++] = one;
}

/* def: 'def' NAME '(' [parameter {',' parameter} [',']] ')' ['->' test] block */
static void function(struct parser *p, struct ast_list *out)
{
	struct ast *n = statement_node(p, AST_DEF, out);
	uint32_t loops = p->loops;
	parse_advance(p);
	n->name = parse_name(p, "the name of the function");
	parse_expect(p, TOKEN_LPAREN, "'('");
	while (!parse_at(p, TOKEN_RPAREN)) {
		parameter(p, n);
		if (!parse_accept(p, TOKEN_COMMA))
			break;
	}
	parse_expect(p, TOKEN_RPAREN, "',' or ')'");
	if (parse_accept(p, TOKEN_ARROW))
		parse_test(p);
	p->functions++;
	p->loops = 0;
	block(p, &n->body, n->place);
	p->loops = loops;
	p->functions--;
}

/* {'@' NAME ... NEWLINE} def. What a decorator asks for was read by who sent the text. */
static void decorated(struct parser *p, struct ast_list *out)
{
	while (parse_accept(p, TOKEN_AT)) {
		if (!parse_at(p, TOKEN_NAME))
			parse_fail(p, p->token.place, STATUS_UNSUPPORTED, "write @name or @name(...)", "a decorator that is not a name");
		while (!parse_at(p, TOKEN_NEWLINE) && !parse_at(p, TOKEN_END))
			parse_advance(p);
		parse_expect(p, TOKEN_NEWLINE, "the end of the line");
	}
	if (parse_at(p, TOKEN_DEF))
		function(p, out);
	else
		parse_unexpected(p, "def behind a decorator");
}

/* statement: if | for | while | def | decorated | line */
void parse_statement(struct parser *p, struct ast_list *out)
{
	switch (p->token.kind) {
	case TOKEN_IF: if_statement(p, out); break;
	case TOKEN_FOR: for_statement(p, out); break;
	case TOKEN_WHILE: while_statement(p, out); break;
	case TOKEN_DEF: function(p, out); break;
	case TOKEN_AT: decorated(p, out); break;
	case TOKEN_INDENT:
		parse_fail(p, p->token.place, STATUS_INVALID, "indent it like the line above", "the line is indented deeper than the one above");
		break;
	default: simple_line(p, out); break;
	}
}
