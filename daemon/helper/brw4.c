/* SPDX-License-Identifier: BSD-3-Clause
 *
 * 3Brain BRW 4: dataset /TOC, groups /Well_*, and a header in one of three places (brw4_header.c). Each well is a stream.
 *   /TOC (k, 2): frames [start, end) of each block; a hole between two is a gap;
 *   /Well_X/StoredChIdxs: places on the chip, row = i / 64, column = i % 64; how the smaller chips of plates with several wells count is not known;
 *   /Well_X/Raw u2, flat and frame-major, block after block; or
 *   /Well_X/EventsBasedSparseRaw u1: only pieces around events (daemon/recording/sparse.h); or WaveletBasedEncodedRaw, which is refused.
 *
 *   uV = MinAnalog + (d - MinDigital) * ScaleFactor * (MaxAnalog - MinAnalog) / (MaxDigital - MinDigital)
 */
#include "daemon/helper/brw4.h"
#include "daemon/helper/fields.h"
#include "daemon/helper/layouts.h"
#include "daemon/helper/streams.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHIP_COLUMNS = 64, CHIP_ELECTRODES = 4096, SMALL_CHIP = 1024 };

static bool has_wells(hid_t file)
{
	bool found = false;
	struct children *list = field_children(file, "/");
	for (size_t i = 0; list && i < list->n; i++)
		found |= strncmp(list->name[i], "Well_", 5) == 0;
	free(list);
	return found;
}

bool brw4_recognise(hid_t file)
{
	return field_exists(file, "/TOC") && brw4_has_header(file) && has_wells(file);
}

static bool well_has(hid_t file, const char *well, const char *name)
{
	char path[DATASET_MAX_PATH];
	return path_join(path, sizeof path, well, name) && field_exists(file, path);
}

static enum status list_wells(hid_t file, struct description *d, struct reply *reply, struct error *e)
{
	bool wavelets = false;
	struct children *list = field_children(file, "/");
	for (size_t i = 0; list && i < list->n && !d->more_streams; i++) {
		char well[FIELDS_MAX_NAME + 1];
		snprintf(well, sizeof well, "/%s", list->name[i]);
		if (strncmp(well, "/Well_", 6) != 0)
			continue;
		if (well_has(file, well, "Raw") || well_has(file, well, "EventsBasedSparseRaw"))
			streams_add(d, well, false, reply);
		else
			wavelets |= well_has(file, well, "WaveletBasedEncodedRaw");
	}
	free(list);
	if (d->nstreams)
		return STATUS_OK;
	if (wavelets)
		return error_set(e, STATUS_UNSUPPORTED, "file", "export it as raw data with BrainWave",
				 "the samples are compressed with 3Brain's lossy wavelets, which is not supported");
	return error_set(e, STATUS_NOT_FOUND, "file", "open the .brw file that the results were made from", "the file has 3Brain's results, but no samples");
}

/* ---- channels ---- */

static enum status take_channels(struct description *d, const int64_t *stored, const struct brw4_header *h, struct reply *reply, struct error *e)
{
	enum status status = description_locations(d, 2, e);
	bool known = true, large = !h->small_chips;
	for (size_t c = 0; c < d->nchannels && !status; c++) {
		status = description_id(d, c, (long long)stored[c], e);
		known &= stored[c] >= 0 && stored[c] < CHIP_ELECTRODES;
		large |= stored[c] >= SMALL_CHIP;
		d->locations[2 * c] = (double)(stored[c] / CHIP_COLUMNS) * h->pitch_um;
		d->locations[2 * c + 1] = (double)(stored[c] % CHIP_COLUMNS) * h->pitch_um;
	}
	if (!known) {
		reply_warning(reply, "channels of %.150s lie outside the chip of %d electrodes: locations are left out", d->stream, CHIP_ELECTRODES);
		d->locations = NULL;
	} else if (!large) {
		reply_warning(reply, "the grid of electrodes on a plate of several wells is not known: locations of %.150s are left out", d->stream);
		d->locations = NULL;
	}
	return status;
}

/* ---- samples ---- */

static enum status open_raw(hid_t file, struct description *d, const struct brw4_toc *toc, size_t nstored, struct error *e)
{
	char path[DATASET_MAX_PATH];
	if (!path_join(path, sizeof path, d->stream, "Raw"))
		return error_set(e, STATUS_UNSUPPORTED, "recording", NULL, "the path of the recording is too long");
	enum status status = dataset_open(file, path, &d->data, e);
	if (!status)
		status = dataset_flatten(&d->data, nstored, e);
	if (!status)
		status = description_axes(d, 0, e);
	if (!status && d->nframes != (uint64_t)toc->nframes)
		status = error_set(e, STATUS_CORRUPT, "file", "the file is damaged or was cut short; copy it again from its source",
				   "%.150s has %zu frames, the blocks of /TOC have %lld", path, d->nframes, (long long)toc->nframes);
	return status;
}

static enum status open_sparse(hid_t file, struct description *d, const struct brw4_toc *toc, const struct brw4_header *h, const int64_t *stored,
			       size_t nstored, struct error *e)
{
	char path[DATASET_MAX_PATH];
	if (!path_join(path, sizeof path, d->stream, "EventsBasedSparseRaw"))
		return error_set(e, STATUS_UNSUPPORTED, "recording", NULL, "the path of the recording is too long");
	enum status status = dataset_open(file, path, &d->data, e);
	if (!status)
		status = description_channels(d, nstored, e);
	if (!status)
		status = brw4_sparse(file, d, toc, h, stored, e);
	d->nframes = (size_t)toc->nframes;
	d->time_axis = 0;
	return status;
}

static enum status take_segments(struct description *d, const struct brw4_toc *toc, struct reply *reply, struct error *e)
{
	int64_t frame = 0;
	for (size_t i = 0; i < toc->n; i++) {
		const bool gap = i == 0 || toc->range[i][0] != toc->range[i - 1][1];
		if (gap && !segments_start(&d->segments, frame, (double)toc->range[i][0] / d->fs_hz))
			return error_set(e, STATUS_UNSUPPORTED, "file", "cut the recording into shorter ones", "/TOC has more than %d gaps",
					 DESCRIPTION_MAX_SEGMENTS - 1);
		frame += toc->range[i][1] - toc->range[i][0];
	}
	segments_close(&d->segments, frame);
	if (d->segments.n > 1)
		reply_warning(reply, "%s has gaps: %zu segments", d->stream, d->segments.n);
	return STATUS_OK;
}

enum status brw4_describe(hid_t file, const struct wanted *wanted, struct description *d, struct reply *reply, struct error *e)
{
	struct brw4_header h;
	struct brw4_toc toc;
	int64_t *stored;
	size_t nstored;
	d->layout = "brw4";
	enum status status = list_wells(file, d, reply, e);
	if (!status)
		status = streams_choose(d, wanted, e);
	if (!status)
		status = brw4_header(file, &h, e);
	if (!status)
		status = brw4_toc(file, &toc, e);
	if (!status)
		status = column_integers(file, d->stream, "StoredChIdxs", &stored, &nstored, e);
	if (status)
		return status;
	if (well_has(file, d->stream, "Raw"))
		status = open_raw(file, d, &toc, nstored, e);
	else
		status = open_sparse(file, d, &toc, &h, stored, nstored, e);
	if (!status && d->sparse)
		reply_warning(reply, "%s holds pieces around events only; what was not recorded reads as the noise mean", d->stream);
	if (!status)
		status = take_channels(d, stored, &h, reply, e);
	const double gain = h.scale_factor * (h.max_analog_uv - h.min_analog_uv) / (h.max_digital - h.min_digital);
	if (!status)
		status = description_scale(d, gain, h.min_analog_uv - h.min_digital * gain, e);
	if (!status)
		status = description_rate(d, h.rate_hz, e);
	return status ? status : take_segments(d, &toc, reply, e);
}
