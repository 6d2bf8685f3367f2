/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/channels.h"

#include <math.h>

enum status channels_mark(const struct channel_list *list, size_t stage, const char *key, size_t nchannels, bool *marks, struct error *e)
{
	for (size_t i = 0; i < list->n; i++) {
		if (list->at[i] >= nchannels)
			return stage_wrong(e, stage, key, "channels are counted from 0", "there is no channel %u, there are %zu", list->at[i], nchannels);
		if (marks[list->at[i]])
			return stage_wrong(e, stage, key, "list a channel once", "channel %u is there twice", list->at[i]);
		marks[list->at[i]] = true;
	}
	return STATUS_OK;
}

double channels_distance(const struct pipeline_spec *spec, size_t a, size_t b)
{
	double sum = 0;
	for (size_t k = 0; k < spec->ndim; k++) {
		double d = spec->locations[a * spec->ndim + k] - spec->locations[b * spec->ndim + k];
		sum += d * d;
	}
	return sqrt(sum);
}

enum status channels_located(const struct pipeline_spec *spec, size_t stage, struct error *e)
{
	if (spec->locations)
		return STATUS_OK;
	return error_set(e, STATUS_INVALID, "channel_locations", "give the array channel_locations (channels, 2 or 3) in um",
			 "preprocess[%zu]: this stage needs to know where the channels are", stage);
}
