/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENTS_C_ENDPOINT_H
#define CLIENTS_C_ENDPOINT_H

#include <stddef.h>

/* Where the daemon is: see spiked_connect. *out_url and *out_token (may be NULL) are malloc'ed. SPIKED_OK, SPIKED_NO_DAEMON with a text, or
 * SPIKED_NO_MEMORY. */
int endpoint_find(const char *url, const char *token, char **out_url, char **out_token, char *error, size_t nerror);

#endif
