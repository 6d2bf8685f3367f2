/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/snippets.h"

#include <math.h>
#include <string.h>

void snippet_dense(const struct history *h, int64_t from, size_t n, size_t nchannels, float *out)
{
	struct stretch s[2];
	if (history_stretches(h, 0, from, n, s) == 0 || s[0].n != n)
		memset(out, 0, n * nchannels * sizeof *out);
	for (size_t tile = 0; tile < h->ntiles; tile++) {
		const size_t lanes = nchannels - tile * LANES < LANES ? nchannels - tile * LANES : LANES, count = history_stretches(h, tile, from, n, s);
		for (size_t i = 0; i < count; i++)
			for (size_t t = 0; t < s[i].n; t++)
				memcpy(out + (s[i].skip + t) * nchannels + tile * LANES, s[i].x + t * LANES, lanes * sizeof *out);
	}
}

void snippet_sparse(const struct history *h, int64_t from, size_t n, const size_t *channels, size_t nchannels, size_t width, float *out)
{
	struct stretch s[2];
	memset(out, 0, n * width * sizeof *out);
	for (size_t k = 0; k < nchannels; k++) {
		const size_t lane = channels[k] % LANES, count = history_stretches(h, channels[k] / LANES, from, n, s);
		for (size_t i = 0; i < count; i++)
			for (size_t t = 0; t < s[i].n; t++)
				out[(s[i].skip + t) * width + k] = s[i].x[t * LANES + lane];
	}
}

/* The range of each lane of a tile in the window. */
static void ranges(const struct history *h, size_t tile, int64_t from, size_t n, double range[LANES])
{
	unsigned (*extremes)(const float *, size_t, float *, float *) = ISA_PICK(snippet_extremes);
	float low[LANES], high[LANES];
	struct stretch s[2];
	size_t count = history_stretches(h, tile, from, n, s), held = 0;
	unsigned bad = 0;
	for (size_t i = 0; i < count; i++)
		held += s[i].n;
	for (size_t lane = 0; lane < LANES; lane++) {
		low[lane] = held < n ? 0 : INFINITY;
		high[lane] = held < n ? 0 : -INFINITY;
	}
	for (size_t i = 0; i < count; i++)
		bad |= extremes(s[i].x, s[i].n, low, high);
	for (size_t lane = 0; lane < LANES; lane++)
		range[lane] = bad >> lane & 1 ? NAN : (double)high[lane] - (double)low[lane];
}

double snippet_ptp(const struct history *h, int64_t from, size_t n, size_t channel)
{
	double range[LANES];
	ranges(h, channel / LANES, from, n, range);
	return range[channel % LANES];
}

double snippet_width(const struct history *h, int64_t frame, size_t n, size_t channel, bool negative)
{
	const float sign = negative ? 1.0f : -1.0f;
	struct stretch s[2];
	size_t count = history_stretches(h, channel / LANES, frame + 1, n, s), at = 0, held = 0;
	float best = -INFINITY;
	for (size_t i = 0; i < count; i++)
		for (size_t t = 0; t < s[i].n; t++) {
			const float x = sign * s[i].x[t * LANES + channel % LANES];
			if (isnan(x))
				return NAN;
			held++;
			if (x > best || !at) {
				best = x;
				at = s[i].skip + t + 1;
			}
		}
	/* The frames not held are those behind the segment. */
	if (held < n && (!at || best < 0))
		at = held + 1;
	return n ? (double)at : NAN;
}

double snippet_time_offset(const struct history *h, int64_t frame, size_t channel)
{
	const double a = history_get(h, frame - 1, channel), b = history_get(h, frame, channel), c = history_get(h, frame + 1, channel);
	const double bend = a - 2 * b + c, offset = bend == 0 ? 0 : (a - c) / 2 / bend;
	return offset < -0.5 ? -0.5 : offset > 0.5 ? 0.5 : offset;
}

void snippet_center(const struct history *h, int64_t from, size_t n, const size_t *channels, size_t nchannels, const double *places, size_t ndim,
		    double out[2])
{
	double range[LANES], sum = 0, x = 0, y = 0;
	size_t tile = SIZE_MAX;
	for (size_t k = 0; k < nchannels; k++) {
		if (channels[k] / LANES != tile) {
			tile = channels[k] / LANES;
			ranges(h, tile, from, n, range);
		}
		const double weight = range[channels[k] % LANES];
		sum += weight;
		x += weight * places[channels[k] * ndim];
		y += weight * places[channels[k] * ndim + 1];
	}
	out[0] = x / sum;
	out[1] = y / sum;
}
