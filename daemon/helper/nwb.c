/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/helper/nwb.h"
#include "daemon/helper/attrs.h"
#include "daemon/helper/nwb_time.h"
#include "daemon/helper/progress.h"
#include "daemon/helper/streams.h"
#include "daemon/helper/walk.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char electrodes_path[] = "/general/extracellular_ephys/electrodes";

bool nwb_recognise(hid_t file)
{
	char type[64];
	progress_set("/");
	hid_t root = H5Gopen2(file, "/", H5P_DEFAULT);
	bool found = root >= 0 && attr_text(root, "neurodata_type", type, sizeof type) && strcmp(type, "NWBFile") == 0;
	H5Gclose(root);
	return found;
}

/* ---- finding the stream ---- */

static bool has(hid_t group, const char *name)
{
	return H5Lexists(group, name, H5P_DEFAULT) > 0;
}

/* Types of extensions that derive from ElectricalSeries are known by their parts; snippets (SpikeEventSeries) are no stream. */
static bool is_series(hid_t group)
{
	char type[64];
	if (!attr_text(group, "neurodata_type", type, sizeof type))
		return false;
	if (strcmp(type, "ElectricalSeries") == 0)
		return true;
	if (strcmp(type, "SpikeEventSeries") == 0)
		return false;
	return has(group, "data") && has(group, "electrodes") && (has(group, "starting_time") || has(group, "timestamps"));
}

struct search {
	struct description *d;
	struct reply *reply;
};

static bool visit(hid_t file, const char *path, H5O_type_t type, void *arg)
{
	struct search *s = arg;
	if (type != H5O_TYPE_GROUP || strncmp(path, "/specifications", 15) == 0)
		return true;
	hid_t group = H5Gopen2(file, path, H5P_DEFAULT);
	bool series = group >= 0 && is_series(group);
	H5Gclose(group);
	if (series)
		streams_add(s->d, path, false, s->reply);
	return !s->d->more_streams;
}

/* ---- channels ---- */

struct electrodes {
	int64_t *rows;  /* [n] of the table, in channel order */
	size_t n;
	char table[DATASET_MAX_PATH];
};

/* A missing optional dataset is no error. */
static enum status optional(enum status status, struct error *e)
{
	if (status != STATUS_NOT_FOUND)
		return status;
	*e = (struct error){ 0 };
	return STATUS_OK;
}

static enum status read_electrodes(hid_t file, const struct description *d, struct electrodes *el, struct error *e)
{
	char path[DATASET_MAX_PATH];
	memset(el, 0, sizeof *el);
	enum status status = optional(column_integers(file, d->stream, "electrodes", &el->rows, &el->n, e), e);
	if (status || !el->rows)
		return status;
	snprintf(el->table, sizeof el->table, "%s", electrodes_path);
	hid_t id = -1;
	if (path_join(path, sizeof path, d->stream, "electrodes") && dataset_open_any(file, path, &id, e) == STATUS_OK) {
		char table[DATASET_MAX_PATH];
		if (attr_target(id, "table", table, sizeof table))
			snprintf(el->table, sizeof el->table, "%s", table);
		H5Dclose(id);
	}
	*e = (struct error){ 0 };
	return STATUS_OK;
}

/* el->rows[c] as an index into a column of n rows, checked. */
static enum status row_of(const struct electrodes *el, size_t c, size_t n, size_t *row, struct error *e)
{
	if (el->rows[c] < 0 || (uint64_t)el->rows[c] >= n)
		return error_set(e, STATUS_CORRUPT, "file", NULL, "channel %zu points at row %lld of the electrodes table, which has %zu", c,
				 (long long)el->rows[c], n);
	*row = (size_t)el->rows[c];
	return STATUS_OK;
}

/* One number a channel out of a column of the table; *out stays NULL without that column. */
static enum status channel_numbers(hid_t file, const struct electrodes *el, const char *column, double **out, struct error *e)
{
	double *values = NULL;
	size_t n, row = 0;
	*out = NULL;
	enum status status = optional(column_numbers(file, el->table, column, &values, &n, e), e);
	if (status || !values)
		return status;
	double *picked = calloc(el->n ? el->n : 1, sizeof *picked);
	if (!picked)
		status = error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for column %s", column);
	for (size_t c = 0; c < el->n && !status; c++) {
		status = row_of(el, c, n, &row, e);
		if (!status)
			picked[c] = values[row];
	}
	free(values);
	*out = picked;
	return status;
}

static enum status read_ids(hid_t file, struct description *d, const struct electrodes *el, struct error *e)
{
	char **names = NULL;
	int64_t *ids = NULL;
	size_t n, row = 0;
	enum status status = optional(column_texts(file, el->table, "channel_name", &names, &n, e), e);
	if (!status && !names)
		status = optional(column_integers(file, el->table, "id", &ids, &n, e), e);
	if (status || (!names && !ids))
		return status;
	for (size_t c = 0; c < d->nchannels; c++) {
		status = row_of(el, c, n, &row, e);
		if (status)
			return status;
		d->ids[c] = names ? names[row] : malloc(24);
		if (!d->ids[c])
			return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for channel ids");
		if (!names)
			snprintf(d->ids[c], 24, "%lld", (long long)ids[row]);
	}
	return STATUS_OK;
}

static enum status read_locations(hid_t file, struct description *d, const struct electrodes *el, struct error *e)
{
	static const char *const columns[3] = { "rel_x", "rel_y", "rel_z" };
	double *axes[3] = { NULL, NULL, NULL };
	enum status status = STATUS_OK;
	for (int i = 0; i < 3 && !status; i++)
		status = channel_numbers(file, el, columns[i], &axes[i], e);
	if (status || !axes[0] || !axes[1])
		return status;
	for (size_t c = 0; c < d->nchannels; c++)
		if (!isfinite(axes[0][c]) || !isfinite(axes[1][c]))
			return STATUS_OK; /* columns that nobody filled: unknown */
	d->ndim = axes[2] ? 3 : 2;
	d->locations = malloc(d->nchannels * d->ndim * sizeof *d->locations);
	if (!d->locations)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for channel locations");
	for (size_t c = 0; c < d->nchannels; c++)
		for (size_t i = 0; i < d->ndim; i++)
			d->locations[c * d->ndim + i] = isfinite(axes[i][c]) ? axes[i][c] : 0;
	return STATUS_OK;
}

/* ---- scale ---- */

/* Open Ephys writes the volts per bit into both factors, so that their product is the square; only then is it below 1e-10 V. */
static bool squared_gain(const struct description *d, double conversion, const double *per_channel)
{
	return d->data.dtype != DTYPE_F32 && d->data.dtype != DTYPE_F64 && conversion == per_channel[0] && conversion != 1 &&
	       fabs(conversion * per_channel[0]) < 1e-10;
}

static enum status read_scale(hid_t file, struct description *d, const struct electrodes *el, struct reply *reply, struct error *e)
{
	double conversion = 1, offset = 0, *per_channel = NULL, *offsets = NULL;
	size_t n = 0;
	attr_number(d->data.id, "conversion", &conversion);
	attr_number(d->data.id, "offset", &offset);
	enum status status = optional(column_numbers(file, d->stream, "channel_conversion", &per_channel, &n, e), e);
	if (status)
		return status;
	if (per_channel && n != d->nchannels)
		return error_set(e, STATUS_CORRUPT, "file", NULL, "%s/channel_conversion has %zu values for %zu channels", d->stream, n, d->nchannels);
	if (per_channel && squared_gain(d, conversion, per_channel)) {
		reply_warning(reply, "conversion and channel_conversion both hold the gain; it is applied once");
		conversion = 1;
	}
	if (offset == 0 && el->rows)
		status = channel_numbers(file, el, "offset", &offsets, e);
	for (size_t c = 0; c < d->nchannels && !status; c++) {
		d->gains_uv[c] = conversion * (per_channel ? per_channel[c] : 1) * 1e6;
		d->offsets_uv[c] = (offsets ? offsets[c] : offset) * 1e6;
		if (!isfinite(d->gains_uv[c]) || !isfinite(d->offsets_uv[c]))
			status = error_set(e, STATUS_CORRUPT, "file", NULL, "the conversion of channel %zu in %s is not finite", c, d->stream);
	}
	d->has_uv = true;
	return status;
}

/* ---- putting it together ---- */

/* (channels, frames) is the commonest mistake of writers: then the electrodes match the first axis and not the second. */
static int orientation(const struct description *d, const struct electrodes *el, struct reply *reply)
{
	if (!el->rows || d->data.rank != 2 || d->data.dims[0] != el->n || d->data.dims[1] == el->n)
		return 0;
	reply_warning(reply, "%s is stored as (channels, frames); it is read that way", d->data.path);
	return 1;
}

static enum status describe_channels(hid_t file, struct description *d, struct reply *reply, struct error *e)
{
	struct electrodes el;
	enum status status = read_electrodes(file, d, &el, e);
	if (status)
		return status;
	status = description_axes(d, orientation(d, &el, reply), e);
	if (status)
		return status;
	if (el.rows && el.n != d->nchannels)
		return error_set(e, STATUS_CORRUPT, "file", NULL, "%s has %zu channels, but its electrodes list %zu", d->data.path, d->nchannels, el.n);
	if (el.rows)
		status = read_ids(file, d, &el, e);
	if (!status && el.rows)
		status = read_locations(file, d, &el, e);
	if (!status)
		status = read_scale(file, d, &el, reply, e);
	free(el.rows);
	return status;
}

enum status nwb_describe(hid_t file, const struct wanted *wanted, struct description *d, struct reply *reply, struct error *e)
{
	char path[DATASET_MAX_PATH];
	struct walk_report report;
	struct search search = { d, reply };
	d->layout = "nwb";
	walk(file, visit, &search, &report);
	if (report.stopped)
		reply_warning(reply, "the file has more objects or deeper groups than are listed (%d, %d)", WALK_MAX_OBJECTS, WALK_MAX_DEPTH);
	if (d->nstreams == 0)
		return error_set(e, STATUS_NOT_FOUND, "file", report.nexternal ? "links into other files are not followed: copy the data into one file" : NULL,
				 "the NWB file holds no ElectricalSeries%s", report.nexternal ? ", but links into other files" : "");
	enum status status = streams_choose(d, wanted, e);
	if (status)
		return status;
	if (!path_join(path, sizeof path, d->stream, "data"))
		return error_set(e, STATUS_UNSUPPORTED, "recording", NULL, "the path of the recording is too long");
	status = dataset_open(file, path, &d->data, e);
	if (!status)
		status = describe_channels(file, d, reply, e);
	if (!status)
		status = nwb_time(file, d, reply, e);
	return status;
}
