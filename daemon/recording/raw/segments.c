/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Sample numbers of Open Ephys: .npy of int64, one for each frame. They rise, by 1 where nothing was lost. So a run whose ends differ by its length
 * has no gap, and the gaps of hours are found by a few reads for each.
 */
#include "daemon/recording/raw/raw.h"
#include "protocol/bytes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_HEADER = 4096 };

struct npy {
	int fd;
	char descr[8];
	uint64_t n, data;  /* elements, offset of the first */
};

static bool read_at(int fd, void *out, size_t n, uint64_t at)
{
	return pread(fd, out, n, (off_t)at) == (ssize_t)n;
}

static uint64_t le64(const uint8_t *p)
{
	return le32(p) | (uint64_t)le32(p + 4) << 32;
}

/* 1-D, of 8-byte elements that all lie in the file. */
static bool npy_open(struct npy *a, int fd)
{
	uint8_t magic[12];
	char header[MAX_HEADER + 1];
	const off_t size = lseek(fd, 0, SEEK_END);
	*a = (struct npy){ .fd = fd };
	if (size < 0 || !read_at(fd, magic, sizeof magic, 0) || memcmp(magic, "\x93NUMPY", 6) != 0 || magic[6] < 1 || magic[6] > 3)
		return false;
	const size_t start = magic[6] == 1 ? 10 : 12, n = magic[6] == 1 ? le16(magic + 8) : le32(magic + 8);
	if (n > MAX_HEADER || !read_at(fd, header, n, start))
		return false;
	header[n] = '\0';
	const char *descr = strstr(header, "'descr': '"), *shape = strstr(header, "'shape': (");
	if (!descr || !shape || sscanf(descr + 10, "%3[<|a-z0-9]'", a->descr) != 1)
		return false;
	char *end;
	a->n = strtoull(shape + 10, &end, 10);
	a->data = start + n;
	while (*end == ',' || *end == ' ')
		end++;
	return *end == ')' && a->data <= (uint64_t)size && a->n <= ((uint64_t)size - a->data) / 8;
}

static bool value_at(const struct npy *a, uint64_t i, uint64_t *out)
{
	uint8_t raw[8];
	if (!read_at(a->fd, raw, sizeof raw, a->data + 8 * i))
		return false;
	*out = le64(raw);
	return true;
}

bool raw_npy_double(int fd, uint64_t index, double *value)
{
	struct npy a;
	uint64_t bits;
	if (!npy_open(&a, fd) || strcmp(a.descr, "<f8") != 0 || index >= a.n || !value_at(&a, index, &bits))
		return false;
	memcpy(value, &bits, sizeof *value);
	return isfinite(*value);
}

struct search {
	struct npy a;
	struct recording *r;
	struct error *e;
};

static enum status unreadable(struct search *s)
{
	return error_set(s->e, STATUS_CORRUPT, "file", "copy the recording again from its source", "the sample numbers cannot be read");
}

static enum status begin_segment(struct search *s, uint64_t frame, uint64_t number)
{
	struct recording *r = s->r;
	if (r->nsegments == RECORDING_MAX_SEGMENTS)
		return error_set(s->e, STATUS_TOO_LARGE, "file", NULL, "the sample numbers have more than %d gaps", RECORDING_MAX_SEGMENTS);
	r->segments[r->nsegments++] = (struct recording_segment){ (int64_t)frame, 0, (double)(int64_t)number / r->fs_hz };
	return STATUS_OK;
}

/* Frames i < j, whose numbers are x and y: begins a segment at each frame in (i, j] that does not follow the one before it. */
static enum status find_gaps(struct search *s, uint64_t i, uint64_t j, uint64_t x, uint64_t y)
{
	if (y - x == j - i)
		return STATUS_OK;
	if (j - i == 1)
		return begin_segment(s, j, y);
	uint64_t middle = i + (j - i) / 2, z;
	if (!value_at(&s->a, middle, &z))
		return unreadable(s);
	enum status status = find_gaps(s, i, middle, x, z);
	return status ? status : find_gaps(s, middle, j, z, y);
}

enum status raw_segments_from_numbers(struct recording *r, int fd, uint64_t *nframes, struct error *e)
{
	struct search s = { .r = r, .e = e };
	uint64_t first = 0, last = 0;
	if (!npy_open(&s.a, fd) || strcmp(s.a.descr, "<i8") != 0)
		return unreadable(&s);
	if (s.a.n > *nframes)
		return error_set(e, STATUS_CORRUPT, "file", "copy it again from its source", "continuous.dat has %llu frames, but there are sample numbers for %llu",
				 (unsigned long long)*nframes, (unsigned long long)s.a.n);
	*nframes = s.a.n;
	r->nsegments = 0;
	if (*nframes && (!value_at(&s.a, 0, &first) || !value_at(&s.a, *nframes - 1, &last)))
		return unreadable(&s);
	enum status status = begin_segment(&s, 0, first);
	if (!status && *nframes > 1)
		status = find_gaps(&s, 0, *nframes - 1, first, last);
	for (size_t k = 0; k < r->nsegments && !status; k++) {
		const uint64_t end = k + 1 < r->nsegments ? (uint64_t)r->segments[k + 1].first_frame : *nframes;
		r->segments[k].nframes = (int64_t)(end - (uint64_t)r->segments[k].first_frame);
	}
	return status;
}
