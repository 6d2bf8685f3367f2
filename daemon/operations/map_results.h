/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a kernel gave for each channel, put together: scalars as one array over the channels; one-dimensional arrays behind each other, with
 * the length of each channel's.
 */
#ifndef DAEMON_OPERATIONS_MAP_RESULTS_H
#define DAEMON_OPERATIONS_MAP_RESULTS_H

#include "daemon/programs.h"

struct map_piece {
	uint8_t *data;
	int64_t length;
};

struct map_results {
	const struct ir_function *function;
	size_t nchannels;
	uint8_t **scalars;           /* [nresults]: [nchannels] items, or NULL */
	struct map_piece **pieces;   /* [nresults]: [nchannels], or NULL */
};

enum status map_results_init(struct map_results *r, const struct ir_function *f, size_t nchannels, struct error *e);
void map_results_free(struct map_results *r);

/* Copies the results of one channel (they stand behind the parameters). Any thread, each channel once. */
enum status map_results_take(struct map_results *r, size_t channel, const struct kernel_array *arrays, const union kernel_scalar *scalars);

/* Fills the reply: r0, r1, ..., and r0_lengths, ... for arrays. */
void map_results_reply(struct map_results *r, struct request *request, const struct compiled *program);

#endif
