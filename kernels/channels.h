/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Lists of channels and distances between them, for the stages that are told channels or look at those around.
 */
#ifndef KERNELS_CHANNELS_H
#define KERNELS_CHANNELS_H

#include "kernels/stage.h"

/* Are all channels of the list there, each once? marks: [nchannels], becomes true for those of the list. */
enum status channels_mark(const struct channel_list *list, size_t stage, const char *key, size_t nchannels, bool *marks, struct error *e);

/* Euclidean, over all dimensions; micrometres. */
double channels_distance(const struct pipeline_spec *spec, size_t a, size_t b);

/* STATUS_INVALID if the spec has no locations, for a stage that needs them. */
enum status channels_located(const struct pipeline_spec *spec, size_t stage, struct error *e);

#endif
