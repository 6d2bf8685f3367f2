/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The analysis of loops: verdicts on known programs, and an oracle on random ones. The oracle runs the IR in order and in chunks that are
 * done backwards, each with scalars of its own full of rubbish, joined as ir.h says. What is marked must hold: no element is met
 * in two iterations of a parallel loop if one of them writes it, both runs give the same, and each index is where its flags say.
 */
#include "kernels/compiler/analysis.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_LOCALS = 64, MOST_ARRAYS = 24, CELLS = 4096 };

/* --- building --- */

struct build {
	struct arena arena;
	struct ir_function f;
	struct ir_block *block;
};

static void build_init(struct build *b)
{
	memset(b, 0, sizeof *b);
	arena_init(&b->arena, 64 << 20);
	b->f.arena = &b->arena;
	b->block = b->f.body = ir_block_new(&b->f);
}

static uint32_t new_local(struct build *b, enum dtype d, const char *name)
{
	return ir_new_local(&b->f, d, name, strlen(name));
}

static uint32_t new_param(struct build *b, bool is_array, uint32_t id)
{
	struct ir_slot *params = arena_alloc(&b->arena, (b->f.nparams + 1) * sizeof *params);
	for (uint32_t i = 0; i < b->f.nparams; i++)
		params[i] = b->f.params[i];
	params[b->f.nparams++] = (struct ir_slot){ is_array, id };
	b->f.params = params;
	return id;
}

static void new_result(struct build *b, uint32_t local)
{
	struct ir_slot *results = arena_alloc(&b->arena, (b->f.nresults + 1) * sizeof *results);
	for (uint32_t i = 0; i < b->f.nresults; i++)
		results[i] = b->f.results[i];
	results[b->f.nresults++] = (struct ir_slot){ false, local };
	b->f.results = results;
}

static uint32_t new_array(struct build *b, unsigned rank, uint32_t root, const char *name)
{
	uint32_t a = ir_new_array(&b->f, DTYPE_I64, rank, name, strlen(name));
	b->f.arrays[a].root = root;
	return a;
}

static struct ir_expr *lit(struct build *b, int64_t v) { return ir_const_int(&b->f, DTYPE_I64, v); }
static struct ir_expr *var(struct build *b, uint32_t local) { return ir_local(&b->f, local); }
static struct ir_expr *op(struct build *b, enum ir_op o, struct ir_expr *x, struct ir_expr *y) { return ir_binary(&b->f, o, x->dtype, x, y); }
static struct ir_expr *cmp(struct build *b, enum ir_op o, struct ir_expr *x, struct ir_expr *y) { return ir_binary(&b->f, o, DTYPE_BOOL, x, y); }
static struct ir_expr *plus(struct build *b, struct ir_expr *x, int64_t c) { return op(b, IR_ADD, x, lit(b, c)); }
static struct ir_expr *at1(struct build *b, uint32_t a, struct ir_expr *i) { return ir_load(&b->f, a, &i, 1); }
static struct ir_expr *at2(struct build *b, uint32_t a, struct ir_expr *i, struct ir_expr *j)
{
	struct ir_expr *index[] = { i, j };
	return ir_load(&b->f, a, index, 1);
}

static struct ir_stmt *set(struct build *b, uint32_t local, struct ir_expr *e)
{
	struct ir_stmt *s = ir_append(&b->f, b->block, IR_SET, 2);
	s->local = local;
	s->a = e;
	return s;
}

static struct ir_stmt *store(struct build *b, struct ir_expr *place, struct ir_expr *e)
{
	struct ir_stmt *s = ir_append(&b->f, b->block, IR_STORE, 3);
	s->array = place->array;
	s->index = place->index;
	s->index_flags = place->index_flags;
	s->a = e;
	return s;
}

/* Opens a loop or branch: statements go inside until close(). */
static struct ir_stmt *open_for(struct build *b, uint32_t local, struct ir_expr *from, struct ir_expr *to, int64_t step, bool wanted)
{
	struct ir_stmt *s = ir_append(&b->f, b->block, IR_FOR, 1);
	s->local = local;
	s->a = from;
	s->b = to;
	s->c = lit(b, step);
	s->loop = ir_loop_new(&b->f);
	s->loop->wanted = wanted;
	s->body = ir_block_new(&b->f);
	b->block = s->body;
	return s;
}

static struct ir_stmt *open_if(struct build *b, struct ir_expr *test)
{
	struct ir_stmt *s = ir_append(&b->f, b->block, IR_IF, 1);
	s->a = test;
	s->body = ir_block_new(&b->f);
	b->block = s->body;
	return s;
}

static void view(struct build *b, uint32_t array, uint32_t from, struct ir_expr **offset, struct ir_expr **shape, const int *axis)
{
	struct ir_stmt *s = ir_append(&b->f, b->block, IR_VIEW, 2);
	unsigned rank = b->f.arrays[array].rank, from_rank = b->f.arrays[from].rank;
	s->array = array;
	s->from = from;
	s->offset = arena_copy(&b->arena, offset, from_rank * sizeof *offset);
	s->shape = arena_copy(&b->arena, shape, rank * sizeof *shape);
	s->step = arena_alloc(&b->arena, rank * sizeof *s->step);
	s->from_axis = arena_copy(&b->arena, axis, rank * sizeof *axis);
}

/* --- running --- */

struct cells {
	int64_t *data;
	int64_t shape[4], stride[4];
};

struct touch {
	int64_t reader, other_reader, writer; /* iterations, or -1 */
};

struct run {
	const struct ir_function *f;
	int64_t local[MOST_LOCALS];
	bool changed[MOST_LOCALS];  /* in a chunk: was set */
	struct cells array[MOST_ARRAYS];
	int64_t memory[CELLS], fresh;
	bool chunked, failed, unsound, guarded;
	struct random random;
	int64_t iteration;        /* of the parallel loop we are in; -1: none */
	struct touch touch[CELLS];
	int64_t steps;
};

static int64_t eval(struct run *r, const struct ir_expr *e);

static int64_t *element(struct run *r, uint32_t array, struct ir_expr **index, const uint8_t *flags, bool write)
{
	struct cells *a = &r->array[array];
	int64_t *p = a->data;
	for (unsigned k = 0; k < r->f->arrays[array].rank; k++) {
		int64_t i = eval(r, index[k]), n = a->shape[k];
		if (r->failed)
			return NULL;
		if ((flags[k] & IR_INDEX_NONNEGATIVE && i < 0) || (flags[k] & IR_INDEX_IN_BOUNDS && (i < 0 || i >= n)) ||
		    (flags[k] & IR_INDEX_GUARDED && r->guarded && (i < 0 || i >= n)))
			r->unsound = true;
		i += i < 0 ? n : 0;
		if (i < 0 || i >= n) {
			r->failed = true;
			return NULL;
		}
		p += i * a->stride[k];
	}
	if (r->iteration >= 0 && !r->chunked) {
		struct touch *t = &r->touch[p - r->memory];
		int64_t now = r->iteration;
		bool clash = (t->writer >= 0 && t->writer != now) || (write && ((t->reader >= 0 && t->reader != now) || t->other_reader >= 0));
		r->unsound |= clash;
		if (write)
			t->writer = now;
		else if (t->reader < 0)
			t->reader = now;
		else if (t->reader != now)
			t->other_reader = now;
	}
	return p;
}

static int64_t floor_mod(int64_t a, int64_t b)
{
	int64_t m = a % b;
	return m && (m < 0) != (b < 0) ? m + b : m;
}

static int64_t operate(struct run *r, enum ir_op o, int64_t a, int64_t b)
{
	uint64_t ua = (uint64_t)a, ub = (uint64_t)b;
	switch (o) {
	case IR_ADD: return (int64_t)(ua + ub);
	case IR_SUB: return (int64_t)(ua - ub);
	case IR_MUL: return (int64_t)(ua * ub);
	case IR_MOD: return b > 0 ? floor_mod(a, b) : 0;
	case IR_MAXIMUM: return a > b ? a : b;
	case IR_MINIMUM: return a < b ? a : b;
	case IR_BITAND: return a & b;
	case IR_BITOR: return a | b;
	case IR_BITXOR: return a ^ b;
	case IR_LT: return a < b;
	case IR_LE: return a <= b;
	case IR_GT: return a > b;
	case IR_GE: return a >= b;
	case IR_EQ: return a == b;
	default: abort();
	}
	(void)r;
}

static int64_t eval(struct run *r, const struct ir_expr *e)
{
	if (r->failed)
		return 0;
	switch (e->kind) {
	case IR_CONST: return e->constant.i;
	case IR_LOCAL: return r->local[e->local];
	case IR_SHAPE: return r->array[e->array].shape[e->axis];
	case IR_LOAD: {
		const int64_t *p = element(r, e->array, e->index, e->index_flags, false);
		return p ? *p : 0;
	}
	case IR_OPERATE: {
		int64_t a = eval(r, e->a);
		return operate(r, e->op, a, eval(r, e->b));
	}
	case IR_COND: return eval(r, e->test) ? eval(r, e->a) : eval(r, e->b);
	case IR_CAST: return eval(r, e->a);
	default: abort();
	}
}

static void run_block(struct run *r, const struct ir_block *b);

static int64_t trips_of(int64_t from, int64_t to, int64_t step)
{
	if (step > 0)
		return to > from ? (to - from + step - 1) / step : 0;
	return from > to ? (from - to - step - 1) / -step : 0;
}

static bool wins(enum ir_reduction_kind k, int64_t e, int64_t m)
{
	return k == IR_REDUCE_LESS ? e < m : k == IR_REDUCE_LESS_EQUAL ? e <= m : k == IR_REDUCE_GREATER ? e > m : e >= m;
}

static void join(struct run *r, const struct ir_reduction *d, const int64_t *chunk, const bool *changed)
{
	static const enum ir_op ops[] = { IR_ADD, IR_MUL, IR_MINIMUM, IR_MAXIMUM, IR_BITAND, IR_BITOR, IR_BITXOR };
	int64_t *m = &r->local[d->local];
	if (d->kind <= IR_REDUCE_XOR) {
		*m = operate(r, ops[d->kind], *m, chunk[d->local]);
		return;
	}
	if (d->kind == IR_REDUCE_LAST) {
		if (d->written == IR_NONE || chunk[d->written])
			*m = chunk[d->local];
		return;
	}
	bool ties = d->kind == IR_REDUCE_LESS_EQUAL || d->kind == IR_REDUCE_GREATER_EQUAL;
	/* A chunk that never set it must not win a tie. */
	if (!wins(d->kind, chunk[d->local], *m) || (ties && !changed[d->local]))
		return;
	*m = chunk[d->local];
	for (uint32_t k = 0; k < d->nfollow; k++)
		r->local[d->follow[k]] = chunk[d->follow[k]];
}

static void start_chunk(struct run *r, const struct ir_loop *loop, const bool *captured)
{
	static const int64_t starts[] = { 0, 1, 0, 0, -1, 0, 0 };
	for (uint32_t v = 0; v < MOST_LOCALS; v++)
		if (!captured[v])
			r->local[v] = (int64_t)(random_next(&r->random) % 5);
	memset(r->changed, 0, sizeof r->changed);
	for (uint32_t i = 0; i < loop->nreductions; i++) {
		const struct ir_reduction *d = &loop->reductions[i];
		if (d->kind <= IR_REDUCE_XOR && d->kind != IR_REDUCE_MIN && d->kind != IR_REDUCE_MAX)
			r->local[d->local] = starts[d->kind];
		if (d->kind == IR_REDUCE_LAST && d->written != IR_NONE)
			r->local[d->written] = 0;
	}
}

static void find_set(const struct ir_block *b, bool *set_in)
{
	for (uint32_t i = 0; b && i < b->count; i++) {
		if (b->items[i]->kind == IR_SET || b->items[i]->kind == IR_FOR)
			set_in[b->items[i]->local] = true;
		find_set(b->items[i]->body, set_in);
		find_set(b->items[i]->orelse, set_in);
	}
}

static void run_chunks(struct run *r, const struct ir_stmt *s, int64_t from, int64_t step, int64_t trips)
{
	int64_t before[MOST_LOCALS], length = 1 + (int64_t)random_below(&r->random, 3), n = (trips + length - 1) / length;
	int64_t (*chunks)[MOST_LOCALS] = calloc((size_t)n + 1, sizeof *chunks);
	bool (*changed)[MOST_LOCALS] = calloc((size_t)n + 1, sizeof *changed);
	bool captured[MOST_LOCALS], set_in[MOST_LOCALS] = { false };
	struct cells arrays[MOST_ARRAYS];
	memcpy(before, r->local, sizeof before);
	memcpy(arrays, r->array, sizeof arrays);
	find_set(s->body, set_in);
	for (uint32_t v = 0; v < MOST_LOCALS; v++)
		captured[v] = !set_in[v];
	for (uint32_t i = 0; i < s->loop->nreductions; i++)
		captured[s->loop->reductions[i].local] = true;
	for (int64_t k = n; k-- > 0 && !r->failed;) {
		memcpy(r->local, before, sizeof before);
		start_chunk(r, s->loop, captured);
		for (int64_t t = k * length; t < trips && t < (k + 1) * length && !r->failed; t++) {
			r->local[s->local] = from + t * step;
			run_block(r, s->body);
		}
		memcpy(changed[k], r->changed, sizeof r->changed);
		memcpy(chunks[k], r->local, sizeof before);
	}
	memcpy(r->local, before, sizeof before);
	memcpy(r->array, arrays, sizeof arrays);
	for (uint32_t v = 0; v < MOST_LOCALS; v++)
		if (!captured[v])
			r->local[v] = 77; /* not to be read */
	for (uint32_t i = 0; i < s->loop->nreductions; i++) {
		const struct ir_reduction *d = &s->loop->reductions[i];
		r->local[d->local] = before[d->local];
		for (uint32_t k = 0; k < d->nfollow; k++)
			r->local[d->follow[k]] = before[d->follow[k]];
	}
	for (int64_t k = 0; k < n; k++)
		for (uint32_t i = 0; i < s->loop->nreductions; i++)
			join(r, &s->loop->reductions[i], chunks[k], changed[k]);
	free(chunks);
	free(changed);
}

static void run_for(struct run *r, const struct ir_stmt *s)
{
	int64_t from = eval(r, s->a), to = eval(r, s->b), step = eval(r, s->c), trips = r->failed ? 0 : trips_of(from, to, step);
	bool was = r->guarded, outermost = s->loop->parallel;
	if (s->loop->nguards) {
		r->guarded = true;
		for (uint32_t i = 0; i < s->loop->nguards; i++)
			r->guarded &= eval(r, s->loop->guards[i]) != 0;
	}
	if (outermost && r->chunked) {
		run_chunks(r, s, from, step, trips);
	} else {
		if (outermost)
			for (int i = 0; i < CELLS; i++)
				r->touch[i] = (struct touch){ -1, -1, -1 };
		for (int64_t t = 0; t < trips && !r->failed; t++) {
			r->local[s->local] = from + t * step;
			if (outermost)
				r->iteration = t;
			run_block(r, s->body);
		}
		if (outermost)
			r->iteration = -1;
	}
	r->guarded = was;
}

static void run_alloc(struct run *r, const struct ir_stmt *s)
{
	struct cells *a = &r->array[s->array];
	unsigned rank = r->f->arrays[s->array].rank;
	int64_t n = 1;
	for (unsigned k = rank; k-- > 0;) {
		a->shape[k] = eval(r, s->shape[k]);
		a->stride[k] = n;
		if (a->shape[k] < 0 || a->shape[k] > 64 || r->failed) {
			r->failed = true;
			return;
		}
		n *= a->shape[k];
	}
	if (r->fresh + n > CELLS) {
		r->failed = true;
		return;
	}
	a->data = r->memory + r->fresh;
	memset(a->data, 0, (size_t)n * sizeof *a->data);
	r->fresh += n;
}

static void run_view(struct run *r, const struct ir_stmt *s)
{
	struct cells from = r->array[s->from], *a = &r->array[s->array];
	a->data = from.data;
	for (unsigned k = 0; k < r->f->arrays[s->from].rank; k++)
	{
		int64_t by = s->offset[k] ? eval(r, s->offset[k]) : 0;
		r->failed |= by < 0 || by >= from.shape[k]; /* which the front end checks before */
		a->data += r->failed ? 0 : by * from.stride[k];
	}
	for (unsigned d = 0; d < r->f->arrays[s->array].rank; d++) {
		a->shape[d] = eval(r, s->shape[d]);
		a->stride[d] = from.stride[s->from_axis[d]] * (s->step[d] ? eval(r, s->step[d]) : 1);
	}
}

static void run_stmt(struct run *r, const struct ir_stmt *s)
{
	int64_t v;
	if (++r->steps > 200000)
		r->failed = true;
	switch (s->kind) {
	case IR_SET:
		v = eval(r, s->a);
		if (!r->failed)
			r->local[s->local] = v, r->changed[s->local] = true;
		break;
	case IR_STORE: {
		v = eval(r, s->a);
		int64_t *p = r->failed ? NULL : element(r, s->array, s->index, s->index_flags, true);
		if (p)
			*p = v;
		break;
	}
	case IR_IF:
		v = eval(r, s->a);
		if (!r->failed)
			run_block(r, v ? s->body : s->orelse);
		break;
	case IR_FOR: run_for(r, s); break;
	case IR_ALLOC: run_alloc(r, s); break;
	case IR_VIEW: run_view(r, s); break;
	default: abort();
	}
}

static void run_block(struct run *r, const struct ir_block *b)
{
	for (uint32_t i = 0; b && i < b->count && !r->failed; i++)
		run_stmt(r, b->items[i]);
}

/* --- random programs --- */

struct maker {
	struct build b;
	struct random r;
	uint32_t x, y, z, w, idx, tmp, row;   /* w shares memory with x */
	uint32_t i, j, n, s, m, k, t, c, last;
	unsigned inner;           /* j is there */
	bool has_tmp, has_row, has_t;
};

static int64_t pick(struct maker *g, int64_t low, int64_t high)
{
	return low + (int64_t)random_below(&g->r, (size_t)(high - low + 1));
}

static bool chance(struct maker *g, unsigned percent)
{
	return random_below(&g->r, 100) < percent;
}

static struct ir_expr *subscript(struct maker *g)
{
	struct build *b = &g->b;
	static const int64_t factors[] = { 1, 1, 1, 1, 1, -1, 2, 0, 3, -2 };
	int64_t a = factors[random_below(&g->r, 10)];
	struct ir_expr *e = a == 1 ? var(b, g->i) : op(b, IR_MUL, var(b, g->i), lit(b, a));
	if (chance(g, 4))
		return at1(b, g->idx, var(b, g->i));
	if (chance(g, 4))
		return op(b, IR_MOD, var(b, g->i), lit(b, pick(g, 1, 6)));
	if (chance(g, 5) && g->has_t)
		return var(b, g->t);
	if (g->inner && chance(g, 40))
		e = op(b, IR_ADD, e, op(b, IR_MUL, var(b, g->j), lit(b, pick(g, -1, 8))));
	if (chance(g, 50))
		e = plus(b, e, pick(g, -2, 6));
	if (chance(g, 8))
		e = op(b, chance(g, 50) ? IR_ADD : IR_SUB, e, var(b, g->n));
	return e;
}

static struct ir_expr *place(struct maker *g, bool write)
{
	struct build *b = &g->b;
	unsigned which = (unsigned)random_below(&g->r, write ? 8 : 12);
	if (which < 3)
		return at1(b, g->y, subscript(g));
	if (which < 5)
		return at2(b, g->z, chance(g, 60) ? var(b, g->i) : subscript(g), g->inner && chance(g, 60) ? var(b, g->j) : subscript(g));
	if (which == 5 && g->has_tmp)
		return at1(b, g->tmp, g->inner && chance(g, 70) ? op(b, IR_MOD, var(b, g->j), lit(b, 5)) : lit(b, pick(g, -2, 3)));
	if (which == 6 && g->has_row)
		return at1(b, g->row, chance(g, 40) ? subscript(g) : g->inner && chance(g, 70) ? var(b, g->j) : lit(b, pick(g, -1, 3)));
	if (which == 7 && chance(g, 30))
		return at1(b, g->w, subscript(g));
	return at1(b, write && chance(g, 60) ? g->y : g->x, subscript(g));
}

static struct ir_expr *number(struct maker *g, unsigned depth)
{
	struct build *b = &g->b;
	static const enum ir_op ops[] = { IR_ADD, IR_SUB, IR_MUL, IR_MAXIMUM, IR_BITAND };
	if (depth < 2 && chance(g, 40))
		return op(b, ops[random_below(&g->r, 5)], number(g, depth + 1), number(g, depth + 1));
	if (chance(g, 50))
		return place(g, false);
	if (chance(g, 12))
		return var(b, g->t);
	if (chance(g, 5))
		return var(b, chance(g, 40) ? g->s : chance(g, 50) ? g->m : g->k);
	return chance(g, 50) ? var(b, g->i) : lit(b, pick(g, -5, 5));
}

static void statements(struct maker *g, unsigned count, unsigned depth);

static void winner(struct maker *g)
{
	struct build *b = &g->b;
	static const enum ir_op ops[] = { IR_LT, IR_LE, IR_GT, IR_GE };
	struct ir_expr *e = number(g, 1), *m = var(b, g->m);
	enum ir_op o = ops[random_below(&g->r, 4)];
	struct ir_expr *test = chance(g, 50) ? cmp(b, o, e, m) : cmp(b, o, m, e);
	struct ir_block *around = b->block;
	if (chance(g, 25)) {
		set(b, g->m, ir_cond(&b->f, test, ir_clone(&b->f, e), var(b, g->m)));
		return;
	}
	open_if(b, test);
	set(b, g->m, chance(g, 90) ? ir_clone(&b->f, e) : number(g, 1));
	if (chance(g, 60))
		set(b, g->k, chance(g, 80) ? var(b, g->i) : number(g, 1));
	b->block = around;
}

static void inner_loop(struct maker *g, unsigned depth)
{
	struct build *b = &g->b;
	struct ir_block *around = b->block;
	int64_t step = chance(g, 80) ? 1 : pick(g, 2, 3);
	struct ir_expr *from = chance(g, 60) ? lit(b, pick(g, 0, 2)) : chance(g, 50) ? var(b, g->i) : op(b, IR_MUL, var(b, g->i), lit(b, 3));
	struct ir_expr *to = chance(g, 40) ? lit(b, pick(g, 2, 5)) : chance(g, 50) ? plus(b, ir_clone(&b->f, from), 3)
			     : op(b, IR_MINIMUM, plus(b, ir_clone(&b->f, from), 3), ir_shape(&b->f, g->y, 0));
	open_for(b, g->j, from, to, step, chance(g, 20));
	g->inner++;
	statements(g, (unsigned)pick(g, 1, 2), depth + 1);
	g->inner--;
	b->block = around;
}

static void one_statement(struct maker *g, unsigned depth)
{
	struct build *b = &g->b;
	struct ir_block *around = b->block;
	static const enum ir_op updates[] = { IR_ADD, IR_SUB, IR_MUL, IR_MAXIMUM, IR_MINIMUM, IR_BITAND, IR_BITOR, IR_BITXOR };
	bool had_t = g->has_t;
	switch (random_below(&g->r, 12)) {
	default:
		store(b, place(g, true), number(g, 0));
		break;
	case 5:
		set(b, g->t, chance(g, 50) ? plus(b, var(b, g->i), pick(g, -1, 4)) : number(g, 0));
		g->has_t = true;
		break;
	case 6: case 7:
		set(b, g->s, op(b, updates[depth ? 0 : random_below(&g->r, 8)], var(b, g->s), number(g, 1)));
		break;
	case 8:
		winner(g);
		break;
	case 9:
		if (depth < 2) {
			open_if(b, cmp(b, IR_LT, number(g, 1), number(g, 1)));
			statements(g, 1, depth + 1);
			g->has_t = had_t;
			b->block = around;
		}
		break;
	case 10:
		if (!g->inner)
			inner_loop(g, depth);
		break;
	case 11:
		set(b, chance(g, 50) ? g->last : g->c, chance(g, 70) ? number(g, 1) : plus(b, var(b, g->c), 1));
		break;
	}
}

static void statements(struct maker *g, unsigned count, unsigned depth)
{
	for (unsigned i = 0; i < count; i++)
		one_statement(g, depth);
}

static void bind_inside(struct maker *g)
{
	struct build *b = &g->b;
	if (chance(g, 20)) {
		struct ir_stmt *s = ir_append(&b->f, b->block, IR_ALLOC, 2);
		struct ir_expr *five = lit(b, 5);
		s->array = g->tmp;
		s->shape = arena_copy(&b->arena, &five, sizeof five);
		g->has_tmp = true;
	}
	if (chance(g, 20)) {
		struct ir_expr *offset = lit(b, 1), *shape = plus(b, ir_shape(&b->f, g->y, 0), -1);
		b->f.arrays[g->row].root = 2;
		view(b, g->row, g->y, &offset, &shape, (int[]){ 0 });
		g->has_row = true;
	} else if (chance(g, 25)) {
		struct ir_expr *offset[] = { var(b, g->i), lit(b, 0) }, *shape[] = { ir_shape(&b->f, g->z, 1) };
		view(b, g->row, g->z, offset, shape, (int[]){ 1 });
		g->has_row = true;
	}
}

static void make_program(struct maker *g, uint64_t seed)
{
	struct build *b = &g->b;
	memset(g, 0, sizeof *g);
	g->r = random_seed(seed);
	random_next(&g->r);
	build_init(b);
	static const char *const names[] = { "i", "j", "n", "s", "m", "k", "t", "c", "last" };
	uint32_t *locals[] = { &g->i, &g->j, &g->n, &g->s, &g->m, &g->k, &g->t, &g->c, &g->last };
	for (int v = 0; v < 9; v++)
		*locals[v] = new_param(b, false, new_local(b, DTYPE_I64, names[v]));
	bool unknown_root = chance(g, 5);
	g->x = new_param(b, true, new_array(b, 1, unknown_root ? 0 : 1, "x"));
	g->y = new_param(b, true, new_array(b, 1, 2, "y"));
	g->z = new_param(b, true, new_array(b, 2, 3, "z"));
	g->w = new_param(b, true, new_array(b, 1, unknown_root ? 0 : 1, "w"));
	g->idx = new_param(b, true, new_array(b, 1, 4, "idx"));
	g->tmp = new_array(b, 1, 5, "tmp");
	g->row = new_array(b, 1, 3, "");
	struct ir_expr *ends[] = { lit(b, pick(g, 0, 7)), var(b, g->n), ir_shape(&b->f, g->y, 0), plus(b, ir_shape(&b->f, g->x, 0), -pick(g, 0, 4)),
				   plus(b, var(b, g->n), pick(g, -3, 3)) };
	struct ir_expr *from = chance(g, 80) ? lit(b, pick(g, 0, 3)) : lit(b, pick(g, -4, 0)), *to = ends[random_below(&g->r, 5)];
	int64_t step = chance(g, 75) ? 1 : chance(g, 50) ? 2 : -1;
	if (chance(g, 10))
		from = var(b, g->n), to = plus(b, var(b, g->n), 4);
	if (step < 0)
		open_for(b, g->i, to, from, step, true);
	else
		open_for(b, g->i, from, to, step, true);
	bind_inside(g);
	statements(g, (unsigned)pick(g, 1, 3), 0);
	b->block = b->f.body;
	for (int v = 0; v < 9; v++)
		if (chance(g, 60))
			new_result(b, *locals[v]);
}

static void bind_arguments(struct maker *g, struct run *r, uint64_t seed, bool chunked)
{
	struct random q = random_seed(seed);
	memset(r, 0, sizeof *r);
	r->f = &g->b.f;
	r->chunked = chunked;
	r->random = random_seed(seed + 1);
	r->iteration = -1;
	for (int i = 0; i < 512; i++)
		r->memory[i] = (int64_t)random_below(&q, 21) - 10;
	int64_t lengths[] = { 6 + (int64_t)random_below(&q, 20), 4 + (int64_t)random_below(&q, 24) };
	r->array[g->x] = (struct cells){ r->memory, { lengths[0] }, { 1 } };
	r->array[g->y] = (struct cells){ r->memory + 64, { lengths[1] }, { 1 } };
	r->array[g->z] = (struct cells){ r->memory + 128, { 8 + (int64_t)random_below(&q, 4), 4 + (int64_t)random_below(&q, 8) }, { 12, 1 } };
	r->array[g->w] = (struct cells){ r->memory + random_below(&q, 4), { 20 }, { 1 } };
	r->array[g->idx] = (struct cells){ r->memory + 320, { 16 }, { 1 } };
	for (int i = 0; i < 16; i++)
		r->memory[320 + i] = (int64_t)random_below(&q, 8);
	for (int i = 0; i < 9; i++)
		r->local[i] = (int64_t)random_below(&q, 8);
	r->fresh = 512;
}

struct tally {
	uint64_t programs, wanted, parallel, scans, ran, axes, proved, guarded;
};

/* 0, or the seed of the program again. */
static uint64_t check_program(uint64_t seed, struct tally *tally)
{
	static struct maker g;
	static struct run serial, chunked;
	make_program(&g, seed);
	struct analysis_options o = { .parallel = true };
	struct analysis *a;
	struct error e;
	bool good = analyse(&g.b.f, &o, &a, &e) == STATUS_OK;
	uint32_t nlocals = g.b.f.nlocals;
	good = good && nlocals < MOST_LOCALS && ir_verify(&g.b.f, &e) == STATUS_OK;
	tally->programs++;
	for (uint32_t i = 0; good && i < a->nloops; i++) {
		tally->wanted += a->loops[i].wanted && !a->loops[i].nested;
		tally->scans += a->loops[i].verdict == VERDICT_SCAN;
		tally->axes += a->loops[i].bounds.total;
		tally->proved += a->loops[i].bounds.proved;
		tally->guarded += a->loops[i].bounds.guarded;
	}
	if (good)
		tally->parallel += a->nparallel;
	for (uint64_t k = 0; k < 6 && good; k++) {
		bind_arguments(&g, &serial, seed * 8 + k, false);
		bind_arguments(&g, &chunked, seed * 8 + k, true);
		run_block(&serial, g.b.f.body);
		good = !serial.unsound;
		if (!good || serial.failed)
			continue;
		tally->ran++;
		run_block(&chunked, g.b.f.body);
		good = !chunked.failed && !chunked.unsound && !memcmp(serial.memory, chunked.memory, 512 * sizeof(int64_t));
		for (uint32_t i = 0; i < g.b.f.nresults; i++)
			good &= serial.local[g.b.f.results[i].id] == chunked.local[g.b.f.results[i].id];
	}
	arena_free(&g.b.arena);
	return good ? 0 : seed;
}

static void test_random_programs(void)
{
	const char *text = getenv("ANALYSIS_PROGRAMS"), *from = getenv("ANALYSIS_SEED");
	uint64_t count = text ? strtoull(text, NULL, 10) : 5000, first = from ? strtoull(from, NULL, 10) : 1, failed = 0;
	struct tally t = { 0 };
	for (uint64_t i = 0; i < count && !failed; i++)
		failed = check_program(first + i, &t);
	if (failed)
		printf("\n  seed %llu is wrong\n", (unsigned long long)failed);
	CU_ASSERT_EQUAL(failed, 0);
	CU_ASSERT(t.parallel * 10 > t.wanted);
	if (text)
		printf("\n  %llu programs: %llu of %llu loops parallel, %llu scans; %llu runs; indices: %llu, proved %llu, guarded %llu\n",
		       (unsigned long long)t.programs, (unsigned long long)t.parallel, (unsigned long long)t.wanted, (unsigned long long)t.scans,
		       (unsigned long long)t.ran, (unsigned long long)t.axes, (unsigned long long)t.proved, (unsigned long long)t.guarded);
}

/* --- known programs: `for i in prange(from, n)` over x, y, h, idx of length n and the matrix z --- */

struct known {
	struct build b;
	uint32_t x, y, h, idx, z, out;
	uint32_t i, j, n, s, m, k, t, c, a;
	struct ir_stmt *loop;
};

static void known_begin(struct known *p, int64_t from, int64_t shorter)
{
	struct build *b = &p->b;
	build_init(b);
	uint32_t *locals[] = { &p->i, &p->j, &p->n, &p->s, &p->m, &p->k, &p->t, &p->c, &p->a }, *arrays[] = { &p->x, &p->y, &p->h, &p->idx, &p->out };
	static const char *const names[] = { "i", "j", "n", "s", "m", "k", "t", "c", "a" }, *const array_names[] = { "x", "y", "h", "idx", "out" };
	for (int v = 0; v < 9; v++)
		*locals[v] = new_param(b, false, new_local(b, DTYPE_I64, names[v]));
	for (unsigned v = 0; v < 5; v++)
		*arrays[v] = new_param(b, true, new_array(b, 1, v + 1, array_names[v]));
	p->z = new_param(b, true, new_array(b, 2, 9, "z"));
	set(b, p->n, ir_shape(&b->f, p->x, 0));
	p->loop = open_for(b, p->i, lit(b, from), plus(b, var(b, p->n), -shorter), 1, true);
}

static struct ir_expr *xi(struct known *p, int64_t by) { return at1(&p->b, p->x, by ? plus(&p->b, var(&p->b, p->i), by) : var(&p->b, p->i)); }
static struct ir_expr *yi(struct known *p, int64_t by) { return at1(&p->b, p->y, by ? plus(&p->b, var(&p->b, p->i), by) : var(&p->b, p->i)); }
static struct ir_expr *outi(struct known *p) { return at1(&p->b, p->out, var(&p->b, p->i)); }

static void add_to(struct known *p, uint32_t local, struct ir_expr *e)
{
	set(&p->b, local, op(&p->b, IR_ADD, var(&p->b, local), e));
}

static void update(struct known *p, struct ir_expr *place, struct ir_expr *e)
{
	store(&p->b, place, op(&p->b, IR_ADD, ir_clone(&p->b.f, place), e));
}

static void cumsum_in_place(struct known *p) { store(&p->b, xi(p, 0), op(&p->b, IR_ADD, xi(p, 0), xi(p, -1))); }
static void recurrence(struct known *p)
{
	store(&p->b, yi(p, 0), op(&p->b, IR_ADD, op(&p->b, IR_MUL, var(&p->b, p->a), yi(p, -1)), xi(p, 0)));
}
static void remainder_update(struct known *p) { update(p, at1(&p->b, p->h, op(&p->b, IR_MOD, var(&p->b, p->i), lit(&p->b, 4))), xi(p, 0)); }
static void histogram(struct known *p) { update(p, at1(&p->b, p->h, at1(&p->b, p->idx, var(&p->b, p->i))), lit(&p->b, 1)); }
static void greatest(struct known *p)
{
	open_if(&p->b, cmp(&p->b, IR_GT, xi(p, 0), var(&p->b, p->m)));
	set(&p->b, p->m, xi(p, 0));
}
static void argmax(struct known *p)
{
	greatest(p);
	set(&p->b, p->k, var(&p->b, p->i));
}
static void winner_is_read(struct known *p)
{
	struct ir_block *body = p->b.block;
	argmax(p);
	p->b.block = body;
	store(&p->b, outi(p), var(&p->b, p->k));
}
static void induction(struct known *p)
{
	store(&p->b, outi(p), var(&p->b, p->c));
	add_to(p, p->c, lit(&p->b, 1));
}
static void running_sum(struct known *p)
{
	add_to(p, p->c, xi(p, 0));
	store(&p->b, outi(p), var(&p->b, p->c));
}
static void ema_with_reset(struct known *p)
{
	struct build *b = &p->b;
	struct ir_block *body = b->block;
	set(b, p->s, op(b, IR_ADD, op(b, IR_MUL, var(b, p->a), var(b, p->s)), xi(p, 0)));
	open_if(b, cmp(b, IR_GT, yi(p, 0), lit(b, 0)));
	set(b, p->s, lit(b, 0));
	b->block = body;
	store(b, outi(p), var(b, p->s));
}
static void integrate_and_fire(struct known *p)
{
	struct build *b = &p->b;
	add_to(p, p->s, xi(p, 0));
	open_if(b, cmp(b, IR_GT, var(b, p->s), lit(b, 10)));
	set(b, p->s, lit(b, 0));
	add_to(p, p->c, lit(b, 1));
}
static void running_maximum(struct known *p)
{
	set(&p->b, p->m, op(&p->b, IR_MAXIMUM, var(&p->b, p->m), xi(p, 0)));
	store(&p->b, outi(p), var(&p->b, p->m));
}
static void sum(struct known *p) { add_to(p, p->s, op(&p->b, IR_MUL, xi(p, 0), xi(p, 0))); }
static void counter(struct known *p)
{
	open_if(&p->b, cmp(&p->b, IR_GT, xi(p, 0), lit(&p->b, 3)));
	add_to(p, p->c, lit(&p->b, 1));
}
static void private_scalar(struct known *p)
{
	set(&p->b, p->t, op(&p->b, IR_MUL, xi(p, 0), lit(&p->b, 2)));
	store(&p->b, outi(p), var(&p->b, p->t));
}
static void maybe_old(struct known *p)
{
	struct ir_block *body = p->b.block;
	open_if(&p->b, cmp(&p->b, IR_GT, xi(p, 0), lit(&p->b, 3)));
	set(&p->b, p->t, xi(p, 0));
	p->b.block = body;
	store(&p->b, outi(p), var(&p->b, p->t));
}
static void stencil(struct known *p)
{
	struct ir_expr *two = op(&p->b, IR_ADD, xi(p, -1), xi(p, 0));
	store(&p->b, outi(p), op(&p->b, IR_ADD, two, xi(p, 1)));
}
static void reversal(struct known *p)
{
	struct build *b = &p->b;
	store(b, xi(p, 0), at1(b, p->x, op(b, IR_SUB, plus(b, var(b, p->n), -1), var(b, p->i))));
}
static void odd_and_even(struct known *p)
{
	struct build *b = &p->b;
	struct ir_expr *twice = op(b, IR_MUL, lit(b, 2), var(b, p->i));
	store(b, at1(b, p->x, twice), at1(b, p->x, plus(b, ir_clone(&b->f, twice), 1)));
}
static void far_half(struct known *p)
{
	store(&p->b, yi(p, 0), at1(&p->b, p->y, op(&p->b, IR_ADD, var(&p->b, p->i), var(&p->b, p->n))));
}
static void one_element(struct known *p) { store(&p->b, xi(p, 0), at1(&p->b, p->x, lit(&p->b, 3))); }
static void wraps(struct known *p) { store(&p->b, xi(p, 0), at1(&p->b, p->x, plus(&p->b, var(&p->b, p->i), -1))); }
static void row_of_zeros(struct known *p)
{
	open_for(&p->b, p->j, lit(&p->b, 0), ir_shape(&p->b.f, p->z, 1), 1, true);
	store(&p->b, at2(&p->b, p->z, var(&p->b, p->i), var(&p->b, p->j)), lit(&p->b, 0));
}
static void rows_before(struct known *p)
{
	struct build *b = &p->b;
	open_for(b, p->j, lit(b, 0), ir_shape(&b->f, p->z, 1), 1, true);
	store(b, at2(b, p->z, var(b, p->i), var(b, p->j)), at2(b, p->z, plus(b, var(b, p->i), -1), var(b, p->j)));
}
static void blocks(struct known *p)
{
	struct build *b = &p->b;
	struct ir_expr *from = op(b, IR_MUL, var(b, p->i), lit(b, 8));
	open_for(b, p->j, from, op(b, IR_MINIMUM, plus(b, ir_clone(&b->f, from), 8), ir_shape(&b->f, p->y, 0)), 1, false);
	store(b, at1(b, p->y, var(b, p->j)), lit(b, 1));
}
static void early_end(struct known *p)
{
	open_if(&p->b, cmp(&p->b, IR_GT, xi(p, 0), lit(&p->b, 3)));
	ir_append(&p->b.f, p->b.block, IR_BREAK, 4);
}
static void one_array(struct known *p)
{
	p->b.f.arrays[p->y].root = p->b.f.arrays[p->x].root;
	store(&p->b, yi(p, 0), xi(p, 0));
}
static void scatter(struct known *p) { store(&p->b, at1(&p->b, p->h, at1(&p->b, p->idx, var(&p->b, p->i))), xi(p, 0)); }

static const struct known_case {
	const char *name;
	void (*body)(struct known *p);
	int64_t from, shorter;
	enum verdict verdict;
	const char *mention;     /* somewhere in the report */
} known_cases[] = {
	{ "x[i] = x[i] + x[i-1]", cumsum_in_place, 1, 0, VERDICT_SCAN, "cumulative sum" },
	{ "y[i] = a*y[i-1] + x[i]", recurrence, 1, 0, VERDICT_SCAN, "first-order linear recurrence" },
	{ "h[i % 4] += x[i]", remainder_update, 0, 0, VERDICT_SERIAL, "update the same element" },
	{ "h[idx[i]] += 1", histogram, 0, 0, VERDICT_SERIAL, "h[idx[i]]" },
	{ "if x[i] > m: m = x[i]", greatest, 0, 0, VERDICT_REDUCTION, "greatest m" },
	{ "argmax", argmax, 0, 0, VERDICT_REDUCTION, "greatest m with k" },
	{ "argmax that is read", winner_is_read, 0, 0, VERDICT_SERIAL, "carried" },
	{ "out[i] = c; c += 1", induction, 0, 0, VERDICT_SERIAL, "induction" },
	{ "c += x[i]; out[i] = c", running_sum, 0, 0, VERDICT_SCAN, "cumulative sum" },
	{ "EMA with reset", ema_with_reset, 0, 0, VERDICT_SCAN, "first-order linear recurrence" },
	{ "integrate and fire", integrate_and_fire, 0, 0, VERDICT_SERIAL, "carried" },
	{ "running maximum", running_maximum, 0, 0, VERDICT_SCAN, "cumulative maximum" },
	{ "sum of squares", sum, 0, 0, VERDICT_REDUCTION, "sum of s" },
	{ "conditional counter", counter, 0, 0, VERDICT_REDUCTION, "sum of c" },
	{ "private scalar", private_scalar, 0, 0, VERDICT_PRIVATISED, "private: t" },
	{ "scalar that may be old", maybe_old, 0, 0, VERDICT_SERIAL, "t is carried" },
	{ "stencil", stencil, 1, 1, VERDICT_PARALLEL, "guarded" },
	{ "x[i] = x[n-1-i]", reversal, 0, 0, VERDICT_SERIAL, "weak-crossing SIV" },
	{ "x[2*i] = x[2*i+1]", odd_and_even, 0, 0, VERDICT_PARALLEL, "" },
	{ "y[i] = y[i+n]", far_half, 0, 0, VERDICT_PARALLEL, "" },
	{ "x[i] = x[3]", one_element, 0, 0, VERDICT_SERIAL, "weak-zero SIV" },
	{ "x[i] = x[i-1] from 0", wraps, 0, 0, VERDICT_SERIAL, "negative" },
	{ "z[i, j] = 0", row_of_zeros, 0, 0, VERDICT_PARALLEL, "" },
	{ "z[i, j] = z[i-1, j]", rows_before, 1, 0, VERDICT_SCAN, "strong SIV, distance 1" },
	{ "blocks of 8", blocks, 0, 0, VERDICT_PARALLEL, "" },
	{ "break", early_end, 0, 0, VERDICT_SERIAL, "end early" },
	{ "arguments that overlap", one_array, 0, 0, VERDICT_SERIAL, "share memory" },
	{ "h[idx[i]] = x[i]", scatter, 0, 0, VERDICT_SERIAL, "assume_independent" },
};

static bool known_case_holds(const struct known_case *k)
{
	struct known p;
	struct error e = { .message = "" };
	struct analysis *a = NULL;
	known_begin(&p, k->from, k->shorter);
	k->body(&p);
	bool good = analyse(&p.b.f, &(struct analysis_options){ .parallel = true }, &a, &e) == STATUS_OK && ir_verify(&p.b.f, &e) == STATUS_OK;
	char *text = good ? analysis_text(a, 4) : NULL;
	enum verdict got = good ? a->loops[0].verdict : VERDICT_REFUSED;
	good = good && got == k->verdict && p.loop->loop->parallel == (got <= VERDICT_PRIVATISED) && strstr(text, k->mention);
	/* A wanted loop inside one that must run in order gets its chance. */
	if (good && k->body == rows_before)
		good = a->nloops == 2 && a->loops[1].verdict == VERDICT_PARALLEL;
	if (!good)
		printf("\n  %s: %s\n%s", k->name, e.message, text ? text : "");
	free(text);
	arena_free(&p.b.arena);
	return good;
}

static void test_known_programs(void)
{
	for (size_t i = 0; i < sizeof known_cases / sizeof *known_cases; i++)
		CU_ASSERT(known_case_holds(&known_cases[i]));
}

static void test_options(void)
{
	struct known p;
	struct error e;
	struct analysis *a;
	known_begin(&p, 1, 0);
	recurrence(&p);
	CU_ASSERT_EQUAL(analyse(&p.b.f, &(struct analysis_options){ .parallel = true, .strict = true }, &a, &e), STATUS_UNSUPPORTED);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "y[i - 1]"));
	arena_free(&p.b.arena);
	known_begin(&p, 0, 0);
	scatter(&p);
	CU_ASSERT_EQUAL(analyse(&p.b.f, &(struct analysis_options){ .parallel = true, .assume_independent = true }, &a, &e), STATUS_OK);
	CU_ASSERT(a->loops[0].verdict == VERDICT_PARALLEL && a->loops[0].assumed);
	arena_free(&p.b.arena);
	known_begin(&p, 1, 0);
	cumsum_in_place(&p);
	CU_ASSERT_EQUAL(analyse(&p.b.f, &(struct analysis_options){ .parallel = true, .assume_independent = true }, &a, &e), STATUS_OK);
	CU_ASSERT_EQUAL(a->nparallel, 0);
	arena_free(&p.b.arena);
	known_begin(&p, 0, 0);
	sum(&p);
	CU_ASSERT_EQUAL(analyse(&p.b.f, &(struct analysis_options){ 0 }, &a, &e), STATUS_OK);
	CU_ASSERT_EQUAL(a->nparallel, 0);
	CU_ASSERT_EQUAL(a->loops[0].bounds.proved, 2); /* x[i] for i < len(x) */
	arena_free(&p.b.arena);
}

CU_ErrorCode test_analysis_register(void)
{
	CU_pSuite suite = CU_add_suite("analysis", NULL, NULL);
	if (!suite || !CU_add_test(suite, "known programs", test_known_programs) || !CU_add_test(suite, "options", test_options) ||
	    !CU_add_test(suite, "random programs against enumeration", test_random_programs))
		return CU_get_error();
	return CUE_SUCCESS;
}
