/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/eigen.h"

#if defined(__AVX512F__)
enum { WIDTH = 8, ROWS = 8 };
#elif defined(__AVX2__)
enum { WIDTH = 4, ROWS = 2 };
#else
enum { WIDTH = 2, ROWS = 1 };
#endif
enum { SUMS = 16, NVECTORS = LANES / WIDTH, STEP = SUMS / WIDTH };

typedef double vd __attribute__((vector_size(WIDTH * 8)));

static inline __attribute__((always_inline)) vd updated(double *row, const double *v, const double *w, double vi, double wi)
{
	vd x = *(vd *)row - (*(const vd *)w * vi + *(const vd *)v * wi);
	*(vd *)row = x;
	return x;
}

/* Partial sum k takes the elements whose index is k modulo 16. */
double VARIANT(eigen_row)(double *row, const double *v, const double *w, double vi, double wi, const double *next, size_t from, size_t to)
{
	vd acc[STEP];
	double sum[SUMS];
	for (int i = 0; i < STEP; i++)
		acc[i] = (vd){ 0 };
	size_t j = from / SUMS * SUMS;
	if (j < from) {
		for (int i = STEP / 2; i < STEP; i++)
			acc[i] += updated(row + j + i * WIDTH, v + j + i * WIDTH, w + j + i * WIDTH, vi, wi) * *(const vd *)(next + j + i * WIDTH);
		j += SUMS;
	}
	for (; j + SUMS <= to; j += SUMS)
#pragma GCC unroll 8
		for (int i = 0; i < STEP; i++)
			acc[i] += updated(row + j + i * WIDTH, v + j + i * WIDTH, w + j + i * WIDTH, vi, wi) * *(const vd *)(next + j + i * WIDTH);
	if (j < to)
		for (int i = 0; i < STEP / 2; i++)
			acc[i] += updated(row + j + i * WIDTH, v + j + i * WIDTH, w + j + i * WIDTH, vi, wi) * *(const vd *)(next + j + i * WIDTH);
	for (int i = 0; i < SUMS; i++)
		sum[i] = acc[i / WIDTH][i % WIDTH];
	for (int half = SUMS / 2; half > 0; half /= 2)
		for (int i = 0; i < half; i++)
			sum[i] += sum[i + half];
	return sum[0];
}

void VARIANT(eigen_reflect)(double *z, const double *v, double tau, size_t from, size_t to)
{
	vd sum[NVECTORS];
	for (int i = 0; i < NVECTORS; i++)
		sum[i] = (vd){ 0 };
	for (size_t j = from; j < to; j++)
#pragma GCC unroll 8
		for (int i = 0; i < NVECTORS; i++)
			sum[i] += *(const vd *)(z + j * LANES + i * WIDTH) * v[j];
	for (int i = 0; i < NVECTORS; i++)
		sum[i] *= tau;
	for (size_t j = from; j < to; j++)
#pragma GCC unroll 8
		for (int i = 0; i < NVECTORS; i++)
			*(vd *)(z + j * LANES + i * WIDTH) -= sum[i] * v[j];
}

/* The row that two rotations share stays in registers. */
void VARIANT(eigen_rotate)(double *z, size_t top, size_t n, const double *cs)
{
	vd upper[NVECTORS];
	for (int i = 0; i < NVECTORS; i++)
		upper[i] = *(const vd *)(z + top * LANES + i * WIDTH);
	for (size_t k = 0; k < n; k++) {
		const double c = cs[2 * k], s = cs[2 * k + 1];
		double *row = z + (top - k - 1) * LANES;
#pragma GCC unroll 8
		for (int i = 0; i < NVECTORS; i++) {
			const vd x = *(const vd *)(row + i * WIDTH), f = upper[i];
			*(vd *)(row + LANES + i * WIDTH) = x * s + f * c;
			upper[i] = x * c - f * s;
		}
	}
	for (int i = 0; i < NVECTORS; i++)
		*(vd *)(z + (top - n) * LANES + i * WIDTH) = upper[i];
}

static inline __attribute__((always_inline)) void some_products(const double *a, const double *b, size_t n, double *sum)
{
	vd acc[ROWS][NVECTORS];
#pragma GCC unroll 8
	for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 8
		for (int i = 0; i < NVECTORS; i++)
			acc[r][i] = (vd){ 0 };
	for (size_t j = 0; j < n; j++)
#pragma GCC unroll 8
		for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 8
			for (int i = 0; i < NVECTORS; i++)
				acc[r][i] += *(const vd *)(b + j * LANES + i * WIDTH) * a[j * LANES + (size_t)r];
#pragma GCC unroll 8
	for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 8
		for (int i = 0; i < NVECTORS; i++)
			*(vd *)(sum + r * LANES + i * WIDTH) = acc[r][i];
}

void VARIANT(eigen_products)(const double *a, const double *b, size_t n, double *sum)
{
	for (int r = 0; r < LANES; r += ROWS)
		some_products(a + r, b, n, sum + r * LANES);
}
