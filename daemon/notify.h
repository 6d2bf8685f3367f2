/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

/* Tells the service manager (sd_notify's protocol: one datagram to $NOTIFY_SOCKET), if there is one. */
void notify_manager(const char *state);

#endif
