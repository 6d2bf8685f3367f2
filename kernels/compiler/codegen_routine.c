/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The frame of a routine: its first block, failures, polls, arguments and results. A failure ends the routine with 1; its account is in the
 * context.
 */
#include "kernels/compiler/codegen_private.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* --- blocks --- */

LLVMBasicBlockRef cg_new_block(struct codegen *cg, const char *name)
{
	return LLVMAppendBasicBlockInContext(cg->context, cg->r->function, name);
}

bool cg_block_ended(struct codegen *cg)
{
	return LLVMGetBasicBlockTerminator(LLVMGetInsertBlock(cg->b)) != NULL;
}

void cg_continue_at(struct codegen *cg, LLVMBasicBlockRef block)
{
	if (!cg_block_ended(cg))
		LLVMBuildBr(cg->b, block);
	LLVMPositionBuilderAtEnd(cg->b, block);
}

void cg_branch_if(struct codegen *cg, LLVMValueRef test, LLVMBasicBlockRef yes, LLVMBasicBlockRef no)
{
	LLVMBuildCondBr(cg->b, test, yes, no);
}

/* --- failures --- */

static LLVMBasicBlockRef failed_block(struct codegen *cg)
{
	struct routine *r = cg->r;
	if (r->failed)
		return r->failed;
	LLVMBasicBlockRef here = LLVMGetInsertBlock(cg->b);
	r->failed = cg_new_block(cg, "failed");
	LLVMPositionBuilderAtEnd(cg->b, r->failed);
	LLVMBuildRet(cg->b, cg_int_const(cg->i32, 1));
	LLVMPositionBuilderAtEnd(cg->b, here);
	return r->failed;
}

void cg_fail_unless(struct codegen *cg, LLVMValueRef ok, enum kernel_error_code code, uint32_t line, uint32_t array, LLVMValueRef v0, LLVMValueRef v1)
{
	if (LLVMIsAConstantInt(ok) && LLVMConstIntGetZExtValue(ok))
		return;
	LLVMBasicBlockRef fail = cg_new_block(cg, "fail"), on = cg_new_block(cg, "on"), failed = failed_block(cg);
	cg_branch_if(cg, ok, on, fail);
	LLVMPositionBuilderAtEnd(cg->b, fail);
	LLVMValueRef none = LLVMConstNull(cg->i64);
	LLVMValueRef args[] = { cg->r->ctx, cg_int_const(cg->i32, code), cg_int_const(cg->i32, line ? line : cg->line), cg_int_const(cg->i32, array),
				v0 ? v0 : none, v1 ? v1 : none };
	cg_call_named(cg, "kernel_fail", args, 6);
	LLVMBuildBr(cg->b, failed);
	LLVMPositionBuilderAtEnd(cg->b, on);
}

void cg_fail_if_status(struct codegen *cg, LLVMValueRef status)
{
	LLVMBasicBlockRef on = cg_new_block(cg, "on");
	cg_branch_if(cg, LLVMBuildICmp(cg->b, LLVMIntEQ, status, LLVMConstNull(cg->i32), ""), on, failed_block(cg));
	LLVMPositionBuilderAtEnd(cg->b, on);
}

/* --- polls --- */

static LLVMValueRef load_flag(struct codegen *cg, LLVMValueRef flag)
{
	LLVMValueRef v = LLVMBuildLoad2(cg->b, cg->i8, flag, "");
	LLVMSetOrdering(v, LLVMAtomicOrderingMonotonic);
	LLVMSetAlignment(v, 1);
	return v;
}

void cg_poll(struct codegen *cg)
{
	LLVMBasicBlockRef poll = cg_new_block(cg, "poll"), on = cg_new_block(cg, "on");
	LLVMValueRef any = LLVMBuildOr(cg->b, load_flag(cg, cg->r->attention), load_flag(cg, cg->r->cancelled), "");
	cg_branch_if(cg, LLVMBuildICmp(cg->b, LLVMIntEQ, any, LLVMConstNull(cg->i8), ""), on, poll);
	LLVMPositionBuilderAtEnd(cg->b, poll);
	LLVMValueRef ended = cg_call_named(cg, "kernel_poll", &cg->r->ctx, 1);
	cg_branch_if(cg, LLVMBuildICmp(cg->b, LLVMIntEQ, ended, LLVMConstNull(cg->i32), ""), on, failed_block(cg));
	LLVMPositionBuilderAtEnd(cg->b, on);
}

/* The flag's address, or that of a byte that is never set. */
static LLVMValueRef flag_address(struct codegen *cg, LLVMValueRef call, uint64_t offset)
{
	LLVMBuilderRef b = cg->r->head;
	LLVMValueRef flag = cg_load_at(cg, b, cg->pointer, call, offset);
	LLVMValueRef none = LLVMBuildICmp(b, LLVMIntEQ, flag, LLVMConstNull(cg->pointer), "");
	return LLVMBuildSelect(b, none, LLVMGetNamedGlobal(cg->module, "never"), flag, "");
}

/* --- routines --- */

static void function_attributes(struct codegen *cg, LLVMValueRef function)
{
	/* A frame may be larger than the guard page. */
	static const char *const texts[][2] = { { "probe-stack", "inline-asm" }, { "prefer-vector-width", "512" } };
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		const char *const *t = texts[i];
		LLVMAttributeRef a = LLVMCreateStringAttribute(cg->context, t[0], (unsigned)strlen(t[0]), t[1], (unsigned)strlen(t[1]));
		LLVMAddAttributeAtIndex(function, LLVMAttributeFunctionIndex, a);
	}
	unsigned kind = LLVMGetEnumAttributeKindForName("nounwind", 8);
	LLVMAddAttributeAtIndex(function, LLVMAttributeFunctionIndex, LLVMCreateEnumAttribute(cg->context, kind, 0));
}

static bool allocate(struct codegen *cg, struct routine *r)
{
	size_t nlocals = cg->f->nlocals, narrays = cg->f->narrays, nreductions = r->chunk ? r->chunk->nreductions : 0;
	r->locals = calloc(nlocals + 1, sizeof *r->locals);
	r->slots = calloc(narrays + 1, sizeof *r->slots);
	r->captures = calloc(nlocals + narrays + 1, sizeof *r->captures);
	r->state = calloc(nreductions + 1, sizeof *r->state);
	r->reducing = r->chunk;
	return r->locals && r->slots && r->captures && r->state;
}

void cg_routine_free(struct routine *r)
{
	free(r->locals);
	free(r->slots);
	free(r->captures);
	free(r->state);
}

bool cg_routine_begin(struct codegen *cg, struct routine *r, const char *name, LLVMTypeRef type)
{
	if (!allocate(cg, r)) {
		cg_routine_free(r);
		cg->failed = true;
		return false;
	}
	r->outer = cg->r;
	r->resume = LLVMGetInsertBlock(cg->b);
	cg->r = r;
	r->function = LLVMAddFunction(cg->module, name, type);
	r->ctx = LLVMGetParam(r->function, 0);
	function_attributes(cg, r->function);
	r->head = LLVMCreateBuilderInContext(cg->context);
	LLVMPositionBuilderAtEnd(r->head, cg_new_block(cg, "head"));
	LLVMValueRef call = cg_load_at(cg, r->head, cg->pointer, r->ctx, offsetof(struct kernel_context, call));
	r->attention = flag_address(cg, call, offsetof(struct kernel_call, attention));
	r->cancelled = flag_address(cg, call, offsetof(struct kernel_call, cancelled));
	r->start = cg_new_block(cg, "start");
	LLVMPositionBuilderAtEnd(cg->b, r->start);
	return true;
}

void cg_routine_end(struct codegen *cg)
{
	struct routine *r = cg->r;
	LLVMBuildRet(cg->b, LLVMConstNull(cg->i32));
	LLVMBuildBr(r->head, r->start);
	LLVMDisposeBuilder(r->head);
	cg->r = r->outer;
	if (r->resume)
		LLVMPositionBuilderAtEnd(cg->b, r->resume);
}

/* --- the entry --- */

struct arguments {
	LLVMValueRef arrays, scalars;
	uint64_t narrays, nscalars;
};

static LLVMValueRef next_argument(struct codegen *cg, struct arguments *args, bool is_array)
{
	if (is_array)
		return cg_byte_at(cg, cg->b, args->arrays, sizeof(struct kernel_array) * args->narrays++);
	return cg_byte_at(cg, cg->b, args->scalars, sizeof(union kernel_scalar) * args->nscalars++);
}

static void take_parameter(struct codegen *cg, struct arguments *args, struct ir_slot p)
{
	LLVMValueRef from = next_argument(cg, args, p.is_array);
	if (!p.is_array) {
		cg_set_local(cg, p.id, cg_load_scalar(cg, cg->b, cg->f->locals[p.id].dtype, from));
		return;
	}
	cg_slot_of(cg, p.id);
	cg_read_descriptor(cg, cg->b, p.id, from);
}

static void give_result(struct codegen *cg, struct arguments *args, struct ir_slot p)
{
	LLVMValueRef to = next_argument(cg, args, p.is_array);
	if (p.is_array)
		cg_write_descriptor(cg, p.id, to);
	else
		cg_store_scalar(cg, cg->b, cg->f->locals[p.id].dtype, to, cg_get_local(cg, p.id));
}

void cg_entry(struct codegen *cg)
{
	LLVMTypeRef types[] = { cg->pointer, cg->pointer, cg->pointer };
	struct routine r = { 0 };
	if (!cg_routine_begin(cg, &r, cg->symbol, LLVMFunctionType(cg->i32, types, 3, 0)))
		return;
	struct arguments args = { LLVMGetParam(r.function, 1), LLVMGetParam(r.function, 2), 0, 0 };
	r.done = cg_new_block(cg, "done");
	for (uint32_t i = 0; i < cg->f->nparams; i++)
		take_parameter(cg, &args, cg->f->params[i]);
	cg_block(cg, cg->f->body);
	cg_continue_at(cg, r.done);
	for (uint32_t i = 0; i < cg->f->nresults; i++)
		give_result(cg, &args, cg->f->results[i]);
	cg_routine_end(cg);
	cg_routine_free(&r);
}
