/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The module of one kernel: built, verified, optimised, made into object bytes.
 *
 * LLVM's options of the command line are global to the process and are not touched: what is wished of the vectoriser stands in the module.
 * LLVM aborts the process on errors it calls fatal, so nothing is handed to it that has not passed its verifier.
 */
#include "kernels/compiler/codegen_private.h"

#include <gnu/libc-version.h>
#include <llvm-c/Analysis.h>
#include <llvm-c/Error.h>
#include <llvm-c/IRReader.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What every module begins with: the runtime (runtime.h), a flag that is never set, and the group of accesses that do not meet. */
static const char skeleton[] =
	"@never = internal constant i8 0\n"
	"declare i32 @kernel_fail(ptr, i32, i32, i32, i64, i64) #0\n"
	"declare i32 @kernel_poll(ptr) #0\n"
	"declare i32 @kernel_alloc(ptr, ptr, i32, i64, i32, i32, i32) #1\n"
	"declare i32 @kernel_list_grow(ptr, ptr, i64, i32, i32) #0\n"
	"declare ptr @kernel_mark(ptr) #1\n"
	"declare void @kernel_release(ptr, ptr) #1\n"
	"declare i32 @kernel_parallel_over(ptr, ptr, ptr, i64, i64, ptr) #1\n"
	"declare i32 @kernel_procedure(ptr, i32, i32, i32, ptr, ptr, ptr, ptr, ptr) #1\n"
	"declare i64 @kernel_pow_i64(i64, i64) #2\n"
	"attributes #0 = { cold nounwind }\n"
	"attributes #1 = { nounwind }\n"
	"attributes #2 = { nounwind willreturn nofree nosync memory(none) speculatable }\n"
	"!independent = !{!0}\n"
	"!0 = distinct !{}\n";

/* --- the machine --- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct {
	char *triple, *cpu, *features, *identity;
	bool ok;
} host;

static void init_once(void)
{
	if (LLVMInitializeNativeTarget() || LLVMInitializeNativeAsmPrinter())
		return;
	host.triple = LLVMGetDefaultTargetTriple();
	host.cpu = LLVMGetHostCPUName();
	host.features = LLVMGetHostCPUFeatures();
	unsigned major, minor, patch, lanes = 0;
	LLVMGetVersion(&major, &minor, &patch);
	const char *vector = function_vector(FUNCTION_sin, DTYPE_F64, &lanes);
	host.ok = asprintf(&host.identity, "codegen %d; LLVM %u.%u.%u; %s; %s; %s; libm %s; %s", CODEGEN_VERSION, major, minor, patch, host.triple,
			   host.cpu, host.features, gnu_get_libc_version(), vector ? vector : "no libmvec") >= 0;
}

enum status codegen_init(struct error *e)
{
	pthread_once(&once, init_once);
	return host.ok ? STATUS_OK : error_set(e, STATUS_UNSUPPORTED, NULL, NULL, "LLVM has no code generator for this machine");
}

const char *codegen_identity(void)
{
	return codegen_init(NULL) ? "none" : host.identity;
}

static LLVMTargetMachineRef new_machine(struct error *e)
{
	LLVMTargetRef target;
	char *message = NULL;
	if (LLVMGetTargetFromTriple(host.triple, &target, &message)) {
		error_set(e, STATUS_UNSUPPORTED, NULL, NULL, "no code generator: %s", message);
		LLVMDisposeMessage(message);
		return NULL;
	}
	return LLVMCreateTargetMachine(target, host.triple, host.cpu, host.features, LLVMCodeGenLevelDefault, LLVMRelocPIC, LLVMCodeModelSmall);
}

/* --- the module --- */

/* Remarks such as "loop not vectorized" would go to stderr. */
static void ignore_diagnostic(LLVMDiagnosticInfoRef info, void *arg)
{
	(void)info, (void)arg;
}

static enum status llvm_failed(struct error *e, const char *step, char *message)
{
	error_set(e, STATUS_INTERNAL, NULL, "this is a bug in the daemon; please report it", "code generation: %s: %s", step, message ? message : "");
	LLVMDisposeMessage(message);
	return STATUS_INTERNAL;
}

static enum status read_skeleton(struct codegen *cg, LLVMTargetMachineRef machine, struct error *e)
{
	char *message = NULL;
	LLVMMemoryBufferRef text = LLVMCreateMemoryBufferWithMemoryRange(skeleton, sizeof skeleton - 1, "kernel", 1);
	if (LLVMParseIRInContext(cg->context, text, &cg->module, &message))
		return llvm_failed(e, "skeleton", message);
	LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(machine);
	LLVMSetModuleDataLayout(cg->module, layout);
	LLVMDisposeTargetData(layout);
	LLVMSetTarget(cg->module, host.triple);
	LLVMValueRef group;
	LLVMGetNamedMetadataOperands(cg->module, "independent", &group);
	cg->independent = LLVMValueAsMetadata(group);
	return STATUS_OK;
}

static void keep_vector_functions(struct codegen *cg)
{
	if (!cg->nkept)
		return;
	LLVMValueRef list = LLVMConstArray2(cg->pointer, cg->kept, cg->nkept);
	LLVMValueRef used = LLVMAddGlobal(cg->module, LLVMTypeOf(list), "llvm.compiler.used");
	LLVMSetInitializer(used, list);
	LLVMSetLinkage(used, LLVMAppendingLinkage);
	LLVMSetSection(used, "llvm.metadata");
}

static enum status build(struct codegen *cg, LLVMTargetMachineRef machine, struct error *e)
{
	const struct ir_function *f = cg->f;
	enum status status = read_skeleton(cg, machine, e);
	if (status)
		return status;
	cg_types_init(cg);
	cg->b = LLVMCreateBuilderInContext(cg->context);
	cg->labels = calloc((size_t)f->nlabels + 1, sizeof *cg->labels);
	cg->uses = calloc((size_t)f->nlocals + 1, sizeof *cg->uses);
	cg->kept = calloc(2 * FUNCTION_COUNT, sizeof *cg->kept);
	if (!cg->labels || !cg->uses || !cg->kept)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	cg_entry(cg);
	if (cg->failed)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	keep_vector_functions(cg);
	return STATUS_OK;
}

static enum status verify(struct codegen *cg, struct error *e)
{
	char *message = NULL;
	if (LLVMVerifyModule(cg->module, LLVMReturnStatusAction, &message))
		return llvm_failed(e, "verifier", message);
	LLVMDisposeMessage(message);
	return STATUS_OK;
}

/* LLVM's time grows with the square of a function's blocks and worse, and nothing can stop it: at these sizes it takes about a second. Larger functions get
 * only the passes that take time in proportion to them; the values are the same. */
enum { MANY_BLOCKS = 250, MANY_INSTRUCTIONS = 16000 };

static bool is_large(LLVMValueRef f)
{
	size_t blocks = 0, instructions = 0;
	for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(f); b; b = LLVMGetNextBasicBlock(b)) {
		blocks++;
		for (LLVMValueRef i = LLVMGetFirstInstruction(b); i; i = LLVMGetNextInstruction(i))
			instructions++;
	}
	return blocks > MANY_BLOCKS || instructions > MANY_INSTRUCTIONS;
}

static void leave_alone(struct codegen *cg, LLVMValueRef f)
{
	static const char *const names[] = { "optnone", "noinline" };
	for (int i = 0; i < 2; i++) {
		unsigned kind = LLVMGetEnumAttributeKindForName(names[i], strlen(names[i]));
		LLVMAddAttributeAtIndex(f, LLVMAttributeFunctionIndex, LLVMCreateEnumAttribute(cg->context, kind, 0));
	}
}

static enum status run_passes(struct codegen *cg, LLVMTargetMachineRef machine, const char *passes, struct error *e)
{
	LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
	LLVMPassBuilderOptionsSetLoopVectorization(options, 1);
	LLVMPassBuilderOptionsSetSLPVectorization(options, 1);
	LLVMPassBuilderOptionsSetLoopInterleaving(options, 1);
	LLVMPassBuilderOptionsSetLoopUnrolling(options, 1);
	LLVMErrorRef error = LLVMRunPasses(cg->module, passes, machine, options);
	LLVMDisposePassBuilderOptions(options);
	if (!error)
		return STATUS_OK;
	char *message = LLVMGetErrorMessage(error);
	error_set(e, STATUS_INTERNAL, NULL, NULL, "code generation: passes: %s", message);
	LLVMDisposeErrorMessage(message);
	return STATUS_INTERNAL;
}

static enum status optimise(struct codegen *cg, LLVMTargetMachineRef machine, struct error *e)
{
	bool any = false;
	for (LLVMValueRef f = LLVMGetFirstFunction(cg->module); f; f = LLVMGetNextFunction(f))
		any |= is_large(f);
	if (any && run_passes(cg, machine, "function(sroa,early-cse,simplifycfg)", e) != STATUS_OK)
		return STATUS_INTERNAL;
	for (LLVMValueRef f = LLVMGetFirstFunction(cg->module); f && any; f = LLVMGetNextFunction(f))
		if (is_large(f))
			leave_alone(cg, f);
	return run_passes(cg, machine, "default<O3>", e);
}

/* --- bytes --- */

static uint8_t *emit_bytes(LLVMModuleRef module, LLVMTargetMachineRef machine, LLVMCodeGenFileType type, size_t *n, struct error *e)
{
	LLVMMemoryBufferRef buffer;
	char *message = NULL;
	if (LLVMTargetMachineEmitToMemoryBuffer(machine, module, type, &message, &buffer)) {
		llvm_failed(e, "emission", message);
		return NULL;
	}
	*n = LLVMGetBufferSize(buffer);
	uint8_t *bytes = malloc(*n + 1);
	if (bytes) {
		memcpy(bytes, LLVMGetBufferStart(buffer), *n);
		bytes[*n] = 0;
	} else {
		error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	}
	LLVMDisposeMemoryBuffer(buffer);
	return bytes;
}

static char *module_text(LLVMModuleRef module)
{
	char *text = LLVMPrintModuleToString(module), *copy = strdup(text);
	LLVMDisposeMessage(text);
	return copy;
}

/* Emission changes the module, so the assembly is made of a copy. */
static char *assembly_text(LLVMModuleRef module, LLVMTargetMachineRef machine, struct error *e)
{
	size_t n;
	LLVMModuleRef copy = LLVMCloneModule(module);
	uint8_t *text = emit_bytes(copy, machine, LLVMAssemblyFile, &n, e);
	LLVMDisposeModule(copy);
	return (char *)text;
}

void codegen_texts_free(struct codegen_texts *texts)
{
	free(texts->llvm_before);
	free(texts->llvm_after);
	free(texts->assembly);
	*texts = (struct codegen_texts){ 0 };
}

static enum status compile(struct codegen *cg, LLVMTargetMachineRef machine, struct codegen_texts *texts, uint8_t **object, size_t *n,
			   struct error *e)
{
	enum status status = build(cg, machine, e);
	if (!status && texts)
		texts->llvm_before = module_text(cg->module);
	if (!status)
		status = verify(cg, e);
	if (!status)
		status = optimise(cg, machine, e);
	if (status)
		return status;
	if (texts) {
		texts->llvm_after = module_text(cg->module);
		texts->assembly = assembly_text(cg->module, machine, e);
	}
	*object = emit_bytes(cg->module, machine, LLVMObjectFile, n, e);
	return *object ? STATUS_OK : STATUS_INTERNAL;
}

static void dispose(struct codegen *cg, LLVMTargetMachineRef machine)
{
	free(cg->labels);
	free(cg->uses);
	free(cg->kept);
	free(cg->chain);
	if (cg->b)
		LLVMDisposeBuilder(cg->b);
	if (cg->module)
		LLVMDisposeModule(cg->module);
	LLVMContextDispose(cg->context);
	LLVMDisposeTargetMachine(machine);
}

enum status codegen_object(const struct ir_function *f, const char *symbol, struct codegen_texts *texts, uint8_t **object, size_t *nobject,
			   struct error *e)
{
	*object = NULL;
	if (texts)
		*texts = (struct codegen_texts){ 0 };
	enum status status = codegen_init(e);
	if (status)
		return status;
	LLVMTargetMachineRef machine = new_machine(e);
	if (!machine)
		return STATUS_UNSUPPORTED;
	struct codegen cg = { .context = LLVMContextCreate(), .f = f, .symbol = symbol };
	LLVMContextSetDiagnosticHandler(cg.context, ignore_diagnostic, NULL);
	status = compile(&cg, machine, texts, object, nobject, e);
	dispose(&cg, machine);
	return status;
}
