/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A page shared with the daemon that holds the object being looked at, so that a crash, a kill or a timeout can name it.
 */
#ifndef DAEMON_HELPER_PROGRESS_H
#define DAEMON_HELPER_PROGRESS_H

enum { PROGRESS_BYTES = 4096, PROGRESS_NAME = 256 };

/* Maps the descriptor; without one, progress_set does nothing. */
void progress_init(int fd);
void progress_set(const char *object);

#endif
