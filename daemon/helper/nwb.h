/* SPDX-License-Identifier: BSD-3-Clause
 *
 * NWB 2: streams are groups of type ElectricalSeries.
 *
 *   volts = data * conversion * channel_conversion[c] + offset
 *
 * Time is starting_time and its rate, or timestamps: then rate = 1/median(step), rounded to a whole number when it is one within 1e-6 (the
 * steps are differences of rounded times), and a step above 1.5/rate or not above 0 starts a new segment. Where the writer (Open Ephys) adds
 * `sync`, the sample numbers of the device, gaps are steps other than 1 in them.
 */
#ifndef DAEMON_HELPER_NWB_H
#define DAEMON_HELPER_NWB_H

#include "daemon/helper/description.h"

bool nwb_recognise(hid_t file);
enum status nwb_describe(hid_t file, const struct wanted *wanted, struct description *d, struct reply *reply, struct error *e);

#endif
