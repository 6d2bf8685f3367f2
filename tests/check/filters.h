/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Butterworth filters for tests.
 */
#ifndef TESTS_CHECK_FILTERS_H
#define TESTS_CHECK_FILTERS_H

#include "kernels/design.h"

static inline bool sos_bandpass(struct sos *s, int order, double low, double high, double fs)
{
	return design_filter(s, &(struct filter_spec){ .band = FILTER_BANDPASS, .order = order, .freq_min_hz = low, .freq_max_hz = high }, fs);
}

static inline bool sos_highpass(struct sos *s, int order, double low, double fs)
{
	return design_filter(s, &(struct filter_spec){ .band = FILTER_HIGHPASS, .order = order, .freq_min_hz = low }, fs);
}

#endif
