/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The analysis of loops: verdicts on known programs, and an oracle on random ones. The oracle runs the IR in order and in chunks of iterations that are
 * done backwards, each with scalars of its own full of rubbish, joined as struct ir_reduction says. What is marked must hold: no element is met
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

static void join(struct run *r, const struct ir_reduction *d, const int64_t *chunk, const int64_t *before)
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
	bool changed = chunk[MOST_LOCALS - 1]; /* a chunk that never set it must not win a tie */
	(void)before;
	if (!wins(d->kind, chunk[d->local], *m) || (ties && !changed))
		return;
	*m = chunk[d->local];
	for (uint32_t k = 0; k < d->nfollow; k++)
		r->local[d->follow[k]] = chunk[d->follow[k]];
}

static void start_chunk(struct run *r, const struct ir_loop *loop, const bool *captured)
{
	static const int64_t starts[] = { 0, 1, 0, 0, -1, 0, 0 };
	for (uint32_t v = 0; v < MOST_LOCALS - 1; v++)
		if (!captured[v])
			r->local[v] = (int64_t)(random_next(&r->random) % 5);
	r->local[MOST_LOCALS - 1] = 0;
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
			int64_t old[MOST_LOCALS];
			memcpy(old, r->local, sizeof old);
			r->local[s->local] = from + t * step;
			run_block(r, s->body);
			for (uint32_t i = 0; i < s->loop->nreductions; i++)
				if (s->loop->reductions[i].kind >= IR_REDUCE_LESS && s->loop->reductions[i].kind <= IR_REDUCE_GREATER_EQUAL)
					r->local[MOST_LOCALS - 1] |= old[s->loop->reductions[i].local] != r->local[s->loop->reductions[i].local];
		}
		memcpy(chunks[k], r->local, sizeof before);
	}
	memcpy(r->local, before, sizeof before);
	memcpy(r->array, arrays, sizeof arrays);
	for (uint32_t v = 0; v < MOST_LOCALS - 1; v++)
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
			join(r, &s->loop->reductions[i], chunks[k], before);
	free(chunks);
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
		a->data += s->offset[k] ? eval(r, s->offset[k]) * from.stride[k] : 0;
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
			r->local[s->local] = v;
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
