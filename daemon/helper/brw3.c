/* SPDX-License-Identifier: BSD-3-Clause
 *
 * 3Brain BRW 3: groups /3BData and /3BRecInfo.
 *   /3BData/Raw u2, flat and frame-major, or (frames, channels);
 *   /3BRecInfo/3BRecVars/{BitDepth, MaxVolt (uV), MinVolt (uV), NRecFrames, SamplingRate, SignalInversion};
 *   /3BRecInfo/3BMeaStreams/Raw/Chs {Row, Col}, from 1, in the order of storage.
 *
 *   uV = SignalInversion * (d * (MaxVolt - MinVolt) / 2^BitDepth + MinVolt)
 *
 * Places are (Row - 1, Col - 1) times the pitch of 42 um.
 */
#include "daemon/helper/fields.h"
#include "daemon/helper/layouts.h"
#include "daemon/helper/streams.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char variables[] = "/3BRecInfo/3BRecVars", raw[] = "/3BData/Raw", streams[] = "/3BRecInfo/3BMeaStreams";
static const double pitch_um = 42;

bool brw3_recognise(hid_t file)
{
	return field_exists(file, "/3BData") && field_exists(file, "/3BRecInfo");
}

static enum status take_scale(hid_t file, struct description *d, struct error *e)
{
	double bits, max_uv, min_uv, inversion;
	enum status status = field_number_in(file, variables, "BitDepth", &bits, e);
	if (!status)
		status = field_number_in(file, variables, "MaxVolt", &max_uv, e);
	if (!status)
		status = field_number_in(file, variables, "MinVolt", &min_uv, e);
	if (!status)
		status = field_number_in(file, variables, "SignalInversion", &inversion, e);
	if (status)
		return status;
	if (!(bits >= 1 && bits <= 32))
		return error_set(e, STATUS_CORRUPT, "file", NULL, "BitDepth is %g", bits);
	return description_scale(d, inversion * (max_uv - min_uv) / exp2(bits), inversion * min_uv, e);
}

static enum status take_channels(struct description *d, const int64_t *row, const int64_t *col, struct error *e)
{
	enum status status = description_locations(d, 2, e);
	for (size_t c = 0; c < d->nchannels && !status; c++) {
		d->ids[c] = malloc(48);
		if (!d->ids[c])
			return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for channel ids");
		snprintf(d->ids[c], 48, "%lld-%lld", (long long)row[c], (long long)col[c]);
		d->locations[2 * c] = ((double)row[c] - 1) * pitch_um;
		d->locations[2 * c + 1] = ((double)col[c] - 1) * pitch_um;
	}
	return status;
}

/* Rows and columns as the list of channels has them; as many as there are channels in a frame. */
static enum status describe_data(hid_t file, struct description *d, size_t nchannels, struct error *e)
{
	double nframes;
	enum status status = dataset_open(file, raw, &d->data, e);
	if (!status && d->data.rank == 1)
		status = dataset_flatten(&d->data, nchannels, e);
	if (!status)
		status = description_axes(d, 0, e);
	if (!status && d->nchannels != nchannels)
		status = error_set(e, STATUS_CORRUPT, "file", NULL, "%s has %zu channels, but %zu are listed", raw, d->nchannels, nchannels);
	if (!status)
		status = field_number_in(file, variables, "NRecFrames", &nframes, e);
	if (!status && nframes != (double)d->nframes)
		status = error_set(e, STATUS_CORRUPT, "file", "the file is damaged or was cut short; copy it again from its source",
				   "%s has %zu frames of %zu channels, NRecFrames is %g", raw, d->nframes, d->nchannels, nframes);
	return status;
}

enum status brw3_describe(hid_t file, const struct wanted *wanted, struct description *d, struct reply *reply, struct error *e)
{
	int64_t *row, *col;
	size_t n, ncol;
	double rate_hz;
	char chs[128];
	d->layout = "brw3";
	snprintf(chs, sizeof chs, "%s/WaveletCoefficients/Chs", streams);
	if (!field_exists(file, raw) && field_exists(file, chs))
		return error_set(e, STATUS_UNSUPPORTED, "file", "export it as raw data with BrainWave",
				 "the samples are compressed with 3Brain's lossy wavelets, which is not supported");
	if (field_exists(file, raw))
		streams_add(d, raw, false, reply);
	enum status status = streams_choose(d, wanted, e);
	snprintf(chs, sizeof chs, "%s/Raw/Chs", streams);
	if (!status)
		status = field_member_integers(file, chs, "Row", &row, &n, e);
	if (!status)
		status = field_member_integers(file, chs, "Col", &col, &ncol, e);
	if (!status)
		status = describe_data(file, d, n, e);
	if (!status)
		status = take_channels(d, row, col, e);
	if (!status)
		status = take_scale(file, d, e);
	if (!status)
		status = field_number_in(file, variables, "SamplingRate", &rate_hz, e);
	if (!status)
		status = description_rate(d, rate_hz, e);
	description_one_segment(d, 0);
	return status;
}
