/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Numbers and strings, by the rules of Python.
 */
#include "kernels/compiler/lex.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'z' ? c - 'a' + 10 : 99;
}

static bool is_digit(const char *at, const char *end, int base)
{
	return at < end && digit_value(*at) < base;
}

/* digit {['_'] digit}; an underscore that no digit follows is not part of it, and refused later as a letter behind a number. */
static const char *skip_digits(const char *at, const char *end, int base)
{
	while (is_digit(at, end, base) || (at < end && *at == '_' && is_digit(at + 1, end, base)))
		at++;
	return at;
}

static void read_integer(struct token *t, const char *at, const char *end, int base)
{
	t->kind = TOKEN_INT;
	for (; at < end; at++) {
		if (*at == '_')
			continue;
		t->too_large |= __builtin_mul_overflow(t->integer, (uint64_t)base, &t->integer);
		t->too_large |= __builtin_add_overflow(t->integer, (uint64_t)digit_value(*at), &t->integer);
	}
	if (t->too_large)
		t->integer = UINT64_MAX;
}

/* The nearest double, whatever locale the process has. */
static double read_real(struct lexer *l, struct place place, const char *at, const char *end)
{
	char *text = arena_alloc(l->arena, (size_t)(end - at) + 1), *to = text;
	locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	double value = 0;
	if (!text || !c) {
		lex_no_memory(l, place);
	} else {
		for (; at < end; at++)
			if (*at != '_')
				*to++ = *at;
		value = strtod_l(text, NULL, c);
	}
	if (c)
		freelocale(c);
	return value;
}

static int base_of(const char *at, const char *end)
{
	if (end - at < 2 || *at != '0')
		return 10;
	char c = (char)(at[1] | 0x20);
	return c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 10;
}

static void check_number_end(struct lexer *l, const struct token *t, const char *end)
{
	if (end < l->end && lex_is_name_byte(*end))
		lex_fail(l, lex_place(l, end), STATUS_INVALID, "put an operator or a blank between a number and a name",
			 *end == '_' ? "an underscore that does not stand between two digits" :
			 t->kind == TOKEN_INT && (*end | 0x20) == 'l' ? "integers have no suffix" : "this cannot follow the digits of a number");
}

static void based_integer(struct lexer *l, struct token *t, int base)
{
	const char *at = l->at + 2;
	if (at < l->end && *at == '_')
		at++;
	const char *end = skip_digits(at, l->end, base);
	if (end == at) {
		lex_fail(l, t->place, STATUS_INVALID, NULL, "a number of base %d without digits", base);
		return;
	}
	read_integer(t, at, end, base);
	check_number_end(l, t, end);
	l->at = end;
}

/* Behind the digits before the point: [. digits] [e [sign] digits]. */
static const char *skip_fraction(const char *at, const char *end)
{
	if (at < end && *at == '.')
		at = is_digit(at + 1, end, 10) ? skip_digits(at + 1, end, 10) : at + 1;
	if (at < end && (*at | 0x20) == 'e') {
		const char *digits = at + 1;
		if (digits < end && (*digits == '+' || *digits == '-'))
			digits++;
		if (is_digit(digits, end, 10))
			at = skip_digits(digits, end, 10);
	}
	return at;
}

static bool all_zero(const char *at, const char *end)
{
	for (; at < end; at++)
		if (*at != '0' && *at != '_')
			return false;
	return true;
}

void lex_number(struct lexer *l, struct token *t)
{
	int base = base_of(l->at, l->end);
	if (base != 10) {
		based_integer(l, t, base);
		return;
	}
	const char *whole = skip_digits(l->at, l->end, 10), *end = skip_fraction(whole, l->end);
	bool imaginary = end < l->end && (*end | 0x20) == 'j';
	if (imaginary || end > whole) {
		t->kind = imaginary ? TOKEN_IMAG : TOKEN_FLOAT;
		t->real = read_real(l, t->place, l->at, end);
		end += imaginary;
	} else if (*l->at == '0' && !all_zero(l->at, whole)) {
		lex_fail(l, t->place, STATUS_INVALID, "write 0o17 for an octal number, 17 for a decimal one", "a whole number starts with 0");
	} else {
		read_integer(t, l->at, whole, 10);
	}
	check_number_end(l, t, end);
	l->at = end;
}

/* Flags of a string's prefix. */
enum { RAW = 1, BYTES = 2, FORMAT = 4, WRONG = 8 };

static int prefix_flags(const char *at, size_t n)
{
	int flags = 0;
	for (size_t i = 0; i < n; i++) {
		char c = (char)(at[i] | 0x20);
		int flag = c == 'r' ? RAW : c == 'b' ? BYTES : c == 'f' ? FORMAT : c == 'u' && n == 1 ? 0 : WRONG;
		flags |= flags & flag ? WRONG : flag;
	}
	return (flags & BYTES) && (flags & FORMAT) ? WRONG : flags;
}

bool lex_is_prefix(const char *at, size_t n)
{
	return n <= 2 && !(prefix_flags(at, n) & WRONG);
}

static char *put_utf8(char *to, uint32_t code)
{
	if (code < 0x80) {
		*to++ = (char)code;
	} else if (code < 0x800) {
		*to++ = (char)(0xc0 | code >> 6);
		*to++ = (char)(0x80 | (code & 0x3f));
	} else if (code < 0x10000) {
		*to++ = (char)(0xe0 | code >> 12);
		*to++ = (char)(0x80 | (code >> 6 & 0x3f));
		*to++ = (char)(0x80 | (code & 0x3f));
	} else {
		*to++ = (char)(0xf0 | code >> 18);
		*to++ = (char)(0x80 | (code >> 12 & 0x3f));
		*to++ = (char)(0x80 | (code >> 6 & 0x3f));
		*to++ = (char)(0x80 | (code & 0x3f));
	}
	return to;
}

/* Reads up to `most` digits; all of them must be there when `exact`. */
static bool escape_digits(const char **at, const char *end, int base, int most, bool exact, uint32_t *code)
{
	int n = 0;
	for (*code = 0; n < most && is_digit(*at, end, base); n++)
		*code = *code * (uint32_t)base + (uint32_t)digit_value(*(*at)++);
	return exact ? n == most : n > 0;
}

/* \ooo \xhh \uhhhh \Uhhhhhhhh; *at is behind the backslash. Returns the new end of the text, NULL if it is none of them or wrong. */
static char *numeric_escape(char *to, const char **at, const char *end, int flags)
{
	char c = **at;
	uint32_t code;
	bool ok;
	if (c >= '0' && c <= '7') {
		ok = escape_digits(at, end, 8, 3, false, &code);
	} else {
		++*at;
		ok = escape_digits(at, end, 16, c == 'x' ? 2 : c == 'u' ? 4 : 8, true, &code);
	}
	if (!ok || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return NULL;
	if (!(flags & BYTES))
		return put_utf8(to, code);
	*to++ = (char)code;
	return to;
}

/* One escape. Those that Python does not know keep their backslash. */
static char *escape(char *to, const char **at, const char *end, int flags)
{
	static const char from[] = "\\'\"abfnrtv", meant[] = "\\'\"\a\b\f\n\r\t\v";
	char c = **at;
	size_t newline = newline_length(*at, end);
	const char *simple = memchr(from, c, sizeof from - 1);
	if (newline) {
		*at += newline;
		return to;
	}
	if (simple) {
		*to++ = meant[simple - from];
		++*at;
		return to;
	}
	if (!(flags & BYTES) && c == 'N')
		return NULL;
	if ((c >= '0' && c <= '7') || c == 'x' || (!(flags & BYTES) && (c == 'u' || c == 'U')))
		return numeric_escape(to, at, end, flags);
	*to++ = '\\';
	return to;
}

/* What an escape stands for is never longer than itself. */
static void resolve(struct lexer *l, struct token *t, int flags)
{
	const char *at = t->string.text, *end = at + t->string.nbytes;
	char *text = arena_alloc(l->arena, t->string.nbytes), *to = text;
	if (!text)
		lex_no_memory(l, t->place);
	while (text && at < end) {
		if (*at != '\\') {
			*to++ = *at++;
			continue;
		}
		at++;
		to = escape(to, &at, end, flags);
		if (!to) {
			lex_fail(l, t->place, STATUS_INVALID, "write \\xhh, \\uhhhh, or the character itself",
				 "an escape in this string stands for no character");
			return;
		}
	}
	t->string = (struct name){ text, (size_t)(to - text) };
}

/* The string's text up to its closing quotes; false if there are none. Counts lines. */
static bool find_end(struct lexer *l, struct token *t, const char *quote, size_t nquotes)
{
	t->string.text = l->at;
	while (l->at < l->end) {
		size_t newline = newline_length(l->at, l->end);
		if (newline && nquotes == 1)
			return false;
		if (newline) {
			lex_next_line(l, newline);
		} else if (*l->at == '\\') {
			l->at++;
			newline = newline_length(l->at, l->end);
			if (newline)
				lex_next_line(l, newline);
			else
				l->at += l->at < l->end;
		} else if ((size_t)(l->end - l->at) >= nquotes && memcmp(l->at, quote, nquotes) == 0) {
			t->string.nbytes = (size_t)(l->at - t->string.text);
			l->at += nquotes;
			return true;
		} else {
			l->at++;
		}
	}
	return false;
}

static bool is_ascii(struct name s)
{
	for (size_t i = 0; i < s.nbytes; i++)
		if ((unsigned char)s.text[i] >= 0x80)
			return false;
	return true;
}

void lex_string(struct lexer *l, struct token *t, size_t nprefix)
{
	int flags = prefix_flags(l->at, nprefix);
	const char *quote = l->at + nprefix;
	size_t nquotes = l->end - quote >= 3 && quote[1] == quote[0] && quote[2] == quote[0] ? 3 : 1;
	t->kind = TOKEN_STRING;
	l->at = quote + nquotes;
	if (flags & FORMAT)
		lex_fail(l, t->place, STATUS_UNSUPPORTED, "write a plain string; a kernel makes no text", "f-strings are not part of the language");
	else if (!find_end(l, t, quote, nquotes))
		lex_fail(l, t->place, STATUS_INVALID, "close it with the quotes it starts with", "the string is never closed");
	else if ((flags & BYTES) && !is_ascii(t->string))
		lex_fail(l, t->place, STATUS_INVALID, "write \\xhh", "a byte string holds a character outside ASCII");
	else if (!(flags & RAW) && memchr(t->string.text, '\\', t->string.nbytes))
		resolve(l, t, flags);
}
