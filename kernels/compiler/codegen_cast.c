/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Casts. LLVM leaves a float that does not fit its integer undefined, so such values are exchanged before the conversion.
 */
#include "kernels/compiler/codegen_private.h"
#include "kernels/compiler/types.h"

#include <math.h>

static LLVMValueRef truth(struct codegen *cg, enum dtype from, struct value v)
{
	LLVMValueRef zero = LLVMConstNull(LLVMTypeOf(v.re));
	if (cg_class_of(from) != CLASS_REAL && cg_class_of(from) != CLASS_COMPLEX)
		return LLVMBuildICmp(cg->b, LLVMIntNE, v.re, zero, "");
	LLVMValueRef re = LLVMBuildFCmp(cg->b, LLVMRealUNE, v.re, zero, "");
	return v.im ? LLVMBuildOr(cg->b, re, LLVMBuildFCmp(cg->b, LLVMRealUNE, v.im, zero, ""), "") : re;
}

/* Is lo - 1 < v < hi, that is: does v without its fraction lie in [lo, hi)? Where lo - 1 is no float of the type, nothing lies between it and lo. */
static LLVMValueRef within(struct codegen *cg, LLVMValueRef v, enum dtype from, double lo, double hi)
{
	LLVMTypeRef type = LLVMTypeOf(v);
	bool exact = from == DTYPE_F32 ? (double)(float)(lo - 1) == lo - 1 && fabs(lo) < 0x1p24 : fabs(lo) < 0x1p53;
	LLVMValueRef above = LLVMBuildFCmp(cg->b, exact ? LLVMRealOGT : LLVMRealOGE, v, LLVMConstReal(type, exact ? lo - 1 : lo), "");
	return LLVMBuildAnd(cg->b, above, LLVMBuildFCmp(cg->b, LLVMRealOLT, v, LLVMConstReal(type, hi), ""), "");
}

/* As the processor's own conversion: the least value for what does not fit. */
static LLVMValueRef convert(struct codegen *cg, LLVMValueRef v, enum dtype from, unsigned bits)
{
	LLVMTypeRef type = LLVMTypeOf(v);
	double hi = bits == 64 ? 0x1p63 : 0x1p31;
	LLVMValueRef safe = cg_select_value(cg, within(cg, v, from, -hi, hi), v, LLVMConstReal(type, -hi));
	return LLVMBuildFPToSI(cg->b, safe, bits == 64 ? cg->i64 : cg->i32, "");
}

/* uint64 from 2^63 up: the excess is converted, and the bit put back. */
static LLVMValueRef convert_u64(struct codegen *cg, LLVMValueRef v, enum dtype from)
{
	LLVMValueRef half = LLVMConstReal(LLVMTypeOf(v), 0x1p63);
	LLVMValueRef large = LLVMBuildFCmp(cg->b, LLVMRealOGE, v, half, "");
	LLVMValueRef rest = convert(cg, cg_select_value(cg, large, LLVMBuildFSub(cg->b, v, half, ""), v), from, 64);
	LLVMValueRef bit = cg_select_value(cg, large, cg_int_const(cg->i64, INT64_MIN), LLVMConstNull(cg->i64));
	return LLVMBuildXor(cg->b, rest, bit, "");
}

static LLVMValueRef float_to_int(struct codegen *cg, const struct ir_expr *e, enum dtype from, LLVMValueRef v)
{
	enum dtype to = e->dtype;
	unsigned bits = 8 * (unsigned)dtype_size(to);
	if (e->checked) {
		bool is_signed = dtype_is_signed(to);
		LLVMValueRef ok = within(cg, v, from, is_signed ? -ldexp(1, (int)bits - 1) : 0, ldexp(1, (int)bits - is_signed));
		cg_fail_unless(cg, ok, KERNEL_CAST, e->line, IR_NONE, NULL, NULL);
	}
	if (to == DTYPE_U64)
		return convert_u64(cg, v, from);
	LLVMValueRef converted = convert(cg, v, from, to == DTYPE_I64 || to == DTYPE_U32 ? 64 : 32);
	return LLVMBuildTruncOrBitCast(cg->b, converted, cg->component[to], "");
}

static LLVMValueRef int_to_int(struct codegen *cg, enum dtype from, enum dtype to, LLVMValueRef v)
{
	LLVMTypeRef type = cg->component[to];
	if (from != DTYPE_BOOL && dtype_size(to) <= dtype_size(from))
		return LLVMBuildTruncOrBitCast(cg->b, v, type, "");
	return dtype_is_signed(from) ? LLVMBuildSExt(cg->b, v, type, "") : LLVMBuildZExt(cg->b, v, type, "");
}

static LLVMValueRef to_float(struct codegen *cg, enum dtype from, LLVMTypeRef type, LLVMValueRef v)
{
	if (cg_class_of(from) == CLASS_REAL || cg_class_of(from) == CLASS_COMPLEX)
		return LLVMBuildFPCast(cg->b, v, type, "");
	return dtype_is_signed(from) ? LLVMBuildSIToFP(cg->b, v, type, "") : LLVMBuildUIToFP(cg->b, v, type, "");
}

struct value cg_cast_value(struct codegen *cg, const struct ir_expr *e, struct value v)
{
	enum dtype from = e->a->dtype, to = e->dtype;
	LLVMTypeRef type = cg->component[to];
	switch (cg_class_of(to)) {
	case CLASS_BOOL: return (struct value){ .re = truth(cg, from, v) };
	case CLASS_REAL: return (struct value){ .re = to_float(cg, from, type, v.re) };
	case CLASS_COMPLEX:
		return (struct value){ to_float(cg, from, type, v.re), v.im ? to_float(cg, from, type, v.im) : LLVMConstNull(type), false };
	default:
		if (cg_class_of(from) == CLASS_REAL || cg_class_of(from) == CLASS_COMPLEX)
			return (struct value){ .re = float_to_int(cg, e, dtype_real(from), v.re) };
		return (struct value){ .re = int_to_int(cg, from, to, v.re) };
	}
}
