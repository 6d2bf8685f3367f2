/* SPDX-License-Identifier: BSD-3-Clause
 *
 * From text to tokens, by Python's rules: indentation, joined lines, numbers, strings. Shared by the files of the front end only.
 */
#ifndef COMPILER_LEX_H
#define COMPILER_LEX_H

#include "kernels/compiler/ast.h"

/* S(name, text): longer ones first, since the first that matches is taken. */
#define SYMBOL_MAP(S)                                                                                                  \
	S(POWER_ASSIGN, "**=") S(FLOORDIV_ASSIGN, "//=") S(SHL_ASSIGN, "<<=") S(SHR_ASSIGN, ">>=") S(ELLIPSIS, "...")  \
	S(POWER, "**") S(FLOORDIV, "//") S(SHL, "<<") S(SHR, ">>") S(LE, "<=") S(GE, ">=") S(EQ, "==") S(NE, "!=")     \
	S(ARROW, "->") S(WALRUS, ":=") S(ADD_ASSIGN, "+=") S(SUB_ASSIGN, "-=") S(MUL_ASSIGN, "*=") S(DIV_ASSIGN, "/=") \
	S(MOD_ASSIGN, "%=") S(MATMUL_ASSIGN, "@=") S(AND_ASSIGN, "&=") S(OR_ASSIGN, "|=") S(XOR_ASSIGN, "^=")          \
	S(LPAREN, "(") S(RPAREN, ")") S(LBRACKET, "[") S(RBRACKET, "]") S(LBRACE, "{") S(RBRACE, "}") S(COLON, ":")    \
	S(COMMA, ",") S(SEMICOLON, ";") S(DOT, ".") S(ASSIGN, "=") S(ADD, "+") S(SUB, "-") S(MUL, "*") S(DIV, "/")     \
	S(MOD, "%") S(AT, "@") S(BITAND, "&") S(BITOR, "|") S(BITXOR, "^") S(INVERT, "~") S(LT, "<") S(GT, ">")

#define KEYWORD_MAP(S)                                                                                                 \
	S(FALSE, "False") S(NONE, "None") S(TRUE, "True") S(AND, "and") S(OR, "or") S(NOT, "not") S(IN, "in")          \
	S(IS, "is") S(IF, "if") S(ELIF, "elif") S(ELSE, "else") S(FOR, "for") S(WHILE, "while") S(BREAK, "break")      \
	S(CONTINUE, "continue") S(PASS, "pass") S(RETURN, "return") S(ASSERT, "assert") S(DEF, "def")                  \
	S(IMPORT, "import") S(FROM, "from") S(AS, "as") S(CLASS, "class") S(LAMBDA, "lambda") S(YIELD, "yield")        \
	S(TRY, "try") S(EXCEPT, "except") S(FINALLY, "finally") S(RAISE, "raise") S(WITH, "with") S(DEL, "del")        \
	S(GLOBAL, "global") S(NONLOCAL, "nonlocal") S(ASYNC, "async") S(AWAIT, "await")

enum token_kind {
	TOKEN_END, TOKEN_NEWLINE, TOKEN_INDENT, TOKEN_DEDENT,
	TOKEN_NAME, TOKEN_INT, TOKEN_FLOAT, TOKEN_IMAG, TOKEN_STRING,
#define S(name, text) TOKEN_##name,
	SYMBOL_MAP(S)
	KEYWORD_MAP(S)
#undef S
};

struct token {
	enum token_kind kind;
	struct place place;
	struct name text;        /* as it stands in the source; empty for END and the tokens of layout */
	uint64_t integer;        /* INT */
	bool too_large;          /* INT: above uint64; integer is then UINT64_MAX */
	double real;             /* FLOAT, IMAG */
	struct name string;      /* STRING: escapes resolved */
};

struct indent {
	uint32_t column;         /* with tabs to multiples of 8 */
	uint32_t narrow;         /* with tabs of 1: both must agree about which line is deeper, or the layout depends on the editor */
};

struct bracket {
	char opening;
	struct place place;
};

struct lexer {
	struct arena *arena;
	const struct source_text *source;
	const struct parse_limits *limits;
	struct error *error;
	enum status status;      /* of the first failure; from then on all tokens are END */
	bool expression;         /* the text is one expression: indentation means nothing */
	const char *at, *end;
	const char *mark;        /* where `place` was last known */
	struct place place;
	bool line_begins;        /* the indentation of the line at `at` is still to be read */
	bool line_used;          /* the line has a token */
	int pending;             /* INDENT (1) or DEDENT (below 0) still to be handed out */
	uint32_t ntokens;
	struct indent *indents;  /* the first one is of the whole text */
	uint32_t nindents;
	struct bracket *brackets;
	uint32_t nbrackets;
};

/* Checks size and encoding of the whole text. Later failures are in l->status. */
enum status lex_init(struct lexer *l, struct arena *arena, const struct source_text *s, const struct parse_limits *limits, bool expression,
		     struct error *e);
struct token lex_next(struct lexer *l);

/* Records a failure, unless there is one already. */
void lex_fail(struct lexer *l, struct place at, enum status status, const char *hint, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
/* A limit was passed: "more than N things". */
void lex_limit(struct lexer *l, struct place at, uint64_t limit, const char *things, const char *hint);
void lex_depth(struct lexer *l, struct place at);
void lex_no_memory(struct lexer *l, struct place at);

/* For lex_literal.c. */
struct place lex_place(struct lexer *l, const char *at);
void lex_next_line(struct lexer *l, size_t newline);
bool lex_is_name_byte(char c);
void lex_number(struct lexer *l, struct token *t);
bool lex_is_prefix(const char *at, size_t n);     /* r, b, u and the like in front of quotes; other letters are a word, as in or"x" */
void lex_string(struct lexer *l, struct token *t, size_t nprefix);

/* Length of the character at text and its code; 0 if the bytes are not UTF-8. */
size_t utf8_decode(const char *text, size_t nbytes, uint32_t *code);
/* Bytes of the line end at `at` (\n, \r\n, \r), 0 if there is none. */
size_t newline_length(const char *at, const char *end);

#endif
