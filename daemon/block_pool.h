/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Large blocks of memory that are used again: fresh pages cost as much as the copy into them (a page fault for each 4 KiB, and its zeroing).
 * Any thread.
 */
#ifndef DAEMON_BLOCK_POOL_H
#define DAEMON_BLOCK_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Aligned to 64 bytes; the contents are anything. NULL: no memory. */
void *block_take(size_t nbytes);

/* The size is the one it was taken with. NULL is allowed. */
void block_give(void *block, size_t nbytes);

/* Gives blocks that were not used for some seconds back to the system; UINT64_MAX: all. */
void block_sweep(uint64_t now_ns);

#endif
