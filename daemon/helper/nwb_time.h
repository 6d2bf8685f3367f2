/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Rate, start and gaps of an NWB series (rules in nwb.h).
 */
#ifndef DAEMON_HELPER_NWB_TIME_H
#define DAEMON_HELPER_NWB_TIME_H

#include "daemon/helper/description.h"

enum status nwb_time(hid_t file, struct description *d, struct reply *reply, struct error *e);

#endif
