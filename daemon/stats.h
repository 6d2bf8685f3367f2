/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Cumulative counts and nanoseconds for each operation: any poller can take differences. Loop thread only.
 */
#ifndef DAEMON_STATS_H
#define DAEMON_STATS_H

#include <stdint.h>

struct operation_stats {
	uint64_t count, ok, errors;
	uint64_t queue_ns, read_ns, compute_ns, total_ns;
	uint64_t bytes_in, bytes_out;
};

#endif
