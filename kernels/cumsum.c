/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Cumulative sums in parallel: each chunk's total, then each chunk's carry, then each chunk from its carry. Two reads instead of one, both
 * of which split over threads; a few chunks for each thread at a time, so that the second read finds them in the cache. A chunk's first
 * value therefore follows from the carry, not from the last value of the chunk before, which differs from it by rounding.
 *
 * A sum that has become infinite or NaN stays so, but the totals may overflow where the running sum does not, and the other
 * way round. So a channel is run serially from the first chunk on in which its total, its carry or its last value is not finite.
 */
#include "kernels/isa.h"
#include "kernels/reduce.h"

#include <math.h>
#include <string.h>

struct job {
	const char *x;
	size_t size, nframes, nchannels, nchunks;
	reduce_sum_fn *sum;
	cumsum_run_fn *run;
	double *carries;     /* carries[i + 1] holds the total of chunk i until its carry is known */
	double *y;
	size_t first_chunk;  /* of those at hand */
};

static size_t chunk_frames(const struct job *job, size_t chunk)
{
	size_t left = job->nframes - chunk * CUMSUM_CHUNK;
	return left < CUMSUM_CHUNK ? left : CUMSUM_CHUNK;
}

static const char *chunk_at(const struct job *job, size_t chunk)
{
	return job->x + chunk * CUMSUM_CHUNK * job->nchannels * job->size;
}

/* One channel is summed as 64 columns, as in reduce.c, and these in order. */
static void total_of_one(const struct job *job, const char *x, double *total)
{
	enum { COLUMNS = 64, NROWS = CUMSUM_CHUNK / COLUMNS };
	double sums[COLUMNS] = { 0 };
	job->sum(x, NROWS, COLUMNS, COLUMNS, 0, NULL, sums);
	*total = 0;
	for (int i = 0; i < COLUMNS; i++)
		*total += sums[i];
}

/* The last chunk's total is not needed, so all that are summed are whole. */
static void total_of_chunk(void *arg, size_t i)
{
	const struct job *job = arg;
	size_t chunk = job->first_chunk + i;
	if (chunk + 1 == job->nchunks)
		return;
	double *total = job->carries + (chunk + 1) * job->nchannels;
	if (job->nchannels == 1) {
		total_of_one(job, chunk_at(job, chunk), total);
		return;
	}
	memset(total, 0, job->nchannels * sizeof *total);
	job->sum(chunk_at(job, chunk), CUMSUM_CHUNK, job->nchannels, job->nchannels, 0, NULL, total);
}

static void run_chunk(void *arg, size_t i)
{
	const struct job *job = arg;
	size_t chunk = job->first_chunk + i;
	job->run(chunk_at(job, chunk), chunk_frames(job, chunk), job->nchannels, job->carries + chunk * job->nchannels,
		 job->y + chunk * CUMSUM_CHUNK * job->nchannels);
}

/* Totals into carries; a channel whose total or carry is not finite gets NaN from there on, the mark for run_serially. */
static void join_carries(const struct job *job, size_t end)
{
	for (size_t chunk = job->first_chunk; chunk < end && chunk + 1 < job->nchunks; chunk++)
		for (size_t c = 0; c < job->nchannels; c++) {
			double carry = job->carries[chunk * job->nchannels + c];
			double *next = &job->carries[(chunk + 1) * job->nchannels + c];
			*next = isfinite(*next) && isfinite(carry + *next) ? carry + *next : NAN;
		}
}

/* The first chunk after which the channel's sum is no longer known to be finite; nchunks if there is none. */
static size_t first_odd_chunk(const struct job *job, size_t c)
{
	for (size_t chunk = 0; chunk < job->nchunks; chunk++) {
		size_t last = chunk * CUMSUM_CHUNK + chunk_frames(job, chunk) - 1;
		bool next_is_odd = chunk + 1 < job->nchunks && !isfinite(job->carries[(chunk + 1) * job->nchannels + c]);
		if (next_is_odd || !isfinite(job->y[last * job->nchannels + c]))
			return chunk;
	}
	return job->nchunks;
}

static void run_serially(const struct job *job, size_t c, size_t chunk)
{
	double sum = job->carries[chunk * job->nchannels + c];
	for (size_t t = chunk * CUMSUM_CHUNK; t < job->nframes; t++) {
		double v = 0;
		job->run(job->x + (t * job->nchannels + c) * job->size, 1, 1, &(double){ 0 }, &v);
		sum += v;
		job->y[t * job->nchannels + c] = sum;
	}
}

enum status cumsum(enum dtype dtype, const void *x, size_t nframes, size_t nchannels, const struct executor *ex, double *carries, double *y)
{
	const struct reduce_loops *loops = ISA_PICK(reduce_loops)(dtype);
	if (!loops)
		return STATUS_UNSUPPORTED;
	if (nframes == 0 || nchannels == 0)
		return STATUS_OK;
	struct job job = { x, dtype_size(dtype), nframes, nchannels, nframes / CUMSUM_CHUNK + (nframes % CUMSUM_CHUNK != 0),
			   loops->sum[REDUCE_SUM], ISA_PICK(cumsum_run)(dtype), carries, y, 0 };
	size_t at_once = 4 * (ex->nthreads + (ex->nthreads == 0));
	memset(carries, 0, nchannels * sizeof *carries);
	for (; job.first_chunk < job.nchunks; job.first_chunk += at_once) {
		size_t left = job.nchunks - job.first_chunk, n = left < at_once ? left : at_once;
		ex->run(ex->ctx, n, total_of_chunk, &job);
		join_carries(&job, job.first_chunk + n);
		ex->run(ex->ctx, n, run_chunk, &job);
	}
	for (size_t c = 0; c < nchannels; c++) {
		size_t odd = first_odd_chunk(&job, c);
		if (odd < job.nchunks)
			run_serially(&job, c, odd);
	}
	return STATUS_OK;
}
