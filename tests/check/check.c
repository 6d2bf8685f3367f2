/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/check/check.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TIMEOUT_S = 60, BENCH_TIMEOUT_S = 600, MOST_PRINTED = 5 };

/* State of the one test that runs in this process. */
static struct {
	uint64_t seed, random;
	size_t nfailed;
	bool bench;
	struct guard *guards;
	uint64_t *variants; /* a hash of what each call of check_variants saw under the first instruction set */
	size_t nvariants, at_variant;
} now;

/* --- the list of tests --- */

static struct check_test *tests;

/* Sorted by name, since the order of constructors is the linker's. */
void check_register(struct check_test *t)
{
	struct check_test **at = &tests;
	while (*at && strcmp((*at)->name, t->name) < 0)
		at = &(*at)->next;
	t->next = *at;
	*at = t;
}

struct check_test *check_tests(void)
{
	return tests;
}

/* --- judgements --- */

void check_fail(const char *file, int line, const char *format, ...)
{
	if (++now.nfailed > MOST_PRINTED)
		return;
	va_list ap;
	va_start(ap, format);
	printf("  %s:%d: [%s] ", file, line, isa_name(isa_level()));
	vprintf(format, ap);
	putchar('\n');
	va_end(ap);
}

bool check_same_at(const char *file, int line, const char *what, const void *ref, const void *got, size_t nbytes)
{
	const unsigned char *a = ref, *b = got;
	if (nbytes == 0 || memcmp(a, b, nbytes) == 0)
		return true;
	size_t i = 0;
	while (a[i] == b[i])
		i++;
	check_fail(file, line, "%s: byte %zu of %zu differs (%02x, not %02x)", what, i, nbytes, b[i], a[i]);
	return false;
}

static bool near(double ref, double got, double tolerance)
{
	if (isnan(ref) || isnan(got))
		return isnan(ref) && isnan(got);
	if (isinf(ref) || isinf(got))
		return ref == got;
	return fabs(ref - got) <= tolerance;
}

bool check_near_at(const char *file, int line, const char *what, const float *ref, const float *got, const float *scale, size_t n, double k)
{
	for (size_t i = 0; i < n; i++) {
		double tolerance = k * (FLT_EPSILON * (double)(scale ? scale[i] : fabsf(ref[i])) + (double)FLT_TRUE_MIN);
		if (!near(ref[i], got[i], tolerance)) {
			check_fail(file, line, "%s: [%zu] of %zu is %.9g, not %.9g (tolerance %.3g)", what, i, n, got[i], ref[i], tolerance);
			return false;
		}
	}
	return true;
}

bool check_near_f64_at(const char *file, int line, const char *what, const double *ref, const double *got, const double *scale, size_t n,
		       double k)
{
	for (size_t i = 0; i < n; i++) {
		double tolerance = k * (DBL_EPSILON * (scale ? scale[i] : fabs(ref[i])) + DBL_TRUE_MIN);
		if (!near(ref[i], got[i], tolerance)) {
			check_fail(file, line, "%s: [%zu] of %zu is %.17g, not %.17g (tolerance %.3g)", what, i, n, got[i], ref[i], tolerance);
			return false;
		}
	}
	return true;
}

/* --- random numbers: SplitMix64 (Steele, Lea, Flood 2014) --- */

void check_reseed(void)
{
	now.random = now.seed;
}

uint64_t check_rand(void)
{
	uint64_t z = now.random += 0x9e3779b97f4a7c15;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

size_t check_below(size_t n)
{
	return (size_t)(check_rand() % n);
}

double check_uniform(void)
{
	return (double)(check_rand() >> 11) * 0x1p-53;
}

float check_f32(void)
{
	double radius = sqrt(-2 * log(1 - check_uniform()));
	return (float)(radius * cos(2 * 3.14159265358979323846 * check_uniform()));
}

/* --- fills --- */

static double rail(double top)
{
	return check_rand() & 1 ? top : -top;
}

static double special(void)
{
	static const double values[] = { NAN, INFINITY, -INFINITY, NAN };
	return values[check_below(4)];
}

#define DEFINE_FILL(name, type, rail_top, denormal_top)                                               \
	void name(type *x, size_t n, enum check_fill fill)                                            \
	{                                                                                             \
		type constant = (type)(100 * check_uniform() - 50);                                   \
		for (size_t i = 0; i < n; i++)                                                        \
			x[i] = fill == CHECK_IMPULSE    ? 0                                           \
			       : fill == CHECK_CONSTANT ? constant                                    \
			       : fill == CHECK_RAILS    ? (type)rail(rail_top)                        \
			       : fill == CHECK_DENORMAL ? (type)(denormal_top * (2 * check_uniform() - 1)) \
			       : fill == CHECK_NAN && check_below(16) == 0 ? (type)special()          \
								: (type)(10 * check_f32());           \
		if (fill == CHECK_IMPULSE && n > 0)                                                   \
			x[check_below(n)] = constant;                                                 \
	}
DEFINE_FILL(check_fill_f32, float, 32767, (double)FLT_MIN)
DEFINE_FILL(check_fill_f64, double, 2147483647, DBL_MIN)

void check_fill_bytes(void *x, size_t nbytes)
{
	unsigned char *at = x;
	for (size_t i = 0; i < nbytes; i++)
		at[i] = (unsigned char)check_rand();
}

/* --- guarded buffers --- */

struct guard {
	struct guard *next;
	void *map;
	size_t nbytes;
};

static void die(const char *what)
{
	perror(what);
	fflush(stdout);
	_exit(1);
}

void *check_guard(size_t nbytes, enum check_edge edge)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t inner = (nbytes + page - 1) / page * page;
	struct guard *g = malloc(sizeof *g);
	char *map = mmap(NULL, inner + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!g || map == MAP_FAILED || (inner && mprotect(map + page, inner, PROT_READ | PROT_WRITE) != 0))
		die("check_guard");
	memset(map + page, 0xCD, inner);
	*g = (struct guard){ now.guards, map, inner + 2 * page };
	now.guards = g;
	return edge == CHECK_END ? map + page + inner - nbytes : map + page;
}

void check_release(void)
{
	while (now.guards) {
		struct guard *g = now.guards;
		now.guards = g->next;
		munmap(g->map, g->nbytes);
		free(g);
	}
}

/* --- instruction sets and executors --- */

bool check_isa(enum isa isa)
{
	isa_limit(isa);
	check_reseed();
	now.at_variant = 0;
	if (isa_level() == isa)
		return true;
	isa_limit(ISA_AVX512);
	return false;
}

void check_variants(const char *what, const void *got, size_t nbytes)
{
	const unsigned char *at = got;
	uint64_t h = 0xcbf29ce484222325;
	for (size_t i = 0; i < nbytes; i++)
		h = (h ^ at[i]) * 0x100000001b3;
	size_t call = now.at_variant++;
	if (isa_level() == ISA_C) {
		if (call % 1024 == 0 && !(now.variants = realloc(now.variants, (call + 1024) * sizeof *now.variants)))
			die("check_variants");
		now.variants[call] = h;
		now.nvariants = call + 1;
	} else if (call >= now.nvariants || now.variants[call] != h) {
		check_fail(__FILE__, __LINE__, "%s: call %zu has other bytes than under c", what, call);
	}
}

static void run_reverse(void *ctx, size_t n, void (*body)(void *arg, size_t i), void *arg)
{
	(void)ctx;
	while (n-- > 0)
		body(arg, n);
}

struct crew {
	atomic_size_t next;
	size_t n;
	void (*body)(void *arg, size_t i);
	void *arg;
};

static void *crew_work(void *arg)
{
	struct crew *c = arg;
	for (size_t i; (i = atomic_fetch_add(&c->next, 1)) < c->n;)
		c->body(c->arg, i);
	return NULL;
}

static void run_threads(void *ctx, size_t n, void (*body)(void *arg, size_t i), void *arg)
{
	(void)ctx;
	struct crew c = { 0, n, body, arg };
	pthread_t threads[3];
	for (int i = 0; i < 3; i++)
		if (pthread_create(&threads[i], NULL, crew_work, &c) != 0)
			die("pthread_create");
	crew_work(&c);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
}

const struct executor check_reverse = { run_reverse, NULL, 1 };
const struct executor check_threads = { run_threads, NULL, 4 };

/* --- benches --- */

static int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* One round warms up; then at least 5 rounds and 0.2 s, of which the fastest counts. */
bool check_bench_next(struct check_bench *b)
{
	int64_t t = now_ns();
	if (!now.bench || now.nfailed)
		return false;
	if (b->rounds > 1) {
		int64_t spent = t - b->start_ns;
		b->total_ns += spent;
		b->best_ns = b->rounds == 2 || spent < b->best_ns ? spent : b->best_ns;
	}
	if (b->rounds > 5 && b->total_ns > 200000000) {
		double ns = (double)b->best_ns / b->nitems;
		printf("  bench %-44s %-7s %10.4f ns/item %10.1f Mitem/s\n", b->label, isa_name(isa_level()), ns, 1e3 / ns);
		fflush(stdout);
		return false;
	}
	b->rounds++;
	b->start_ns = now_ns();
	return true;
}

/* --- running one test --- */

static uint64_t hash(const char *name)
{
	uint64_t h = 0xcbf29ce484222325;
	while (*name)
		h = (h ^ (unsigned char)*name++) * 0x100000001b3;
	return h;
}

static void child(const struct check_test *t, const struct check_options *options)
{
	now.seed = options->seed ^ hash(t->name);
	now.bench = options->bench;
	check_reseed();
	alarm(options->bench ? BENCH_TIMEOUT_S : TIMEOUT_S);
	t->run();
	check_release();
	free(now.variants);
	if (now.nfailed > MOST_PRINTED)
		printf("  ... %zu failures in all\n", now.nfailed);
	fflush(stdout);
	exit(now.nfailed != 0);
}

bool check_run(const struct check_test *t, const struct check_options *options)
{
	fflush(stdout);
	int64_t start = now_ns();
	pid_t pid = fork();
	if (pid == 0)
		child(t, options);
	int how = 0;
	if (pid < 0)
		die("fork");
	while (waitpid(pid, &how, 0) < 0)
		if (errno != EINTR)
			die("waitpid");
	bool passed = WIFEXITED(how) && WEXITSTATUS(how) == 0;
	const char *why = !WIFSIGNALED(how) ? "" : WTERMSIG(how) == SIGALRM ? "timed out" : strsignal(WTERMSIG(how));
	printf("%-40s %s%s%s (%.2f s)\n", t->name, passed ? "ok" : "FAILED", *why ? ": " : "", why,
	       (double)(now_ns() - start) * 1e-9);
	if (!passed)
		printf("  repeat: check --seed %llu %s\n", (unsigned long long)options->seed, t->name);
	return passed;
}
