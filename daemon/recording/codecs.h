/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The HDF5 filters that the daemon undoes itself, one row each in codecs.c. They work on bytes that nobody vouches for: nothing is read or written
 * beyond what the caller gives, and memory is bounded by the size of a chunk.
 */
#ifndef DAEMON_RECORDING_CODECS_H
#define DAEMON_RECORDING_CODECS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct libdeflate_decompressor;
struct ZSTD_DCtx_s;

enum { CODEC_MAX_PARAMETERS = 8 };

/* What a decoder may keep from chunk to chunk; all zero is empty. One thread at a time. */
struct codec_state {
	struct libdeflate_decompressor *inflate;
	struct ZSTD_DCtx_s *zstd;
	uint8_t *block; /* of bitshuffle: a block before its bits are put back, and its planes of bytes */
	size_t nblock;
};

/* The client data of a filter in the file, zero behind the last one. */
struct codec_parameters {
	uint32_t n, at[CODEC_MAX_PARAMETERS];
};

struct codec {
	int id; /* registered with the HDF Group */
	const char *name;

	/* Undoes the filter: nin bytes of `in` become *nout <= capacity bytes of `out`; false: damaged, or no memory. They do not overlap.
	 * NULL for a filter that only appends a checksum. */
	bool (*decode)(struct codec_state *s, const struct codec_parameters *p, const uint8_t *in, size_t nin, uint8_t *out, size_t capacity,
		       size_t *nout);

	/* Are these parameters that decode understands? Others are left to the helper. NULL: any. */
	bool (*accepts)(const struct codec_parameters *p);
};

/* NULL: only libhdf5 may know it. */
const struct codec *codec_find(int id);

void codec_state_fini(struct codec_state *s);

/* *buffer becomes at least n bytes large; old content is lost. */
bool codec_reserve(uint8_t **buffer, size_t *capacity, size_t n);

/* The decoders, each in a file of its own: codec_NAME.c. */
#define CODEC_DECODER(name)                                                                                                                          \
	bool codec_##name(struct codec_state *s, const struct codec_parameters *p, const uint8_t *in, size_t nin, uint8_t *out, size_t capacity,     \
			  size_t *nout)
CODEC_DECODER(lzf);
CODEC_DECODER(lz4);
CODEC_DECODER(zstd);
CODEC_DECODER(blosc);
CODEC_DECODER(bitshuffle);
bool codec_blosc_accepts(const struct codec_parameters *p);
bool codec_bitshuffle_accepts(const struct codec_parameters *p);

/* One zstd frame (or several) that must give exactly nout bytes. */
bool codec_zstd_exactly(struct codec_state *s, const uint8_t *in, size_t nin, uint8_t *out, size_t nout);

/* One raw LZ4 block that must give exactly nout bytes. */
bool codec_lz4_block(const uint8_t *in, size_t nin, uint8_t *out, size_t nout);

#endif
