/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Numbers for each channel, laid out as the lanes of tiles.
 */
#ifndef KERNELS_VALUES_H
#define KERNELS_VALUES_H

#include "kernels/stage.h"

/* Lanes of all tiles. */
static inline size_t values_lanes(const struct plan_stage *p)
{
	return (p->nchannels + LANES - 1) / LANES * LANES;
}

/* One value for all channels, or one for each, or `fallback`, to out [lanes]; 0 past the last channel. */
enum status values_spread(const struct plan_stage *p, const struct channel_values *v, double fallback, size_t stage, const char *key, float *out,
			  struct error *e);

/* The values of x that are `level` above or below 0, in microvolts if the stage says so, to high and low [lanes]; never reached past the last
 * channel. */
enum status values_levels(const struct plan_stage *p, const struct pipeline_spec *spec, size_t stage, float *low, float *high, struct error *e);

/* The same for the slope, which has no offset; NaN, which nothing reaches, if there is none. */
void values_slopes(const struct plan_stage *p, const struct pipeline_spec *spec, size_t stage, float *slope);

#endif
