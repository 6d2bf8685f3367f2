/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/compiler/lex.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct word {
	enum token_kind kind;
	struct name name;
} symbols[] = {
#define S(name, text) { TOKEN_##name, { text, sizeof text - 1 } },
	SYMBOL_MAP(S)
}, keywords[] = {
	KEYWORD_MAP(S)
#undef S
};

void lex_fail(struct lexer *l, struct place at, enum status status, const char *hint, const char *format, ...)
{
	char text[256];
	va_list ap;
	if (l->status)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	l->status = source_error(l->source, at, status, l->error, hint, "%s", text);
}

void lex_limit(struct lexer *l, struct place at, uint64_t limit, const char *things, const char *hint)
{
	if (l->status)
		return;
	lex_fail(l, at, STATUS_TOO_LARGE, hint, "more than %llu %s", (unsigned long long)limit, things);
	if (l->error)
		l->error->limit = (long long)limit;
}

void lex_depth(struct lexer *l, struct place at)
{
	lex_limit(l, at, l->limits->depth, "levels of nesting", "give parts of it names of their own");
}

void lex_no_memory(struct lexer *l, struct place at)
{
	if (l->arena->failed == STATUS_NO_MEMORY)
		lex_fail(l, at, STATUS_NO_MEMORY, NULL, "out of memory");
	else
		lex_limit(l, at, l->arena->budget, "bytes of memory to compile this", "split the program");
}

/* NUL and what is not UTF-8 are refused in comments and strings, too. */
static void check_text(struct lexer *l)
{
	struct place at = { 1, 1 };
	for (const char *p = l->at; p < l->end;) {
		uint32_t code;
		size_t newline = newline_length(p, l->end), n = utf8_decode(p, (size_t)(l->end - p), &code);
		if (!n) {
			lex_fail(l, at, STATUS_INVALID, "save the text as UTF-8", "byte 0x%02x is not UTF-8", (unsigned char)*p);
			return;
		}
		if (!code) {
			lex_fail(l, at, STATUS_INVALID, "remove it", "the text has a zero byte");
			return;
		}
		at = newline ? (struct place){ at.line + 1, 1 } : (struct place){ at.line, at.column + 1 };
		p += newline ? newline : n;
	}
}

enum status lex_init(struct lexer *l, struct arena *arena, const struct source_text *s, const struct parse_limits *limits, bool expression,
		     struct error *e)
{
	const char *text = s->text ? s->text : "";
	*l = (struct lexer){ .arena = arena, .source = s, .limits = limits, .error = e, .expression = expression, .at = text, .mark = text,
			     .place = { 1, 1 }, .line_begins = true };
	if (s->nbytes > limits->bytes) {
		lex_limit(l, (struct place){ 0, 0 }, limits->bytes, "bytes of program text", "split the program");
		return l->status;
	}
	l->end = text + s->nbytes;
	check_text(l);
	l->indents = arena_alloc(arena, (limits->depth + 1ull) * sizeof *l->indents);
	l->brackets = arena_alloc(arena, limits->depth * sizeof *l->brackets);
	if (!l->indents || !l->brackets)
		lex_no_memory(l, l->place);
	return l->status;
}

/* Counts the characters from the last known place on: each is counted once. */
struct place lex_place(struct lexer *l, const char *at)
{
	for (; l->mark < at; l->mark++)
		l->place.column += ((unsigned char)*l->mark & 0xc0) != 0x80;
	return l->place;
}

void lex_next_line(struct lexer *l, size_t newline)
{
	l->at += newline;
	l->mark = l->at;
	l->place = (struct place){ l->place.line + 1, 1 };
}

static void skip_comment(struct lexer *l)
{
	if (l->at < l->end && *l->at == '#')
		while (l->at < l->end && !newline_length(l->at, l->end))
			l->at++;
}

/* Reads blanks at the start of a line. A form feed starts the count again, as in Python. */
static struct indent read_indent(struct lexer *l)
{
	struct indent i = { 0, 0 };
	for (; l->at < l->end; l->at++) {
		if (*l->at == ' ')
			i = (struct indent){ i.column + 1, i.narrow + 1 };
		else if (*l->at == '\t')
			i = (struct indent){ (i.column / 8 + 1) * 8, i.narrow + 1 };
		else if (*l->at == '\f')
			i = (struct indent){ 0, 0 };
		else
			break;
	}
	return i;
}

static void mixed_tabs(struct lexer *l)
{
	lex_fail(l, lex_place(l, l->at), STATUS_INVALID, "indent with spaces only", "tabs and spaces are mixed in the indentation");
}

static void indent(struct lexer *l, struct indent i)
{
	const struct indent *top = &l->indents[l->nindents - 1];
	if (i.narrow <= top->narrow) {
		mixed_tabs(l);
	} else if (l->nindents > l->limits->depth) {
		lex_depth(l, lex_place(l, l->at));
	} else {
		l->indents[l->nindents++] = i;
		l->pending = 1;
	}
}

static void dedent(struct lexer *l, struct indent i)
{
	while (l->nindents > 1 && i.column < l->indents[l->nindents - 1].column) {
		l->nindents--;
		l->pending--;
	}
	const struct indent *top = &l->indents[l->nindents - 1];
	if (i.column != top->column)
		lex_fail(l, lex_place(l, l->at), STATUS_INVALID, "indent the line like an earlier one of its block",
			 "the indentation matches no line above");
	else if (i.narrow != top->narrow)
		mixed_tabs(l);
}

/* The first line of code says where column 0 is, so that the text of a nested function can be given as it stands. */
static void compare_indent(struct lexer *l, struct indent i)
{
	if (!l->nindents)
		l->indents[l->nindents++] = i;
	const struct indent *top = &l->indents[l->nindents - 1];
	if (i.column > top->column)
		indent(l, i);
	else if (i.column < top->column)
		dedent(l, i);
	else if (i.narrow != top->narrow)
		mixed_tabs(l);
}

/* At the start of a line: passes lines without code, then turns the indentation into pending tokens. */
static void begin_line(struct lexer *l)
{
	struct indent i;
	for (;;) {
		i = read_indent(l);
		skip_comment(l);
		size_t newline = newline_length(l->at, l->end);
		if (!newline)
			break;
		lex_next_line(l, newline);
	}
	l->line_begins = l->line_used = false;
	if (l->expression)
		return;
	if (l->at < l->end)
		compare_indent(l, i);
	else if (l->nindents)
		l->pending = 1 - (int)l->nindents;
}

/* Passes blanks, comments, and line ends that mean nothing: inside brackets, and behind a backslash. */
static void skip_blanks(struct lexer *l)
{
	while (l->at < l->end) {
		size_t newline = newline_length(l->at, l->end);
		if (*l->at == ' ' || *l->at == '\t' || *l->at == '\f') {
			l->at++;
		} else if (*l->at == '#') {
			skip_comment(l);
		} else if (newline && (l->nbrackets || !l->line_used)) {
			lex_next_line(l, newline);
			l->line_begins = !l->nbrackets;
			if (l->line_begins)
				return;
		} else if (*l->at == '\\') {
			newline = newline_length(l->at + 1, l->end);
			if (!newline) {
				lex_fail(l, lex_place(l, l->at), STATUS_INVALID, "end the line right behind the backslash",
					 "a backslash inside a line");
				return;
			}
			lex_next_line(l, newline + 1);
		} else {
			return;
		}
	}
}

bool lex_is_name_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (unsigned char)c >= 0x80;
}

/* Characters that look like operators, quotes or blanks, and come with text copied from a web page or a paper. */
static bool is_letter(uint32_t code)
{
	static const struct {
		uint32_t first, last;
	} others[] = { { 0x80, 0xa9 }, { 0xab, 0xb4 }, { 0xb6, 0xb6 }, { 0xb8, 0xb9 }, { 0xbb, 0xbf }, { 0xd7, 0xd7 }, { 0xf7, 0xf7 },
		       { 0x2000, 0x206f }, { 0x2190, 0x2bff }, { 0x3000, 0x3004 }, { 0x3008, 0x3020 }, { 0xfeff, 0xfeff }, { 0xff01, 0xff0f } };
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (code >= others[i].first && code <= others[i].last)
			return false;
	return true;
}

static void check_letters(struct lexer *l, struct name name)
{
	for (const char *p = name.text, *end = p + name.nbytes; p < end;) {
		uint32_t code = 0;
		size_t n = utf8_decode(p, (size_t)(end - p), &code);
		if (!is_letter(code)) {
			lex_fail(l, lex_place(l, p), STATUS_INVALID, "write it with plain ASCII characters",
				 "the character %.*s (U+%04X) has no meaning here",
				 code < 0xa0 ? 0 : (int)n, p, (unsigned)code);
			return;
		}
		p += n;
	}
}

static bool is_quote(char c)
{
	return c == '"' || c == '\'';
}

/* A name, a keyword, or a string with a prefix of letters. */
static void word(struct lexer *l, struct token *t)
{
	const char *end = l->at;
	while (end < l->end && lex_is_name_byte(*end))
		end++;
	struct name name = { l->at, (size_t)(end - l->at) };
	if (end < l->end && is_quote(*end) && lex_is_prefix(l->at, name.nbytes)) {
		lex_string(l, t, name.nbytes);
		return;
	}
	t->kind = TOKEN_NAME;
	for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
		if (name_equal(name, keywords[i].name))
			t->kind = keywords[i].kind;
	check_letters(l, name);
	l->at = end;
}

static void open_bracket(struct lexer *l, const struct token *t)
{
	if (l->nbrackets >= l->limits->depth)
		lex_depth(l, t->place);
	else
		l->brackets[l->nbrackets++] = (struct bracket){ *t->text.text, t->place };
}

static void close_bracket(struct lexer *l, const struct token *t)
{
	char closing = *t->text.text, opening = closing == ')' ? '(' : closing == ']' ? '[' : '{';
	if (!l->nbrackets) {
		lex_fail(l, t->place, STATUS_INVALID, NULL, "'%c' closes nothing", closing);
		return;
	}
	struct bracket b = l->brackets[--l->nbrackets];
	if (b.opening != opening)
		lex_fail(l, t->place, STATUS_INVALID, NULL, "'%c' does not close '%c' of line %u, column %u", closing, b.opening,
			 b.place.line + (l->source->first_line ? l->source->first_line - 1 : 0), b.place.column);
}

static void bad_character(struct lexer *l, const struct token *t)
{
	unsigned char c = (unsigned char)*l->at;
	const char *hint = c == '!' ? "write not" : c == '`' ? "use quotes for strings" : NULL;
	if (c < ' ' || c == 0x7f)
		lex_fail(l, t->place, STATUS_INVALID, "remove it", "a control character (0x%02x)", c);
	else
		lex_fail(l, t->place, STATUS_INVALID, hint, "the character '%c' has no meaning here", c);
}

static void symbol(struct lexer *l, struct token *t)
{
	for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
		struct name s = symbols[i].name;
		if (s.nbytes > (size_t)(l->end - l->at) || memcmp(l->at, s.text, s.nbytes) != 0)
			continue;
		t->kind = symbols[i].kind;
		t->text = (struct name){ l->at, s.nbytes };
		l->at += s.nbytes;
		if (t->kind == TOKEN_LPAREN || t->kind == TOKEN_LBRACKET || t->kind == TOKEN_LBRACE)
			open_bracket(l, t);
		else if (t->kind == TOKEN_RPAREN || t->kind == TOKEN_RBRACKET || t->kind == TOKEN_RBRACE)
			close_bracket(l, t);
		return;
	}
	bad_character(l, t);
}

/* The end of the text, or of a line, ends the statement. */
static void layout(struct lexer *l, struct token *t)
{
	if (l->nbrackets) {
		struct bracket b = l->brackets[l->nbrackets - 1];
		lex_fail(l, b.place, STATUS_INVALID, "close it", "'%c' is never closed", b.opening);
		return;
	}
	t->kind = l->line_used ? TOKEN_NEWLINE : TOKEN_END;
	l->line_begins = l->line_used;
	if (l->at < l->end)
		lex_next_line(l, newline_length(l->at, l->end));
}

static void read_token(struct lexer *l, struct token *t)
{
	if (l->at == l->end || newline_length(l->at, l->end)) {
		layout(l, t);
		return;
	}
	const char *start = l->at;
	bool digit = *start >= '0' && *start <= '9', point_digit = *start == '.' && l->end - start > 1 && start[1] >= '0' && start[1] <= '9';
	l->line_used = true;
	if (digit || point_digit)
		lex_number(l, t);
	else if (is_quote(*start))
		lex_string(l, t, 0);
	else if (lex_is_name_byte(*start))
		word(l, t);
	else
		symbol(l, t);
	t->text = (struct name){ start, (size_t)(l->at - start) };
}

struct token lex_next(struct lexer *l)
{
	struct token t = { .kind = TOKEN_END };
	if (!l->status && ++l->ntokens > l->limits->tokens)
		lex_limit(l, lex_place(l, l->at), l->limits->tokens, "tokens (words, numbers, operators)", "split the program");
	do {
		if (l->line_begins && !l->status)
			begin_line(l);
		if (!l->pending && !l->status)
			skip_blanks(l);
	} while (l->line_begins && !l->status);
	t.place = lex_place(l, l->at);
	if (l->status)
		return t;
	if (l->pending) {
		t.kind = l->pending > 0 ? TOKEN_INDENT : TOKEN_DEDENT;
		l->pending += l->pending > 0 ? -1 : 1;
	} else {
		read_token(l, &t);
	}
	if (l->status)
		t.kind = TOKEN_END;
	return t;
}
