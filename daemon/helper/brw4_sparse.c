/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/helper/brw4.h"
#include "daemon/helper/fields.h"

#include <math.h>
#include <stdlib.h>

/* Blocks start where the table says and end where the next one starts. */
static enum status take_blocks(struct description *d, const struct brw4_toc *toc, const int64_t *starts, struct error *e)
{
	struct sparse *s = d->sparse;
	s->nblocks = toc->n;
	s->blocks = calloc(toc->n, sizeof *s->blocks);
	if (!s->blocks)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for %zu blocks", toc->n);
	for (size_t i = 0; i < toc->n; i++) {
		const int64_t start = starts[i], end = i + 1 < toc->n ? starts[i + 1] : (int64_t)d->data.dims[0];
		if (start < 0 || end < start || (uint64_t)end > d->data.dims[0])
			return error_set(e, STATUS_CORRUPT, "file", NULL, "block %zu of %.150s has bytes %lld to %lld, of %llu", i, d->data.path, (long long)start,
					 (long long)end, (unsigned long long)d->data.dims[0]);
		s->blocks[i][0] = toc->range[i][0];
		s->blocks[i][1] = toc->range[i][1] - toc->range[i][0];
		s->blocks[i][2] = start;
		s->blocks[i][3] = end;
	}
	return STATUS_OK;
}

/* Means are stored around 0 by old versions and as raw values by new ones: whichever the value is nearer to. */
static int64_t fill_of(double mean, double middle)
{
	if (!isfinite(mean) || fabs(mean) > 32767)
		return (int64_t)middle;
	const double value = fabs(mean) < fabs(mean - middle) ? mean + middle : mean;
	return (int64_t)fmin(fmax(round(value), -32768), 32767);
}

/* The noise tables list channels by number, block after block; the first entry of a channel counts. Files may lack them. */
static enum status take_noise(hid_t file, struct description *d, const int64_t *stored, double middle, struct error *e)
{
	enum { MOST = 65536 };
	static int32_t entry[MOST]; /* of each channel, from 1; 0: none */
	int64_t *channels = NULL;
	double *means = NULL;
	size_t n = 0, nmeans = 0;
	enum status status = column_integers(file, d->stream, "NoiseChIdxs", &channels, &n, e);
	if (!status)
		status = column_numbers(file, d->stream, "NoiseMean", &means, &nmeans, e);
	if (status && status != STATUS_NOT_FOUND)
		return status;
	for (size_t i = n < nmeans ? n : nmeans; i-- > 0;)
		if (channels[i] >= 0 && channels[i] < MOST)
			entry[channels[i]] = (int32_t)(i + 1);
	for (size_t c = 0; c < d->nchannels; c++) {
		const int32_t i = stored[c] >= 0 && stored[c] < MOST ? entry[stored[c]] : 0;
		d->sparse->fill[c] = i ? fill_of(means[i - 1], middle) : (int64_t)middle;
	}
	free(channels);
	free(means);
	return STATUS_OK;
}

enum status brw4_sparse(hid_t file, struct description *d, const struct brw4_toc *toc, const struct brw4_header *h, const int64_t *stored,
			struct error *e)
{
	static struct sparse sparse; /* one a process */
	int64_t *starts;
	size_t n;
	d->sparse = &sparse;
	enum status status = column_integers(file, d->stream, "EventsBasedSparseRawTOC", &starts, &n, e);
	if (!status && n != toc->n)
		status = error_set(e, STATUS_CORRUPT, "file", NULL, "%.150s has %zu blocks, /TOC has %zu", d->data.path, n, toc->n);
	if (!status && (d->data.rank != 1 || d->data.dtype != DTYPE_U8))
		status = error_set(e, STATUS_CORRUPT, "file", NULL, "%.150s is not a list of bytes", d->data.path);
	sparse.channels = calloc(d->nchannels, sizeof *sparse.channels);
	sparse.fill = calloc(d->nchannels, sizeof *sparse.fill);
	if (!status && (!sparse.channels || !sparse.fill))
		status = error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for %zu channels", d->nchannels);
	if (status)
		return status;
	for (size_t c = 0; c < d->nchannels; c++)
		sparse.channels[c] = stored[c];
	status = take_noise(file, d, stored, floor(fmin(fmax((h->min_digital + h->max_digital + 1) / 2, -32768), 32767)), e);
	return status ? status : take_blocks(d, toc, starts, e);
}
