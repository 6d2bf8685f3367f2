/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What is known of Neuropixels probes by their type: how channels share converters, where their gains stand, where their contacts are.
 */
#ifndef DAEMON_RECORDING_RAW_PROBE_H
#define DAEMON_RECORDING_RAW_PROBE_H

#include <stdbool.h>
#include <stddef.h>

enum probe_gains {
	PROBE_GAINS_UNKNOWN,
	PROBE_GAINS_PER_CHANNEL,    /* fields 3 and 4 of each imroTbl entry: action potentials, local field */
	PROBE_GAINS_IN_HEADER,      /* fields 3 and 4 of the imroTbl header */
	PROBE_GAINS_FIXED,
};

struct probe {
	enum probe_gains gains;
	double fixed_gain;          /* PROBE_GAINS_FIXED */
	double max_int;             /* largest count when the file does not say; 0: it must */
	int adc_channels;           /* consecutive pairs of channels that one pair of converters takes in turn; 0: unknown */
	int adc_cycles;             /* steps of a converter in one sample period */
	/* From columns and rows of a shank map; pitch_y 0: unknown. */
	double even_x, odd_x, pitch_x, pitch_y, pitch_shank;
};

/* By part number ("NP2013") or type number ("24", "0"), either may be "". */
struct probe probe_of(const char *part, const char *type);

/* When the channel is sampled, as a part of the sample period from its start, 0 <= shift < 1. */
double probe_shift(const struct probe *p, size_t readout_channel);

#endif
