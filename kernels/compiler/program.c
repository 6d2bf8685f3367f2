/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/compiler/program.h"
#include "kernels/compiler/analysis.h"
#include "kernels/compiler/interpret.h"
#include "kernels/compiler/jit.h"
#include "protocol/digest.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DEFAULT_MEMORY = 256 << 20 };

struct compiler {
	struct jit *jit;                 /* NULL: kernels are interpreted */
	struct object_cache *cache;      /* NULL: off */
	size_t memory_bytes;
	pthread_mutex_t lock;            /* of linked */
	struct linked_code *linked;
};

/* Code by its symbol, which is the hash of the IR: programs that differ only in their text share it. */
struct linked_code {
	char symbol[40];
	unsigned refs;
	struct jit_code *code;
	kernel_entry *entry;
	struct linked_code *next;
};

struct compiler *compiler_new(const struct compiler_options *o, struct error *warning)
{
	struct compiler *c = calloc(1, sizeof *c);
	if (!c)
		return NULL;
	memset(warning, 0, sizeof *warning);
	pthread_mutex_init(&c->lock, NULL);
	c->memory_bytes = o->memory_bytes ? o->memory_bytes : DEFAULT_MEMORY;
	if (!o->interpret && codegen_init(warning) == STATUS_OK)
		c->jit = jit_new(warning);
	if (c->jit && o->cache_dir)
		c->cache = object_cache_open(o->cache_dir, o->cache_bytes, warning);
	return c;
}

void compiler_free(struct compiler *c)
{
	if (!c)
		return;
	object_cache_close(c->cache);
	if (c->jit)
		jit_free(c->jit);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

bool compiler_interprets(const struct compiler *c)
{
	return !c->jit;
}

void compiler_cache_counts(struct compiler *c, struct object_cache_counts *counts)
{
	object_cache_counts(c->cache, counts);
}

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* --- front end --- */

static struct name copy_name(struct arena *a, struct name n)
{
	return (struct name){ arena_copy(a, n.text ? n.text : "", n.nbytes), n.nbytes };
}

/* The text must live as long as the program: its names and lines are shown with errors. */
static struct source_text *keep_source(struct arena *a, const struct program_source *s)
{
	struct source_text *source = ARENA_NEW(a, struct source_text);
	char *text = arena_alloc(a, s->nbytes + 1), *file = s->file ? arena_copy(a, s->file, strlen(s->file) + 1) : NULL;
	char *kernel = s->expression ? NULL : arena_alloc(a, s->kernel.nbytes + 1);
	if (!source || !text || (s->file && !file) || (!s->expression && !kernel))
		return NULL;
	memcpy(text, s->text, s->nbytes);
	if (kernel)
		memcpy(kernel, s->kernel.text, s->kernel.nbytes);
	*source = (struct source_text){ .text = text, .nbytes = s->nbytes, .file = file, .first_line = s->first_line ? s->first_line : 1, .kernel = kernel };
	return source;
}

static struct global *keep_globals(struct arena *a, const struct program_source *s)
{
	struct global *globals = arena_copy(a, s->globals ? s->globals : (const struct global[1]){ 0 }, (s->nglobals + 1) * sizeof *globals);
	for (uint32_t i = 0; globals && i < s->nglobals; i++) {
		globals[i].name = copy_name(a, s->globals[i].name);
		globals[i].target = copy_name(a, s->globals[i].target);
	}
	return globals;
}

static enum status too_large(struct error *e)
{
	return error_set(e, STATUS_TOO_LARGE, "source", "raise compiler.memory_bytes", "the program needs more memory to compile than it may have");
}

static enum status front(struct program *p, const struct program_source *s, struct error *e)
{
	struct arena *a = p->arena;
	struct lower_options options = { .fastmath = s->fastmath, .accurate = s->accurate, .numpy_errors = s->numpy_errors };
	struct module module;
	struct lowered lowered = { 0 };
	enum status status;
	p->source = keep_source(a, s);
	if (!p->source)
		return too_large(e);
	if (s->expression) {
		struct name *names = arena_alloc(a, (s->nargs + 1) * sizeof *names);
		for (uint32_t k = 0; names && k < s->nargs - s->out; k++)
			names[k] = copy_name(a, s->names[k]);
		status = names ? parse_expression(a, p->source, &parse_limits_default, &module, e) : too_large(e);
		if (!status)
			status = lower_expression(a, &module, names, s->args, s->nargs, s->out, s->casting, &options, &lowered, e);
	} else {
		struct global *globals = keep_globals(a, s);
		status = globals ? parse_kernel(a, p->source, &parse_limits_default, &module, e) : too_large(e);
		if (!status)
			status = lower_kernel(a, &module, copy_name(a, s->kernel), s->args, s->nargs, s->nextra, globals, s->nglobals, &options, &lowered, e);
	}
	p->function = lowered.function;
	p->form = lowered.form;
	return status ? status : ir_verify(lowered.function, e);
}

/* --- which arguments are written --- */

static void mark_slot(const struct ir_function *f, uint32_t slot, bool *roots)
{
	uint32_t root = f->arrays[slot].root;
	for (uint32_t k = 0; k < f->nparams; k++)
		if (f->params[k].is_array && (!root || root == f->arrays[f->params[k].id].root))
			roots[k] = true;
}

static void mark_writes(const struct ir_function *f, const struct ir_block *b, bool *writes)
{
	for (uint32_t i = 0; b && i < b->count; i++) {
		const struct ir_stmt *s = b->items[i];
		if (s->kind == IR_STORE || (s->kind == IR_PROC && s->proc == KERNEL_PROC_SORT) || (s->kind == IR_PROC && s->proc == KERNEL_PROC_ARGSORT))
			mark_slot(f, s->kind == IR_STORE ? s->array : s->arrays[0], writes);
		mark_writes(f, s->body, writes);
		mark_writes(f, s->orelse, writes);
	}
}

static enum status check_writes(struct program *p, const struct program_source *s, struct error *e)
{
	const struct ir_function *f = p->function;
	p->writes = arena_alloc(p->arena, f->nparams + 1);
	p->uses = arena_alloc(p->arena, (f->nparams + 1) * sizeof *p->uses);
	if (!p->writes || !p->uses)
		return too_large(e);
	mark_writes(f, f->body, p->writes);
	for (uint32_t k = 0; k < f->nparams; k++)
		if (p->writes[k] && s->args[k].read_only)
			return error_set(e, STATUS_INVALID, "args", "pass a copy", "argument %u is read-only, but the program may write to it", k);
	return STATUS_OK;
}

/* --- code --- */

static enum status make_object(struct program *p, const char *symbol, const char *key, uint8_t **object, size_t *n, struct error *e)
{
	uint64_t start = now_ns();
	if (object_cache_get(p->compiler->cache, key, object, n)) {
		p->provenance = PROVENANCE_DISK;
		return STATUS_OK;
	}
	enum status status = codegen_object(p->function, symbol, NULL, object, n, e);
	p->codegen_ns = now_ns() - start;
	p->provenance = PROVENANCE_COMPILED;
	if (!status)
		object_cache_put(p->compiler->cache, key, *object, *n);
	return status;
}

/* The symbol of the entry is in the object, and the object is shared by all daemons that ever meet this IR: so it is named by the IR. */
static void name_entry(const char *key, char symbol[40])
{
	size_t n = strlen(key);
	uint64_t h[2] = { digest_add(DIGEST_START, key, n), digest_add(~DIGEST_START, key, n) };
	snprintf(symbol, 40, "k_%016llx%016llx", (unsigned long long)h[0], (unsigned long long)h[1]);
}

static struct linked_code *find_linked(struct compiler *c, const char *symbol)
{
	struct linked_code *l = c->linked;
	while (l && strcmp(l->symbol, symbol) != 0)
		l = l->next;
	return l;
}

/* Held over the link (0.2 ms), so that one symbol is never linked twice. */
static enum status link_object(struct program *p, const char *symbol, const uint8_t *object, size_t n, struct error *e)
{
	struct compiler *c = p->compiler;
	enum status status = STATUS_OK;
	pthread_mutex_lock(&c->lock);
	struct linked_code *l = find_linked(c, symbol);
	if (!l) {
		l = calloc(1, sizeof *l);
		status = l ? jit_link(c->jit, object, n, symbol, &l->code, &l->entry, e) : error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
		if (!status) {
			snprintf(l->symbol, sizeof l->symbol, "%s", symbol);
			l->next = c->linked;
			c->linked = l;
		} else {
			free(l);
			l = NULL;
		}
	}
	if (l) {
		l->refs++;
		p->linked = l;
		p->entry = l->entry;
	}
	pthread_mutex_unlock(&c->lock);
	return status;
}

static void unlink_code(struct compiler *c, struct linked_code *l)
{
	if (!l)
		return;
	pthread_mutex_lock(&c->lock);
	if (!--l->refs) {
		struct linked_code **at = &c->linked;
		while (*at != l)
			at = &(*at)->next;
		*at = l->next;
		jit_unlink(l->code);
		free(l);
	}
	pthread_mutex_unlock(&c->lock);
}

static enum status make_code(struct program *p, struct error *e)
{
	char symbol[40];
	uint8_t *object = NULL;
	size_t n = 0;
	char *dump = ir_dump(p->function), *key = NULL;
	if (!dump || asprintf(&key, "%s\n%s", codegen_identity(), dump) < 0) {
		free(dump);
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	}
	free(dump);
	name_entry(key, symbol);
	enum status status = make_object(p, symbol, key, &object, &n, e);
	free(key);
	uint64_t start = now_ns();
	if (!status)
		status = link_object(p, symbol, object, n, e);
	p->link_ns = now_ns() - start;
	p->object_bytes = n;
	free(object);
	return status;
}

static enum status compile(struct program *p, const struct program_source *s, struct error *e)
{
	uint64_t start = now_ns();
	enum status status = front(p, s, e);
	p->front_ns = now_ns() - start;
	if (!status)
		status = check_writes(p, s, e);
	if (status)
		return status;
	struct analysis_options options = { .parallel = s->parallel || s->expression, .strict = s->strict, .assume_independent = s->assume_independent };
	struct analysis *analysis = NULL;
	start = now_ns();
	status = analyse((struct ir_function *)p->function, &options, &analysis, e);
	if (!status)
		status = ir_verify(p->function, e);
	p->analysis = analysis;
	p->analysis_ns = now_ns() - start;
	p->provenance = PROVENANCE_INTERPRETED;
	if (status || s->interpret || !p->compiler->jit)
		return status;
	stream_uses(p->function, p->uses);
	return make_code(p, e);
}

enum status program_compile(struct compiler *c, const struct program_source *s, struct program **out, struct error *e)
{
	*out = NULL;
	struct program *p = calloc(1, sizeof *p);
	struct arena *arena = malloc(sizeof *arena);
	if (!p || !arena) {
		free(p);
		free(arena);
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	}
	arena_init(arena, c->memory_bytes);
	p->arena = arena;
	p->compiler = c;
	enum status status = compile(p, s, e);
	p->memory_bytes = arena->used + p->object_bytes + sizeof *p;
	if (status)
		program_free(p);
	else
		*out = p;
	return status;
}

void program_free(struct program *p)
{
	if (!p)
		return;
	unlink_code(p->compiler, p->linked);
	arena_free(p->arena);
	free(p->arena);
	free(p);
}

int program_run(const struct program *p, struct kernel_context *ctx, struct kernel_array *arrays, union kernel_scalar *scalars)
{
	return p->entry ? p->entry(ctx, arrays, scalars) : interpret(p->function, ctx, arrays, scalars);
}

/* --- failures --- */

enum status program_failure(const struct program *p, const struct kernel_failure *failure, struct error *e)
{
	static const char *const texts[] = {
#define E(name, text) [KERNEL_##name] = text,
		KERNEL_ERROR_MAP(E)
#undef E
	};
	char text[160];
	const struct ir_function *f = p->function;
	if (failure->code <= KERNEL_NO_ERROR || failure->code >= KERNEL_ERROR_COUNT)
		return error_set(e, STATUS_INTERNAL, NULL, NULL, "the kernel failed without a reason");
	if (failure->code == KERNEL_CANCELLED)
		return error_set(e, STATUS_CANCELLED, NULL, NULL, "the call was ended");
	/* The texts are ours and take at most two long longs. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(text, sizeof text, texts[failure->code], (long long)failure->value[0], (long long)failure->value[1]);
#pragma GCC diagnostic pop
	bool named = failure->array < f->narrays && f->arrays[failure->array].name.nbytes;
	struct name_text name = named ? f->arrays[failure->array].name : (struct name_text){ "", 0 };
	const char *hint = failure->code == KERNEL_MEMORY ? "raise compiler.call_bytes, or reuse arrays" :
			   failure->code == KERNEL_DIVISION ? "error_model='numpy' gives 0 and a warning" : NULL;
	return source_error(p->source, (struct place){ failure->line, 0 }, failure->code == KERNEL_MEMORY ? STATUS_TOO_LARGE : STATUS_INVALID, e, hint,
			    "%s%s%.*s%s", text, named ? " (of '" : "", (int)(name.nbytes > 40 ? 40 : name.nbytes), name.text, named ? "')" : "");
}

/* --- texts --- */

char *program_dump(const struct program *p)
{
	return ir_dump(p->function);
}

enum status program_texts(const struct program *p, struct codegen_texts *texts, struct error *e)
{
	uint8_t *object = NULL;
	size_t n;
	memset(texts, 0, sizeof *texts);
	if (!p->entry)
		return STATUS_OK;
	enum status status = codegen_object(p->function, "kernel", texts, &object, &n, e);
	free(object);
	return status;
}
