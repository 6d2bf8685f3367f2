/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Locals and array slots of the routine that is being built, and the addresses of elements. A slot gets its allocas when it is first met; in a
 * chunk it then starts with what the entry had, which the frame brings (the capture tells the entry to put it there).
 */
#include "kernels/compiler/codegen_private.h"

#define AT(member) offsetof(struct kernel_array, member)

LLVMValueRef cg_stack_variable(struct codegen *cg, LLVMTypeRef type)
{
	return LLVMBuildAlloca(cg->r->head, type, "");
}

/* Bytes for one call of the runtime; the next use has the same. */
LLVMValueRef cg_scratch(struct codegen *cg, uint64_t nbytes)
{
	struct routine *r = cg->r;
	if (!r->scratch) {
		r->scratch = LLVMBuildArrayAlloca(r->head, cg->i8, LLVMConstInt(cg->i64, 16, 0), "scratch");
		LLVMSetAlignment(r->scratch, 16);
	}
	if (nbytes > r->nscratch) {
		r->nscratch = nbytes;
		LLVMSetOperand(r->scratch, 0, LLVMConstInt(cg->i64, nbytes, 0));
	}
	return r->scratch;
}

/* Where the frame brings it, NULL in the entry. */
static LLVMValueRef captured(struct codegen *cg, bool is_array, uint32_t id)
{
	struct routine *r = cg->r;
	if (!r->frame)
		return NULL;
	r->captures[r->ncaptures++] = (struct capture){ is_array, id, r->nframe };
	LLVMValueRef from = cg_byte_at(cg, r->head, r->frame, r->nframe);
	r->nframe += is_array ? sizeof(struct kernel_array) : sizeof(union kernel_scalar);
	return from;
}

/* --- locals --- */

static void store_parts(LLVMBuilderRef b, const struct value *variable, struct value v)
{
	LLVMBuildStore(b, v.re, variable->re);
	if (variable->im)
		LLVMBuildStore(b, v.im, variable->im);
}

struct value *cg_local_of(struct codegen *cg, uint32_t local)
{
	struct value *variable = &cg->r->locals[local];
	if (variable->re)
		return variable;
	enum dtype d = cg->f->locals[local].dtype;
	variable->re = cg_stack_variable(cg, cg->component[d]);
	if (cg_is_complex(d))
		variable->im = cg_stack_variable(cg, cg->component[d]);
	LLVMValueRef from = captured(cg, false, local);
	store_parts(cg->r->head, variable, from ? cg_load_scalar(cg, cg->r->head, d, from) : cg_zero_value(cg, d));
	return variable;
}

struct value cg_get_local(struct codegen *cg, uint32_t local)
{
	const struct value *variable = cg_local_of(cg, local);
	LLVMTypeRef type = cg->component[cg->f->locals[local].dtype];
	const struct ir_reduction *reduction = cg_reduction_of(cg->r->reducing, local, NULL);
	cg_note_read(cg, local);
	return (struct value){
		.re = LLVMBuildLoad2(cg->b, type, variable->re, ""),
		.im = variable->im ? LLVMBuildLoad2(cg->b, type, variable->im, "") : NULL,
		.reduces = reduction && cg_is_free_sum(cg, reduction),
	};
}

void cg_set_local(struct codegen *cg, uint32_t local, struct value v)
{
	store_parts(cg->b, cg_local_of(cg, local), v);
}

/* --- array slots --- */

static bool implied_strides(const struct ir_array *a)
{
	return a->contiguous || a->is_list;
}

struct slot *cg_slot_of(struct codegen *cg, uint32_t array)
{
	struct slot *slot = &cg->r->slots[array];
	const struct ir_array *a = &cg->f->arrays[array];
	LLVMBuilderRef head = cg->r->head;
	if (slot->data)
		return slot;
	slot->data = cg_stack_variable(cg, cg->pointer);
	for (unsigned k = 0; k < a->rank; k++) {
		slot->shape[k] = cg_stack_variable(cg, cg->i64);
		slot->stride[k] = implied_strides(a) ? NULL : cg_stack_variable(cg, cg->i64);
	}
	slot->capacity = a->is_list ? cg_stack_variable(cg, cg->i64) : NULL;
	LLVMValueRef from = captured(cg, true, array);
	if (from) {
		cg_read_descriptor(cg, head, array, from);
		return slot;
	}
	LLVMValueRef zero = LLVMConstNull(cg->i64);
	LLVMBuildStore(head, LLVMConstNull(cg->pointer), slot->data);
	for (unsigned k = 0; k < a->rank; k++) {
		LLVMBuildStore(head, zero, slot->shape[k]);
		if (slot->stride[k])
			LLVMBuildStore(head, zero, slot->stride[k]);
	}
	if (slot->capacity)
		LLVMBuildStore(head, zero, slot->capacity);
	return slot;
}

LLVMValueRef cg_get_i64(struct codegen *cg, LLVMValueRef variable)
{
	return LLVMBuildLoad2(cg->b, cg->i64, variable, "");
}

LLVMValueRef cg_get_data(struct codegen *cg, uint32_t array)
{
	return LLVMBuildLoad2(cg->b, cg->pointer, cg_slot_of(cg, array)->data, "");
}

LLVMValueRef cg_get_shape(struct codegen *cg, uint32_t array, unsigned axis)
{
	return cg_get_i64(cg, cg_slot_of(cg, array)->shape[axis]);
}

/* In bytes. */
LLVMValueRef cg_get_stride(struct codegen *cg, uint32_t array, unsigned axis)
{
	const struct ir_array *a = &cg->f->arrays[array];
	const struct slot *slot = cg_slot_of(cg, array);
	if (slot->stride[axis])
		return cg_get_i64(cg, slot->stride[axis]);
	LLVMValueRef stride = cg_int_const(cg->i64, (int64_t)dtype_size(a->dtype));
	for (unsigned k = a->rank - 1; k > axis; k--)
		stride = LLVMBuildMul(cg->b, stride, cg_get_shape(cg, array, k), "");
	return stride;
}

void cg_write_descriptor(struct codegen *cg, uint32_t array, LLVMValueRef to)
{
	const struct slot *slot = cg_slot_of(cg, array);
	cg_store_at(cg, cg->b, cg_get_data(cg, array), to, AT(data));
	for (unsigned k = 0; k < cg->f->arrays[array].rank; k++) {
		cg_store_at(cg, cg->b, cg_get_shape(cg, array, k), to, AT(shape) + 8 * k);
		cg_store_at(cg, cg->b, cg_get_stride(cg, array, k), to, AT(stride) + 8 * k);
	}
	cg_store_at(cg, cg->b, slot->capacity ? cg_get_i64(cg, slot->capacity) : LLVMConstNull(cg->i64), to, AT(capacity));
}

void cg_read_descriptor(struct codegen *cg, LLVMBuilderRef b, uint32_t array, LLVMValueRef from)
{
	const struct slot *slot = cg_slot_of(cg, array);
	LLVMBuildStore(b, cg_load_at(cg, b, cg->pointer, from, AT(data)), slot->data);
	for (unsigned k = 0; k < cg->f->arrays[array].rank; k++) {
		LLVMBuildStore(b, cg_load_at(cg, b, cg->i64, from, AT(shape) + 8 * k), slot->shape[k]);
		if (slot->stride[k])
			LLVMBuildStore(b, cg_load_at(cg, b, cg->i64, from, AT(stride) + 8 * k), slot->stride[k]);
	}
	if (slot->capacity)
		LLVMBuildStore(b, cg_load_at(cg, b, cg->i64, from, AT(capacity)), slot->capacity);
}

/* --- elements --- */

/* The index counted from the front and, unless it is proved, found to be inside. */
static LLVMValueRef checked_index(struct codegen *cg, const struct ir_expr *e, uint8_t flags, uint32_t array, unsigned axis, uint32_t line)
{
	LLVMValueRef written = cg_scalar(cg, e), index = written;
	if (flags & IR_INDEX_IN_BOUNDS || (flags & IR_INDEX_GUARDED && cg->guarded))
		return index;
	LLVMValueRef length = cg_get_shape(cg, array, axis);
	if (!(flags & IR_INDEX_NONNEGATIVE)) {
		LLVMValueRef below = LLVMBuildICmp(cg->b, LLVMIntSLT, written, LLVMConstNull(cg->i64), "");
		index = LLVMBuildSelect(cg->b, below, LLVMBuildAdd(cg->b, written, length, ""), written, "");
	}
	cg_fail_unless(cg, LLVMBuildICmp(cg->b, LLVMIntULT, index, length, ""), KERNEL_INDEX, line, array, written, length);
	return index;
}

/* Nothing here overflows: the element is inside. With implied strides the number of the element is counted, so that the innermost step is a
 * constant; otherwise bytes. */
LLVMValueRef cg_element_address(struct codegen *cg, uint32_t array, struct ir_expr *const *index, const uint8_t *flags, uint32_t line)
{
	const struct ir_array *a = &cg->f->arrays[array];
	bool implied = implied_strides(a);
	LLVMValueRef at = LLVMConstNull(cg->i64);
	for (unsigned k = 0; k < a->rank; k++) {
		LLVMValueRef i = checked_index(cg, index[k], flags ? flags[k] : 0, array, k, line);
		if (implied && k)
			at = LLVMBuildNSWMul(cg->b, at, cg_get_shape(cg, array, k), "");
		if (!implied)
			i = LLVMBuildNSWMul(cg->b, i, cg_get_stride(cg, array, k), "");
		at = k ? LLVMBuildNSWAdd(cg->b, at, i, "") : i;
	}
	LLVMTypeRef type = implied ? cg_memory_type(cg, a->dtype) : cg->i8;
	LLVMValueRef data = cg_get_data(cg, array);
	if (a->rank)
		return LLVMBuildInBoundsGEP2(cg->b, type, data, &at, 1, "");
	/* No index shows that nothing is bound yet. */
	cg_fail_unless(cg, LLVMBuildICmp(cg->b, LLVMIntNE, data, LLVMConstNull(cg->pointer), ""), KERNEL_UNBOUND, line, array, NULL, NULL);
	return data;
}
