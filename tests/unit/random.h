/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_RANDOM_H
#define TESTS_UNIT_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* splitmix64: small, seeded, the same everywhere. */
struct random {
	uint64_t state;
};

static inline struct random random_seed(uint64_t seed)
{
	return (struct random){ seed * 0x9e3779b97f4a7c15u };
}

static inline uint64_t random_next(struct random *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static inline size_t random_below(struct random *r, size_t n)
{
	return n ? (size_t)(random_next(r) % n) : 0;
}

#endif
