/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The result file (daemon/recording/result.h says what is in it), and its check.
 *
 * write-nwb: the request is a message body.
 *   header   part, name (files in the directory of descriptor 3), replace, identifier, session_description, session_start_time (ISO 8601),
 *            sampling_frequency, and the provenance: spiked_version, input_file, input_fingerprint, recording, parameters, parameters_hash
 *   arrays   peaks (peak), channel_ids (NUL-terminated texts), segment_starts (f8, s), and if known noise_levels (f8), locations (f8, um)
 *   answer   {digest}
 * check-result: descriptor 3 is the result file; {spiked_version, input_fingerprint, recording, parameters_hash} -> {done, why}
 */
#ifndef DAEMON_HELPER_NWB_WRITE_H
#define DAEMON_HELPER_NWB_WRITE_H


#include "daemon/helper/h5.h"

#define NWB_WRITE_PEAKS "/scratch/peaks"
#define NWB_WRITE_NOISE "/scratch/noise_levels"

/* struct peak in memory and in the file. */
hid_t nwb_write_peak_type(void);

#endif
