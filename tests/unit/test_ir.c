/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The verifier refuses each way to break a rule, and the listing shows whatever changes code.
 */
#include "kernels/compiler/ir.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

/* A small function that keeps every rule: s = 0; for i in 0..len(x): s += x[i]; y = copy of x backwards. */
static struct arena arena;
static struct ir_function f;
static uint32_t s, i, b, c, x, y, list, h;
static struct ir_stmt *set, *loop, *add, *store, *view, *alloc;

static struct ir_expr *num(int64_t value)
{
	return ir_const_int(&f, DTYPE_I64, value);
}

static struct ir_expr **exprs(struct ir_expr *e)
{
	return arena_copy(&arena, &e, sizeof e);
}

static struct ir_stmt *append(enum ir_stmt_kind kind)
{
	return ir_append(&f, f.body, kind, 12);
}

static void build(void)
{
	arena_init(&arena, 1 << 20);
	f = (struct ir_function){ .arena = &arena, .name = { "sum", 3 } };
	f.body = ir_block_new(&f);
	s = ir_new_local(&f, DTYPE_F64, "s", 1);
	i = ir_new_local(&f, DTYPE_I64, "i", 1);
	b = ir_new_local(&f, DTYPE_BOOL, NULL, 0);
	c = ir_new_local(&f, DTYPE_C128, NULL, 0);
	x = ir_new_array(&f, DTYPE_F64, 1, "x", 1);
	y = ir_new_array(&f, DTYPE_F64, 1, "y", 1);
	list = ir_new_array(&f, DTYPE_I32, 1, "l", 1);
	h = ir_new_array(&f, DTYPE_F16, 1, "h", 1);
	f.arrays[list].is_list = f.arrays[x].read_only = true;
	f.params = arena_copy(&arena, (struct ir_slot[]){ { true, x }, { true, h } }, 2 * sizeof *f.params);
	f.results = arena_copy(&arena, (struct ir_slot[]){ { false, s }, { true, y } }, 2 * sizeof *f.results);
	f.nparams = f.nresults = 2;
	set = append(IR_SET);
	set->local = s;
	set->a = ir_const_real(&f, DTYPE_F64, 0.1);
	alloc = append(IR_ALLOC);
	alloc->array = y;
	alloc->shape = exprs(ir_shape(&f, x, 0));
	loop = append(IR_FOR);
	loop->local = i;
	loop->a = num(0);
	loop->b = ir_shape(&f, x, 0);
	loop->c = num(1);
	loop->loop = ir_loop_new(&f);
	loop->body = ir_block_new(&f);
	struct ir_expr *at = ir_local(&f, i);
	add = ir_append(&f, loop->body, IR_SET, 14);
	add->local = s;
	add->a = ir_binary(&f, IR_ADD, DTYPE_F64, ir_local(&f, s), ir_load(&f, x, &at, 14));
	store = ir_append(&f, loop->body, IR_STORE, 15);
	store->array = y;
	store->index = exprs(ir_local(&f, i));
	store->index_flags = arena_alloc(&arena, 1);
	store->a = ir_local(&f, s);
	append(IR_LIST_NEW)->array = list;
	view = append(IR_VIEW);
	view->array = y;
	view->from = y;
	view->shape = exprs(num(1));
	view->from_axis = arena_copy(&arena, &(int){ 0 }, sizeof(int));
}

/* --- the verifier --- */

static void reduce(enum ir_reduction_kind kind, uint32_t v)
{
	struct ir_reduction r = { .kind = kind, .local = v, .written = IR_NONE };
	loop->loop->reductions = arena_copy(&arena, &r, sizeof r);
	loop->loop->nreductions = 1;
}

static void jump(enum ir_stmt_kind kind, bool parallel)
{
	loop->loop->parallel = parallel;
	ir_append(&f, loop->body, kind, 16);
}

static void nest(bool parallel, bool guarded)
{
	struct ir_stmt *inner = ir_append(&f, loop->body, IR_FOR, 17);
	*inner = *loop;
	inner->loop = ir_loop_new(&f);
	inner->body = ir_block_new(&f);
	loop->loop->parallel = inner->loop->parallel = parallel;
	if (guarded) {
		loop->loop->guards = inner->loop->guards = exprs(ir_local(&f, b));
		loop->loop->nguards = inner->loop->nguards = 1;
	}
}

static struct ir_stmt *procedure(enum kernel_proc proc, uint32_t array)
{
	struct ir_stmt *p = append(IR_PROC);
	p->proc = proc;
	p->arrays = arena_copy(&arena, &array, sizeof array);
	p->narrays = 1;
	return p;
}

static struct ir_stmt *set_to(uint32_t v, struct ir_expr *e)
{
	struct ir_stmt *n = append(IR_SET);
	n->local = v;
	n->a = e;
	return n;
}

/* B(what is broken, part of the message) */
#define BROKEN_MAP(B)                                                                                                   \
	B(set->a = num(1), "what is set must be <f8, is <i8")                                                           \
	B(set->a = NULL, "what is set is missing")                                                                      \
	B(set->local = 99, "there is no local 99")                                                                      \
	B(add->a->b = ir_const_real(&f, DTYPE_F32, 1), "the operands of ADD are <f8 and <f4")                           \
	B(add->a->dtype = DTYPE_F32, "ADD of <f8 does not give <f4")                                                    \
	B(add->a->op = IR_BITAND, "BITAND does not take <f8")                                                           \
	B(add->a->op = IR_NEG, "NEG takes 1 operands")                                                                  \
	B(add->a->b->array = h, "a load from array slot 3 does not give <f8")                                           \
	B(add->a->b->index = NULL, "array slot 0 needs 1 indices")                                                      \
	B(add->a->b->index[0] = ir_local(&f, s), "an index must be <i8, is <f8")                                        \
	B(store->index_flags[0] = IR_INDEX_IN_BOUNDS, "marked in bounds but not nonnegative")                           \
	B(store->index_flags[0] = IR_INDEX_GUARDED, "outside of a guarded loop")                                        \
	B(store->array = x, "array slot 0 is read-only")                                                                \
	B(store->a = num(1), "what goes into an array must be <f8")                                                     \
	B(loop->b->axis = 1, "array slot 0 has no axis 1")                                                              \
	B(loop->local = s, "the variable of a FOR must be <i8")                                                         \
	B(loop->c = ir_local(&f, s), "the step of a FOR must be <i8")                                                   \
	B(loop->loop = NULL, "a loop has no record")                                                                    \
	B(loop->loop->id = 7, "the number 7 of a loop is not its own")                                                  \
	B(loop->body = NULL, "a body is missing")                                                                       \
	B(jump(IR_BREAK, true), "a jump out of a parallel loop")                                                        \
	B(jump(IR_RETURN, true), "a jump out of a parallel loop")                                                       \
	B(jump(IR_LEAVE, true), "a jump out of a parallel loop")                                                        \
	B(jump(IR_LEAVE, false), "which is no enclosing BLOCK")                                                         \
	B(append(IR_BREAK), "BREAK or CONTINUE outside of a loop")                                                      \
	B(append(IR_BLOCK), "the label 4294967295 of a BLOCK is not its own")                                           \
	B(nest(true, false), "a parallel loop in a parallel loop")                                                      \
	B(nest(false, true), "a guarded loop in a guarded loop")                                                        \
	B(reduce(IR_REDUCE_XOR, s), "the reduction of local 0 cannot be of <f8")                                        \
	B(reduce(IR_REDUCE_SUM, 50), "there is no local 50")                                                            \
	B(append(IR_IF)->a = num(1), "a condition must be |b1")                                                         \
	B(alloc->shape = NULL, "the lengths are missing")                                                               \
	B(alloc->array = list, "ALLOC of a list")                                                                       \
	B(view->from = h, "a view of <f2 as <f8")                                                                       \
	B(view->from_axis[0] = 1, "a view of axis 1 of 1")                                                              \
	B(view->array = list; view->from = list, "a list slot cannot hold a view")                                      \
	B(append(IR_LIST_APPEND)->array = y, "array slot 1 is no list")                                                 \
	B(f.arrays[y].rank = 9, "array slot 1 cannot have rank 9")                                                      \
	B(f.locals[b].dtype = DTYPE_F16, "local 2 cannot be <f2")                                                       \
	B(f.params[1].id = x, "parameters 0 and 1 have one slot")                                                       \
	B(f.params[1].id = 40, "parameter 1 has no slot")                                                               \
	B(f.results[1].id = ir_new_array(&f, DTYPE_I8, 1, NULL, 0), "nothing binds array slot 4")                       \
	B(append(IR_CHECK)->a = ir_local(&f, b), "there is no error 0")                                                 \
	B(procedure(KERNEL_PROC_SORT, x), "array slot 0 is read-only")                                                  \
	B(procedure(KERNEL_PROC_MEDIAN, x)->local = i, "a median must be <f8")                                          \
	B(procedure(KERNEL_PROC_ARGSORT, x), "a procedure with 1 arrays")                                               \
	B(set_to(c, ir_call(&f, FUNCTION_cbrt, DTYPE_C128, ir_local(&f, c), NULL)), "cbrt has no version for <c16")     \
	B(set_to(s, ir_unary(&f, IR_ABS, DTYPE_C128, ir_local(&f, c))), "ABS of <c16 does not give <c16")               \
	B(set_to(b, ir_binary(&f, IR_LT, DTYPE_BOOL, ir_local(&f, c), ir_local(&f, c))), "LT does not take <c16")       \
	B(set_to(s, ir_cond(&f, ir_local(&f, b), ir_local(&f, s), num(1))), "the second choice must be <f8")

static void refused(const char *what, const char *message)
{
	struct error e = { 0 };
	CU_ASSERT_EQUAL(ir_verify(&f, &e), STATUS_INTERNAL);
	if (!strstr(e.message, message) || strncmp(e.message, "IR, line ", 9)) {
		printf("\n    %s: %s", what, e.message);
		CU_FAIL("another message");
	}
	arena_free(&arena);
}

static void broken(void)
{
#define B(what, message)         \
	build();                 \
	what;                    \
	refused(#what, message);
	BROKEN_MAP(B)
#undef B
}

static void sound(void)
{
	struct error e = { 0 };
	build();
	CU_ASSERT_EQUAL(ir_verify(&f, &e), STATUS_OK);
	CU_ASSERT_STRING_EQUAL(e.message, "");
	arena_free(&arena);
}

/* --- the listing --- */

static char *listing(void)
{
	char *text = ir_dump(&f);
	CU_ASSERT_FATAL(text != NULL);
	arena_free(&arena);
	return text;
}

static void same_twice(void)
{
	build();
	char *once = listing();
	build();
	char *again = listing();
	CU_ASSERT_STRING_EQUAL(once, again);
	CU_ASSERT(strstr(once, "for v1 = 0:i64 .. len(x0, 0):i64 step 1:i64  # 0\n") != NULL);
	CU_ASSERT(strstr(once, "v0 = (v0:f64 + x0[v1:i64]:f64@14):f64") != NULL);
	CU_ASSERT(strstr(once, "0x1.999999999999ap-4:f64") != NULL);
	free(again);
	free(once);
}

/* Each of these changes code or what it reports. */
#define CHANGE_MAP(C)                                                                                              \
	C(set->line++) C(add->a->line++) C(add->a->checked = true) C(add->a->op = IR_SUB) C(set->a->constant.f64 = -0.0) \
	C(store->index_flags[0] = 1) C(store->index_flags[0] = 3) C(store->index_flags[0] = 4) C(alloc->zero = true) \
	C(loop->loop->wanted = true) C(loop->loop->generated = true) C(loop->loop->parallel = true) C(loop->loop->light = true) \
	C(loop->loop->releases = true) C(loop->loop->id = 5) C(reduce(IR_REDUCE_SUM, s)) C(reduce(IR_REDUCE_PROD, s)) \
	C((loop->loop->guards = exprs(ir_local(&f, b)), loop->loop->nguards = 1)) C(loop->c = num(2)) C(loop->kind = IR_LOOP) \
	C(f.fastmath = true) C(f.accurate = true) C(f.nparams = 1) C(f.nresults = 1) C(f.arrays[x].contiguous = true) \
	C(f.arrays[x].read_only = false) C(f.arrays[x].root = 3) C(f.arrays[y].is_list = true) C(f.arrays[h].dtype = DTYPE_I8) \
	C(f.locals[c].dtype = DTYPE_C64) C(view->from_axis[0] = -1) C(view->step = exprs(num(2))) C(view->offset = exprs(num(2))) \
	C(append(IR_BREAK)) C(append(IR_CONTINUE)) C(append(IR_RETURN)) C(append(IR_CHECK)->code = KERNEL_SHAPE) C(append(IR_CHECK)->code = KERNEL_EMPTY) \
	C(append(IR_BLOCK)->label = 1) C(append(IR_LEAVE)->label = 1) C(procedure(KERNEL_PROC_SORT, y)) C(procedure(KERNEL_PROC_MEDIAN, y)) \
	C(append(IR_LIST_NEW)->array = list) C(append(IR_LIST_APPEND)->array = list)

static void changes(void)
{
	char *seen[64];
	size_t n = 0;
	build();
	seen[n++] = listing();
#define C(what)                                                  \
	build();                                                 \
	what;                                                    \
	seen[n++] = listing();                                   \
	for (size_t k = 0; k + 1 < n; k++)                       \
		if (strcmp(seen[k], seen[n - 1]) == 0)           \
			CU_FAIL(#what);
	CHANGE_MAP(C)
#undef C
	while (n > 0)
		free(seen[--n]);
}

/* Without memory nothing is built and nothing is touched. */
static void no_memory(void)
{
	for (size_t budget = 0; budget < 400; budget += 16) {
		arena_init(&arena, budget);
		f = (struct ir_function){ .arena = &arena };
		struct ir_block *block = ir_block_new(&f);
		uint32_t v = ir_new_local(&f, DTYPE_I64, "v", 1);
		struct ir_expr *e = ir_binary(&f, IR_ADD, DTYPE_I64, ir_local(&f, v), num(1));
		ir_cast(&f, DTYPE_F64, ir_clone(&f, e), false);
		ir_append(&f, block, IR_RETURN, 1);
		CU_ASSERT(arena.failed);
		arena_free(&arena);
	}
}

CU_ErrorCode test_ir_register(void)
{
	CU_pSuite suite = CU_add_suite("ir", NULL, NULL);
	if (!suite || !CU_add_test(suite, "sound", sound) || !CU_add_test(suite, "broken", broken) || !CU_add_test(suite, "same twice", same_twice) ||
	    !CU_add_test(suite, "changes", changes) || !CU_add_test(suite, "no memory", no_memory))
		return CU_get_error();
	return CUE_SUCCESS;
}
