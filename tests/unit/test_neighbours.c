/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Lists of neighbours against all pairs.
 */
#include "daemon/neighbours.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#include <math.h>
#include <stdbool.h>

enum { MOST = 120 };

static bool near(const double *x, size_t ndim, size_t a, size_t b, double radius)
{
	double sum = 0;
	for (size_t i = 0; i < ndim; i++)
		sum += (x[a * ndim + i] - x[b * ndim + i]) * (x[a * ndim + i] - x[b * ndim + i]);
	return sqrt(sum) <= radius;
}

static bool same_as_all_pairs(const struct neighbours *n, const double *x, size_t nchannels, size_t ndim, double radius)
{
	bool same = n->start[0] == 0;
	for (size_t a = 0; a < nchannels; a++) {
		unsigned char listed[MOST] = { 0 };
		for (size_t i = n->start[a]; i < n->start[a + 1]; i++)
			listed[n->index[i]]++;
		for (size_t b = 0; b < nchannels; b++)
			same &= listed[b] == near(x, ndim, a, b, radius);
	}
	return same;
}

/* Contacts on a grid, so that many lie just at the radius, or share a place. */
static void all_pairs(void)
{
	static const double radii[] = { 0, 1e-200, 5, 10, 14.142135623730951, 28.2, 50, 1e30 };
	struct random r = random_seed(5);
	double x[MOST * 3];
	for (int round = 0; round < 400; round++) {
		size_t nchannels = 1 + random_below(&r, MOST), ndim = 2 + random_below(&r, 2), wide = 1 + random_below(&r, 12);
		double step = random_below(&r, 8) ? 10 : 1e-200, radius = radii[random_below(&r, 8)];
		for (size_t i = 0; i < nchannels * ndim; i++)
			x[i] = step * ((double)random_below(&r, i % ndim ? wide : 4) - 2) + (random_below(&r, 20) ? 0 : 1e-3);
		struct neighbours n;
		CU_ASSERT_EQUAL_FATAL(neighbours_new(&n, x, nchannels, ndim, radius, 1 << 20, NULL), STATUS_OK);
		CU_ASSERT(same_as_all_pairs(&n, x, nchannels, ndim, radius));
		neighbours_fini(&n);
	}
}

static void limit(void)
{
	static const double x[2 * 10] = { 0 };
	struct neighbours n;
	struct error e;
	CU_ASSERT_EQUAL(neighbours_new(&n, x, 10, 2, 1, 99 * sizeof(size_t), &e), STATUS_TOO_LARGE);
	CU_ASSERT_PTR_NULL(n.start);
	CU_ASSERT_EQUAL(neighbours_new(&n, x, 10, 2, 1, 100 * sizeof(size_t), &e), STATUS_OK);
	CU_ASSERT_EQUAL(n.start[10], 100);
	neighbours_fini(&n);
}

CU_ErrorCode test_neighbours_register(void)
{
	CU_pSuite s = CU_add_suite("neighbours", NULL, NULL);
	if (!s || !CU_add_test(s, "all pairs", all_pairs) || !CU_add_test(s, "limit", limit))
		return CU_get_error();
	return CUE_SUCCESS;
}
