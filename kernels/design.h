/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Filters as second-order sections: poles, zeros, gain, pairing ("nearest") and start values as scipy.signal (1.10.1) gives them, in f64.
 */
#ifndef KERNELS_DESIGN_H
#define KERNELS_DESIGN_H

#include "kernels/sos.h"

enum filter_band { FILTER_BANDPASS, FILTER_HIGHPASS, FILTER_LOWPASS, FILTER_BANDSTOP, FILTER_NOTCH };
enum filter_family { FILTER_BUTTERWORTH, FILTER_BESSEL, FILTER_CHEBYSHEV1, FILTER_CHEBYSHEV2, FILTER_ELLIPTIC };
enum bessel_norm { BESSEL_PHASE, BESSEL_DELAY, BESSEL_MAG };

struct filter_spec {
	enum filter_band band;
	enum filter_family family;     /* not of a notch, which is scipy.signal.iirnotch */
	int order;                     /* of the prototype, 1..8 */
	double freq_min_hz;            /* lower edge; not of a low-pass. Notch: its centre */
	double freq_max_hz;            /* upper edge; not of a high-pass or notch */
	double ripple_db;              /* Chebyshev I, elliptic: in the pass band, > 0 */
	double attenuation_db;         /* Chebyshev II, elliptic: of the stop band, > ripple_db */
	enum bessel_norm norm;
	double q;                      /* notch: centre / width at -3 dB */
};

/* False if a pole comes out beyond SOS_MAX_RADIUS or a coefficient is not finite: band edges too near to 0, fs/2 or each other. */
bool design_filter(struct sos *s, const struct filter_spec *f, double fs_hz);

/* The states that scipy.signal.sosfilt_zi gives for these sections. */
void design_steady(size_t nsections, const struct sos_f64 *c, double start[][2]);

#endif
