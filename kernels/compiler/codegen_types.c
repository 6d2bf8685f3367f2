/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What values look like. In registers a bool is i1, a complex number two floats. In memory a bool is a byte; elements may lie at any address
 * (clients send views of records), so accesses promise no alignment: x86 does not mind.
 */
#include "kernels/compiler/codegen_private.h"
#include "kernels/compiler/types.h"

#include <complex.h>
#include <string.h>

/* What codegen_slots.c and codegen_stmt.c know of runtime.h. */
_Static_assert(sizeof(union kernel_scalar) == 16, "scalars are 16 bytes");
_Static_assert(offsetof(struct kernel_context, call) == 0, "a context begins with its call");
_Static_assert(sizeof(atomic_bool) == 1 && sizeof(atomic_int) == 4, "flags are bytes");

void cg_types_init(struct codegen *cg)
{
	LLVMContextRef c = cg->context;
	cg->i1 = LLVMInt1TypeInContext(c);
	cg->i8 = LLVMInt8TypeInContext(c);
	cg->i32 = LLVMInt32TypeInContext(c);
	cg->i64 = LLVMInt64TypeInContext(c);
	cg->pointer = LLVMPointerTypeInContext(c, 0);
	cg->none = LLVMVoidTypeInContext(c);
	for (enum dtype d = 0; d < DTYPE_COUNT; d++)
		if (dtype_is_integer(d))
			cg->component[d] = LLVMIntTypeInContext(c, 8 * (unsigned)dtype_size(d));
	cg->component[DTYPE_BOOL] = cg->i1;
	cg->component[DTYPE_F16] = LLVMHalfTypeInContext(c);
	cg->component[DTYPE_F32] = cg->component[DTYPE_C64] = LLVMFloatTypeInContext(c);
	cg->component[DTYPE_F64] = cg->component[DTYPE_C128] = LLVMDoubleTypeInContext(c);
}

enum scalar_class cg_class_of(enum dtype d)
{
	if (d == DTYPE_BOOL)
		return CLASS_BOOL;
	if (dtype_is_integer(d))
		return dtype_is_signed(d) ? CLASS_SIGNED : CLASS_UNSIGNED;
	return dtype_is_complex(d) ? CLASS_COMPLEX : CLASS_REAL;
}

bool cg_is_complex(enum dtype d)
{
	return dtype_is_complex(d);
}

LLVMTypeRef cg_memory_type(struct codegen *cg, enum dtype d)
{
	if (d == DTYPE_BOOL)
		return cg->i8;
	return cg_is_complex(d) ? LLVMArrayType2(cg->component[d], 2) : cg->component[d];
}

LLVMValueRef cg_int_const(LLVMTypeRef type, int64_t value)
{
	return LLVMConstInt(type, (unsigned long long)value, 1);
}

struct value cg_constant_value(struct codegen *cg, enum dtype d, const union kernel_scalar *s)
{
	LLVMTypeRef type = cg->component[d];
	switch (d) {
	case DTYPE_F32:
		return (struct value){ .re = LLVMConstReal(type, s->f32) };
	case DTYPE_F64:
		return (struct value){ .re = LLVMConstReal(type, s->f64) };
	case DTYPE_C64:
		return (struct value){ LLVMConstReal(type, crealf(s->c64)), LLVMConstReal(type, cimagf(s->c64)), false };
	case DTYPE_C128:
		return (struct value){ LLVMConstReal(type, creal(s->c128)), LLVMConstReal(type, cimag(s->c128)), false };
	default:
		return (struct value){ .re = cg_int_const(type, s->i) };
	}
}

struct value cg_zero_value(struct codegen *cg, enum dtype d)
{
	LLVMValueRef zero = LLVMConstNull(cg->component[d]);
	return (struct value){ zero, cg_is_complex(d) ? zero : NULL, false };
}

/* --- memory --- */

LLVMValueRef cg_byte_at(struct codegen *cg, LLVMBuilderRef b, LLVMValueRef base, uint64_t offset)
{
	LLVMValueRef index = LLVMConstInt(cg->i64, offset, 0);
	return offset ? LLVMBuildInBoundsGEP2(b, cg->i8, base, &index, 1, "") : base;
}

static LLVMValueRef load_plain(LLVMBuilderRef b, LLVMTypeRef type, LLVMValueRef address, unsigned alignment)
{
	LLVMValueRef v = LLVMBuildLoad2(b, type, address, "");
	LLVMSetAlignment(v, alignment);
	return v;
}

/* Fields of our own structures; 8 bytes are aligned, less is not relied on. */
LLVMValueRef cg_load_at(struct codegen *cg, LLVMBuilderRef b, LLVMTypeRef type, LLVMValueRef base, uint64_t offset)
{
	return load_plain(b, type, cg_byte_at(cg, b, base, offset), 4);
}

void cg_store_at(struct codegen *cg, LLVMBuilderRef b, LLVMValueRef v, LLVMValueRef base, uint64_t offset)
{
	LLVMSetAlignment(LLVMBuildStore(b, v, cg_byte_at(cg, b, base, offset)), 4);
}

/* Accesses whose iterations are proved apart need no check of overlap. */
static LLVMValueRef note_access(struct codegen *cg, LLVMValueRef access)
{
	LLVMSetAlignment(access, 1);
	if (cg->light_parallel)
		LLVMSetMetadata(access, LLVMGetMDKindIDInContext(cg->context, "llvm.access.group", 17),
				LLVMMetadataAsValue(cg->context, cg->independent));
	return access;
}

static LLVMValueRef part(struct codegen *cg, enum dtype d, LLVMValueRef address, int imaginary)
{
	LLVMValueRef index = cg_int_const(cg->i64, imaginary);
	return imaginary ? LLVMBuildInBoundsGEP2(cg->b, cg->component[d], address, &index, 1, "") : address;
}

struct value cg_load_element(struct codegen *cg, enum dtype d, LLVMValueRef address)
{
	LLVMTypeRef type = d == DTYPE_BOOL ? cg->i8 : cg->component[d];
	struct value v = { .re = note_access(cg, LLVMBuildLoad2(cg->b, type, address, "")) };
	if (cg_is_complex(d))
		v.im = note_access(cg, LLVMBuildLoad2(cg->b, type, part(cg, d, address, 1), ""));
	else if (d == DTYPE_BOOL)
		v.re = LLVMBuildICmp(cg->b, LLVMIntNE, v.re, LLVMConstNull(cg->i8), "");
	else if (d == DTYPE_F16)
		v.re = LLVMBuildFPExt(cg->b, v.re, cg->component[DTYPE_F32], "");
	return v;
}

void cg_store_element(struct codegen *cg, enum dtype d, LLVMValueRef address, struct value v)
{
	if (d == DTYPE_BOOL)
		v.re = LLVMBuildZExt(cg->b, v.re, cg->i8, "");
	else if (d == DTYPE_F16)
		v.re = LLVMBuildFPTrunc(cg->b, v.re, cg->component[DTYPE_F16], "");
	note_access(cg, LLVMBuildStore(cg->b, v.re, address));
	if (cg_is_complex(d))
		note_access(cg, LLVMBuildStore(cg->b, v.im, part(cg, d, address, 1)));
}

/* --- union kernel_scalar --- */

struct value cg_load_scalar(struct codegen *cg, LLVMBuilderRef b, enum dtype d, LLVMValueRef scalar)
{
	LLVMTypeRef type = cg->component[d];
	switch (cg_class_of(d)) {
	case CLASS_COMPLEX:
		return (struct value){ cg_load_at(cg, b, type, scalar, 0), cg_load_at(cg, b, type, scalar, dtype_size(d) / 2), false };
	case CLASS_REAL:
		return (struct value){ .re = cg_load_at(cg, b, type, scalar, 0) };
	case CLASS_BOOL:
		return (struct value){ .re = LLVMBuildICmp(b, LLVMIntNE, cg_load_at(cg, b, cg->i64, scalar, 0), LLVMConstNull(cg->i64), "") };
	default:
		return (struct value){ .re = LLVMBuildTrunc(b, cg_load_at(cg, b, cg->i64, scalar, 0), type, "") };
	}
}

void cg_store_scalar(struct codegen *cg, LLVMBuilderRef b, enum dtype d, LLVMValueRef scalar, struct value v)
{
	enum scalar_class class = cg_class_of(d);
	if (class == CLASS_SIGNED)
		v.re = LLVMBuildSExt(b, v.re, cg->i64, "");
	else if (class == CLASS_BOOL || class == CLASS_UNSIGNED)
		v.re = LLVMBuildZExt(b, v.re, cg->i64, "");
	cg_store_at(cg, b, v.re, scalar, 0);
	if (class == CLASS_COMPLEX)
		cg_store_at(cg, b, v.im, scalar, dtype_size(d) / 2);
}

/* --- calls --- */

/* A function that the skeleton of codegen.c declares. */
LLVMValueRef cg_call_named(struct codegen *cg, const char *name, LLVMValueRef *args, unsigned nargs)
{
	LLVMValueRef callee = LLVMGetNamedFunction(cg->module, name);
	return LLVMBuildCall2(cg->b, LLVMGlobalGetValueType(callee), callee, args, nargs, "");
}

LLVMValueRef cg_call_intrinsic(struct codegen *cg, const char *name, LLVMTypeRef overload, LLVMValueRef *args, unsigned nargs)
{
	LLVMValueRef callee = LLVMGetIntrinsicDeclaration(cg->module, LLVMLookupIntrinsicID(name, strlen(name)), &overload, 1);
	return LLVMBuildCall2(cg->b, LLVMGlobalGetValueType(callee), callee, args, nargs, "");
}
