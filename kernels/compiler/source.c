/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/compiler/source.h"
#include "kernels/compiler/lex.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
	HEAD_BYTES = 240,        /* of the message's first line, so that there is always room for some of the text below it */
	MARGIN = 4,              /* columns before the shown line */
	SHOWN_BEFORE = 48,       /* columns before the caret */
	SHOWN = 76,              /* columns in all */
};

size_t utf8_decode(const char *text, size_t nbytes, uint32_t *code)
{
	static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *p = (const unsigned char *)text;
	if (!nbytes)
		return 0;
	if (p[0] < 0x80) {
		*code = p[0];
		return 1;
	}
	size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4 || n > nbytes)
		return 0;
	uint32_t value = p[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (p[i] & 0x3f);
	}
	if (value < least[n] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
		return 0;
	*code = value;
	return n;
}

size_t newline_length(const char *at, const char *end)
{
	if (at == end || (*at != '\n' && *at != '\r'))
		return 0;
	return *at == '\r' && end - at > 1 && at[1] == '\n' ? 2 : 1;
}

/* One character of a line; bytes that are not UTF-8 count as one each, so that damaged text can be shown. */
static size_t character(const char *at, const char *end)
{
	uint32_t code;
	size_t n = utf8_decode(at, (size_t)(end - at), &code);
	return n ? n : 1;
}

/* The line with this number (from 1) without its end; empty behind the last. */
static struct name find_line(const struct source_text *s, uint32_t line)
{
	const char *at = s->text ? s->text : "", *end = at + s->nbytes;
	for (uint32_t i = 1; i < line && at < end;) {
		size_t n = newline_length(at, end);
		at += n ? n : 1;
		i += n > 0;
	}
	const char *stop = at;
	while (stop < end && !newline_length(stop, end))
		stop++;
	return (struct name){ at, (size_t)(stop - at) };
}

/* Appends one character as it can be shown. */
static size_t put_character(char *to, const char *from, size_t n)
{
	unsigned char c = (unsigned char)*from;
	bool control = n == 2 && c == 0xc2 && (unsigned char)from[1] < 0xa0;
	if (n > 1 && !control) {
		memcpy(to, from, n);
		return n;
	}
	*to = c == '\t' ? ' ' : c < ' ' || c >= 0x7f ? '?' : (char)c;
	return 1;
}

/* Appends the line and the caret to what stands in message[0..used). As many characters before the caret are shown as fit into half of the
 * room, then as many behind it as fit into the rest. */
static void show_line(char *message, size_t used, size_t size, struct name line, uint32_t column)
{
	const char *first = line.text, *end = line.text + line.nbytes;
	while (first < end && (*first == ' ' || *first == '\t'))
		first++;
	const char *at = line.text;
	for (uint32_t i = 1; i < column && at < end; i++)
		at += character(at, end);
	if (at < first)
		first = at;
	size_t overhead = 2 * (1 + MARGIN) + 2;          /* newlines, margins, caret, end of string */
	if (used + overhead >= size)
		return;
	size_t room = size - used - overhead;

	/* The columns before the caret cost their bytes, and a space each in the caret's line. */
	size_t before = 0, nbytes = 0;
	for (const char *p = first; p < at; p += character(p, end)) {
		before++;
		nbytes += character(p, end);
	}
	while (before > SHOWN_BEFORE || nbytes + before > room / 2) {
		size_t n = character(first, end);
		first += n;
		nbytes -= n;
		before--;
	}
	char *to = message + used;
	to += sprintf(to, "\n%*s", MARGIN, "");
	size_t left = room - before, column_now = 0;
	for (const char *p = first; p < end && column_now < SHOWN; column_now++) {
		size_t n = character(p, end);
		if (n > left)
			break;
		to += put_character(to, p, n);
		left -= n;
		p += n;
	}
	if (column)
		sprintf(to, "\n%*s^", (int)(MARGIN + before), "");
}

/* Cuts a text that may have been cut in the middle of a character. */
static size_t whole_characters(char *text, size_t nbytes)
{
	size_t at = 0;
	while (at < nbytes) {
		uint32_t code;
		size_t n = utf8_decode(text + at, nbytes - at, &code);
		if (!n && nbytes - at < 4)
			break;
		at += n ? n : 1;
	}
	text[at] = '\0';
	return at;
}

static void put_place(char *to, size_t size, const struct source_text *s, struct place at)
{
	const char *who = s->kernel ? s->kernel : "expression";
	uint32_t line = at.line + (s->first_line ? s->first_line - 1 : 0);
	if (!at.line && s->file)
		snprintf(to, size, "%s (%s)", who, s->file);
	else if (!at.line)
		snprintf(to, size, "%s", who);
	else if (!at.column && s->file)
		snprintf(to, size, "%s (%s:%u)", who, s->file, line);
	else if (!at.column)
		snprintf(to, size, "%s: line %u", who, line);
	else if (s->file)
		snprintf(to, size, "%s (%s:%u, column %u)", who, s->file, line, at.column);
	else
		snprintf(to, size, "%s: line %u, column %u", who, line, at.column);
}

enum status source_error(const struct source_text *s, struct place at, enum status status, struct error *e, const char *hint, const char *format, ...)
{
	char where[112], what[HEAD_BYTES];
	if (!e)
		return status;
	put_place(where, sizeof where, s, at);
	va_list ap;
	va_start(ap, format);
	vsnprintf(what, sizeof what, format, ap);
	va_end(ap);
	whole_characters(where, strlen(where));
	error_set(e, status, "source", hint, "%s: %.*s", where, (int)(HEAD_BYTES - strlen(where)), what);
	size_t used = whole_characters(e->message, strlen(e->message));
	if (at.line)
		show_line(e->message, used, sizeof e->message, find_line(s, at.line), at.column);
	return status;
}
