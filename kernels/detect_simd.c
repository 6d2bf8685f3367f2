/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The scan of a tile for samples past the threshold: one compare a frame of 16 channels. Nearly every frame holds none, so this loop is
 * the detector's cost, and it runs at the speed of the memory.
 */
#include "kernels/detect.h"
#include "kernels/isa.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* One bit a lane: (x & keep ^ flip) > threshold. NaN gives 0. */
#if defined(__AVX512F__)
struct level {
	__m512 threshold;
	__m512i keep, flip;
};

static struct level level_load(const float *threshold, uint32_t keep, uint32_t flip)
{
	return (struct level){ _mm512_loadu_ps(threshold), _mm512_set1_epi32((int)keep), _mm512_set1_epi32((int)flip) };
}

static unsigned past(const struct level *l, const float *x)
{
	__m512i key = _mm512_xor_si512(_mm512_and_si512(_mm512_loadu_si512(x), l->keep), l->flip);
	return _mm512_cmp_ps_mask(_mm512_castsi512_ps(key), l->threshold, _CMP_GT_OQ);
}
#elif defined(__AVX2__)
struct level {
	__m256 threshold[2], keep, flip;
};

static struct level level_load(const float *threshold, uint32_t keep, uint32_t flip)
{
	return (struct level){ { _mm256_loadu_ps(threshold), _mm256_loadu_ps(threshold + 8) },
			       _mm256_castsi256_ps(_mm256_set1_epi32((int)keep)),
			       _mm256_castsi256_ps(_mm256_set1_epi32((int)flip)) };
}

static unsigned past(const struct level *l, const float *x)
{
	__m256 low = _mm256_xor_ps(_mm256_and_ps(_mm256_loadu_ps(x), l->keep), l->flip);
	__m256 high = _mm256_xor_ps(_mm256_and_ps(_mm256_loadu_ps(x + 8), l->keep), l->flip);
	unsigned bits = (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(high, l->threshold[1], _CMP_GT_OQ));
	return bits << 8 | (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(low, l->threshold[0], _CMP_GT_OQ));
}
#else
struct level {
	float threshold[LANES];
	uint32_t keep, flip;
};

static struct level level_load(const float *threshold, uint32_t keep, uint32_t flip)
{
	struct level l = { { 0 }, keep, flip };
	for (int i = 0; i < LANES; i++)
		l.threshold[i] = threshold[i];
	return l;
}

static unsigned past(const struct level *l, const float *x)
{
	unsigned bits = 0;
#if defined(__SSE2__)
	__m128 keep = _mm_castsi128_ps(_mm_set1_epi32((int)l->keep)), flip = _mm_castsi128_ps(_mm_set1_epi32((int)l->flip));
	for (int i = 0; i < LANES; i += 4) {
		__m128 key = _mm_xor_ps(_mm_and_ps(_mm_loadu_ps(x + i), keep), flip);
		bits |= (unsigned)_mm_movemask_ps(_mm_cmpgt_ps(key, _mm_loadu_ps(l->threshold + i))) << i;
	}
#else
	for (int i = 0; i < LANES; i++) {
		union { float f; uint32_t u; } key = { .f = x[i] };
		key.u = (key.u & l->keep) ^ l->flip;
		bits |= (unsigned)(key.f > l->threshold[i]) << i;
	}
#endif
	return bits;
}
#endif

size_t VARIANT(detect_scan)(const float *x, size_t from, size_t end, const float *threshold, uint32_t keep, uint32_t flip, unsigned *lanes)
{
	struct level l = level_load(threshold, keep, flip);
	size_t s = from;
	for (; s + 4 <= end; s += 4) {
		const float *at = x + s * LANES;
		if (past(&l, at) | past(&l, at + LANES) | past(&l, at + 2 * LANES) | past(&l, at + 3 * LANES))
			break;
	}
	for (; s < end; s++) {
		*lanes = past(&l, x + s * LANES);
		if (*lanes)
			return s;
	}
	*lanes = 0;
	return end;
}
