/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The commands of the helper. Each gets its parameters (the JSON of stdin), works on the descriptor, and fills the reply or the error.
 */
#ifndef DAEMON_HELPER_INDEX_H
#define DAEMON_HELPER_INDEX_H

#include "daemon/helper/reply.h"

struct request {
	int fd;            /* the data file, or the output directory */
	int output;        /* write-nwb: the file to fill */
	struct message m;  /* parameters in m.header; arrays only with write-nwb */
};

/* {stream, dataset, sampling_frequency, time_axis, gain_uV, offset_uV} -> description and storage of one stream. */
enum status index_run(const struct request *r, struct reply *reply, struct error *e);

/* {dataset, dtype, axis, flat, start, count, plugin_path, filters (ids)} -> array `data`: frames [start, start + count) of all channels, axes as in the
 * file; flat: samples in a frame of a flat dataset (dataset.h), or 0. */
enum status read_run(const struct request *r, struct reply *reply, struct error *e);

/* {} -> session_start_time of an NWB file, if it has one. */
enum status about_run(const struct request *r, struct reply *reply, struct error *e);

/* See nwb_write.h. */
enum status write_run(const struct request *r, struct reply *reply, struct error *e);
enum status check_run(const struct request *r, struct reply *reply, struct error *e);

#endif
