/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The tree of a program as it was written: the statically compiled subset of Python of LANGUAGE.md. Nodes live in the arena of the compilation.
 */
#ifndef COMPILER_AST_H
#define COMPILER_AST_H

#include "kernels/compiler/arena.h"
#include "kernels/compiler/source.h"

#include <stdbool.h>

/* A piece of the text, or of the arena. */
struct name {
	const char *text;
	size_t nbytes;
};
bool name_is(struct name n, const char *text);
bool name_equal(struct name a, struct name b);

enum ast_op {
	AST_ADD, AST_SUB, AST_MUL, AST_DIV, AST_FLOORDIV, AST_MOD, AST_POW, AST_MATMUL,
	AST_SHL, AST_SHR, AST_BITAND, AST_BITOR, AST_BITXOR,
	AST_LT, AST_LE, AST_GT, AST_GE, AST_EQ, AST_NE,
	AST_NEG, AST_POS, AST_INVERT, AST_NOT,
	AST_AND, AST_OR,
};

enum ast_kind {
	/* expressions */
	AST_NAME,                /* name */
	AST_INT,                 /* integer; too_large if it does not fit uint64 */
	AST_FLOAT, AST_IMAG,     /* real: the value, or the imaginary part */
	AST_BOOL,                /* integer: 0 or 1 */
	AST_NONE,
	AST_STRING,              /* name: the text between the quotes, escapes resolved */
	AST_UNARY,               /* op a */
	AST_BINARY,              /* a op b; left-associative chains are left-deep (** right-deep) */
	AST_COMPARE,             /* list[0] ops[0] list[1] ops[1] ... */
	AST_BOOLOP,              /* list joined by op (AST_AND or AST_OR) */
	AST_IFEXP,               /* a if test else b */
	AST_CALL,                /* a(list, keywords) */
	AST_ATTRIBUTE,           /* a.name */
	AST_SUBSCRIPT,           /* a[b]; b is an AST_TUPLE for several indices */
	AST_SLICE,               /* a : b : c, each may be NULL */
	AST_ELLIPSIS,            /* ... (as an index) */
	AST_TUPLE, AST_LIST,     /* list */
	/* statements */
	AST_EXPR,                /* a; a docstring is an AST_STRING here */
	AST_ASSIGN,              /* list[0] = list[1] = ... = a  (list: the targets; each a NAME, SUBSCRIPT, or TUPLE/LIST of those) */
	AST_AUGASSIGN,           /* a op= b */
	AST_ANNASSIGN,           /* a : b = c (c may be NULL) */
	AST_IF,                  /* if test: body else: orelse   (elif is an IF alone in orelse) */
	AST_FOR,                 /* for a in b: body (no else clause in the language) */
	AST_WHILE,               /* while test: body */
	AST_BREAK, AST_CONTINUE, AST_PASS,
	AST_RETURN,              /* return a (NULL: nothing) */
	AST_ASSERT,              /* assert test, a (NULL: no message) */
	AST_DEF,                 /* def name(params): body */
};

struct ast;

struct ast_list {
	struct ast **items;
	uint32_t count;
};

struct ast_param {
	struct name name;
	struct place place;
	struct ast *annotation;  /* or NULL; not used for types */
	struct ast *value;       /* default, or NULL */
};

struct ast_keyword {
	struct name name;
	struct place place;
	struct ast *value;
};

struct ast {
	enum ast_kind kind;
	enum ast_op op;
	struct place place;      /* of the first character; for AST_BINARY the operator's */
	struct name name;
	uint64_t integer;
	bool too_large;
	double real;
	struct ast *a, *b, *c, *test;
	struct ast_list list, body, orelse;
	enum ast_op *ops;        /* AST_COMPARE: list.count - 1 of them */
	struct ast_keyword *keywords;
	uint32_t nkeywords;
	struct ast_param *params;
	uint32_t nparams;
};

/* A parsed text: the functions of a kernel source, or one expression. */
struct module {
	const struct source_text *source;
	struct ast_list body;    /* AST_DEF and, if the text has any, module-level AST_ASSIGN of constants; docstrings and decorators are dropped */
	struct ast *expression;  /* when parsed as an expression */
};

/* What a text may cost. Each has its own message, naming the limit. */
struct parse_limits {
	size_t bytes;            /* 1 MiB */
	uint32_t tokens;         /* 200,000 */
	uint32_t nodes;          /* 200,000 */
	uint32_t depth;          /* of brackets, calls and indented blocks: 100 */
	uint32_t chain;          /* terms of one chain of left-associative operators: 5,000 */
};
extern const struct parse_limits parse_limits_default;

/* `import`/`from` lines and decorators are skipped (the client resolved them); anything else the language does not have is an error that
 * says what to write instead. O(bytes). Never recurses deeper than limits->depth times a constant. */
enum status parse_kernel(struct arena *arena, const struct source_text *s, const struct parse_limits *limits, struct module *out, struct error *e);
enum status parse_expression(struct arena *arena, const struct source_text *s, const struct parse_limits *limits, struct module *out, struct error *e);

#endif
