/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The loops of an exact median: transpose a tile, split by a bracket, rank few values. All compare and copy, none rounds, but for the
 * one subtraction of noise_deviations; so every instruction set gives the same bits.
 */
#include "kernels/isa.h"
#include "kernels/noise.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* As wide as one shuffle instruction goes. */
#if defined(__AVX2__)
enum { WIDE = 8 };
#else
enum { WIDE = 4 };
#endif
typedef float vf __attribute__((vector_size(WIDE * 4), aligned(4), may_alias));
typedef int32_t vi __attribute__((vector_size(WIDE * 4)));

/* WIDE frames of WIDE channels into rows of channels; *nan gathers their NaN. */
static void transpose_square(const float *x, float *out, size_t stride, vi *nan)
{
	vf r[WIDE], s[WIDE];
	for (int i = 0; i < WIDE; i++) {
		r[i] = *(const vf *)(x + i * LANES);
		*nan |= r[i] != r[i];
	}
#if defined(__AVX2__)
	const vi low1 = { 0, 8, 1, 9, 4, 12, 5, 13 }, high1 = { 2, 10, 3, 11, 6, 14, 7, 15 };
	const vi low2 = { 0, 1, 8, 9, 4, 5, 12, 13 }, high2 = { 2, 3, 10, 11, 6, 7, 14, 15 };
	const vi low4 = { 0, 1, 2, 3, 8, 9, 10, 11 }, high4 = { 4, 5, 6, 7, 12, 13, 14, 15 };
#else
	const vi low1 = { 0, 4, 1, 5 }, high1 = { 2, 6, 3, 7 }, low2 = { 0, 1, 4, 5 }, high2 = { 2, 3, 6, 7 };
#endif
	for (int i = 0; i < WIDE; i += 2) {
		s[i] = __builtin_shuffle(r[i], r[i + 1], low1);
		s[i + 1] = __builtin_shuffle(r[i], r[i + 1], high1);
	}
	for (int i = 0; i < WIDE; i += 4)
		for (int j = 0; j < 2; j++) {
			r[i + 2 * j] = __builtin_shuffle(s[i + j], s[i + j + 2], low2);
			r[i + 2 * j + 1] = __builtin_shuffle(s[i + j], s[i + j + 2], high2);
		}
#if defined(__AVX2__)
	for (int j = 0; j < 4; j++) {
		s[j] = __builtin_shuffle(r[j], r[j + 4], low4);
		s[j + 4] = __builtin_shuffle(r[j], r[j + 4], high4);
	}
	for (int i = 0; i < WIDE; i++)
		r[i] = s[i];
#endif
	for (int i = 0; i < WIDE; i++)
		*(vf *)(out + (size_t)i * stride) = r[i];
}

/* Few rows are written at a time: all 16 at once are slower, since the cache has few ways. */
unsigned VARIANT(noise_transpose)(const float *x, size_t n, float *out, size_t stride)
{
	unsigned bits = 0;
	for (int c = 0; c < LANES; c += WIDE) {
		vi nan = { 0 };
		size_t i = 0;
		for (; i + WIDE <= n; i += WIDE)
			transpose_square(x + i * LANES + c, out + (size_t)c * stride + i, stride, &nan);
		for (; i < n; i++)
			for (int k = 0; k < WIDE; k++) {
				float v = x[i * LANES + (size_t)(c + k)];
				out[(size_t)(c + k) * stride + i] = v;
				nan[k] |= v != v;
			}
		for (int k = 0; k < WIDE; k++)
			bits |= (unsigned)(nan[k] != 0) << (c + k);
	}
	return bits;
}

int VARIANT(noise_deviations)(float *x, size_t n, float m)
{
	int nan = 0;
	for (size_t i = 0; i < n; i++) {
		float d = __builtin_fabsf(x[i] - m);
		x[i] = d;
		nan |= d != d;
	}
	return nan;
}

/* For each byte of bits, the places of its ones from the left: how 8 lanes are packed by AVX2's permute. */
#if defined(__AVX2__) && !defined(__AVX512F__)
static __m256i pack_order(unsigned bits)
{
	/* pdep spreads the bits to bytes, pext packs the byte numbers chosen: 2 instructions instead of a table of 8 kB. */
	uint64_t chosen = _pdep_u64(bits, 0x0101010101010101) * 0xff;
	return _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)_pext_u64(0x0706050403020100, chosen)));
}
#endif

/* Every store writes a whole vector, so `inside` needs NOISE_SLACK floats behind the last. */
size_t VARIANT(noise_split)(const float *x, size_t n, float lo, float hi, float *inside, size_t *below)
{
	size_t i = 0, kept = 0, under = 0;
#if defined(__AVX512F__)
	__m512 l = _mm512_set1_ps(lo), h = _mm512_set1_ps(hi);
	for (; i + 16 <= n; i += 16) {
		__m512 v = _mm512_loadu_ps(x + i);
		__mmask16 is_under = _mm512_cmp_ps_mask(v, l, _CMP_LT_OQ);
		__mmask16 in = _mm512_mask_cmp_ps_mask(_mm512_cmp_ps_mask(v, h, _CMP_LE_OQ), v, l, _CMP_GE_OQ);
		_mm512_storeu_ps(inside + kept, _mm512_maskz_compress_ps(in, v));
		kept += (size_t)__builtin_popcount(in);
		under += (size_t)__builtin_popcount(is_under);
	}
#elif defined(__AVX2__)
	__m256 l = _mm256_set1_ps(lo), h = _mm256_set1_ps(hi);
	for (; i + 8 <= n; i += 8) {
		__m256 v = _mm256_loadu_ps(x + i);
		unsigned is_under = (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(v, l, _CMP_LT_OQ));
		unsigned to_hi = (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(v, h, _CMP_LE_OQ)), in = to_hi & ~is_under;
		_mm256_storeu_ps(inside + kept, _mm256_permutevar8x32_ps(v, pack_order(in)));
		kept += (size_t)__builtin_popcount(in);
		under += (size_t)__builtin_popcount(is_under);
	}
#endif
	for (; i < n; i++) {
		float v = x[i];
		inside[kept] = v;
		kept += (size_t)((v >= lo) & (v <= hi));
		under += (size_t)(v < lo);
	}
	*below = under;
	return kept;
}

/* n^2 compares without a branch: for 128 values about 0.3 us in AVX-512, several times less than to sort them. The value of rank k is the
 * greatest that has no more than k values below it. */
#if defined(__AVX512F__)
enum { RANK_WIDE = 16 };
#else
enum { RANK_WIDE = WIDE };
#endif
typedef float rf __attribute__((vector_size(RANK_WIDE * 4)));
typedef int32_t ri __attribute__((vector_size(RANK_WIDE * 4)));

static rf pick(ri mask, rf yes, rf no)
{
	return (rf)(((ri)yes & mask) | ((ri)no & ~mask));
}

/* The greatest of the values with less <= k, in vectors throughout: on noise a branch here would be guessed wrong half the time. */
static float greatest(const rf *values, const ri *less, size_t nvectors, size_t k)
{
	const rf lowest = (rf){ 0 } - __builtin_inff();
	const ri rank = (ri){ 0 } + (int32_t)k;
	rf top = lowest;
	for (size_t i = 0; i < nvectors; i++) {
		rf v = pick(less[i] <= rank, values[i], lowest);
		top = pick(v > top, v, top);
	}
	float most = top[0];
	for (int i = 1; i < RANK_WIDE; i++)
		most = top[i] > most ? top[i] : most;
	return most;
}

void VARIANT(noise_rank)(const float *x, size_t n, size_t k0, size_t k1, float *v0, float *v1)
{
	union { rf v[NOISE_FEW / RANK_WIDE]; float at[NOISE_FEW]; } values;
	union { ri v[NOISE_FEW / RANK_WIDE]; int32_t at[NOISE_FEW]; } less;
	size_t nvectors = (n + 2 * RANK_WIDE - 1) / (2 * RANK_WIDE) * 2;
	for (size_t i = 0; i < nvectors * RANK_WIDE; i++)
		values.at[i] = i < n ? x[i] : 0;
	for (size_t i = 0; i < nvectors; i += 2) {
		ri a = { 0 }, b = { 0 };
		for (size_t j = 0; j < n; j++) {
			a -= x[j] < values.v[i];
			b -= x[j] < values.v[i + 1];
		}
		less.v[i] = a;
		less.v[i + 1] = b;
	}
	for (size_t i = n; i < nvectors * RANK_WIDE; i++)
		less.at[i] = INT32_MAX;
	*v0 = greatest(values.v, less.v, nvectors, k0);
	*v1 = greatest(values.v, less.v, nvectors, k1);
}
