/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Layouts that are recognised so that the refusal can say what the file is.
 */
#include "daemon/helper/fields.h"
#include "daemon/helper/layouts.h"

#include <string.h>

static bool is_nwb1(hid_t file)
{
	return field_exists(file, "/acquisition/timeseries");
}

static bool is_wavesurfer(hid_t file)
{
	return field_exists(file, "/header") && (field_exists(file, "/sweep_0001") || field_exists(file, "/trial_0001"));
}

static bool is_nix(hid_t file)
{
	char text[16];
	return field_attr_text(file, "/", "format", text, sizeof text) && strcmp(text, "nix") == 0;
}

static bool is_arf(hid_t file)
{
	char text[16];
	return field_attr_text(file, "/", "arf_version", text, sizeof text);
}

static const struct { bool (*recognise)(hid_t file); const char *what, *hint; } known[] = {
	{ is_nwb1, "NWB 1", "convert it to NWB 2, or name a dataset of it: dataset, sampling_frequency and time_axis" },
	{ is_wavesurfer, "WaveSurfer", "name a sweep: dataset /sweep_0001/analogScans, sampling_frequency and time_axis 1" },
	{ is_nix, "NIX", "name a dataset of it: dataset, sampling_frequency and time_axis" },
	{ is_arf, "ARF", "name a channel: dataset and sampling_frequency" },
};

static const size_t nknown = sizeof known / sizeof *known;

static size_t find(hid_t file)
{
	size_t i = 0;
	while (i < nknown && !known[i].recognise(file))
		i++;
	return i;
}

bool foreign_recognise(hid_t file)
{
	return find(file) < nknown;
}

enum status foreign_describe(hid_t file, const struct wanted *wanted, struct description *d, struct reply *reply, struct error *e)
{
	const size_t i = find(file);
	(void)wanted;
	(void)d;
	(void)reply;
	return error_set(e, STATUS_UNSUPPORTED, "file", known[i].hint, "this is a %s file, which is not supported", known[i].what);
}
