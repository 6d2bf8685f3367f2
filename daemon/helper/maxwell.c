/* SPDX-License-Identifier: BSD-3-Clause
 *
 * MaxWell MaxOne and MaxTwo: /version is a date.
 *
 * New: /wells/wellWWW/recRRRR are soft links to /data_store/dataNNNN, which holds
 *   groups/G/raw (channels, frames) u2, groups/G/channels (the channel of each row), groups/G/frame_nos (gaps),
 *   settings/{sampling, lsb, gain} and settings/mapping {channel, electrode, x, y}; electrodes without a row (stimulation) are in it as well.
 * Old (20160704): /sig (1028, frames) u2: row = channel, the last two rows are the low and high half of the frame number; /mapping; 20 kHz.
 *
 *   uV = (d - zero) * lsb * 1e6, lsb = 3.3 / (1024 * gain) V where it is not stored
 *
 * The zero level is 512 in new files, half of the 10-bit converter's range, and 0 in old ones: no file says it. It is gone after any high-pass.
 */
#include "daemon/helper/fields.h"
#include "daemon/helper/frame_numbers.h"
#include "daemon/helper/layouts.h"
#include "daemon/helper/plugins.h"
#include "daemon/helper/streams.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LAST_OLD_VERSION = 20160704, NEW_ZERO = 512, MAX_CHANNEL = 65535, FRAME_ROWS = 2 };
static const double old_rate_hz = 20000;

/* ---- which of the two ---- */

/* The date in /version, a text of 8 digits or a number; 0 without one. */
static long version_of(hid_t file)
{
	char text[64];
	double number;
	if (field_text(file, "/version", text, sizeof text, NULL) == STATUS_OK)
		return strlen(text) == 8 && strspn(text, "0123456789") == 8 ? atol(text) : 0;
	if (field_number(file, "/version", &number, NULL) == STATUS_OK && number >= 1e7 && number < 1e8)
		return (long)number;
	return 0;
}

bool maxwell_recognise(hid_t file)
{
	return version_of(file) && (field_exists(file, "/sig") || field_exists(file, "/wells") || field_exists(file, "/data_store"));
}

/* ---- mapping ---- */

struct mapping {
	size_t n;
	int64_t *channel, *electrode;
	double *x, *y;
	int32_t *entry;         /* [MAX_CHANNEL + 1] of each channel, or -1 */
};

static enum status read_mapping(hid_t file, const char *path, struct mapping *m, struct error *e)
{
	size_t n[4] = { 0 };
	enum status status = field_member_integers(file, path, "channel", &m->channel, &n[0], e);
	if (!status)
		status = field_member_integers(file, path, "electrode", &m->electrode, &n[1], e);
	if (!status)
		status = field_member_numbers(file, path, "x", &m->x, &n[2], e);
	if (!status)
		status = field_member_numbers(file, path, "y", &m->y, &n[3], e);
	if (status)
		return status;
	m->n = n[0];
	m->entry = malloc((MAX_CHANNEL + 1) * sizeof *m->entry);
	if (!m->entry)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for the mapping");
	memset(m->entry, 0xff, (MAX_CHANNEL + 1) * sizeof *m->entry);
	for (size_t i = 0; i < m->n; i++)
		if (m->channel[i] >= 0 && m->channel[i] <= MAX_CHANNEL)
			m->entry[m->channel[i]] = (int32_t)i;
	return STATUS_OK;
}

/* Ids are channel numbers; places are known only if those of all channels are. */
static enum status take_channels(struct description *d, const struct mapping *m, const int64_t *channels, struct reply *reply, struct error *e)
{
	enum status status = description_locations(d, 2, e);
	bool known = true;
	for (size_t c = 0; c < d->nchannels && !status; c++) {
		const int32_t i = channels[c] >= 0 && channels[c] <= MAX_CHANNEL && m->entry ? m->entry[channels[c]] : -1;
		status = description_id(d, c, (long long)channels[c], e);
		known = known && i >= 0 && isfinite(m->x[i]) && isfinite(m->y[i]);
		if (known) {
			d->locations[2 * c] = m->x[i];
			d->locations[2 * c + 1] = m->y[i];
		}
	}
	if (!known) {
		reply_warning(reply, "the mapping does not place all channels of %.150s: locations are left out", d->stream);
		d->locations = NULL;
	}
	return status;
}

static enum status take_scale(hid_t file, struct description *d, const char *settings, int zero, struct error *e)
{
	double lsb_v, gain = 512;
	if (field_number_in(file, settings, "lsb", &lsb_v, NULL) != STATUS_OK) {
		field_number_in(file, settings, "gain", &gain, NULL);
		lsb_v = 3.3 / (1024 * gain);
	}
	return description_scale(d, lsb_v * 1e6, -zero * lsb_v * 1e6, e);
}

/* ---- new ---- */

static void list_groups(hid_t file, const char *recording, struct description *d, struct reply *reply)
{
	char groups[DATASET_MAX_PATH], group[DATASET_MAX_PATH], raw[DATASET_MAX_PATH];
	if (!path_join(groups, sizeof groups, recording, "groups"))
		return;
	struct children *list = field_children(file, groups);
	for (size_t i = 0; list && i < list->n && !d->more_streams; i++)
		if (path_join(group, sizeof group, groups, list->name[i]) && path_join(raw, sizeof raw, group, "raw") && field_exists(file, raw))
			streams_add(d, group, false, reply);
	free(list);
}

static void list_recordings(hid_t file, const char *parent, struct description *d, struct reply *reply)
{
	char path[DATASET_MAX_PATH];
	struct children *list = field_children(file, parent);
	for (size_t i = 0; list && i < list->n && !d->more_streams; i++)
		if (path_join(path, sizeof path, parent, list->name[i]))
			list_groups(file, path, d, reply);
	free(list);
}

static void list_wells(hid_t file, struct description *d, struct reply *reply)
{
	char path[DATASET_MAX_PATH];
	struct children *wells = field_children(file, "/wells");
	for (size_t i = 0; wells && i < wells->n && !d->more_streams; i++)
		if (path_join(path, sizeof path, "/wells", wells->name[i]))
			list_recordings(file, path, d, reply);
	free(wells);
	if (!d->nstreams)
		list_recordings(file, "/data_store", d, reply);
}

static enum status new_channels(hid_t file, struct description *d, const char *settings, struct reply *reply, struct error *e)
{
	char path[DATASET_MAX_PATH];
	struct mapping m = { 0 };
	int64_t *channels;
	size_t n;
	enum status status = column_integers(file, d->stream, "channels", &channels, &n, e);
	if (status)
		return status;
	if (n != d->nchannels)
		return error_set(e, STATUS_CORRUPT, "file", NULL, "%s has %zu rows, but its channels list %zu", d->data.path, d->nchannels, n);
	if (!path_join(path, sizeof path, settings, "mapping"))
		return error_set(e, STATUS_UNSUPPORTED, "recording", NULL, "the path of the recording is too long");
	status = read_mapping(file, path, &m, e);
	if (status == STATUS_NOT_FOUND)
		status = STATUS_OK;
	return status ? status : take_channels(d, &m, channels, reply, e);
}

static enum status new_time(hid_t file, struct description *d, const char *settings, struct reply *reply, struct error *e)
{
	char path[DATASET_MAX_PATH];
	double rate_hz;
	enum status status = field_number_in(file, settings, "sampling", &rate_hz, e);
	if (!status)
		status = description_rate(d, rate_hz, e);
	if (status || !path_join(path, sizeof path, d->stream, "frame_nos"))
		return status ? status : error_set(e, STATUS_UNSUPPORTED, "recording", NULL, "the path of the recording is too long");
	if (field_exists(file, path))
		return frame_numbers_read(file, path, d, reply, e);
	description_one_segment(d, 0);
	return STATUS_OK;
}

static enum status describe_new(hid_t file, const struct wanted *wanted, struct description *d, struct reply *reply, struct error *e)
{
	char path[DATASET_MAX_PATH], settings[DATASET_MAX_PATH + 16];
	list_wells(file, d, reply);
	enum status status = streams_choose(d, wanted, e);
	if (status)
		return status;
	/* RECORDING/groups/G */
	int n = (int)(strstr(d->stream, "/groups/") - d->stream);
	snprintf(settings, sizeof settings, "%.*s/settings", n, d->stream);
	if (!path_join(path, sizeof path, d->stream, "raw"))
		return error_set(e, STATUS_UNSUPPORTED, "recording", NULL, "the path of the recording is too long");
	status = dataset_open(file, path, &d->data, e);
	if (!status && d->data.rank != 2)
		status = error_set(e, STATUS_CORRUPT, "file", NULL, "%.200s is not of shape (channels, frames)", path);
	if (!status)
		status = description_axes(d, 1, e);
	if (!status)
		status = new_channels(file, d, settings, reply, e);
	if (!status)
		status = take_scale(file, d, settings, NEW_ZERO, e);
	return status ? status : new_time(file, d, settings, reply, e);
}

/* ---- old ---- */

static enum status old_channels(hid_t file, struct description *d, struct reply *reply, struct error *e)
{
	struct mapping m = { 0 };
	enum status status = read_mapping(file, "/mapping", &m, e);
	int64_t *rows = status ? NULL : calloc(m.n + 1, sizeof *rows);
	size_t n = 0;
	if (!status && !rows)
		status = error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for channels");
	for (size_t i = 0; i < m.n && !status; i++) {
		if (m.channel[i] < 0 || m.electrode[i] < 0)
			continue; /* not connected */
		if ((uint64_t)m.channel[i] >= d->nchannels - FRAME_ROWS)
			status = error_set(e, STATUS_CORRUPT, "file", NULL, "the mapping names channel %lld, /sig has %zu rows", (long long)m.channel[i],
					   d->nchannels);
		rows[n++] = m.channel[i];
	}
	if (!status)
		status = description_rows(d, rows, n, e);
	return status ? status : take_channels(d, &m, rows, reply, e);
}

/* Row `row`, n frames from `start`. */
static bool read_half(const struct frame_reader *r, hsize_t row, hsize_t start, hsize_t n, int64_t *out)
{
	const hsize_t from[2] = { row, start }, count[2] = { 1, n };
	hid_t memory = H5Screate_simple(1, &n, NULL);
	bool ok = memory >= 0 && H5Sselect_hyperslab(r->space, H5S_SELECT_SET, from, NULL, count, NULL) >= 0 &&
		  H5Dread(r->id, H5T_NATIVE_INT64, memory, r->space, H5P_DEFAULT, out) >= 0;
	H5Sclose(memory);
	return ok;
}

static bool read_numbers(const struct frame_reader *r, hsize_t start, hsize_t n, int64_t *out)
{
	static int64_t high[FRAME_NUMBERS_BLOCK];
	hsize_t dims[2];
	if (H5Sget_simple_extent_dims(r->space, dims, NULL) != 2 || !read_half(r, dims[0] - 2, start, n, out) || !read_half(r, dims[0] - 1, start, n, high))
		return false;
	for (size_t i = 0; i < n; i++)
		out[i] = (out[i] & 0xffff) | (high[i] & 0xffff) << 16;
	return true;
}

/* Chunks hold all rows, as a rule: a number costs a frame. */
static enum status old_gaps(struct description *d, struct reply *reply, struct error *e)
{
	hid_t space = H5Dget_space(d->data.id);
	const struct frame_reader r = { read_numbers, d->data.id, space, d->data.dims[0] * dtype_size(d->data.dtype) };
	enum status status = frame_numbers_cut(&r, d, reply, e);
	H5Sclose(space);
	return status;
}

static enum status describe_old(hid_t file, const struct wanted *wanted, struct description *d, struct reply *reply, struct error *e)
{
	streams_add(d, "/sig", false, reply);
	enum status status = streams_choose(d, wanted, e);
	if (!status)
		status = dataset_open(file, "/sig", &d->data, e);
	if (!status && (d->data.rank != 2 || d->data.dims[0] <= FRAME_ROWS))
		status = error_set(e, STATUS_CORRUPT, "file", NULL, "/sig is not of shape (channels and frame number, frames)");
	if (!status)
		status = description_axes(d, 1, e);
	if (!status)
		status = old_channels(file, d, reply, e);
	if (!status)
		status = take_scale(file, d, "/settings", 0, e);
	d->fs_hz = old_rate_hz;
	if (status)
		return status;
	if (plugins_check(d->data.id, d->data.path, 0, NULL) == STATUS_OK)
		return old_gaps(d, reply, e);
	reply_warning(reply, "the frame numbers lie behind the missing filter as well: gaps are not known");
	description_one_segment(d, 0);
	return STATUS_OK;
}

enum status maxwell_describe(hid_t file, const struct wanted *wanted, struct description *d, struct reply *reply, struct error *e)
{
	d->layout = "maxwell";
	const bool new = version_of(file) > LAST_OLD_VERSION && (field_exists(file, "/wells") || field_exists(file, "/data_store"));
	return new ? describe_new(file, wanted, d, reply, e) : describe_old(file, wanted, d, reply, e);
}
