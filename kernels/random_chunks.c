/* SPDX-License-Identifier: BSD-3-Clause
 *
 * numpy.random.default_rng(seed).integers(low, high, endpoint=True): SeedSequence, PCG64 (O'Neill 2014, XSL-RR 128/64) and Lemire's
 * bounded integers (2019, ACM TOMACS 29:3), step by step as numpy 1.17 to 2.x does them. numpy does not promise these streams for ever, so they are
 * kept here.
 */
#include "kernels/noise.h"

#include <stdlib.h>

typedef unsigned __int128 u128;

struct rng {
	u128 state, inc;
	uint32_t kept; /* the high half of a draw of which the low one was used */
	bool has_kept;
};

/* --- SeedSequence: the seed's words mixed into a pool of four, then eight words out of it --- */

static uint32_t hash_in(uint32_t value, uint32_t *h)
{
	value ^= *h;
	*h *= 0x931e8875;
	value *= *h;
	return value ^ value >> 16;
}

static uint32_t mix(uint32_t x, uint32_t y)
{
	uint32_t r = 0xca01f9ddu * x - 0x4973f715u * y;
	return r ^ r >> 16;
}

static void seed_sequence(uint64_t seed, uint64_t out[4])
{
	uint32_t pool[4], words[8], h = 0x43b0d7e5, g = 0x8b51f9dd;
	for (int i = 0; i < 4; i++)
		pool[i] = hash_in(i < 2 ? (uint32_t)(seed >> 32 * i) : 0, &h);
	for (int a = 0; a < 4; a++)
		for (int b = 0; b < 4; b++)
			if (a != b)
				pool[b] = mix(pool[b], hash_in(pool[a], &h));
	for (int i = 0; i < 8; i++) {
		uint32_t v = pool[i % 4] ^ g;
		g *= 0x58f38ded;
		v *= g;
		words[i] = v ^ v >> 16;
	}
	for (int i = 0; i < 4; i++)
		out[i] = words[2 * i] | (uint64_t)words[2 * i + 1] << 32;
}

/* --- PCG64 --- */

static void step(struct rng *r)
{
	const u128 multiplier = (u128)0x2360ed051fc65da4 << 64 | 0x4385df649fccf645;
	r->state = r->state * multiplier + r->inc;
}

static struct rng rng_of(uint64_t seed)
{
	uint64_t u[4];
	seed_sequence(seed, u);
	struct rng r = { .inc = ((u128)u[2] << 64 | u[3]) << 1 | 1 };
	step(&r);
	r.state += (u128)u[0] << 64 | u[1];
	step(&r);
	return r;
}

static uint64_t next64(struct rng *r)
{
	step(r);
	uint64_t value = (uint64_t)(r->state >> 64) ^ (uint64_t)r->state;
	unsigned turn = (unsigned)(r->state >> 122);
	return value >> turn | value << (-turn & 63);
}

static uint32_t next32(struct rng *r)
{
	if (r->has_kept) {
		r->has_kept = false;
		return r->kept;
	}
	uint64_t both = next64(r);
	r->kept = (uint32_t)(both >> 32);
	r->has_kept = true;
	return (uint32_t)both;
}

/* --- integers in 0..range --- */

static uint64_t bounded32(struct rng *r, uint32_t range)
{
	uint32_t span = range + 1, reject = (UINT32_MAX - range) % span;
	uint64_t m;
	do
		m = (uint64_t)next32(r) * span;
	while ((uint32_t)m < reject);
	return m >> 32;
}

static uint64_t bounded64(struct rng *r, uint64_t range)
{
	uint64_t span = range + 1, reject = (UINT64_MAX - range) % span;
	u128 m;
	do
		m = (u128)next64(r) * span;
	while ((uint64_t)m < reject);
	return (uint64_t)(m >> 64);
}

static uint64_t bounded(struct rng *r, uint64_t range)
{
	if (range == 0)
		return 0;
	if (range < UINT32_MAX)
		return bounded32(r, (uint32_t)range);
	if (range == UINT32_MAX)
		return next32(r);
	return range == UINT64_MAX ? next64(r) : bounded64(r, range);
}

/* --- chunks --- */

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

enum status random_chunks(uint64_t seed, size_t nsegments, const int64_t *num_frames, int64_t chunk, int64_t margin, size_t nchunks,
			  int64_t *starts, struct error *e)
{
	if (chunk < 1 || margin < 0 || margin > INT64_MAX / 4 || chunk > INT64_MAX / 4)
		return error_set(e, STATUS_INVALID, NULL, NULL, "chunks of %lld frames with a margin of %lld", (long long)chunk, (long long)margin);
	for (size_t i = 0; i < nsegments; i++)
		if (num_frames[i] <= chunk + 2 * margin)
			return error_set(e, STATUS_INVALID, NULL, "use shorter chunks, or give noise_levels",
					 "segment %zu has %lld frames, too few for chunks of %lld", i, (long long)num_frames[i],
					 (long long)chunk);
	struct rng r = rng_of(seed);
	for (size_t i = 0; i < nsegments; i++) {
		int64_t *at = starts + i * nchunks;
		uint64_t range = (uint64_t)(num_frames[i] - chunk - 2 * margin);
		for (size_t j = 0; j < nchunks; j++)
			at[j] = margin + (int64_t)bounded(&r, range);
		qsort(at, nchunks, sizeof *at, compare);
	}
	return STATUS_OK;
}
