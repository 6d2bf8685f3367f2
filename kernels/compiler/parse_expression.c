/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Expressions. Each function stands under its rule; [] is optional, {} any number of times. Chains of left-associative operators are loops,
 * so that thousands of terms take no stack.
 */
#include "kernels/compiler/parse.h"

#include <string.h>

/* list: test {',' test} [','] closing. Returns whether there was a comma, which makes parentheses a tuple. */
static bool list(struct parser *p, struct ast_list *out, enum token_kind closing, const char *expected)
{
	bool comma = false;
	while (!parse_at(p, closing)) {
		parse_no_star(p);
		parse_append(p, out, parse_test(p));
		if (!parse_accept(p, TOKEN_COMMA))
			break;
		comma = true;
	}
	parse_expect(p, closing, expected);
	return comma;
}

/* '(' test ')' | '(' list ')' */
static struct ast *parenthesised(struct parser *p)
{
	struct place at = p->token.place;
	struct ast_list items = { 0 };
	parse_enter(p, at);
	parse_advance(p);
	bool comma = list(p, &items, TOKEN_RPAREN, "an operator, ',' or ')'");
	parse_leave(p);
	if (items.count == 1 && !comma)
		return items.items[0];
	struct ast *tuple = parse_node(p, AST_TUPLE, at);
	tuple->list = items;
	return tuple;
}

/* '[' list ']' */
static struct ast *bracketed(struct parser *p)
{
	struct ast *n = parse_node(p, AST_LIST, p->token.place);
	parse_enter(p, n->place);
	parse_advance(p);
	list(p, &n->list, TOKEN_RBRACKET, "an operator, ',' or ']'");
	parse_leave(p);
	return n;
}

/* STRING {STRING}: the pieces are one text. The room doubles, so that many of them cost O(bytes). */
static struct ast *strings(struct parser *p)
{
	struct ast *n = parse_node(p, AST_STRING, p->token.place);
	size_t room = 0;
	char *text = NULL;
	n->name = p->token.string;
	parse_advance(p);
	for (; parse_at(p, TOKEN_STRING); parse_advance(p)) {
		struct name more = p->token.string;
		size_t need = n->name.nbytes + more.nbytes;
		if (!text || need > room) {
			room = 2 * need;
			text = arena_alloc(p->lexer.arena, room);
			if (!text) {
				lex_no_memory(&p->lexer, n->place);
				continue;
			}
			memcpy(text, n->name.text, n->name.nbytes);
		}
		memcpy(text + n->name.nbytes, more.text, more.nbytes);
		n->name = (struct name){ text, need };
	}
	return n;
}

/* A token that is an expression by itself. */
static struct ast *leaf(struct parser *p, enum ast_kind kind)
{
	struct ast *n = parse_node(p, kind, p->token.place);
	n->name = kind == AST_NAME ? p->token.text : (struct name){ NULL, 0 };
	n->integer = kind == AST_BOOL ? parse_at(p, TOKEN_TRUE) : p->token.integer;
	n->too_large = p->token.too_large;
	n->real = p->token.real;
	parse_advance(p);
	return n;
}

/* atom: NAME | number | strings | True | False | None | parenthesised | bracketed */
static struct ast *atom(struct parser *p)
{
	switch (p->token.kind) {
	case TOKEN_NAME: return leaf(p, AST_NAME);
	case TOKEN_INT: return leaf(p, AST_INT);
	case TOKEN_FLOAT: return leaf(p, AST_FLOAT);
	case TOKEN_IMAG: return leaf(p, AST_IMAG);
	case TOKEN_TRUE: case TOKEN_FALSE: return leaf(p, AST_BOOL);
	case TOKEN_NONE: return leaf(p, AST_NONE);
	case TOKEN_STRING: return strings(p);
	case TOKEN_LPAREN: return parenthesised(p);
	case TOKEN_LBRACKET: return bracketed(p);
	default: break;
	}
	parse_unexpected(p, "an expression");
	return parse_node(p, AST_NONE, p->token.place);
}

void parse_no_star(struct parser *p)
{
	if (parse_at(p, TOKEN_MUL) || parse_at(p, TOKEN_POWER))
		parse_fail(p, p->token.place, STATUS_UNSUPPORTED, "write the arguments or elements one by one",
			   "unpacking with '%s' is not part of the language",
			   parse_at(p, TOKEN_MUL) ? "*" : "**");
}

static void keyword(struct parser *p, struct ast *call, struct ast *name, struct place at)
{
	struct ast_keyword *keywords = parse_grow(p, call->keywords, call->nkeywords, sizeof *keywords);
	struct ast *value = parse_test(p);
	parse_named(p, at, call->nkeywords);
	if (!keywords || parse_failed(p))
		return;
	for (uint32_t i = 0; i < call->nkeywords; i++)
		if (name_equal(keywords[i].name, name->name))
			parse_fail(p, at, STATUS_INVALID, "give it once", "this argument is given twice");
	call->keywords = keywords;
	call->keywords[call->nkeywords++] = (struct ast_keyword){ name->name, at, value };
}

/* argument: test | NAME '=' test */
static void argument(struct parser *p, struct ast *call)
{
	struct token first = p->token;
	parse_no_star(p);
	struct ast *value = parse_test(p);
	bool name = first.kind == TOKEN_NAME && value->kind == AST_NAME;
	if (name && parse_accept(p, TOKEN_ASSIGN))
		keyword(p, call, value, first.place);
	else if (call->nkeywords)
		parse_fail(p, first.place, STATUS_INVALID, "write it before the first name=value",
			   "an argument without a name behind one with a name");
	else
		parse_append(p, &call->list, value);
}

/* call: callee '(' [argument {',' argument} [',']] ')' */
static struct ast *call(struct parser *p, struct ast *callee, struct place at)
{
	struct ast *n = parse_node(p, AST_CALL, at);
	if (callee->kind == AST_NAME && name_is(callee->name, "print"))
		parse_fail(p, at, STATUS_UNSUPPORTED, "return the value, or write it into an array, and print it outside",
			   "print is not part of the language");
	n->a = callee;
	parse_enter(p, p->token.place);
	parse_advance(p);
	while (!parse_at(p, TOKEN_RPAREN)) {
		argument(p, n);
		if (!parse_accept(p, TOKEN_COMMA))
			break;
	}
	parse_expect(p, TOKEN_RPAREN, "an operator, ',' or ')'");
	parse_leave(p);
	return n;
}

static struct ast *slice_part(struct parser *p)
{
	bool none = parse_at(p, TOKEN_COLON) || parse_at(p, TOKEN_COMMA) || parse_at(p, TOKEN_RBRACKET);
	return none ? NULL : parse_test(p);
}

/* index: '...' | test | [test] ':' [test] [':' [test]] */
static struct ast *index_item(struct parser *p)
{
	struct place at = p->token.place;
	parse_no_star(p);
	if (parse_at(p, TOKEN_ELLIPSIS))
		return leaf(p, AST_ELLIPSIS);
	struct ast *first = parse_at(p, TOKEN_COLON) ? NULL : parse_test(p);
	if (!parse_accept(p, TOKEN_COLON))
		return first;
	struct ast *n = parse_node(p, AST_SLICE, at);
	n->a = first;
	n->b = slice_part(p);
	n->c = parse_accept(p, TOKEN_COLON) ? slice_part(p) : NULL;
	return n;
}

/* subscript: value '[' index {',' index} [','] ']' */
static struct ast *subscript(struct parser *p, struct ast *value, struct place at)
{
	struct ast *n = parse_node(p, AST_SUBSCRIPT, at), *tuple = NULL;
	n->a = value;
	parse_enter(p, p->token.place);
	parse_advance(p);
	struct place first = p->token.place;
	n->b = index_item(p);
	while (parse_accept(p, TOKEN_COMMA)) {
		if (!tuple) {
			tuple = parse_node(p, AST_TUPLE, first);
			parse_append(p, &tuple->list, n->b);
			n->b = tuple;
		}
		if (parse_at(p, TOKEN_RBRACKET))
			break;
		parse_append(p, &tuple->list, index_item(p));
	}
	parse_expect(p, TOKEN_RBRACKET, "an operator, ',', ':' or ']'");
	parse_leave(p);
	return n;
}

/* postfix: atom {'.' NAME | call | subscript} */
static struct ast *postfix(struct parser *p)
{
	struct place at = p->token.place;
	struct ast *n = atom(p);
	for (uint32_t terms = 1;; terms++) {
		if (parse_at(p, TOKEN_LPAREN)) {
			parse_chain(p, terms);
			n = call(p, n, at);
		} else if (parse_at(p, TOKEN_LBRACKET)) {
			parse_chain(p, terms);
			n = subscript(p, n, at);
		} else if (parse_accept(p, TOKEN_DOT)) {
			parse_chain(p, terms);
			struct ast *attribute = parse_node(p, AST_ATTRIBUTE, at);
			attribute->a = n;
			attribute->name = parse_name(p, "a name behind '.'");
			n = attribute;
		} else {
			return n;
		}
	}
}

static struct ast *unary(struct parser *p);

/* power: postfix ['**' unary] */
static struct ast *power(struct parser *p)
{
	struct ast *base = postfix(p);
	if (!parse_at(p, TOKEN_POWER))
		return base;
	struct ast *n = parse_node(p, AST_BINARY, p->token.place);
	parse_enter(p, n->place);
	parse_advance(p);
	n->op = AST_POW;
	n->a = base;
	n->b = unary(p);
	parse_leave(p);
	return n;
}

static struct ast *unary_operator(struct parser *p, enum ast_op op, struct ast *(*operand)(struct parser *))
{
	struct ast *n = parse_node(p, AST_UNARY, p->token.place);
	parse_enter(p, n->place);
	parse_advance(p);
	n->op = op;
	n->a = operand(p);
	parse_leave(p);
	return n;
}

/* unary: ('-' | '+' | '~') unary | power */
static struct ast *unary(struct parser *p)
{
	switch (p->token.kind) {
	case TOKEN_SUB: return unary_operator(p, AST_NEG, unary);
	case TOKEN_ADD: return unary_operator(p, AST_POS, unary);
	case TOKEN_INVERT: return unary_operator(p, AST_INVERT, unary);
	default: return power(p);
	}
}

struct operator {
	int precedence;          /* higher binds tighter; 0: no such operator */
	enum ast_op op;
};

static struct operator binary_operator(enum token_kind kind)
{
	switch (kind) {
	case TOKEN_BITOR: return (struct operator){ 1, AST_BITOR };
	case TOKEN_BITXOR: return (struct operator){ 2, AST_BITXOR };
	case TOKEN_BITAND: return (struct operator){ 3, AST_BITAND };
	case TOKEN_SHL: return (struct operator){ 4, AST_SHL };
	case TOKEN_SHR: return (struct operator){ 4, AST_SHR };
	case TOKEN_ADD: return (struct operator){ 5, AST_ADD };
	case TOKEN_SUB: return (struct operator){ 5, AST_SUB };
	case TOKEN_MUL: return (struct operator){ 6, AST_MUL };
	case TOKEN_DIV: return (struct operator){ 6, AST_DIV };
	case TOKEN_FLOORDIV: return (struct operator){ 6, AST_FLOORDIV };
	case TOKEN_MOD: return (struct operator){ 6, AST_MOD };
	case TOKEN_AT: return (struct operator){ 6, AST_MATMUL };
	default: return (struct operator){ 0, AST_ADD };
	}
}

/* binary(least): unary {operator binary(one tighter)}, for operators of precedence >= least */
static struct ast *binary(struct parser *p, int least)
{
	struct ast *left = unary(p);
	for (uint32_t terms = 1;; terms++) {
		struct operator o = binary_operator(p->token.kind);
		if (!o.precedence || o.precedence < least)
			return left;
		parse_chain(p, terms);
		struct ast *n = parse_node(p, AST_BINARY, p->token.place);
		parse_advance(p);
		n->op = o.op;
		n->a = left;
		n->b = binary(p, o.precedence + 1);
		left = n;
	}
}

static bool comparison_operator(enum token_kind kind, enum ast_op *op)
{
	switch (kind) {
	case TOKEN_LT: *op = AST_LT; return true;
	case TOKEN_LE: *op = AST_LE; return true;
	case TOKEN_GT: *op = AST_GT; return true;
	case TOKEN_GE: *op = AST_GE; return true;
	case TOKEN_EQ: *op = AST_EQ; return true;
	case TOKEN_NE: *op = AST_NE; return true;
	default: return false;
	}
}

/* comparison: binary {('<' | '<=' | '>' | '>=' | '==' | '!=') binary} */
static struct ast *comparison(struct parser *p)
{
	struct place at = p->token.place;
	struct ast *first = binary(p, 1), *n = NULL;
	enum ast_op op;
	while (comparison_operator(p->token.kind, &op)) {
		if (!n) {
			n = parse_node(p, AST_COMPARE, at);
			parse_append(p, &n->list, first);
		}
		parse_chain(p, n->list.count);
		parse_advance(p);
		enum ast_op *ops = parse_grow(p, n->ops, n->list.count - 1, sizeof *ops);
		if (!ops)
			return n;
		n->ops = ops;
		n->ops[n->list.count - 1] = op;
		parse_append(p, &n->list, binary(p, 1));
	}
	return n ? n : first;
}

/* inversion: 'not' inversion | comparison */
static struct ast *inversion(struct parser *p)
{
	return parse_at(p, TOKEN_NOT) ? unary_operator(p, AST_NOT, inversion) : comparison(p);
}

static struct ast *joined(struct parser *p, enum token_kind word, enum ast_op op, struct ast *(*term)(struct parser *))
{
	struct place at = p->token.place;
	struct ast *first = term(p);
	if (!parse_at(p, word))
		return first;
	struct ast *n = parse_node(p, AST_BOOLOP, at);
	n->op = op;
	parse_append(p, &n->list, first);
	while (parse_at(p, word)) {
		parse_chain(p, n->list.count);
		parse_advance(p);
		parse_append(p, &n->list, term(p));
	}
	return n;
}

/* conjunction: inversion {'and' inversion} */
static struct ast *conjunction(struct parser *p)
{
	return joined(p, TOKEN_AND, AST_AND, inversion);
}

/* disjunction: conjunction {'or' conjunction} */
static struct ast *disjunction(struct parser *p)
{
	return joined(p, TOKEN_OR, AST_OR, conjunction);
}

/* test: disjunction ['if' disjunction 'else' test] */
struct ast *parse_test(struct parser *p)
{
	struct place at = p->token.place;
	struct ast *a = disjunction(p);
	if (!parse_at(p, TOKEN_IF))
		return a;
	struct ast *n = parse_node(p, AST_IFEXP, at);
	parse_enter(p, p->token.place);
	parse_advance(p);
	n->a = a;
	n->test = disjunction(p);
	parse_expect(p, TOKEN_ELSE, "'else' and the value for the other case");
	n->b = parse_test(p);
	parse_leave(p);
	return n;
}

/* What may stand behind a list without brackets. */
static bool ends_list(enum token_kind kind)
{
	return kind == TOKEN_NEWLINE || kind == TOKEN_END || kind == TOKEN_SEMICOLON || kind == TOKEN_ASSIGN || kind == TOKEN_COLON ||
	       kind == TOKEN_IN;
}

/* item {',' item} [','] */
static struct ast *open_tuple(struct parser *p, struct ast *(*item)(struct parser *))
{
	struct place at = p->token.place;
	parse_no_star(p);
	struct ast *first = item(p);
	if (!parse_at(p, TOKEN_COMMA))
		return first;
	struct ast *tuple = parse_node(p, AST_TUPLE, at);
	parse_append(p, &tuple->list, first);
	while (parse_accept(p, TOKEN_COMMA) && !ends_list(p->token.kind)) {
		parse_no_star(p);
		parse_append(p, &tuple->list, item(p));
	}
	return tuple;
}

struct ast *parse_tests(struct parser *p)
{
	return open_tuple(p, parse_test);
}

struct ast *parse_target(struct parser *p)
{
	return open_tuple(p, postfix);
}
