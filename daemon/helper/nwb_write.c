/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/helper/nwb_write.h"
#include "daemon/helper/index.h"
#include "daemon/helper/out.h"
#include "daemon/helper/publish.h"
#include "protocol/digest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ELECTRODES "/general/extracellular_ephys/electrodes"
#define GROUP "/general/extracellular_ephys/recording"
#define DEVICE "/general/devices/recording"

struct content {
	const json_t *header;
	const struct peak *peaks;
	size_t npeaks, nchannels, ndim, nsegments;
	const char **channel_ids;
	const double *noise, *locations, *starts;
	double fs_hz;
	uint64_t digest;
};

static const char *text(const struct content *c, const char *key)
{
	const char *value = json_string_value(json_object_get(c->header, key));
	return value ? value : "";
}

hid_t nwb_write_peak_type(void)
{
	hid_t type = H5Tcreate(H5T_COMPOUND, sizeof(struct peak));
	H5Tinsert(type, "sample_index", offsetof(struct peak, sample_index), H5T_STD_I64LE);
	H5Tinsert(type, "channel_index", offsetof(struct peak, channel_index), H5T_STD_I64LE);
	H5Tinsert(type, "amplitude", offsetof(struct peak, amplitude), H5T_IEEE_F64LE);
	H5Tinsert(type, "segment_index", offsetof(struct peak, segment_index), H5T_STD_I64LE);
	return type;
}

/* ---- the request ---- */

static enum status take_ids(struct content *c, const struct array *a, struct error *e)
{
	const char *p = a->data, *end = p + a->nbytes;
	for (const char *q = p; q < end; q++)
		c->nchannels += *q == '\0';
	c->channel_ids = calloc(c->nchannels ? c->nchannels : 1, sizeof *c->channel_ids);
	if (!c->channel_ids || !c->nchannels || end[-1] != '\0')
		return error_set(e, STATUS_INTERNAL, NULL, NULL, "bad channel ids");
	for (size_t i = 0; i < c->nchannels; i++, p += strlen(p) + 1)
		c->channel_ids[i] = p;
	return STATUS_OK;
}

/* Everything that writes relies on: indices inside the tables. */
static enum status take_content(struct content *c, const struct message *m, struct error *e)
{
	const struct array *peaks = message_array(m, "peaks"), *ids = message_array(m, "channel_ids"), *starts = message_array(m, "segment_starts"),
			   *noise = message_array(m, "noise_levels"), *locations = message_array(m, "locations");
	*c = (struct content){ .header = m->header, .fs_hz = json_number_value(json_object_get(m->header, "sampling_frequency")) };
	if (!peaks || peaks->dtype != DTYPE_PEAK || !ids || ids->dtype != DTYPE_U8 || !starts || starts->dtype != DTYPE_F64 || !(c->fs_hz > 0))
		return error_set(e, STATUS_INTERNAL, NULL, NULL, "bad request to write a result");
	enum status status = take_ids(c, ids, e);
	if (status)
		return status;
	c->peaks = peaks->data;
	c->npeaks = peaks->nbytes / sizeof *c->peaks;
	c->starts = starts->data;
	c->nsegments = starts->nbytes / sizeof(double);
	c->noise = noise && noise->nbytes == c->nchannels * sizeof(double) ? noise->data : NULL;
	c->ndim = locations && locations->ndim == 2 ? locations->shape[1] : 0;
	c->locations = c->ndim >= 2 && locations->nbytes == c->nchannels * c->ndim * sizeof(double) ? locations->data : NULL;
	for (size_t i = 0; i < c->npeaks; i++)
		if ((uint64_t)c->peaks[i].channel_index >= c->nchannels || (uint64_t)c->peaks[i].segment_index >= c->nsegments)
			return error_set(e, STATUS_INTERNAL, NULL, NULL, "peak %zu lies outside the recording", i);
	c->digest = digest_add(DIGEST_START, c->peaks, c->npeaks * sizeof *c->peaks);
	if (c->noise)
		c->digest = digest_add(c->digest, c->noise, c->nchannels * sizeof *c->noise);
	return STATUS_OK;
}

/* ---- the file ---- */

static void empty_group(struct out *o, const char *path)
{
	out_close_object(o, out_group(o, path));
}

static void plain_text(struct out *o, const char *path, const char *value)
{
	out_close_object(o, out_text(o, path, value));
}

static void write_root(struct out *o, const struct content *c)
{
	static const char *const groups[] = { "/acquisition", "/analysis", "/processing", "/stimulus", "/stimulus/presentation", "/stimulus/templates",
					      "/general", "/general/devices", "/general/extracellular_ephys", "/scratch" };
	const char *created = text(c, "session_start_time");
	hid_t root = o->failed ? -1 : H5Gopen2(o->file, "/", H5P_DEFAULT);
	out_typed(o, root, "/", "core", "NWBFile");
	out_attr_text(o, root, "nwb_version", "2.7.0");
	out_close_object(o, root);
	plain_text(o, "/identifier", text(c, "identifier"));
	plain_text(o, "/session_description", text(c, "session_description"));
	plain_text(o, "/session_start_time", created);
	plain_text(o, "/timestamps_reference_time", created);
	/* The schema wants a date; the session's is the one that does not change from run to run. */
	out_close_object(o, out_texts(o, "/file_create_date", &created, 1));
	for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
		empty_group(o, groups[i]);
}

static void write_device(struct out *o)
{
	hid_t device = out_group(o, DEVICE);
	out_typed(o, device, DEVICE, "core", "Device");
	out_attr_text(o, device, "description", "the device of the recording; see there");
	out_close_object(o, device);
	hid_t group = out_group(o, GROUP);
	out_typed(o, group, GROUP, "core", "ElectrodeGroup");
	out_attr_text(o, group, "description", "all channels of the recording");
	out_attr_text(o, group, "location", "unknown");
	out_close_object(o, group);
	out_soft_link(o, GROUP "/device", DEVICE);
}

/* A column of a table: its type and description. */
static void column(struct out *o, hid_t dataset, const char *path, const char *type, const char *description)
{
	out_typed(o, dataset, path, "hdmf-common", type);
	if (description)
		out_attr_text(o, dataset, "description", description);
}

static void number_column(struct out *o, const char *path, hid_t file_type, size_t n, const double *values, const char *description)
{
	hid_t dataset = out_dataset(o, path, file_type, H5T_NATIVE_DOUBLE, 1, n, values);
	column(o, dataset, path, "VectorData", description);
	out_close_object(o, dataset);
}

static void text_column(struct out *o, const char *path, const char *const *texts, size_t n, const char *description)
{
	hid_t dataset = out_texts(o, path, texts, n);
	column(o, dataset, path, "VectorData", description);
	out_close_object(o, dataset);
}

static void id_column(struct out *o, const char *path, size_t n, const uint64_t *counting)
{
	hid_t dataset = out_dataset(o, path, H5T_STD_I32LE, H5T_NATIVE_UINT64, 1, n, counting);
	column(o, dataset, path, "ElementIdentifiers", NULL);
	out_close_object(o, dataset);
}

static void location_columns(struct out *o, const struct content *c, double *column_values)
{
	static const char *const paths[3] = { ELECTRODES "/rel_x", ELECTRODES "/rel_y", ELECTRODES "/rel_z" };
	for (size_t i = 0; i < c->ndim && c->locations; i++) {
		for (size_t k = 0; k < c->nchannels; k++)
			column_values[k] = c->locations[k * c->ndim + i];
		number_column(o, paths[i], H5T_IEEE_F32LE, c->nchannels, column_values, "position on the probe, in micrometres");
	}
}

static void group_column(struct out *o, size_t n, hobj_ref_t *references)
{
	static const char path[] = ELECTRODES "/group";
	for (size_t i = 0; i < n && !o->failed; i++)
		o->failed = H5Rcreate(&references[i], o->file, GROUP, H5R_OBJECT, -1) < 0;
	hid_t dataset = out_dataset(o, path, H5T_STD_REF_OBJ, H5T_STD_REF_OBJ, 1, n, references);
	column(o, dataset, path, "VectorData", "the group of the electrode");
	out_close_object(o, dataset);
}

static enum status write_electrodes(struct out *o, const struct content *c, const uint64_t *counting)
{
	static const char *const names[] = { "location", "group", "group_name", "channel_name", "rel_x", "rel_y", "rel_z" };
	size_t n = c->nchannels, ncolumns = 4 + (c->locations ? c->ndim : 0);
	const char **same = calloc(n, sizeof *same);
	double *values = calloc(n, sizeof *values);
	hobj_ref_t *references = calloc(n, sizeof *references);
	if (!same || !values || !references)
		return STATUS_NO_MEMORY;
	hid_t table = out_group(o, ELECTRODES);
	out_typed(o, table, ELECTRODES, "hdmf-common", "DynamicTable");
	out_attr_text(o, table, "description", "the channels of the recording, in its order");
	out_attr_texts(o, table, "colnames", names, ncolumns);
	out_close_object(o, table);
	id_column(o, ELECTRODES "/id", n, counting);
	for (size_t i = 0; i < n; i++)
		same[i] = "unknown";
	text_column(o, ELECTRODES "/location", same, n, "brain area");
	group_column(o, n, references);
	for (size_t i = 0; i < n; i++)
		same[i] = "recording";
	text_column(o, ELECTRODES "/group_name", same, n, "name of the group of the electrode");
	text_column(o, ELECTRODES "/channel_name", c->channel_ids, n, "the channel's id in the recording");
	location_columns(o, c, values);
	return STATUS_OK;
}

/* Peaks by channel: a counting sort keeps their order within a channel. ends[k] is one past channel k's last. */
static double *spike_times(const struct content *c, uint64_t *ends)
{
	double *times = malloc((c->npeaks ? c->npeaks : 1) * sizeof *times);
	if (!times)
		return NULL;
	memset(ends, 0, c->nchannels * sizeof *ends);
	for (size_t i = 0; i < c->npeaks; i++)
		ends[c->peaks[i].channel_index]++;
	for (uint64_t k = 0, start = 0; k < c->nchannels; k++) {
		uint64_t count = ends[k];
		ends[k] = start;
		start += count;
	}
	for (size_t i = 0; i < c->npeaks; i++) {
		const struct peak *p = &c->peaks[i];
		times[ends[p->channel_index]++] = c->starts[p->segment_index] + (double)p->sample_index / c->fs_hz;
	}
	return times;
}

static void index_column(struct out *o, const char *path, const char *target, size_t n, const uint64_t *ends)
{
	/* NumPy turns uint64 beside a Python integer into float64, and then SpikeInterface cannot slice with it: take the width that is needed. */
	bool wide = n && ends[n - 1] > UINT32_MAX;
	hid_t dataset = out_dataset(o, path, wide ? H5T_STD_U64LE : H5T_STD_U32LE, H5T_NATIVE_UINT64, 1, n, ends);
	column(o, dataset, path, "VectorIndex", "one past the last value of each row");
	out_attr_reference(o, dataset, "target", target);
	out_close_object(o, dataset);
}

static enum status write_units(struct out *o, const struct content *c, uint64_t *counting)
{
	static const char *const names[] = { "spike_times", "electrodes", "channel_name", "noise_level" };
	uint64_t *ends = calloc(c->nchannels, sizeof *ends);
	double *times = ends ? spike_times(c, ends) : NULL;
	if (!times)
		return STATUS_NO_MEMORY;
	hid_t table = out_group(o, "/units");
	out_typed(o, table, "/units", "core", "Units");
	out_attr_text(o, table, "description", "threshold crossings, one row for each channel; not sorted into neurons");
	out_attr_texts(o, table, "colnames", names, c->noise ? 4 : 3);
	out_close_object(o, table);
	id_column(o, "/units/id", c->nchannels, counting);
	hid_t dataset = out_dataset(o, "/units/spike_times", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 1, c->npeaks, times);
	column(o, dataset, "/units/spike_times", "VectorData", "times of the peaks, in seconds");
	out_attr_number(o, dataset, "resolution", 1 / c->fs_hz);
	out_close_object(o, dataset);
	index_column(o, "/units/spike_times_index", "/units/spike_times", c->nchannels, ends);
	dataset = out_dataset(o, "/units/electrodes", H5T_STD_I32LE, H5T_NATIVE_UINT64, 1, c->nchannels, counting);
	column(o, dataset, "/units/electrodes", "DynamicTableRegion", "the channel's row in the electrodes table");
	out_attr_reference(o, dataset, "table", ELECTRODES);
	out_close_object(o, dataset);
	for (size_t k = 0; k < c->nchannels; k++)
		ends[k] = k + 1;
	index_column(o, "/units/electrodes_index", "/units/electrodes", c->nchannels, ends);
	text_column(o, "/units/channel_name", c->channel_ids, c->nchannels, "the channel's id in the recording");
	if (c->noise)
		number_column(o, "/units/noise_level", H5T_IEEE_F64LE, c->nchannels, c->noise, "noise of the channel, in the unit of the amplitudes");
	free(ends);
	free(times);
	return STATUS_OK;
}

static void write_scratch(struct out *o, const struct content *c)
{
	static const char *const keys[] = { "spiked_version", "input_file", "input_fingerprint", "recording", "parameters", "parameters_hash" };
	char digest[17];
	hid_t type = nwb_write_peak_type();
	if (c->noise) {
		hid_t noise = out_dataset(o, NWB_WRITE_NOISE, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 1, c->nchannels, c->noise);
		out_typed(o, noise, NWB_WRITE_NOISE, "core", "ScratchData");
		out_attr_text(o, noise, "notes", "noise level of each channel, in the unit of the peaks' amplitudes");
		out_close_object(o, noise);
	}
	hid_t peaks = out_dataset(o, NWB_WRITE_PEAKS, type, type, 1, c->npeaks, c->peaks);
	out_typed(o, peaks, NWB_WRITE_PEAKS, "core", "ScratchData");
	out_attr_text(o, peaks, "notes", "peaks as SpikeInterface holds them; the attributes say what they come from");
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		out_attr_text(o, peaks, keys[i], text(c, keys[i]));
	snprintf(digest, sizeof digest, "%016" PRIx64, c->digest);
	out_attr_text(o, peaks, "digest", digest);
	out_close_object(o, peaks);
	H5Tclose(type);
}

static enum status write_file(struct out *o, const struct content *c)
{
	uint64_t *counting = calloc(c->nchannels, sizeof *counting);
	if (!counting)
		return STATUS_NO_MEMORY;
	for (size_t k = 0; k < c->nchannels; k++)
		counting[k] = k;
	write_root(o, c);
	write_device(o);
	enum status status = write_electrodes(o, c, counting);
	if (!status)
		status = write_units(o, c, counting);
	write_scratch(o, c);
	free(counting);
	return status;
}

enum status write_run(const struct request *request, struct reply *reply, struct error *e)
{
	struct content c;
	struct out o;
	char digest[17];
	const json_t *header = request->m.header;
	const char *part = json_string_value(json_object_get(header, "part")), *name = json_string_value(json_object_get(header, "name"));
	bool replace = json_is_true(json_object_get(header, "replace"));
	enum status status = take_content(&c, &request->m, e);
	if (!status) {
		/* Ids depend on what the file says, not on where it lies. */
		out_open(&o, request->output, digest_add(c.digest, text(&c, "identifier"), strlen(text(&c, "identifier"))));
		status = write_file(&o, &c);
		out_close(&o);
		if (!status && o.failed)
			status = error_set(e, STATUS_IO, "output", "is there space left?", "%s cannot be written at %s", name, o.where);
	}
	if (!status)
		status = publish(request->fd, request->output, part, name, replace, e);
	if (status) {
		publish_discard(request->fd, part);
		return status;
	}
	snprintf(digest, sizeof digest, "%016" PRIx64, c.digest);
	json_object_set_new(reply->result, "digest", json_string(digest));
	return STATUS_OK;
}
