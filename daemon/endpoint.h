/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The runtime directory: private, locked, with endpoint.json, where every client looks:
 *	{"version": 1, "pid": 4711, "ipc": "ipc:///run/user/1000/spiked/spiked.sock", "tcp": "tcp://127.0.0.1:41234", "token": "..."}
 */
#ifndef DAEMON_ENDPOINT_H
#define DAEMON_ENDPOINT_H

#include "protocol/error.h"

#include <jansson.h>
#include <stddef.h>

struct endpoint;

/* Makes (mode 0700), checks (ours, not writable by others) and locks the directory. `setting`: listen.runtime_dir. */
enum status endpoint_open(struct endpoint **out, const char *setting, struct error *e);
const char *endpoint_directory(const struct endpoint *ep);

/* 32 random bytes as 64 hex digits. */
enum status endpoint_token(char token[65], struct error *e);

/* Writes endpoint.json (0600) under a temporary name and renames it. */
enum status endpoint_publish(struct endpoint *ep, json_t *content, struct error *e);

/* Removes endpoint.json and unlocks. */
void endpoint_close(struct endpoint *ep);

#endif
