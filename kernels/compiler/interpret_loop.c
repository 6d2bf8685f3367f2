/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Loops, in order or in chunks. Iterations are counted, so that no bound or step overflows: the variable is start + k * step, wrapped.
 */
#include "kernels/compiler/interpret_private.h"

#include <stdlib.h>
#include <string.h>

struct range {
	uint64_t start, step, trips;
};

static bool eval_range(struct machine *m, const struct ir_stmt *s, struct range *r)
{
	int64_t from, to, step = 1;
	if (!machine_int(m, s->a, &from) || !machine_int(m, s->b, &to) || (s->c && !machine_int(m, s->c, &step)))
		return false;
	uint64_t distance = step > 0 ? (uint64_t)to - (uint64_t)from : (uint64_t)from - (uint64_t)to;
	uint64_t size = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
	bool any = step > 0 ? from < to : step < 0 && from > to;
	*r = (struct range){ (uint64_t)from, (uint64_t)step, any ? (distance - 1) / size + 1 : 0 };
	return true;
}

static void set_variable(struct machine *m, const struct ir_stmt *s, const struct range *r, uint64_t k)
{
	union kernel_scalar v = { .u = r->start + k * r->step };
	machine_set(m, s->local, &v);
}

/* One iteration's body; CONTINUE is its end. */
static enum flow iterate(struct machine *m, const struct ir_stmt *s)
{
	void *mark = s->loop->releases ? kernel_mark(m->ctx) : NULL;
	enum flow flow = machine_block(m, s->body);
	if (flow != FLOW_NEXT && flow != FLOW_CONTINUE)
		return flow;
	if (s->loop->releases)
		kernel_release(m->ctx, mark);
	return kernel_poll(m->ctx) ? FLOW_FAILED : FLOW_NEXT;
}

static enum flow run_trips(struct machine *m, const struct ir_stmt *s, const struct range *r, uint64_t lo, uint64_t hi)
{
	for (uint64_t k = lo; k < hi; k++) {
		set_variable(m, s, r, k);
		enum flow flow = iterate(m, s);
		if (flow != FLOW_NEXT)
			return flow == FLOW_BREAK ? FLOW_NEXT : flow;
	}
	return FLOW_NEXT;
}

enum flow machine_forever(struct machine *m, const struct ir_stmt *s)
{
	enum flow flow;
	while ((flow = iterate(m, s)) == FLOW_NEXT)
		;
	return flow == FLOW_BREAK ? FLOW_NEXT : flow;
}

/* --- chunks --- */

struct parallel {
	const struct machine *outer;
	const struct ir_stmt *s;
	struct range range;
	union kernel_scalar *finals; /* with reductions: the locals at the end of each chunk */
	bool *changed;               /* and which of them it has set */
};

static void start_reduction(struct machine *m, const struct ir_reduction *r)
{
	enum dtype d = m->f->locals[r->local].dtype;
	if (r->kind == IR_REDUCE_SUM || r->kind == IR_REDUCE_OR || r->kind == IR_REDUCE_XOR)
		m->locals[r->local] = machine_number(d, 0);
	else if (r->kind == IR_REDUCE_PROD)
		m->locals[r->local] = machine_number(d, 1);
	else if (r->kind == IR_REDUCE_AND)
		m->locals[r->local] = machine_number(d, -1);
	else if (r->kind == IR_REDUCE_LAST && r->written != IR_NONE)
		m->locals[r->written].u = 0;
}

static void start_chunk(struct machine *m, const struct parallel *p)
{
	const struct ir_loop *loop = p->s->loop;
	memcpy(m->locals, p->outer->locals, m->f->nlocals * sizeof *m->locals);
	memcpy(m->arrays, p->outer->arrays, m->f->narrays * sizeof *m->arrays);
	for (uint32_t i = 0; i < loop->nreductions; i++)
		start_reduction(m, &loop->reductions[i]);
}

static int run_chunk(struct kernel_context *ctx, void *frame, int64_t lo, int64_t hi, int64_t k)
{
	const struct parallel *p = frame;
	struct machine m;
	uint32_t n = p->outer->f->nlocals;
	enum flow flow = FLOW_FAILED;
	if (machine_init(&m, p->outer->f, ctx)) {
		start_chunk(&m, p);
		if (p->finals)
			m.changed = p->changed + (size_t)k * n;
		flow = run_trips(&m, p->s, &p->range, (uint64_t)lo, (uint64_t)hi);
		if (p->finals)
			memcpy(p->finals + (size_t)k * n, m.locals, n * sizeof *m.locals);
	}
	machine_free(&m);
	return flow == FLOW_FAILED;
}

static void take(struct machine *m, const union kernel_scalar *final, const struct ir_reduction *r)
{
	m->locals[r->local] = final[r->local];
	for (uint32_t i = 0; i < r->nfollow; i++)
		m->locals[r->follow[i]] = final[r->follow[i]];
}

/* A chunk that never set the local has nothing to say: of equal values its incoming one must not win. */
static void join(struct machine *m, const struct ir_reduction *r, const union kernel_scalar *final, const bool *changed)
{
	static const enum ir_op joins[] = {
		[IR_REDUCE_SUM] = IR_ADD, [IR_REDUCE_PROD] = IR_MUL, [IR_REDUCE_MIN] = IR_MINIMUM, [IR_REDUCE_MAX] = IR_MAXIMUM,
		[IR_REDUCE_AND] = IR_BITAND, [IR_REDUCE_OR] = IR_BITOR, [IR_REDUCE_XOR] = IR_BITXOR, [IR_REDUCE_LESS] = IR_LT,
		[IR_REDUCE_GREATER] = IR_GT, [IR_REDUCE_LESS_EQUAL] = IR_LE, [IR_REDUCE_GREATER_EQUAL] = IR_GE,
	};
	enum dtype d = m->f->locals[r->local].dtype;
	if (r->kind == IR_REDUCE_LAST) {
		if (r->written == IR_NONE || final[r->written].u)
			take(m, final, r);
	} else if (r->kind >= IR_REDUCE_LESS) {
		if (changed[r->local] && machine_combine(joins[r->kind], d, &final[r->local], &m->locals[r->local]).u)
			take(m, final, r);
	} else {
		m->locals[r->local] = machine_combine(joins[r->kind], d, &m->locals[r->local], &final[r->local]);
	}
}

static enum flow run_chunks(struct machine *m, const struct ir_stmt *s, const struct range *range)
{
	const struct ir_loop *loop = s->loop;
	int64_t trips = (int64_t)range->trips, length = loop->light && !loop->nreductions ? 0 : kernel_chunk_length(trips, loop->light);
	struct parallel p = { .outer = m, .s = s, .range = *range };
	size_t nchunks = length ? (size_t)(trips / length + (trips % length != 0)) : 0, n = m->f->nlocals;
	if (loop->nreductions) {
		p.finals = calloc(nchunks * n, sizeof *p.finals);
		p.changed = calloc(nchunks * n, sizeof *p.changed);
	}
	bool ok = !loop->nreductions || (p.finals && p.changed) || machine_fail(m, KERNEL_MEMORY, s->line, IR_NONE, (int64_t)m->ctx->call->memory_limit, 0);
	ok = ok && kernel_parallel(m->ctx, run_chunk, &p, trips, length) == 0;
	for (size_t k = 0; ok && loop->nreductions && k < nchunks; k++)
		for (uint32_t i = 0; i < loop->nreductions; i++)
			join(m, &loop->reductions[i], p.finals + k * n, p.changed + k * n);
	free(p.finals);
	free(p.changed);
	if (ok)
		set_variable(m, s, range, range->trips - 1);
	return ok ? FLOW_NEXT : FLOW_FAILED;
}

enum flow machine_for(struct machine *m, const struct ir_stmt *s)
{
	struct range range;
	if (!eval_range(m, s, &range))
		return FLOW_FAILED;
	if (s->loop->parallel && range.trips > 0 && range.trips <= INT64_MAX)
		return run_chunks(m, s, &range);
	return run_trips(m, s, &range, 0, range.trips);
}
