/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/magnitudes.h"
#include "kernels/spread.h"

#include <stdlib.h>
#include <string.h>

enum { UPPER = 1 << 15, LOWER = 1 << 16 };

struct counts {
	uint64_t upper[UPPER], lower[2][LOWER];
};

struct magnitudes {
	size_t nworkers;
	bool second;
	uint64_t n;              /* samples of the first pass */
	uint32_t prefix[2];      /* upper halves of the two middle values ... */
	uint64_t rank[2];        /* ... and their ranks among those that have them */
	const struct slab *x;
	struct counts counts[];  /* [nworkers] */
};

enum status magnitudes_new(struct magnitudes **out, size_t nworkers, struct error *e)
{
	struct magnitudes *m = calloc(1, sizeof *m + (nworkers + 1) * sizeof *m->counts);
	if (!m)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for counts of samples");
	m->nworkers = nworkers ? nworkers : 1;
	*out = m;
	return STATUS_OK;
}

void magnitudes_free(struct magnitudes *m)
{
	free(m);
}

static void count_tile(void *arg, size_t worker, size_t tile)
{
	struct magnitudes *m = arg;
	struct counts *c = &m->counts[worker];
	const float *x = slab_at(m->x, tile, 0);
	size_t left = m->x->nchannels - tile * LANES, nlanes = left < LANES ? left : LANES;
	for (size_t t = 0; t < m->x->nframes; t++)
		for (size_t lane = 0; lane < nlanes; lane++) {
			uint32_t bits;
			memcpy(&bits, &x[t * LANES + lane], sizeof bits);
			bits &= INT32_MAX;
			if (!m->second)
				c->upper[bits >> 16]++;
			else
				for (int i = 0; i < 2; i++)
					if (bits >> 16 == m->prefix[i])
						c->lower[i][bits & (LOWER - 1)]++;
		}
}

void magnitudes_add(struct magnitudes *m, const struct slab *x, const struct executor *ex)
{
	m->x = x;
	if (!m->second)
		m->n += (uint64_t)x->nframes * x->nchannels;
	spread(ex, x->ntiles, m->nworkers, count_tile, m);
}

static float of_bits(uint32_t bits)
{
	float x;
	memcpy(&x, &bits, sizeof x);
	return x;
}

/* Ranks (n - 1) / 2 and n / 2, counted from 0. */
float magnitudes_bound(struct magnitudes *m)
{
	for (int i = 0; i < 2; i++) {
		uint64_t rank = i ? m->n / 2 : (m->n - (m->n > 0)) / 2, here;
		for (uint32_t k = 0; k < UPPER; k++) {
			here = 0;
			for (size_t w = 0; w < m->nworkers; w++)
				here += m->counts[w].upper[k];
			if (rank < here) {
				m->prefix[i] = k;
				break;
			}
			rank -= here;
		}
		m->rank[i] = rank;
	}
	m->second = true;
	const float least = of_bits(m->prefix[0] << 16);
	return least * least;
}

float magnitudes_median_square(const struct magnitudes *m)
{
	float x[2] = { 0, 0 };
	for (int i = 0; i < 2; i++) {
		uint64_t rank = m->rank[i];
		for (uint32_t k = 0; k < LOWER; k++) {
			uint64_t here = 0;
			for (size_t w = 0; w < m->nworkers; w++)
				here += m->counts[w].lower[i][k];
			if (rank < here) {
				x[i] = of_bits(m->prefix[i] << 16 | k);
				break;
			}
			rank -= here;
		}
		x[i] *= x[i];
	}
	return (x[0] + x[1]) / 2;
}
