/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The parts of the code generator:
 *	codegen.c           the module: LLVM set up, passes, object bytes
 *	codegen_types.c     what values look like in registers and in memory; layouts of runtime.h
 *	codegen_slots.c     locals and array slots, addresses of elements, bounds
 *	codegen_operate.c   operators
 *	codegen_cast.c      casts
 *	codegen_expr.c      expressions
 *	codegen_stmt.c      statements
 *	codegen_routine.c   the frame around them: the entry function, failures, polls
 *	codegen_loop.c      loops that run in order, polls, guarded versions
 *	codegen_parallel.c  loops cut into chunks, reductions
 *
 * Everything mutable is an alloca; LLVM makes registers of it.
 */
#ifndef COMPILER_CODEGEN_PRIVATE_H
#define COMPILER_CODEGEN_PRIVATE_H

#include "kernels/compiler/codegen.h"

#include <llvm-c/Core.h>

/* Counted into cache keys: raise it whenever the same IR gives other code. */
enum { CODEGEN_VERSION = 3 };

enum scalar_class { CLASS_BOOL, CLASS_SIGNED, CLASS_UNSIGNED, CLASS_REAL, CLASS_COMPLEX };

/* A scalar in registers. `reduces`: it is the running value of a float sum or product of a parallel loop, whose order is free. */
struct value {
	LLVMValueRef re, im; /* im: complex only */
	bool reduces;
};

/* An array slot: allocas. Strides of contiguous slots and lists follow from the shape and have none; only lists have a capacity. */
struct slot {
	LLVMValueRef data, capacity;
	LLVMValueRef shape[KERNEL_MAX_RANK], stride[KERNEL_MAX_RANK];
};

struct loop_exits {
	LLVMBasicBlockRef next, end; /* of CONTINUE and BREAK */
};

/* What the body of the loop that is being built would like of the vectoriser, and whether it must be left alone: a float that is carried from
 * one iteration to the next, and is no free sum, keeps its order; LLVM would change it in a loop with hints. */
struct vector_wish {
	uint32_t loop;                 /* number of the loop, from 1 */
	unsigned lanes;                /* of the vector functions it calls, 0 if none */
	size_t sum_bytes;              /* of a free sum it adds to, 0 if none */
	bool carried;
	bool straight, jumped;         /* the code here runs in every iteration; a statement before may have skipped some */
};

/* In which loop (number) a local was last read before it was surely written, set, and surely written. */
struct local_use {
	uint32_t read, set, written;
};

/* Something of the entry function that a chunk uses: copied into the frame at the offset. */
struct capture {
	bool is_array;
	uint32_t id;
	uint64_t offset;
};

/* A reduction inside its loop. A free sum collects in its local what one iteration adds, and then adds that to the total: so a conditional
 * addition is one to the vectoriser too. `changed` is set with the local, for winners that ties replace: a chunk without any must not win. */
struct reduction_state {
	struct value total;
	LLVMValueRef changed;          /* i1 */
	LLVMValueRef key;              /* of a float MIN or MAX: an integer of the same order, which LLVM vectorises */
};

/* The machine function that is being built: the entry, or a chunk of a parallel loop. */
struct routine {
	LLVMValueRef function, ctx;
	LLVMValueRef frame;            /* NULL in the entry */
	LLVMBuilderRef head;           /* at the end of the first block: allocas and what is loaded once */
	LLVMBasicBlockRef start, failed;
	LLVMBasicBlockRef done;        /* where RETURN goes; only in the entry */
	LLVMValueRef attention, cancelled;
	LLVMValueRef scratch;          /* bytes on the stack for calls of the runtime; as large as the largest use */
	uint64_t nscratch;
	struct value *locals;          /* [nlocals] allocas, .re NULL until first met */
	struct slot *slots;            /* [narrays] likewise by .data */
	struct capture *captures;      /* of a chunk */
	uint32_t ncaptures;
	uint64_t nframe;
	LLVMValueRef columns;          /* of a chunk: where the results of chunks go */
	const struct ir_loop *chunk;   /* the parallel loop, or NULL */
	const struct ir_loop *reducing; /* the loop whose reductions are collected here: the chunk's, or one of an array expression */
	struct reduction_state *state; /* [nreductions] of it */
	struct routine *outer;         /* whose code goes on at `resume` when this is done */
	LLVMBasicBlockRef resume;
	struct loop_exits exits;
};

struct codegen {
	LLVMContextRef context;
	LLVMModuleRef module;
	LLVMBuilderRef b;
	LLVMTypeRef i1, i8, i32, i64, pointer, none;
	LLVMTypeRef component[DTYPE_COUNT]; /* in registers; of complex types one part */
	LLVMMetadataRef independent;   /* access group of the memory accesses in parallel loops */
	const struct ir_function *f;
	const char *symbol;
	struct routine *r;
	LLVMBasicBlockRef *labels;     /* [nlabels] ends of the blocks we are in */
	struct vector_wish wish;
	struct local_use *uses;        /* [nlocals] */
	uint32_t nloops;
	bool guarded;                  /* inside the fast version of a guarded loop */
	bool light_parallel;           /* inside the innermost body of a parallel loop: its iterations touch different memory */
	uint32_t line;                 /* of the statement */
	unsigned nchunks;
	const struct ir_expr **chain;  /* expressions that wait for their first operand */
	size_t nchain, chain_capacity;
	LLVMValueRef *kept;            /* vector functions, for llvm.compiler.used */
	unsigned nkept;
	bool failed;                   /* no memory */
};

/* --- codegen_types.c --- */
void cg_types_init(struct codegen *cg);
enum scalar_class cg_class_of(enum dtype d);
bool cg_is_complex(enum dtype d);
LLVMTypeRef cg_memory_type(struct codegen *cg, enum dtype d);
LLVMValueRef cg_int_const(LLVMTypeRef type, int64_t value);
struct value cg_constant_value(struct codegen *cg, enum dtype d, const union kernel_scalar *s);
struct value cg_zero_value(struct codegen *cg, enum dtype d);
LLVMValueRef cg_byte_at(struct codegen *cg, LLVMBuilderRef b, LLVMValueRef base, uint64_t offset);
LLVMValueRef cg_load_at(struct codegen *cg, LLVMBuilderRef b, LLVMTypeRef type, LLVMValueRef base, uint64_t offset);
void cg_store_at(struct codegen *cg, LLVMBuilderRef b, LLVMValueRef v, LLVMValueRef base, uint64_t offset);
struct value cg_load_element(struct codegen *cg, enum dtype d, LLVMValueRef address);
void cg_store_element(struct codegen *cg, enum dtype d, LLVMValueRef address, struct value v);
struct value cg_load_scalar(struct codegen *cg, LLVMBuilderRef b, enum dtype d, LLVMValueRef scalar);             /* union kernel_scalar */
void cg_store_scalar(struct codegen *cg, LLVMBuilderRef b, enum dtype d, LLVMValueRef scalar, struct value v);
LLVMValueRef cg_call_named(struct codegen *cg, const char *name, LLVMValueRef *args, unsigned nargs);
LLVMValueRef cg_call_intrinsic(struct codegen *cg, const char *name, LLVMTypeRef overload, LLVMValueRef *args, unsigned nargs);

/* --- codegen_slots.c --- */
LLVMValueRef cg_stack_variable(struct codegen *cg, LLVMTypeRef type);
struct value *cg_local_of(struct codegen *cg, uint32_t local);
struct slot *cg_slot_of(struct codegen *cg, uint32_t array);
struct value cg_get_local(struct codegen *cg, uint32_t local);
void cg_set_local(struct codegen *cg, uint32_t local, struct value v);
LLVMValueRef cg_get_shape(struct codegen *cg, uint32_t array, unsigned axis);
LLVMValueRef cg_get_stride(struct codegen *cg, uint32_t array, unsigned axis);
LLVMValueRef cg_get_i64(struct codegen *cg, LLVMValueRef variable);
LLVMValueRef cg_get_data(struct codegen *cg, uint32_t array);
void cg_write_descriptor(struct codegen *cg, uint32_t array, LLVMValueRef to);      /* struct kernel_array from the slot */
void cg_read_descriptor(struct codegen *cg, LLVMBuilderRef b, uint32_t array, LLVMValueRef from);
LLVMValueRef cg_element_address(struct codegen *cg, uint32_t array, struct ir_expr *const *index, const uint8_t *flags, uint32_t line);
LLVMValueRef cg_scratch(struct codegen *cg, uint64_t nbytes);

/* --- codegen_operate.c, codegen_cast.c, codegen_expr.c --- */
struct value cg_operate(struct codegen *cg, const struct ir_expr *e, struct value a, struct value b);
struct value cg_combine(struct codegen *cg, enum ir_op op, enum dtype d, struct value a, struct value b); /* ADD MUL MAXIMUM MINIMUM BIT.. */
LLVMValueRef cg_compare(struct codegen *cg, enum ir_op op, enum dtype d, struct value a, struct value b);
LLVMValueRef cg_select_value(struct codegen *cg, LLVMValueRef test, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef cg_float_op(struct codegen *cg, LLVMOpcode op, LLVMValueRef a, LLVMValueRef b, bool reduces);
LLVMValueRef cg_relaxed(struct codegen *cg, LLVMValueRef v, bool reduces);          /* with the fast-math flags that are allowed */
struct value cg_pure_call(struct codegen *cg, const char *name, enum dtype d, const struct value *args, unsigned nargs);
struct value cg_call_function(struct codegen *cg, enum function f, enum dtype d, const struct value *args);
struct value cg_cast_value(struct codegen *cg, const struct ir_expr *e, struct value v);
struct value cg_expr(struct codegen *cg, const struct ir_expr *e);
LLVMValueRef cg_scalar(struct codegen *cg, const struct ir_expr *e);

/* --- codegen_stmt.c --- */
void cg_block(struct codegen *cg, const struct ir_block *block);

/* --- codegen_routine.c --- */
LLVMBasicBlockRef cg_new_block(struct codegen *cg, const char *name);
void cg_continue_at(struct codegen *cg, LLVMBasicBlockRef block);   /* branch there unless the block has ended, and go on there */
bool cg_block_ended(struct codegen *cg);
void cg_branch_if(struct codegen *cg, LLVMValueRef test, LLVMBasicBlockRef yes, LLVMBasicBlockRef no);
void cg_fail_unless(struct codegen *cg, LLVMValueRef ok, enum kernel_error_code code, uint32_t line, uint32_t array, LLVMValueRef v0,
		    LLVMValueRef v1);
void cg_fail_if_status(struct codegen *cg, LLVMValueRef status);    /* what the runtime returned: not 0 ends the function */
void cg_poll(struct codegen *cg);
bool cg_routine_begin(struct codegen *cg, struct routine *r, const char *name, LLVMTypeRef type); /* false without memory */
void cg_routine_end(struct codegen *cg);                            /* back to where the outer routine was */
void cg_routine_free(struct routine *r);
void cg_entry(struct codegen *cg);

/* --- codegen_loop.c --- */
struct iterations {
	const struct ir_stmt *s;
	LLVMValueRef start, step;      /* int64: the variable is start + number * step */
	LLVMValueRef lo, hi;           /* numbers, unsigned */
};
void cg_for(struct codegen *cg, const struct ir_stmt *s);
void cg_forever(struct codegen *cg, const struct ir_stmt *s);
void cg_iterations(struct codegen *cg, const struct iterations *it);
void cg_note_read(struct codegen *cg, uint32_t local);
void cg_note_set(struct codegen *cg, uint32_t local);

/* --- codegen_parallel.c --- */
void cg_reduce_in_order(struct codegen *cg, const struct iterations *it); /* a loop of an array expression that is not parallel itself */
void cg_parallel(struct codegen *cg, const struct ir_stmt *s, LLVMValueRef start, LLVMValueRef step, LLVMValueRef trips);
const struct ir_reduction *cg_reduction_of(const struct ir_loop *loop, uint32_t local, uint32_t *at);
bool cg_is_free_sum(const struct codegen *cg, const struct ir_reduction *reduction); /* float SUM, PROD: the order within a chunk is free */
bool cg_update_key(struct codegen *cg, const struct ir_stmt *s); /* a SET of a MIN or MAX; false if it is none that has a key */
void cg_start_addends(struct codegen *cg, const struct ir_loop *loop);
void cg_add_addends(struct codegen *cg, const struct ir_loop *loop);

#endif
