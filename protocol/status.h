/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Status codes: one table makes the enum, the names on the wire and the texts (SPEC.md, section 3).
 *
 *   S(name, number, retryable, text)
 */
#ifndef PROTOCOL_STATUS_H
#define PROTOCOL_STATUS_H

#include <stdbool.h>

#define STATUS_MAP(S)                                                                \
	S(OK, 0, false, "ok")                                                        \
	S(INVALID, 1, false, "the request is wrong")                                 \
	S(NOT_FOUND, 2, false, "no such thing")                                      \
	S(DENIED, 3, false, "not allowed")                                           \
	S(UNSUPPORTED, 4, false, "this cannot be done here")                         \
	S(TOO_LARGE, 5, false, "above a configured limit")                           \
	S(BUSY, 6, true, "a queue or a budget is full")                              \
	S(DEADLINE, 7, false, "the deadline passed")                                 \
	S(CANCELLED, 8, false, "cancelled")                                          \
	S(UNAVAILABLE, 9, true, "the daemon is stopping")                            \
	S(CORRUPT, 10, false, "the file is damaged or is not what it says")          \
	S(IO, 11, false, "the operating system failed to read or write")             \
	S(NO_MEMORY, 12, true, "out of memory")                                      \
	S(UNREACHABLE, 13, false, "the client's memory cannot be read from here")    \
	S(PROTOCOL, 14, false, "these bytes are not a message of this format")       \
	S(INTERNAL, 15, false, "a bug in the daemon")

enum status {
#define S(name, number, retry, text) STATUS_##name = number,
	STATUS_MAP(S)
#undef S
};

/* The name on the wire ("INVALID"); "INTERNAL" for a number outside the table. */
const char *status_name(enum status status);

/* A short English text for people. */
const char *status_text(enum status status);

/* May the same request be sent again later? */
bool status_retryable(enum status status);

/* The status of that wire name; STATUS_INTERNAL if there is none. */
enum status status_from_name(const char *name);

#endif
