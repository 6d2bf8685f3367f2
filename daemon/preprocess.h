/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DAEMON_PREPROCESS_H
#define DAEMON_PREPROCESS_H

#include "daemon/params.h"
#include "kernels/pipeline.h"

/* Reads the key `preprocess` (SPEC.md 4.5) into spec->stages; failures stay in `p`. */
void preprocess_parse(struct params *p, struct pipeline_spec *spec);

/* Frees the lists of the stages; after a failure, too. */
void preprocess_fini(struct pipeline_spec *spec);

#endif
