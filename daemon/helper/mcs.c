/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Multi Channel Systems: root attribute McsHdf5ProtocolType = RawData. Streams are /Data/Recording_k/AnalogStream/Stream_m with
 *   ChannelData (rows, frames) i4,
 *   InfoChannel, a record for each channel: RowIndex, ChannelID, Label, Unit, ADZero, ConversionFactor, Exponent, Tick (us),
 *   ChannelDataTimeStamps (k, 3): time of the first sample (us), first frame, last frame; one segment for each row.
 *
 *   value in Unit = (ChannelData[RowIndex, t] - ADZero) * ConversionFactor * 10^Exponent
 *
 * Streams whose attribute DataSubType is not Electrode (Auxiliary, Digital, ...) are listed, but not chosen by themselves.
 */
#include "daemon/helper/fields.h"
#include "daemon/helper/layouts.h"
#include "daemon/helper/streams.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool mcs_recognise(hid_t file)
{
	char text[64];
	return field_attr_text(file, "/", "McsHdf5ProtocolType", text, sizeof text) || field_attr_text(file, "/", "ID.TypeID", text, sizeof text);
}

static void list_streams(hid_t file, const char *recording, struct description *d, struct reply *reply)
{
	char parent[DATASET_MAX_PATH], path[DATASET_MAX_PATH], data[DATASET_MAX_PATH], kind[64];
	if (!path_join(parent, sizeof parent, recording, "AnalogStream"))
		return;
	struct children *list = field_children(file, parent);
	for (size_t i = 0; list && i < list->n && !d->more_streams; i++) {
		if (!path_join(path, sizeof path, parent, list->name[i]) || !path_join(data, sizeof data, path, "ChannelData") || !field_exists(file, data))
			continue;
		bool known = field_attr_text(file, path, "DataSubType", kind, sizeof kind);
		streams_add(d, path, known && strcmp(kind, "Electrode") != 0, reply);
	}
	free(list);
}

static void list_recordings(hid_t file, struct description *d, struct reply *reply)
{
	char path[DATASET_MAX_PATH];
	struct children *list = field_children(file, "/Data");
	for (size_t i = 0; list && i < list->n && !d->more_streams; i++)
		if (strncmp(list->name[i], "Recording_", 10) == 0 && path_join(path, sizeof path, "/Data", list->name[i]))
			list_streams(file, path, d, reply);
	free(list);
}

/* ---- channels ---- */

struct info {
	size_t n;
	int64_t *row, *tick_us;
	double *zero, *factor, *exponent;
	char **label, **unit;   /* or NULL */
};

static enum status read_info(hid_t file, const char *path, struct info *info, struct error *e)
{
	size_t n;
	enum status status = field_member_integers(file, path, "RowIndex", &info->row, &info->n, e);
	if (!status)
		status = field_member_integers(file, path, "Tick", &info->tick_us, &n, e);
	if (!status)
		status = field_member_numbers(file, path, "ADZero", &info->zero, &n, e);
	if (!status)
		status = field_member_numbers(file, path, "ConversionFactor", &info->factor, &n, e);
	if (!status)
		status = field_member_numbers(file, path, "Exponent", &info->exponent, &n, e);
	if (!status && field_member_texts(file, path, "Label", &info->label, &n, NULL) != STATUS_OK)
		info->label = NULL;
	if (!status && field_member_texts(file, path, "Unit", &info->unit, &n, NULL) != STATUS_OK)
		info->unit = NULL;
	return status;
}

/* Microvolts in one Unit; 0: it is no voltage. */
static double unit_uv(const char *unit)
{
	static const struct { const char *unit; double uv; } known[] = { { "V", 1e6 }, { "mV", 1e3 }, { "uV", 1 }, { "\xc2\xb5V", 1 } };
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(unit, known[i].unit) == 0)
			return known[i].uv;
	return 0;
}

static enum status take_scale(struct description *d, const struct info *info, struct reply *reply, struct error *e)
{
	d->has_uv = true;
	for (size_t c = 0; c < d->nchannels; c++) {
		const double uv = info->unit ? unit_uv(info->unit[c]) : 1e6;
		d->gains_uv[c] = info->factor[c] * pow(10, info->exponent[c]) * uv;
		d->offsets_uv[c] = -info->zero[c] * d->gains_uv[c];
		d->has_uv &= uv != 0;
		if (uv != 0 && (!isfinite(d->gains_uv[c]) || !isfinite(d->offsets_uv[c]) || d->gains_uv[c] == 0))
			return error_set(e, STATUS_CORRUPT, "file", NULL, "the conversion of channel %zu in %.150s is %g * 10^%g", c, d->stream, info->factor[c],
					 info->exponent[c]);
	}
	for (size_t c = 0; c < d->nchannels && !d->has_uv; c++) {
		d->gains_uv[c] = 1;
		d->offsets_uv[c] = 0;
	}
	if (!d->has_uv)
		reply_warning(reply, "%.150s is not in volts: its values are counts", d->stream);
	return STATUS_OK;
}

/* A tick for each channel, but they share one time axis here. */
static enum status take_rate(struct description *d, const struct info *info, struct error *e)
{
	for (size_t c = 0; c < d->nchannels; c++)
		if (info->tick_us[c] != info->tick_us[0])
			return error_set(e, STATUS_UNSUPPORTED, "file", NULL, "the channels of %.150s have different sampling rates", d->stream);
	return description_rate(d, info->tick_us[0] > 0 ? 1e6 / (double)info->tick_us[0] : NAN, e);
}

static enum status describe_channels(hid_t file, struct description *d, struct reply *reply, struct error *e)
{
	char path[DATASET_MAX_PATH];
	struct info info = { 0 };
	if (!path_join(path, sizeof path, d->stream, "InfoChannel"))
		return error_set(e, STATUS_UNSUPPORTED, "recording", NULL, "the path of the recording is too long");
	enum status status = read_info(file, path, &info, e);
	if (!status)
		status = description_rows(d, info.row, info.n, e);
	for (size_t c = 0; c < d->nchannels && !status && info.label; c++)
		d->ids[c] = info.label[c];
	if (!status)
		status = take_rate(d, &info, e);
	return status ? status : take_scale(d, &info, reply, e);
}

/* ---- time ---- */

static enum status take_segment(struct description *d, const int64_t row[3], struct error *e)
{
	struct segments *s = &d->segments;
	const int64_t end = s->n ? s->frames[s->n - 1][0] + s->frames[s->n - 1][1] : 0;
	if (row[1] < end || row[2] < row[1] || (uint64_t)row[2] >= d->nframes)
		return error_set(e, STATUS_CORRUPT, "file", NULL, "%.120s/ChannelDataTimeStamps has a row of frames %lld to %lld, of %zu", d->stream,
				 (long long)row[1], (long long)row[2], d->nframes);
	if (!segments_start(s, row[1], (double)row[0] * 1e-6))
		return error_set(e, STATUS_UNSUPPORTED, "file", "cut the recording into shorter ones", "%.150s has more than %d gaps", d->stream,
				 DESCRIPTION_MAX_SEGMENTS - 1);
	s->frames[s->n - 1][1] = row[2] - row[1] + 1;
	return STATUS_OK;
}

static enum status describe_time(hid_t file, struct description *d, struct reply *reply, struct error *e)
{
	char path[DATASET_MAX_PATH];
	int64_t *rows;
	size_t n;
	if (!path_join(path, sizeof path, d->stream, "ChannelDataTimeStamps"))
		return error_set(e, STATUS_UNSUPPORTED, "recording", NULL, "the path of the recording is too long");
	if (!field_exists(file, path) || d->nframes == 0) {
		description_one_segment(d, 0);
		return STATUS_OK;
	}
	enum status status = field_table(file, path, 3, &rows, &n, e);
	if (!status && n == 0)
		status = error_set(e, STATUS_CORRUPT, "file", NULL, "%.150s has no rows", path);
	int64_t covered = 0;
	for (size_t i = 0; i < n && !status; i++) {
		status = take_segment(d, rows + 3 * i, e);
		covered += rows[3 * i + 2] - rows[3 * i + 1] + 1;
	}
	if (!status && d->segments.n > 1)
		reply_warning(reply, "%s has gaps: %zu segments", d->stream, d->segments.n);
	if (!status && (uint64_t)covered != d->nframes)
		reply_warning(reply, "%lld frames of %.150s have no time stamp and are left out", (long long)((int64_t)d->nframes - covered), d->stream);
	return status;
}

enum status mcs_describe(hid_t file, const struct wanted *wanted, struct description *d, struct reply *reply, struct error *e)
{
	char path[DATASET_MAX_PATH], type[64] = "CMOS-MEA";
	d->layout = "mcs";
	field_attr_text(file, "/", "McsHdf5ProtocolType", type, sizeof type);
	if (strcmp(type, "RawData") != 0)
		return error_set(e, STATUS_UNSUPPORTED, "file", "export it as raw data with Multi Channel DataManager",
				 "this is a Multi Channel Systems file of type %s, which is not supported", type);
	list_recordings(file, d, reply);
	enum status status = streams_choose(d, wanted, e);
	if (status)
		return status;
	if (!path_join(path, sizeof path, d->stream, "ChannelData"))
		return error_set(e, STATUS_UNSUPPORTED, "recording", NULL, "the path of the recording is too long");
	status = dataset_open(file, path, &d->data, e);
	if (!status && d->data.rank != 2)
		status = error_set(e, STATUS_CORRUPT, "file", NULL, "%.200s is not of shape (channels, frames)", path);
	if (!status)
		status = description_axes(d, 1, e);
	if (!status)
		status = describe_channels(file, d, reply, e);
	return status ? status : describe_time(file, d, reply, e);
}
