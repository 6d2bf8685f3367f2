/* SPDX-License-Identifier: BSD-3-Clause
 *
 * LLJIT, used as a linker only: it never compiles. Objects go into a library of their own that is not joined to the process; what they may call
 * is defined there beforehand, address by address. Each object has a resource tracker, by which its memory is given back.
 */
#include "kernels/compiler/jit.h"

#include "kernels/compiler/codegen.h"
#include "kernels/compiler/functions.h"

#include <complex.h>
#include <dlfcn.h>
#include <llvm-c/Core.h>
#include <llvm-c/Error.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Orc.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Names of removed objects stay in LLVM's pool until it is told; telling it stops all other threads. */
enum { UNLINKS_PER_SWEEP = 256 };

struct jit {
	LLVMOrcLLJITRef lljit;
	LLVMOrcExecutionSessionRef session;
	LLVMOrcJITDylibRef library;
	atomic_uint nunlinked;
};

struct jit_code {
	struct jit *jit;
	LLVMOrcResourceTrackerRef tracker;
};

/* --- what objects may call --- */

/* What the code generator may call on its own account, where the processor has no instruction (all it knows how to ask for of libgcc and libc). */
uint16_t __truncsfhf2(float);
float __extendhfsf2(uint16_t);

#define NAMED(name) { #name, (void *)name }
static const struct fixed_symbol {
	const char *name;
	void *address;
} fixed[] = {
	NAMED(kernel_fail), NAMED(kernel_poll), NAMED(kernel_alloc), NAMED(kernel_list_grow), NAMED(kernel_mark), NAMED(kernel_release),
	NAMED(kernel_parallel_over), NAMED(kernel_procedure), NAMED(kernel_pow_i64), NAMED(kernel_floordiv_f64), NAMED(kernel_mod_f64),
	NAMED(kernel_floordiv_f32), NAMED(kernel_mod_f32), NAMED(kernel_div_c128), NAMED(kernel_div_c64),
	{ "csqrt_c128", (void *)csqrt }, { "csqrt_c64", (void *)csqrtf },
	NAMED(memcpy), NAMED(memmove), NAMED(memset), NAMED(memcmp), NAMED(bcmp), NAMED(fmod), NAMED(fmodf), NAMED(sqrt), NAMED(sqrtf),
	NAMED(floor), NAMED(floorf), NAMED(ceil), NAMED(ceilf), NAMED(trunc), NAMED(truncf), NAMED(rint), NAMED(rintf), NAMED(fma), NAMED(fmaf),
	NAMED(__truncsfhf2), NAMED(__extendhfsf2),
};

enum { VARIANTS = 9 * FUNCTION_COUNT, MAX_SYMBOLS = sizeof fixed / sizeof *fixed + VARIANTS };

struct symbols {
	LLVMOrcCSymbolMapPair list[MAX_SYMBOLS];
	size_t n;
	LLVMOrcExecutionSessionRef session;
};

static void add_symbol(struct symbols *s, const char *name, void *address)
{
	if (!address)
		return;
	s->list[s->n++] = (LLVMOrcCSymbolMapPair){
		.Name = LLVMOrcExecutionSessionIntern(s->session, name),
		.Sym = { (LLVMOrcExecutorAddress)(uintptr_t)address, { LLVMJITSymbolGenericFlagsExported | LLVMJITSymbolGenericFlagsCallable, 0 } },
	};
}

/* The names are those of emit_call() and offer_vector_version() in codegen_expr.c. */
static void add_function(struct symbols *s, enum function f)
{
	static const struct {
		enum dtype dtype;
		const char *suffix;
	} kinds[] = { { DTYPE_F32, "f32" }, { DTYPE_F64, "f64" }, { DTYPE_C64, "c64" }, { DTYPE_C128, "c128" } };
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		char name[64];
		for (int high = 0; high < 2; high++) {
			snprintf(name, sizeof name, "%s_%s%s", functions[f].libm, kinds[i].suffix, high ? "_accurate" : "");
			add_symbol(s, name, function_address(f, kinds[i].dtype, high));
		}
	}
	for (size_t i = 0; i < 2; i++) {
		unsigned lanes;
		const char *vector = function_vector(f, kinds[i].dtype, &lanes);
		if (vector)
			add_symbol(s, vector, dlsym(RTLD_DEFAULT, vector));
	}
}

/* --- errors --- */

static void ignore_error(void *arg, LLVMErrorRef error)
{
	(void)arg;
	LLVMConsumeError(error);
}

/* May this process turn memory it has written into code? A security policy may forbid it (PR_SET_MDWE, seccomp, SELinux). */
static bool may_execute(void)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return false;
	*(volatile char *)page = 0;
	bool ok = mprotect(page, size, PROT_READ | PROT_EXEC) == 0;
	munmap(page, size);
	return ok;
}

static enum status failed(struct error *e, const char *what, LLVMErrorRef error)
{
	char *message = LLVMGetErrorMessage(error);
	enum status status = may_execute() ? STATUS_INTERNAL : STATUS_UNAVAILABLE;
	error_set(e, status, NULL, NULL, "%s: %s", what, message);
	LLVMDisposeErrorMessage(message);
	return status;
}

/* --- life --- */

static LLVMErrorRef define_symbols(struct jit *jit)
{
	struct symbols *s = calloc(1, sizeof *s);
	if (!s)
		return LLVMCreateStringError("no memory");
	s->session = jit->session;
	for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
		add_symbol(s, fixed[i].name, fixed[i].address);
	for (enum function f = 0; f < FUNCTION_COUNT; f++)
		add_function(s, f);
	LLVMOrcMaterializationUnitRef unit = LLVMOrcAbsoluteSymbols(s->list, s->n);
	free(s);
	LLVMErrorRef error = LLVMOrcJITDylibDefine(jit->library, unit);
	if (error)
		LLVMOrcDisposeMaterializationUnit(unit);
	return error;
}

struct jit *jit_new(struct error *e)
{
	if (codegen_init(e))
		return NULL;
	if (!may_execute()) {
		error_set(e, STATUS_UNAVAILABLE, NULL, NULL, "this process may not make memory executable");
		return NULL;
	}
	struct jit *jit = calloc(1, sizeof *jit);
	if (!jit) {
		error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
		return NULL;
	}
	LLVMErrorRef error = LLVMOrcCreateLLJIT(&jit->lljit, NULL);
	if (!error) {
		jit->session = LLVMOrcLLJITGetExecutionSession(jit->lljit);
		LLVMOrcExecutionSessionSetErrorReporter(jit->session, ignore_error, NULL);
		jit->library = LLVMOrcExecutionSessionCreateBareJITDylib(jit->session, "kernels");
		error = define_symbols(jit);
	}
	if (!error)
		return jit;
	failed(e, "linker", error);
	jit_free(jit);
	return NULL;
}

void jit_free(struct jit *jit)
{
	if (!jit)
		return;
	if (jit->lljit)
		LLVMConsumeError(LLVMOrcDisposeLLJIT(jit->lljit));
	free(jit);
}

/* --- linking --- */

/* LLVM answers a lookup by a call, which may come later and on another thread. */
struct answer {
	pthread_mutex_t mutex;
	pthread_cond_t came;
	bool done;
	LLVMErrorRef error;
	LLVMOrcExecutorAddress address;
};

static void take_answer(LLVMErrorRef error, LLVMOrcCSymbolMapPairs result, size_t n, void *arg)
{
	struct answer *answer = arg;
	pthread_mutex_lock(&answer->mutex);
	answer->error = error;
	if (!error && n)
		answer->address = result[0].Sym.Address;
	answer->done = true;
	pthread_cond_signal(&answer->came);
	pthread_mutex_unlock(&answer->mutex);
}

static LLVMErrorRef look_up(struct jit *jit, const char *symbol, LLVMOrcExecutorAddress *address)
{
	struct answer answer = { .mutex = PTHREAD_MUTEX_INITIALIZER, .came = PTHREAD_COND_INITIALIZER };
	LLVMOrcCJITDylibSearchOrderElement order = { jit->library, LLVMOrcJITDylibLookupFlagsMatchExportedSymbolsOnly };
	LLVMOrcCLookupSetElement name = { LLVMOrcExecutionSessionIntern(jit->session, symbol), LLVMOrcSymbolLookupFlagsRequiredSymbol };
	LLVMOrcExecutionSessionLookup(jit->session, LLVMOrcLookupKindStatic, &order, 1, &name, 1, take_answer, &answer);
	pthread_mutex_lock(&answer.mutex);
	while (!answer.done)
		pthread_cond_wait(&answer.came, &answer.mutex);
	pthread_mutex_unlock(&answer.mutex);
	pthread_mutex_destroy(&answer.mutex);
	pthread_cond_destroy(&answer.came);
	*address = answer.address;
	return answer.error;
}

enum status jit_link(struct jit *jit, const uint8_t *object, size_t nobject, const char *symbol, struct jit_code **code, kernel_entry **entry,
		     struct error *e)
{
	struct jit_code *c = calloc(1, sizeof *c);
	*code = NULL;
	if (!c)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	c->jit = jit;
	c->tracker = LLVMOrcJITDylibCreateResourceTracker(jit->library);
	LLVMOrcExecutorAddress address = 0;
	LLVMMemoryBufferRef buffer = LLVMCreateMemoryBufferWithMemoryRangeCopy((const char *)object, nobject, symbol);
	LLVMErrorRef error = LLVMOrcLLJITAddObjectFileWithRT(jit->lljit, c->tracker, buffer);
	if (!error)
		error = look_up(jit, symbol, &address);
	if (error) {
		enum status status = failed(e, "linker", error);
		jit_unlink(c);
		return status;
	}
	*code = c;
	*entry = (kernel_entry *)(uintptr_t)address;
	return STATUS_OK;
}

void jit_unlink(struct jit_code *code)
{
	if (!code)
		return;
	struct jit *jit = code->jit;
	LLVMConsumeError(LLVMOrcResourceTrackerRemove(code->tracker));
	LLVMOrcReleaseResourceTracker(code->tracker);
	free(code);
	if (atomic_fetch_add(&jit->nunlinked, 1) % UNLINKS_PER_SWEEP == UNLINKS_PER_SWEEP - 1)
		LLVMOrcSymbolStringPoolClearDeadEntries(LLVMOrcExecutionSessionGetSymbolStringPool(jit->session));
}
