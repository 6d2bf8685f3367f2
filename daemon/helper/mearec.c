/* SPDX-License-Identifier: BSD-3-Clause
 *
 * MEArec: dataset /recordings, (frames, channels) since mearec_version 1.5, (channels, frames) before; its attribute gain_to_uV (default 1);
 * /info/recordings/fs (Hz); /channel_positions (channels, 3), of which /info/electrodes/plane (default yz) names the two that are in use.
 */
#include "daemon/helper/fields.h"
#include "daemon/helper/layouts.h"
#include "daemon/helper/streams.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char recordings[] = "/recordings", positions[] = "/channel_positions";

bool mearec_recognise(hid_t file)
{
	return field_exists(file, recordings) && field_exists(file, positions) && field_exists(file, "/info");
}

/* The text "null" stands for what is missing. */
static int axis_of_version(hid_t file)
{
	char text[64];
	int major = 0, minor = 0;
	if (!field_attr_text(file, "/", "mearec_version", text, sizeof text) || sscanf(text, "%d.%d", &major, &minor) != 2)
		return 1;
	return major > 1 || (major == 1 && minor >= 5) ? 0 : 1;
}

/* The version says how it should be; the number of positions, where it fits one axis only, how it is. */
static int time_axis(const struct description *d, hid_t file, size_t nchannels, struct reply *reply)
{
	const int axis = axis_of_version(file);
	if (d->data.rank != 2 || d->data.dims[1 - axis] == nchannels || d->data.dims[axis] != nchannels)
		return axis;
	reply_warning(reply, "%s is stored as (%s); it is read that way", recordings, axis ? "frames, channels" : "channels, frames");
	return 1 - axis;
}

static enum status take_locations(hid_t file, struct description *d, const double *xyz, size_t n, struct error *e)
{
	char plane[16] = "yz";
	if (n != d->nchannels)
		return error_set(e, STATUS_CORRUPT, "file", NULL, "%s has %zu channels, but %zu positions", recordings, d->nchannels, n);
	field_text(file, "/info/electrodes/plane", plane, sizeof plane, NULL);
	if (strlen(plane) != 2 || strspn(plane, "xyz") != 2)
		strcpy(plane, "yz");
	enum status status = description_locations(d, 2, e);
	for (size_t c = 0; c < n && !status; c++)
		for (size_t i = 0; i < 2; i++)
			d->locations[2 * c + i] = xyz[3 * c + (size_t)(plane[i] - 'x')];
	for (size_t i = 0; i < 2 * n && !status; i++)
		if (!isfinite(d->locations[i]))
			status = error_set(e, STATUS_CORRUPT, "file", NULL, "%s is not finite", positions);
	return status;
}

enum status mearec_describe(hid_t file, const struct wanted *wanted, struct description *d, struct reply *reply, struct error *e)
{
	double *xyz, rate_hz, gain = 1;
	size_t n;
	d->layout = "mearec";
	streams_add(d, recordings, false, reply);
	enum status status = streams_choose(d, wanted, e);
	if (!status)
		status = dataset_open(file, recordings, &d->data, e);
	if (!status)
		status = field_table_numbers(file, positions, 3, &xyz, &n, e);
	if (!status)
		status = description_axes(d, time_axis(d, file, n, reply), e);
	if (!status)
		status = take_locations(file, d, xyz, n, e);
	if (!status)
		attr_number(d->data.id, "gain_to_uV", &gain);
	if (!status)
		status = description_scale(d, gain, 0, e);
	if (!status)
		status = field_number(file, "/info/recordings/fs", &rate_hz, e);
	if (!status)
		status = description_rate(d, rate_hz, e);
	description_one_segment(d, 0);
	return status;
}
