/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DAEMON_OPERATIONS_DESCRIBE_H
#define DAEMON_OPERATIONS_DESCRIBE_H

#include "daemon/recording/recording.h"
#include "daemon/request.h"

/* SPEC.md 4.2 into r->result, and the arrays beside it. */
void describe_recording(struct request *r, const struct recording *recording);

#endif
