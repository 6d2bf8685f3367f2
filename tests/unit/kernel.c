/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/kernel.h"

#include "kernels/compiler/interpret.h"
#include "kernels/compiler/types.h"

#include <CUnit/CUnit.h>
#include <math.h>
#include <pthread.h>

struct jit *kernel_jit;

int make_jit(void)
{
	struct error e;
	kernel_jit = jit_new(&e);
	if (!kernel_jit)
		fprintf(stderr, "codegen: %s\n", e.message);
	return kernel_jit == NULL;
}

int free_jit(void)
{
	jit_free(kernel_jit);
	return 0;
}

/* --- running --- */

struct pieces {
	void (*body)(void *arg, size_t i);
	void *arg;
	size_t n;
	atomic_size_t next;
};

static void *take_pieces(void *arg)
{
	struct pieces *p = arg;
	for (size_t i; (i = atomic_fetch_add(&p->next, 1)) < p->n;)
		p->body(p->arg, i);
	return NULL;
}

static void run_threads(void *ctx, size_t n, void (*body)(void *arg, size_t i), void *arg)
{
	(void)ctx;
	struct pieces p = { .body = body, .arg = arg, .n = n };
	pthread_t thread[2];
	for (int i = 0; i < 2; i++)
		pthread_create(&thread[i], NULL, take_pieces, &p);
	take_pieces(&p);
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
}

const struct executor three_threads = { run_threads, NULL, 3 };

struct outcome run_kernel(kernel_entry *entry, const struct ir_function *f, const struct executor *ex, struct kernel_array *arrays,
			  union kernel_scalar *scalars, const atomic_bool *cancelled)
{
	struct kernel_call call = { .executor = ex, .memory_limit = 1 << 24, .cancelled = cancelled };
	struct kernel_context ctx;
	kernel_context_init(&ctx, &call);
	ctx.is_main = true;
	call.main = &ctx;
	struct outcome o = { .status = entry ? entry(&ctx, arrays, scalars) : interpret(f, &ctx, arrays, scalars) };
	o.divided_by_zero = call.divided_by_zero;
	o.failure = call.failure;
	kernel_context_free(&ctx);
	return o;
}

static unsigned nsymbols;

bool compile_kernel(const struct kernel *k, struct compiled *c)
{
	struct error e = { .message = "" };
	uint8_t *object = NULL;
	size_t n;
	char symbol[32];
	snprintf(symbol, sizeof symbol, "k_%u", nsymbols++);
	*c = (struct compiled){ NULL, NULL };
	bool ok = !k->arena.failed && !ir_verify(&k->f, &e) && !codegen_object(&k->f, symbol, NULL, &object, &n, &e) &&
		  !jit_link(kernel_jit, object, n, symbol, &c->code, &c->entry, &e);
	free(object);
	if (!ok)
		fprintf(stderr, "codegen: %s\n", e.message);
	CU_ASSERT(ok);
	return ok;
}

/* --- values --- */

static double edge_float(struct random *r)
{
	static const double edges[] = { 0, -0.0, 1, -1, 0.5, -0.5, 1.5, 2.5, -2.5, 3, -3, 1e-310, 1e-40, 1e10, -1e10, 1e300, -1e300, 127, 128,
					-128, -129, -128.5, 255, 256, 32767.5, 65536, 2147483647, 2147483648.0, -2147483648.0, -2147483649.0,
					4294967295.0, 4294967296.0, 0x1p53, 0x1p63, -0x1p63, 0x1p64, 0x1.fffffep63, INFINITY, -INFINITY, NAN };
	switch (random_below(r, 3)) {
	case 0:
		return edges[random_below(r, sizeof edges / sizeof *edges)];
	case 1:
		return (double)(int64_t)random_next(r) * 0x1p-60;
	default:
		return (double)(int64_t)random_next(r) * 0x1p-32;
	}
}

static int64_t edge_int(struct random *r, enum dtype d)
{
	static const int64_t edges[] = { 0, 1, -1, 2, -2, 3, 7, 8, 31, 32, 63, 64, 100 };
	switch (random_below(r, 4)) {
	case 0:
		return edges[random_below(r, sizeof edges / sizeof *edges)];
	case 1:
		return dtype_min(d) + (int64_t)random_below(r, 2);
	case 2:
		return (int64_t)((uint64_t)dtype_max(d) - random_below(r, 2));
	default:
		return (int64_t)random_next(r);
	}
}

void fill_values(struct random *r, enum dtype d, void *data, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *at = (char *)data + i * dtype_size(d);
		if (d == DTYPE_BOOL) {
			*at = (char)random_below(r, 2);
		} else if (dtype_is_integer(d)) {
			int64_t v = edge_int(r, d);
			memcpy(at, &v, dtype_size(d));
		} else if (d == DTYPE_F32 || d == DTYPE_C64) {
			float v[] = { (float)edge_float(r), (float)edge_float(r) };
			memcpy(at, v, dtype_size(d));
		} else {
			double v[] = { edge_float(r), edge_float(r) };
			memcpy(at, v, dtype_size(d));
		}
	}
}

static bool same_floats(const char *a, const char *b, size_t n, size_t size)
{
	for (size_t i = 0; i < n; i++, a += size, b += size) {
		double x, y;
		float s, t;
		memcpy(&x, a, size == 8 ? 8 : 0);
		memcpy(&y, b, size == 8 ? 8 : 0);
		memcpy(&s, a, 4);
		memcpy(&t, b, 4);
		bool nan = size == 8 ? isnan(x) && isnan(y) : isnan(s) && isnan(t);
		if (!nan && memcmp(a, b, size))
			return false;
	}
	return true;
}

/* Bits, but that any NaN is any other. */
bool same_values(enum dtype d, const void *a, const void *b, size_t n)
{
	if (d == DTYPE_BOOL || dtype_is_integer(d))
		return memcmp(a, b, n * dtype_size(d)) == 0;
	return same_floats(a, b, n * (dtype_is_complex(d) ? 2 : 1), dtype_size(dtype_real(d)));
}
