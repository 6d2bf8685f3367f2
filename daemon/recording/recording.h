/* SPDX-License-Identifier: BSD-3-Clause
 *
 * An open recording: what the file says of itself, and where its bytes lie.
 *
 * libhdf5 never runs in the daemon. The helper process (daemon/helper) recognises the layout and returns metadata and a chunk index;
 * after that the daemon reads with pread and decodes chunks itself, in parallel. What it cannot decode, the helper reads.
 */
#ifndef DAEMON_RECORDING_RECORDING_H
#define DAEMON_RECORDING_RECORDING_H

#include "daemon/recording/codecs.h"
#include "kernels/executor.h"
#include "protocol/dtype.h"
#include "protocol/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Which recording (SPEC.md 4.1). Strings are borrowed. */
struct recording_name {
	const char *file;            /* absolute path, already resolved below the configured roots, opened by the caller */
	const char *stream;          /* path of the stream in the file, or NULL if the file must hold exactly one */
	const char *dataset;         /* generic layout: path of a 2-D (or 1-D) dataset, or NULL to recognise the layout */
	double fs_hz;                /* generic layout */
	int time_axis;               /* generic layout: 0 or 1 */
	double gain_uv, offset_uv;   /* generic layout */
	const char *roots;           /* directories that the other files of a recording must lie in (raw/); NULL: none is opened */
};

enum recording_storage { STORAGE_CONTIGUOUS, STORAGE_CHUNKED, STORAGE_HELPER, STORAGE_SPARSE };
enum { RECORDING_MAX_FILTERS = 8, RECORDING_MAX_SEGMENTS = 1024, RECORDING_MAX_STREAMS = 256 };

struct recording_chunk {
	uint64_t address;            /* in the file; chunks with nbytes 0 are missing (fill value) */
	uint32_t nbytes;             /* as stored */
	uint32_t filter_mask;        /* bit i set: filter i of the pipeline was skipped */
};

/* A filter of the pipeline, in the order of writing. */
struct recording_filter {
	int id;
	char name[32];               /* ours, or as the file says where we do not know it */
	const struct codec *codec;   /* NULL: for the helper's library */
	struct codec_parameters parameters;
};

struct recording_segment {
	int64_t first_frame;         /* in the dataset */
	int64_t nframes;
	double start_time_s;
};

/* Immutable once opened, shared by reference; all threads may read. */
struct recording {
	atomic_int refs;
	int fd;                      /* the data file, O_RDONLY */
	char *file, *stream, *layout;
	char *side_file;             /* metadata in a file of their own, or NULL */
	char **streams;              /* every stream in the file */
	size_t nstreams;
	char **warnings;             /* what the user should know: swapped axes, gaps */
	size_t nwarnings;
	char fingerprint[256];       /* device, inode, size, mtime; of the data, then of the side file */
	uint64_t file_size;

	size_t nchannels;
	double fs_hz;
	enum dtype dtype;
	char **channel_ids;          /* [nchannels] */
	double *gains_uv, *offsets_uv; /* [nchannels] */
	bool has_uv;                 /* false: unit unknown, counts */
	double *locations;           /* [nchannels][ndim_locations] um, or NULL */
	size_t ndim_locations;
	double *shifts;              /* [nchannels] when a channel is sampled, as a part of the sample period, 0 to 1; or NULL */
	size_t nsegments;
	struct recording_segment segments[RECORDING_MAX_SEGMENTS];

	enum recording_storage storage;
	char *dataset;               /* path, for the helper */
	int time_axis;               /* of the dataset: 0 (frames, channels) or 1 (channels, frames) */
	size_t *channel_rows;        /* [nchannels] position of each channel in the dataset's channel axis; NULL: 0, 1, 2, ... */
	uint64_t dims[2];            /* of the dataset; dims[1] = 1 for a 1-D one, unless it is flat */
	bool flat;                   /* 1-D in the file, frame after frame */
	uint64_t address;            /* contiguous: first byte of the data */
	uint64_t chunk_dims[2];
	size_t nfilters;
	struct recording_filter filters[RECORDING_MAX_FILTERS];
	bool partial_unfiltered;     /* DONT_FILTER_PARTIAL_CHUNKS */
	uint8_t fill[16];            /* fill value, dtype bytes */
	struct recording_chunk *chunks; /* row-major over the chunk grid, [ceil(dims[0]/chunk_dims[0]) * ceil(dims[1]/chunk_dims[1])] */
	size_t nchunks;
	struct sparse *sparse;       /* STORAGE_SPARSE: only pieces were recorded (sparse.h) */
};

struct helper_limits {
	const char *path;            /* of spiked-h5 */
	size_t memory;               /* bytes of address space */
	int timeout_ms;              /* wall clock of one call */
	const char *plugin_path;     /* directories of HDF5 filter plugins, separated by ':'; NULL: none */
};

/* Opens a recording through the helper; may block for helper_limits.timeout_ms. `fd` is taken over (closed on failure too). */
enum status recording_open(struct recording **out, const struct recording_name *name, int fd, const struct helper_limits *helper, struct error *e);
struct recording *recording_ref(struct recording *r);
void recording_unref(struct recording *r);

/* For openers of single layouts: r->file becomes `path`, size and fingerprint those of the descriptors (side: -1, or that of r->side_file). */
enum status recording_take_files(struct recording *r, int data, const char *path, int side, struct error *e);

/* A copy of text from a file that can go into JSON: bytes that are not UTF-8, and control characters, become "?". */
char *recording_clean_text(const char *text, size_t n);

/* Has the file behind it been changed or replaced since it was opened? Costs one stat. */
bool recording_stale(const struct recording *r);

/* Reads frames [start, start + nframes) of a segment, all channels, into dst: [nframes][nchannels] of r->dtype, C order, channel_rows applied.
 * In parallel on ex. Each chunk that is touched is read and decoded once per call, so ask for spans of whole chunk rows: recording_span.
 * cancel (may be NULL) is polled between chunks: STATUS_CANCELLED. */
enum status recording_read(const struct recording *r, size_t segment, int64_t start, size_t nframes, const struct executor *ex,
			   const struct helper_limits *helper, const atomic_bool *cancel, void *dst, struct error *e);

/* Which of these samples were recorded, 1 or 0, [nframes][nchannels]: all, but where only pieces around events were kept. */
enum status recording_recorded(const struct recording *r, size_t segment, int64_t start, size_t nframes, const struct executor *ex,
			       const struct helper_limits *helper, const atomic_bool *cancel, uint8_t *dst, struct error *e);

/* Tells the system that these frames will be read soon, so that the disk works while the processor does; frames behind the end do not count. Plain and
 * chunked storage; costs a call of the system or a few. */
void recording_ahead(const struct recording *r, size_t segment, int64_t start, size_t nframes);

/* A good number of frames to read at once, near `wanted`: whole chunk rows, bounded by `budget` bytes of decoded data. */
size_t recording_span(const struct recording *r, size_t wanted, size_t budget);

#endif
