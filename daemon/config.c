/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/config.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum type { BOOL, INT, BYTES, TIME, TEXT, PATH, PATHS };
enum when { RELOAD, RESTART };

struct option {
	const char *key;      /* "limits.clients" */
	enum type type;
	size_t offset;
	const char *value;    /* default */
	long long min, max;
	enum when when;
	const char *help;
};

static const struct option options[] = {
#define O(section, key, type, value, min, max, when, help) \
	{ #section "." #key, type, offsetof(struct config, section##_##key), value, min, max, when, help },
	OPTION_MAP(O)
#undef O
};

enum { NOPTIONS = sizeof options / sizeof *options };

struct unit {
	const char *name;
	long long factor;
};

/* Longest unit that divides comes out of a dump, so the order is descending. */
static const struct unit byte_units[] = { { "GiB", OPTION_GIB }, { "MiB", OPTION_MIB }, { "KiB", OPTION_KIB }, { "B", 1 }, { NULL, 0 } };
static const struct unit time_units[] = { { "h", OPTION_H }, { "min", 60 * OPTION_S }, { "s", OPTION_S }, { "ms", OPTION_MS }, { NULL, 0 } };

static bool is_text(enum type type)
{
	return type == TEXT || type == PATH || type == PATHS;
}

static const struct unit *units_of(enum type type)
{
	return type == BYTES ? byte_units : type == TIME ? time_units : NULL;
}

static bool fail(struct config_error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool fail(struct config_error *e, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	vsnprintf(e->text, sizeof e->text, format, ap);
	va_end(ap);
	return false;
}

/* Edit distance, for the nearest name; both texts are short (keys of the table, a key of at most 64 bytes). */
static size_t distance(const char *a, const char *b)
{
	size_t row[65], n = strlen(b);
	if (n > 64 || strlen(a) > 64)
		return 64;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t above = row[j], best = diagonal + (a[i - 1] != b[j - 1]);
			if (above + 1 < best)
				best = above + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
			diagonal = above;
		}
	}
	return row[n];
}

static const char *nearest(const char *key)
{
	const char *best = options[0].key;
	for (size_t i = 1; i < NOPTIONS; i++)
		if (distance(key, options[i].key) < distance(key, best))
			best = options[i].key;
	return best;
}

static const struct option *find(const char *key)
{
	for (size_t i = 0; i < NOPTIONS; i++)
		if (strcmp(options[i].key, key) == 0)
			return &options[i];
	return NULL;
}

static bool parse_bool(const char *text, bool *out)
{
	static const char *const words[] = { "no", "yes", "false", "true", "off", "on", "0", "1" };
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcmp(text, words[i]) == 0) {
			*out = i & 1;
			return true;
		}
	return false;
}

static bool parse_number(const char *text, const struct unit *units, long long *out)
{
	char *end;
	errno = 0;
	long long number = strtoll(text, &end, 10);
	if (end == text || errno)
		return false;
	while (*end == ' ')
		end++;
	if (!*end && (!units || units == byte_units || number == 0)) {
		*out = number;
		return true;
	}
	for (; units && units->name; units++)
		if (strcmp(end, units->name) == 0)
			return !__builtin_mul_overflow(number, units->factor, out);
	return false;
}

/* Options whose text is one of a few words. */
static bool check_words(const struct option *o, const char *value, const char *where, struct config_error *e)
{
	static const struct { const char *key, *words; } table[] = {
		{ "log.level", " error warn info debug " },
		{ "access.others", " none read compute " },
		{ "access.tcp", " read compute admin " },
	};
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		if (strcmp(table[i].key, o->key) != 0)
			continue;
		char padded[64];
		snprintf(padded, sizeof padded, " %s ", value);
		if (!strstr(table[i].words, padded))
			return fail(e, "%s: %s = %s: expected one of%s", where, o->key, value, table[i].words);
	}
	return true;
}

static void format_number(long long value, const struct unit *units, char *text, size_t n)
{
	for (; units && units->name; units++)
		if (value && value % units->factor == 0) {
			snprintf(text, n, "%lld%s", value / units->factor, units->name);
			return;
		}
	snprintf(text, n, "%lld", value);
}

static bool set_number(struct config *c, const struct option *o, const char *value, const char *where, struct config_error *e)
{
	long long number;
	if (!parse_number(value, units_of(o->type), &number))
		return fail(e, "%s: %s = %s: expected %s", where, o->key, value,
			    o->type == BYTES ? "a size such as 64MiB (B, KiB, MiB, GiB)" : o->type == TIME ? "a time such as 10s (ms, s, min, h)" : "an integer");
	if (number < o->min || number > o->max) {
		char low[32], high[32];
		format_number(o->min, units_of(o->type), low, sizeof low);
		format_number(o->max, units_of(o->type), high, sizeof high);
		return fail(e, "%s: %s = %s: must be %s to %s", where, o->key, value, low, high);
	}
	*(int64_t *)((char *)c + o->offset) = number;
	return true;
}

bool config_set(struct config *c, const char *key, const char *value, const char *where, struct config_error *e)
{
	const struct option *o = find(key);
	if (!o)
		return fail(e, "%s: unknown option %.64s, did you mean %s?", where, key, nearest(key));
	void *field = (char *)c + o->offset;
	if (o->type == BOOL)
		return parse_bool(value, field) ? true : fail(e, "%s: %s = %s: expected yes or no", where, key, value);
	if (!is_text(o->type))
		return set_number(c, o, value, where, e);
	if (!*value)
		return fail(e, "%s: %s is empty", where, key);
	if (!check_words(o, value, where, e))
		return false;
	char *copy = strdup(value);
	if (!copy)
		return fail(e, "%s: out of memory", where);
	free(*(char **)field);
	*(char **)field = copy;
	return true;
}

void config_init(struct config *c)
{
	struct config_error e;
	memset(c, 0, sizeof *c);
	for (size_t i = 0; i < NOPTIONS; i++)
		if (!config_set(c, options[i].key, options[i].value, "default", &e)) {
			fprintf(stderr, "spiked: %s\n", e.text);
			abort();
		}
}

void config_fini(struct config *c)
{
	for (size_t i = 0; i < NOPTIONS; i++)
		if (is_text(options[i].type)) {
			char **text = (char **)((char *)c + options[i].offset);
			free(*text);
			*text = NULL;
		}
}

struct reader {
	struct config *config;
	struct config_error *error;
	const char *file;
	FILE *in;
	int line;             /* the distribution's inih does not tell its handler, so the reader counts */
	bool seen[NOPTIONS];
	bool failed;
};

static char *next_line(char *text, int size, void *user)
{
	struct reader *r = user;
	if (r->failed || !fgets(text, size, r->in))
		return NULL;
	r->line++;
	if (!strchr(text, '\n') && !feof(r->in)) {
		fail(r->error, "%s:%d: the line is longer than %d bytes", r->file, r->line, size - 2);
		r->failed = true;
		return NULL;
	}
	return text;
}

static int on_value(void *user, const char *section, const char *name, const char *value)
{
	struct reader *r = user;
	char key[160], where[320];
	if (r->failed)
		return 0;
	snprintf(key, sizeof key, "%.64s.%.64s", section, name);
	snprintf(where, sizeof where, "%.250s:%d", r->file, r->line);
	const struct option *o = find(key);
	if (o && r->seen[o - options]) {
		fail(r->error, "%s: %s is set twice", where, key);
		r->failed = true;
		return 0;
	}
	if (!config_set(r->config, key, value, where, r->error)) {
		r->failed = true;
		return 0;
	}
	r->seen[o - options] = true;
	return 1;
}

static bool read_file(struct config *c, const char *file, struct config_error *e)
{
	struct reader r = { .config = c, .error = e, .file = file, .in = fopen(file, "r") };
	if (!r.in)
		return fail(e, "%s: %s", file, strerror(errno));
	int line = ini_parse_stream(next_line, &r, on_value, &r);
	fclose(r.in);
	if (r.failed)
		return false;
	return line == 0 ? true : fail(e, "%s:%d: neither [section] nor key = value", file, line);
}

static bool read_environment(struct config *c, struct config_error *e)
{
	for (size_t i = 0; i < NOPTIONS; i++) {
		char name[96] = "SPIKED_";
		size_t n = strlen(name);
		for (const char *p = options[i].key; *p && n < sizeof name - 1; p++)
			name[n++] = (char)(*p == '.' ? '_' : *p >= 'a' && *p <= 'z' ? *p - 32 : *p);
		name[n] = '\0';
		const char *value = getenv(name);
		if (value && !config_set(c, options[i].key, value, name, e))
			return false;
	}
	return true;
}

static bool check_together(const struct config *c, struct config_error *e)
{
	if (c->limits_message_bytes > c->limits_client_bytes)
		return fail(e, "limits.message_bytes is larger than limits.client_bytes: no client could send such a message");
	if (c->limits_client_bytes > c->limits_total_bytes)
		return fail(e, "limits.client_bytes is larger than limits.total_bytes");
	if (c->limits_header_bytes > c->limits_message_bytes)
		return fail(e, "limits.header_bytes is larger than limits.message_bytes");
	if (c->compute_threads && c->compute_lanes > c->compute_threads)
		return fail(e, "compute.lanes is larger than compute.threads: each lane needs a thread");
	if (strcmp(c->listen_ipc, "off") == 0 && strcmp(c->listen_tcp, "off") == 0)
		return fail(e, "listen.ipc and listen.tcp are both off: nobody could connect");
	return true;
}

bool config_load(struct config *c, const char *file, char *const *sets, size_t nsets, struct config_error *e)
{
	config_init(c);
	if (file && !read_file(c, file, e))
		goto fail;
	if (!read_environment(c, e))
		goto fail;
	for (size_t i = 0; i < nsets; i++) {
		char key[128];
		const char *equals = strchr(sets[i], '=');
		if (!equals || (size_t)(equals - sets[i]) >= sizeof key) {
			fail(e, "--set %s: expected section.key=value", sets[i]);
			goto fail;
		}
		snprintf(key, sizeof key, "%.*s", (int)(equals - sets[i]), sets[i]);
		if (!config_set(c, key, equals + 1, "--set", e))
			goto fail;
	}
	if (check_together(c, e))
		return true;
fail:
	config_fini(c);
	return false;
}

static void format_value(const struct config *c, const struct option *o, char *text, size_t n)
{
	const void *field = (const char *)c + o->offset;
	if (o->type == BOOL)
		snprintf(text, n, "%s", *(const bool *)field ? "yes" : "no");
	else if (is_text(o->type))
		snprintf(text, n, "%s", *(char *const *)field);
	else
		format_number(*(const int64_t *)field, units_of(o->type), text, n);
}

/* Prints text in lines of at most `width`, each behind `indent`. */
static void print_wrapped(FILE *out, const char *indent, const char *text, size_t width)
{
	while (*text) {
		size_t n = strlen(text);
		if (n > width)
			for (n = width; n && text[n] != ' ';)
				n--;
		if (!n)
			n = strlen(text);
		fprintf(out, "%s%.*s\n", indent, (int)n, text);
		text += n;
		while (*text == ' ')
			text++;
	}
}

static void range_text(const struct option *o, char *text, size_t n)
{
	char low[32], high[32];
	text[0] = '\0';
	if (o->type == BOOL || is_text(o->type))
		return;
	format_number(o->min, units_of(o->type), low, sizeof low);
	format_number(o->max, units_of(o->type), high, sizeof high);
	snprintf(text, n, " From %s to %s.", low, high);
}

static void print_option(FILE *out, const char *indent, const struct option *o)
{
	char range[96], text[1024];
	range_text(o, range, sizeof range);
	snprintf(text, sizeof text, "%s.%s%s", o->help, range, o->when == RELOAD ? "" : " (restart)");
	print_wrapped(out, indent, text, 110);
}

void config_dump(const struct config *c, FILE *out)
{
	const char *section = "";
	size_t nsection = 0;
	for (size_t i = 0; i < NOPTIONS; i++) {
		const struct option *o = &options[i];
		const char *dot = strchr(o->key, '.');
		if ((size_t)(dot - o->key) != nsection || strncmp(section, o->key, nsection) != 0) {
			section = o->key;
			nsection = (size_t)(dot - o->key);
			fprintf(out, "%s[%.*s]\n", i ? "\n" : "", (int)nsection, section);
		}
		char value[4096];
		format_value(c, o, value, sizeof value);
		print_option(out, "# ", o);
		fprintf(out, "%s = %s\n", dot + 1, value);
	}
}

void config_help(FILE *out)
{
	for (size_t i = 0; i < NOPTIONS; i++) {
		fprintf(out, "  %s = %s\n", options[i].key, options[i].value);
		print_option(out, "      ", &options[i]);
	}
}

json_t *config_differences(const struct config *c)
{
	json_t *object = json_object();
	for (size_t i = 0; i < NOPTIONS; i++) {
		char value[4096];
		format_value(c, &options[i], value, sizeof value);
		if (strcmp(value, options[i].value) != 0)
			json_object_set_new(object, options[i].key, json_string(value));
	}
	return object;
}

void config_keep_restart(struct config *next, const struct config *now, char *pending, size_t npending)
{
	struct config_error e;
	pending[0] = '\0';
	for (size_t i = 0; i < NOPTIONS; i++) {
		const struct option *o = &options[i];
		char old[4096], new[4096];
		format_value(now, o, old, sizeof old);
		format_value(next, o, new, sizeof new);
		if (o->when != RESTART || strcmp(old, new) == 0)
			continue;
		config_set(next, o->key, old, "running", &e);
		if (strlen(pending) + strlen(o->key) + 2 < npending) {
			strcat(pending, *pending ? " " : "");
			strcat(pending, o->key);
		}
	}
}
