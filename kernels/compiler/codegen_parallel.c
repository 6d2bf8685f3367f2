/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Parallel loops. The body becomes a function of its own, called for one chunk of the iterations at a time:
 *	int chunk(ctx, frame, lo, hi, k)
 * The frame stands on the entry's stack:
 *	0    start and step of the loop variable
 *	16   pointer to the columns
 *	32   the slots that the body uses, as the entry has them (struct kernel_layout in runtime.h says where the arrays are)
 * Columns have KERNEL_MAX_CHUNKS scalars: what chunk k made of each reduction local and of what goes with it.
 * Each chunk has its own copy of every local. After the loop the entry joins the columns in the order of the chunks.
 */
#include "kernels/compiler/codegen_private.h"
#include "kernels/compiler/types.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { FRAME_START = 0, FRAME_STEP = 8, FRAME_COLUMNS = 16, FRAME_SLOTS = 32, SCALAR = sizeof(union kernel_scalar), COLUMN = KERNEL_MAX_CHUNKS * SCALAR };

const struct ir_reduction *cg_reduction_of(const struct ir_loop *loop, uint32_t local, uint32_t *at)
{
	for (uint32_t i = 0; loop && i < loop->nreductions; i++)
		if (loop->reductions[i].local == local) {
			if (at)
				*at = i;
			return &loop->reductions[i];
		}
	return NULL;
}

static enum dtype dtype_of(const struct codegen *cg, uint32_t local)
{
	return cg->f->locals[local].dtype;
}

bool cg_is_free_sum(const struct codegen *cg, const struct ir_reduction *reduction)
{
	enum scalar_class class = cg_class_of(dtype_of(cg, reduction->local));
	return (reduction->kind == IR_REDUCE_SUM || reduction->kind == IR_REDUCE_PROD) && (class == CLASS_REAL || class == CLASS_COMPLEX);
}

/* What each kind starts with in a chunk (unless with what came in), how chunks are joined, and how a winner is told. */
static const struct reduction_rule {
	bool own_start;
	int start;
	enum ir_op join, wins;
	bool has_winner, ties;
} rules[] = {
	[IR_REDUCE_SUM] = { true, 0, .join = IR_ADD },
	[IR_REDUCE_PROD] = { true, 1, .join = IR_MUL },
	[IR_REDUCE_MIN] = { .join = IR_MINIMUM },
	[IR_REDUCE_MAX] = { .join = IR_MAXIMUM },
	[IR_REDUCE_AND] = { true, -1, .join = IR_BITAND },
	[IR_REDUCE_OR] = { true, 0, .join = IR_BITOR },
	[IR_REDUCE_XOR] = { true, 0, .join = IR_BITXOR },
	[IR_REDUCE_LESS] = { .wins = IR_LT, .has_winner = true },
	[IR_REDUCE_GREATER] = { .wins = IR_GT, .has_winner = true },
	[IR_REDUCE_LESS_EQUAL] = { .wins = IR_LE, .has_winner = true, .ties = true },
	[IR_REDUCE_GREATER_EQUAL] = { .wins = IR_GE, .has_winner = true, .ties = true },
	[IR_REDUCE_LAST] = { .has_winner = false },
};

static struct value identity(struct codegen *cg, const struct ir_reduction *reduction)
{
	enum dtype d = dtype_of(cg, reduction->local);
	struct value v = cg_zero_value(cg, d);
	int start = rules[reduction->kind].start;
	enum scalar_class class = cg_class_of(d);
	v.re = class == CLASS_REAL || class == CLASS_COMPLEX ? LLVMConstReal(cg->component[d], start) : cg_int_const(cg->component[d], start);
	return v;
}

/* --- float minima and maxima --- */

/* The operand that local = MINIMUM(local, operand), either way round, brings; NULL if the statement is not of that form. */
static const struct ir_expr *brought(const struct ir_stmt *s, const struct ir_reduction *reduction)
{
	const struct ir_expr *e = s->a;
	if (e->kind != IR_OPERATE || e->op != rules[reduction->kind].join)
		return NULL;
	bool left = e->a->kind == IR_LOCAL && e->a->local == reduction->local, right = e->b->kind == IR_LOCAL && e->b->local == reduction->local;
	return left == right ? NULL : left ? e->b : e->a;
}

static bool all_bring(const struct ir_block *block, const struct ir_reduction *reduction)
{
	for (uint32_t i = 0; block && i < block->count; i++) {
		const struct ir_stmt *s = block->items[i];
		if (s->kind == IR_SET && s->local == reduction->local && !brought(s, reduction))
			return false;
		if (!all_bring(s->body, reduction) || !all_bring(s->orelse, reduction))
			return false;
	}
	return true;
}

static LLVMTypeRef key_type(struct codegen *cg, const struct ir_reduction *reduction)
{
	return dtype_of(cg, reduction->local) == DTYPE_F32 ? cg->i32 : cg->i64;
}

/* The bits of a float are ordered as its value once those of negative ones, but for the sign, are turned round; this is its own inverse. */
static LLVMValueRef turn_round(struct codegen *cg, LLVMValueRef bits)
{
	LLVMTypeRef type = LLVMTypeOf(bits);
	unsigned width = LLVMGetIntTypeWidth(type);
	LLVMValueRef negative = LLVMBuildAShr(cg->b, bits, cg_int_const(type, width - 1), "");
	return LLVMBuildXor(cg->b, bits, LLVMBuildLShr(cg->b, negative, cg_int_const(type, 1), ""), "");
}

/* NaN wins. */
static LLVMValueRef nan_key(struct codegen *cg, const struct ir_reduction *reduction)
{
	bool wide = key_type(cg, reduction) == cg->i64;
	if (reduction->kind == IR_REDUCE_MAX)
		return cg_int_const(key_type(cg, reduction), wide ? INT64_MAX : INT32_MAX);
	return cg_int_const(key_type(cg, reduction), wide ? INT64_MIN : INT32_MIN);
}

static LLVMValueRef key_of(struct codegen *cg, const struct ir_reduction *reduction, LLVMValueRef v)
{
	LLVMValueRef key = turn_round(cg, LLVMBuildBitCast(cg->b, v, key_type(cg, reduction), ""));
	return cg_select_value(cg, LLVMBuildFCmp(cg->b, LLVMRealUNO, v, v, ""), nan_key(cg, reduction), key);
}

static LLVMValueRef value_of_key(struct codegen *cg, const struct ir_reduction *reduction, LLVMValueRef variable)
{
	LLVMTypeRef type = cg->component[dtype_of(cg, reduction->local)];
	LLVMValueRef key = LLVMBuildLoad2(cg->b, key_type(cg, reduction), variable, "");
	LLVMValueRef nan = LLVMBuildICmp(cg->b, LLVMIntEQ, key, nan_key(cg, reduction), "");
	return cg_select_value(cg, nan, LLVMConstReal(type, NAN), LLVMBuildBitCast(cg->b, turn_round(cg, key), type, ""));
}

bool cg_update_key(struct codegen *cg, const struct ir_stmt *s)
{
	uint32_t at;
	const struct ir_reduction *reduction = cg_reduction_of(cg->r->reducing, s->local, &at);
	if (!reduction || !cg->r->state[at].key)
		return false;
	LLVMTypeRef type = key_type(cg, reduction);
	LLVMValueRef fresh = key_of(cg, reduction, cg_scalar(cg, brought(s, reduction)));
	LLVMValueRef args[] = { LLVMBuildLoad2(cg->b, type, cg->r->state[at].key, ""), fresh };
	const char *name = reduction->kind == IR_REDUCE_MAX ? "llvm.smax" : "llvm.smin";
	LLVMBuildStore(cg->b, cg_call_intrinsic(cg, name, type, args, 2), cg->r->state[at].key);
	return true;
}

static void start_key(struct codegen *cg, const struct ir_reduction *reduction, struct reduction_state *state, const struct ir_block *body)
{
	bool extreme = reduction->kind == IR_REDUCE_MIN || reduction->kind == IR_REDUCE_MAX;
	if (!extreme || cg_class_of(dtype_of(cg, reduction->local)) != CLASS_REAL || !all_bring(body, reduction))
		return;
	LLVMValueRef first = key_of(cg, reduction, cg_get_local(cg, reduction->local).re);
	state->key = cg_stack_variable(cg, key_type(cg, reduction));
	LLVMBuildStore(cg->b, first, state->key);
}

/* --- inside the chunk --- */

static void start_reductions(struct codegen *cg, const struct ir_loop *loop, const struct ir_block *body)
{
	for (uint32_t i = 0; i < loop->nreductions; i++) {
		const struct ir_reduction *reduction = &loop->reductions[i];
		struct reduction_state *state = &cg->r->state[i];
		enum dtype d = dtype_of(cg, reduction->local);
		start_key(cg, reduction, state, body);
		if (cg_is_free_sum(cg, reduction)) {
			struct value first = identity(cg, reduction);
			state->total.re = cg_stack_variable(cg, cg->component[d]);
			LLVMBuildStore(cg->b, first.re, state->total.re);
			if (first.im) {
				state->total.im = cg_stack_variable(cg, cg->component[d]);
				LLVMBuildStore(cg->b, first.im, state->total.im);
			}
		} else if (rules[reduction->kind].own_start) {
			cg_set_local(cg, reduction->local, identity(cg, reduction));
		}
		if (rules[reduction->kind].ties) {
			state->changed = cg_stack_variable(cg, cg->i1);
			LLVMBuildStore(cg->b, LLVMConstNull(cg->i1), state->changed);
		}
		if (reduction->kind == IR_REDUCE_LAST && reduction->written != IR_NONE)
			cg_set_local(cg, reduction->written, cg_zero_value(cg, DTYPE_BOOL));
	}
}

void cg_start_addends(struct codegen *cg, const struct ir_loop *loop)
{
	for (uint32_t i = 0; loop == cg->r->reducing && i < loop->nreductions; i++)
		if (cg->r->state[i].total.re)
			cg_set_local(cg, loop->reductions[i].local, identity(cg, &loop->reductions[i]));
}

static struct value read_total(struct codegen *cg, const struct ir_reduction *reduction, const struct value *total)
{
	LLVMTypeRef type = cg->component[dtype_of(cg, reduction->local)];
	return (struct value){ LLVMBuildLoad2(cg->b, type, total->re, ""), total->im ? LLVMBuildLoad2(cg->b, type, total->im, "") : NULL, true };
}

void cg_add_addends(struct codegen *cg, const struct ir_loop *loop)
{
	for (uint32_t i = 0; loop == cg->r->reducing && i < loop->nreductions; i++) {
		const struct ir_reduction *reduction = &loop->reductions[i];
		const struct value *total = &cg->r->state[i].total;
		if (!total->re)
			continue;
		struct value sum = cg_combine(cg, rules[reduction->kind].join, dtype_of(cg, reduction->local), read_total(cg, reduction, total),
					   cg_get_local(cg, reduction->local));
		LLVMBuildStore(cg->b, sum.re, total->re);
		if (total->im)
			LLVMBuildStore(cg->b, sum.im, total->im);
	}
}

/* --- columns --- */

/* Of a reduction: its local, the locals that follow, and whether the chunk set it. */
static uint64_t columns_of(const struct ir_reduction *reduction)
{
	return 2 + (uint64_t)reduction->nfollow;
}

static uint64_t all_columns(const struct ir_loop *loop)
{
	uint64_t n = 0;
	for (uint32_t i = 0; i < loop->nreductions; i++)
		n += columns_of(&loop->reductions[i]);
	return n;
}

static LLVMValueRef cell(struct codegen *cg, LLVMValueRef columns, uint64_t column, LLVMValueRef k)
{
	LLVMValueRef at = LLVMBuildMul(cg->b, k, cg_int_const(cg->i64, SCALAR), "");
	return LLVMBuildInBoundsGEP2(cg->b, cg->i8, cg_byte_at(cg, cg->b, columns, column * COLUMN), &at, 1, "");
}

static void store_columns(struct codegen *cg, const struct ir_loop *loop, LLVMValueRef k)
{
	uint64_t column = 0;
	for (uint32_t i = 0; i < loop->nreductions; i++) {
		const struct ir_reduction *reduction = &loop->reductions[i];
		const struct reduction_state *state = &cg->r->state[i];
		LLVMValueRef columns = cg->r->columns;
		struct value v = state->total.re ? read_total(cg, reduction, &state->total) : cg_get_local(cg, reduction->local);
		if (state->key)
			v.re = value_of_key(cg, reduction, state->key);
		cg_store_scalar(cg, cg->b, dtype_of(cg, reduction->local), cell(cg, columns, column, k), v);
		if (state->changed)
			v.re = LLVMBuildLoad2(cg->b, cg->i1, state->changed, "");
		else if (reduction->kind == IR_REDUCE_LAST && reduction->written != IR_NONE)
			v = cg_get_local(cg, reduction->written);
		else
			v.re = cg_int_const(cg->i1, 1);
		cg_store_scalar(cg, cg->b, DTYPE_BOOL, cell(cg, columns, column + 1, k), v);
		for (uint32_t j = 0; j < reduction->nfollow; j++)
			cg_store_scalar(cg, cg->b, dtype_of(cg, reduction->follow[j]), cell(cg, columns, column + 2 + j, k),
				     cg_get_local(cg, reduction->follow[j]));
		column += columns_of(reduction);
	}
}

static void replace_if(struct codegen *cg, LLVMValueRef test, uint32_t local, struct value with)
{
	struct value old = cg_get_local(cg, local);
	with.re = cg_select_value(cg, test, with.re, old.re);
	if (with.im)
		with.im = cg_select_value(cg, test, with.im, old.im);
	cg_set_local(cg, local, with);
}

static void join_chunk(struct codegen *cg, const struct ir_loop *loop, LLVMValueRef columns, LLVMValueRef k)
{
	uint64_t column = 0;
	for (uint32_t i = 0; i < loop->nreductions; column += columns_of(&loop->reductions[i]), i++) {
		const struct ir_reduction *reduction = &loop->reductions[i];
		const struct reduction_rule *rule = &rules[reduction->kind];
		enum dtype d = dtype_of(cg, reduction->local);
		struct value v = cg_load_scalar(cg, cg->b, d, cell(cg, columns, column, k)), now = cg_get_local(cg, reduction->local);
		if (!rule->has_winner && reduction->kind != IR_REDUCE_LAST) {
			cg_set_local(cg, reduction->local, cg_combine(cg, rule->join, d, now, v));
			continue;
		}
		LLVMValueRef wins = cg_load_scalar(cg, cg->b, DTYPE_BOOL, cell(cg, columns, column + 1, k)).re;
		if (rule->has_winner)
			wins = LLVMBuildAnd(cg->b, wins, cg_compare(cg, rule->wins, d, v, now), "");
		replace_if(cg, wins, reduction->local, v);
		for (uint32_t j = 0; j < reduction->nfollow; j++) {
			uint32_t follow = reduction->follow[j];
			replace_if(cg, wins, follow, cg_load_scalar(cg, cg->b, dtype_of(cg, follow), cell(cg, columns, column + 2 + j, k)));
		}
	}
}

/* --- the entry's side --- */

/* a / b, rounded up. */
static LLVMValueRef divide_up(struct codegen *cg, LLVMValueRef a, LLVMValueRef b)
{
	LLVMValueRef rest = LLVMBuildICmp(cg->b, LLVMIntNE, LLVMBuildURem(cg->b, a, b, ""), LLVMConstNull(cg->i64), "");
	return LLVMBuildAdd(cg->b, LLVMBuildUDiv(cg->b, a, b, ""), LLVMBuildZExtOrBitCast(cg->b, rest, cg->i64, ""), "");
}

/* kernel_chunk_length, or 0: the runtime may cut where it likes. */
static LLVMValueRef chunk_length(struct codegen *cg, const struct ir_loop *loop, LLVMValueRef trips)
{
	if (!loop->nreductions && loop->light)
		return LLVMConstNull(cg->i64);
	LLVMValueRef args[] = { divide_up(cg, trips, cg_int_const(cg->i64, KERNEL_MAX_CHUNKS)),
				cg_int_const(cg->i64, loop->light ? KERNEL_LIGHT_CHUNK : 1) };
	return cg_call_intrinsic(cg, "llvm.umax", cg->i64, args, 2);
}

static void join_chunks(struct codegen *cg, const struct ir_loop *loop, LLVMValueRef columns, LLVMValueRef trips, LLVMValueRef length)
{
	LLVMValueRef nchunks = divide_up(cg, trips, length), first = LLVMConstNull(cg->i64);
	LLVMBasicBlockRef before = LLVMGetInsertBlock(cg->b), head = cg_new_block(cg, "join");
	LLVMBasicBlockRef body = cg_new_block(cg, "chunk"), end = cg_new_block(cg, "joined");
	cg_continue_at(cg, head);
	LLVMValueRef k = LLVMBuildPhi(cg->b, cg->i64, "");
	LLVMAddIncoming(k, &first, &before, 1);
	cg_branch_if(cg, LLVMBuildICmp(cg->b, LLVMIntULT, k, nchunks, ""), body, end);
	LLVMPositionBuilderAtEnd(cg->b, body);
	join_chunk(cg, loop, columns, k);
	LLVMValueRef next = LLVMBuildNUWAdd(cg->b, k, cg_int_const(cg->i64, 1), "");
	LLVMBasicBlockRef from = LLVMGetInsertBlock(cg->b);
	LLVMAddIncoming(k, &next, &from, 1);
	LLVMBuildBr(cg->b, head);
	LLVMPositionBuilderAtEnd(cg->b, end);
}

/* A constant is as good in the chunk as in the entry; anything else comes by the frame. */
static LLVMValueRef bring(struct codegen *cg, LLVMValueRef v, uint64_t offset)
{
	return LLVMIsConstant(v) ? v : cg_load_at(cg, cg->r->head, cg->i64, cg->r->frame, offset);
}

static bool build_chunk(struct codegen *cg, struct routine *r, const struct ir_stmt *s, LLVMValueRef start, LLVMValueRef step)
{
	LLVMTypeRef types[] = { cg->pointer, cg->pointer, cg->i64, cg->i64, cg->i64 };
	char name[256];
	snprintf(name, sizeof name, "%.200s.chunk%u", cg->symbol, cg->nchunks++);
	if (!cg_routine_begin(cg, r, name, LLVMFunctionType(cg->i32, types, 5, 0)))
		return false;
	LLVMSetLinkage(r->function, LLVMInternalLinkage);
	r->frame = LLVMGetParam(r->function, 1);
	r->nframe = FRAME_SLOTS;
	r->columns = s->loop->nreductions ? cg_load_at(cg, r->head, cg->pointer, r->frame, FRAME_COLUMNS) : NULL;
	start_reductions(cg, s->loop, s->body);
	struct iterations it = { s, bring(cg, start, FRAME_START), bring(cg, step, FRAME_STEP), LLVMGetParam(r->function, 2),
				 LLVMGetParam(r->function, 3) };
	cg_iterations(cg, &it);
	if (r->columns)
		store_columns(cg, s->loop, LLVMGetParam(r->function, 4));
	cg_routine_end(cg);
	return true;
}

static void fill_frame(struct codegen *cg, const struct routine *chunk, LLVMValueRef frame, LLVMValueRef start, LLVMValueRef step)
{
	cg_store_at(cg, cg->b, start, frame, FRAME_START);
	cg_store_at(cg, cg->b, step, frame, FRAME_STEP);
	for (uint32_t i = 0; i < chunk->ncaptures; i++) {
		const struct capture *c = &chunk->captures[i];
		LLVMValueRef to = cg_byte_at(cg, cg->b, frame, c->offset);
		if (c->is_array)
			cg_write_descriptor(cg, c->id, to);
		else
			cg_store_scalar(cg, cg->b, dtype_of(cg, c->id), to, cg_get_local(cg, c->id));
	}
}

/* A struct kernel_layout of the frame. */
static LLVMValueRef layout_of(struct codegen *cg, const struct routine *chunk)
{
	LLVMValueRef words[2 + 256];
	uint32_t n = 0;
	for (uint32_t i = 0; i < chunk->ncaptures; i++)
		if (chunk->captures[i].is_array && n < 256)
			words[2 + n++] = cg_int_const(cg->i64, (int64_t)chunk->captures[i].offset);
	words[0] = cg_int_const(cg->i64, (int64_t)chunk->nframe);
	words[1] = cg_int_const(cg->i64, n);
	LLVMValueRef list = LLVMConstArray2(cg->i64, words, 2 + n), global = LLVMAddGlobal(cg->module, LLVMTypeOf(list), "layout");
	LLVMSetInitializer(global, list);
	LLVMSetGlobalConstant(global, 1);
	LLVMSetLinkage(global, LLVMPrivateLinkage);
	return global;
}

void cg_reduce_in_order(struct codegen *cg, const struct iterations *it)
{
	const struct ir_loop *loop = it->s->loop, *reducing = cg->r->reducing;
	struct reduction_state *state = cg->r->state;
	struct value *before = calloc(loop->nreductions, sizeof *before);
	cg->r->state = calloc(loop->nreductions, sizeof *cg->r->state);
	cg->r->reducing = loop;
	if (!before || !cg->r->state) {
		cg->failed = true;
	} else {
		for (uint32_t i = 0; i < loop->nreductions; i++)
			before[i] = cg_get_local(cg, loop->reductions[i].local);
		start_reductions(cg, loop, it->s->body);
		cg_iterations(cg, it);
	}
	for (uint32_t i = 0; !cg->failed && i < loop->nreductions; i++) {
		const struct ir_reduction *reduction = &loop->reductions[i];
		const struct reduction_state *r = &cg->r->state[i];
		enum dtype d = dtype_of(cg, reduction->local);
		struct value v = r->total.re ? read_total(cg, reduction, &r->total) : cg_get_local(cg, reduction->local);
		if (r->key)
			v.re = value_of_key(cg, reduction, r->key);
		else if (rules[reduction->kind].own_start)
			v = cg_combine(cg, rules[reduction->kind].join, d, before[i], v);
		cg_set_local(cg, reduction->local, v);
	}
	free(before);
	free(cg->r->state);
	cg->r->state = state;
	cg->r->reducing = reducing;
}

void cg_parallel(struct codegen *cg, const struct ir_stmt *s, LLVMValueRef start, LLVMValueRef step, LLVMValueRef trips)
{
	struct routine chunk = { .chunk = s->loop };
	struct vector_wish wish = cg->wish;
	cg->wish = (struct vector_wish){ 0 };
	bool built = build_chunk(cg, &chunk, s, start, step);
	cg->wish = wish;
	if (!built)
		return;
	uint64_t nframe = (chunk.nframe + SCALAR - 1) / SCALAR * SCALAR;
	LLVMValueRef frame = cg_scratch(cg, nframe + all_columns(s->loop) * COLUMN), length = chunk_length(cg, s->loop, trips);
	LLVMValueRef columns = cg_byte_at(cg, cg->b, frame, nframe), layout = layout_of(cg, &chunk);
	fill_frame(cg, &chunk, frame, start, step);
	cg_store_at(cg, cg->b, columns, frame, FRAME_COLUMNS);
	cg_routine_free(&chunk);
	/* More iterations than int64 counts have no end in sight; the call can only be ended. */
	LLVMValueRef most[] = { trips, cg_int_const(cg->i64, INT64_MAX) };
	LLVMValueRef args[] = { cg->r->ctx, chunk.function, frame, cg_call_intrinsic(cg, "llvm.umin", cg->i64, most, 2), length, layout };
	cg_fail_if_status(cg, cg_call_named(cg, "kernel_parallel_over", args, 6));
	if (s->loop->nreductions)
		join_chunks(cg, s->loop, columns, trips, length);
	/* The variable is left as the last iteration had it. */
	LLVMValueRef last = LLVMBuildMul(cg->b, LLVMBuildSub(cg->b, trips, cg_int_const(cg->i64, 1), ""), step, "");
	LLVMValueRef some = LLVMBuildICmp(cg->b, LLVMIntNE, trips, LLVMConstNull(cg->i64), "");
	replace_if(cg, some, s->local, (struct value){ .re = LLVMBuildAdd(cg->b, start, last, "") });
}
