/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Included by sos_simd.c once for f32 and once for f64 arithmetic; hence no include guard.
 *	REAL, INTEGER   type of states, and the integer of its size
 *	FMA, FNMA       a * b + c and c - a * b on vectors, rounded once
 *	NAME(f)         f_f32 or f_f64
 *	COEFFICIENTS    member of struct sos
 */
typedef REAL NAME(vector) __attribute__((vector_size(VECTOR_BYTES)));
typedef INTEGER NAME(mask) __attribute__((vector_size(VECTOR_BYTES)));
typedef float NAME(samples) __attribute__((vector_size(VECTOR_BYTES / sizeof(REAL) * sizeof(float)), may_alias));

/* States below `tiny` to 0; NaN stays. */
static inline NAME(vector) NAME(flushed)(NAME(vector) z, double tiny)
{
	const REAL small = (REAL)tiny;
	NAME(mask) keep = ~((z < small) & (z > -small));
	return (NAME(vector))((NAME(mask))z & keep);
}

/* One group of channels through nsections sections; nsections and band are constants wherever this is inlined. */
static inline __attribute__((always_inline)) void NAME(group)(const struct sos *s, REAL *z, const float *x, float *y, int direction,
							      size_t nframes, bool flush, const int nsections, const bool band)
{
	NAME(vector) z0[SOS_MAX_SECTIONS], z1[SOS_MAX_SECTIONS];
#pragma GCC unroll 8
	for (int i = 0; i < nsections; i++) {
		z0[i] = *(const NAME(vector) *)(z + (2 * i) * LANES);
		z1[i] = *(const NAME(vector) *)(z + (2 * i + 1) * LANES);
	}
	NAME(vector) b1[SOS_MAX_SECTIONS], b2[SOS_MAX_SECTIONS], a1[SOS_MAX_SECTIONS], a2[SOS_MAX_SECTIONS];
#pragma GCC unroll 8
	for (int i = 0; i < nsections; i++) {
		b1[i] = s->COEFFICIENTS.b1[i] - (NAME(vector)){ 0 };
		b2[i] = s->COEFFICIENTS.b2[i] - (NAME(vector)){ 0 };
		a1[i] = s->COEFFICIENTS.a1[i] - (NAME(vector)){ 0 };
		a2[i] = s->COEFFICIENTS.a2[i] - (NAME(vector)){ 0 };
	}
	const ptrdiff_t step = direction * LANES;
	const ptrdiff_t ahead = step * FETCH_FRAMES * (ptrdiff_t)sizeof *x;
	for (size_t t = 0; t < nframes; t++, x += step, y += step) {
		sos_fetch(x, y, ahead);
		NAME(vector) v = __builtin_convertvector(*(const NAME(samples) *)x, NAME(vector)) * s->COEFFICIENTS.gain;
#pragma GCC unroll 8
		for (int i = 0; i < nsections; i++) {
			NAME(vector) out = v + z0[i];
			z0[i] = FNMA(out, a1[i], band ? z1[i] : FMA(v, b1[i], z1[i]));
			z1[i] = FNMA(out, a2[i], band ? -v : v * b2[i]);
			v = out;
		}
		*(NAME(samples) *)y = __builtin_convertvector(v, NAME(samples));
	}
#pragma GCC unroll 8
	for (int i = 0; i < nsections; i++) {
		*(NAME(vector) *)(z + (2 * i) * LANES) = flush ? NAME(flushed)(z0[i], s->tiny) : z0[i];
		*(NAME(vector) *)(z + (2 * i + 1) * LANES) = flush ? NAME(flushed)(z1[i], s->tiny) : z1[i];
	}
}

#define SECTIONS(n)                                                                                       \
	case n:                                                                                           \
		for (size_t g = 0; g < LANES; g += VECTOR_BYTES / sizeof(REAL)) {                         \
			if (s->band)                                                                      \
				NAME(group)(s, z + g, x + g, y + g, direction, nframes, flush, n, true);  \
			else                                                                              \
				NAME(group)(s, z + g, x + g, y + g, direction, nframes, flush, n, false); \
		}                                                                                         \
		break;

void VARIANT(NAME(sos_tile))(const struct sos *s, REAL *z, const float *x, float *y, int direction, size_t nframes, bool flush)
{
	switch (s->nsections) {
	SECTIONS(1)
	SECTIONS(2)
	SECTIONS(3)
	SECTIONS(4)
	SECTIONS(5)
	SECTIONS(6)
	SECTIONS(7)
	SECTIONS(8)
	}
}
#undef SECTIONS
