/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A function on a stack of its own, which can pause in the middle and go on later, on the same or another thread. So a kernel that runs for
 * minutes gives its lane to others now and then, although it is one plain function call.
 *
 * A switch costs some 0.3 us. Stacks are kept for reuse; below each lies a page that must not be touched.
 */
#ifndef DAEMON_FIBER_H
#define DAEMON_FIBER_H

#include <stdbool.h>

struct fiber;

/* body(arg) runs from the first resume on. NULL: no memory. */
struct fiber *fiber_new(void (*body)(void *arg), void *arg);

/* Runs it until it pauses (false) or its body has returned (true). */
bool fiber_resume(struct fiber *f);

/* Only inside the body: back to who resumed it. Returns at the next resume. What a thread keeps for itself (errno) may be another's then. */
void fiber_pause(struct fiber *f);

/* Its body has returned, or it never began. NULL is allowed. */
void fiber_free(struct fiber *f);

/* Frees the stacks that are kept. */
void fiber_drain(void);

#endif
