/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Loops that run in order. Iterations are counted without a sign, so that no range overflows. Every loop notices that the call was ended: one
 * that contains loops looks each time round, the innermost run in strips with a look between two, which leaves LLVM a plain loop to vectorise.
 */
#include "kernels/compiler/codegen_private.h"
#include "kernels/compiler/types.h"

#include <llvm-c/DebugInfo.h>
#include <string.h>

enum {
	STRIP = 16384,
	FEW = 16,                /* iterations of a loop that LLVM unrolls: it counts as part of the one around it */
	SUM_BYTES = 64,          /* lanes of a free sum together: its shape must not depend on the processor */
	SUM_INTERLEAVE = 4,
};

/* --- trips --- */

static bool constant_int(LLVMValueRef v, int64_t *value)
{
	if (!LLVMIsAConstantInt(v))
		return false;
	*value = LLVMConstIntGetSExtValue(v);
	return true;
}

/* Of `for start..stop step`: 0 if there is no way from one to the other, or no step. */
static LLVMValueRef count_trips(struct codegen *cg, LLVMValueRef start, LLVMValueRef stop, LLVMValueRef step)
{
	LLVMValueRef none = LLVMConstNull(cg->i64), one = cg_int_const(cg->i64, 1);
	LLVMValueRef up = LLVMBuildICmp(cg->b, LLVMIntSGT, step, none, ""), forth = LLVMBuildICmp(cg->b, LLVMIntSLT, start, stop, "");
	LLVMValueRef down = LLVMBuildICmp(cg->b, LLVMIntSLT, step, none, ""), back = LLVMBuildICmp(cg->b, LLVMIntSGT, start, stop, "");
	LLVMValueRef some = LLVMBuildOr(cg->b, LLVMBuildAnd(cg->b, up, forth, ""), LLVMBuildAnd(cg->b, down, back, ""), "");
	LLVMValueRef way = cg_select_value(cg, up, LLVMBuildSub(cg->b, stop, start, ""), LLVMBuildSub(cg->b, start, stop, ""));
	LLVMValueRef stride = cg_select_value(cg, up, step, LLVMBuildNeg(cg->b, step, ""));
	LLVMValueRef safe = cg_select_value(cg, LLVMBuildICmp(cg->b, LLVMIntEQ, stride, none, ""), one, stride);
	LLVMValueRef last = LLVMBuildUDiv(cg->b, LLVMBuildSub(cg->b, way, one, ""), safe, "");
	return cg_select_value(cg, some, LLVMBuildAdd(cg->b, last, one, ""), none);
}

static bool is_few(const struct ir_stmt *s)
{
	if (s->a->kind != IR_CONST || s->b->kind != IR_CONST || (s->c && s->c->kind != IR_CONST))
		return false;
	int64_t start = s->a->constant.i, stop = s->b->constant.i, way;
	return !__builtin_sub_overflow(stop, start, &way) && way >= -FEW && way <= FEW;
}

/* No loop inside that would take long. */
static bool block_is_light(const struct ir_block *block)
{
	for (uint32_t i = 0; block && i < block->count; i++) {
		const struct ir_stmt *s = block->items[i];
		if (s->kind == IR_LOOP || (s->kind == IR_FOR && !is_few(s)))
			return false;
		if (!block_is_light(s->body) || !block_is_light(s->orelse))
			return false;
	}
	return true;
}

/* --- hints for the vectoriser --- */

void cg_note_read(struct codegen *cg, uint32_t local)
{
	struct local_use *use = &cg->uses[local];
	if (use->written == cg->wish.loop)
		return;
	use->read = cg->wish.loop;
	if (use->set == cg->wish.loop)
		cg_note_set(cg, local);
}

void cg_note_set(struct codegen *cg, uint32_t local)
{
	struct local_use *use = &cg->uses[local];
	enum scalar_class class = cg_class_of(cg->f->locals[local].dtype);
	const struct ir_reduction *reduction = cg_reduction_of(cg->r->reducing, local, NULL);
	if (reduction && cg_is_free_sum(cg, reduction)) {
		cg->wish.sum_bytes = dtype_size(dtype_real(cg->f->locals[local].dtype));
		return;
	}
	use->set = cg->wish.loop;
	if (use->read == cg->wish.loop && (class == CLASS_REAL || class == CLASS_COMPLEX))
		cg->wish.carried = true;
	if (cg->wish.straight)
		use->written = cg->wish.loop;
}

struct hints {
	LLVMMetadataRef list[8];
	size_t n;
};

static LLVMMetadataRef node(struct codegen *cg, const char *name, LLVMMetadataRef value)
{
	LLVMMetadataRef parts[] = { LLVMMDStringInContext2(cg->context, name, strlen(name)), value };
	return LLVMMDNodeInContext2(cg->context, parts, 2);
}

static void hint(struct codegen *cg, struct hints *hints, const char *name, LLVMValueRef value)
{
	hints->list[hints->n++] = node(cg, name, LLVMValueAsMetadata(value));
}

/* A loop's metadata begins with itself, which makes it unlike any other. */
static void attach(struct codegen *cg, LLVMValueRef branch, struct hints *hints)
{
	LLVMMetadataRef self = LLVMTemporaryMDNode(cg->context, NULL, 0);
	hints->list[0] = self;
	LLVMMetadataRef id = LLVMMDNodeInContext2(cg->context, hints->list, hints->n);
	LLVMMetadataReplaceAllUsesWith(self, id);
	LLVMSetMetadata(branch, LLVMGetMDKindIDInContext(cg->context, "llvm.loop", 9), LLVMMetadataAsValue(cg->context, id));
}

static void attach_hints(struct codegen *cg, LLVMValueRef branch)
{
	const struct vector_wish *wish = &cg->wish;
	struct hints hints = { .n = 1 };
	unsigned width = wish->lanes, interleave = 0;
	if (wish->sum_bytes) {
		width = width ? width : SUM_BYTES / (unsigned)wish->sum_bytes;
		interleave = SUM_INTERLEAVE;
	}
	/* What the iterations of a parallel loop share are reductions alone. */
	if (wish->carried && !cg->light_parallel)
		width = interleave = wish->sum_bytes ? 1 : 0;
	else if (!wish->sum_bytes && !cg->light_parallel)
		width = 0;
	if (width > 1)
		hint(cg, &hints, "llvm.loop.vectorize.enable", cg_int_const(cg->i1, 1));
	if (width)
		hint(cg, &hints, "llvm.loop.vectorize.width", cg_int_const(cg->i32, width));
	if (interleave)
		hint(cg, &hints, "llvm.loop.interleave.count", cg_int_const(cg->i32, interleave));
	if (cg->light_parallel)
		hints.list[hints.n++] = node(cg, "llvm.loop.parallel_accesses", cg->independent);
	if (hints.n > 1)
		attach(cg, branch, &hints);
}

/* --- iterations --- */

/* One iteration, with the builder at its beginning; leaves it where the next one is decided. */
static void emit_iteration(struct codegen *cg, const struct iterations *it, LLVMValueRef number, LLVMBasicBlockRef end)
{
	const struct ir_stmt *s = it->s;
	struct loop_exits outer = cg->r->exits;
	cg->r->exits = (struct loop_exits){ cg_new_block(cg, "next"), end };
	LLVMValueRef way = LLVMBuildMul(cg->b, number, it->step, "");
	cg_set_local(cg, s->local, (struct value){ .re = LLVMBuildAdd(cg->b, it->start, way, "") });
	LLVMValueRef mark = s->loop->releases ? cg_call_named(cg, "kernel_mark", &cg->r->ctx, 1) : NULL;
	cg_start_addends(cg, s->loop);
	cg_block(cg, s->body);
	cg_continue_at(cg, cg->r->exits.next);
	cg_add_addends(cg, s->loop);
	if (mark) {
		LLVMValueRef args[] = { cg->r->ctx, mark };
		cg_call_named(cg, "kernel_release", args, 2);
	}
	cg->r->exits = outer;
}

static LLVMValueRef phi_from(struct codegen *cg, LLVMValueRef v, LLVMBasicBlockRef from)
{
	LLVMValueRef phi = LLVMBuildPhi(cg->b, LLVMTypeOf(v), "");
	LLVMAddIncoming(phi, &v, &from, 1);
	return phi;
}

static void close_phi(struct codegen *cg, LLVMValueRef phi, LLVMValueRef v)
{
	LLVMBasicBlockRef from = LLVMGetInsertBlock(cg->b);
	LLVMAddIncoming(phi, &v, &from, 1);
}

enum run { RUN_PLAIN, RUN_HINTED, RUN_LOOKING }; /* LOOKING: each time round */

/* Numbers first <= k < limit, at least one. Goes on after the last. */
static void emit_run(struct codegen *cg, const struct iterations *it, LLVMValueRef first, LLVMValueRef limit, LLVMBasicBlockRef end, enum run run)
{
	LLVMBasicBlockRef before = LLVMGetInsertBlock(cg->b), body = cg_new_block(cg, "body"), after = cg_new_block(cg, "after");
	cg_continue_at(cg, body);
	LLVMValueRef number = phi_from(cg, first, before);
	if (run == RUN_LOOKING)
		cg_poll(cg);
	emit_iteration(cg, it, number, end);
	LLVMValueRef next = LLVMBuildNUWAdd(cg->b, number, cg_int_const(cg->i64, 1), "");
	close_phi(cg, number, next);
	LLVMValueRef branch = LLVMBuildCondBr(cg->b, LLVMBuildICmp(cg->b, LLVMIntULT, next, limit, ""), body, after);
	if (run == RUN_HINTED)
		attach_hints(cg, branch);
	LLVMPositionBuilderAtEnd(cg->b, after);
}

static void emit_strips(struct codegen *cg, const struct iterations *it, LLVMBasicBlockRef end)
{
	LLVMBasicBlockRef before = LLVMGetInsertBlock(cg->b), strip = cg_new_block(cg, "strip"), more = cg_new_block(cg, "more");
	cg_continue_at(cg, strip);
	LLVMValueRef first = phi_from(cg, it->lo, before);
	LLVMValueRef args[] = { LLVMBuildNUWSub(cg->b, it->hi, first, ""), cg_int_const(cg->i64, STRIP) };
	LLVMValueRef length = cg_call_intrinsic(cg, "llvm.umin", cg->i64, args, 2);
	LLVMValueRef limit = LLVMBuildNUWAdd(cg->b, first, length, "");
	emit_run(cg, it, first, limit, end, RUN_HINTED);
	cg_branch_if(cg, LLVMBuildICmp(cg->b, LLVMIntULT, limit, it->hi, ""), more, end);
	LLVMPositionBuilderAtEnd(cg->b, more);
	cg_poll(cg);
	close_phi(cg, first, limit);
	LLVMBuildBr(cg->b, strip);
}

static void emit_version(struct codegen *cg, const struct iterations *it)
{
	LLVMBasicBlockRef some = cg_new_block(cg, "some"), end = cg_new_block(cg, "end");
	struct vector_wish outer = cg->wish;
	bool light = block_is_light(it->s->body), was_light = cg->light_parallel;
	int64_t lo, hi;
	/* A loop that will be unrolled belongs to the one around it. */
	bool inner = cg->wish.loop && is_few(it->s) && it->s->loop != cg->r->chunk;
	if (!inner)
		cg->wish = (struct vector_wish){ .loop = light ? ++cg->nloops : 0, .straight = true };
	if (cg->r->chunk == it->s->loop)
		cg->light_parallel = light;
	cg_branch_if(cg, LLVMBuildICmp(cg->b, LLVMIntULT, it->lo, it->hi, ""), some, end);
	LLVMPositionBuilderAtEnd(cg->b, some);
	if (!light)
		emit_run(cg, it, it->lo, it->hi, end, RUN_LOOKING);
	else if (inner)
		emit_run(cg, it, it->lo, it->hi, end, RUN_PLAIN);
	else if (constant_int(it->lo, &lo) && constant_int(it->hi, &hi) && hi >= 0 && hi - lo <= STRIP)
		emit_run(cg, it, it->lo, it->hi, end, RUN_HINTED);
	else
		emit_strips(cg, it, end);
	cg_continue_at(cg, end);
	cg->light_parallel = was_light;
	if (!inner)
		cg->wish = outer;
}

/* The version without checks where all guards hold, which is seen once, before. */
void cg_iterations(struct codegen *cg, const struct iterations *it)
{
	const struct ir_loop *loop = it->s->loop;
	bool was_guarded = cg->guarded;
	if (!loop->nguards) {
		emit_version(cg, it);
		return;
	}
	LLVMValueRef holds = cg_int_const(cg->i1, 1);
	for (uint32_t i = 0; i < loop->nguards; i++)
		holds = LLVMBuildAnd(cg->b, holds, cg_scalar(cg, loop->guards[i]), "");
	LLVMBasicBlockRef fast = cg_new_block(cg, "fast"), slow = cg_new_block(cg, "checked"), end = cg_new_block(cg, "endloop");
	cg_branch_if(cg, holds, fast, slow);
	LLVMPositionBuilderAtEnd(cg->b, fast);
	cg->guarded = true;
	emit_version(cg, it);
	LLVMBuildBr(cg->b, end);
	LLVMPositionBuilderAtEnd(cg->b, slow);
	cg->guarded = was_guarded;
	emit_version(cg, it);
	cg_continue_at(cg, end);
}

/* --- statements --- */

void cg_for(struct codegen *cg, const struct ir_stmt *s)
{
	LLVMValueRef start = cg_scalar(cg, s->a), stop = cg_scalar(cg, s->b);
	LLVMValueRef step = s->c ? cg_scalar(cg, s->c) : cg_int_const(cg->i64, 1);
	LLVMValueRef trips = count_trips(cg, start, stop, step);
	if (s->loop->parallel && !cg->r->chunk) {
		cg_parallel(cg, s, start, step, trips);
		return;
	}
	struct iterations it = { s, start, step, LLVMConstNull(cg->i64), trips };
	const struct ir_loop *reducing = cg->r->reducing;
	bool inner = s->loop->generated && s->loop->nreductions && !(reducing && reducing->reductions == s->loop->reductions);
	if (inner)
		cg_reduce_in_order(cg, &it);
	else
		cg_iterations(cg, &it);
}

void cg_forever(struct codegen *cg, const struct ir_stmt *s)
{
	struct loop_exits outer = cg->r->exits;
	struct vector_wish wish = cg->wish;
	LLVMBasicBlockRef body = cg_new_block(cg, "forever"), end = cg_new_block(cg, "end");
	cg->r->exits = (struct loop_exits){ cg_new_block(cg, "next"), end };
	cg->wish = (struct vector_wish){ 0 };
	cg_continue_at(cg, body);
	LLVMValueRef mark = s->loop && s->loop->releases ? cg_call_named(cg, "kernel_mark", &cg->r->ctx, 1) : NULL;
	cg_block(cg, s->body);
	cg_continue_at(cg, cg->r->exits.next);
	if (mark) {
		LLVMValueRef args[] = { cg->r->ctx, mark };
		cg_call_named(cg, "kernel_release", args, 2);
	}
	cg_poll(cg);
	LLVMBuildBr(cg->b, body);
	LLVMPositionBuilderAtEnd(cg->b, end);
	cg->wish = wish;
	cg->r->exits = outer;
}
