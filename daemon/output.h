/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The result file of a detection (SPEC.md 4.6): whether it is there already and true, and writing it. I/O threads.
 */
#ifndef DAEMON_OUTPUT_H
#define DAEMON_OUTPUT_H

#include "daemon/params.h"
#include "daemon/recording/recording.h"
#include "daemon/request.h"
#include "kernels/detect.h"

struct output {
	const char *file;      /* borrowed from the request; NULL: none wanted */
	bool skip_done;
	bool skipped;
	int dirfd;             /* of the file's directory, inside output.roots */
	const char *name;      /* in that directory */
	char *parameters;      /* all that decides the result, as canonical JSON */
};

/* Reads the key `output`; failures stay in `p`. */
void output_parse(struct output *o, struct params *p);

/* Opens the directory and, with skip_done, looks whether the file is done: sets o->skipped. levels: [nchannels] noise levels that the client
 * gave, which then are part of the parameters, or NULL; locations: [nlocations] coordinates that it gave, likewise;
 * arrays: digest of what it gave for stages, 0 if nothing. */
enum status output_open(struct output *o, struct request *r, const struct recording *rec, const double *levels, const double *locations,
			size_t nlocations, uint64_t arrays);

/* Writes the file: temporary name, sync, rename. */
enum status output_write(struct output *o, struct request *r, const struct recording *rec, const struct peaks *peaks, const double *levels);

/* "output" and "skipped" for the reply. */
void output_describe(const struct output *o, json_t *result);
void output_close(struct output *o);

#endif
