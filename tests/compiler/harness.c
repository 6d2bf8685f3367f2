/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The compiler without a daemon, for tests in Python: harness.py loads this as a library.
 */
#include "kernels/compiler/analysis.h"
#include "kernels/compiler/interpret.h"
#include "kernels/compiler/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct harness_argument {
	int32_t dtype, rank, weak, contiguous, read_only, shape_class, alias_class;
};

struct compiler *harness_compiler(const char *cache_dir, int interpret);
struct program *harness_compile(struct compiler *c, const char *text, const char *kernel, const char *const *names, const struct harness_argument *args,
				uint32_t nargs, uint32_t flags, int casting, char *message, size_t nmessage);
void harness_describe(const struct program *p, int32_t *out);
char *harness_text(const struct program *p, int what);
int harness_run(const struct program *p, int nthreads, int interpreted, int remote, struct kernel_array *arrays, union kernel_scalar *scalars, struct kernel_context *ctx,
		struct kernel_call *call, char *message, size_t nmessage);
uint64_t harness_streams(const struct program *p);
struct kernel_context *harness_context(void);
struct kernel_call *harness_call(void);
void harness_free(struct kernel_context *ctx, struct kernel_call *call);

enum { EXPRESSION = 1, OUT = 2, PARALLEL = 4, STRICT = 8, FASTMATH = 16, ACCURATE = 32, NUMPY_ERRORS = 64, INTERPRET = 128 };

static void run_team(void *ctx, size_t n, void (*body)(void *arg, size_t i), void *arg)
{
	int threads = *(int *)ctx;
#pragma omp parallel for num_threads(threads) schedule(dynamic)
	for (size_t i = 0; i < n; i++)
		body(arg, i);
}

struct compiler *harness_compiler(const char *cache_dir, int interpret)
{
	struct compiler_options o = { .cache_dir = cache_dir, .cache_bytes = 64 << 20, .interpret = interpret };
	struct error e = { 0 };
	struct compiler *c = compiler_new(&o, &e);
	if (e.status)
		fprintf(stderr, "%s\n", e.message);
	return c;
}

struct program *harness_compile(struct compiler *c, const char *text, const char *kernel, const char *const *names, const struct harness_argument *args,
				uint32_t nargs, uint32_t flags, int casting, char *message, size_t nmessage)
{
	struct argument *types = calloc(nargs + 1, sizeof *types);
	struct name *list = calloc(nargs + 1, sizeof *list);
	for (uint32_t k = 0; k < nargs; k++) {
		const struct harness_argument *a = &args[k];
		types[k] = (struct argument){ (enum dtype)a->dtype, (uint8_t)a->rank, a->weak, a->contiguous, a->read_only, (uint32_t)a->shape_class, (uint32_t)a->alias_class };
		if (names && names[k])
			list[k] = (struct name){ names[k], strlen(names[k]) };
	}
	struct program_source s = { .text = text, .nbytes = strlen(text), .expression = flags & EXPRESSION, .kernel = { kernel, kernel ? strlen(kernel) : 0 },
				    .names = list, .args = types, .nargs = nargs, .out = flags & OUT, .casting = (enum casting)casting, .parallel = flags & PARALLEL,
				    .strict = flags & STRICT, .fastmath = flags & FASTMATH, .accurate = flags & ACCURATE, .numpy_errors = flags & NUMPY_ERRORS,
				    .interpret = flags & INTERPRET };
	struct program *p = NULL;
	struct error e = { 0 };
	if (program_compile(c, &s, &p, &e))
		snprintf(message, nmessage, "%d|%s|%s", (int)e.status, e.message, e.hint);
	free(types);
	free(list);
	return p;
}

/* form, number of params and results, then is_array, dtype, rank of each; then the nanoseconds of the phases in microseconds. */
void harness_describe(const struct program *p, int32_t *out)
{
	const struct ir_function *f = p->function;
	*out++ = (int32_t)p->form;
	*out++ = (int32_t)f->nparams;
	*out++ = (int32_t)f->nresults;
	*out++ = (int32_t)(p->front_ns / 1000);
	*out++ = (int32_t)(p->analysis_ns / 1000);
	*out++ = (int32_t)(p->codegen_ns / 1000);
	*out++ = (int32_t)(p->link_ns / 1000);
	for (uint32_t k = 0; k < f->nparams + f->nresults; k++) {
		struct ir_slot s = k < f->nparams ? f->params[k] : f->results[k - f->nparams];
		*out++ = s.is_array;
		*out++ = (int32_t)(s.is_array ? f->arrays[s.id].dtype : f->locals[s.id].dtype);
		*out++ = s.is_array ? (int32_t)f->arrays[s.id].rank : 0;
	}
}

/* 0: IR, 1-4: the report, 5 LLVM, 6 optimised, 7 assembly; the caller frees */
char *harness_text(const struct program *p, int what)
{
	struct codegen_texts t;
	struct error e;
	if (what == 0)
		return program_dump(p);
	if (what <= 4)
		return analysis_text(p->analysis, what);
	if (program_texts(p, &t, &e))
		return NULL;
	char *text = strdup(what == 5 ? t.llvm_before : what == 6 ? t.llvm_after : t.assembly);
	codegen_texts_free(&t);
	return text;
}

struct kernel_context *harness_context(void)
{
	return calloc(1, sizeof(struct kernel_context));
}

struct kernel_call *harness_call(void)
{
	return calloc(1, sizeof(struct kernel_call));
}

/* --- remote arrays: addresses that cannot be read, and the elements elsewhere --- */

struct far_away {
	struct kernel_remote remotes[64];
	char *elements[64];
	unsigned n;
};

static int move(struct kernel_call *call, const struct kernel_remote *r, bool store, size_t offset, void *local, size_t nbytes)
{
	struct far_away *f = call->user;
	char *elements = f->elements[r - f->remotes] + offset;
	memcpy(store ? elements : local, store ? local : elements, nbytes);
	return 0;
}

static void send_away(const struct program *p, struct kernel_array *arrays, struct far_away *f)
{
	const struct ir_function *fn = p->function;
	unsigned at = 0;
	for (uint32_t k = 0; k < fn->nparams; k++) {
		struct kernel_array *a = fn->params[k].is_array ? &arrays[at++] : NULL;
		if (!a || !p->uses[k].streams || f->n == 64 || !a->shape[0])
			continue;
		size_t nbytes = (size_t)(a->shape[0] * a->stride[0]);
		void *base = mmap(NULL, nbytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		f->elements[f->n] = a->data;
		f->remotes[f->n++] = (struct kernel_remote){ base, nbytes, p->uses[k].fetch, p->uses[k].store };
		a->data = base;
	}
}

/* Bit k: parameter k may be remote. */
uint64_t harness_streams(const struct program *p)
{
	uint64_t bits = 0;
	for (uint32_t k = 0; k < p->function->nparams && k < 64; k++)
		bits |= (uint64_t)p->uses[k].streams << k;
	return bits;
}

/* Result arrays live until harness_free. */
int harness_run(const struct program *p, int nthreads, int interpreted, int remote, struct kernel_array *arrays, union kernel_scalar *scalars, struct kernel_context *ctx,
		struct kernel_call *call, char *message, size_t nmessage)
{
	struct executor ex = { .run = run_team, .ctx = &nthreads, .nthreads = (size_t)nthreads };
	struct error e = { 0 };
	call->executor = nthreads > 1 ? &ex : &executor_serial;
	call->memory_limit = (size_t)2 << 30;
	struct far_away far = { .n = 0 };
	if (remote)
		send_away(p, arrays, &far);
	call->remotes = far.remotes;
	call->nremotes = far.n;
	call->move = move;
	call->user = &far;
	kernel_context_init(ctx, call);
	int failed = interpreted ? interpret(p->function, ctx, arrays, scalars) : program_run(p, ctx, arrays, scalars);
	for (unsigned i = 0; i < far.n; i++)
		munmap(far.remotes[i].base, far.remotes[i].nbytes);
	if (failed) {
		program_failure(p, &call->failure, &e);
		snprintf(message, nmessage, "%d|%s|%s", (int)e.status, e.message, e.hint);
	}
	return failed;
}

void harness_free(struct kernel_context *ctx, struct kernel_call *call)
{
	kernel_context_free(ctx);
	free(ctx);
	free(call);
}
