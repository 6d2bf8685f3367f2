/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static atomic_int threshold = LOG_INFO;
static const char *const names[] = { "error", "warn", "info", "debug" };

void log_set_level(enum log_level level)
{
	atomic_store(&threshold, level);
}

enum log_level log_level_from_name(const char *name)
{
	for (int i = 0; i < 4; i++)
		if (strcmp(names[i], name) == 0)
			return (enum log_level)i;
	return LOG_INFO;
}

void log_line(enum log_level level, const char *msg, const char *format, ...)
{
	if ((int)level > atomic_load_explicit(&threshold, memory_order_relaxed))
		return;
	char line[2048];
	struct timespec now;
	struct tm utc;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	size_t n = strftime(line, sizeof line, "ts=%Y-%m-%dT%H:%M:%S", &utc);
	n += (size_t)snprintf(line + n, sizeof line - n, ".%03ldZ level=%s msg=\"%s\"%s", now.tv_nsec / 1000000, names[level], msg, *format ? " " : "");
	va_list ap;
	va_start(ap, format);
	int more = vsnprintf(line + n, sizeof line - n - 1, format, ap);
	va_end(ap);
	n += more < 0 ? 0 : (size_t)more;
	if (n > sizeof line - 2)
		n = sizeof line - 2;
	line[n++] = '\n';
	/* A log that cannot be written must not stop the work. */
	if (write(STDERR_FILENO, line, n) < 0)
		return;
}

const char *log_quote(const char *text, char *out, unsigned long size)
{
	unsigned long n = 0;
	out[n++] = '"';
	for (; *text && n + 4 < size; text++) {
		unsigned char c = (unsigned char)*text;
		if (c == '"' || c == '\\') {
			out[n++] = '\\';
			out[n++] = (char)c;
		} else {
			out[n++] = (char)(c < 0x20 || c == 0x7f ? '?' : c);
		}
	}
	out[n++] = '"';
	out[n] = '\0';
	return out;
}
