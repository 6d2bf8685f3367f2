/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the parts of the BRW 4 reader share.
 */
#ifndef DAEMON_HELPER_BRW4_H
#define DAEMON_HELPER_BRW4_H

#include "daemon/helper/description.h"

/* The same for all wells. */
struct brw4_header {
	double min_analog_uv, max_analog_uv, min_digital, max_digital, scale_factor;
	double rate_hz;
	double pitch_um;
	bool small_chips;       /* maybe: plates of several wells have smaller chips than 64 x 64 */
};

/* From whichever of the three places has it. */
bool brw4_has_header(hid_t file);
enum status brw4_header(hid_t file, struct brw4_header *h, struct error *e);

/* Frame ranges of the blocks, [start, end), checked: they rise and do not overlap. */
struct brw4_toc {
	size_t n;
	int64_t (*range)[2];
	int64_t nframes;        /* of all */
};

enum status brw4_toc(hid_t file, struct brw4_toc *toc, struct error *e);

/* The stream of event records: blocks, channels and the values between events. d has its channels already. */
enum status brw4_sparse(hid_t file, struct description *d, const struct brw4_toc *toc, const struct brw4_header *h, const int64_t *stored,
			struct error *e);

#endif
