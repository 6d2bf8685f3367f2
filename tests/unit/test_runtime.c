/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What running kernels meet: memory and its budget, parallel loops on threads, procedures, divisions.
 */
#include "kernels/compiler/runtime.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#include <complex.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static struct kernel_call call;
static struct kernel_context ctx;

static void begin(const struct executor *ex, size_t limit)
{
	call = (struct kernel_call){ .executor = ex, .memory_limit = limit };
	kernel_context_init(&ctx, &call);
	CU_ASSERT(ctx.is_main);
}

static void end(void)
{
	kernel_context_free(&ctx);
	CU_ASSERT_EQUAL(call.memory_used, 0);
}

/* --- an executor of threads --- */

enum { NTHREADS = 4 };

struct team {
	void (*body)(void *arg, size_t i);
	void *arg;
	size_t n;
	atomic_size_t next;
};

static void *work(void *arg)
{
	struct team *t = arg;
	for (size_t i; (i = atomic_fetch_add(&t->next, 1)) < t->n;)
		t->body(t->arg, i);
	return NULL;
}

static void run_team(void *unused, size_t n, void (*body)(void *arg, size_t i), void *arg)
{
	(void)unused;
	struct team t = { .body = body, .arg = arg, .n = n };
	pthread_t threads[NTHREADS];
	for (int i = 0; i < NTHREADS; i++)
		pthread_create(&threads[i], NULL, work, &t);
	for (int i = 0; i < NTHREADS; i++)
		pthread_join(threads[i], NULL);
}

static const struct executor team = { run_team, NULL, NTHREADS };

/* --- memory --- */

static struct kernel_array array(int64_t n)
{
	return (struct kernel_array){ .shape = { n } };
}

static void allocation(void)
{
	begin(&executor_serial, 1 << 20);
	struct kernel_array a = { .shape = { 3, 0, 5 } }, b = { .shape = { 2, 3, 4 } };
	CU_ASSERT_FALSE(kernel_alloc(&ctx, &a, 3, 8, 1, 1, 0));
	CU_ASSERT_PTR_NOT_NULL(a.data);
	CU_ASSERT_FALSE(kernel_alloc(&ctx, &b, 3, 2, 1, 1, 0));
	CU_ASSERT(b.stride[0] == 24 && b.stride[1] == 8 && b.stride[2] == 2);
	CU_ASSERT_EQUAL((uintptr_t)b.data % 64, 0);
	for (int i = 0; i < 24; i++)
		CU_ASSERT_EQUAL(((int16_t *)b.data)[i], 0);
	CU_ASSERT_PTR_NULL(kernel_take(&ctx, (char *)b.data + 2));
	void *taken = kernel_take(&ctx, b.data);
	CU_ASSERT_PTR_EQUAL(taken, b.data);
	struct kernel_array huge = { .shape = { INT64_MAX, INT64_MAX, INT64_MAX } };
	CU_ASSERT(kernel_alloc(&ctx, &huge, 3, 8, 0, 4, 5));
	CU_ASSERT(call.failure.code == KERNEL_MEMORY && call.failure.line == 4 && call.failure.array == 5 && call.failure.value[0] == 1 << 20);
	end();
	free(taken);
}

static void marks(void)
{
	begin(&executor_serial, 1 << 20);
	struct kernel_array kept = array(1000), list = array(0);
	CU_ASSERT_FALSE(kernel_alloc(&ctx, &kept, 1, 8, 1, 1, 0));
	CU_ASSERT_FALSE(kernel_list_grow(&ctx, &list, 8, 1, 0));
	for (int64_t k = 0; k < 1000; k++) {
		void *mark = kernel_mark(&ctx);
		struct kernel_array a = array(100 + k % 7 * 1000), b = array(9000);
		CU_ASSERT_FALSE_FATAL(kernel_alloc(&ctx, &a, 1, 8, 1, 1, 0) || kernel_alloc(&ctx, &b, 1, 8, 1, 1, 0));
		CU_ASSERT(((double *)a.data)[a.shape[0] - 1] == 0 && ((double *)b.data)[0] == 0);
		memset(a.data, 255, (size_t)a.shape[0] * 8);
		memset(b.data, 255, (size_t)b.shape[0] * 8);
		CU_ASSERT_FALSE(kernel_list_grow(&ctx, &list, 8, 1, 0));
		((int64_t *)list.data)[list.shape[0]++] = k; /* an older block, which grows in its place */
		kernel_release(&ctx, mark);
	}
	for (int64_t k = 0; k < 1000; k++)
		CU_ASSERT_EQUAL(((int64_t *)list.data)[k], k);
	CU_ASSERT_EQUAL(((double *)kept.data)[999], 0);
	end();
}

/* --- parallel loops --- */

struct loop {
	atomic_int *seen;
	int64_t fails_at;
	atomic_int chunks;
	int64_t length;
};

static int chunk(struct kernel_context *c, void *frame, int64_t lo, int64_t hi, int64_t k)
{
	struct loop *l = frame;
	atomic_fetch_add(&l->chunks, 1);
	struct kernel_array a = array(hi - lo);
	if (kernel_alloc(c, &a, 1, 4, 0, 1, 0))
		return 1;
	if (l->length && lo != k * l->length)
		return kernel_fail(c, KERNEL_ASSERTION, 0, UINT32_MAX, lo, k);
	for (int64_t i = lo; i < hi; i++) {
		if (i >= l->fails_at)
			return kernel_fail(c, KERNEL_INDEX, 3, 0, i, 0);
		atomic_fetch_add(&l->seen[i], 1);
	}
	return 0;
}

static void parallel(void)
{
	static const int64_t trips[] = { 0, 1, 100, 8191, 8192, 100000, 1 << 20 }, lengths[] = { 0, 1, 4096, 100000 };
	for (size_t i = 0; i < sizeof trips / sizeof *trips; i++)
		for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
			if (lengths[k] == 1 && trips[i] > 10000)
				continue;
			struct loop l = { .seen = calloc((size_t)trips[i] + 1, sizeof *l.seen), .fails_at = INT64_MAX, .length = lengths[k] };
			begin(&team, 64 << 20);
			CU_ASSERT_FALSE(kernel_parallel(&ctx, chunk, &l, trips[i], lengths[k]));
			int64_t wrong = 0;
			for (int64_t t = 0; t < trips[i]; t++)
				wrong += l.seen[t] != 1;
			CU_ASSERT_EQUAL(wrong, 0);
			CU_ASSERT_EQUAL(call.memory_used, 0);
			end();
			free(l.seen);
		}
}

/* Whatever runs when: the lowest chunk's failure. */
static void first_failure(void)
{
	for (int round = 0; round < 200; round++) {
		struct loop l = { .seen = calloc(10000, sizeof *l.seen), .fails_at = 500 + round * 31 };
		begin(&team, 64 << 20);
		CU_ASSERT(kernel_parallel(&ctx, chunk, &l, 10000, 10));
		CU_ASSERT(call.failure.code == KERNEL_INDEX && call.failure.line == 3 && call.failure.value[0] == l.fails_at);
		end();
		free(l.seen);
	}
}

static atomic_bool attention, cancelled;
static int pauses;

static int pause_call(struct kernel_call *c)
{
	c->executor = ++pauses % 2 ? &executor_serial : &team;
	if (pauses == 20)
		atomic_store(&attention, false);
	return 0;
}

static void looks_up(void)
{
	struct loop l = { .seen = calloc(100000, sizeof *l.seen), .fails_at = INT64_MAX };
	begin(&team, 64 << 20);
	pauses = 0;
	attention = true;
	cancelled = false;
	call.attention = &attention;
	call.cancelled = &cancelled;
	call.pause = pause_call;
	CU_ASSERT_FALSE(kernel_parallel(&ctx, chunk, &l, 100000, 100));
	CU_ASSERT_EQUAL(pauses, 20);
	CU_ASSERT_EQUAL(l.chunks, 1000);
	cancelled = true;
	CU_ASSERT(kernel_parallel(&ctx, chunk, &l, 100000, 100));
	CU_ASSERT(call.failure.code == KERNEL_CANCELLED && l.chunks == 1000);
	end();
	free(l.seen);
}

/* --- procedures --- */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return isnan(x) || isnan(y) ? isnan(x) - isnan(y) : (x > y) - (x < y);
}

static int run(int proc, struct kernel_array *a, enum dtype d, struct kernel_array *second, enum dtype d2, union kernel_scalar *s, int64_t b,
	       union kernel_scalar *result)
{
	struct kernel_array *arrays[] = { a, second };
	int32_t dtypes[] = { (int32_t)d, (int32_t)d2 };
	return kernel_procedure(&ctx, proc, 5, second ? 2 : 1, arrays, dtypes, s, &(union kernel_scalar){ .i = b }, result);
}

static void sorts(void)
{
	struct random r = random_seed(9);
	begin(&executor_serial, 64 << 20);
	for (int64_t n = 0; n < 2000; n += n < 60 ? 1 : 311)
		for (int nan = 0; nan < 2; nan++) {
			double *x = malloc(8 * (size_t)n + 1), *sorted = malloc(8 * (size_t)n + 1), *spread = malloc(24 * (size_t)n + 24);
			int64_t *order = malloc(8 * (size_t)n + 1);
			for (int64_t i = 0; i < n; i++)
				sorted[i] = spread[3 * i] = x[i] = nan && random_below(&r, 9) == 0 ? NAN : (double)(int64_t)random_next(&r) / (double)(1 + random_next(&r) % 999);
			struct kernel_array forth = { .data = x, .shape = { n }, .stride = { 8 } }, places = { .data = order, .shape = { n }, .stride = { 8 } };
			struct kernel_array wide = { .data = spread, .shape = { n }, .stride = { 24 } };
			union kernel_scalar got;
			qsort(sorted, (size_t)n, 8, compare);
			CU_ASSERT_FALSE(run(KERNEL_PROC_ARGSORT, &places, DTYPE_I64, &forth, DTYPE_F64, NULL, 0, &got));
			CU_ASSERT_FALSE(run(KERNEL_PROC_SORT, &wide, DTYPE_F64, NULL, 0, NULL, 0, &got));
			int64_t wrong = 0;
			for (int64_t i = 0; i < n; i++) {
				wrong += compare(&spread[3 * i], &sorted[i]) != 0 || compare(&x[order[i]], &sorted[i]) != 0;
				wrong += i > 0 && compare(&x[order[i]], &x[order[i - 1]]) == 0 && order[i] < order[i - 1];
			}
			CU_ASSERT_EQUAL(wrong, 0);
			if (n > 0 && !nan) {
				CU_ASSERT_FALSE(run(KERNEL_PROC_MEDIAN, &forth, DTYPE_F64, NULL, 0, NULL, 0, &got));
				CU_ASSERT_EQUAL(got.f64, n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2);
				union kernel_scalar q = { .f64 = (double)random_below(&r, 101) };
				CU_ASSERT_FALSE(run(KERNEL_PROC_PERCENTILE, &forth, DTYPE_F64, NULL, 0, &q, 0, &got));
				double at = (double)(n - 1) * (q.f64 / 100), lo = sorted[(int64_t)at], hi = sorted[(int64_t)at + (at < (double)(n - 1))];
				double part = at - floor(at);
				CU_ASSERT_EQUAL(got.f64, part >= 0.5 ? hi - (hi - lo) * (1 - part) : lo + (hi - lo) * part);
			}
			free(x), free(sorted), free(spread), free(order);
		}
	end();
}

static void small_types(void)
{
	begin(&executor_serial, 1 << 20);
	int8_t b[] = { 5, -128, 127, 0, -1 };
	_Float16 h[] = { 2, -1, (_Float16)INFINITY, (_Float16)NAN, -2 };
	uint64_t u[] = { UINT64_MAX, 0, UINT64_C(1) << 63 };
	struct kernel_array bytes = { .data = b, .shape = { 5 }, .stride = { 1 } }, halves = { .data = h, .shape = { 5 }, .stride = { 2 } };
	struct kernel_array longs = { .data = u + 2, .shape = { 3 }, .stride = { -8 } };
	union kernel_scalar got, a;
	CU_ASSERT_FALSE(run(KERNEL_PROC_SORT, &bytes, DTYPE_I8, NULL, 0, NULL, 0, &got));
	CU_ASSERT(b[0] == -128 && b[1] == -1 && b[2] == 0 && b[3] == 5 && b[4] == 127);
	CU_ASSERT_FALSE(run(KERNEL_PROC_SORT, &halves, DTYPE_F16, NULL, 0, NULL, 0, &got));
	CU_ASSERT(h[0] == -2 && h[2] == 2 && isinf((float)h[3]) && isnan((float)h[4]));
	CU_ASSERT_FALSE(run(KERNEL_PROC_SORT, &longs, DTYPE_U64, NULL, 0, NULL, 0, &got));
	CU_ASSERT(u[2] == 0 && u[1] == UINT64_C(1) << 63 && u[0] == UINT64_MAX);
	double x[] = { -1, 0, 0, 2, INFINITY, NAN, NAN };
	struct kernel_array sorted = { .data = x, .shape = { 7 }, .stride = { 8 } };
	const struct { double value; int64_t first, last; } rows[] = { { -2, 0, 0 }, { -0.0, 1, 3 }, { 1, 3, 3 }, { INFINITY, 4, 5 }, { NAN, 5, 7 } };
	for (int i = 0; i < 5; i++) {
		a.f64 = rows[i].value;
		CU_ASSERT(!run(KERNEL_PROC_SEARCHSORTED, &sorted, DTYPE_F64, NULL, 0, &a, 0, &got) && got.i == rows[i].first);
		CU_ASSERT(!run(KERNEL_PROC_SEARCHSORTED, &sorted, DTYPE_F64, NULL, 0, &a, 1, &got) && got.i == rows[i].last);
	}
	CU_ASSERT_FALSE(run(KERNEL_PROC_MEDIAN, &sorted, DTYPE_F64, NULL, 0, NULL, 0, &got));
	CU_ASSERT(isnan(got.f64));
	sorted.shape[0] = 0;
	CU_ASSERT(run(KERNEL_PROC_MEDIAN, &sorted, DTYPE_F64, NULL, 0, NULL, 0, &got) && call.failure.code == KERNEL_EMPTY);
	ctx.failure.code = KERNEL_NO_ERROR;
	a.f64 = 101;
	CU_ASSERT(run(KERNEL_PROC_PERCENTILE, &sorted, DTYPE_F64, NULL, 0, &a, 0, &got));
	CU_ASSERT(call.failure.code == KERNEL_DOMAIN && call.failure.value[0] == 101);
	end();
}

/* --- divisions: what NumPy 1.24 gives --- */

static bool same(double a, double b)
{
	return isnan(a) ? isnan(b) : a == b && signbit(a) == signbit(b);
}

static void divisions(void)
{
	static const struct { double a, b, quotient, rest; } rows[] = {
		{ 1.0, 0.1, 9, 0.09999999999999995 }, { 5, INFINITY, 0, 5 }, { -5, INFINITY, -1, INFINITY }, { 5, -INFINITY, -1, -INFINITY },
		{ 1e17, 3, 33333333333333332, 1 }, { 7, -2, -4, -1 }, { -7, 2, -4, 1 }, { 0.0, -3, -0.0, -0.0 }, { -0.0, 3, -0.0, 0.0 }, { 6, -3, -2, -0.0 },
		{ 1, 0, INFINITY, NAN }, { -1, 0, -INFINITY, NAN }, { 0, 0, NAN, NAN }, { INFINITY, 2, NAN, NAN }, { NAN, 1, NAN, NAN }, { 1, NAN, NAN, NAN },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		CU_ASSERT(same(kernel_floordiv_f64(rows[i].a, rows[i].b), rows[i].quotient));
		CU_ASSERT(same(kernel_mod_f64(rows[i].a, rows[i].b), rows[i].rest));
	}
	CU_ASSERT_EQUAL(kernel_pow_i64(3, 40), -6289078614652622815);
	CU_ASSERT_EQUAL(kernel_pow_i64(-1, INT64_MAX), -1);
	CU_ASSERT_EQUAL(kernel_pow_i64(0, 0), 1);
	double _Complex q = kernel_div_c128(CMPLX(1e300, 1e300), CMPLX(1e300, 1e300)), z = kernel_div_c128(CMPLX(1, -1), CMPLX(0, 0));
	CU_ASSERT(creal(q) == 1 && cimag(q) == 0);
	CU_ASSERT(creal(z) == INFINITY && cimag(z) == -INFINITY);
}

CU_ErrorCode test_runtime_register(void)
{
	static const CU_TestInfo tests[] = {
		{ "allocation", allocation }, { "marks", marks }, { "parallel", parallel }, { "first failure", first_failure }, { "looks up", looks_up },
		{ "sorts", sorts }, { "small types", small_types }, { "divisions", divisions },
	};
	CU_pSuite suite = CU_add_suite("runtime", NULL, NULL);
	for (size_t k = 0; suite && k < sizeof tests / sizeof *tests; k++)
		if (!CU_add_test(suite, tests[k].pName, tests[k].pTestFunc))
			return CU_get_error();
	return CU_get_error();
}
