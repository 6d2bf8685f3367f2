/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a request says of the method matched_filtering (SPEC.md 4.4.2): prototype, depths, weights.
 */
#ifndef DAEMON_MATCHED_JOB_H
#define DAEMON_MATCHED_JOB_H

#include "daemon/source.h"
#include "kernels/matched.h"

struct matched_wanted {
	const struct array *prototype;
	double before_ms, sigma_um, z_um[MATCHED_MAX_DEPTHS];
	size_t nz;
};

/* Reads its keys and finds its array; failures stay in `p`. */
void matched_parse(struct matched_wanted *w, const struct request *r, struct params *p);

/* places: [channels][ndim]. */
enum status matched_make(struct matched_filter **out, const struct matched_wanted *w, enum peak_sign sign, const struct source *s, const double *places,
			 size_t ndim, const struct executor *ex, struct error *e);

#endif
