/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The interpreter against plain C: operators by dtype, statements, loops in chunks, failures.
 */
#include "kernels/compiler/interpret.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#include <complex.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- a function under construction, and its call --- */

static struct arena arena;
static struct ir_function f;
static struct kernel_call call;
static struct kernel_context ctx;
static struct error error;

static void begin(void)
{
	arena_init(&arena, 64 << 20);
	f = (struct ir_function){ .arena = &arena, .name = { "test", 4 } };
	f.body = ir_block_new(&f);
	call = (struct kernel_call){ .executor = &executor_serial, .memory_limit = 64 << 20 };
	kernel_context_init(&ctx, &call);
}

static void end(void)
{
	kernel_context_free(&ctx);
	CU_ASSERT(call.memory_used == 0);
	arena_free(&arena);
}

static uint32_t local(enum dtype d)
{
	return ir_new_local(&f, d, NULL, 0);
}

static struct ir_expr *get(uint32_t v)
{
	return ir_local(&f, v);
}

static struct ir_expr *num(int64_t value)
{
	return ir_const_int(&f, DTYPE_I64, value);
}

static struct ir_expr *op2(enum ir_op op, struct ir_expr *a, struct ir_expr *b)
{
	return ir_binary(&f, op, op >= IR_LT && op <= IR_NE ? DTYPE_BOOL : a->dtype, a, b);
}

static void set(struct ir_block *b, uint32_t v, struct ir_expr *e)
{
	struct ir_stmt *s = ir_append(&f, b, IR_SET, 7);
	s->local = v;
	s->a = e;
}

static struct ir_expr *load(uint32_t array, struct ir_expr *i)
{
	return ir_load(&f, array, &i, 8);
}

static void store(struct ir_block *b, uint32_t array, struct ir_expr *i, struct ir_expr *value)
{
	struct ir_stmt *s = ir_append(&f, b, IR_STORE, 9);
	s->array = array;
	s->index = arena_copy(&arena, &i, sizeof i);
	s->a = value;
}

static struct ir_stmt *loop(struct ir_block *b, uint32_t v, struct ir_expr *from, struct ir_expr *to, int64_t step)
{
	struct ir_stmt *s = ir_append(&f, b, v == IR_NONE ? IR_LOOP : IR_FOR, 10);
	s->local = v;
	s->a = from;
	s->b = to;
	s->c = num(step);
	s->loop = ir_loop_new(&f);
	s->body = ir_block_new(&f);
	return s;
}

static void slots(struct ir_slot **list, uint32_t *n, bool is_array, uint32_t id)
{
	struct ir_slot *more = arena_alloc(&arena, (*n + 1) * sizeof *more);
	if (*n)
		memcpy(more, *list, *n * sizeof *more);
	more[*n] = (struct ir_slot){ is_array, id };
	*list = more;
	++*n;
}

static uint32_t param(bool is_array, uint32_t id)
{
	slots(&f.params, &f.nparams, is_array, id);
	return id;
}

static uint32_t result(bool is_array, uint32_t id)
{
	slots(&f.results, &f.nresults, is_array, id);
	return id;
}

static int run(struct kernel_array *arrays, union kernel_scalar *scalars)
{
	CU_ASSERT_FALSE(arena.failed);
	if (ir_verify(&f, &error) != STATUS_OK) {
		printf("\n    %s\n", error.message);
		CU_FAIL("the IR is refused");
		return 1;
	}
	return interpret(&f, &ctx, arrays, scalars);
}

static void failed_with(enum kernel_error_code code, int64_t v0, int64_t v1)
{
	CU_ASSERT_EQUAL(call.failure.code, code);
	CU_ASSERT_EQUAL(call.failure.value[0], v0);
	CU_ASSERT_EQUAL(call.failure.value[1], v1);
}

static struct kernel_array vector(void *data, int64_t n, int64_t stride)
{
	return (struct kernel_array){ .data = data, .shape = { n }, .stride = { stride } };
}

/* --- operators --- */

/* One operator on the scalars a and b of dtype d. */
static int run_op(enum ir_op op, enum dtype d, enum dtype out, bool two, bool checked, union kernel_scalar a, union kernel_scalar b,
		  union kernel_scalar *got)
{
	union kernel_scalar scalars[3] = { a, b };
	begin();
	uint32_t x = param(false, local(d)), y = param(false, local(d)), z = result(false, local(out));
	struct ir_expr *e = two ? ir_binary(&f, op, out, get(x), get(y)) : ir_unary(&f, op, out, get(x));
	e->checked = checked;
	set(f.body, z, e);
	int failed = run(NULL, scalars);
	*got = scalars[2];
	end();
	return failed;
}

static int64_t edge(struct random *r)
{
	static const int64_t edges[] = { 0, 1, -1, 2, -2, 3, 7, -7, 63, 64, 31, 32, 100, INT8_MIN, INT8_MAX, INT16_MIN, INT16_MAX, INT32_MIN, INT32_MAX,
					 INT64_MIN, INT64_MAX, UINT8_MAX, UINT16_MAX, UINT32_MAX };
	uint64_t choice = random_next(r);
	return choice % 4 ? edges[choice / 4 % (sizeof edges / sizeof *edges)] : (int64_t)random_next(r);
}

static bool negative(bool with_sign, int64_t a)
{
	return with_sign && a < 0;
}

static int64_t floor_divide(int64_t a, int64_t b)
{
	return a / b - (a % b != 0 && (a % b < 0) != (b < 0));
}

/* The same in plain C, in the type itself; wide enough that nothing overflows. */
#define INTEGER_TEST(type, name, member) \
	static void integer_##name(void) \
	{ \
		struct random r = random_seed(DTYPE_##name); \
		enum dtype d = DTYPE_##name; \
		int bits = 8 * (int)sizeof(type); \
		for (int i = 0; i < 400; i++) { \
			type a = (type)edge(&r), b = (type)edge(&r); \
			union kernel_scalar x = { .member = a }, y = { .member = b }, z; \
			bool with_sign = (type)-1 < (type)1, minus_one = with_sign && b == (type)-1; \
			EXPECT(ADD, 1, (type)((uint64_t)a + (uint64_t)b)); \
			EXPECT(SUB, 1, (type)((uint64_t)a - (uint64_t)b)); \
			EXPECT(MUL, 1, (type)((uint64_t)a * (uint64_t)b)); \
			EXPECT(NEG, 0, (type)(0 - (uint64_t)a)); \
			EXPECT(FLOORDIV, 1, b == 0 ? 0 : minus_one ? (type)(0 - (uint64_t)a) \
				: with_sign ? (type)floor_divide((int64_t)a, (int64_t)b) : (type)(a / b)); \
			EXPECT(FMOD, 1, b == 0 || minus_one ? 0 : (type)(a % b)); \
			EXPECT(MOD, 1, b == 0 || minus_one ? 0 \
				: with_sign ? (type)((uint64_t)a - (uint64_t)b * (uint64_t)floor_divide((int64_t)a, (int64_t)b)) : (type)(a % b)); \
			EXPECT(SHL, 1, (uint64_t)b >= (uint64_t)bits ? 0 : (type)((uint64_t)a << b)); \
			EXPECT(SHR, 1, (uint64_t)b >= (uint64_t)bits ? (negative(with_sign, (int64_t)a) ? (type)-1 : 0) : (type)(a >> b)); \
			EXPECT(BITAND, 1, (type)(a & b)); \
			EXPECT(BITOR, 1, (type)(a | b)); \
			EXPECT(BITXOR, 1, (type)(a ^ b)); \
			EXPECT(INVERT, 0, (type)~a); \
			EXPECT(MAXIMUM, 1, a > b ? a : b); \
			EXPECT(MINIMUM, 1, a < b ? a : b); \
			EXPECT(ABS, 0, negative(with_sign, (int64_t)a) ? (type)(0 - (uint64_t)a) : a); \
			EXPECT(SIGN, 0, a == 0 ? 0 : negative(with_sign, (int64_t)a) ? (type)-1 : 1); \
			EXPECT_BOOL(LT, a < b) EXPECT_BOOL(LE, a <= b) EXPECT_BOOL(GT, a > b) \
			EXPECT_BOOL(GE, a >= b) EXPECT_BOOL(EQ, a == b) EXPECT_BOOL(NE, a != b) \
			uint64_t power = 1; \
			for (int k = 0; k < (i & 31); k++) \
				power *= (uint64_t)a; \
			y.i = i & 31; \
			EXPECT(POW, 1, (type)power); \
		} \
	}
#define EXPECT(op, two, wanted)                                              \
	do {                                                                 \
		CU_ASSERT_FALSE(run_op(IR_##op, d, d, two, false, x, y, &z)); \
		CU_ASSERT_EQUAL(z.u, (uint64_t)(wanted));                    \
	} while (0)
#define EXPECT_BOOL(op, wanted)                                                          \
	CU_ASSERT_FALSE(run_op(IR_##op, d, DTYPE_BOOL, true, false, x, y, &z));          \
	CU_ASSERT_EQUAL(z.u, (uint64_t)(wanted));
INTEGER_TEST(int8_t, I8, i)
INTEGER_TEST(int16_t, I16, i)
INTEGER_TEST(int32_t, I32, i)
INTEGER_TEST(int64_t, I64, i)
INTEGER_TEST(uint8_t, U8, u)
INTEGER_TEST(uint16_t, U16, u)
INTEGER_TEST(uint32_t, U32, u)
INTEGER_TEST(uint64_t, U64, u)
#undef EXPECT

static void integers(void)
{
	integer_I8();
	integer_I16();
	integer_I32();
	integer_I64();
	integer_U8();
	integer_U16();
	integer_U32();
	integer_U64();
}

static void bools(void)
{
	for (uint64_t a = 0; a < 2; a++)
		for (uint64_t b = 0; b < 2; b++) {
			union kernel_scalar x = { .u = a }, y = { .u = b }, z;
			const struct { enum ir_op op; uint64_t wanted; bool two; } rows[] = {
				{ IR_BITAND, a & b, true }, { IR_BITOR, a | b, true }, { IR_BITXOR, a ^ b, true }, { IR_NOT, !a, false },
				{ IR_MAXIMUM, a | b, true }, { IR_MINIMUM, a & b, true }, { IR_LT, a < b, true }, { IR_EQ, a == b, true },
			};
			for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
				run_op(rows[i].op, DTYPE_BOOL, DTYPE_BOOL, rows[i].two, false, x, y, &z);
				CU_ASSERT_EQUAL(z.u, rows[i].wanted);
			}
		}
}

static double real_edge(struct random *r)
{
	static const double edges[] = { 0.0, -0.0, 1, -1, 0.5, -0.5, 1.5, 2.5, -2.5, 1e30, -1e30, 0x1p-149, 0x1p24, INFINITY, -INFINITY, NAN, 0.1, 3 };
	uint64_t choice = random_next(r);
	return choice % 3 ? edges[choice / 3 % (sizeof edges / sizeof *edges)] : (double)(int64_t)random_next(r) * 0x1p-60;
}

#define REAL_TEST(type, name, member, f_)                                                                   \
	static bool same_##name(type a, type b)                                                             \
	{                                                                                                   \
		return isnan(a) ? isnan(b) : memcmp(&a, &b, sizeof a) == 0;                                 \
	}                                                                                                   \
	static void real_##name(void)                                                                       \
	{                                                                                                   \
		struct random r = random_seed(DTYPE_##name);                                                \
		enum dtype d = DTYPE_##name;                                                                \
		for (int i = 0; i < 1000; i++) {                                                            \
			type a = (type)real_edge(&r), b = (type)real_edge(&r);                              \
			union kernel_scalar x = { .member = a }, y = { .member = b }, z;                    \
			const struct { enum ir_op op; bool two; type wanted; } rows[] = {                   \
				{ IR_ADD, 1, a + b }, { IR_SUB, 1, a - b }, { IR_MUL, 1, a * b }, { IR_DIV, 1, a / b }, \
				{ IR_NEG, 0, -a }, { IR_FMOD, 1, fmod##f_(a, b) }, { IR_COPYSIGN, 1, copysign##f_(a, b) }, \
				{ IR_ABS, 0, fabs##f_(a) }, { IR_SQRT, 0, sqrt##f_(a) }, { IR_CEIL, 0, ceil##f_(a) }, \
				{ IR_FLOOR, 0, floor##f_(a) }, { IR_TRUNC, 0, trunc##f_(a) }, { IR_RINT, 0, nearbyint##f_(a) }, \
				{ IR_SIGN, 0, isnan(a) ? a : (type)((a > 0) - (a < 0)) },                  \
				{ IR_FLOORDIV, 1, kernel_floordiv_##member(a, b) }, { IR_MOD, 1, kernel_mod_##member(a, b) }, \
			};                                                                                  \
			for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {                           \
				run_op(rows[k].op, d, d, rows[k].two, false, x, y, &z);                     \
				CU_ASSERT(same_##name(z.member, rows[k].wanted));                           \
			}                                                                                   \
			run_op(IR_MAXIMUM, d, d, true, false, x, y, &z);                                    \
			CU_ASSERT(isnan(a) || isnan(b) ? isnan(z.member) : z.member == fmax##f_(a, b));     \
			run_op(IR_MINIMUM, d, d, true, false, x, y, &z);                                    \
			CU_ASSERT(isnan(a) || isnan(b) ? isnan(z.member) : z.member == fmin##f_(a, b));     \
			EXPECT_BOOL(LT, a < b) EXPECT_BOOL(LE, a <= b) EXPECT_BOOL(GT, a > b)               \
			EXPECT_BOOL(GE, a >= b) EXPECT_BOOL(EQ, a == b) EXPECT_BOOL(NE, a != b)             \
			run_op(IR_ISNAN, d, DTYPE_BOOL, false, false, x, y, &z);                            \
			CU_ASSERT_EQUAL(z.u, (uint64_t)!!isnan(a));                                         \
			run_op(IR_ISINF, d, DTYPE_BOOL, false, false, x, y, &z);                            \
			CU_ASSERT_EQUAL(z.u, (uint64_t)!!isinf(a));                                         \
			run_op(IR_ISFINITE, d, DTYPE_BOOL, false, false, x, y, &z);                         \
			CU_ASSERT_EQUAL(z.u, (uint64_t)!!isfinite(a));                                      \
			run_op(IR_SIGNBIT, d, DTYPE_BOOL, false, false, x, y, &z);                          \
			CU_ASSERT_EQUAL(z.u, (uint64_t)!!signbit(a));                                       \
		}                                                                                           \
	}
REAL_TEST(float, F32, f32, f)
REAL_TEST(double, F64, f64, )

static void reals(void)
{
	real_F32();
	real_F64();
}

#define COMPLEX_TEST(type, name, part, member, pmember, f_, make)                                              \
	static void complex_##name(void)                                                                       \
	{                                                                                                      \
		struct random r = random_seed(DTYPE_##name);                                                   \
		enum dtype d = DTYPE_##name, p = DTYPE_##part;                                                 \
		for (int i = 0; i < 300; i++) {                                                                \
			type ar = (type)real_edge(&r), ai = (type)real_edge(&r), br = (type)real_edge(&r), bi = (type)real_edge(&r); \
			union kernel_scalar x = { .member = make(ar, ai) }, y = { .member = make(br, bi) }, z; \
			const struct { enum ir_op op; bool two; type re, im; } rows[] = {                      \
				{ IR_ADD, 1, ar + br, ai + bi }, { IR_SUB, 1, ar - br, ai - bi },              \
				{ IR_MUL, 1, ar * br - ai * bi, ar * bi + ai * br }, { IR_NEG, 0, -ar, -ai },  \
				{ IR_CONJ, 0, ar, -ai },                                                       \
			};                                                                                     \
			for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {                              \
				run_op(rows[k].op, d, d, rows[k].two, false, x, y, &z);                        \
				CU_ASSERT(same_##part(creal##f_(z.member), rows[k].re) && same_##part(cimag##f_(z.member), rows[k].im)); \
			}                                                                                      \
			run_op(IR_DIV, d, d, true, false, x, y, &z);                                           \
			if (br != 0 || bi != 0) {                                                              \
				type _Complex q = z.member;                                                    \
				if (isfinite(ar + ai + br + bi) && isfinite(crealf(q) + cimagf(q)) && fabs((double)br) + fabs((double)bi) > 1e-10 && \
				    fabs((double)ar) + fabs((double)ai) < 1e10 && fabs((double)br) + fabs((double)bi) < 1e10) \
					CU_ASSERT(cabs((double _Complex)(q - x.member / y.member)) <= 1e-6 * cabs((double _Complex)q)); \
			}                                                                                      \
			run_op(IR_REAL, d, p, false, false, x, y, &z);                                         \
			CU_ASSERT(same_##part(z.pmember, ar));                                                 \
			run_op(IR_IMAG, d, p, false, false, x, y, &z);                                         \
			CU_ASSERT(same_##part(z.pmember, ai));                                                 \
			run_op(IR_ABS, d, p, false, false, x, y, &z);                                          \
			CU_ASSERT(same_##part(z.pmember, function_##pmember(FUNCTION_hypot, false, ar, ai)));  \
			union kernel_scalar re = { .pmember = ar }, im = { .pmember = ai };                    \
			run_op(IR_COMPLEX, p, d, true, false, re, im, &z);                                     \
			CU_ASSERT(same_##part(creal##f_(z.member), ar) && same_##part(cimag##f_(z.member), ai)); \
			EXPECT_BOOL(EQ, ar == br && ai == bi) EXPECT_BOOL(NE, ar != br || ai != bi)            \
			run_op(IR_ISNAN, d, DTYPE_BOOL, false, false, x, y, &z);                               \
			CU_ASSERT_EQUAL(z.u, (uint64_t)(isnan(ar) || isnan(ai)));                              \
		}                                                                                              \
	}
COMPLEX_TEST(float, C64, F32, c64, f32, f, CMPLXF)
COMPLEX_TEST(double, C128, F64, c128, f64, , CMPLX)

static void complexes(void)
{
	complex_C64();
	complex_C128();
}

/* --- casts --- */

static int run_cast(enum dtype from, enum dtype to, bool checked, union kernel_scalar a, union kernel_scalar *got)
{
	union kernel_scalar scalars[2] = { a };
	begin();
	uint32_t x = param(false, local(from)), z = result(false, local(to));
	set(f.body, z, ir_cast(&f, to, get(x), checked));
	int failed = run(NULL, scalars);
	*got = scalars[1];
	end();
	return failed;
}

static void casts(void)
{
	union kernel_scalar z;
	const struct { enum dtype from, to; union kernel_scalar a; int64_t wanted; } rows[] = {
		{ DTYPE_I64, DTYPE_I8, { .i = 300 }, 44 }, { DTYPE_I64, DTYPE_U8, { .i = -1 }, 255 }, { DTYPE_I8, DTYPE_U64, { .i = -1 }, -1 },
		{ DTYPE_I8, DTYPE_U32, { .i = -1 }, UINT32_MAX }, { DTYPE_U64, DTYPE_I32, { .u = UINT64_MAX }, -1 }, { DTYPE_I64, DTYPE_BOOL, { .i = 256 }, 1 },
		{ DTYPE_F64, DTYPE_I64, { .f64 = -2.9 }, -2 }, { DTYPE_F64, DTYPE_I64, { .f64 = NAN }, INT64_MIN },
		{ DTYPE_F64, DTYPE_I64, { .f64 = 1e30 }, INT64_MIN },
		{ DTYPE_F64, DTYPE_I32, { .f64 = 1e10 }, INT32_MIN }, { DTYPE_F64, DTYPE_I8, { .f64 = 300 }, 44 }, { DTYPE_F64, DTYPE_I16, { .f64 = NAN }, 0 },
		{ DTYPE_F64, DTYPE_U32, { .f64 = 4e9 }, 4000000000 }, { DTYPE_F32, DTYPE_U64, { .f32 = 0x1p63f }, INT64_MIN },
		{ DTYPE_F64, DTYPE_U64, { .f64 = 0x1.8p63 }, INT64_MIN + INT64_C(0x4000000000000000) }, { DTYPE_F64, DTYPE_U64, { .f64 = -1 }, -1 },
		{ DTYPE_F64, DTYPE_BOOL, { .f64 = NAN }, 1 }, { DTYPE_F64, DTYPE_BOOL, { .f64 = -0.0 }, 0 },
		{ DTYPE_F32, DTYPE_I32, { .f32 = -0x1p31f }, INT32_MIN },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		CU_ASSERT_FALSE(run_cast(rows[i].from, rows[i].to, false, rows[i].a, &z));
		CU_ASSERT_EQUAL(z.i, rows[i].wanted);
	}
	run_cast(DTYPE_I64, DTYPE_F32, false, (union kernel_scalar){ .i = (INT64_C(1) << 54) + (INT64_C(1) << 30) + 1 }, &z);
	CU_ASSERT_EQUAL(z.f32, 0x1.000002p54f); /* by way of float64 it would be 2^54 */
	run_cast(DTYPE_U64, DTYPE_F64, false, (union kernel_scalar){ .u = UINT64_MAX }, &z);
	CU_ASSERT_EQUAL(z.f64, 0x1p64);
	run_cast(DTYPE_C128, DTYPE_F32, false, (union kernel_scalar){ .c128 = CMPLX(1.5, 9) }, &z);
	CU_ASSERT_EQUAL(z.f32, 1.5f);
	run_cast(DTYPE_F32, DTYPE_C128, false, (union kernel_scalar){ .f32 = 1.5f }, &z);
	CU_ASSERT(creal(z.c128) == 1.5 && cimag(z.c128) == 0);
	CU_ASSERT_FALSE(run_cast(DTYPE_F64, DTYPE_U8, true, (union kernel_scalar){ .f64 = 255.9 }, &z) || z.u != 255);
	CU_ASSERT_FALSE(run_cast(DTYPE_F64, DTYPE_U8, true, (union kernel_scalar){ .f64 = -0.9 }, &z) || z.u != 0);
	const double refused[] = { 256, -1, NAN, INFINITY };
	for (int i = 0; i < 4; i++) {
		CU_ASSERT(run_cast(DTYPE_F64, DTYPE_U8, true, (union kernel_scalar){ .f64 = refused[i] }, &z));
		failed_with(KERNEL_CAST, 0, 0);
	}
}

/* --- statements --- */

/* Collatz: how long from n to 1; a LOOP, IFs, BREAK, then a BLOCK left early. */
static void control(void)
{
	begin();
	uint32_t n = param(false, local(DTYPE_I64)), steps = result(false, local(DTYPE_I64)), left = result(false, local(DTYPE_I64));
	struct ir_stmt *l = loop(f.body, IR_NONE, NULL, NULL, 0);
	l->a = l->b = l->c = NULL;
	struct ir_stmt *test = ir_append(&f, l->body, IR_IF, 1);
	test->a = op2(IR_EQ, get(n), num(1));
	test->body = ir_block_new(&f);
	ir_append(&f, test->body, IR_BREAK, 2);
	set(l->body, n, ir_cond(&f, op2(IR_EQ, op2(IR_MOD, get(n), num(2)), num(0)), op2(IR_FLOORDIV, get(n), num(2)),
				op2(IR_ADD, op2(IR_MUL, get(n), num(3)), num(1))));
	set(l->body, steps, op2(IR_ADD, get(steps), num(1)));
	struct ir_stmt *block = ir_append(&f, f.body, IR_BLOCK, 3);
	block->label = f.nlabels++;
	block->body = ir_block_new(&f);
	uint32_t i = local(DTYPE_I64);
	struct ir_stmt *outer = loop(block->body, i, num(10), num(-10), -3);
	struct ir_stmt *odd = ir_append(&f, outer->body, IR_IF, 4);
	odd->a = op2(IR_LT, get(i), num(0));
	odd->body = ir_block_new(&f);
	odd->orelse = ir_block_new(&f);
	ir_append(&f, odd->body, IR_LEAVE, 5)->label = block->label;
	ir_append(&f, odd->orelse, IR_CONTINUE, 5);
	set(f.body, left, get(i));
	ir_append(&f, f.body, IR_RETURN, 6);
	set(f.body, left, num(99));
	union kernel_scalar scalars[3] = { { .i = 27 } };
	CU_ASSERT_FALSE(run(NULL, scalars));
	CU_ASSERT_EQUAL(scalars[1].i, 111);
	CU_ASSERT_EQUAL(scalars[2].i, -2);
	end();
}

/* 20000 terms on the left spine, and the sum of a float16 array by a view that runs backwards. */
static void expressions(void)
{
	begin();
	uint32_t x = param(true, ir_new_array(&f, DTYPE_F16, 1, "x", 1)), back = ir_new_array(&f, DTYPE_F16, 1, NULL, 0);
	uint32_t deep = result(false, local(DTYPE_I64)), sum = result(false, local(DTYPE_F32)), i = local(DTYPE_I64);
	struct ir_expr *e = num(0);
	for (int k = 0; k < 20000; k++)
		e = op2(IR_ADD, e, num(k));
	set(f.body, deep, ir_clone(&f, e));
	struct ir_stmt *view = ir_append(&f, f.body, IR_VIEW, 3);
	view->array = back;
	view->from = x;
	struct ir_expr *offset = num(4), *shape = num(3), *step = num(-2);
	view->offset = arena_copy(&arena, &offset, sizeof offset);
	view->shape = arena_copy(&arena, &shape, sizeof shape);
	view->step = arena_copy(&arena, &step, sizeof step);
	view->from_axis = arena_copy(&arena, &(int){ 0 }, sizeof(int));
	struct ir_stmt *l = loop(f.body, i, num(0), ir_shape(&f, back, 0), 1);
	set(l->body, sum, op2(IR_ADD, op2(IR_MUL, get(sum), ir_const_real(&f, DTYPE_F32, 10)), load(back, get(i))));
	store(l->body, back, op2(IR_SUB, get(i), num(3)), ir_const_real(&f, DTYPE_F32, 0.1));
	_Float16 data[] = { 1, 2, 3, 4, 5 };
	struct kernel_array arrays[] = { vector(data, 5, 2) };
	union kernel_scalar scalars[2];
	CU_ASSERT_FALSE(run(arrays, scalars));
	CU_ASSERT_EQUAL(scalars[0].i, 19999 * INT64_C(10000));
	CU_ASSERT_EQUAL(scalars[1].f32, 531);
	CU_ASSERT(data[0] == (_Float16)0.1f && data[1] == 2 && data[4] == (_Float16)0.1f);
	end();
}

static void lists(void)
{
	begin();
	uint32_t list = result(true, ir_new_array(&f, DTYPE_I32, 1, NULL, 0)), i = local(DTYPE_I64), middle = result(false, local(DTYPE_F64));
	f.arrays[list].is_list = true;
	ir_append(&f, f.body, IR_LIST_NEW, 1)->array = list;
	struct ir_stmt *l = loop(f.body, i, num(0), num(1001), 1);
	struct ir_stmt *append = ir_append(&f, l->body, IR_LIST_APPEND, 2);
	append->array = list;
	append->a = ir_cast(&f, DTYPE_I32, op2(IR_SUB, num(1000), get(i)), false);
	struct ir_stmt *sort = ir_append(&f, f.body, IR_PROC, 3);
	sort->proc = KERNEL_PROC_SORT;
	sort->narrays = 1;
	sort->arrays = arena_copy(&arena, &list, sizeof list);
	struct ir_stmt *median = ir_append(&f, f.body, IR_PROC, 3);
	*median = *sort;
	median->proc = KERNEL_PROC_MEDIAN;
	median->local = middle;
	struct kernel_array arrays[1];
	union kernel_scalar scalars[1];
	CU_ASSERT_FALSE(run(arrays, scalars));
	CU_ASSERT_EQUAL(arrays[0].shape[0], 1001);
	for (int k = 0; k < 1001; k++)
		CU_ASSERT_EQUAL(((int32_t *)arrays[0].data)[k], k);
	CU_ASSERT_EQUAL(scalars[0].f64, 500);
	void *data = kernel_take(&ctx, arrays[0].data);
	CU_ASSERT_PTR_EQUAL(data, arrays[0].data);
	free(data);
	end();
}

/* --- loops in chunks: the same as in order --- */

static void add_reduction(struct ir_loop *l, enum ir_reduction_kind kind, uint32_t v, uint32_t follow, uint32_t written)
{
	struct ir_reduction *more = arena_alloc(&arena, (l->nreductions + 1) * sizeof *more);
	if (l->nreductions)
		memcpy(more, l->reductions, l->nreductions * sizeof *more);
	more[l->nreductions] = (struct ir_reduction){ kind, v, written, arena_copy(&arena, &follow, sizeof follow), follow != IR_NONE };
	l->reductions = more;
	l->nreductions++;
}

/* if x[i] `op` best: best = x[i]; at = i */
static void track(struct ir_block *b, enum ir_op op, struct ir_expr *value, uint32_t best, uint32_t at, uint32_t i)
{
	struct ir_stmt *s = ir_append(&f, b, IR_IF, 20);
	s->a = op2(op, value, get(best));
	s->body = ir_block_new(&f);
	set(s->body, best, ir_clone(&f, value));
	set(s->body, at, get(i));
}

static void reduce(bool parallel, enum dtype d, const int64_t *data, int64_t n, bool light, union kernel_scalar out[14])
{
	static const enum ir_reduction_kind kinds[] = { IR_REDUCE_SUM, IR_REDUCE_PROD, IR_REDUCE_MIN, IR_REDUCE_MAX,
							 IR_REDUCE_AND, IR_REDUCE_OR,   IR_REDUCE_XOR };
	static const enum ir_op ops[] = { IR_ADD, IR_MUL, IR_MINIMUM, IR_MAXIMUM, IR_BITAND, IR_BITOR, IR_BITXOR };
	static const enum ir_reduction_kind winners[] = { IR_REDUCE_LESS, IR_REDUCE_GREATER_EQUAL, IR_REDUCE_LESS_EQUAL };
	static const enum ir_op tests[] = { IR_LT, IR_GE, IR_LE };
	begin();
	uint32_t x = param(true, ir_new_array(&f, DTYPE_I64, 1, "x", 1)), i = local(DTYPE_I64), v = local(d);
	bool bits = d == DTYPE_I64;
	uint32_t locals[14];
	for (int k = 0; k < 14; k++)
		locals[k] = result(false, local(k == 8 || k == 10 || k == 12 ? DTYPE_I64 : d));
	for (int k = 0; k < 14; k++)
		set(f.body, locals[k], ir_const_int(&f, f.locals[locals[k]].dtype, 3 + k));
	struct ir_stmt *l = loop(f.body, i, num(n - 1), num(-1), -1);
	l->loop->parallel = parallel;
	l->loop->light = light;
	set(l->body, v, ir_cast(&f, d, load(x, get(i)), false));
	for (int k = 0; k < 7; k++)
		if (bits || k < 4) {
			set(l->body, locals[k], op2(ops[k], get(locals[k]), get(v)));
			add_reduction(l->loop, kinds[k], locals[k], IR_NONE, IR_NONE);
		}
	for (int k = 0; k < 3; k++) {
		track(l->body, tests[k], get(v), locals[7 + 2 * k], locals[8 + 2 * k], i);
		add_reduction(l->loop, winners[k], locals[7 + 2 * k], locals[8 + 2 * k], IR_NONE);
	}
	uint32_t written = local(DTYPE_BOOL);
	struct ir_stmt *s = ir_append(&f, l->body, IR_IF, 21);
	s->a = op2(IR_GT, get(v), ir_const_int(&f, d, 2));
	s->body = ir_block_new(&f);
	set(s->body, locals[13], get(v));
	set(s->body, written, ir_const_int(&f, DTYPE_BOOL, 1));
	add_reduction(l->loop, IR_REDUCE_LAST, locals[13], IR_NONE, written);
	struct kernel_array arrays[] = { vector((void *)(uintptr_t)data, n, 8) };
	CU_ASSERT_FALSE(run(arrays, out));
	end();
}

static void chunks(void)
{
	struct random r = random_seed(5);
	static const int64_t sizes[] = { 0, 1, 2, 255, 256, 257, 1024, 1025, 5000 };
	for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
		for (int light = 0; light < 2; light++)
			for (int range = 2; range < 9; range += 3) {
				int64_t *x = malloc(8 * (size_t)sizes[s] + 1);
				for (int64_t k = 0; k < sizes[s]; k++)
					x[k] = (int64_t)random_below(&r, (size_t)range) - range / 2 + 1;
				for (int real = 0; real < 2; real++) {
					union kernel_scalar serial[14], chunked[14];
					enum dtype d = real ? DTYPE_F64 : DTYPE_I64;
					memset(serial, 0, sizeof serial);
					memset(chunked, 0, sizeof chunked);
					reduce(false, d, x, sizes[s], light, serial);
					reduce(true, d, x, sizes[s], light, chunked);
					for (int k = 0; k < 14; k++) /* a long product of floats is inf, 0 or NaN: its order shows */
						CU_ASSERT((real && k == 1) || serial[k].i == chunked[k].i);
				}
				free(x);
			}
}

/* --- failures --- */

static void index_failure(void)
{
	begin();
	uint32_t x = param(true, ir_new_array(&f, DTYPE_F64, 1, "x", 1)), i = param(false, local(DTYPE_I64)), v = result(false, local(DTYPE_F64));
	set(f.body, v, load(x, get(i)));
	double data[3] = { 1, 2, 3 };
	const struct { int64_t i; bool ok; } rows[] = { { 0, true }, { 2, true }, { -3, true }, { 3, false }, { -4, false },
							     { INT64_MIN, false }, { INT64_MAX, false } };
	for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
		struct kernel_array arrays[] = { vector(data, 3, 8) };
		union kernel_scalar scalars[2] = { { .i = rows[k].i } };
		ctx.failure.code = KERNEL_NO_ERROR;
		CU_ASSERT_EQUAL(run(arrays, scalars), !rows[k].ok);
		if (!rows[k].ok) {
			failed_with(KERNEL_INDEX, rows[k].i, 3);
			CU_ASSERT_EQUAL(call.failure.line, 8);
			CU_ASSERT_EQUAL(call.failure.array, x);
		}
	}
	end();
}

static void scalar_failures(void)
{
	union kernel_scalar z;
	CU_ASSERT(run_op(IR_FLOORDIV, DTYPE_I32, DTYPE_I32, true, true, (union kernel_scalar){ .i = 1 }, (union kernel_scalar){ .i = 0 }, &z));
	failed_with(KERNEL_DIVISION, 0, 0);
	CU_ASSERT_FALSE(run_op(IR_MOD, DTYPE_I32, DTYPE_I32, true, false, (union kernel_scalar){ .i = 1 }, (union kernel_scalar){ .i = 0 }, &z));
	CU_ASSERT_EQUAL(call.divided_by_zero, 1);
	CU_ASSERT(run_op(IR_POW, DTYPE_I32, DTYPE_I32, true, false, (union kernel_scalar){ .i = 2 }, (union kernel_scalar){ .i = -3 }, &z));
	failed_with(KERNEL_NEGATIVE_POWER, -3, 0);
}

/* zeros(n, n) of float64; the last element read */
static int allocate(int64_t n, union kernel_scalar *out)
{
	begin();
	uint32_t size = param(false, local(DTYPE_I64)), x = ir_new_array(&f, DTYPE_F64, 2, "x", 1), v = result(false, local(DTYPE_F64));
	struct ir_stmt *s = ir_append(&f, f.body, IR_ALLOC, 5);
	s->array = x;
	s->zero = true;
	s->shape = arena_alloc(&arena, 2 * sizeof *s->shape);
	s->shape[0] = get(size);
	s->shape[1] = get(size);
	struct ir_expr *last[2] = { num(-1), num(-1) };
	set(f.body, v, ir_load(&f, x, last, 6));
	union kernel_scalar scalars[2] = { { .i = n } };
	int failed = run(NULL, scalars);
	*out = scalars[1];
	end();
	return failed;
}

static void memory_failures(void)
{
	union kernel_scalar v;
	CU_ASSERT_FALSE(allocate(100, &v) || v.f64 != 0);
	CU_ASSERT(allocate(-1, &v));
	failed_with(KERNEL_NEGATIVE_SIZE, -1, 0);
	CU_ASSERT(allocate(10000, &v));
	failed_with(KERNEL_MEMORY, 64 << 20, 0);
	CU_ASSERT(allocate(INT64_MAX, &v));
	failed_with(KERNEL_MEMORY, 64 << 20, 0);
	CU_ASSERT(allocate(0, &v));
	failed_with(KERNEL_INDEX, -1, 0);
}

/* A loop that releases what it makes may make more than the budget in all. */
static void releases(void)
{
	begin();
	call.memory_limit = 1 << 20;
	uint32_t x = ir_new_array(&f, DTYPE_F64, 1, "x", 1), i = local(DTYPE_I64);
	struct ir_stmt *l = loop(f.body, i, num(0), num(1000), 1);
	struct ir_stmt *s = ir_append(&f, l->body, IR_ALLOC, 5);
	struct ir_expr *n = num(50000);
	s->array = x;
	s->zero = true;
	s->shape = arena_copy(&arena, &n, sizeof n);
	store(l->body, x, num(-1), ir_const_real(&f, DTYPE_F64, 1));
	struct ir_stmt *check = ir_append(&f, l->body, IR_CHECK, 6);
	check->a = op2(IR_EQ, load(x, num(0)), ir_const_real(&f, DTYPE_F64, 0));
	check->code = KERNEL_ASSERTION;
	l->loop->releases = true;
	CU_ASSERT_FALSE(run(NULL, NULL));
	l->loop->releases = false;
	CU_ASSERT(run(NULL, NULL));
	failed_with(KERNEL_MEMORY, 1 << 20, 0);
	end();
}

/* An array that nothing has bound yet has no elements. */
static void unbound(void)
{
	begin();
	uint32_t x = ir_new_array(&f, DTYPE_F64, 0, "x", 1), v = result(false, local(DTYPE_F64));
	set(f.body, v, ir_load(&f, x, NULL, 4));
	ir_append(&f, f.body, IR_ALLOC, 5)->array = x;
	CU_ASSERT(run(NULL, NULL));
	failed_with(KERNEL_UNBOUND, 0, 0);
	end();
}

static int looks;
static atomic_bool attention, cancelled;

static int pause_twice(struct kernel_call *c)
{
	CU_ASSERT_PTR_EQUAL(c, &call);
	if (++looks == 3)
		atomic_store(&cancelled, true);
	return 0;
}

static void cancel(void)
{
	begin();
	uint32_t i = local(DTYPE_I64);
	struct ir_stmt *l = loop(f.body, IR_NONE, NULL, NULL, 0);
	l->a = l->b = l->c = NULL;
	set(l->body, i, op2(IR_ADD, get(i), num(1)));
	attention = true;
	call.attention = &attention;
	call.cancelled = &cancelled;
	call.pause = pause_twice;
	CU_ASSERT(run(NULL, NULL));
	failed_with(KERNEL_CANCELLED, 0, 0);
	CU_ASSERT_EQUAL(looks, 3);
	end();
}

CU_ErrorCode test_interpret_register(void)
{
	static const CU_TestInfo tests[] = {
		{ "integers", integers }, { "bools", bools }, { "reals", reals }, { "complexes", complexes }, { "casts", casts },
		{ "control", control }, { "expressions", expressions }, { "lists", lists }, { "chunks", chunks },
		{ "index failure", index_failure }, { "scalar failures", scalar_failures }, { "memory failures", memory_failures },
		{ "releases", releases }, { "unbound", unbound }, { "cancel", cancel },
	};
	CU_pSuite suite = CU_add_suite("interpret", NULL, NULL);
	for (size_t i = 0; suite && i < sizeof tests / sizeof *tests; i++)
		if (!CU_add_test(suite, tests[i].pName, tests[i].pTestFunc))
			return CU_get_error();
	return CU_get_error();
}
