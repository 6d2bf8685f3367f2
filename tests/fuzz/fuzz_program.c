/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The compiler's road from bytes to results: what compiles runs by the interpreter on small arrays. Byte 0: what is compiled and how; byte 1: how many
 * arguments (0 to 3); a byte for each argument: dtype and dimensions; then the text, whose kernel is `f` and whose names are a, b, c.
 */
#include "kernels/compiler/analysis.h"
#include "kernels/compiler/program.h"
#include "tests/fuzz/fuzz.h"

#include <time.h>

enum { MOST_ARGUMENTS = 3, LENGTH = 5, POLLS = 2000, COMPILE_SECONDS = 3 };

static const uint8_t *at, *end;
static int polls;

static uint8_t next(void)
{
	return at < end ? *at++ : 0;
}

static int give_up(struct kernel_call *call)
{
	(void)call;
	return ++polls > POLLS;
}

/* Messages go into JSON, so they must be UTF-8 without control characters. */
static void check_error(const struct error *e, enum status status)
{
	HOLDS(e->status == status && status != STATUS_NO_MEMORY && status != STATUS_INTERNAL);
	HOLDS(e->message[0] && memchr(e->message, 0, sizeof e->message) && memchr(e->hint, 0, sizeof e->hint));
}

struct call_arguments {
	struct argument types[MOST_ARGUMENTS];
	uint32_t n;
};

static struct call_arguments make_types(void)
{
	struct call_arguments a = { .n = next() % (MOST_ARGUMENTS + 1) };
	for (uint32_t k = 0; k < a.n; k++) {
		uint8_t kind = next();
		enum dtype dtype = (enum dtype)(kind % DTYPE_PEAK);
		uint8_t rank = kind / DTYPE_PEAK % 4;
		if (!rank && dtype == DTYPE_F16)
			dtype = DTYPE_F64;
		a.types[k] = (struct argument){ .dtype = dtype, .rank = rank, .contiguous = kind & 1, .shape_class = kind & 2 ? 1 : 0, .alias_class = k + 1 };
	}
	return a;
}

static struct kernel_array make_array(const struct argument *t)
{
	size_t count = 1, itemsize = dtype_size(t->dtype);
	struct kernel_array a = { .data = NULL };
	for (int d = t->rank - 1; d >= 0; d--) {
		a.shape[d] = LENGTH;
		a.stride[d] = (int64_t)(count * itemsize);
		count *= LENGTH;
	}
	unsigned char *bytes = malloc(count * itemsize);
	HOLDS(bytes);
	for (size_t i = 0; i < count * itemsize; i++)
		bytes[i] = t->dtype == DTYPE_BOOL ? i % 2 : (unsigned char)(i * 37 % 11 * (i % itemsize == 0 || i % 3 == 0));
	a.data = bytes;
	return a;
}

/* Every byte of a result can be read. */
static void read_result(const struct kernel_array *a, const struct ir_array *type)
{
	static volatile unsigned char sink;
	int64_t low = 0, high = (int64_t)dtype_size(type->dtype);
	for (unsigned d = 0; d < type->rank; d++) {
		if (a->shape[d] <= 0)
			return;
		int64_t reach = (a->shape[d] - 1) * a->stride[d];
		low += reach < 0 ? reach : 0;
		high += reach > 0 ? reach : 0;
	}
	for (int64_t i = low; i < high; i++)
		sink = (unsigned char)(sink ^ ((const unsigned char *)a->data)[i]);
}

static void run(const struct program *p, const struct call_arguments *given)
{
	const struct ir_function *f = p->function;
	struct kernel_array *arrays = calloc(f->nparams + f->nresults + 1, sizeof *arrays);
	union kernel_scalar *scalars = calloc(f->nparams + f->nresults + 1, sizeof *scalars);
	void *made[MOST_ARGUMENTS];
	uint32_t narrays = 0, nscalars = 0;
	HOLDS(arrays && scalars && f->nparams == given->n);
	for (uint32_t k = 0; k < given->n; k++) {
		if (given->types[k].rank) {
			arrays[narrays] = make_array(&given->types[k]);
			made[narrays] = arrays[narrays].data;
			narrays++;
		} else {
			scalars[nscalars++].i = 1;
		}
	}
	uint32_t nmade = narrays;
	atomic_bool attention = true;
	struct kernel_call call = { .executor = &executor_serial, .attention = &attention, .pause = give_up, .memory_limit = 1 << 20 };
	struct kernel_context ctx;
	kernel_context_init(&ctx, &call);
	polls = 0;
	if (program_run(p, &ctx, arrays, scalars)) {
		struct error e = { 0 };
		enum status status = program_failure(p, &call.failure, &e);
		check_error(&e, status);
	} else {
		for (uint32_t k = 0; k < f->nresults; k++)
			if (f->results[k].is_array)
				read_result(&arrays[narrays++], &f->arrays[f->results[k].id]);
	}
	kernel_context_free(&ctx);
	for (uint32_t k = 0; k < nmade; k++)
		free(made[k]);
	free(arrays);
	free(scalars);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct compiler *compiler;
	struct error e = { 0 };
	static const struct name names[MOST_ARGUMENTS] = { { "a", 1 }, { "b", 1 }, { "c", 1 } };
	if (!compiler)
		compiler = compiler_new(&(struct compiler_options){ .memory_bytes = 32 << 20, .interpret = true }, &e);
	HOLDS(compiler);
	at = data;
	end = data + n;
	uint8_t how = next();
	struct call_arguments a = make_types();
	size_t nbytes = (size_t)(end - at);
	char *text = exact_copy(at, nbytes);
	struct program_source s = { .text = text, .nbytes = nbytes, .first_line = 1, .expression = how & 1, .kernel = { "f", 1 }, .names = names, .args = a.types,
				    .nargs = a.n, .casting = CASTING_SAME_KIND, .parallel = how & 2, .numpy_errors = how & 4, .fastmath = how & 8,
				    .strict = (how & 48) == 48, .interpret = true };
	struct program *p = NULL;
	time_t start = time(NULL);
	enum status status = program_compile(compiler, &s, &p, &e);
	HOLDS(time(NULL) - start <= COMPILE_SECONDS);
	if (status) {
		check_error(&e, status);
	} else {
		if (p->function->nparams == a.n)   /* not those with defaults */
			run(p, &a);
		free(program_dump(p));
		free(analysis_text(p->analysis, 4));
		program_free(p);
	}
	bool by_place;
	expression_is_pointwise(text, nbytes, &by_place);
	free(text);
	return 0;
}
