/* SPDX-License-Identifier: BSD-3-Clause
 *
 * SiNAPS: streams /RealTimeProcessedData/FilteredData, /RawData/ElectrodeArrayData and /RawData/AuxData (auxiliary), all (channels, frames).
 *
 *   uV = (d - 2^(bits - 1)) * gain, without the shift for signed data
 *
 * gain = /Parameters/VoltageConverter (of AuxData: VoltageConverterAUX or VoltageAUXConverter), rate = /Parameters/SamplingFrequency,
 * 2^bits = "/Advanced Recording Parameters/DAQ/nbADCLevels". Places of electrodes are not in the file.
 */
#include "daemon/helper/fields.h"
#include "daemon/helper/layouts.h"
#include "daemon/helper/streams.h"

#include <string.h>

static const char filtered[] = "/RealTimeProcessedData/FilteredData", raw[] = "/RawData/ElectrodeArrayData", aux[] = "/RawData/AuxData";
static const char levels_path[] = "/Advanced Recording Parameters/DAQ/nbADCLevels";

bool sinaps_recognise(hid_t file)
{
	return field_exists(file, filtered) || field_exists(file, raw);
}

/* Files hold lists of one or more numbers; the first counts. */
static enum status first_number(hid_t file, const char *group, const char *name, double *out, struct error *e)
{
	double *values;
	size_t n;
	enum status status = column_numbers(file, group, name, &values, &n, e);
	if (!status && n == 0)
		status = error_set(e, STATUS_CORRUPT, "file", NULL, "%s/%s is empty", group, name);
	if (!status)
		*out = values[0];
	return status;
}

static enum status take_scale(hid_t file, struct description *d, struct error *e)
{
	double gain, levels;
	enum status status;
	if (strcmp(d->stream, aux) != 0)
		status = first_number(file, "/Parameters", "VoltageConverter", &gain, e);
	else if (field_exists(file, "/Parameters/VoltageConverterAUX"))
		status = first_number(file, "/Parameters", "VoltageConverterAUX", &gain, e);
	else
		status = first_number(file, "/Parameters", "VoltageAUXConverter", &gain, e);
	if (status || d->data.dtype == DTYPE_I16 || d->data.dtype == DTYPE_I32)
		return status ? status : description_scale(d, gain, 0, e);
	char group[sizeof levels_path];
	strcpy(group, levels_path);
	*strrchr(group, '/') = '\0';
	status = first_number(file, group, "nbADCLevels", &levels, e);
	if (!status && !(levels >= 2 && levels <= 4294967296.0))
		status = error_set(e, STATUS_CORRUPT, "file", NULL, "nbADCLevels is %g", levels);
	return status ? status : description_scale(d, gain, -levels / 2 * gain, e);
}

enum status sinaps_describe(hid_t file, const struct wanted *wanted, struct description *d, struct reply *reply, struct error *e)
{
	static const struct { const char *path; bool auxiliary; } streams[] = { { filtered, false }, { raw, false }, { aux, true } };
	double rate_hz;
	d->layout = "sinaps";
	for (size_t i = 0; i < sizeof streams / sizeof *streams; i++)
		if (field_exists(file, streams[i].path))
			streams_add(d, streams[i].path, streams[i].auxiliary, reply);
	enum status status = streams_choose(d, wanted, e);
	if (!status)
		status = dataset_open(file, d->stream, &d->data, e);
	if (!status && d->data.rank != 2)
		status = error_set(e, STATUS_CORRUPT, "file", NULL, "%.200s is not of shape (channels, frames)", d->stream);
	if (!status)
		status = description_axes(d, 1, e);
	if (!status)
		status = take_scale(file, d, e);
	if (!status)
		status = first_number(file, "/Parameters", "SamplingFrequency", &rate_hz, e);
	if (!status)
		status = description_rate(d, rate_hz, e);
	description_one_segment(d, 0);
	return status;
}
