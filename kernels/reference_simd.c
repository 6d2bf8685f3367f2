/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The median over channels of 16 frames at once, frames as lanes, so that there is no operation across lanes:
 *
 *  1. Tiles are transposed, 16 x 16 values at a time, into scratch [channel][16 frames]: L1 for up to 500 channels or so.
 *  2. One pass finds each frame's minimum L, maximum H, sum, and whether there is a NaN.
 *  3. Passes with a pivot p, L < p <= H: how many values lie below p, the largest below (A), the smallest not below (B). With r1 and r2
 *     the two middle ranks: too few below and both middle values are >= B, so L = B; too many and they are <= A, so H = A; else they are A
 *     and B. Done once L = H. Bounds are always values that occur, so ties cost nothing and every pass takes at least one distinct
 *     value off.
 *
 * Pivots: the mean first. Then, since A and B are values of known rank, a straight line tells where the middle ranks should be: between L
 * and H once both have been moved, else from the one that has been, with the spacing that values have in the middle of noise. Every third
 * pivot is the midpoint. After INTERPOLATED passes all are midpoints of the integers that order as the floats do, so no input takes more
 * than INTERPOLATED + 32 passes; 16 frames of 384 channels of noise take 6. The result is exact whatever the pivots were.
 *
 * Sets of up to SMALL channels, as those around a channel are, are sorted as far as the middle instead.
 *
 * With AVX-512 and many channels a shorter way is tried first, frame by frame and straight from the tiles: the median lies near the mean, so
 * the values in a narrow window around it, whose count below is taken on the way, are packed together, twice, and the few that are left are
 * ranked by counting. Where the window misses, the way above decides; both are exact. It takes half the time.
 */
#include "kernels/reference.h"
#include "kernels/vector.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { INTERPOLATED = 14, SMALL = 24 };

#if defined(__AVX2__)
#include <immintrin.h>
#endif
enum { GROUPS = LANES / WIDTH };

/* mask ? a : b; mask lanes are 0 or -1. */
static inline vf choose(vi mask, vf a, vf b)
{
	return (vf)((mask & (vi)a) | (~mask & (vi)b));
}

static inline vi choose_i(vi mask, vi a, vi b)
{
	return (mask & a) | (~mask & b);
}

static inline vf splat(float x)
{
	return x - (vf){ 0 };
}

static inline bool any(vi mask)
{
	int32_t lane[WIDTH], all = 0;
	memcpy(lane, &mask, sizeof lane);
	for (int i = 0; i < WIDTH; i++)
		all |= lane[i];
	return all != 0;
}

/* a < b ? a : b, and the like. */
static inline vf lower(vf a, vf b)
{
#if defined(__AVX512F__)
	return (vf)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
	return (vf)_mm256_min_ps((__m256)a, (__m256)b);
#else
	return choose(a < b, a, b);
#endif
}

static inline vf higher(vf a, vf b)
{
#if defined(__AVX512F__)
	return (vf)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
	return (vf)_mm256_max_ps((__m256)a, (__m256)b);
#else
	return choose(a > b, a, b);
#endif
}

/* What one pass over the channels tells about pivot p. */
struct split {
	vi below; /* how many are < p */
	vf under; /* the largest of them, or -infinity */
	vf over;  /* the smallest of the others, or infinity */
};

static inline struct split split_at(const float *column, size_t nchannels, vf p)
{
#if defined(__AVX512F__)
	/* Two chains of each, since an operation takes longer than its turn. */
	const __m512i one = _mm512_set1_epi32(1);
	__m512 pivot = (__m512)p, under[2], over[2];
	__m512i below[2];
	for (int k = 0; k < 2; k++) {
		below[k] = _mm512_setzero_si512();
		under[k] = _mm512_set1_ps(-INFINITY);
		over[k] = _mm512_set1_ps(INFINITY);
	}
	size_t c = 0;
	for (; c + 2 <= nchannels; c += 2)
		for (int k = 0; k < 2; k++) {
			__m512 x = _mm512_load_ps(column + (c + (size_t)k) * LANES);
			__mmask16 less = _mm512_cmp_ps_mask(x, pivot, _CMP_LT_OQ);
			below[k] = _mm512_mask_add_epi32(below[k], less, below[k], one);
			under[k] = _mm512_mask_max_ps(under[k], less, under[k], x);
			over[k] = _mm512_mask_min_ps(over[k], (__mmask16)~less, over[k], x);
		}
	if (c < nchannels) {
		__m512 x = _mm512_load_ps(column + c * LANES);
		__mmask16 less = _mm512_cmp_ps_mask(x, pivot, _CMP_LT_OQ);
		below[0] = _mm512_mask_add_epi32(below[0], less, below[0], one);
		under[0] = _mm512_mask_max_ps(under[0], less, under[0], x);
		over[0] = _mm512_mask_min_ps(over[0], (__mmask16)~less, over[0], x);
	}
	return (struct split){ (vi)_mm512_add_epi32(below[0], below[1]), (vf)_mm512_max_ps(under[0], under[1]),
			       (vf)_mm512_min_ps(over[0], over[1]) };
#else
	struct split s = { (vi){ 0 }, splat(-INFINITY), splat(INFINITY) };
	for (size_t c = 0; c < nchannels; c++) {
		vf x = *(const vf *)(column + c * LANES);
		vi less = x < p;
		s.below -= less;
		s.under = higher(choose(less, x, splat(-INFINITY)), s.under);
		s.over = lower(choose(less, splat(INFINITY), x), s.over);
	}
	return s;
#endif
}

/* Integers that order as floats do, and back (it is its own inverse). */
static inline vi ordered(vi bits)
{
	return bits ^ ((bits >> 31) & 0x7fffffff);
}

/* The f32 halfway between by rank among all floats, in (low, high]. */
static inline vf halfway(vf low, vf high)
{
	vi a = ordered((vi)(low + 0.0f)), b = ordered((vi)high); /* low -0 is +0, or +0 would count as above it */
	vi middle = (a & b) + ((a ^ b) >> 1);
	middle = choose_i(middle > a, middle, b);
	return (vf)ordered(middle);
}

/* p if it lies in (low, high], else halfway; NaN too. */
static inline vf into(vf p, vf low, vf high)
{
	return choose((p > low) & (p <= high), p, halfway(low, high));
}

/* What is known of the middle values of each frame. */
struct bounds {
	vf low, high;           /* they lie in [low, high], both values that occur */
	vf low_rank, high_rank; /* ranks of these */
	vi low_moved, high_moved;
	vf spacing;             /* guess: from one value to the next near the middle */
};

static inline vf next_pivot(const struct bounds *b, vf middle_rank, int pass)
{
	if (pass >= INTERPOLATED)
		return halfway(b->low, b->high);
	if (pass % 3 == 2)
		return into(b->low + (b->high - b->low) * 0.5f, b->low, b->high);
	vf line = b->low + (b->high - b->low) * ((middle_rank - b->low_rank) / (b->high_rank - b->low_rank));
	vf up = b->low + (middle_rank - b->low_rank) * b->spacing;
	vf down = b->high - (b->high_rank - middle_rank) * b->spacing;
	vf p = choose(b->low_moved & b->high_moved, line, choose(b->low_moved, up, down));
	return into(p, b->low, b->high);
}

/* First bounds, first pivot in *p; frames with a NaN, told in *nan, get bounds that end the search. */
static inline struct bounds survey(const float *column, size_t nchannels, vf *p, vi *nan)
{
	vf low = splat(INFINITY), high = splat(-INFINITY), sum = splat(0);
	*nan = (vi){ 0 };
	for (size_t c = 0; c < nchannels; c++) {
		vf x = *(const vf *)(column + c * LANES);
		low = lower(x, low);
		high = higher(x, high);
		*nan |= x != x;
		sum += x;
	}
	low = choose(*nan, splat(0), low);
	high = choose(*nan, splat(0), high);
	*p = into(sum / (float)nchannels, low, high);
	/* n normal values span about 6 deviations, and lie 1 / (0.4 n) of one apart in the middle. */
	return (struct bounds){ .low = low, .high = high, .high_rank = splat((float)nchannels - 1),
				.spacing = (high - low) * (1.0f / 6 / 0.4f) / (float)nchannels };
}

/* The medians of the frames in the lanes of `column`. */
static inline vf middle_of(const float *column, size_t nchannels)
{
	const vi r1 = (vi){ 0 } + (int32_t)((nchannels - 1) / 2), r2 = (vi){ 0 } + (int32_t)(nchannels / 2);
	const vf middle_rank = splat((float)(nchannels - 1) / 2);
	const vi odd = r1 == r2;
	vf p;
	vi nan;
	struct bounds b = survey(column, nchannels, &p, &nan);

	for (int pass = 0; any(b.low < b.high); pass++) {
		struct split s = split_at(column, nchannels, p);
		vf count = __builtin_convertvector(s.below, vf);
		vi open = b.low < b.high;
		vi few = open & (s.below <= r1), many = open & (s.below > r2), found = open & ~(few | many);
		/* For an odd number of channels the value next to the pivot may be the one. */
		vi is_over = odd & few & (s.below == r1), is_under = odd & many & (s.below == r2 + 1);
		vf mean = (s.under + s.over) / 2.0f;
		b.low = choose(few, s.over, choose(is_under, s.under, choose(found, mean, b.low)));
		b.high = choose(many, s.under, choose(is_over, s.over, choose(found, mean, b.high)));
		b.low_rank = choose(few, count, b.low_rank);
		b.high_rank = choose(many, count - 1, b.high_rank);
		b.low_moved |= few;
		b.high_moved |= many;
		p = next_pivot(&b, middle_rank, pass);
	}
	return choose(nan, splat(NAN), b.low + 0.0f); /* -0 to +0 */
}

/* 16 x 16 values, rows LANES floats apart in both. */
static inline void transpose(const float *restrict x, float *restrict y)
{
#if defined(__AVX512F__)
	__m512 r[16], s[16];
	for (int i = 0; i < 16; i++)
		r[i] = _mm512_load_ps(x + i * LANES);
	for (int i = 0; i < 16; i += 2) {
		s[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
		s[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
	}
	for (int i = 0; i < 16; i += 4) {
		r[i] = (__m512)_mm512_unpacklo_pd((__m512d)s[i], (__m512d)s[i + 2]);
		r[i + 1] = (__m512)_mm512_unpackhi_pd((__m512d)s[i], (__m512d)s[i + 2]);
		r[i + 2] = (__m512)_mm512_unpacklo_pd((__m512d)s[i + 1], (__m512d)s[i + 3]);
		r[i + 3] = (__m512)_mm512_unpackhi_pd((__m512d)s[i + 1], (__m512d)s[i + 3]);
	}
	for (int i = 0; i < 4; i++) {
		s[i] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
		s[i + 4] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
		s[i + 8] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
		s[i + 12] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
	}
	for (int i = 0; i < 8; i++) {
		_mm512_store_ps(y + i * LANES, _mm512_shuffle_f32x4(s[i], s[i + 8], 0x88));
		_mm512_store_ps(y + (i + 8) * LANES, _mm512_shuffle_f32x4(s[i], s[i + 8], 0xdd));
	}
#else
	for (int row = 0; row < LANES; row++)
		for (int column = 0; column < LANES; column++)
			y[column * LANES + row] = x[row * LANES + column];
#endif
}

/* A tile of fewer than 16 frames; the missing ones count as 0. */
static void transpose_part(const float *x, size_t nframes, float *y)
{
	_Alignas(64) float whole[LANES * REFERENCE_FRAMES] = { 0 };
	memcpy(whole, x, nframes * LANES * sizeof *x);
	transpose(whole, y);
}

/* Asks for the 16 frames of a tile behind those at x. Each tile is another page, where the processor does not look ahead by itself; without
 * this, waiting for memory takes as long as the median. The addresses may lie outside the slab, which is harmless, but not as pointers. */
static inline void fetch(const float *x)
{
	for (size_t line = REFERENCE_FRAMES; line < 2 * REFERENCE_FRAMES; line++)
		__builtin_prefetch((const void *)((uintptr_t)x + line * LANES * sizeof *x), 1);
}

/* Takes reference[t] from every channel of frame t. */
static void subtract(float *x, size_t tile_stride, size_t nframes, size_t nchannels, const float *reference)
{
	for (size_t c = 0; c < nchannels; c += LANES, x += tile_stride) {
		size_t nlanes = nchannels - c < LANES ? nchannels - c : LANES;
		for (size_t t = 0; t < nframes; t++) {
			const float r = reference[t];
			float *frame = x + t * LANES;
			if (nlanes == LANES)
				for (size_t i = 0; i < LANES; i += WIDTH)
					*(vf *)(frame + i) -= r;
			else
				for (size_t i = 0; i < nlanes; i++)
					frame[i] -= r;
		}
	}
}

#if defined(__AVX512F__)
/* The mean of normal values lies 0.755 * deviation / sqrt(n) from their median, as a standard deviation; WINDOW is 4 of these. Of 384 values 47
 * fall into it on average, where the ranks of the middle ones are known to about 3.5 (as a standard deviation). */
#define WINDOW 3.0f
enum { NEAR_MEAN = 64, MOST = 256 };

/* Values in a window around `centre`, packed to `inside`, which has a vector to spare. A value is in if |x - centre| <= width, that difference
 * rounded: still an interval of values. */
struct packed {
	size_t count, below; /* how many are in, and below */
};

struct packing {
	__m512 middle, most, least;
	__m512i below;
	size_t count;
};

static inline __attribute__((always_inline)) void pack_vector(struct packing *p, __m512 v, __mmask16 valid, float *inside)
{
	const __m512 off = _mm512_sub_ps(v, p->middle);
	const __mmask16 in = _mm512_mask_cmp_ps_mask(valid, _mm512_abs_ps(off), p->most, _CMP_LE_OQ);
	const __mmask16 under = _mm512_mask_cmp_ps_mask(valid, off, p->least, _CMP_LT_OQ);
	p->below = _mm512_mask_add_epi32(p->below, under, p->below, _mm512_set1_epi32(1));
	_mm512_storeu_ps(inside + p->count, _mm512_maskz_compress_ps(in, v));
	p->count += (size_t)__builtin_popcount(_cvtmask16_u32(in));
}

static inline __attribute__((always_inline)) struct packed pack(const float *x, size_t stride, size_t n, float centre, float width, float *inside)
{
	struct packing p = { _mm512_set1_ps(centre), _mm512_set1_ps(width), _mm512_set1_ps(-width), _mm512_setzero_si512(), 0 };
	size_t c = n / LANES;
	for (; c > 0; c--, x += stride)
		pack_vector(&p, _mm512_loadu_ps(x), 0xffff, inside);
	if (n % LANES)
		pack_vector(&p, _mm512_loadu_ps(x), (__mmask16)((1u << n % LANES) - 1), inside);
	return (struct packed){ p.count, (size_t)_mm512_reduce_add_epi32(p.below) };
}

/* The values of rank k1 and k2 >= k1 among n <= nvectors * 16: the largest that have no more than k others below them. nvectors is a constant
 * wherever this is inlined. */
static inline __attribute__((always_inline)) void rank_vectors(float *x, size_t n, const size_t nvectors, size_t k1, size_t k2, float *v1, float *v2)
{
	const __m512i one = _mm512_set1_epi32(1), most1 = _mm512_set1_epi32((int)k1), most2 = _mm512_set1_epi32((int)k2);
	__m512 first = _mm512_set1_ps(-INFINITY), second = first;
	for (size_t i = n; i < nvectors * LANES; i += LANES)
		_mm512_storeu_ps(x + i, _mm512_set1_ps(INFINITY));
	for (size_t g = 0; g < nvectors; g++) {
		const __m512 v = _mm512_loadu_ps(x + g * LANES);
		__m512i even = _mm512_setzero_si512(), odd = even;
#pragma GCC unroll 32
		for (size_t i = 0; i < nvectors * LANES; i += 2) {
			even = _mm512_mask_add_epi32(even, _mm512_cmp_ps_mask(_mm512_set1_ps(x[i]), v, _CMP_LT_OQ), even, one);
			odd = _mm512_mask_add_epi32(odd, _mm512_cmp_ps_mask(_mm512_set1_ps(x[i + 1]), v, _CMP_LT_OQ), odd, one);
		}
		const __m512i below = _mm512_add_epi32(even, odd);
		first = _mm512_mask_max_ps(first, _mm512_cmple_epi32_mask(below, most1), first, v);
		second = _mm512_mask_max_ps(second, _mm512_cmple_epi32_mask(below, most2), second, v);
	}
	*v1 = _mm512_reduce_max_ps(first);
	*v2 = _mm512_reduce_max_ps(second);
}

/* The same for any number: values in their place, until those of both ranks have been met. */
static void rank_many(const float *x, size_t n, size_t k1, size_t k2, float *v1, float *v2)
{
	bool found1 = false, found2 = false;
	for (size_t i = 0; i < n && !(found1 && found2); i++) {
		const __m512 value = _mm512_set1_ps(x[i]);
		size_t below = 0, upto = 0;
		for (size_t c = 0; c < n; c += LANES) {
			const __mmask16 valid = n - c < LANES ? (__mmask16)((1u << (n - c)) - 1) : (__mmask16)0xffff;
			const __m512 v = _mm512_loadu_ps(x + c);
			below += (size_t)__builtin_popcount(_mm512_mask_cmp_ps_mask(valid, v, value, _CMP_LT_OQ));
			upto += (size_t)__builtin_popcount(_mm512_mask_cmp_ps_mask(valid, v, value, _CMP_LE_OQ));
		}
		if (below <= k1 && k1 < upto) {
			*v1 = x[i];
			found1 = true;
		}
		if (below <= k2 && k2 < upto) {
			*v2 = x[i];
			found2 = true;
		}
	}
}

/* The values of rank k1 and k2 of p.count that lie within `window` of `middle`. A straight line tells where they should be; `ranks` to each
 * side leave nvectors or less, most of the time. */
static inline __attribute__((always_inline)) bool rank_near(float *x, size_t n, float middle, float window, float ranks, const size_t nvectors,
							    size_t k1, size_t k2, float *v1, float *v2)
{
	const float spacing = 2 * window / (float)n;
	_Alignas(64) float few[MOST + LANES];
	const struct packed q = pack(x, LANES, n, middle - window + spacing * ((float)(k1 + k2 + 1) / 2), ranks * spacing, few);
	if (k1 < q.below || k2 >= q.below + q.count || q.count > nvectors * LANES)
		return false;
	rank_vectors(few, q.count, nvectors, k1 - q.below, k2 - q.below, v1, v2);
	return true;
}

/* Where a frame's median should lie: x is the frame's line in the first tile. False for NaN, infinity, values whose squares overflow, and
 * values that are all equal. */
static inline bool find_window(const float *x, size_t tile_stride, size_t nchannels, float *centre, float *width)
{
	const size_t ntiles = (nchannels + LANES - 1) / LANES;
	const float n = (float)nchannels;
	__m512 sum0 = _mm512_setzero_ps(), sum1 = sum0, squares0 = sum0, squares1 = sum0;
	size_t tile = 0;
	for (; tile + 2 <= ntiles; tile += 2) {
		const __m512 v0 = _mm512_load_ps(x + tile * tile_stride), v1 = _mm512_load_ps(x + (tile + 1) * tile_stride);
		sum0 = _mm512_add_ps(sum0, v0);
		sum1 = _mm512_add_ps(sum1, v1);
		squares0 = _mm512_fmadd_ps(v0, v0, squares0);
		squares1 = _mm512_fmadd_ps(v1, v1, squares1);
	}
	if (tile < ntiles) {
		const __m512 v = _mm512_load_ps(x + tile * tile_stride);
		sum0 = _mm512_add_ps(sum0, v);
		squares0 = _mm512_fmadd_ps(v, v, squares0);
	}
	const float mean = _mm512_reduce_add_ps(_mm512_add_ps(sum0, sum1)) / n;
	const float variance = _mm512_reduce_add_ps(_mm512_add_ps(squares0, squares1)) / n - mean * mean;
	*centre = mean;
	*width = WINDOW * sqrtf(variance / n);
	return *width > 0 && mean - *width < mean && mean + *width < INFINITY;
}

/* The median of a frame, from the values that were packed. */
static inline float median_of(float *packed, size_t n, float centre, float width, size_t k1, size_t k2)
{
	float v1 = 0, v2 = 0;
	if (!rank_near(packed, n, centre, width, 6, 1, k1, k2, &v1, &v2) && !rank_near(packed, n, centre, width, 13, 2, k1, k2, &v1, &v2))
		rank_many(packed, n, k1, k2, &v1, &v2);
	return (v1 == v2 ? v1 : (v1 + v2) / 2.0f) + 0.0f;
}

/* All frames that way; false if one of them does not go. One thing at a time for all frames: what is done to one frame is a chain of long latencies,
 * and the processor fills them with the next frame. scratch: a row of `tiles * LANES` for each frame, and a line to spare. */
static bool all_near_mean(const float *x, size_t tile_stride, size_t nframes, size_t nchannels, float *scratch, float *reference)
{
	const size_t r1 = (nchannels - 1) / 2, r2 = nchannels / 2, row = (nchannels + LANES - 1) / LANES * LANES;
	float centre[REFERENCE_FRAMES], width[REFERENCE_FRAMES];
	struct packed packed[REFERENCE_FRAMES];
	bool good = true;
	for (size_t c = 0; c < nchannels; c += LANES)
		fetch(x + c / LANES * tile_stride);
	for (size_t t = 0; t < nframes; t++)
		good &= find_window(x + t * LANES, tile_stride, nchannels, &centre[t], &width[t]);
	for (size_t t = 0; t < nframes && good; t++) {
		packed[t] = pack(x + t * LANES, tile_stride, nchannels, centre[t], width[t], scratch + t * row);
		good = r1 >= packed[t].below && r2 < packed[t].below + packed[t].count && packed[t].count <= MOST;
	}
	for (size_t t = 0; t < nframes && good; t++)
		reference[t] = median_of(scratch + t * row, packed[t].count, centre[t], width[t], r1 - packed[t].below, r2 - packed[t].below);
	return good;
}
#endif

void VARIANT(reference_median_16)(float *x, size_t tile_stride, size_t nframes, size_t nchannels, float *scratch)
{
	_Alignas(64) float reference[REFERENCE_FRAMES];
#if defined(__AVX512F__)
	if (nchannels >= NEAR_MEAN && all_near_mean(x, tile_stride, nframes, nchannels, scratch, reference)) {
		subtract(x, tile_stride, nframes, nchannels, reference);
		return;
	}
#endif
	for (size_t c = 0; c < nchannels; c += LANES) {
		const float *tile = x + c / LANES * tile_stride;
		fetch(tile);
		if (nframes == REFERENCE_FRAMES)
			transpose(tile, scratch + c * LANES);
		else
			transpose_part(tile, nframes, scratch + c * LANES);
	}
	for (int g = 0; g < GROUPS; g++)
		*(vf *)(reference + g * WIDTH) = middle_of(scratch + g * WIDTH, nchannels);
	subtract(x, tile_stride, nframes, nchannels, reference);
}

void VARIANT(reference_average_16)(float *x, size_t tile_stride, size_t nframes, size_t nchannels)
{
	_Alignas(64) double sum[REFERENCE_FRAMES][LANES] = { { 0 } };
	_Alignas(64) float reference[REFERENCE_FRAMES];
	for (size_t c = 0; c < nchannels; c += LANES) {
		const float *tile = x + c / LANES * tile_stride;
		fetch(tile);
		for (size_t t = 0; t < nframes; t++)
			for (size_t i = 0; i < LANES; i++)
				sum[t][i] += (double)tile[t * LANES + i];
	}
	for (size_t t = 0; t < nframes; t++) {
		for (size_t half = LANES / 2; half > 0; half /= 2)
			for (size_t i = 0; i < half; i++)
				sum[t][i] += sum[t][i + half];
		reference[t] = (float)(sum[t][0] / (double)nchannels);
	}
	subtract(x, tile_stride, nframes, nchannels, reference);
}

/* --- sets --- */

/* The same for a small set, channels column[source[i]]: after pass i the i smallest stand in front, in order. */
static inline vf middle_of_few(const float *columns, const uint32_t *source, size_t n)
{
	vf v[SMALL], nan = splat(0);
	for (size_t i = 0; i < n; i++) {
		v[i] = *(const vf *)(columns + source[i] * LANES);
		nan += choose(v[i] != v[i], v[i], splat(0));
	}
	for (size_t i = 0; i <= n / 2; i++)
		for (size_t j = i + 1; j < n; j++) {
			vf low = lower(v[i], v[j]);
			v[j] = higher(v[i], v[j]);
			v[i] = low;
		}
	vf middle = n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2.0f;
	return choose(nan != nan, splat(NAN), middle + 0.0f);
}

static inline vf middle_of_set(const float *columns, const uint32_t *source, size_t n, float *gathered)
{
	if (n <= SMALL)
		return middle_of_few(columns, source, n);
	for (size_t i = 0; i < n; i++)
		*(vf *)(gathered + i * LANES) = *(const vf *)(columns + source[i] * LANES);
	return middle_of(gathered, n);
}

static inline void average_of_set(const float *columns, const uint32_t *source, size_t n, float *reference)
{
	_Alignas(64) double sum[LANES] = { 0 };
	for (size_t i = 0; i < n; i++)
		for (size_t lane = 0; lane < LANES; lane++)
			sum[lane] += (double)columns[source[i] * LANES + lane];
	for (size_t lane = 0; lane < LANES; lane++)
		reference[lane] = (float)(sum[lane] / (double)n);
}

/* Back from columns; what comes of missing frames is dropped. */
static void transpose_back(const float *columns, size_t nframes, float *x)
{
	_Alignas(64) float whole[LANES * REFERENCE_FRAMES];
	if (nframes == REFERENCE_FRAMES) {
		transpose(columns, x);
		return;
	}
	transpose(columns, whole);
	memcpy(x, whole, nframes * LANES * sizeof *x);
}

void VARIANT(reference_sets_16)(float *x, size_t tile_stride, size_t nframes, size_t nchannels, const struct reference_sets *sets, float *scratch)
{
	size_t ntiles = (nchannels + LANES - 1) / LANES;
	float *references = scratch + ntiles * LANES * REFERENCE_FRAMES, *gathered = references + sets->nsets * REFERENCE_FRAMES;
	for (size_t tile = 0; tile < ntiles; tile++) {
		const float *from = x + tile * tile_stride;
		fetch(from);
		if (nframes == REFERENCE_FRAMES)
			transpose(from, scratch + tile * LANES * REFERENCE_FRAMES);
		else
			transpose_part(from, nframes, scratch + tile * LANES * REFERENCE_FRAMES);
	}
	for (size_t i = 0; i < sets->nsets; i++) {
		const uint32_t *source = sets->source + sets->start[i];
		size_t n = sets->start[i + 1] - sets->start[i];
		float *reference = references + i * REFERENCE_FRAMES;
		if (!sets->median)
			average_of_set(scratch, source, n, reference);
		for (int g = 0; g < GROUPS && sets->median; g++)
			*(vf *)(reference + g * WIDTH) = middle_of_set(scratch + g * WIDTH, source, n, gathered + g * WIDTH);
	}
	for (size_t c = 0; c < nchannels; c++) {
		uint32_t set = sets->set_of[c];
		for (int g = 0; g < GROUPS && set != REFERENCE_NONE; g++)
			*(vf *)(scratch + c * LANES + g * WIDTH) -= *(const vf *)(references + set * REFERENCE_FRAMES + g * WIDTH);
	}
	for (size_t tile = 0; tile < ntiles; tile++)
		transpose_back(scratch + tile * LANES * REFERENCE_FRAMES, nframes, x + tile * tile_stride);
}
