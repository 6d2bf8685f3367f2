/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Recordings: every fixture of tests/recording/make_fixtures.py through the helper and the reader, compared byte by byte with what h5py read;
 * filters; hostile helpers; damaged files.
 *
 *   SPIKED_FIXTURES   a folder where make_fixtures.py has run; otherwise one is made and removed
 *   SPIKED_H5         the helper; otherwise spiked-h5 beside this program
 *   SPIKED_KEEP       leave the files that the tests write
 *   SPIKED_FUZZ       number of damaged files and answers of each kind, default 200
 */
#include "daemon/recording/copy.h"
#include "daemon/recording/filters.h"
#include "daemon/recording/helper_call.h"
#include "daemon/recording/recording.h"
#include "daemon/recording/result.h"

#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

CU_ErrorCode test_recording_register(void);

static char fixtures[512], helper_path[512], scratch_dir[512];
static bool made_fixtures;
static json_t *manifest;
static struct helper_limits limits = { helper_path, (size_t)512 << 20, 10000, NULL };

/* ---- an executor of two threads, pieces taken in any order ---- */

struct team {
	void (*body)(void *arg, size_t i);
	void *arg;
	size_t n;
	atomic_size_t next;
};

static void *team_thread(void *arg)
{
	struct team *t = arg;
	for (size_t i; (i = atomic_fetch_add(&t->next, 1)) < t->n;)
		t->body(t->arg, i);
	return NULL;
}

static void team_run(void *ctx, size_t n, void (*body)(void *arg, size_t i), void *arg)
{
	(void)ctx;
	struct team t = { .body = body, .arg = arg, .n = n };
	pthread_t other;
	bool helped = n > 1 && pthread_create(&other, NULL, team_thread, &t) == 0;
	team_thread(&t);
	if (helped)
		pthread_join(other, NULL);
}

static const struct executor two_threads = { team_run, NULL, 2 };

/* ---- small helpers ---- */

static uint64_t random_state = 1;

static uint64_t random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static char *load(const char *path, size_t *n)
{
	struct stat st;
	FILE *f = fopen(path, "rb");
	if (!f || fstat(fileno(f), &st) != 0)
		return NULL;
	char *data = malloc((size_t)st.st_size + 1);
	*n = fread(data, 1, (size_t)st.st_size, f);
	fclose(f);
	return data;
}

static void save(const char *path, const void *data, size_t n, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
	CU_ASSERT_FATAL(fd >= 0 && write(fd, data, n) == (ssize_t)n);
	close(fd);
}

static const char *text_of(const json_t *c, const char *key)
{
	return json_string_value(json_object_get(c, key));
}

static double number_of(const json_t *c, const char *key, double otherwise)
{
	const json_t *value = json_object_get(c, key);
	return value ? json_number_value(value) : otherwise;
}

static const json_t *find_case(const char *name)
{
	size_t i;
	json_t *c;
	json_array_foreach(manifest, i, c)
		if (strcmp(text_of(c, "name"), name) == 0)
			return c;
	CU_FAIL_FATAL("no such fixture");
	return NULL;
}

static enum status open_path(struct recording **r, const char *path, const json_t *c, struct error *e)
{
	struct recording_name name = { .file = path, .stream = c ? text_of(c, "recording") : NULL, .dataset = c ? text_of(c, "dataset") : NULL,
				       .fs_hz = c ? number_of(c, "sampling_frequency", 0) : 0, .time_axis = c ? (int)number_of(c, "axis", 0) : 0,
				       .gain_uv = 1 };
	memset(e, 0, sizeof *e);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	CU_ASSERT_FATAL(fd >= 0);
	return recording_open(r, &name, fd, &limits, e);
}

static enum status open_case(struct recording **r, const json_t *c, struct error *e)
{
	char path[1024];
	snprintf(path, sizeof path, "%s/%s", fixtures, text_of(c, "file"));
	return open_path(r, path, c, e);
}

static struct recording *open_named(const char *name)
{
	struct recording *r;
	struct error e;
	CU_ASSERT_EQUAL_FATAL(open_case(&r, find_case(name), &e), STATUS_OK);
	return r;
}

static size_t row_bytes(const struct recording *r)
{
	return r->nchannels * dtype_size(r->dtype);
}

/* One failed case in a loop over many should say which. */
static void check(bool ok, const char *name, const char *what)
{
	if (!ok)
		fprintf(stderr, "\n  fixture %s: %s\n", name, what);
	CU_ASSERT(ok);
}

/* ---- fixtures ---- */

static void check_description(const struct recording *r, const json_t *c, const char *name)
{
	static const char *const storages[] = { "contiguous", "chunked", "helper", "sparse" };
	json_t *ids = json_object_get(c, "channel_ids"), *segments = json_object_get(c, "segments"), *filters = json_object_get(c, "filters");
	check(r->nchannels == (size_t)number_of(c, "num_channels", -1), name, "channels");
	check(strcmp(dtype_name(r->dtype), text_of(c, "dtype")) == 0, name, "dtype");
	check(!text_of(c, "layout") || strcmp(r->layout, text_of(c, "layout")) == 0, name, "layout");
	check(!text_of(c, "stream") || strcmp(r->stream, text_of(c, "stream")) == 0, name, "stream");
	check(!text_of(c, "storage") || strcmp(storages[r->storage], text_of(c, "storage")) == 0, name, "storage");
	check(r->fs_hz == number_of(c, "fs", r->fs_hz), name, "rate");
	check(r->time_axis == (int)number_of(c, "time_axis", r->time_axis), name, "time axis");
	check(fabs(r->gains_uv[0] - number_of(c, "gain", r->gains_uv[0])) < 1e-9, name, "gain");
	check(r->nchannels < 2 || fabs(r->gains_uv[1] - number_of(c, "gain1", r->gains_uv[1])) < 1e-9, name, "gain of channel 1");
	check(fabs(r->offsets_uv[0] - number_of(c, "offset", r->offsets_uv[0])) < 1e-9, name, "offset");
	for (size_t i = 0; i < json_array_size(ids); i++)
		check(strcmp(r->channel_ids[i], json_string_value(json_array_get(ids, i))) == 0, name, "channel id");
	check(!filters || r->nfilters == json_array_size(filters), name, "number of filters");
	for (size_t i = 0; i < json_array_size(filters) && i < r->nfilters; i++)
		check(strcmp(r->filters[i].name, json_string_value(json_array_get(filters, i))) == 0, name, "filter");
	json_t *location = json_object_get(c, "location1");
	check(!location || (r->locations && r->ndim_locations == 2 && r->locations[2] == json_number_value(json_array_get(location, 0)) &&
			    r->locations[3] == json_number_value(json_array_get(location, 1))), name, "locations");
	json_t *locations = json_object_get(c, "locations");
	check(!locations || (r->locations && r->ndim_locations == 2 && json_array_size(locations) == r->nchannels), name, "locations");
	for (size_t i = 0; i < json_array_size(locations) && r->locations; i++)
		for (size_t k = 0; k < 2; k++)
			check(r->locations[2 * i + k] == json_number_value(json_array_get(json_array_get(locations, i), k)), name, "location");
	check(!segments || r->nsegments == json_array_size(segments), name, "number of segments");
	for (size_t i = 0; i < json_array_size(segments) && i < r->nsegments; i++) {
		json_t *s = json_array_get(segments, i);
		check(r->segments[i].first_frame == json_integer_value(json_array_get(s, 0)) &&
		      r->segments[i].nframes == json_integer_value(json_array_get(s, 1)) &&
		      r->segments[i].start_time_s == json_number_value(json_array_get(s, 2)), name, "segment");
	}
}

static void check_range(const struct recording *r, size_t segment, int64_t start, size_t n, const char *expected, const struct executor *ex,
			const char *name)
{
	size_t row = row_bytes(r);
	char *got = malloc(n * row + 8);
	struct error e = { 0 };
	memset(got, 0x5a, n * row + 8);
	enum status status = recording_read(r, segment, start, n, ex, &limits, NULL, got, &e);
	check(status == STATUS_OK, name, e.message);
	check(memcmp(got, expected + (size_t)(r->segments[segment].first_frame + start) * row, n * row) == 0, name, "samples");
	check(memcmp(got + n * row, "ZZZZZZZZ", 8) == 0, name, "written past the end");
	free(got);
}

static void check_recorded(const struct recording *r, const json_t *c, const char *name)
{
	char path[1024];
	size_t nbytes;
	struct error e = { 0 };
	if (!text_of(c, "recorded"))
		return;
	snprintf(path, sizeof path, "%s/%s", fixtures, text_of(c, "recorded"));
	char *expected = load(path, &nbytes);
	CU_ASSERT_PTR_NOT_NULL_FATAL(expected);
	for (size_t s = 0; s < r->nsegments; s++) {
		size_t n = (size_t)r->segments[s].nframes, start = n / 3, count = n / 2 * r->nchannels;
		uint8_t *got = malloc(count + 1);
		check(recording_recorded(r, s, (int64_t)start, n / 2, &two_threads, &limits, NULL, got, &e) == STATUS_OK, name, e.message);
		check(memcmp(got, expected + ((size_t)r->segments[s].first_frame + start) * r->nchannels, count) == 0, name, "recorded");
		free(got);
	}
	free(expected);
}

static void check_samples(const struct recording *r, const json_t *c, const char *name)
{
	char path[1024];
	size_t nbytes;
	snprintf(path, sizeof path, "%s/%s", fixtures, text_of(c, "raw"));
	char *expected = load(path, &nbytes);
	CU_ASSERT_PTR_NOT_NULL_FATAL(expected);
	check(nbytes == (size_t)number_of(c, "num_frames", -1) * row_bytes(r), name, "bytes");
	for (size_t s = 0; s < r->nsegments; s++) {
		size_t n = (size_t)r->segments[s].nframes;
		check_range(r, s, 0, n, expected, &executor_serial, name);
		check_range(r, s, 0, n, expected, &two_threads, name);
		for (int i = 0; i < (r->storage == STORAGE_HELPER ? 3 : 20) && n; i++) {
			size_t start = random_next() % n, count = random_next() % (n - start + 1);
			check_range(r, s, (int64_t)start, count, expected, i % 2 ? &two_threads : &executor_serial, name);
		}
	}
	free(expected);
}

static void test_fixtures(void)
{
	size_t i;
	json_t *c;
	json_array_foreach(manifest, i, c) {
		struct recording *r = NULL;
		struct error e;
		const char *name = text_of(c, "name"), *message = text_of(c, "message");
		enum status status = open_case(&r, c, &e), want = status_from_name(text_of(c, "status"));
		if (status != want)
			fprintf(stderr, "\n  %s: %s: %s", name, status_name(status), e.message);
		check(status == want, name, "status");
		check(!message || strstr(e.message, message), name, e.message);
		if (r && want == STATUS_OK) {
			check_description(r, c, name);
			check_samples(r, c, name);
			check_recorded(r, c, name);
		}
		recording_unref(r);
	}
}

/* ---- single properties ---- */

/* A dataset may hold rows that are no channels, and channels in another order. */
static void test_channel_rows(void)
{
	static const char *const names[] = { "contiguous", "wide", "gzip_edges", "transposed_gzip", "big_endian", "holes" };
	for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
		struct recording *r = open_named(names[k]);
		size_t all = r->nchannels, n = (size_t)r->segments[0].nframes, size = dtype_size(r->dtype);
		char *whole = malloc(n * all * size), *some = malloc(n * 3 * size);
		struct error e;
		CU_ASSERT_EQUAL(recording_read(r, 0, 0, n, &two_threads, &limits, NULL, whole, &e), STATUS_OK);
		static const size_t rows[3] = { 5, 0, 3 };
		r->channel_rows = memcpy(malloc(sizeof rows), rows, sizeof rows);
		r->nchannels = 3;
		CU_ASSERT_EQUAL(recording_read(r, 0, 10, n - 10, &two_threads, &limits, NULL, some, &e), STATUS_OK);
		bool same = true;
		for (size_t f = 10; f < n; f++)
			for (size_t c = 0; c < 3; c++)
				same &= memcmp(some + ((f - 10) * 3 + c) * size, whole + (f * all + rows[c]) * size, size) == 0;
		check(same, names[k], "picked channels");
		free(whole);
		free(some);
		r->nchannels = all;
		recording_unref(r);
	}
}

static void test_ranges(void)
{
	struct recording *r = open_named("gzip");
	struct error e;
	int16_t x[7 * 10];
	CU_ASSERT_EQUAL(recording_read(r, 0, 0, 0, &executor_serial, &limits, NULL, x, &e), STATUS_OK);
	CU_ASSERT_EQUAL(recording_read(r, 0, 995, 6, &executor_serial, &limits, NULL, x, &e), STATUS_INVALID);
	CU_ASSERT_EQUAL(recording_read(r, 0, -1, 6, &executor_serial, &limits, NULL, x, &e), STATUS_INVALID);
	CU_ASSERT_EQUAL(recording_read(r, 0, 1, SIZE_MAX, &executor_serial, &limits, NULL, x, &e), STATUS_INVALID);
	CU_ASSERT_EQUAL(recording_read(r, 1, 0, 1, &executor_serial, &limits, NULL, x, &e), STATUS_INVALID);
	atomic_bool cancel = true;
	CU_ASSERT_EQUAL(recording_read(r, 0, 0, 10, &executor_serial, &limits, &cancel, x, &e), STATUS_CANCELLED);
	/* Chunks of 128 frames of 14 bytes. */
	CU_ASSERT_EQUAL(recording_span(r, 1, 1 << 20), 128);
	CU_ASSERT_EQUAL(recording_span(r, 300, 1 << 20), 384);
	CU_ASSERT_EQUAL(recording_span(r, 300, 300 * 14), 256);
	CU_ASSERT_EQUAL(recording_span(r, 300, 100 * 14), 100);
	CU_ASSERT_EQUAL(recording_span(r, 300, 0), 1);
	recording_unref(recording_ref(r));
	recording_unref(r);
}

static void test_stale(void)
{
	char path[1024];
	size_t n;
	struct recording *r;
	struct error e;
	snprintf(path, sizeof path, "%s/gzip.nwb", fixtures);
	char *data = load(path, &n);
	snprintf(path, sizeof path, "%s/stale.nwb", scratch_dir);
	save(path, data, n, 0600);
	CU_ASSERT_EQUAL_FATAL(open_path(&r, path, NULL, &e), STATUS_OK);
	CU_ASSERT_FALSE(recording_stale(r));
	int16_t *x = malloc(1000 * row_bytes(r));
	CU_ASSERT_EQUAL(truncate(path, (off_t)n / 2), 0);
	CU_ASSERT_TRUE(recording_stale(r));
	CU_ASSERT_EQUAL(recording_read(r, 0, 0, 1000, &two_threads, &limits, NULL, x, &e), STATUS_CORRUPT);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "shorter"));
	unlink(path);
	CU_ASSERT_TRUE(recording_stale(r));
	free(x);
	free(data);
	recording_unref(r);
}

static void test_filters(void)
{
	uint8_t in[700], out[700];
	for (size_t i = 0; i < sizeof in; i++)
		in[i] = (uint8_t)random_next();
	for (size_t size = 1; size <= 9; size++)
		for (size_t n = 0; n < sizeof in; n += 1 + random_next() % 5) {
			bool same = true;
			filters_unshuffle(in, out, n, size);
			for (size_t i = 0; i < n / size; i++)
				for (size_t j = 0; j < size; j++)
					same &= out[i * size + j] == in[j * (n / size) + i];
			for (size_t i = n / size * size; i < n; i++)
				same &= out[i] == in[i];
			CU_ASSERT(same);
		}
	/* Known values of the algorithm in its big-endian form. */
	CU_ASSERT_EQUAL(filters_fletcher32((const uint8_t *)"\x01\x02\x03\x04", 4), 0x05080406);
	CU_ASSERT_EQUAL(filters_fletcher32((const uint8_t *)"\x01", 1), 0x01000100);
	CU_ASSERT_FALSE(filters_fletcher32_ok(in, 3));
}

/* ---- helpers that misbehave ---- */

static void fake_helper(const char *script)
{
	static char path[600];
	snprintf(path, sizeof path, "%s/helper", scratch_dir);
	save(path, script, strlen(script), 0700);
	limits.path = path;
}

static enum status open_with_fake(const char *script, struct error *e)
{
	struct recording *r = NULL;
	struct helper_limits saved = limits;
	fake_helper(script);
	limits.timeout_ms = 300;
	enum status status = open_case(&r, find_case("gzip"), e);
	recording_unref(r);
	limits = saved;
	return status;
}

static void test_bad_helpers(void)
{
	struct error e;
	CU_ASSERT_EQUAL(open_with_fake("#!/bin/sh\nkill -SEGV $$\n", &e), STATUS_CORRUPT);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "signal 11"));
	CU_ASSERT_EQUAL(open_with_fake("#!/bin/sh\nexec sleep 30\n", &e), STATUS_CORRUPT);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "did not answer"));
	CU_ASSERT_EQUAL(open_with_fake("#!/bin/sh\nexec >&-; exec sleep 30\n", &e), STATUS_CORRUPT);
	CU_ASSERT_EQUAL(open_with_fake("#!/bin/sh\nexit 3\n", &e), STATUS_CORRUPT);
	CU_ASSERT_EQUAL(open_with_fake("#!/bin/sh\nexit 0\n", &e), STATUS_CORRUPT);
	CU_ASSERT_EQUAL(open_with_fake("#!/bin/sh\necho SPKDrubbish, much too short to be anything\n", &e), STATUS_CORRUPT);
	struct helper_limits saved = limits;
	struct recording *r;
	limits.path = "/nonexistent/spiked-h5";
	CU_ASSERT_EQUAL(open_case(&r, find_case("gzip"), &e), STATUS_INTERNAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "cannot be started"));
	limits = saved;
}

static size_t body_bytes(const struct helper_reply *reply)
{
	const struct array *last = &reply->m.arrays[reply->m.narrays - 1];
	return (size_t)((const uint8_t *)last->data + last->nbytes - reply->body);
}

/* Flips bytes; in the JSON it also swaps digits, so that the answer stays readable and only the numbers lie. */
static void damage(uint8_t *data, size_t n, bool digits)
{
	for (size_t k = 1 + random_next() % 4; k; k--) {
		size_t at = random_next() % n;
		if (!digits) {
			data[at] ^= (uint8_t)(1 + random_next() % 255);
			continue;
		}
		for (size_t tries = 0; tries < n && !(data[at] >= '0' && data[at] <= '9'); tries++)
			at = (at + 1) % n;
		data[at] = (uint8_t)('0' + random_next() % 10);
	}
}

static int fuzz_cases(void)
{
	const char *text = getenv("SPIKED_FUZZ");
	return text ? atoi(text) : 200;
}

/* Opens and reads; only the absence of crashes, hangs and leaks is asked for. */
static void try_all(const char *path, const json_t *c)
{
	struct recording *r = NULL;
	struct error e;
	enum status status = open_path(&r, path, c, &e);
	if (status) {
		CU_ASSERT(r == NULL && e.message[0]);
		return;
	}
	for (size_t s = 0; s < r->nsegments && s < 3; s++) {
		size_t n = (size_t)r->segments[s].nframes, most = ((size_t)8 << 20) / row_bytes(r);
		n = n < most ? n : most;
		void *x = malloc(n * row_bytes(r) + 1);
		status = recording_read(r, s, 0, n, &two_threads, &limits, NULL, x, &e);
		CU_ASSERT(status == STATUS_OK || e.message[0]);
		free(x);
	}
	recording_unref(r);
}

static void test_lying_helper(void)
{
	static const char *const names[] = { "all_filters", "contiguous", "gap", "brw4_sparse", "brw3_ragged", "mcs" };
	char answer[600], script[700], path[1024];
	struct helper_limits saved = limits;
	snprintf(answer, sizeof answer, "%s/answer", scratch_dir);
	snprintf(script, sizeof script, "#!/bin/sh\nexec cat %s\n", answer);
	for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
		struct helper_reply reply;
		struct error e;
		snprintf(path, sizeof path, "%s/%s", fixtures, text_of(find_case(names[k]), "file"));
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		CU_ASSERT_EQUAL_FATAL(helper_ask_json(&saved, "index", fd, json_object(), 1 << 20, &reply, &e), STATUS_OK);
		close(fd);
		size_t n = body_bytes(&reply), nheader = 32 + reply.m.prefix.header_bytes;
		uint8_t *copy = malloc(n);
		fake_helper(script);
		for (int i = 0; i < fuzz_cases() / 6 + 1; i++) {
			memcpy(copy, reply.body, n);
			if (i % 3 == 2)
				damage(copy + nheader, n - nheader, false);
			else
				damage(copy + 32, nheader - 32, i % 3);
			save(answer, copy, n, 0600);
			try_all(path, NULL);
		}
		free(copy);
		helper_reply_fini(&reply);
		limits = saved;
	}
}

static void test_damaged_files(void)
{
	static const char *const names[] = { "all_filters", "index_extensible", "gap", "names", "szip", "scaled", "holes", "codec_blosc_zstd",
					     "codec_bitshuffle_zstd", "brw4_sparse" };
	char path[1024];
	struct helper_limits saved = limits;
	limits.timeout_ms = 2000;
	for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
		const json_t *c = find_case(names[k]);
		size_t n;
		snprintf(path, sizeof path, "%s/%s", fixtures, text_of(c, "file"));
		char *data = load(path, &n), *copy = malloc(n);
		snprintf(path, sizeof path, "%s/damaged.h5", scratch_dir);
		for (int i = 0; i < fuzz_cases() / 8 + 1; i++) {
			memcpy(copy, data, n);
			/* Half of the damage to the first blocks, where the structure is. */
			damage((uint8_t *)copy, i % 2 ? n : n < 8192 ? n : 8192, false);
			save(path, copy, i % 8 == 7 ? random_next() % n : n, 0600);
			try_all(path, c);
		}
		free(data);
		free(copy);
	}
	limits = saved;
}

/* ---- results ---- */

static struct peak *make_peaks(const struct recording *r, size_t n)
{
	struct peak *peaks = calloc(n ? n : 1, sizeof *peaks);
	for (size_t i = 0; i < n; i++)
		peaks[i] = (struct peak){ .sample_index = (int64_t)i % r->segments[0].nframes, .channel_index = (int64_t)(random_next() % r->nchannels),
					  .amplitude = -(double)(random_next() % 1000), .segment_index = 0 };
	return peaks;
}

static size_t count_files(const char *what)
{
	char command[700], out[32] = "";
	snprintf(command, sizeof command, "ls %s/%s 2>/dev/null | wc -l", scratch_dir, what);
	FILE *f = popen(command, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(fgets(out, sizeof out, f));
	pclose(f);
	return (size_t)atoi(out);
}

static bool done(int dir, const char *name, const struct recording *r, const char *parameters, const char *expected_why)
{
	bool is_done = false;
	char why[320];
	struct error e;
	CU_ASSERT_EQUAL(result_is_done(&is_done, dir, name, r, parameters, &limits, why, sizeof why, &e), STATUS_OK);
	check(is_done ? why[0] == '\0' : strstr(why, expected_why) != NULL, name, why);
	return is_done;
}

static void flip_byte(const char *path, size_t at)
{
	size_t n;
	char *data = load(path, &n);
	data[at % n] ^= 0x40;
	save(path, data, n, 0600);
	free(data);
}

/* Where the bytes of the peak table lie in the file. */
static size_t find_peaks(const char *path, const struct peak *peaks)
{
	size_t n;
	char *data = load(path, &n), *at = memmem(data, n, peaks, 4 * sizeof *peaks);
	size_t offset = at ? (size_t)(at - data) : 0;
	free(data);
	return offset;
}

static void test_results(void)
{
	char path[700];
	struct error e;
	struct recording *r = open_named("names");
	double noise[7] = { 1, 2, 3, 4, 5, 6, 7.5 };
	struct peak *peaks = make_peaks(r, 900);
	struct result result = { .recording = r, .peaks = peaks, .npeaks = 900, .noise_levels = noise, .parameters = "{\"threshold\":5}" };
	int dir = open(scratch_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CU_ASSERT_FALSE(done(dir, "a.nwb", r, result.parameters, "no such file"));
	CU_ASSERT_EQUAL_FATAL(result_write(dir, "a.nwb", &result, &limits, &e), STATUS_OK);
	CU_ASSERT_EQUAL(result_write(dir, "a.nwb", &result, &limits, &e), STATUS_INVALID);
	result.replace = true;
	CU_ASSERT_EQUAL(result_write(dir, "a.nwb", &result, &limits, &e), STATUS_OK);
	CU_ASSERT_EQUAL(result_write(dir, "b.nwb", &result, &limits, &e), STATUS_OK);
	CU_ASSERT_TRUE(done(dir, "a.nwb", r, result.parameters, ""));
	CU_ASSERT_FALSE(done(dir, "a.nwb", r, "{}", "parameters"));

	/* The same content is the same bytes. */
	size_t na, nb;
	snprintf(path, sizeof path, "%s/a.nwb", scratch_dir);
	char *a = load(path, &na);
	snprintf(path, sizeof path, "%s/b.nwb", scratch_dir);
	char *b = load(path, &nb);
	CU_ASSERT(na == nb && memcmp(a, b, na) == 0);

	/* Damage to the table, and a file cut short, are noticed. */
	flip_byte(path, find_peaks(path, peaks) + 100);
	CU_ASSERT_FALSE(done(dir, "b.nwb", r, result.parameters, "damaged"));
	CU_ASSERT_EQUAL(truncate(path, (off_t)nb / 2), 0);
	CU_ASSERT_FALSE(done(dir, "b.nwb", r, result.parameters, "truncated"));
	snprintf(path, sizeof path, "%s/foreign.nwb", scratch_dir);
	save(path, "hello", 5, 0600);
	CU_ASSERT_FALSE(done(dir, "foreign.nwb", r, result.parameters, "not an HDF5 file"));

	/* No peaks, no noise; indices outside. */
	result.npeaks = 0;
	result.noise_levels = NULL;
	CU_ASSERT_EQUAL(result_write(dir, "empty.nwb", &result, &limits, &e), STATUS_OK);
	CU_ASSERT_TRUE(done(dir, "empty.nwb", r, result.parameters, ""));
	result.npeaks = 1;
	peaks[0].channel_index = 7;
	CU_ASSERT_EQUAL(result_write(dir, "c.nwb", &result, &limits, &e), STATUS_INVALID);
	CU_ASSERT_EQUAL(result_write(dir, "../c.nwb", &result, &limits, &e), STATUS_INVALID);
	int nowhere = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	result.npeaks = 0;
	CU_ASSERT_EQUAL(result_write(nowhere, "c.nwb", &result, &limits, &e), STATUS_IO);
	close(nowhere);
	CU_ASSERT_EQUAL(count_files("*.part.*"), 0);
	free(a);
	free(b);
	free(peaks);
	close(dir);
	recording_unref(r);
}

static void test_stale_parts(void)
{
	char path[700], running[64];
	const struct timespec old[2] = { { 1000, 0 }, { 1000, 0 } };
	int dir = open(scratch_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(running, sizeof running, "y.nwb.part.%ld-00000000", (long)getpid());
	const char *const names[] = { "x.nwb.part.4194399-00000000", running, "z.nwb.part.notes" };
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "%s/%s", scratch_dir, names[i]);
		save(path, "x", 1, 0600);
	}
	CU_ASSERT_EQUAL(result_remove_stale(dir, "q.nwb"), 0);
	CU_ASSERT_EQUAL(result_remove_stale(dir, "x"), 0);
	CU_ASSERT_EQUAL(result_remove_stale(dir, "x.nwb"), 1);
	CU_ASSERT_EQUAL(result_remove_stale(dir, "y.nwb"), 0);
	snprintf(path, sizeof path, "%s/%s", scratch_dir, names[0]);
	save(path, "x", 1, 0600);
	for (size_t i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(utimensat(dir, names[i], old, 0), 0);
	CU_ASSERT_EQUAL(result_remove_stale(dir, "q.nwb"), 1);
	CU_ASSERT_EQUAL(count_files("*.part.*"), 2);
	for (size_t i = 0; i < 3; i++)
		unlinkat(dir, names[i], 0);
	close(dir);
}

/* ---- suite ---- */

static int run_python(const char *script, const char *argument)
{
	char command[1600];
	snprintf(command, sizeof command, "/usr/bin/python3 %s %s >/dev/null", script, argument);
	return system(command);
}

static int start(void)
{
	char self[400], path[1024];
	const char *given = getenv("SPIKED_FIXTURES"), *h5 = getenv("SPIKED_H5");
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	self[n > 0 ? n : 0] = '\0';
	char *slash = strrchr(self, '/');
	if (slash)
		*slash = '\0';
	snprintf(helper_path, sizeof helper_path, "%s%s", h5 ? h5 : self, h5 ? "" : "/spiked-h5");
	strcpy(scratch_dir, "/tmp/spiked-test-XXXXXX");
	if (!mkdtemp(scratch_dir))
		return 1;
	snprintf(fixtures, sizeof fixtures, "%s", given ? given : scratch_dir);
	made_fixtures = !given;
	if (!given && run_python("tests/recording/make_fixtures.py", scratch_dir) != 0) {
		fprintf(stderr, "the fixtures cannot be made: is python3-h5py installed, and is this the top of the source tree?\n");
		return 1;
	}
	snprintf(path, sizeof path, "%s/manifest.json", fixtures);
	manifest = json_load_file(path, 0, NULL);
	return manifest ? 0 : 1;
}

static int stop(void)
{
	char command[600];
	json_decref(manifest);
	snprintf(command, sizeof command, "rm -rf %s", scratch_dir);
	return getenv("SPIKED_KEEP") ? 0 : system(command);
}

CU_ErrorCode test_recording_register(void)
{
	CU_TestInfo tests[] = {
		{ "fixtures", test_fixtures },
		{ "channel rows", test_channel_rows },
		{ "ranges", test_ranges },
		{ "stale", test_stale },
		{ "filters", test_filters },
		{ "bad helpers", test_bad_helpers },
		{ "lying helper", test_lying_helper },
		{ "damaged files", test_damaged_files },
		{ "results", test_results },
		{ "stale parts", test_stale_parts },
		CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = { { "recording", start, stop, NULL, NULL, tests }, CU_SUITE_INFO_NULL };
	return CU_register_suites(suites);
}
