/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Kernel tests in the manner of dav1d's checkasm: one list of tests, each with its bench as the last lines, run in a child process of its
 * own, so that a crash, a trap on a guard page or 60 s without an end is one failed test.
 *
 * A test file check_NAME.c needs no entry anywhere else:
 *
 *	CHECK_TEST(sos_cut_anywhere)
 *	{
 *		CHECK_EACH_ISA(isa) {                       // c, avx2, avx512: what this CPU has; the same random numbers for each
 *			float *x = check_guard(n * sizeof *x, CHECK_END);
 *			check_fill_f32(x, n, CHECK_NOISE);
 *			...
 *			check_same("halves", whole, halves, nbytes);
 *			check_release();                    // guarded buffers
 *		}
 *		CHECK_EACH_ISA(isa)
 *			CHECK_BENCH("sos 384 channels", nframes * 384)
 *				sos_step(...);              // runs under --bench only
 *	}
 *
 * A failed check prints file, line and message, and the test goes on; the first few are printed, all are counted.
 */
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

#include "kernels/executor.h"
#include "kernels/isa.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The list of tests. */
struct check_test {
	const char *name;
	void (*run)(void);
	struct check_test *next;
};
void check_register(struct check_test *t);

#define CHECK_TEST(id)                                                              \
	static void test_##id(void);                                                \
	__attribute__((constructor)) static void register_##id(void)                \
	{                                                                           \
		static struct check_test t = { .name = #id, .run = test_##id };     \
		check_register(&t);                                                 \
	}                                                                           \
	static void test_##id(void)

/* Judgements. */
#define check_that(condition, ...) ((condition) ? (void)0 : check_fail(__FILE__, __LINE__, __VA_ARGS__))
#define check_same(what, ref, got, nbytes) check_same_at(__FILE__, __LINE__, what, ref, got, nbytes)
#define check_near(what, ref, got, scale, n, k) check_near_at(__FILE__, __LINE__, what, ref, got, scale, n, k)
#define check_near_f64(what, ref, got, scale, n, k) check_near_f64_at(__FILE__, __LINE__, what, ref, got, scale, n, k)

void check_fail(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Same bytes. */
bool check_same_at(const char *file, int line, const char *what, const void *ref, const void *got, size_t nbytes);

/* |ref[i] - got[i]| <= k * (FLT_EPSILON * scale[i] + FLT_TRUE_MIN): k roundings on the longest path, scale[i] the sum of |terms| of result i
 * (NULL: |ref[i]|). NaN matches NaN only, an infinity itself only. The other one: the same in double. */
bool check_near_at(const char *file, int line, const char *what, const float *ref, const float *got, const float *scale, size_t n, double k);
bool check_near_f64_at(const char *file, int line, const char *what, const double *ref, const double *got, const double *scale, size_t n,
		       double k);

/* Random numbers: a function of --seed, the test's name and the draws since check_reseed. */
void check_reseed(void);
uint64_t check_rand(void);
size_t check_below(size_t n);  /* 0..n-1; n >= 1 */
double check_uniform(void);    /* [0, 1) */
float check_f32(void);         /* normal, mean 0, standard deviation 1 */

/* Fills: what kernels stumble over. NAN is noise with some NaN and both infinities in it. */
enum check_fill { CHECK_NOISE, CHECK_IMPULSE, CHECK_CONSTANT, CHECK_RAILS, CHECK_DENORMAL, CHECK_NFILL, CHECK_NAN = CHECK_NFILL };
void check_fill_f32(float *x, size_t n, enum check_fill fill);
void check_fill_f64(double *x, size_t n, enum check_fill fill);
void check_fill_bytes(void *x, size_t nbytes); /* any bytes; integers of any type */

/* A buffer of nbytes between two pages that trap. END: its last byte is the last before a trap, so it has only the alignment that nbytes has;
 * START: it begins behind a trap, page-aligned. Filled with bytes 0xCD. Released by check_release, all at once, or at the test's end. */
enum check_edge { CHECK_END, CHECK_START, CHECK_NEDGE };
void *check_guard(size_t nbytes, enum check_edge edge);
void check_release(void);

/* Runs the body for each instruction set this CPU has, lowest first, reseeding each time; afterwards the best one is on again. */
#define CHECK_EACH_ISA(isa) for (enum isa isa = ISA_C; check_isa(isa); isa++)
bool check_isa(enum isa isa);

/* Holds all instruction sets to the first: under CHECK_EACH_ISA its n-th call must see the same bytes as it saw under ISA_C. */
void check_variants(const char *what, const void *got, size_t nbytes);

/* Executors that must not change any result: last piece first, and four threads that grab pieces as they come. */
extern const struct executor check_reverse;
extern const struct executor check_threads;

/* Under --bench, runs the statement behind it often enough and prints the fastest time per item. One run should take 10 us or more. */
#define CHECK_BENCH(label, nitems) \
	for (struct check_bench bench_ = { (label), (double)(nitems), 0, 0, 0, 0 }; check_bench_next(&bench_);)
struct check_bench {
	const char *label;
	double nitems;
	int64_t start_ns, best_ns, total_ns;
	int rounds;
};
bool check_bench_next(struct check_bench *b);

/* For main.c. */
struct check_options {
	uint64_t seed;
	bool bench;
};
struct check_test *check_tests(void);
bool check_run(const struct check_test *t, const struct check_options *options);

#endif
