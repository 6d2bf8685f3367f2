/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Programs made at random, from a seed: machine code and the interpreter must agree on every bit, failures included. Without COPYSIGN, which
 * shows the sign of a NaN: that is not defined.
 */
#include "kernels/compiler/types.h"
#include "tests/unit/kernel.h"
#include "tests/unit/unit.h"

enum { LOCALS = 6, TYPES = 5, MAKE_STATEMENTS = 14 };
static const enum dtype mixed[TYPES] = { DTYPE_I64, DTYPE_F64, DTYPE_I32, DTYPE_BOOL, DTYPE_F32 };

struct maker {
	struct kernel k;
	struct random r;
	uint32_t locals[TYPES][LOCALS], variables[8], arrays[TYPES];
	int left, depth, nloops, nvariables;
};

static struct ir_expr *make_expr(struct maker *m, int type, int depth);

static int make_index(struct maker *m, struct ir_expr **index)
{
	struct ir_expr *i = m->nvariables && random_below(&m->r, 3) ? local(&m->k, m->variables[random_below(&m->r, (size_t)m->nvariables)])
								     : make_expr(m, 0, 1);
	if (random_below(&m->r, 8))
		i = binary(&m->k, IR_MOD, i, constant(&m->k, 17));
	*index = i;
	return 0;
}

static struct ir_expr *make_leaf(struct maker *m, int type)
{
	struct ir_expr *index;
	switch (random_below(&m->r, 4)) {
	case 0:
		return mixed[type] == DTYPE_F64 || mixed[type] == DTYPE_F32 ?
			       ir_const_real(&m->k.f, mixed[type], (double)(int)random_below(&m->r, 9) - 4) :
			       ir_const_int(&m->k.f, mixed[type], (int64_t)random_below(&m->r, 40) - (mixed[type] == DTYPE_BOOL ? 0 : 20));
	case 1:
		make_index(m, &index);
		return load(&m->k, m->arrays[type], 0, 3, index, NULL);
	default:
		if (type == 0 && m->nvariables && random_below(&m->r, 2))
			return local(&m->k, m->variables[random_below(&m->r, (size_t)m->nvariables)]);
		return local(&m->k, m->locals[type][random_below(&m->r, LOCALS)]);
	}
}

static struct ir_expr *make_operation(struct maker *m, int type, int depth)
{
	static const enum ir_op ints[] = { IR_ADD, IR_SUB, IR_MUL, IR_FLOORDIV, IR_MOD, IR_FMOD, IR_SHL, IR_SHR, IR_BITAND, IR_BITXOR, IR_MAXIMUM };
	static const enum ir_op floats[] = { IR_ADD, IR_SUB, IR_MUL, IR_DIV, IR_FLOORDIV, IR_MOD, IR_FMOD, IR_MAXIMUM, IR_MINIMUM };
	static const enum ir_op bools[] = { IR_BITAND, IR_BITOR, IR_BITXOR };
	struct ir_expr *e;
	enum dtype d = mixed[type];
	if (d == DTYPE_BOOL && random_below(&m->r, 3)) {
		int of = (int)random_below(&m->r, TYPES);
		return binary(&m->k, (enum ir_op)(IR_LT + random_below(&m->r, 6)), make_expr(m, of, depth - 1), make_expr(m, of, depth - 1));
	}
	enum ir_op op = d == DTYPE_BOOL ? bools[random_below(&m->r, 3)] : dtype_is_integer(d) ? ints[random_below(&m->r, 11)] :
												  floats[random_below(&m->r, 9)];
	e = binary(&m->k, op, make_expr(m, type, depth - 1), make_expr(m, type, depth - 1));
	e->checked = dtype_is_integer(d) && random_below(&m->r, 6) == 0;
	e->line = 4;
	return e;
}

static struct ir_expr *make_expr(struct maker *m, int type, int depth)
{
	if (depth <= 0)
		return make_leaf(m, type);
	switch (random_below(&m->r, 8)) {
	case 0:
		return make_leaf(m, type);
	case 1:
		return ir_cast(&m->k.f, mixed[type], make_expr(m, (int)random_below(&m->r, TYPES), depth - 1), random_below(&m->r, 8) == 0);
	case 2:
		return ir_cond(&m->k.f, make_expr(m, 3, depth - 1), make_expr(m, type, depth - 1), make_expr(m, type, depth - 1));
	case 3:
		if (mixed[type] == DTYPE_F64 || mixed[type] == DTYPE_F32)
			return ir_call(&m->k.f, random_below(&m->r, 2) ? FUNCTION_sin : FUNCTION_exp, mixed[type], make_expr(m, type, depth - 1), NULL);
		return ir_unary(&m->k.f, mixed[type] == DTYPE_BOOL ? IR_NOT : IR_NEG, mixed[type], make_expr(m, type, depth - 1));
	default:
		return make_operation(m, type, depth);
	}
}

static void make_block(struct maker *m, struct ir_block *b, int depth);

static void make_loop(struct maker *m, struct ir_block *b, int depth)
{
	struct ir_expr *to = random_below(&m->r, 2) ? constant(&m->k, (int64_t)random_below(&m->r, 30)) : ir_shape(&m->k.f, m->arrays[0], 0);
	uint32_t variable = new_local(&m->k, DTYPE_I64);
	struct ir_stmt *s = loop(&m->k, b, variable, constant(&m->k, (int64_t)random_below(&m->r, 4)), to, false);
	s->c = constant(&m->k, 1 + (int64_t)random_below(&m->r, 2));
	m->variables[m->nvariables++] = variable;
	m->nloops++;
	make_block(m, s->body, depth - 1);
	m->nloops--;
	m->nvariables--;
}

static void make_statement(struct maker *m, struct ir_block *b, int depth)
{
	int type = (int)random_below(&m->r, TYPES);
	struct ir_expr *index;
	struct ir_stmt *s;
	switch (random_below(&m->r, depth > 0 ? 9 : 5)) {
	case 0: case 1: case 2:
		set(&m->k, b, m->locals[type][random_below(&m->r, LOCALS)], make_expr(m, type, 3));
		break;
	case 3: case 4:
		make_index(m, &index);
		store(&m->k, b, m->arrays[type], 0, 5, index, NULL, make_expr(m, type, 3));
		break;
	case 5: case 6:
		make_loop(m, b, depth);
		break;
	case 7:
		s = ir_append(&m->k.f, b, IR_BLOCK, 6);
		s->label = m->k.f.nlabels++;
		s->body = ir_block_new(&m->k.f);
		make_block(m, s->body, depth - 1);
		ir_append(&m->k.f, when(&m->k, s->body, make_expr(m, 3, 2))->body, IR_LEAVE, 7)->label = s->label;
		make_block(m, s->body, depth - 1);
		break;
	default:
		s = when(&m->k, b, make_expr(m, 3, 2));
		make_block(m, s->body, depth - 1);
		if (m->nloops && random_below(&m->r, 3) == 0)
			ir_append(&m->k.f, s->body, random_below(&m->r, 2) ? IR_BREAK : IR_CONTINUE, 8);
		if (random_below(&m->r, 2))
			make_block(m, s->orelse = ir_block_new(&m->k.f), depth - 1);
	}
}

static void make_block(struct maker *m, struct ir_block *b, int depth)
{
	for (size_t n = 1 + random_below(&m->r, 3); n && m->left > 0; n--) {
		m->left--;
		make_statement(m, b, depth);
	}
}

static void make_program(struct maker *m, uint64_t seed)
{
	m->r = random_seed(seed);
	m->nloops = m->nvariables = 0;
	m->left = MAKE_STATEMENTS;
	kernel_begin(&m->k);
	for (int t = 0; t < TYPES; t++)
		m->arrays[t] = array_param(&m->k, mixed[t], 1, random_below(&m->r, 2));
	for (int t = 0; t < TYPES; t++)
		for (int i = 0; i < LOCALS; i++)
			m->locals[t][i] = new_local(&m->k, mixed[t]);
	for (int t = 0; t < TYPES; t++) {
		m->k.params[m->k.f.nparams++] = (struct ir_slot){ false, m->locals[t][0] };
		scalar_result(&m->k, m->locals[t][0]);
		scalar_result(&m->k, m->locals[t][1]);
	}
	make_block(m, m->k.f.body, 3);
	make_block(m, m->k.f.body, 3);
}

static void test_random_programs(void)
{
	enum { PROGRAMS = 200, LENGTH = 20 };
	static struct maker m;
	for (uint64_t seed = 1; seed <= PROGRAMS; seed++) {
		struct compiled c;
		make_program(&m, seed);
		if (!compile_kernel(&m.k, &c))
			return;
		uint8_t data[2][TYPES][LENGTH * 8];
		union kernel_scalar s[2][3 * TYPES];
		struct outcome o[2];
		memset(s, 0, sizeof s);
		for (int t = 0; t < TYPES; t++) {
			fill_values(&m.r, mixed[t], data[0][t], LENGTH);
			memcpy(data[1][t], data[0][t], sizeof data[0][t]);
			s[0][t].i = mixed[t] == DTYPE_BOOL;
			s[1][t] = s[0][t];
		}
		for (int who = 0; who < 2; who++) {
			struct kernel_array a[TYPES];
			for (int t = 0; t < TYPES; t++)
				a[t] = view_1d(data[who][t], LENGTH, (int64_t)dtype_size(mixed[t]));
			o[who] = run_kernel(who ? NULL : c.entry, &m.k.f, &executor_serial, a, s[who], NULL);
		}
		bool ok = o[0].status == o[1].status;
		for (int t = 0; t < TYPES && ok; t++)
			ok = same_values(mixed[t], data[0][t], data[1][t], LENGTH);
		for (int i = 0; i < 2 * TYPES && ok && !o[0].status; i++)
			ok = same_values(mixed[i / 2], &s[0][TYPES + i], &s[1][TYPES + i], 1);
		if (!ok)
			fprintf(stderr, "codegen: program %llu differs\n", (unsigned long long)seed);
		CU_ASSERT(ok);
		jit_unlink(c.code);
		kernel_end(&m.k);
	}
}

CU_ErrorCode test_programs_register(void)
{
	CU_TestInfo tests[] = {
		{ "machine code as the interpreter", test_random_programs },
		CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {
		{ .pName = "programs", .pInitFunc = make_jit, .pCleanupFunc = free_jit, .pTests = tests },
		CU_SUITE_INFO_NULL,
	};
	return CU_register_suites(suites);
}
