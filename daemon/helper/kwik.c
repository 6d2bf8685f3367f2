/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Kwik and Open Ephys' .raw.kwd: root attribute kwik_version, /recordings/N/data (frames, channels) i2; each N is a stream. Attributes of
 * the group N: sample_rate, start_time (frames; on N or on its application_data); of application_data: channel_bit_volts, uV per bit.
 *
 *   uV = d * channel_bit_volts[c]
 */
#include "daemon/helper/fields.h"
#include "daemon/helper/layouts.h"
#include "daemon/helper/streams.h"

#include <math.h>
#include <stdlib.h>

static bool has_version(hid_t file)
{
	char text[64];
	double number;
	return field_attr_number(file, "/", "kwik_version", &number) || field_attr_text(file, "/", "kwik_version", text, sizeof text);
}

bool kwik_recognise(hid_t file)
{
	return has_version(file) && field_exists(file, "/recordings");
}

static void list_recordings(hid_t file, struct description *d, struct reply *reply)
{
	char path[DATASET_MAX_PATH], data[DATASET_MAX_PATH];
	struct children *list = field_children(file, "/recordings");
	for (size_t i = 0; list && i < list->n && !d->more_streams; i++)
		if (path_join(path, sizeof path, "/recordings", list->name[i]) && path_join(data, sizeof data, path, "data") && field_exists(file, data))
			streams_add(d, path, false, reply);
	free(list);
}

/* Attribute or dataset, as different versions of the writer have it; NULL without either. */
static double *bit_volts(hid_t file, const char *application, size_t *n)
{
	double *values = NULL;
	hid_t group = field_exists(file, application) ? H5Oopen(file, application, H5P_DEFAULT) : -1;
	if (group < 0)
		return NULL;
	if (!field_attr_numbers(group, "channel_bit_volts", &values, n) &&
	    column_numbers(file, application, "channel_bit_volts", &values, n, NULL) != STATUS_OK)
		values = NULL;
	H5Oclose(group);
	return values;
}

static enum status take_scale(hid_t file, struct description *d, const char *application, struct reply *reply, struct error *e)
{
	size_t n = 0;
	double *uv = bit_volts(file, application, &n);
	if (!uv) {
		reply_warning(reply, "%.150s has no channel_bit_volts: its values are counts", d->stream);
		return STATUS_OK;
	}
	if (n != d->nchannels)
		return error_set(e, STATUS_CORRUPT, "file", NULL, "%.150s has %zu channels, but %zu channel_bit_volts", d->data.path, d->nchannels, n);
	for (size_t c = 0; c < n; c++) {
		if (!isfinite(uv[c]))
			return error_set(e, STATUS_CORRUPT, "file", NULL, "channel_bit_volts of channel %zu is %g", c, uv[c]);
		d->gains_uv[c] = uv[c];
	}
	d->has_uv = true;
	free(uv);
	return STATUS_OK;
}

enum status kwik_describe(hid_t file, const struct wanted *wanted, struct description *d, struct reply *reply, struct error *e)
{
	char data[DATASET_MAX_PATH], application[DATASET_MAX_PATH];
	double rate_hz = NAN, start = 0;
	d->layout = "kwik";
	list_recordings(file, d, reply);
	if (!d->nstreams)
		return error_set(e, STATUS_NOT_FOUND, "file", "open the .raw.kwd file beside it", "this Kwik file holds results, but no samples");
	enum status status = streams_choose(d, wanted, e);
	if (status)
		return status;
	if (!path_join(data, sizeof data, d->stream, "data") || !path_join(application, sizeof application, d->stream, "application_data"))
		return error_set(e, STATUS_UNSUPPORTED, "recording", NULL, "the path of the recording is too long");
	status = dataset_open(file, data, &d->data, e);
	if (!status)
		status = description_axes(d, 0, e);
	if (!status)
		status = take_scale(file, d, application, reply, e);
	if (!field_attr_number(file, d->stream, "sample_rate", &rate_hz))
		field_attr_number(file, application, "sample_rate", &rate_hz);
	if (!field_attr_number(file, d->stream, "start_time", &start))
		field_attr_number(file, application, "start_time", &start);
	if (!status)
		status = description_rate(d, rate_hz, e);
	if (!status)
		description_one_segment(d, isfinite(start / d->fs_hz) ? start / d->fs_hz : 0);
	return status;
}
