/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What clients may ask for (SPEC.md, section 4): the rows of operations[] in table.c. Each file here is one family.
 */
#ifndef DAEMON_OPERATIONS_OPERATIONS_H
#define DAEMON_OPERATIONS_OPERATIONS_H

#include "daemon/request.h"

/* service.c: answered at once on the loop */
enum step hello_begin(struct request *r);
enum step ping_begin(struct request *r);
enum step info_begin(struct request *r);
enum step stats_begin(struct request *r);
enum step cancel_begin(struct request *r);
enum step shutdown_begin(struct request *r);

enum step open_begin(struct request *r);
enum step open_step(struct request *r, const struct executor *ex);
void open_end(struct request *r);

enum step read_begin(struct request *r);
enum step read_step(struct request *r, const struct executor *ex);
void read_end(struct request *r);

enum step detect_begin(struct request *r);
enum step detect_step(struct request *r, const struct executor *ex);
void detect_end(struct request *r);

enum step reduce_begin(struct request *r);
enum step reduce_step(struct request *r, const struct executor *ex);
void reduce_end(struct request *r);

enum step bad_channels_begin(struct request *r);
enum step bad_channels_step(struct request *r, const struct executor *ex);
void bad_channels_end(struct request *r);

/* call.c: also evaluate, a call of an expression */
enum step call_begin(struct request *r);
enum step evaluate_begin(struct request *r);
enum step call_step(struct request *r, const struct executor *ex);
void call_end(struct request *r);

enum step compile_begin(struct request *r);
enum step compile_step(struct request *r, const struct executor *ex);
void compile_end(struct request *r);

/* kernels.c: answered on the loop. `cache` of SPEC.md 4.12 is part of stats too */
enum step kernels_begin(struct request *r);
json_t *kernels_cache_json(struct daemon *d);

enum step map_begin(struct request *r);
enum step map_step(struct request *r, const struct executor *ex);
void map_end(struct request *r);

#endif
