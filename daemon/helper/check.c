/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/helper/attrs.h"
#include "daemon/helper/dataset.h"
#include "daemon/helper/index.h"
#include "daemon/helper/nwb_write.h"
#include "protocol/digest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 32768 };

/* The stored bytes of a 1-D dataset go into the digest, block by block. */
static bool add_stored(hid_t dataset, hid_t type, uint64_t *digest)
{
	size_t size = H5Tget_size(type);
	hid_t space = H5Dget_space(dataset);
	hssize_t total = H5Sget_simple_extent_npoints(space);
	bool ok = H5Sget_simple_extent_ndims(space) == 1 && total >= 0;
	char *block = malloc(BLOCK * size);
	for (hsize_t at = 0; ok && block && at < (hsize_t)total; at += BLOCK) {
		hsize_t n = (hsize_t)total - at < BLOCK ? (hsize_t)total - at : BLOCK;
		hid_t memory = H5Screate_simple(1, &n, NULL);
		ok = H5Sselect_hyperslab(space, H5S_SELECT_SET, &at, NULL, &n, NULL) >= 0 &&
		     H5Dread(dataset, type, memory, space, H5P_DEFAULT, block) >= 0;
		H5Sclose(memory);
		if (ok)
			*digest = digest_add(*digest, block, n * size);
	}
	free(block);
	H5Sclose(space);
	return ok && block;
}

static bool same_digest(hid_t file, hid_t peaks)
{
	char stored[32], computed[17];
	struct error none;
	hid_t type = nwb_write_peak_type(), stored_type = H5Dget_type(peaks), noise;
	uint64_t digest = DIGEST_START;
	if (!attr_text(peaks, "digest", stored, sizeof stored) || H5Tequal(type, stored_type) <= 0 || !add_stored(peaks, type, &digest))
		return false;
	if (dataset_open_any(file, NWB_WRITE_NOISE, &noise, &none) == STATUS_OK && !add_stored(noise, H5T_IEEE_F64LE, &digest))
		return false;
	snprintf(computed, sizeof computed, "%016" PRIx64, digest);
	return strcmp(stored, computed) == 0;
}

/* NULL if the file is what the request describes, otherwise what differs. */
static const char *difference(hid_t file, hid_t peaks, const json_t *wanted)
{
	static const struct { const char *key, *text; } keys[] = {
		{ "spiked_version", "it was made by another version of spiked" },
		{ "input_fingerprint", "the recording has changed since" },
		{ "recording", "it was made from another recording in the file" },
		{ "parameters_hash", "the parameters differ" },
	};
	char value[1024];
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		const char *want = json_string_value(json_object_get(wanted, keys[i].key));
		if (!want || !attr_text(peaks, keys[i].key, value, sizeof value) || strcmp(value, want) != 0)
			return keys[i].text;
	}
	return same_digest(file, peaks) ? NULL : "its table of peaks is damaged";
}

enum status check_run(const struct request *request, struct reply *reply, struct error *e)
{
	hid_t file, peaks;
	const char *why = NULL;
	struct error inner = { 0 };
	(void)e;
	if (file_open(request->fd, &file, &inner) != STATUS_OK)
		why = inner.message;
	else if (dataset_open_any(file, NWB_WRITE_PEAKS, &peaks, &inner) != STATUS_OK)
		why = "it holds no result of spiked";
	else
		why = difference(file, peaks, request->m.header);
	json_object_set_new(reply->result, "done", json_boolean(!why));
	json_object_set_new(reply->result, "why", json_string(why ? why : ""));
	return STATUS_OK;
}
