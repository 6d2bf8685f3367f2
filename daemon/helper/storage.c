/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/helper/storage.h"
#include "daemon/helper/driver.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As the daemon reads it (struct recording_chunk), little-endian on the machines that run this. */
struct chunk {
	uint64_t address;
	uint32_t nbytes;
	uint32_t filter_mask;
};

struct grid {
	hsize_t dims[2];  /* of a chunk; dims[1] = 1 for a 1-D dataset; of a flat one, in (frames, channels) */
	uint64_t n[2];    /* chunks along each axis */
	uint64_t count;
};

static const char truncated[] = "the file is damaged or was cut short; copy it again from its source";

/* ---- filters ---- */

enum { MAX_PARAMETERS = 8 };

/* Those of daemon/recording/codecs.c. */
static bool by_daemon(H5Z_filter_t id)
{
	static const H5Z_filter_t ids[] = { H5Z_FILTER_DEFLATE, H5Z_FILTER_SHUFFLE, H5Z_FILTER_FLETCHER32, 32000, 32001, 32004, 32008, 32015 };
	for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
		if (ids[i] == id)
			return true;
	return false;
}

/* A name from the file, for messages and JSON. */
static void clean_name(char *name)
{
	for (; *name; name++)
		if (*name < ' ' || *name > '~')
			*name = '?';
}

/* Appends the pipeline as [[id, name, parameters...], ...]. *decodable: by the daemon, all of it. */
static enum status add_filters(hid_t dcpl, const char *path, json_t *list, bool *decodable, struct error *e)
{
	int n = H5Pget_nfilters(dcpl);
	*decodable = n <= STORAGE_MAX_FILTERS;
	for (int i = 0; i < n && i < STORAGE_MAX_FILTERS; i++) {
		unsigned flags, parameters[MAX_PARAMETERS] = { 0 }, config;
		size_t nparameters = MAX_PARAMETERS;
		char name[32] = "";
		H5Z_filter_t id = H5Pget_filter2(dcpl, (unsigned)i, &flags, &nparameters, parameters, sizeof name, name, &config);
		if (id < 0)
			return error_set(e, STATUS_CORRUPT, "file", NULL, "the filters of %s cannot be read", path);
		name[sizeof name - 1] = '\0';
		clean_name(name);
		*decodable &= by_daemon(id);
		json_t *filter = json_pack("[i, s]", (int)id, name);
		for (size_t k = 0; k < nparameters && k < MAX_PARAMETERS; k++)
			json_array_append_new(filter, json_integer((json_int_t)parameters[k]));
		json_array_append_new(list, filter);
	}
	return STATUS_OK;
}

/* ---- chunks ---- */

/* After a failed look-up: 1.10 calls a missing chunk an error, as it does a damaged index. Only the text tells them apart. */
static bool never_written(void)
{
	char reason[128];
	file_reason(reason, sizeof reason);
	return strstr(reason, "not allocated") != NULL;
}

/* The address of one chunk: libhdf5 looks it up and would read it; the driver notes where. buffer is not written. */
static bool locate(const struct dataset *d, const hsize_t offset[2], struct chunk *chunk)
{
	static char buffer[16];
	hsize_t nbytes = 0;
	*chunk = (struct chunk){ 0 };
	if (H5Dget_chunk_storage_size(d->id, offset, &nbytes) < 0)
		return never_written();
	if (nbytes > UINT32_MAX)
		return false;
	if (nbytes == 0)
		return true; /* never written */
	uint32_t mask = 0;
	driver_record_start();
	herr_t result = H5Dread_chunk(d->id, H5P_DEFAULT, offset, &mask, buffer);
	struct driver_read read = driver_record_stop();
	if (result < 0 || read.count != 1 || read.nbytes != nbytes)
		return false;
	*chunk = (struct chunk){ read.address, (uint32_t)nbytes, mask };
	return true;
}

static enum status fill_table(const struct dataset *d, const struct grid *g, uint64_t file_size, struct chunk *table, struct error *e)
{
	uint64_t i = 0;
	for (uint64_t row = 0; row < g->n[0]; row++)
		for (uint64_t column = 0; column < g->n[1]; column++, i++) {
			const hsize_t offset[2] = { row * g->dims[0] * (d->flat ? d->flat : 1), column * g->dims[1] };
			if (!locate(d, offset, &table[i]))
				return error_set(e, STATUS_CORRUPT, "file", truncated, "chunk %" PRIu64 " of %s cannot be found in the file's index", i, d->path);
			if (table[i].address > file_size || table[i].nbytes > file_size - table[i].address)
				return error_set(e, STATUS_CORRUPT, "file", truncated, "chunk %" PRIu64 " of %s lies behind the end of the file", i, d->path);
		}
	return STATUS_OK;
}

static enum status chunk_grid(const struct dataset *d, hid_t dcpl, struct grid *g, struct error *e)
{
	g->dims[1] = 1;
	uint64_t nbytes = dtype_size(d->dtype);
	if (H5Pget_chunk(dcpl, (int)d->rank, g->dims) != (int)d->rank || !g->dims[0] || !g->dims[1])
		return error_set(e, STATUS_CORRUPT, "file", NULL, "the chunks of %s cannot be understood", d->path);
	if (d->flat) {
		g->dims[0] /= d->flat;
		g->dims[1] = d->flat;
	}
	if (__builtin_mul_overflow(nbytes, g->dims[0], &nbytes) || __builtin_mul_overflow(nbytes, g->dims[1], &nbytes) || nbytes > STORAGE_MAX_CHUNK_BYTES)
		return error_set(e, STATUS_UNSUPPORTED, "file", "rewrite it with h5repack and chunks of about 1 MB", "the chunks of %s are larger than %d MiB",
				 d->path, STORAGE_MAX_CHUNK_BYTES >> 20);
	for (int i = 0; i < 2; i++)
		g->n[i] = d->dims[i] / g->dims[i] + (d->dims[i] % g->dims[i] != 0);
	if (__builtin_mul_overflow(g->n[0], g->n[1], &g->count) || g->count > STORAGE_MAX_CHUNKS)
		return error_set(e, STATUS_TOO_LARGE, "file", "rewrite it with h5repack and chunks of about 1 MB", "%s has more than %d chunks", d->path,
				 STORAGE_MAX_CHUNKS);
	return STATUS_OK;
}

static enum status add_chunked(const struct dataset *d, hid_t dcpl, uint64_t file_size, struct reply *reply, struct error *e)
{
	struct grid g;
	unsigned options = 0;
	enum status status = chunk_grid(d, dcpl, &g, e);
	if (status)
		return status;
	struct chunk *table = calloc(g.count ? g.count : 1, sizeof *table);
	if (!table)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for a table of %" PRIu64 " chunks", g.count);
	status = fill_table(d, &g, file_size, table, e);
	if (status)
		return status;
	H5Pget_chunk_opts(dcpl, &options);
	json_object_set_new(reply->result, "chunk_dims", json_pack("[I, I]", (json_int_t)g.dims[0], (json_int_t)g.dims[1]));
	json_object_set_new(reply->result, "partial_unfiltered", json_boolean(options & H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS));
	return reply_array(reply, "chunks", DTYPE_U8, table, g.count, sizeof *table);
}

/* ---- contiguous ---- */

/* A dataset that was made but never written: one missing chunk, so that its fill value is read. */
static enum status add_unwritten(const struct dataset *d, uint64_t nelements, struct reply *reply, struct error *e)
{
	static const struct chunk missing;
	if (nelements > 1ull << 32)
		return error_set(e, STATUS_CORRUPT, "file", NULL, "%s claims %" PRIu64 " samples, but none was ever written", d->path, nelements);
	json_object_set_new(reply->result, "storage", json_string("chunked"));
	const json_int_t n0 = d->dims[0] ? (json_int_t)d->dims[0] : 1, n1 = d->dims[1] ? (json_int_t)d->dims[1] : 1;
	json_object_set_new(reply->result, "chunk_dims", json_pack("[I, I]", n0, n1));
	json_object_set_new(reply->result, "partial_unfiltered", json_false());
	return reply_array(reply, "chunks", DTYPE_U8, &missing, nelements != 0, sizeof missing);
}

static enum status add_contiguous(const struct dataset *d, uint64_t file_size, struct reply *reply, struct error *e)
{
	uint64_t nelements, nbytes;
	if (__builtin_mul_overflow(d->dims[0], d->dims[1], &nelements) || __builtin_mul_overflow(nelements, dtype_size(d->dtype), &nbytes))
		return error_set(e, STATUS_CORRUPT, "file", NULL, "%s claims more bytes than can be counted", d->path);
	haddr_t address = H5Dget_offset(d->id);
	if (address == HADDR_UNDEF)
		return add_unwritten(d, nelements, reply, e);
	if (address > file_size || nbytes > file_size - address)
		return error_set(e, STATUS_CORRUPT, "file", truncated, "%s claims %" PRIu64 " bytes at %" PRIu64 ", the file has %" PRIu64, d->path, nbytes,
				 (uint64_t)address, file_size);
	char text[24];
	snprintf(text, sizeof text, "%" PRIu64, (uint64_t)address);
	json_object_set_new(reply->result, "address", json_string(text));
	return STATUS_OK;
}

static void add_fill(const struct dataset *d, hid_t dcpl, struct reply *reply)
{
	unsigned char fill[16] = { 0 };
	char text[33];
	H5D_fill_value_t defined;
	if (H5Pfill_value_defined(dcpl, &defined) >= 0 && defined != H5D_FILL_VALUE_UNDEFINED && H5Pget_fill_value(dcpl, d->memory_type, fill) < 0)
		memset(fill, 0, sizeof fill);
	for (size_t i = 0; i < sizeof fill; i++)
		snprintf(text + 2 * i, 3, "%02x", fill[i]);
	json_object_set_new(reply->result, "fill", json_string(text));
}

/* For pieces of whole chunks; where the daemon does not decode, that is all it needs to know. */
static void add_chunk_dims(const struct dataset *d, hid_t dcpl, struct reply *reply)
{
	hsize_t dims[2] = { 1, 1 };
	if (!d->flat && H5Pget_chunk(dcpl, (int)d->rank, dims) == (int)d->rank)
		json_object_set_new(reply->result, "chunk_dims", json_pack("[I, I]", (json_int_t)dims[0], (json_int_t)dims[1]));
}

/* A flat dataset whose chunks hold no whole frames is no grid of chunks in (frames, channels). */
static bool whole_frames(const struct dataset *d, hid_t dcpl)
{
	hsize_t n = 0;
	return !d->flat || (H5Pget_chunk(dcpl, 1, &n) == 1 && n % d->flat == 0);
}

enum status storage_describe(const struct dataset *d, uint64_t file_size, struct reply *reply, struct error *e)
{
	hid_t dcpl = H5Dget_create_plist(d->id);
	H5D_layout_t layout = H5Pget_layout(dcpl);
	bool decodable;
	json_t *filters = json_array();
	json_object_set_new(reply->result, "filters", filters);
	if (d->flat)
		json_object_set_new(reply->result, "flat", json_true());
	enum status status = add_filters(dcpl, d->path, filters, &decodable, e);
	if (status)
		return status;
	add_fill(d, dcpl, reply);
	const char *storage = layout == H5D_CHUNKED ? "chunked" : layout == H5D_CONTIGUOUS ? "contiguous" : "helper";
	if (!d->plain || !decodable || (layout == H5D_CHUNKED && !whole_frames(d, dcpl)))
		storage = "helper";
	if (layout == H5D_CHUNKED && strcmp(storage, "helper") == 0)
		add_chunk_dims(d, dcpl, reply);
	json_object_set_new(reply->result, "storage", json_string(storage));
	if (strcmp(storage, "chunked") == 0)
		return add_chunked(d, dcpl, file_size, reply, e);
	if (strcmp(storage, "contiguous") == 0)
		return add_contiguous(d, file_size, reply, e);
	return STATUS_OK;
}
