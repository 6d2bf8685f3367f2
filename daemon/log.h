/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Logs in logfmt on standard error: ts=2026-01-31T12:00:00.123Z level=info msg="listening" endpoint=ipc:///run/...
 * One write(2) a line, so that lines of several threads never mix. Any thread.
 */
#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_set_level(enum log_level level);
enum log_level log_level_from_name(const char *name);

/* msg: a fixed text. format: "key=%s key=%d ..." or "" ; values of %s keys are quoted with log_quote where they come from outside. */
void log_line(enum log_level level, const char *msg, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Text as a quoted logfmt value, control characters and quotes escaped, cut at the buffer's end; returns `out`. */
const char *log_quote(const char *text, char *out, unsigned long size);

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

#endif
