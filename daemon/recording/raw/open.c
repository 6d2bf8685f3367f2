/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Opening a raw recording: which of the two files was named, where the other one is, which stream is meant; then it is a contiguous recording like any.
 * The other file must lie below the configured roots, too.
 */
#include "daemon/paths.h"
#include "daemon/recording/raw/raw.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SNIFF = 64 << 10, SAMPLE = 2, MAX_USER_BLOCK = 1 << 20 };

enum side_kind { SIDE_NONE, SIDE_SPIKEGLX, SIDE_OPEN_EPHYS };

struct opening {
	struct recording *r;
	const struct recording_name *name;
	struct error *e;
	struct raw_side side;
	int data, text;             /* descriptors; -1: not open. One of them may be r->fd */
	char data_path[PATH_MAX], text_path[PATH_MAX];
	char folder[PATH_MAX];      /* Open Ephys, named by a data file: that of its streams */
	enum side_kind kind;
};

/* ---- which kind ---- */

static bool ends(const char *text, const char *with)
{
	size_t n = strlen(text), k = strlen(with);
	return n > k && strcmp(text + n - k, with) == 0;
}

static bool is_hdf5(int fd)
{
	uint8_t magic[8];
	for (off_t at = 0; at <= MAX_USER_BLOCK; at = at ? 2 * at : 512)
		if (pread(fd, magic, sizeof magic, at) != sizeof magic)
			return false;
		else if (memcmp(magic, "\x89HDF\r\n\x1a\n", sizeof magic) == 0)
			return true;
	return false;
}

/* By its first bytes. */
static enum side_kind kind_of(int fd)
{
	char *text = malloc(SNIFF);
	ssize_t n = text ? pread(fd, text, SNIFF, 0) : 0, at = 0;
	enum side_kind kind = SIDE_NONE;
	while (at < n && isspace((unsigned char)text[at]))
		at++;
	if (n > 0 && !memchr(text, '\0', (size_t)n)) {
		if (at < n && text[at] == '{' && memmem(text, (size_t)n, "\"continuous\"", 12))
			kind = SIDE_OPEN_EPHYS;
		else if (memmem(text, (size_t)n, "nSavedChans=", 12))
			kind = SIDE_SPIKEGLX;
	}
	free(text);
	return kind;
}

/* path with its ending exchanged; false: too long. */
static bool sibling(const char *path, const char *ending, const char *other, char *out)
{
	return (size_t)snprintf(out, PATH_MAX, "%.*s%s", (int)(strlen(path) - strlen(ending)), path, other) < PATH_MAX;
}

static bool open_quietly(const struct opening *o, const char *path, int *fd)
{
	char resolved[PATH_MAX];
	struct error none = { 0 };
	return paths_open(o->name->roots, path, fd, resolved, &none) == STATUS_OK;
}

/* DIRECTORY/continuous/FOLDER/continuous.dat belongs to DIRECTORY/structure.oebin. */
static bool recognise_open_ephys(struct opening *o)
{
	static const char above[] = "/continuous/", data[] = "/continuous.dat";
	const char *file = o->name->file, *found = NULL;
	if (!ends(file, data))
		return false;
	const char *end = file + strlen(file) - strlen(data);
	for (const char *at = file; (at = strstr(at, above)) && at + strlen(above) < end; at++)
		found = at;
	if (!found || (size_t)snprintf(o->text_path, PATH_MAX, "%.*s/structure.oebin", (int)(found - file), file) >= PATH_MAX ||
	    !open_quietly(o, o->text_path, &o->text))
		return false;
	found += strlen(above);
	snprintf(o->folder, sizeof o->folder, "%.*s", (int)(end - found), found);
	o->kind = kind_of(o->text);
	return o->kind == SIDE_OPEN_EPHYS;
}

/* Finds the text of a recording that was named by either file. */
static bool recognise(struct opening *o)
{
	const char *file = o->name->file;
	if (is_hdf5(o->r->fd))
		return false;
	o->kind = kind_of(o->r->fd);
	if (o->kind != SIDE_NONE) {
		o->text = o->r->fd;
		snprintf(o->text_path, sizeof o->text_path, "%s", file);
		return true;
	}
	if (recognise_open_ephys(o))
		return true;
	if (!ends(file, ".bin") || !sibling(file, ".bin", ".meta", o->text_path) || !open_quietly(o, o->text_path, &o->text))
		return false;
	o->kind = kind_of(o->text);
	if (o->kind == SIDE_SPIKEGLX)
		o->data = o->r->fd;
	return o->kind == SIDE_SPIKEGLX;
}

/* ---- the text ---- */

static enum status load(const struct opening *o, char **out, size_t *n)
{
	struct stat st;
	if (fstat(o->text, &st) != 0 || st.st_size > RAW_MAX_TEXT)
		return error_set(o->e, STATUS_TOO_LARGE, "file", NULL, "%.200s has more than %d MiB of text", o->text_path, RAW_MAX_TEXT >> 20);
	*out = malloc((size_t)st.st_size + 1);
	if (!*out)
		return error_set(o->e, STATUS_NO_MEMORY, NULL, NULL, "no memory for %.200s", o->text_path);
	for (*n = 0; *n < (size_t)st.st_size;) {
		ssize_t k = pread(o->text, *out + *n, (size_t)st.st_size - *n, (off_t)*n);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return error_set(o->e, STATUS_IO, "file", NULL, "%.200s cannot be read", o->text_path);
		*n += (size_t)k;
	}
	return STATUS_OK;
}

static enum status parse(struct opening *o)
{
	char *text = NULL;
	size_t n = 0;
	enum status status = load(o, &text, &n);
	if (!status && o->kind == SIDE_SPIKEGLX)
		status = raw_spikeglx_parse(text, n, o->name->file, &o->side, o->e);
	else if (!status)
		status = raw_open_ephys_parse(text, n, &o->side, o->e);
	free(text);
	return status;
}

/* ---- the stream ---- */

static void list_streams(const struct raw_side *side, char *out, size_t nout)
{
	size_t n = 0;
	out[0] = '\0';
	for (size_t i = 0; i < side->nstreams && n < nout; i++)
		n += (size_t)snprintf(out + n, nout - n, "%s%s", i ? ", " : "", side->streams[i].name);
}

static enum status choose(struct opening *o, struct raw_stream **out)
{
	struct raw_side *side = &o->side;
	char all[400];
	size_t nneural = 0;
	*out = NULL;
	list_streams(side, all, sizeof all);
	for (size_t i = 0; i < side->nstreams; i++) {
		struct raw_stream *s = &side->streams[i];
		const bool here = !o->folder[0] || strcmp(o->folder, s->folder) == 0;
		if (o->name->stream ? strcmp(o->name->stream, s->name) == 0 : here && (s->neural || side->nstreams == 1 || o->folder[0]) && (!*out || s->neural))
			*out = s;
		nneural += here && s->neural;
	}
	if (o->name->stream && !*out)
		return error_set(o->e, STATUS_NOT_FOUND, "recording", "name one of them", "no stream is called %.100s; there are: %s", o->name->stream, all);
	if (!o->name->stream && (nneural > 1 || !*out))
		return error_set(o->e, STATUS_INVALID, "recording", "name one of them", "the recording holds several streams: %s", all);
	return STATUS_OK;
}

/* ---- the data file ---- */

static enum status open_below(const struct opening *o, const struct raw_stream *s, const char *file, int *fd, char *resolved, struct error *e)
{
	char path[PATH_MAX];
	const int directory = (int)(strrchr(o->text_path, '/') - o->text_path);
	if ((size_t)snprintf(path, sizeof path, "%.*s/continuous/%s/%s", directory, o->text_path, s->folder, file) >= sizeof path)
		return error_set(e, STATUS_INVALID, "file", NULL, "the path of %s is too long", file);
	return paths_open(o->name->roots, path, fd, resolved, e);
}

static enum status open_data(struct opening *o, const struct raw_stream *s)
{
	char path[PATH_MAX];
	if (o->kind == SIDE_OPEN_EPHYS)
		return open_below(o, s, "continuous.dat", &o->data, o->data_path, o->e);
	if (o->data >= 0) {
		snprintf(o->data_path, sizeof o->data_path, "%s", o->name->file);
		return STATUS_OK;
	}
	if (!ends(o->text_path, ".meta") || !sibling(o->text_path, ".meta", ".bin", path))
		return error_set(o->e, STATUS_NOT_FOUND, "file", "name the .bin file", "%.200s does not end in .meta", o->text_path);
	return paths_open(o->name->roots, path, &o->data, o->data_path, o->e);
}

/* Frames in the data file. What the text says of its size must hold: a recording that was cut or is still being copied is no recording. */
static enum status count_frames(struct opening *o, const struct raw_stream *s, uint64_t *nframes)
{
	struct stat st;
	if (fstat(o->data, &st) != 0)
		return error_set(o->e, STATUS_IO, "file", NULL, "%.200s cannot be read: %s", o->data_path, strerror(errno));
	const uint64_t size = (uint64_t)st.st_size, frame = s->nstored * SAMPLE, said = o->side.data_bytes;
	if (said && said != size)
		return error_set(o->e, STATUS_CORRUPT, "file", "copy it again from its source", "%.200s has %" PRIu64 " bytes, its metadata say %" PRIu64,
				 o->data_path, size, said);
	if (!said && o->kind == SIDE_SPIKEGLX)
		raw_warn(&o->side, "the metadata do not say how many bytes the file has; was the recording stopped properly?");
	if (size % frame)
		raw_warn(&o->side, "the data end in the middle of a frame: %" PRIu64 " bytes are left out", size % frame);
	*nframes = size / frame;
	return STATUS_OK;
}

/* ---- segments ---- */

/* Start times in seconds, as synchronised, stand in timestamps.npy (since 0.6); where there are none they follow from the sample numbers. */
static void take_start_times(const struct opening *o, const struct raw_stream *s)
{
	struct error none = { 0 };
	char resolved[PATH_MAX];
	int fd;
	if (open_below(o, s, "timestamps.npy", &fd, resolved, &none) != STATUS_OK)
		return;
	for (size_t i = 0; i < o->r->nsegments; i++)
		raw_npy_double(fd, (uint64_t)o->r->segments[i].first_frame, &o->r->segments[i].start_time_s);
	close(fd);
}

static enum status numbered_segments(struct opening *o, const struct raw_stream *s, uint64_t *nframes)
{
	char resolved[PATH_MAX];
	struct error why = { 0 };
	const uint64_t all = *nframes;
	int fd;
	enum status status = open_below(o, s, "sample_numbers.npy", &fd, resolved, &why);
	const bool numbers = !status;
	if (status == STATUS_NOT_FOUND)
		status = open_below(o, s, "timestamps.npy", &fd, resolved, &why); /* before 0.6: numbers, too */
	if (status == STATUS_NOT_FOUND) {
		raw_warn(&o->side, "there are no sample numbers: gaps cannot be seen");
		return STATUS_OK;
	}
	if (status) {
		*o->e = why;
		return status;
	}
	status = raw_segments_from_numbers(o->r, fd, nframes, o->e);
	close(fd);
	if (!status && numbers)
		take_start_times(o, s);
	if (!status && *nframes < all)
		raw_warn(&o->side, "%" PRIu64 " frames at the end have no sample number: they are left out", all - *nframes);
	if (!status && o->r->nsegments > 1)
		raw_warn(&o->side, "the recording has gaps: %zu segments", o->r->nsegments);
	return status;
}

/* ---- the recording ---- */

static bool copy_texts(struct recording *r, const struct opening *o, const struct raw_stream *s)
{
	const struct raw_side *side = &o->side;
	r->streams = calloc(side->nstreams, sizeof *r->streams);
	r->warnings = calloc(RAW_MAX_WARNINGS, sizeof *r->warnings);
	r->channel_ids = calloc(s->nchannels, sizeof *r->channel_ids);
	r->stream = strdup(s->name);
	r->dataset = strdup(o->data_path);
	r->side_file = strdup(o->text_path);
	r->layout = strdup(o->kind == SIDE_SPIKEGLX ? "spikeglx" : "open_ephys");
	bool ok = r->streams && r->warnings && r->channel_ids && r->stream && r->dataset && r->side_file && r->layout;
	for (size_t i = 0; ok && i < side->nstreams; i++)
		ok = (r->streams[r->nstreams++] = recording_clean_text(side->streams[i].name, strlen(side->streams[i].name)));
	for (size_t i = 0; ok && i < side->nwarnings; i++)
		ok = (r->warnings[r->nwarnings++] = strdup(side->warnings[i]));
	for (size_t c = 0; ok && c < s->nchannels; c++)
		ok = (r->channel_ids[c] = recording_clean_text(s->ids[c], strlen(s->ids[c])));
	return ok;
}

static bool copy_numbers(struct recording *r, struct raw_stream *s)
{
	bool all = s->nchannels == s->nstored;
	r->offsets_uv = calloc(s->nchannels, sizeof *r->offsets_uv);
	r->gains_uv = s->gains_uv;
	r->channel_rows = s->rows;
	r->locations = s->locations;
	r->shifts = s->shifts;
	s->gains_uv = s->locations = s->shifts = NULL;
	s->rows = NULL;
	r->ndim_locations = r->locations ? 2 : 0;
	for (size_t c = 0; all && c < r->nchannels; c++)
		all = r->channel_rows[c] == c;
	if (all) {
		free(r->channel_rows);
		r->channel_rows = NULL;
	}
	return r->offsets_uv;
}

static enum status describe(struct opening *o, struct raw_stream *s, uint64_t nframes)
{
	struct recording *r = o->r;
	r->nchannels = s->nchannels;
	r->fs_hz = s->fs_hz;
	r->dtype = DTYPE_I16;
	r->has_uv = s->has_uv;
	r->storage = STORAGE_CONTIGUOUS;
	r->dims[0] = nframes;
	r->dims[1] = s->nstored;
	r->nsegments = 1;
	r->segments[0] = (struct recording_segment){ 0, (int64_t)nframes, o->side.start_time_s };
	enum status status = o->kind == SIDE_OPEN_EPHYS ? numbered_segments(o, s, &nframes) : STATUS_OK;
	if (status)
		return status;
	if (!copy_texts(r, o, s) || !copy_numbers(r, s))
		return error_set(o->e, STATUS_NO_MEMORY, NULL, NULL, "no memory for the description of a recording");
	return recording_take_files(r, o->data, o->data_path, o->text, o->e);
}

static void close_other(const struct opening *o, int fd)
{
	if (fd >= 0 && fd != o->r->fd)
		close(fd);
}

static enum status run(struct opening *o)
{
	struct raw_stream *chosen;
	uint64_t nframes = 0;
	enum status status = parse(o);
	if (!status)
		status = choose(o, &chosen);
	if (!status)
		status = open_data(o, chosen);
	if (!status)
		status = count_frames(o, chosen, &nframes);
	if (!status)
		status = describe(o, chosen, nframes);
	return status;
}

enum status raw_open(struct recording *r, const struct recording_name *name, bool *mine, struct error *e)
{
	struct opening *o = calloc(1, sizeof *o);
	if (!o)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for a recording");
	o->r = r;
	o->name = name;
	o->e = e;
	o->data = o->text = -1;
	*mine = recognise(o);
	enum status status = *mine ? run(o) : STATUS_OK;
	const int original = r->fd;
	if (*mine && !status && o->data != original) {
		r->fd = o->data;
		close(original);
		if (o->text == original)
			o->text = -1;
	}
	close_other(o, o->data);
	close_other(o, o->text);
	raw_side_fini(&o->side);
	free(o);
	return status;
}
