/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Machine code against the interpreter, which is the definition of the IR: every operator, cast and function on edge values and random ones,
 * loops, reductions, failures, many kernels in one process.
 */
#include "kernels/compiler/types.h"
#include "tests/unit/kernel.h"
#include "tests/unit/unit.h"

#include <complex.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { N = 300, INSIDE = IR_INDEX_IN_BOUNDS | IR_INDEX_NONNEGATIVE };

static const enum dtype scalars[] = { DTYPE_BOOL, DTYPE_I8, DTYPE_U8, DTYPE_I16, DTYPE_U16, DTYPE_I32, DTYPE_U32, DTYPE_I64, DTYPE_U64,
				      DTYPE_F32, DTYPE_F64, DTYPE_C64, DTYPE_C128 };
enum { NSCALARS = sizeof scalars / sizeof *scalars };

/* --- one expression for each element --- */

static uint8_t in[2][N * 16], out[2][N * 16];

/* out[i] = e, by machine code and by the interpreter; `what` for the message. */
static void check_elements(struct kernel *k, enum dtype d, enum dtype result, const char *what)
{
	struct compiled c;
	if (!compile_kernel(k, &c))
		return;
	struct outcome o[2];
	for (int i = 0; i < 2; i++) {
		struct kernel_array arrays[] = { view_1d(out[i], N, (int64_t)dtype_size(result)), view_1d(in[0], N, (int64_t)dtype_size(d)),
						 view_1d(in[1], N, (int64_t)dtype_size(d)) };
		memset(out[i], 0, sizeof out[i]);
		o[i] = run_kernel(i ? NULL : c.entry, &k->f, &executor_serial, arrays, NULL, NULL);
	}
	bool ok = o[0].status == o[1].status && o[0].divided_by_zero == o[1].divided_by_zero && o[0].failure.code == o[1].failure.code &&
		  (o[0].status || same_values(result, out[0], out[1], N));
	if (!ok)
		fprintf(stderr, "codegen: %s of %s -> %s differs\n", what, dtype_name(d), dtype_name(result));
	CU_ASSERT(ok);
	jit_unlink(c.code);
}

struct elements {
	struct kernel k;
	uint32_t out, in[2], variable;
	struct ir_stmt *s;
	struct ir_expr *i;
};

static void elements_begin(struct elements *m, enum dtype d, enum dtype result, bool contiguous)
{
	kernel_begin(&m->k);
	m->out = array_param(&m->k, result, 1, contiguous);
	m->in[0] = array_param(&m->k, d, 1, contiguous);
	m->in[1] = array_param(&m->k, d, 1, contiguous);
	m->variable = new_local(&m->k, DTYPE_I64);
	m->s = loop(&m->k, m->k.f.body, m->variable, constant(&m->k, 0), ir_shape(&m->k.f, m->out, 0), true);
	m->i = local(&m->k, m->variable);
}

static struct ir_expr *operand(struct elements *m, int which)
{
	return load(&m->k, m->in[which], INSIDE, 3, m->i, NULL);
}

static void elements_end(struct elements *m, enum dtype d, struct ir_expr *value, const char *what)
{
	enum dtype result = m->k.f.arrays[m->out].dtype;
	store(&m->k, m->s->body, m->out, INSIDE, 4, m->i, NULL, value);
	if (ir_verify(&m->k.f, NULL) == STATUS_OK)
		check_elements(&m->k, d, result, what);
	kernel_end(&m->k);
}

static enum dtype result_of(enum ir_op op, enum dtype d)
{
	if ((op >= IR_LT && op <= IR_NE) || op == IR_ISNAN || op == IR_ISINF || op == IR_ISFINITE || op == IR_SIGNBIT)
		return DTYPE_BOOL;
	if (op == IR_REAL || op == IR_IMAG || (op == IR_ABS && dtype_is_complex(d)))
		return dtype_real(d);
	return op == IR_COMPLEX && dtype_is_float(d) ? dtype_complex(d) : d;
}

static void test_operators(void)
{
	static const struct {
		const char *text;
		int arity;
	} ops[] = {
#define OP(name, text, arity) { text, arity },
		IR_OP_MAP(OP)
#undef OP
	};
	struct random r = random_seed(1);
	for (size_t t = 0; t < NSCALARS; t++)
		for (enum ir_op op = 0; op < IR_OP_COUNT; op++) {
			enum dtype d = scalars[t];
			struct elements m;
			fill_values(&r, d, in[0], N);
			fill_values(&r, d, in[1], N);
			for (int i = 0; op == IR_POW && dtype_is_signed(d) && i < N; i++) /* not negative: that is an error */
				in[1][(size_t)i * dtype_size(d) + dtype_size(d) - 1] &= 0x7f;
			elements_begin(&m, d, result_of(op, d), t % 2);
			struct ir_expr *a = operand(&m, 0), *b = operand(&m, 1);
			struct ir_expr *e = ir_unary(&m.k.f, op, result_of(op, d), a);
			e->b = ops[op].arity == 2 ? b : NULL;
			elements_end(&m, d, e, ops[op].text);
		}
}

static void test_casts(void)
{
	struct random r = random_seed(2);
	for (size_t from = 0; from < NSCALARS; from++)
		for (size_t to = 0; to < NSCALARS; to++) {
			struct elements m;
			fill_values(&r, scalars[from], in[0], N);
			elements_begin(&m, scalars[from], scalars[to], true);
			elements_end(&m, scalars[from], ir_cast(&m.k.f, scalars[to], operand(&m, 0), false), "cast");
		}
}

static void test_functions_in_loops(void)
{
	static const enum dtype types[] = { DTYPE_F32, DTYPE_F64, DTYPE_C64, DTYPE_C128 };
	struct random r = random_seed(3);
	for (size_t t = 0; t < 4; t++)
		for (enum function f = 0; f < FUNCTION_COUNT; f++) {
			enum dtype d = types[t];
			struct elements m;
			fill_values(&r, d, in[0], N);
			fill_values(&r, d, in[1], N);
			elements_begin(&m, d, d, true);
			m.k.f.accurate = f % 4 == 3 && t < 2;
			elements_end(&m, d, ir_call(&m.k.f, f, d, operand(&m, 0), functions[f].arity == 2 ? operand(&m, 1) : NULL), functions[f].name);
		}
}

static void test_half(void)
{
	struct random r = random_seed(4);
	for (int i = 0; i < N; i++)
		((uint16_t *)in[0])[i] = (uint16_t)random_next(&r);
	struct elements m;
	elements_begin(&m, DTYPE_F16, DTYPE_F16, true);
	store(&m.k, m.s->body, m.out, INSIDE, 4, m.i, NULL, binary(&m.k, IR_MUL, operand(&m, 0), ir_const_real(&m.k.f, DTYPE_F32, 1.25)));
	struct compiled c;
	CU_ASSERT_FATAL(compile_kernel(&m.k, &c));
	for (int i = 0; i < 2; i++) {
		struct kernel_array arrays[] = { view_1d(out[i], N, 2), view_1d(in[0], N, 2), view_1d(in[0], N, 2) };
		CU_ASSERT_EQUAL(run_kernel(i ? NULL : c.entry, &m.k.f, &executor_serial, arrays, NULL, NULL).status, 0);
	}
	for (int i = 0; i < N; i++) {
		uint16_t x = ((uint16_t *)out[0])[i], y = ((uint16_t *)out[1])[i];
		CU_ASSERT(x == y || ((x & 0x7fff) > 0x7c00 && (y & 0x7fff) > 0x7c00));
	}
	jit_unlink(c.code);
	kernel_end(&m.k);
}

/* An element's value does not depend on where it stands: one call for all, and one for each. */
static void test_places(void)
{
	struct random r = random_seed(5);
	for (int t = 0; t < 2; t++) {
		enum dtype d = t ? DTYPE_F64 : DTYPE_F32;
		size_t size = dtype_size(d);
		struct elements m;
		fill_values(&r, d, in[0], N);
		elements_begin(&m, d, d, true);
		struct ir_expr *inner = ir_call(&m.k.f, FUNCTION_sin, d, operand(&m, 0), NULL);
		store(&m.k, m.s->body, m.out, INSIDE, 4, m.i, NULL, ir_call(&m.k.f, FUNCTION_exp, d, inner, NULL));
		struct compiled c;
		CU_ASSERT_FATAL(compile_kernel(&m.k, &c));
		struct kernel_array all[] = { view_1d(out[0], N, (int64_t)size), view_1d(in[0], N, (int64_t)size), view_1d(in[0], N, (int64_t)size) };
		run_kernel(c.entry, NULL, &executor_serial, all, NULL, NULL);
		for (size_t i = 0; i < N; i++) {
			struct kernel_array one[] = { view_1d(out[1] + i * size, 1, (int64_t)size), view_1d(in[0] + i * size, 1, (int64_t)size),
						      view_1d(in[0], 1, (int64_t)size) };
			run_kernel(c.entry, NULL, &executor_serial, one, NULL, NULL);
		}
		CU_ASSERT(same_values(d, out[0], out[1], N));
		jit_unlink(c.code);
		kernel_end(&m.k);
	}
}

/* --- reductions --- */

enum { LONG = 150000 };

/* One loop with the reduction, the local coming in as 3 (or true). */
static void build_reduction(struct kernel *k, enum ir_reduction_kind kind, enum dtype d, bool conditional)
{
	static const enum ir_op ops[] = { IR_ADD, IR_MUL, IR_MINIMUM, IR_MAXIMUM, IR_BITAND, IR_BITOR, IR_BITXOR, IR_LT, IR_GT, IR_LE, IR_GE, IR_ADD };
	kernel_begin(k);
	uint32_t a = array_param(k, d, 1, true), v = new_local(k, DTYPE_I64), m = scalar_result(k, new_local(k, d));
	uint32_t at = scalar_result(k, new_local(k, DTYPE_I64)), written = new_local(k, DTYPE_BOOL);
	set(k, k->f.body, m, ir_const_int(&k->f, d, d == DTYPE_BOOL ? 1 : 3));
	set(k, k->f.body, at, constant(k, -1));
	struct ir_stmt *s = loop(k, k->f.body, v, constant(k, 0), ir_shape(&k->f, a, 0), true);
	struct ir_reduction *reduction = reduce(k, s, kind, m);
	struct ir_expr *x = load(k, a, INSIDE, 1, local(k, v), NULL);
	struct ir_block *body = s->body;
	if (conditional)
		body = when(k, body, binary(k, IR_NE, binary(k, IR_MOD, local(k, v), constant(k, 3)), constant(k, 1)))->body;
	if (kind >= IR_REDUCE_LESS && kind != IR_REDUCE_LAST) {
		reduction->follow = arena_copy(&k->arena, &at, sizeof at);
		reduction->nfollow = 1;
		body = when(k, body, binary(k, ops[kind], x, local(k, m)))->body;
		set(k, body, m, x);
		set(k, body, at, local(k, v));
	} else if (kind == IR_REDUCE_LAST) {
		reduction->written = written;
		set(k, body, m, x);
		set(k, body, written, ir_const_int(&k->f, DTYPE_BOOL, 1));
	} else {
		set(k, body, m, binary(k, ops[kind], local(k, m), x));
	}
}

static bool close_enough(enum dtype d, const union kernel_scalar *a, const union kernel_scalar *b)
{
	double x = d == DTYPE_F32 ? a->f32 : d == DTYPE_F64 ? a->f64 : d == DTYPE_C64 ? crealf(a->c64) : creal(a->c128);
	double y = d == DTYPE_F32 ? b->f32 : d == DTYPE_F64 ? b->f64 : d == DTYPE_C64 ? crealf(b->c64) : creal(b->c128);
	return (isnan(x) && isnan(y)) || x == y || fabs(x - y) <= (d == DTYPE_F32 || d == DTYPE_C64 ? 1e-3 : 1e-9) * (fabs(y) + 1);
}

static void check_reduction(struct random *r, enum ir_reduction_kind kind, enum dtype d, bool conditional)
{
	struct kernel k;
	struct compiled c;
	static double data[2 * LONG];
	build_reduction(&k, kind, d, conditional);
	if (ir_verify(&k.f, NULL)) {
		kernel_end(&k);
		return;
	}
	for (size_t i = 0; i < LONG; i++) {
		double x = (double)(int64_t)(random_next(r) >> 40) * 0x1p-24 - (kind == IR_REDUCE_PROD ? -1 + 0.5 : 0.5);
		union kernel_scalar s = { .i = (int64_t)random_next(r) % 50 };
		if (d == DTYPE_F32 || d == DTYPE_C64)
			memcpy((char *)data + i * dtype_size(d), (float[]){ (float)x, (float)x / 3 }, dtype_size(d));
		else if (d == DTYPE_F64 || d == DTYPE_C128)
			memcpy((char *)data + i * dtype_size(d), (double[]){ x, x / 3 }, dtype_size(d));
		else
			memcpy((char *)data + i * dtype_size(d), d == DTYPE_BOOL ? &(int64_t){ s.i > -49 } : &s.i, dtype_size(d));
	}
	CU_ASSERT_FATAL(compile_kernel(&k, &c));
	static const int64_t lengths[] = { 0, 1, 7, 1024, 1025, 40000, LONG };
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		union kernel_scalar s[3][2];
		memset(s, 0, sizeof s);
		for (int who = 0; who < 3; who++) {
			if (who == 2 && lengths[i] > 2000 && d != DTYPE_F64)
				continue; /* the interpreter is slow */
			struct kernel_array a = view_1d(data, lengths[i], (int64_t)dtype_size(d));
			CU_ASSERT_EQUAL(run_kernel(who == 2 ? NULL : c.entry, &k.f, who == 1 ? &three_threads : &executor_serial, &a, s[who], NULL).status, 0);
			if (who == 2) {
				bool free_order = kind <= IR_REDUCE_PROD && !dtype_is_integer(d);
				bool ok = (free_order ? close_enough(d, &s[0][0], &s[2][0]) : !memcmp(&s[0][0], &s[2][0], dtype_size(d))) &&
					  s[0][1].i == s[2][1].i;
				if (!ok)
					fprintf(stderr, "codegen: reduction %d of %s, length %lld: %g, not %g\n", (int)kind, dtype_name(d),
						(long long)lengths[i], s[0][0].f64, s[2][0].f64);
				CU_ASSERT(ok);
			}
		}
		CU_ASSERT(memcmp(s[0], s[1], sizeof s[0]) == 0); /* threads do not change a bit */
	}
	jit_unlink(c.code);
	kernel_end(&k);
}

static void test_reductions(void)
{
	static const enum dtype types[] = { DTYPE_F64, DTYPE_F32, DTYPE_I64, DTYPE_U16, DTYPE_BOOL, DTYPE_C128 };
	struct random r = random_seed(6);
	for (size_t t = 0; t < sizeof types / sizeof *types; t++)
		for (enum ir_reduction_kind kind = 0; kind <= IR_REDUCE_LAST; kind++)
			check_reduction(&r, kind, types[t], (t + kind) % 2);
}

/* --- failures, guards, ends --- */

/* x[i] = x[i] + x[i + shift] for i < n, which is a parameter; line 5 loads, line 6 stores. */
static void build_guarded(struct kernel *k, int64_t shift)
{
	kernel_begin(k);
	uint32_t x = array_param(k, DTYPE_F64, 1, false), n = scalar_param(k, DTYPE_I64), v = new_local(k, DTYPE_I64);
	struct ir_stmt *s = loop(k, k->f.body, v, constant(k, 2), local(k, n), false);
	struct ir_expr *i = local(k, v);
	guard(k, s, binary(k, IR_LE, local(k, n), binary(k, IR_SUB, ir_shape(&k->f, x, 0), constant(k, shift > 0 ? shift : 0))));
	struct ir_expr *other = load(k, x, IR_INDEX_GUARDED, 5, binary(k, IR_ADD, i, constant(k, shift)), NULL);
	store(k, s->body, x, IR_INDEX_GUARDED, 6, i, NULL, binary(k, IR_ADD, load(k, x, IR_INDEX_GUARDED, 5, i, NULL), other));
}

static bool same_failure(const struct kernel_failure *a, const struct kernel_failure *b)
{
	return a->code == b->code && a->line == b->line && a->array == b->array && a->value[0] == b->value[0] && a->value[1] == b->value[1];
}

static void test_guards(void)
{
	static const int64_t shifts[] = { -1, -2, 1, 3 };
	for (size_t t = 0; t < 4; t++) {
		struct kernel k;
		struct compiled c;
		build_guarded(&k, shifts[t]);
		CU_ASSERT_FATAL(compile_kernel(&k, &c));
		for (int64_t n = 0; n < 50; n++) {
			double x[2][40];
			struct outcome o[2];
			for (int i = 0; i < 2; i++) {
				for (int j = 0; j < 40; j++)
					x[i][j] = j * j + 1;
				struct kernel_array a = view_1d(x[i], 40, 8);
				union kernel_scalar s = { .i = n };
				o[i] = run_kernel(i ? NULL : c.entry, &k.f, &executor_serial, &a, &s, NULL);
			}
			CU_ASSERT_EQUAL(o[0].status, n > 40 - (shifts[t] > 0 ? shifts[t] : 0));
			CU_ASSERT_EQUAL(o[0].status, o[1].status);
			CU_ASSERT(same_failure(&o[0].failure, &o[1].failure));
			CU_ASSERT(memcmp(x[0], x[1], sizeof x[0]) == 0);
		}
		jit_unlink(c.code);
		kernel_end(&k);
	}
}

/* In a parallel loop the lowest chunk's failure is the one reported. */
static void test_failure(void)
{
	struct kernel k;
	struct compiled c;
	kernel_begin(&k);
	uint32_t a = array_param(&k, DTYPE_I32, 1, true), v = new_local(&k, DTYPE_I64), sum = scalar_result(&k, new_local(&k, DTYPE_I32));
	struct ir_stmt *s = loop(&k, k.f.body, v, constant(&k, 0), ir_shape(&k.f, a, 0), true);
	struct ir_expr *e = binary(&k, IR_FLOORDIV, ir_const_int(&k.f, DTYPE_I32, 100), load(&k, a, INSIDE, 8, local(&k, v), NULL));
	e->checked = true;
	e->line = 9;
	set(&k, s->body, sum, binary(&k, IR_ADD, local(&k, sum), e));
	reduce(&k, s, IR_REDUCE_SUM, sum);
	CU_ASSERT_FATAL(compile_kernel(&k, &c));
	static int32_t data[LONG];
	for (int i = 0; i < LONG; i++)
		data[i] = i % 100000 == 99999 ? 0 : 7;
	struct kernel_array x = view_1d(data, LONG, 4);
	union kernel_scalar result;
	for (int i = 0; i < 20; i++) {
		struct outcome o = run_kernel(c.entry, NULL, i % 2 ? &three_threads : &executor_serial, &x, &result, NULL);
		CU_ASSERT_EQUAL(o.status, 1);
		CU_ASSERT_EQUAL(o.failure.code, KERNEL_DIVISION);
		CU_ASSERT_EQUAL(o.failure.line, 9);
	}
	jit_unlink(c.code);
	kernel_end(&k);
}

static struct ir_expr **exprs(struct kernel *k, struct ir_expr *a, struct ir_expr *b)
{
	struct ir_expr *list[] = { a, b };
	return arena_copy(&k->arena, list, sizeof list);
}

/* Adds the elements of the 1-D array to the local, in a loop of its own. */
static void add_all(struct kernel *k, struct ir_block *b, uint32_t sum, uint32_t array)
{
	uint32_t v = new_local(k, DTYPE_I64);
	struct ir_stmt *s = loop(k, b, v, constant(k, 0), ir_shape(&k->f, array, 0), false);
	struct ir_expr *weight = ir_cast(&k->f, DTYPE_F64, binary(k, IR_ADD, local(k, v), constant(k, 1)), false);
	set(k, s->body, sum, binary(k, IR_ADD, local(k, sum), binary(k, IR_MUL, weight, load(k, array, 0, 1, local(k, v), NULL))));
}

/* For each row, in parallel: a copy of it backwards, sorted every second time, in memory of the iteration. Then a list of what came out. */
static void build_rows(struct kernel *k)
{
	static int second[] = { 1 };
	kernel_begin(k);
	uint32_t x = array_param(k, DTYPE_F64, 2, false), y = new_array(k, DTYPE_F64, 1, true), row = new_array(k, DTYPE_F64, 1, false);
	uint32_t sums = new_array(k, DTYPE_F64, 1, true), list = new_array(k, DTYPE_F64, 1, true), v = new_local(k, DTYPE_I64);
	uint32_t w = new_local(k, DTYPE_I64), sum = new_local(k, DTYPE_F64), total = scalar_result(k, new_local(k, DTYPE_F64));
	uint32_t median = scalar_result(k, new_local(k, DTYPE_F64)), last = scalar_result(k, v);
	(void)last;
	k->f.arrays[list].is_list = true;
	struct ir_stmt *s = ir_append(&k->f, k->f.body, IR_ALLOC, 1);
	s->array = sums;
	s->zero = true;
	s->shape = exprs(k, ir_shape(&k->f, x, 0), NULL);
	struct ir_stmt *rows = loop(k, k->f.body, v, constant(k, 0), ir_shape(&k->f, x, 0), true);
	rows->loop->light = false;
	rows->loop->releases = true;
	struct ir_expr *m = ir_shape(&k->f, x, 1);
	s = ir_append(&k->f, rows->body, IR_VIEW, 2);
	s->array = row;
	s->from = x;
	s->offset = exprs(k, local(k, v), binary(k, IR_SUB, m, constant(k, 1)));
	s->shape = exprs(k, m, NULL);
	s->step = exprs(k, constant(k, -1), NULL);
	s->from_axis = second;
	s = ir_append(&k->f, rows->body, IR_ALLOC, 3);
	s->array = y;
	s->shape = exprs(k, m, NULL);
	s = loop(k, rows->body, w, constant(k, 0), m, false);
	store(k, s->body, y, INSIDE, 4, local(k, w), NULL, load(k, row, INSIDE, 4, local(k, w), NULL));
	struct ir_stmt *even = when(k, rows->body, binary(k, IR_EQ, binary(k, IR_MOD, local(k, v), constant(k, 2)), constant(k, 0)));
	s = ir_append(&k->f, even->body, IR_PROC, 5);
	s->proc = KERNEL_PROC_SORT;
	s->arrays = arena_copy(&k->arena, &y, sizeof y);
	s->narrays = 1;
	set(k, rows->body, sum, ir_const_real(&k->f, DTYPE_F64, 0));
	add_all(k, rows->body, sum, y);
	store(k, rows->body, sums, INSIDE, 6, local(k, v), NULL, local(k, sum));
	ir_append(&k->f, k->f.body, IR_LIST_NEW, 7)->array = list;
	uint32_t u = new_local(k, DTYPE_I64);
	s = loop(k, k->f.body, u, constant(k, 0), ir_shape(&k->f, sums, 0), false);
	struct ir_stmt *append = ir_append(&k->f, s->body, IR_LIST_APPEND, 8);
	append->array = list;
	append->a = load(k, sums, INSIDE, 8, local(k, u), NULL);
	add_all(k, k->f.body, total, list);
	s = ir_append(&k->f, k->f.body, IR_PROC, 9);
	s->proc = KERNEL_PROC_MEDIAN;
	s->local = median;
	s->arrays = arena_copy(&k->arena, &list, sizeof list);
	s->narrays = 1;
}

static void test_arrays(void)
{
	enum { ROWS = 700, COLUMNS = 37 };
	static double x[ROWS * COLUMNS];
	struct random r = random_seed(8);
	struct kernel k;
	struct compiled c;
	for (size_t i = 0; i < ROWS * COLUMNS; i++)
		x[i] = (double)random_below(&r, 1000);
	build_rows(&k);
	CU_ASSERT_FATAL(compile_kernel(&k, &c));
	for (int64_t rows = 0; rows <= ROWS; rows += 175) {
		union kernel_scalar s[3][3];
		memset(s, 0, sizeof s);
		struct outcome o[3];
		for (int who = 0; who < 3; who++) {
			struct kernel_array a = view_2d(x, rows, COLUMNS, 8);
			o[who] = run_kernel(who == 2 ? NULL : c.entry, &k.f, who ? &three_threads : &executor_serial, &a, s[who], NULL);
			CU_ASSERT_EQUAL(o[who].status, rows == 0);
			CU_ASSERT_EQUAL(o[who].failure.code, rows ? KERNEL_NO_ERROR : KERNEL_EMPTY);
		}
		CU_ASSERT(memcmp(s[0], s[1], sizeof s[0]) == 0);
		CU_ASSERT(memcmp(s[0], s[2], sizeof s[0]) == 0);
		CU_ASSERT(!rows || s[0][0].f64 > 0);
	}
	jit_unlink(c.code);
	kernel_end(&k);
}

static void *cancel_soon(void *flag)
{
	nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	atomic_store((atomic_bool *)flag, true);
	return NULL;
}

static void test_cancel(void)
{
	for (int kind = 0; kind < 3; kind++) {
		struct kernel k;
		struct compiled c;
		kernel_begin(&k);
		uint32_t v = new_local(&k, DTYPE_I64), n = scalar_result(&k, new_local(&k, DTYPE_I64));
		struct ir_block *body;
		if (kind) {
			body = loop(&k, k.f.body, v, constant(&k, 0), constant(&k, INT64_MAX), kind == 2)->body;
		} else {
			struct ir_stmt *s = ir_append(&k.f, k.f.body, IR_LOOP, 1);
			s->loop = ir_loop_new(&k.f);
			body = s->body = ir_block_new(&k.f);
		}
		/* Something LLVM cannot sum up. */
		struct ir_expr *x = binary(&k, IR_BITXOR, local(&k, n), binary(&k, IR_SHR, local(&k, n), constant(&k, 7)));
		if (kind < 2)
			set(&k, body, n, binary(&k, IR_ADD, x, constant(&k, 12345)));
		CU_ASSERT_FATAL(compile_kernel(&k, &c));
		atomic_bool flag = false;
		pthread_t thread;
		union kernel_scalar s = { .i = 0 };
		pthread_create(&thread, NULL, cancel_soon, &flag);
		struct outcome o = run_kernel(c.entry, NULL, &executor_serial, NULL, &s, &flag);
		pthread_join(thread, NULL);
		CU_ASSERT_EQUAL(o.status, 1);
		CU_ASSERT_EQUAL(o.failure.code, KERNEL_CANCELLED);
		jit_unlink(c.code);
		kernel_end(&k);
	}
}

/* --- size --- */

static void test_long_chain(void)
{
	enum { TERMS = 5000 };
	struct kernel k;
	struct compiled c;
	kernel_begin(&k);
	uint32_t x = scalar_param(&k, DTYPE_F64), r = scalar_result(&k, new_local(&k, DTYPE_F64));
	struct ir_expr *e = local(&k, x);
	for (int i = 0; i < TERMS; i++)
		e = binary(&k, i % 2 ? IR_ADD : IR_MUL, e, i % 3 ? local(&k, x) : ir_const_real(&k.f, DTYPE_F64, 0.25));
	set(&k, k.f.body, r, e);
	CU_ASSERT_FATAL(compile_kernel(&k, &c));
	union kernel_scalar s[2][2] = { { { .f64 = 0.7 } }, { { .f64 = 0.7 } } };
	CU_ASSERT_EQUAL(run_kernel(c.entry, &k.f, &executor_serial, NULL, s[0], NULL).status, 0);
	CU_ASSERT_EQUAL(run_kernel(NULL, &k.f, &executor_serial, NULL, s[1], NULL).status, 0);
	CU_ASSERT_EQUAL(s[0][1].f64, s[1][1].f64);
	jit_unlink(c.code);
	kernel_end(&k);
}

static long resident_kb(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");
	if (f && fscanf(f, "%*d %ld", &pages) != 1)
		pages = 0;
	if (f)
		fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

struct beater {
	kernel_entry *entry;
	atomic_bool stop;
	int wrong;
};

static void *beat(void *arg)
{
	struct beater *b = arg;
	while (!atomic_load(&b->stop)) {
		double x[64];
		for (int i = 0; i < 64; i++)
			x[i] = i;
		struct kernel_array a = view_1d(x, 64, 8);
		union kernel_scalar s = { .i = 64 };
		b->wrong += run_kernel(b->entry, NULL, &executor_serial, &a, &s, NULL).status != 0 || x[63] != 2016;
	}
	return NULL;
}

/* 1000 objects come and go while another one runs. */
static void test_links(void)
{
	struct kernel k;
	struct compiled c;
	struct error e;
	build_guarded(&k, -1);
	CU_ASSERT_FATAL(compile_kernel(&k, &c));
	struct beater b = { .entry = c.entry };
	pthread_t thread;
	pthread_create(&thread, NULL, beat, &b);
	uint8_t *object;
	size_t n;
	CU_ASSERT_EQUAL_FATAL(codegen_object(&k.f, "again", NULL, &object, &n, &e), STATUS_OK);
	long before = 0;
	for (int i = 0; i < 1200; i++) {
		struct jit_code *code;
		kernel_entry *entry;
		if (i == 200)
			before = resident_kb();
		CU_ASSERT_EQUAL_FATAL(jit_link(kernel_jit, object, n, "again", &code, &entry, &e), STATUS_OK);
		jit_unlink(code);
	}
#ifdef __SANITIZE_ADDRESS__ /* keeps freed memory for a while */
	before = resident_kb();
#endif
	CU_ASSERT(resident_kb() - before < 4096);
	atomic_store(&b.stop, true);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(b.wrong, 0);
	struct jit_code *code;
	kernel_entry *entry;
	CU_ASSERT_NOT_EQUAL(jit_link(kernel_jit, object, n, "another_name", &code, &entry, &e), STATUS_OK);
	CU_ASSERT_PTR_NULL(code);
	free(object);
	jit_unlink(c.code);
	kernel_end(&k);
}

/* Where the system forbids to make memory executable there is no linker, and a reason; seen by a child, since there is no way back. */
static void test_no_execution(void)
{
	enum { NO_SUCH_CALL = 2, MDWE = 65, REFUSE_EXEC_GAIN = 1 };
	pid_t child = fork();
	if (child == 0) {
		struct error e;
		if (prctl(MDWE, REFUSE_EXEC_GAIN, 0, 0, 0))
			_exit(NO_SUCH_CALL);
		struct jit *none = jit_new(&e);
		_exit(none || e.status != STATUS_UNAVAILABLE);
	}
	int status = 0;
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == NO_SUCH_CALL));
}

static void test_texts(void)
{
	struct kernel k;
	struct codegen_texts texts;
	struct error e;
	uint8_t *object;
	size_t n;
	build_guarded(&k, -1);
	CU_ASSERT_EQUAL_FATAL(codegen_object(&k.f, "shown", &texts, &object, &n, &e), STATUS_OK);
	CU_ASSERT_PTR_NOT_NULL(strstr(texts.llvm_before, "@shown"));
	CU_ASSERT_PTR_NOT_NULL(strstr(texts.llvm_after, "@shown"));
	CU_ASSERT_PTR_NOT_NULL(strstr(texts.assembly, "shown:"));
	codegen_texts_free(&texts);
	free(object);
	kernel_end(&k);
	CU_ASSERT_PTR_NOT_NULL(strstr(codegen_identity(), "LLVM 19"));
}

CU_ErrorCode test_codegen_register(void)
{
	CU_TestInfo tests[] = {
		{ "operators", test_operators },
		{ "casts", test_casts },
		{ "functions", test_functions_in_loops },
		{ "float16", test_half },
		{ "an element's place does not matter", test_places },
		{ "reductions", test_reductions },
		{ "guards", test_guards },
		{ "failure", test_failure },
		{ "arrays, views, lists", test_arrays },
		{ "cancel", test_cancel },
		{ "long chain", test_long_chain },
		{ "link and unlink", test_links },
		{ "no execution", test_no_execution },
		{ "texts", test_texts },
		CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {
		{ .pName = "codegen", .pInitFunc = make_jit, .pCleanupFunc = free_jit, .pTests = tests },
		CU_SUITE_INFO_NULL,
	};
	return CU_register_suites(suites);
}
