/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/helper/generic.h"
#include "daemon/helper/attrs.h"
#include "daemon/helper/progress.h"
#include "daemon/helper/walk.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum status generic_describe(hid_t file, const struct wanted *wanted, struct description *d, struct error *e)
{
	d->layout = "generic";
	if (!description_rate_ok(wanted->fs_hz))
		return error_set(e, STATUS_INVALID, "sampling_frequency", "give the rate in Hz", "sampling_frequency must be above 0 and finite, not %g",
				 wanted->fs_hz);
	if (wanted->time_axis != 0 && wanted->time_axis != 1)
		return error_set(e, STATUS_INVALID, "time_axis", "0: (frames, channels); 1: (channels, frames)", "time_axis must be 0 or 1, not %d",
				 wanted->time_axis);
	if (!isfinite(wanted->gain_uv) || !isfinite(wanted->offset_uv))
		return error_set(e, STATUS_INVALID, "gain_uV", NULL, "gain_uV and offset_uV must be finite");
	enum status status = dataset_open(file, wanted->dataset, &d->data, e);
	if (!status)
		status = description_axes(d, wanted->time_axis, e);
	if (status)
		return status;
	double gain = wanted->gain_uv != 0 ? wanted->gain_uv : 1;
	for (size_t c = 0; c < d->nchannels; c++) {
		d->gains_uv[c] = gain;
		d->offsets_uv[c] = wanted->offset_uv;
	}
	/* 1 and 0 are what a client sends who knows no scale. */
	d->has_uv = gain != 1 || wanted->offset_uv != 0;
	d->fs_hz = wanted->fs_hz;
	snprintf(d->stream, sizeof d->stream, "%s", d->data.path);
	snprintf(d->streams[0], sizeof d->streams[0], "%s", d->data.path);
	d->nstreams = 1;
	description_one_segment(d, 0);
	return STATUS_OK;
}

struct suggestion {
	char text[240];
	size_t n;
};

static bool suggest(hid_t file, const char *path, H5O_type_t type, void *arg)
{
	struct suggestion *s = arg;
	struct dataset d;
	if (type != H5O_TYPE_DATASET)
		return true;
	if (dataset_open(file, path, &d, NULL) != STATUS_OK)
		return true;
	char item[120];
	snprintf(item, sizeof item, "%s%.60s (%llu, %llu) %s", s->n ? "; " : "", path, (unsigned long long)d.dims[0], (unsigned long long)d.dims[1],
		 dtype_name(d.dtype));
	H5Dclose(d.id);
	if (strlen(s->text) + strlen(item) >= sizeof s->text)
		return false;
	strcat(s->text, item);
	s->n++;
	return true;
}

enum status generic_suggest(hid_t file, struct error *e)
{
	struct suggestion s = { "", 0 };
	walk(file, suggest, &s, NULL);
	if (!s.n)
		return error_set(e, STATUS_NOT_FOUND, "file", NULL, "the file is not NWB and holds no 1-D or 2-D dataset of numbers");
	return error_set(e, STATUS_UNSUPPORTED, "dataset", "give dataset, sampling_frequency and time_axis",
			 "the layout is not recognised; datasets: %s", s.text);
}
