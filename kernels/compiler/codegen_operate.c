/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Operators on scalars, as ir.h defines them. Nothing here may be poison or undefined for any operand: integers wrap, counts and divisors are
 * made harmless before the instruction that is particular about them.
 */
#include "kernels/compiler/codegen_private.h"
#include "kernels/compiler/types.h"

#include <math.h>
#include <stddef.h>

/* --- floats --- */

LLVMValueRef cg_relaxed(struct codegen *cg, LLVMValueRef v, bool reduces)
{
	unsigned flags = reduces ? LLVMFastMathAllowReassoc | LLVMFastMathNoSignedZeros : 0;
	if (cg->f->fastmath)
		flags |= LLVMFastMathAllowReassoc | LLVMFastMathAllowContract | LLVMFastMathAllowReciprocal | LLVMFastMathNoSignedZeros |
			 LLVMFastMathApproxFunc;
	if (flags && LLVMIsAInstruction(v) && LLVMCanValueUseFastMathFlags(v))
		LLVMSetFastMathFlags(v, flags);
	return v;
}

LLVMValueRef cg_float_op(struct codegen *cg, LLVMOpcode op, LLVMValueRef a, LLVMValueRef b, bool reduces)
{
	return cg_relaxed(cg, LLVMBuildBinOp(cg->b, op, a, b, ""), reduces);
}

static LLVMValueRef float_intrinsic(struct codegen *cg, const char *name, LLVMValueRef a)
{
	return cg_relaxed(cg, cg_call_intrinsic(cg, name, LLVMTypeOf(a), &a, 1), false);
}

static LLVMValueRef float_test(struct codegen *cg, LLVMRealPredicate predicate, LLVMValueRef a, LLVMValueRef b)
{
	return LLVMBuildFCmp(cg->b, predicate, a, b, "");
}

LLVMValueRef cg_select_value(struct codegen *cg, LLVMValueRef test, LLVMValueRef a, LLVMValueRef b)
{
	return LLVMBuildSelect(cg->b, test, a, b, "");
}

static LLVMValueRef float_sign(struct codegen *cg, LLVMValueRef a)
{
	LLVMTypeRef type = LLVMTypeOf(a);
	LLVMValueRef zero = LLVMConstNull(type);
	LLVMValueRef v = cg_select_value(cg, float_test(cg, LLVMRealOEQ, a, zero), zero, a);
	v = cg_select_value(cg, float_test(cg, LLVMRealOLT, a, zero), LLVMConstReal(type, -1), v);
	return cg_select_value(cg, float_test(cg, LLVMRealOGT, a, zero), LLVMConstReal(type, 1), v);
}

static LLVMValueRef sign_bit(struct codegen *cg, LLVMValueRef a, enum dtype d)
{
	LLVMTypeRef bits = LLVMIntTypeInContext(cg->context, 8 * (unsigned)dtype_size(d));
	return LLVMBuildICmp(cg->b, LLVMIntSLT, LLVMBuildBitCast(cg->b, a, bits, ""), LLVMConstNull(bits), "");
}

static LLVMValueRef float_class(struct codegen *cg, enum ir_op op, LLVMValueRef a)
{
	LLVMTypeRef type = LLVMTypeOf(a);
	if (op == IR_ISNAN)
		return float_test(cg, LLVMRealUNO, a, a);
	LLVMValueRef size = cg_call_intrinsic(cg, "llvm.fabs", type, &a, 1);
	return float_test(cg, op == IR_ISINF ? LLVMRealOEQ : LLVMRealONE, size, LLVMConstReal(type, HUGE_VAL));
}

/* Not llvm.maximum: LLVM 19 takes any intrinsic that shares an operand with one for another of its kind, and crashes
 * (https://github.com/llvm/llvm-project/pull/173705). Reductions have their own way, codegen_parallel.c. */
static LLVMValueRef float_extreme(struct codegen *cg, LLVMRealPredicate wins, LLVMValueRef a, LLVMValueRef b)
{
	LLVMValueRef first = LLVMBuildOr(cg->b, float_test(cg, wins, a, b), float_test(cg, LLVMRealUNO, a, a), "");
	return cg_select_value(cg, first, a, b);
}

static LLVMValueRef copy_sign(struct codegen *cg, LLVMValueRef a, LLVMValueRef b)
{
	LLVMValueRef args[] = { a, b };
	return cg_call_intrinsic(cg, "llvm.copysign", LLVMTypeOf(a), args, 2);
}

static LLVMValueRef float_arithmetic(struct codegen *cg, const struct ir_expr *e, enum ir_op op, enum dtype d, struct value a, struct value b)
{
	bool single = d == DTYPE_F32;
	struct value pair[] = { a, b };
	switch (op) {
	case IR_ADD: return cg_float_op(cg, LLVMFAdd, a.re, b.re, a.reduces || b.reduces);
	case IR_SUB: return cg_float_op(cg, LLVMFSub, a.re, b.re, a.reduces || b.reduces);
	case IR_MUL: return cg_float_op(cg, LLVMFMul, a.re, b.re, a.reduces || b.reduces);
	case IR_DIV: return cg_float_op(cg, LLVMFDiv, a.re, b.re, a.reduces);
	case IR_FMOD: return cg_float_op(cg, LLVMFRem, a.re, b.re, false);
	case IR_FLOORDIV: return cg_pure_call(cg, single ? "kernel_floordiv_f32" : "kernel_floordiv_f64", d, pair, 2).re;
	case IR_MOD: return cg_pure_call(cg, single ? "kernel_mod_f32" : "kernel_mod_f64", d, pair, 2).re;
	case IR_MAXIMUM: return float_extreme(cg, LLVMRealOGE, a.re, b.re);
	case IR_MINIMUM: return float_extreme(cg, LLVMRealOLE, a.re, b.re);
	case IR_COPYSIGN: return copy_sign(cg, a.re, b.re);
	case IR_NEG: return cg_relaxed(cg, LLVMBuildFNeg(cg->b, a.re, ""), false);
	case IR_ABS: return float_intrinsic(cg, "llvm.fabs", a.re);
	case IR_SIGN: return float_sign(cg, a.re);
	case IR_SQRT: return float_intrinsic(cg, "llvm.sqrt", a.re);
	case IR_CEIL: return float_intrinsic(cg, "llvm.ceil", a.re);
	case IR_FLOOR: return float_intrinsic(cg, "llvm.floor", a.re);
	case IR_TRUNC: return float_intrinsic(cg, "llvm.trunc", a.re);
	case IR_RINT: return float_intrinsic(cg, "llvm.rint", a.re);
	case IR_SIGNBIT: return sign_bit(cg, a.re, e->a->dtype);
	default: return float_class(cg, op, a.re); /* ISNAN ISINF ISFINITE */
	}
}

/* --- integers and bools --- */

static LLVMValueRef int_test(struct codegen *cg, LLVMIntPredicate predicate, LLVMValueRef a, LLVMValueRef b)
{
	return LLVMBuildICmp(cg->b, predicate, a, b, "");
}

static bool is_constant_bool(LLVMValueRef v, bool value)
{
	return LLVMIsAConstantInt(v) && LLVMConstIntGetZExtValue(v) == value;
}

/* A division by zero that is no error is noted in the call, on a path that is seldom taken. */
static void note_division_by_zero(struct codegen *cg, LLVMValueRef zero)
{
	if (is_constant_bool(zero, false))
		return;
	LLVMBasicBlockRef note = cg_new_block(cg, "by_zero"), on = cg_new_block(cg, "divide");
	cg_branch_if(cg, zero, note, on);
	LLVMPositionBuilderAtEnd(cg->b, note);
	LLVMValueRef call = cg_load_at(cg, cg->b, cg->pointer, cg->r->ctx, 0);
	LLVMValueRef store = LLVMBuildStore(cg->b, cg_int_const(cg->i32, 1), cg_byte_at(cg, cg->b, call, offsetof(struct kernel_call, divided_by_zero)));
	LLVMSetOrdering(store, LLVMAtomicOrderingMonotonic);
	LLVMSetAlignment(store, 4);
	cg_continue_at(cg, on);
}

/* FLOORDIV, MOD, FMOD. The divisor is replaced by 1 where it is 0 or the quotient would not fit: what is left then is right or selected away. */
static LLVMValueRef int_divide(struct codegen *cg, const struct ir_expr *e, enum dtype d, LLVMValueRef a, LLVMValueRef b)
{
	LLVMTypeRef type = cg->component[d];
	LLVMValueRef none = LLVMConstNull(type), one = cg_int_const(type, 1);
	bool is_signed = dtype_is_signed(d);
	LLVMValueRef zero = int_test(cg, LLVMIntEQ, b, none), replaced = zero;
	if (e->checked)
		cg_fail_unless(cg, LLVMBuildNot(cg->b, zero, ""), KERNEL_DIVISION, e->line, IR_NONE, NULL, NULL);
	else
		note_division_by_zero(cg, zero);
	if (is_signed) {
		LLVMValueRef least = cg_int_const(type, dtype_min(d));
		LLVMValueRef unfit = LLVMBuildAnd(cg->b, int_test(cg, LLVMIntEQ, a, least), int_test(cg, LLVMIntEQ, b, cg_int_const(type, -1)), "");
		replaced = LLVMBuildOr(cg->b, zero, unfit, "");
	}
	LLVMValueRef divisor = cg_select_value(cg, replaced, one, b), result;
	LLVMValueRef rest = is_signed ? LLVMBuildSRem(cg->b, a, divisor, "") : LLVMBuildURem(cg->b, a, divisor, "");
	LLVMValueRef otherwise = none;
	if (is_signed && e->op != IR_FMOD) {
		LLVMValueRef differ = int_test(cg, LLVMIntSLT, LLVMBuildXor(cg->b, rest, divisor, ""), none);
		otherwise = LLVMBuildAnd(cg->b, int_test(cg, LLVMIntNE, rest, none), differ, "");
	}
	if (e->op == IR_FLOORDIV) {
		result = is_signed ? LLVMBuildSDiv(cg->b, a, divisor, "") : LLVMBuildUDiv(cg->b, a, divisor, "");
		if (is_signed)
			result = LLVMBuildSub(cg->b, result, LLVMBuildZExtOrBitCast(cg->b, otherwise, type, ""), "");
	} else {
		result = rest;
		if (is_signed && e->op == IR_MOD)
			result = LLVMBuildAdd(cg->b, rest, cg_select_value(cg, otherwise, divisor, none), "");
	}
	return cg_select_value(cg, zero, none, result);
}

static LLVMValueRef int_shift(struct codegen *cg, enum ir_op op, enum dtype d, LLVMValueRef a, LLVMValueRef count)
{
	LLVMTypeRef type = cg->component[d];
	LLVMValueRef last = cg_int_const(type, 8 * (int64_t)dtype_size(d) - 1);
	LLVMValueRef fits = int_test(cg, LLVMIntULE, count, last), safe = cg_select_value(cg, fits, count, last);
	if (op == IR_SHR && dtype_is_signed(d))
		return LLVMBuildAShr(cg->b, a, safe, "");
	LLVMValueRef shifted = op == IR_SHL ? LLVMBuildShl(cg->b, a, safe, "") : LLVMBuildLShr(cg->b, a, safe, "");
	return cg_select_value(cg, fits, shifted, LLVMConstNull(type));
}

static LLVMValueRef widen(struct codegen *cg, enum dtype d, LLVMValueRef v)
{
	return dtype_is_signed(d) ? LLVMBuildSExt(cg->b, v, cg->i64, "") : LLVMBuildZExt(cg->b, v, cg->i64, "");
}

static LLVMValueRef int_power(struct codegen *cg, const struct ir_expr *e, enum dtype d, LLVMValueRef a, LLVMValueRef b)
{
	LLVMValueRef args[] = { widen(cg, d, a), widen(cg, d, b) };
	if (dtype_is_signed(d)) {
		LLVMValueRef ok = int_test(cg, LLVMIntSGE, b, LLVMConstNull(LLVMTypeOf(b)));
		cg_fail_unless(cg, ok, KERNEL_NEGATIVE_POWER, e->line, IR_NONE, args[1], NULL);
	}
	return LLVMBuildTrunc(cg->b, cg_call_named(cg, "kernel_pow_i64", args, 2), cg->component[d], "");
}

static LLVMValueRef int_sign(struct codegen *cg, enum dtype d, LLVMValueRef a)
{
	LLVMTypeRef type = cg->component[d];
	LLVMValueRef zero = LLVMConstNull(type);
	LLVMValueRef above = LLVMBuildZExt(cg->b, int_test(cg, dtype_is_signed(d) ? LLVMIntSGT : LLVMIntNE, a, zero), type, "");
	if (!dtype_is_signed(d))
		return above;
	return LLVMBuildOr(cg->b, above, LLVMBuildSExt(cg->b, int_test(cg, LLVMIntSLT, a, zero), type, ""), "");
}

static LLVMValueRef int_absolute(struct codegen *cg, enum dtype d, LLVMValueRef a)
{
	LLVMValueRef args[] = { a, LLVMConstNull(cg->i1) };
	return dtype_is_signed(d) ? cg_call_intrinsic(cg, "llvm.abs", LLVMTypeOf(a), args, 2) : a;
}

static LLVMValueRef int_extreme(struct codegen *cg, enum ir_op op, enum dtype d, LLVMValueRef a, LLVMValueRef b)
{
	static const char *const names[2][2] = { { "llvm.umin", "llvm.umax" }, { "llvm.smin", "llvm.smax" } };
	LLVMValueRef args[] = { a, b };
	return cg_call_intrinsic(cg, names[dtype_is_signed(d)][op == IR_MAXIMUM], LLVMTypeOf(a), args, 2);
}

static LLVMValueRef int_arithmetic(struct codegen *cg, const struct ir_expr *e, enum ir_op op, enum dtype d, LLVMValueRef a, LLVMValueRef b)
{
	switch (op) {
	case IR_ADD: return LLVMBuildAdd(cg->b, a, b, "");
	case IR_SUB: return LLVMBuildSub(cg->b, a, b, "");
	case IR_MUL: return LLVMBuildMul(cg->b, a, b, "");
	case IR_NEG: return LLVMBuildNeg(cg->b, a, "");
	case IR_BITAND: return LLVMBuildAnd(cg->b, a, b, "");
	case IR_BITOR: return LLVMBuildOr(cg->b, a, b, "");
	case IR_BITXOR: return LLVMBuildXor(cg->b, a, b, "");
	case IR_INVERT: case IR_NOT: return LLVMBuildNot(cg->b, a, "");
	case IR_MAXIMUM: case IR_MINIMUM: return int_extreme(cg, op, d, a, b);
	case IR_SHL: case IR_SHR: return int_shift(cg, op, d, a, b);
	case IR_POW: return int_power(cg, e, d, a, b);
	case IR_ABS: return int_absolute(cg, d, a);
	case IR_SIGN: return int_sign(cg, d, a);
	default: return int_divide(cg, e, d, a, b); /* FLOORDIV MOD FMOD */
	}
}

/* --- complex numbers --- */

static struct value complex_multiply(struct codegen *cg, struct value a, struct value b, bool reduces)
{
	LLVMValueRef rr = cg_float_op(cg, LLVMFMul, a.re, b.re, reduces), ii = cg_float_op(cg, LLVMFMul, a.im, b.im, reduces);
	LLVMValueRef ri = cg_float_op(cg, LLVMFMul, a.re, b.im, reduces), ir = cg_float_op(cg, LLVMFMul, a.im, b.re, reduces);
	return (struct value){ cg_float_op(cg, LLVMFSub, rr, ii, reduces), cg_float_op(cg, LLVMFAdd, ri, ir, reduces), false };
}

static struct value complex_class(struct codegen *cg, enum ir_op op, struct value a)
{
	LLVMValueRef re = float_class(cg, op, a.re), im = float_class(cg, op, a.im);
	LLVMValueRef v = op == IR_ISFINITE ? LLVMBuildAnd(cg->b, re, im, "") : LLVMBuildOr(cg->b, re, im, "");
	return (struct value){ .re = v };
}

static struct value complex_arithmetic(struct codegen *cg, enum ir_op op, enum dtype d, struct value a, struct value b)
{
	bool reduces = a.reduces || b.reduces, single = d == DTYPE_C64;
	struct value pair[] = { a, b };
	switch (op) {
	case IR_ADD: return (struct value){ cg_float_op(cg, LLVMFAdd, a.re, b.re, reduces), cg_float_op(cg, LLVMFAdd, a.im, b.im, reduces), false };
	case IR_SUB: return (struct value){ cg_float_op(cg, LLVMFSub, a.re, b.re, reduces), cg_float_op(cg, LLVMFSub, a.im, b.im, reduces), false };
	case IR_MUL: return complex_multiply(cg, a, b, reduces);
	case IR_DIV: return cg_pure_call(cg, single ? "kernel_div_c64" : "kernel_div_c128", d, pair, 2);
	case IR_SQRT: return cg_pure_call(cg, single ? "csqrt_c64" : "csqrt_c128", d, pair, 1);
	case IR_NEG: return (struct value){ LLVMBuildFNeg(cg->b, a.re, ""), LLVMBuildFNeg(cg->b, a.im, ""), false };
	case IR_CONJ: return (struct value){ a.re, LLVMBuildFNeg(cg->b, a.im, ""), false };
	case IR_REAL: return (struct value){ .re = a.re };
	case IR_IMAG: return (struct value){ .re = a.im };
	case IR_ABS: {
		struct value parts[] = { { .re = a.re }, { .re = a.im } };
		return cg_call_function(cg, FUNCTION_hypot, dtype_real(d), parts);
	}
	default: return complex_class(cg, op, a);
	}
}

/* --- all --- */

static const struct comparison {
	LLVMRealPredicate real;
	LLVMIntPredicate with_sign, without_sign;
} comparisons[IR_OP_COUNT] = {
	[IR_LT] = { LLVMRealOLT, LLVMIntSLT, LLVMIntULT }, [IR_LE] = { LLVMRealOLE, LLVMIntSLE, LLVMIntULE },
	[IR_GT] = { LLVMRealOGT, LLVMIntSGT, LLVMIntUGT }, [IR_GE] = { LLVMRealOGE, LLVMIntSGE, LLVMIntUGE },
	[IR_EQ] = { LLVMRealOEQ, LLVMIntEQ, LLVMIntEQ },   [IR_NE] = { LLVMRealUNE, LLVMIntNE, LLVMIntNE },
};

LLVMValueRef cg_compare(struct codegen *cg, enum ir_op op, enum dtype d, struct value a, struct value b)
{
	const struct comparison *c = &comparisons[op];
	switch (cg_class_of(d)) {
	case CLASS_COMPLEX: {
		LLVMValueRef re = float_test(cg, c->real, a.re, b.re), im = float_test(cg, c->real, a.im, b.im);
		return op == IR_EQ ? LLVMBuildAnd(cg->b, re, im, "") : LLVMBuildOr(cg->b, re, im, "");
	}
	case CLASS_REAL: return float_test(cg, c->real, a.re, b.re);
	case CLASS_SIGNED: return int_test(cg, c->with_sign, a.re, b.re);
	default: return int_test(cg, c->without_sign, a.re, b.re);
	}
}

static struct value apply(struct codegen *cg, const struct ir_expr *e, enum ir_op op, enum dtype d, struct value a, struct value b)
{
	if (comparisons[op].real)
		return (struct value){ .re = cg_compare(cg, op, d, a, b) };
	struct value v;
	if (op == IR_COMPLEX)
		v = (struct value){ a.re, b.re, false };
	else if (cg_class_of(d) == CLASS_COMPLEX)
		v = complex_arithmetic(cg, op, d, a, b);
	else if (cg_class_of(d) == CLASS_REAL)
		v = (struct value){ .re = float_arithmetic(cg, e, op, d, a, b) };
	else
		v = (struct value){ .re = int_arithmetic(cg, e, op, d, a.re, b.re) };
	v.reduces = (a.reduces || b.reduces) && (op == IR_ADD || op == IR_SUB || op == IR_MUL);
	return v;
}

struct value cg_operate(struct codegen *cg, const struct ir_expr *e, struct value a, struct value b)
{
	return apply(cg, e, e->op, e->a->dtype, a, b);
}

struct value cg_combine(struct codegen *cg, enum ir_op op, enum dtype d, struct value a, struct value b)
{
	return apply(cg, NULL, op, d, a, b);
}
