/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Statements.
 */
#include "kernels/compiler/codegen_private.h"
#include "kernels/compiler/types.h"

#include <stddef.h>

/* --- arrays --- */

static LLVMValueRef number(struct codegen *cg, int64_t value)
{
	return cg_int_const(cg->i32, value);
}

/* Strides of a new array; those of contiguous slots are implied. */
static void set_c_strides(struct codegen *cg, uint32_t array)
{
	const struct ir_array *a = &cg->f->arrays[array];
	const struct slot *slot = cg_slot_of(cg, array);
	LLVMValueRef stride = cg_int_const(cg->i64, (int64_t)dtype_size(a->dtype));
	for (unsigned k = a->rank; k-- > 0;) {
		if (slot->stride[k])
			LLVMBuildStore(cg->b, stride, slot->stride[k]);
		stride = LLVMBuildMul(cg->b, stride, cg_get_shape(cg, array, k), "");
	}
}

static void emit_alloc(struct codegen *cg, const struct ir_stmt *s)
{
	const struct ir_array *a = &cg->f->arrays[s->array];
	const struct slot *slot = cg_slot_of(cg, s->array);
	LLVMValueRef length[KERNEL_MAX_RANK];
	for (unsigned k = 0; k < a->rank; k++)
		length[k] = cg_scalar(cg, s->shape[k]);
	LLVMValueRef fresh = cg_scratch(cg, sizeof(struct kernel_array));
	for (unsigned k = 0; k < a->rank; k++) {
		cg_store_at(cg, cg->b, length[k], fresh, offsetof(struct kernel_array, shape) + 8 * k);
		LLVMBuildStore(cg->b, length[k], slot->shape[k]);
	}
	LLVMValueRef args[] = { cg->r->ctx, fresh, number(cg, a->rank), cg_int_const(cg->i64, (int64_t)dtype_size(a->dtype)), number(cg, s->zero),
				number(cg, s->line), number(cg, s->array) };
	cg_fail_if_status(cg, cg_call_named(cg, "kernel_alloc", args, 7));
	LLVMBuildStore(cg->b, cg_load_at(cg, cg->b, cg->pointer, fresh, offsetof(struct kernel_array, data)), slot->data);
	set_c_strides(cg, s->array);
}

/* The values are read before the first is written: a slot may become a view of itself. */
static void emit_view(struct codegen *cg, const struct ir_stmt *s)
{
	const struct ir_array *from = &cg->f->arrays[s->from], *a = &cg->f->arrays[s->array];
	LLVMValueRef data = cg_get_data(cg, s->from), length[KERNEL_MAX_RANK], stride[KERNEL_MAX_RANK];
	LLVMValueRef offset = LLVMConstNull(cg->i64);
	for (unsigned k = 0; k < from->rank; k++)
		if (s->offset && s->offset[k])
			offset = LLVMBuildAdd(cg->b, offset, LLVMBuildMul(cg->b, cg_scalar(cg, s->offset[k]), cg_get_stride(cg, s->from, k), ""), "");
	for (unsigned k = 0; k < a->rank; k++) {
		length[k] = cg_scalar(cg, s->shape[k]);
		stride[k] = LLVMConstNull(cg->i64);
		if (s->from_axis[k] >= 0)
			stride[k] = cg_get_stride(cg, s->from, (unsigned)s->from_axis[k]);
		if (s->step && s->step[k])
			stride[k] = LLVMBuildMul(cg->b, stride[k], cg_scalar(cg, s->step[k]), "");
	}
	const struct slot *slot = cg_slot_of(cg, s->array);
	LLVMValueRef moved = LLVMBuildGEP2(cg->b, cg->i8, data, &offset, 1, "");
	/* Without an index to find it out of bounds, an element of nothing is known by its address alone. */
	if (!a->rank)
		moved = cg_select_value(cg, LLVMBuildICmp(cg->b, LLVMIntEQ, data, LLVMConstNull(cg->pointer), ""), data, moved);
	LLVMBuildStore(cg->b, moved, slot->data);
	for (unsigned k = 0; k < a->rank; k++) {
		LLVMBuildStore(cg->b, length[k], slot->shape[k]);
		if (slot->stride[k])
			LLVMBuildStore(cg->b, stride[k], slot->stride[k]);
	}
}

static void emit_list_new(struct codegen *cg, const struct ir_stmt *s)
{
	const struct slot *slot = cg_slot_of(cg, s->array);
	LLVMBuildStore(cg->b, LLVMConstNull(cg->pointer), slot->data);
	LLVMBuildStore(cg->b, LLVMConstNull(cg->i64), slot->shape[0]);
	LLVMBuildStore(cg->b, LLVMConstNull(cg->i64), slot->capacity);
}

/* The slot goes to memory only when it must grow. */
static void emit_list_append(struct codegen *cg, const struct ir_stmt *s)
{
	enum dtype d = cg->f->arrays[s->array].dtype;
	struct value v = cg_expr(cg, s->a);
	const struct slot *slot = cg_slot_of(cg, s->array);
	LLVMBasicBlockRef grow = cg_new_block(cg, "grow"), append = cg_new_block(cg, "append");
	LLVMValueRef length = cg_get_shape(cg, s->array, 0);
	cg_branch_if(cg, LLVMBuildICmp(cg->b, LLVMIntSLT, length, cg_get_i64(cg, slot->capacity), ""), append, grow);
	LLVMPositionBuilderAtEnd(cg->b, grow);
	LLVMValueRef list = cg_scratch(cg, sizeof(struct kernel_array));
	cg_write_descriptor(cg, s->array, list);
	LLVMValueRef args[] = { cg->r->ctx, list, cg_int_const(cg->i64, (int64_t)dtype_size(d)), number(cg, s->line), number(cg, s->array) };
	cg_fail_if_status(cg, cg_call_named(cg, "kernel_list_grow", args, 5));
	cg_read_descriptor(cg, cg->b, s->array, list);
	cg_continue_at(cg, append);
	cg_store_element(cg, d, LLVMBuildInBoundsGEP2(cg->b, cg_memory_type(cg, d), cg_get_data(cg, s->array), &length, 1, ""), v);
	LLVMBuildStore(cg->b, LLVMBuildAdd(cg->b, length, cg_int_const(cg->i64, 1), ""), slot->shape[0]);
}

/* Laid out in the scratch: two scalars, the result, the descriptors, pointers to them, their dtypes. */
static void emit_proc(struct codegen *cg, const struct ir_stmt *s)
{
	uint64_t n = s->narrays, descriptors = 3 * sizeof(union kernel_scalar), pointers = descriptors + n * sizeof(struct kernel_array);
	uint64_t dtypes = pointers + 8 * n;
	const struct ir_expr *operands[] = { s->a, s->b };
	struct value v[2];
	for (int i = 0; i < 2; i++)
		if (operands[i])
			v[i] = cg_expr(cg, operands[i]);
	LLVMValueRef base = cg_scratch(cg, dtypes + 4 * n);
	for (int i = 0; i < 2; i++)
		if (operands[i])
			cg_store_scalar(cg, cg->b, operands[i]->dtype, cg_byte_at(cg, cg->b, base, (uint64_t)i * sizeof(union kernel_scalar)), v[i]);
	for (uint32_t i = 0; i < n; i++) {
		LLVMValueRef descriptor = cg_byte_at(cg, cg->b, base, descriptors + i * sizeof(struct kernel_array));
		cg_write_descriptor(cg, s->arrays[i], descriptor);
		cg_store_at(cg, cg->b, descriptor, base, pointers + 8 * i);
		cg_store_at(cg, cg->b, number(cg, cg->f->arrays[s->arrays[i]].dtype), base, dtypes + 4 * i);
	}
	LLVMValueRef result = cg_byte_at(cg, cg->b, base, 2 * sizeof(union kernel_scalar));
	LLVMValueRef args[] = { cg->r->ctx, number(cg, s->proc), number(cg, s->line), number(cg, (int64_t)n), cg_byte_at(cg, cg->b, base, pointers),
				cg_byte_at(cg, cg->b, base, dtypes), base, cg_byte_at(cg, cg->b, base, sizeof(union kernel_scalar)), result };
	cg_fail_if_status(cg, cg_call_named(cg, "kernel_procedure", args, 9));
	if (s->local != IR_NONE)
		cg_set_local(cg, s->local, cg_load_scalar(cg, cg->b, cg->f->locals[s->local].dtype, result));
}

/* --- statements --- */

static void emit_set(struct codegen *cg, const struct ir_stmt *s)
{
	uint32_t at;
	if (cg_update_key(cg, s))
		return;
	cg_set_local(cg, s->local, cg_expr(cg, s->a));
	cg_note_set(cg, s->local);
	if (cg_reduction_of(cg->r->reducing, s->local, &at) && cg->r->state[at].changed)
		LLVMBuildStore(cg->b, cg_int_const(cg->i1, 1), cg->r->state[at].changed);
}

static void emit_store(struct codegen *cg, const struct ir_stmt *s)
{
	struct value v = cg_expr(cg, s->a);
	cg_store_element(cg, cg->f->arrays[s->array].dtype, cg_element_address(cg, s->array, s->index, s->index_flags, s->line), v);
}

static void emit_if(struct codegen *cg, const struct ir_stmt *s)
{
	LLVMBasicBlockRef then = cg_new_block(cg, "then"), end = cg_new_block(cg, "endif"), otherwise = s->orelse ? cg_new_block(cg, "else") : end;
	cg_branch_if(cg, cg_scalar(cg, s->a), then, otherwise);
	bool straight = cg->wish.straight;
	cg->wish.straight = false;
	LLVMPositionBuilderAtEnd(cg->b, then);
	cg_block(cg, s->body);
	if (s->orelse) {
		if (!cg_block_ended(cg))
			LLVMBuildBr(cg->b, end);
		LLVMPositionBuilderAtEnd(cg->b, otherwise);
		cg_block(cg, s->orelse);
	}
	cg_continue_at(cg, end);
	cg->wish.straight = straight && !cg->wish.jumped;
}

static void emit_labelled(struct codegen *cg, const struct ir_stmt *s)
{
	LLVMBasicBlockRef end = cg_new_block(cg, "left");
	cg->labels[s->label] = end;
	cg_block(cg, s->body);
	cg_continue_at(cg, end);
}

static void emit_check(struct codegen *cg, const struct ir_stmt *s)
{
	LLVMValueRef ok = cg_scalar(cg, s->a), v0 = s->b ? cg_scalar(cg, s->b) : NULL, v1 = s->c ? cg_scalar(cg, s->c) : NULL;
	cg_fail_unless(cg, ok, s->code, s->line, s->array, v0, v1);
}

static void emit_jump(struct codegen *cg, LLVMBasicBlockRef to)
{
	LLVMBuildBr(cg->b, to);
	cg->wish.straight = false;
	cg->wish.jumped = true;
}

static void emit_stmt(struct codegen *cg, const struct ir_stmt *s)
{
	cg->line = s->line;
	switch (s->kind) {
	case IR_SET: emit_set(cg, s); break;
	case IR_STORE: emit_store(cg, s); break;
	case IR_IF: emit_if(cg, s); break;
	case IR_FOR: cg_for(cg, s); break;
	case IR_LOOP: cg_forever(cg, s); break;
	case IR_BREAK: emit_jump(cg, cg->r->exits.end); break;
	case IR_CONTINUE: emit_jump(cg, cg->r->exits.next); break;
	case IR_BLOCK: emit_labelled(cg, s); break;
	case IR_LEAVE: emit_jump(cg, cg->labels[s->label]); break;
	case IR_RETURN: emit_jump(cg, cg->r->done); break;
	case IR_ALLOC: emit_alloc(cg, s); break;
	case IR_VIEW: emit_view(cg, s); break;
	case IR_LIST_NEW: emit_list_new(cg, s); break;
	case IR_LIST_APPEND: emit_list_append(cg, s); break;
	case IR_PROC: emit_proc(cg, s); break;
	case IR_CHECK: emit_check(cg, s); break;
	}
}

void cg_block(struct codegen *cg, const struct ir_block *block)
{
	for (uint32_t i = 0; block && i < block->count && !cg_block_ended(cg) && !cg->failed; i++)
		emit_stmt(cg, block->items[i]);
}
