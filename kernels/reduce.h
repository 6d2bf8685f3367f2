/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Reductions of each channel over time. Every result has a fixed shape of evaluation: frames are cut into blocks of REDUCE_BLOCK from
 * frame 0 on, each block is reduced by fixed lanes, and the blocks are joined by a fixed pairwise tree. So the bits depend neither on
 * threads nor on how the frames arrive.
 */
#ifndef KERNELS_REDUCE_H
#define KERNELS_REDUCE_H

#include "kernels/executor.h"
#include "kernels/isa.h"
#include "protocol/dtype.h"
#include "protocol/error.h"

#include <stdbool.h>

/* R(name, bit) */
#define REDUCE_MAP(R)              \
	R(count_above, 0)          \
	R(sum, 1)                  \
	R(sum_of_squares, 2)       \
	R(weighted_sum, 3)         \
	R(mean, 4)                 \
	R(std, 5)                  \
	R(rms, 6)                  \
	R(min, 7)                  \
	R(max, 8)

enum reduce_op {
#define R(name, bit) REDUCE_##name = 1 << bit,
	REDUCE_MAP(R)
#undef R
};

/* Frames in a block for this many channels: 16384 for 1 channel, 1024 otherwise. */
size_t reduce_block(size_t nchannels);

/* What is kept of one channel of one block, and of joined blocks. All sums are of doubles: for integers up to 32 bits (squares: 16) and
 * while below 2^53 they are exact, so the mean is rounded once; 64-bit integers are rounded to double before anything else. Nonfinite values
 * go the way of NumPy: sums and extremes of a NaN are NaN, and so is std beside an infinity. Of 0 and -0 min and max give either one. */
struct moments {
	int64_t count;           /* frames, NaN or not */
	int64_t above;
	double sum, sum_sq, weighted;
	double mean, m2;         /* m2: sum of (x - mean)^2 */
	double min, max;         /* NaN if a sample is */
};

/* Moments of one block: x is [nframes][nchannels] of dtype (any alignment), nframes <= reduce_block(nchannels).
 * threshold: compared in double, for above (x > threshold) and weighted (+x if x > threshold, else -x; a NaN x gives NaN).
 * ops: the union of enum reduce_op that will be asked for; what is not needed may be left 0.
 * Block i of the data must be given as block i; blocks may be computed in any order, on any thread. */
enum status reduce_block_moments(enum dtype dtype, const void *x, size_t nframes, size_t nchannels, double threshold, unsigned ops,
				 struct moments *out);

/* Joins [nblocks][nchannels] in place by the fixed tree; the result stands in the first row. nblocks >= 1. */
void reduce_join(struct moments *m, size_t nblocks, size_t nchannels);

/* One result of joined moments. Empty input: count_above, sum, sum_of_squares, weighted_sum are 0, the others NaN. */
double reduce_result(enum reduce_op op, const struct moments *m);

/* Name ("std") to op, 0 if there is none. */
unsigned reduce_op_from_name(const char *name);

/* Cumulative sum along time, y[t] = x[0] + ... + x[t] for each channel, in f64: chunks of fixed length are summed, their carries joined in
 * order, and each chunk is then run again from its true carry. Values that are finite, infinite or NaN are so in the plain loop, too, up to
 * rounding at the border of overflow.
 *   x [nframes][nchannels] of dtype; y [nframes][nchannels] f64; carries [ceil(nframes / CUMSUM_CHUNK)][nchannels] f64 scratch */
enum { CUMSUM_CHUNK = 8192 };
enum status cumsum(enum dtype dtype, const void *x, size_t nframes, size_t nchannels, const struct executor *ex, double *carries, double *y);

/* The loops of reduce_simd.c for one type, over nrows rows of `width` columns that stand `stride` values apart; extremes take
 * up to REDUCE_STRIP columns. */
enum { REDUCE_STRIP = 512 };
enum reduce_sum { REDUCE_SUM, REDUCE_SQUARE, REDUCE_ABOVE, REDUCE_WEIGHTED, REDUCE_DEVIATION, REDUCE_NSUM };

/* acc[width] += ...; `threshold` for ABOVE and WEIGHTED, mean[width] for DEVIATION. */
typedef void reduce_sum_fn(const void *x, size_t nrows, size_t width, size_t stride, double threshold, const double *mean, double *acc);

struct reduce_loops {
	reduce_sum_fn *sum[REDUCE_NSUM];
	/* least, greatest; acc is [2][REDUCE_STRIP] of the type itself: the values, and marks not 0 where there was a NaN */
	void (*extreme[2])(const void *x, size_t nrows, size_t width, size_t stride, void *acc);
	void (*out)(const void *acc, size_t width, double *result);
};

/* NULL for a type that has no reductions. Same bits on every instruction set. */
ISA_DECLARE(const struct reduce_loops *, reduce_loops, enum dtype dtype);

/* The running sum of a chunk (cumsum_simd.c): y[t] = carry + x[0] + ... + x[t] of each channel. NULL for a type that has none. */
typedef void cumsum_run_fn(const void *x, size_t nframes, size_t nchannels, const double *carry, double *y);
ISA_DECLARE(cumsum_run_fn *, cumsum_run, enum dtype dtype);

#endif
