/* SPDX-License-Identifier: BSD-3-Clause
 *
 * MATLAB -v7.3 files: datasets with an attribute MATLAB_class. Streams are the variables that are matrices of numbers and not single ones;
 * MATLAB [channels n] is stored as (n, channels). The longer side is time, if it is at least 8 times the other. The rate is a variable
 * sr, fs, Fs, sampling_rate, samplingRate, sample_rate or sampling_frequency (wave_clus writes `data` and `sr`).
 */
#include "daemon/helper/fields.h"
#include "daemon/helper/layouts.h"
#include "daemon/helper/streams.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLEAR_RATIO = 8 };

static const char *const rates[] = { "/sr", "/fs", "/Fs", "/FS", "/sampling_rate", "/samplingRate", "/sample_rate", "/sampling_frequency" };

/* The MATLAB class of a variable, "" if it is none. */
static void class_of(hid_t file, const char *path, char *out, size_t nout)
{
	out[0] = '\0';
	field_attr_text(file, path, "MATLAB_class", out, nout);
}

bool matlab_recognise(hid_t file)
{
	bool found = false;
	struct children *list = field_children(file, "/");
	for (size_t i = 0; list && i < list->n && !found; i++) {
		char path[FIELDS_MAX_NAME + 1], class[32];
		snprintf(path, sizeof path, "/%s", list->name[i]);
		class_of(file, path, class, sizeof class);
		found = class[0];
	}
	free(list);
	return found;
}

static bool is_matrix(hid_t file, const char *path)
{
	struct dataset data;
	char class[32];
	double empty = 0;
	class_of(file, path, class, sizeof class);
	if (!class[0] || strcmp(class, "char") == 0 || strcmp(class, "logical") == 0 || strcmp(class, "cell") == 0)
		return false;
	if (field_attr_number(file, path, "MATLAB_empty", &empty) && empty != 0)
		return false;
	if (dataset_open(file, path, &data, NULL) != STATUS_OK)
		return false;
	H5Dclose(data.id);
	return data.dims[0] && data.dims[1] && (data.dims[0] > 1 || data.dims[1] > 1);
}

static void list_variables(hid_t file, struct description *d, struct reply *reply)
{
	struct children *list = field_children(file, "/");
	for (size_t i = 0; list && i < list->n && !d->more_streams; i++) {
		char path[FIELDS_MAX_NAME + 1];
		snprintf(path, sizeof path, "/%s", list->name[i]);
		if (is_matrix(file, path))
			streams_add(d, path, false, reply);
	}
	free(list);
}

static enum status take_rate(hid_t file, struct description *d, struct error *e)
{
	double rate_hz;
	for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
		if (field_number(file, rates[i], &rate_hz, NULL) == STATUS_OK)
			return description_rate(d, rate_hz, e);
	return error_set(e, STATUS_INVALID, "sampling_frequency", "give dataset, sampling_frequency and time_axis",
			 "the MATLAB file has no variable sr, fs or sampling_rate; %s (%llu, %llu) %s needs a rate", d->data.path,
			 (unsigned long long)d->data.dims[0], (unsigned long long)d->data.dims[1], dtype_name(d->data.dtype));
}

enum status matlab_describe(hid_t file, const struct wanted *wanted, struct description *d, struct reply *reply, struct error *e)
{
	d->layout = "matlab";
	list_variables(file, d, reply);
	enum status status = streams_choose(d, wanted, e);
	if (!status)
		status = dataset_open(file, d->stream, &d->data, e);
	if (status)
		return status;
	const uint64_t *dims = d->data.dims;
	if (dims[0] / CLEAR_RATIO < dims[1] && dims[1] / CLEAR_RATIO < dims[0])
		return error_set(e, STATUS_INVALID, "time_axis", "give dataset, sampling_frequency and time_axis",
				 "it is not clear which axis of %s (%llu, %llu) is time", d->data.path, (unsigned long long)dims[0], (unsigned long long)dims[1]);
	status = description_axes(d, dims[0] >= dims[1] ? 0 : 1, e);
	if (!status)
		status = take_rate(file, d, e);
	description_one_segment(d, 0);
	return status;
}
