/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Expressions. Chains such as a + b + c + ... lean to the left and may be thousands of nodes long: their nodes wait in a list, not on the stack.
 */
#include "kernels/compiler/codegen_private.h"
#include "kernels/compiler/types.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- calls of pure functions --- */

static LLVMTypeRef passed_type(struct codegen *cg, enum dtype d)
{
	return d == DTYPE_C64 ? LLVMVectorType(cg->component[d], 2) : cg->component[d];
}

static LLVMTypeRef returned_type(struct codegen *cg, enum dtype d)
{
	LLVMTypeRef parts[] = { cg->component[d], cg->component[d] };
	return d == DTYPE_C128 ? LLVMStructTypeInContext(cg->context, parts, 2, 0) : passed_type(cg, d);
}

static void add_attribute(struct codegen *cg, LLVMValueRef function, const char *name)
{
	unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
	LLVMAddAttributeAtIndex(function, LLVMAttributeFunctionIndex, LLVMCreateEnumAttribute(cg->context, kind, 0));
}

/* Speculatable: cheap and harmless enough to be computed where it may not be needed, which is what vector code does. */
static LLVMValueRef pure_function(struct codegen *cg, const char *name, enum dtype d, unsigned nargs)
{
	static const char *const attributes[] = { "memory", "nounwind", "willreturn", "speculatable", "nofree", "nosync" };
	LLVMValueRef function = LLVMGetNamedFunction(cg->module, name);
	if (function)
		return function;
	LLVMTypeRef types[4];
	unsigned n = 0;
	for (unsigned i = 0; i < nargs; i++) {
		types[n++] = passed_type(cg, d);
		if (d == DTYPE_C128)
			types[n++] = cg->component[d];
	}
	function = LLVMAddFunction(cg->module, name, LLVMFunctionType(returned_type(cg, d), types, n, 0));
	for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++)
		add_attribute(cg, function, attributes[i]);
	return function;
}

/* A float _Complex travels in one register, a double _Complex in two (System V ABI for x86-64). */
static LLVMValueRef pack(struct codegen *cg, enum dtype d, struct value v)
{
	LLVMValueRef packed = LLVMGetUndef(passed_type(cg, d));
	packed = LLVMBuildInsertElement(cg->b, packed, v.re, cg_int_const(cg->i32, 0), "");
	return LLVMBuildInsertElement(cg->b, packed, v.im, cg_int_const(cg->i32, 1), "");
}

static struct value unpack(struct codegen *cg, enum dtype d, LLVMValueRef v)
{
	if (d == DTYPE_C64)
		return (struct value){ LLVMBuildExtractElement(cg->b, v, cg_int_const(cg->i32, 0), ""),
				       LLVMBuildExtractElement(cg->b, v, cg_int_const(cg->i32, 1), ""), false };
	if (d == DTYPE_C128)
		return (struct value){ LLVMBuildExtractValue(cg->b, v, 0, ""), LLVMBuildExtractValue(cg->b, v, 1, ""), false };
	return (struct value){ .re = v };
}

/* Arguments and result have the dtype d. */
struct value cg_pure_call(struct codegen *cg, const char *name, enum dtype d, const struct value *args, unsigned nargs)
{
	LLVMValueRef callee = pure_function(cg, name, d, nargs), passed[4];
	unsigned n = 0;
	for (unsigned i = 0; i < nargs; i++) {
		passed[n++] = d == DTYPE_C64 ? pack(cg, d, args[i]) : args[i].re;
		if (d == DTYPE_C128)
			passed[n++] = args[i].im;
	}
	return unpack(cg, d, LLVMBuildCall2(cg->b, LLVMGlobalGetValueType(callee), callee, passed, n, ""));
}

/* --- mathematical functions --- */

/* Keeps LLVM from dropping the declaration of a vector function before a loop asks for it. */
static void keep(struct codegen *cg, LLVMValueRef function)
{
	for (unsigned i = 0; i < cg->nkept; i++)
		if (cg->kept[i] == function)
			return;
	cg->kept[cg->nkept++] = function;
}

/* Tells the vectoriser of libmvec's version: _ZGV<isa>N<lanes>v_<scalar>(<vector>). */
static void offer_vector_version(struct codegen *cg, LLVMValueRef call, const char *scalar, enum function f, enum dtype d)
{
	static const char key[] = "vector-function-abi-variant";
	unsigned lanes = 0;
	const char *vector = cg->f->accurate ? NULL : function_vector(f, d, &lanes);
	if (!vector || !LLVMIsACallInst(call))
		return;
	LLVMTypeRef type = LLVMVectorType(cg->component[d], lanes), types[] = { type, type };
	LLVMValueRef function = LLVMGetNamedFunction(cg->module, vector);
	if (!function) {
		function = LLVMAddFunction(cg->module, vector, LLVMFunctionType(type, types, (unsigned)functions[f].arity, 0));
		add_attribute(cg, function, "memory");
		add_attribute(cg, function, "nounwind");
		add_attribute(cg, function, "willreturn");
	}
	keep(cg, function);
	if (!cg->wish.lanes || lanes < cg->wish.lanes)
		cg->wish.lanes = lanes;
	char variant[256];
	int prefix = (int)(strrchr(vector, '_') - vector);
	snprintf(variant, sizeof variant, "%.*s_%s(%s)", prefix, vector, scalar, vector);
	LLVMAttributeRef attribute = LLVMCreateStringAttribute(cg->context, key, sizeof key - 1, variant, (unsigned)strlen(variant));
	LLVMAddCallSiteAttribute(call, LLVMAttributeFunctionIndex, attribute);
}

struct value cg_call_function(struct codegen *cg, enum function f, enum dtype d, const struct value *args)
{
	static const char *const suffix[DTYPE_COUNT] = { [DTYPE_F32] = "f32", [DTYPE_F64] = "f64", [DTYPE_C64] = "c64", [DTYPE_C128] = "c128" };
	char name[64];
	snprintf(name, sizeof name, "%s_%s%s", functions[f].libm, suffix[d], cg->f->accurate ? "_accurate" : "");
	struct value v = cg_pure_call(cg, name, d, args, (unsigned)functions[f].arity);
	if (!cg_is_complex(d))
		offer_vector_version(cg, v.re, name, f, d);
	return v;
}

static struct value emit_call(struct codegen *cg, const struct ir_expr *e, struct value a)
{
	struct value args[] = { a, functions[e->function].arity == 2 ? cg_expr(cg, e->b) : a };
	return cg_call_function(cg, e->function, e->dtype, args);
}

/* --- conditions --- */

/* What may be computed without need: it cannot fail, and costs little. Loads may be in bounds only because of the condition. */
static bool is_cheap(const struct ir_expr *e, int *budget)
{
	if (--*budget < 0)
		return false;
	switch (e->kind) {
	case IR_CONST: case IR_LOCAL: case IR_SHAPE:
		return true;
	case IR_CAST:
		return !e->checked && is_cheap(e->a, budget);
	case IR_COND:
		return is_cheap(e->test, budget) && is_cheap(e->a, budget) && is_cheap(e->b, budget);
	case IR_OPERATE:
		if (e->op == IR_FLOORDIV || e->op == IR_MOD || e->op == IR_FMOD || e->op == IR_POW || cg_is_complex(e->dtype))
			return false;
		return is_cheap(e->a, budget) && (!e->b || is_cheap(e->b, budget));
	default:
		return false;
	}
}

static LLVMValueRef join(struct codegen *cg, LLVMValueRef a, LLVMBasicBlockRef from_a, LLVMValueRef b, LLVMBasicBlockRef from_b)
{
	LLVMValueRef phi = LLVMBuildPhi(cg->b, LLVMTypeOf(a), "");
	LLVMAddIncoming(phi, &a, &from_a, 1);
	LLVMAddIncoming(phi, &b, &from_b, 1);
	return phi;
}

static struct value emit_cond(struct codegen *cg, const struct ir_expr *e)
{
	LLVMValueRef test = cg_scalar(cg, e->test);
	int budget = 16;
	if (is_cheap(e->a, &budget) && is_cheap(e->b, &budget)) {
		struct value a = cg_expr(cg, e->a), b = cg_expr(cg, e->b);
		return (struct value){ cg_select_value(cg, test, a.re, b.re), a.im ? cg_select_value(cg, test, a.im, b.im) : NULL, false };
	}
	LLVMBasicBlockRef yes = cg_new_block(cg, "yes"), no = cg_new_block(cg, "no"), end = cg_new_block(cg, "chosen");
	cg_branch_if(cg, test, yes, no);
	LLVMPositionBuilderAtEnd(cg->b, yes);
	struct value a = cg_expr(cg, e->a);
	LLVMBasicBlockRef from_a = LLVMGetInsertBlock(cg->b);
	cg_continue_at(cg, end);
	LLVMPositionBuilderAtEnd(cg->b, no);
	struct value b = cg_expr(cg, e->b);
	LLVMBasicBlockRef from_b = LLVMGetInsertBlock(cg->b);
	cg_continue_at(cg, end);
	struct value v = { .re = join(cg, a.re, from_a, b.re, from_b) };
	if (a.im)
		v.im = join(cg, a.im, from_a, b.im, from_b);
	return v;
}

/* --- all --- */

static bool waits(const struct ir_expr *e)
{
	return e->kind == IR_OPERATE || e->kind == IR_CALL || e->kind == IR_CAST;
}

static void wait_in_chain(struct codegen *cg, const struct ir_expr *e)
{
	if (cg->nchain == cg->chain_capacity) {
		size_t capacity = cg->chain_capacity ? 2 * cg->chain_capacity : 64;
		const struct ir_expr **chain = realloc(cg->chain, capacity * sizeof *chain);
		if (!chain) {
			cg->failed = true;
			return;
		}
		cg->chain = chain;
		cg->chain_capacity = capacity;
	}
	cg->chain[cg->nchain++] = e;
}

static struct value emit_leaf(struct codegen *cg, const struct ir_expr *e)
{
	switch (e->kind) {
	case IR_CONST:
		return cg_constant_value(cg, e->dtype, &e->constant);
	case IR_LOCAL:
		return cg_get_local(cg, e->local);
	case IR_SHAPE:
		return (struct value){ .re = cg_get_shape(cg, e->array, e->axis) };
	case IR_LOAD:
		return cg_load_element(cg, cg->f->arrays[e->array].dtype, cg_element_address(cg, e->array, e->index, e->index_flags, e->line));
	default:
		return emit_cond(cg, e);
	}
}

static struct value emit_node(struct codegen *cg, const struct ir_expr *e, struct value a)
{
	if (e->kind == IR_CAST)
		return cg_cast_value(cg, e, a);
	if (e->kind == IR_CALL)
		return emit_call(cg, e, a);
	return cg_operate(cg, e, a, e->b ? cg_expr(cg, e->b) : (struct value){ 0 });
}

struct value cg_expr(struct codegen *cg, const struct ir_expr *e)
{
	size_t base = cg->nchain;
	for (; waits(e) && !cg->failed; e = e->a)
		wait_in_chain(cg, e);
	if (cg->failed)
		return cg_zero_value(cg, e->dtype);
	struct value v = emit_leaf(cg, e);
	while (cg->nchain > base && !cg->failed) {
		const struct ir_expr *node = cg->chain[--cg->nchain];
		v = emit_node(cg, node, v);
	}
	return v;
}

LLVMValueRef cg_scalar(struct codegen *cg, const struct ir_expr *e)
{
	return cg_expr(cg, e).re;
}
