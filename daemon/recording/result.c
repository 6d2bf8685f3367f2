/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/recording/result.h"
#include "protocol/digest.h"
#include "daemon/recording/helper_call.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MAX_NAME = 200, ANSWER_BYTES = 1 << 20, BYTES_PER_MS = 10000, MAX_ARRAYS = 5, STALE_S = 3600 };

static const char part_mark[] = ".part.";

static void hash_text(const char *text, char out[17])
{
	snprintf(out, 17, "%016" PRIx64, digest_add(DIGEST_START, text, strlen(text)));
}

static enum status check_name(const char *name, struct error *e)
{
	if (!*name || strlen(name) > MAX_NAME || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return error_set(e, STATUS_INVALID, "output", NULL, "a result's file name must have 1 to %d bytes and no slash", MAX_NAME);
	return STATUS_OK;
}

static enum status check_peaks(const struct result *result, struct error *e)
{
	const struct recording *r = result->recording;
	for (size_t i = 0; i < result->npeaks; i++) {
		const struct peak *p = &result->peaks[i];
		if (p->channel_index < 0 || (uint64_t)p->channel_index >= r->nchannels || p->segment_index < 0 || (uint64_t)p->segment_index >= r->nsegments ||
		    p->sample_index < 0 || p->sample_index >= r->segments[p->segment_index].nframes)
			return error_set(e, STATUS_INVALID, "peaks", NULL, "peak %zu (frame %lld, channel %lld, segment %lld) lies outside the recording", i,
					 (long long)p->sample_index, (long long)p->channel_index, (long long)p->segment_index);
	}
	return STATUS_OK;
}

/* The start time that an NWB file states; *usable: it has one. */
static enum status stated_start(const struct recording *r, const struct helper_limits *helper, bool *usable, char *out, size_t nout, struct error *e)
{
	struct helper_reply reply;
	enum status status = helper_ask_json(helper, "about", r->fd, json_object(), ANSWER_BYTES, &reply, e);
	if (status)
		return status;
	const char *text = json_string_value(json_object_get(reply.result, "session_start_time"));
	/* As ISO 8601 starts: 2024-05-06T07:08:09 */
	*usable = text && strlen(text) >= 19 && strlen(text) < nout && text[4] == '-' && text[10] == 'T' &&
		  strspn(text, "0123456789-+:.TZ") == strlen(text);
	if (*usable)
		snprintf(out, nout, "%s", text);
	helper_reply_fini(&reply);
	return STATUS_OK;
}

/* NWB wants a start time. It is the source's own where that is NWB, otherwise the input file's modification time: never the clock. */
static enum status session_start(const struct recording *r, const struct helper_limits *helper, char *out, size_t nout, struct error *e)
{
	struct stat st;
	struct tm tm;
	bool usable = false;
	enum status status = r->side_file ? STATUS_OK : stated_start(r, helper, &usable, out, nout, e);
	if (status || usable)
		return status;
	if (fstat(r->fd, &st) != 0 || !gmtime_r(&st.st_mtim.tv_sec, &tm))
		return error_set(e, STATUS_IO, "file", NULL, "%.200s cannot be examined", r->file);
	strftime(out, nout, "%Y-%m-%dT%H:%M:%S+00:00", &tm);
	return STATUS_OK;
}

static json_t *provenance(const struct recording *r, const char *parameters)
{
	char hash[17];
	hash_text(parameters, hash);
	return json_pack("{s:s, s:s, s:s, s:s}", "spiked_version", SPIKED_VERSION, "input_fingerprint", r->fingerprint, "recording", r->stream,
			 "parameters_hash", hash);
}

static json_t *header_of(const struct result *result, const char *part, const char *name, const char *start)
{
	const struct recording *r = result->recording;
	char identifier[64], hash[17];
	uint64_t id = digest_add(digest_add(DIGEST_START, r->fingerprint, strlen(r->fingerprint)), r->stream, strlen(r->stream));
	hash_text(result->parameters, hash);
	snprintf(identifier, sizeof identifier, "spiked-%016" PRIx64 "-%s", id, hash);
	json_t *header = provenance(r, result->parameters), *more =
		json_pack("{s:s, s:s, s:b, s:s, s:s, s:s, s:f, s:s}", "part", part, "name", name, "replace", (int)result->replace, "identifier", identifier,
			  "session_description", "spikes detected by spiked", "session_start_time", start, "sampling_frequency", r->fs_hz, "parameters",
			  result->parameters);
	json_t *file = json_string(r->file);
	if (!header || !more || json_object_update(header, more) != 0)
		goto fail;
	/* A path may hold any bytes; where they are not UTF-8 it is left out. */
	json_object_set_new(header, "input_file", file ? file : json_string(""));
	json_decref(more);
	return header;
fail:
	json_decref(file);
	json_decref(more);
	json_decref(header);
	return NULL;
}

/* ---- the body ---- */

struct body {
	struct array arrays[MAX_ARRAYS];
	size_t narrays;
	char *ids;
	double *starts;
	uint8_t *head;
	struct iovec parts[2 * MAX_ARRAYS + 1];
	size_t nparts, nbytes;
};

static void add_array(struct body *b, const char *name, enum dtype dtype, const void *data, uint64_t n0, uint64_t n1)
{
	struct array *a = &b->arrays[b->narrays++];
	*a = (struct array){ .via = VIA_INLINE, .data = data };
	array_init(a, name, dtype, dtype == DTYPE_F64 ? 2 : 1, (const uint64_t[]){ n0, n1 });
}

static bool add_arrays(struct body *b, const struct result *result)
{
	const struct recording *r = result->recording;
	size_t nids = 0;
	for (size_t c = 0; c < r->nchannels; c++)
		nids += strlen(r->channel_ids[c]) + 1;
	b->ids = malloc(nids);
	b->starts = malloc(r->nsegments * sizeof *b->starts);
	if (!b->ids || !b->starts)
		return false;
	char *p = b->ids;
	for (size_t c = 0; c < r->nchannels; c++)
		p = stpcpy(p, r->channel_ids[c]) + 1;
	for (size_t s = 0; s < r->nsegments; s++)
		b->starts[s] = r->segments[s].start_time_s;
	add_array(b, "peaks", DTYPE_PEAK, result->peaks, result->npeaks, 1);
	add_array(b, "channel_ids", DTYPE_U8, b->ids, nids, 1);
	add_array(b, "segment_starts", DTYPE_F64, b->starts, r->nsegments, 1);
	if (result->noise_levels)
		add_array(b, "noise_levels", DTYPE_F64, result->noise_levels, r->nchannels, 1);
	if (r->locations)
		add_array(b, "locations", DTYPE_F64, r->locations, r->nchannels, r->ndim_locations);
	return true;
}

static void add_part(struct body *b, const void *data, size_t n)
{
	b->parts[b->nparts++] = (struct iovec){ (void *)(uintptr_t)data, n };
	b->nbytes += n;
}

static bool make_body(struct body *b, const struct result *result, json_t *header)
{
	static const uint8_t id[MESSAGE_ID_BYTES], zeros[MESSAGE_ALIGN];
	size_t nhead;
	if (!header || !add_arrays(b, result) ||
	    message_encode(header, MESSAGE_REQUEST, id, b->arrays, b->narrays, NULL, 0, &b->head, &nhead) != STATUS_OK)
		return false;
	add_part(b, b->head, nhead);
	for (size_t i = 0; i < b->narrays; i++) {
		add_part(b, b->arrays[i].data, b->arrays[i].nbytes);
		if (i + 1 < b->narrays)
			add_part(b, zeros, message_padding(b->arrays[i].nbytes));
	}
	return true;
}

enum status result_write(int dir, const char *name, const struct result *result, const struct helper_limits *helper, struct error *e)
{
	unsigned number = 0;
	char part[MAX_NAME + 48], start[64];
	struct body b = { .narrays = 0 };
	struct helper_reply reply = { 0 };
	json_t *header = NULL;
	enum status status = check_name(name, e);
	if (!status)
		status = check_peaks(result, e);
	if (!status)
		status = session_start(result->recording, helper, start, sizeof start, e);
	if (status)
		return status;
	/* Random, because a shared folder knows the pids of several machines. */
	if (getrandom(&number, sizeof number, 0) != sizeof number)
		return error_set(e, STATUS_INTERNAL, NULL, NULL, "no random numbers");
	snprintf(part, sizeof part, "%s%s%ld-%08x", name, part_mark, (long)getpid(), number);
	header = header_of(result, part, name, start);
	if (!make_body(&b, result, header)) {
		status = error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for writing %s", name);
		goto done;
	}
	const struct helper_call call = { .command = "write-nwb", .fd = dir, .in = b.parts, .nin = b.nparts, .max_output = ANSWER_BYTES,
					  .more_memory = 3 * b.nbytes, .more_ms = b.nbytes / BYTES_PER_MS < INT32_MAX / 2 ? (int)(b.nbytes / BYTES_PER_MS) : INT32_MAX / 2 };
	status = helper_ask(helper, &call, &reply, e);
	if (status)
		unlinkat(dir, part, 0); /* if the helper died before it could */
done:
	helper_reply_fini(&reply);
	json_decref(header);
	free(b.head);
	free(b.ids);
	free(b.starts);
	return status;
}

/* ---- is it done? ---- */

static void because(char *why, size_t nwhy, const char *text)
{
	if (nwhy)
		snprintf(why, nwhy, "%s", text);
}

enum status result_is_done(bool *done, int dir, const char *name, const struct recording *recording, const char *parameters,
			   const struct helper_limits *helper, char *why, size_t nwhy, struct error *e)
{
	struct stat st;
	struct helper_reply reply;
	*done = false;
	because(why, nwhy, "");
	enum status status = check_name(name, e);
	if (status)
		return status;
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		because(why, nwhy, fd < 0 && errno == ENOENT ? "there is no such file" : "it is not a file that can be read");
		if (fd >= 0)
			close(fd);
		return STATUS_OK;
	}
	status = helper_ask_json(helper, "check-result", fd, provenance(recording, parameters), ANSWER_BYTES, &reply, e);
	close(fd);
	if (status == STATUS_CORRUPT) {
		because(why, nwhy, "it is damaged");
		return STATUS_OK;
	}
	if (status)
		return status;
	const char *text = json_string_value(json_object_get(reply.result, "why"));
	*done = json_is_true(json_object_get(reply.result, "done"));
	because(why, nwhy, text ? text : "");
	helper_reply_fini(&reply);
	return STATUS_OK;
}

/* ---- leftovers ---- */

/* The pid in NAME.part.PID-NUMBER, or 0. */
static long writer_of(const char *name)
{
	const char *mark = NULL;
	for (const char *p = name; (p = strstr(p, part_mark)); p++)
		mark = p;
	char *end;
	long pid = mark ? strtol(mark + strlen(part_mark), &end, 10) : 0;
	return mark && pid > 0 && *end == '-' ? pid : 0;
}

/* Is this a part of the result `name`? */
static bool part_of(const char *part, const char *name)
{
	size_t n = strlen(name);
	return strncmp(part, name, n) == 0 && strncmp(part + n, part_mark, strlen(part_mark)) == 0;
}

/* Nobody here has that pid; and if it is not ours, nobody elsewhere has written for an hour. */
static bool stale(int dir, const char *name, bool ours)
{
	struct stat st;
	long pid = writer_of(name);
	return pid && kill((pid_t)pid, 0) != 0 && errno == ESRCH && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	       (ours || time(NULL) - st.st_mtim.tv_sec > STALE_S);
}

size_t result_remove_stale(int dir, const char *name)
{
	size_t removed = 0;
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
	if (!list) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	for (struct dirent *entry; (entry = readdir(list));)
		removed += stale(dir, entry->d_name, part_of(entry->d_name, name)) && unlinkat(dir, entry->d_name, 0) == 0;
	closedir(list);
	return removed;
}
