/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/helper/nwb_time.h"
#include "daemon/helper/fields.h"
#include "daemon/helper/frame_numbers.h"
#include "daemon/helper/progress.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 65536, BLOCK = 131072 };

static enum status from_rate(hid_t file, struct description *d, const char *path, struct error *e)
{
	double start = 0, rate = NAN;
	hid_t id;
	enum status status = dataset_open_any(file, path, &id, e);
	if (status)
		return status;
	hid_t space = H5Dget_space(id);
	bool ok = H5Sget_simple_extent_npoints(space) == 1 && H5Dread(id, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, &start) >= 0;
	attr_number(id, "rate", &rate);
	H5Sclose(space);
	H5Dclose(id);
	if (!ok || !isfinite(start))
		return error_set(e, STATUS_CORRUPT, "file", NULL, "%s is not one finite number", path);
	description_one_segment(d, start);
	return description_rate(d, rate, e);
}

static bool read_block(hid_t id, hid_t space, hsize_t start, hsize_t count, double *out)
{
	hid_t memory = H5Screate_simple(1, &count, NULL);
	bool ok = memory >= 0 && H5Sselect_hyperslab(space, H5S_SELECT_SET, &start, NULL, &count, NULL) >= 0 &&
		  H5Dread(id, H5T_NATIVE_DOUBLE, memory, space, H5P_DEFAULT, out) >= 0;
	H5Sclose(memory);
	return ok;
}

/* Sinks t[i] in the heap t[0..n). */
static void sink(double *t, size_t i, size_t n)
{
	for (size_t child; (child = 2 * i + 1) < n; i = child) {
		if (child + 1 < n && t[child + 1] > t[child])
			child++;
		if (!(t[child] > t[i]))
			return;
		double x = t[i];
		t[i] = t[child];
		t[child] = x;
	}
}

/* Heap sort: libc's qsort asks the kernel for the size of memory, which the sandbox forbids. NaN ends up somewhere; the caller sees it later. */
static void sort(double *t, size_t n)
{
	for (size_t i = n / 2; i-- > 0;)
		sink(t, i, n);
	while (n > 1) {
		double x = t[0];
		t[0] = t[--n];
		t[n] = x;
		sink(t, 0, n);
	}
}

/* 1/median of the steps between n times; NAN if there is none. `t` is overwritten. */
static double rate_of(double *t, size_t n)
{
	if (n < 2)
		return NAN;
	for (size_t i = 0; i + 1 < n; i++)
		t[i] = t[i + 1] - t[i];
	n--;
	sort(t, n);
	double median = n % 2 ? t[n / 2] : (t[n / 2 - 1] + t[n / 2]) / 2, rate = 1 / median;
	return fabs(rate - round(rate)) < 1e-6 * rate ? round(rate) : rate;
}

/* Cuts [first, first + n) at its gaps; *last is the time before it. */
static enum status cut(struct description *d, const double *t, size_t n, int64_t first, double *last, struct error *e)
{
	double longest = 1.5 / d->fs_hz;
	for (size_t i = 0; i < n; i++) {
		double step = t[i] - *last;
		*last = t[i];
		if (!isfinite(t[i]))
			return error_set(e, STATUS_CORRUPT, "file", NULL, "time stamp %lld of %s is not finite", (long long)first + (long long)i, d->stream);
		if (first + (int64_t)i != 0 && step > 0 && step <= longest)
			continue;
		if (!segments_start(&d->segments, first + (int64_t)i, t[i]))
			return error_set(e, STATUS_UNSUPPORTED, "file", "cut the recording into shorter ones", "%s has more than %d gaps", d->stream,
					 DESCRIPTION_MAX_SEGMENTS - 1);
	}
	return STATUS_OK;
}

static enum status scan(hid_t id, hid_t space, struct description *d, double *block, struct reply *reply, struct error *e)
{
	double last = 0;
	enum status status = STATUS_OK;
	for (size_t at = 0, n; at < d->nframes && !status; at += n) {
		n = d->nframes - at < BLOCK ? d->nframes - at : BLOCK;
		if (!read_block(id, space, at, n, block))
			return error_set(e, STATUS_CORRUPT, "file", NULL, "the time stamps of %s cannot be read", d->stream);
		status = cut(d, block, n, (int64_t)at, &last, e);
	}
	segments_close(&d->segments, (int64_t)d->nframes);
	if (!status && d->segments.n > 1)
		reply_warning(reply, "%s has gaps: %zu segments", d->stream, d->segments.n);
	return status;
}

/* Time stamps say when segments start, sample numbers where. */
static enum status from_sync(hid_t file, struct description *d, hid_t stamps, hid_t space, const char *path, struct reply *reply, struct error *e)
{
	enum status status = frame_numbers_read(file, path, d, reply, e);
	for (size_t i = 0; i < d->segments.n && !status; i++)
		if (!read_block(stamps, space, (hsize_t)d->segments.frames[i][0], 1, &d->segments.start_time_s[i]) || !isfinite(d->segments.start_time_s[i]))
			status = error_set(e, STATUS_CORRUPT, "file", NULL, "the time stamps of %s cannot be read", d->stream);
	return status;
}

static enum status find_rate(hid_t id, hid_t space, struct description *d, double *block, struct error *e)
{
	size_t n = d->nframes < STEPS ? d->nframes : STEPS;
	if (!read_block(id, space, 0, n, block))
		return error_set(e, STATUS_CORRUPT, "file", NULL, "the time stamps of %s cannot be read", d->stream);
	return description_rate(d, rate_of(block, n), e);
}

static enum status from_timestamps(hid_t file, struct description *d, const char *path, const char *sync, struct reply *reply, struct error *e)
{
	hid_t id;
	enum status status = dataset_open_any(file, path, &id, e);
	if (status)
		return status;
	hid_t space = H5Dget_space(id), type = H5Dget_type(id);
	hssize_t n = H5Sget_simple_extent_npoints(space);
	double *block = malloc(BLOCK * sizeof *block);
	if (H5Sget_simple_extent_ndims(space) != 1 || n < 0 || (uint64_t)n != d->nframes || H5Tget_class(type) != H5T_FLOAT || !type_sound(type))
		status = error_set(e, STATUS_CORRUPT, "file", NULL, "%s has %lld time stamps for %zu frames", path, (long long)n, d->nframes);
	else if (!block)
		status = error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for time stamps");
	else
		status = find_rate(id, space, d, block, e);
	if (!status)
		status = field_exists(file, sync) ? from_sync(file, d, id, space, sync, reply, e) : scan(id, space, d, block, reply, e);
	free(block);
	H5Tclose(type);
	H5Sclose(space);
	H5Dclose(id);
	return status;
}

enum status nwb_time(hid_t file, struct description *d, struct reply *reply, struct error *e)
{
	char start[DATASET_MAX_PATH], stamps[DATASET_MAX_PATH], sync[DATASET_MAX_PATH];
	if (!path_join(start, sizeof start, d->stream, "starting_time") || !path_join(stamps, sizeof stamps, d->stream, "timestamps") ||
	    !path_join(sync, sizeof sync, d->stream, "sync"))
		return error_set(e, STATUS_UNSUPPORTED, "recording", NULL, "the path of the recording is too long");
	if (H5Lexists(file, start, H5P_DEFAULT) > 0)
		return from_rate(file, d, start, e);
	if (H5Lexists(file, stamps, H5P_DEFAULT) <= 0)
		return error_set(e, STATUS_CORRUPT, "file", NULL, "%s has neither starting_time nor timestamps", d->stream);
	return from_timestamps(file, d, stamps, sync, reply, e);
}
