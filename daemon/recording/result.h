/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Result files: one NWB 2 file for one recording (formats.md 6.3), written by the HDF5 helper.
 *
 * What is in it, besides what NWB demands:
 *
 *   /units                    one row for each channel: spike_times (s), electrodes, channel_name, noise_level (if given)
 *   /scratch/peaks            SpikeInterface's peak table, a compound dataset {sample_index, channel_index, amplitude, segment_index}
 *   /scratch/noise_levels     [nchannels] f8 (if given)
 *   attributes of /scratch/peaks: spiked_version, input_file, input_fingerprint, recording, parameters (the JSON text), parameters_hash,
 *   digest (FNV-1a, 64 bits, 16 hex digits, over the bytes of the peak table and then of the noise levels)
 *
 * A file appears under its name only when it is whole: it is written as NAME.part.PID-RANDOM in the same directory, synced, renamed, and the
 * directory is synced. Same recording file, parameters and version give the same bytes: nothing in it depends on when or where it was written.
 */
#ifndef DAEMON_RECORDING_RESULT_H
#define DAEMON_RECORDING_RESULT_H

#include "daemon/recording/recording.h"

struct result {
	const struct recording *recording; /* where the peaks come from: names, rate, locations, segments, fingerprint */
	const struct peak *peaks;          /* [npeaks], in order of segment, sample, channel; every index within the recording */
	size_t npeaks;
	const double *noise_levels;        /* [nchannels], or NULL */
	const char *parameters;            /* JSON text of all that the peaks depend on; compared byte by byte, so write it in one fixed way */
	bool replace;                      /* an existing file of that name is replaced; otherwise it is an error */
};

/* Writes the file `name` (no slash) in the directory `dir`. Blocks; any thread. On failure nothing is left behind but an older file of that
 * name. Time: helper.timeout_ms and a second for each 10 MB of peaks. Memory in the helper: about twice the peaks.
 * INVALID for a bad name, an index outside the recording or an existing file, IO when the directory cannot be written. */
enum status result_write(int dir, const char *name, const struct result *result, const struct helper_limits *helper, struct error *e);

/* Is there a file of that name which is whole and came from this recording file as it is now, these parameters and this version of spiked?
 * The digest is computed again over the stored table. If not, `why` (nwhy bytes) says what differs. An error only if the helper cannot run:
 * a missing, damaged or foreign file is just not done. */
enum status result_is_done(bool *done, int dir, const char *name, const struct recording *recording, const char *parameters,
			   const struct helper_limits *helper, char *why, size_t nwhy, struct error *e);

/* Removes part files in the directory whose writer does not run on this machine: those of `name` at once, for two machines would not write the
 * same result at one time, others when they are older than an hour. Returns how many. */
size_t result_remove_stale(int dir, const char *name);

#endif
