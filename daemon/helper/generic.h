/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A numeric dataset that the user names, with the rate and scale that the user gives.
 */
#ifndef DAEMON_HELPER_GENERIC_H
#define DAEMON_HELPER_GENERIC_H

#include "daemon/helper/description.h"

enum status generic_describe(hid_t file, const struct wanted *wanted, struct description *d, struct error *e);

/* For a file of no known layout and no named dataset: an error that lists datasets which could be meant. */
enum status generic_suggest(hid_t file, struct error *e);

#endif
