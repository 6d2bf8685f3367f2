/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/programs.h"
#include "daemon/clock.h"
#include "protocol/digest.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NBUCKETS = 4096, NAME_BYTES = 60 };

struct programs {
	struct compiler *compiler;
	struct compiled *buckets[NBUCKETS];
	struct programs_counts counts;
	size_t max_count;
	void (*wake)(struct request *r);
	uv_async_t async;

	pthread_mutex_t mu;          /* of done */
	struct compiled *done;       /* compiled by lanes, for the loop */
};

/* --- entries --- */

static void free_compiled(struct compiled *c)
{
	program_free((struct program *)c->program);
	free(c->name);
	free(c->signature);
	free(c->args);
	free(c->key);
	free(c);
}

static void hash_key(const char *key, uint64_t hash[2])
{
	size_t n = strlen(key);
	hash[0] = digest_add(DIGEST_START, key, n);
	hash[1] = digest_add(~DIGEST_START, key, n);
}

static struct compiled **bucket_of(struct programs *p, const uint64_t hash[2])
{
	return &p->buckets[(hash[0] ^ hash[0] >> 32) % NBUCKETS];
}

static struct compiled *find_hash(struct programs *p, const uint64_t hash[2])
{
	for (struct compiled *c = *bucket_of(p, hash); c; c = c->next)
		if (c->hash[0] == hash[0] && c->hash[1] == hash[1])
			return c;
	return NULL;
}

static struct compiled *find_key(struct programs *p, const uint64_t hash[2], const char *key)
{
	for (struct compiled *c = *bucket_of(p, hash); c; c = c->next)
		if (strcmp(c->key, key) == 0)
			return c;
	return NULL;
}

static void insert(struct programs *p, struct compiled *c)
{
	while (find_hash(p, c->hash))
		c->hash[1]++; /* the bucket is chosen by hash[0] */
	snprintf(c->id, sizeof c->id, "%016" PRIx64 "%016" PRIx64, c->hash[0], c->hash[1]);
	struct compiled **head = bucket_of(p, c->hash);
	c->next = *head;
	*head = c;
	p->counts.programs++;
	p->counts.nbytes += c->nbytes;
}

/* Out of the table; freed when nobody runs it. */
static void drop(struct programs *p, struct compiled *c)
{
	struct compiled **at = bucket_of(p, c->hash);
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	p->counts.programs--;
	p->counts.nbytes -= c->nbytes;
	c->state = COMPILED_GONE;
	if (!c->running)
		free_compiled(c);
}

/* "(float64[:,::1], int64)" */
static char *signature_text(const struct argument *args, uint32_t n)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	if (!f)
		return NULL;
	fputc('(', f);
	for (uint32_t k = 0; k < n; k++) {
		fprintf(f, "%s%s%s", k ? ", " : "", dtype_numpy_name(args[k].dtype), args[k].rank ? "[" : "");
		for (unsigned axis = 0; axis < args[k].rank; axis++)
			fprintf(f, "%s%s", axis ? "," : "", axis + 1 == args[k].rank && args[k].contiguous ? "::1" : ":");
		if (args[k].rank)
			fputc(']', f);
	}
	fputc(')', f);
	return fclose(f) ? NULL : text;
}

static struct compiled *new_compiled(const struct program_source *s, char *key, const uint64_t hash[2])
{
	struct compiled *c = calloc(1, sizeof *c);
	uint32_t n = s->nargs + s->nextra;
	if (!c) {
		free(key);
		return NULL;
	}
	c->key = key;
	memcpy(c->hash, hash, sizeof c->hash);
	size_t nname = s->expression ? s->nbytes : s->kernel.nbytes;
	c->name = strndup(s->expression ? s->text : s->kernel.text, nname);
	if (c->name && s->expression && nname > NAME_BYTES)
		strcpy(c->name + NAME_BYTES - 3, "...");
	c->signature = signature_text(s->args, n);
	c->args = malloc((n + 1) * sizeof *c->args);
	if (!c->name || !c->signature || !c->args) {
		free_compiled(c);
		return NULL;
	}
	if (n)
		memcpy(c->args, s->args, n * sizeof *c->args);
	c->nargs = s->nargs;
	c->nextra = s->nextra;
	c->expression = s->expression;
	c->out = s->out;
	c->nbytes = sizeof *c + strlen(key) + n * sizeof *c->args;
	return c;
}

/* --- bounds --- */

/* Build cost by age: what is rebuilt in 10 ms must be used ten times as lately as what takes 100 ms. */
static double worth(const struct compiled *c, uint64_t now)
{
	return (double)(c->compile_ns + 1) / (double)(now - c->used_ns + 1);
}

static struct compiled *least(struct programs *p)
{
	struct compiled *found = NULL;
	uint64_t now = clock_ns();
	for (size_t i = 0; i < NBUCKETS; i++)
		for (struct compiled *c = p->buckets[i]; c; c = c->next)
			if (!c->running && c->state == COMPILED_YES && (!found || worth(c, now) < worth(found, now)))
				found = c;
	return found;
}

/* O(programs), once for each that was compiled beyond the bounds. */
static void evict(struct programs *p)
{
	while (p->counts.nbytes > p->counts.limit || p->counts.programs > p->max_count) {
		struct compiled *c = least(p);
		if (!c)
			return;
		drop(p, c);
		p->counts.evicted++;
	}
}

/* --- tickets --- */

static void take(struct ticket *t, struct compiled *c, struct request *r)
{
	t->request = r;
	t->compiled = c;
	t->next = NULL;
	c->running++;
	c->used_ns = clock_ns();
}

static enum step join(struct programs *p, struct compiled *c, struct ticket *t)
{
	take(t, c, t->request);
	t->hit = true;
	c->hits++;
	p->counts.hits++;
	if (c->state == COMPILED_YES)
		return STEP_COMPUTE;
	struct ticket **at = &c->waiting;
	while (*at)
		at = &(*at)->next;
	*at = t;
	return STEP_WAIT;
}

enum step programs_ask(struct programs *p, const struct program_source *s, struct ticket *t, struct error *e)
{
	char *key = program_key(s);
	uint64_t hash[2];
	struct compiled *c = NULL;
	if (key) {
		hash_key(key, hash);
		c = find_key(p, hash, key);
	}
	if (c) {
		free(key);
		return join(p, c, t);
	}
	c = key ? new_compiled(s, key, hash) : NULL;
	if (!c) {
		error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for a program");
		return STEP_DONE;
	}
	insert(p, c);
	p->counts.misses++;
	take(t, c, t->request);
	c->owner = t;
	return STEP_COMPUTE;
}

enum step programs_ask_id(struct programs *p, const char *id, struct ticket *t, struct error *e)
{
	uint64_t hash[2];
	char rest;
	bool good = strlen(id) == 32 && strspn(id, "0123456789abcdef") == 32 &&
		    sscanf(id, "%16" SCNx64 "%16" SCNx64 "%c", &hash[0], &hash[1], &rest) == 2;
	if (!good) {
		error_set(e, STATUS_INVALID, "id", "take it from the reply to compile, call or evaluate", "the id of a program has 32 hex digits");
		return STEP_DONE;
	}
	struct compiled *c = find_hash(p, hash);
	if (c)
		return join(p, c, t);
	error_set(e, STATUS_NOT_FOUND, "id", "compile it again, or send the program with the call", "there is no program %s here (any more)", id);
	return STEP_DONE;
}

enum status programs_compile(struct programs *p, struct ticket *t, const struct program_source *s, struct error *e)
{
	struct compiled *c = t->compiled;
	if (c->program)
		return STATUS_OK;
	if (c->error.status) {
		*e = c->error;
		return e->status;
	}
	uint64_t start = clock_ns();
	struct program *program = NULL;
	if (s->expression)
		c->pointwise = expression_is_pointwise(s->text, s->nbytes, &c->by_place);
	if (program_compile(p->compiler, s, &program, &c->error) != STATUS_OK)
		*e = c->error;
	c->program = program;
	c->compile_ns = clock_ns() - start;
	enum status status = c->error.status;
	pthread_mutex_lock(&p->mu);
	c->next_done = p->done;
	p->done = c;
	pthread_mutex_unlock(&p->mu);
	uv_async_send(&p->async);
	return status;
}

static void wake_all(struct programs *p, struct compiled *c)
{
	while (c->waiting) {
		struct ticket *t = c->waiting;
		c->waiting = t->next;
		t->next = NULL;
		p->wake(t->request); /* may end the request, and others that wait */
	}
}

/* Its owner holds a ticket, or held one: the entry lives until it is settled. */
static void settle(struct programs *p, struct compiled *c)
{
	c->running++;
	c->owner = NULL;
	c->state = COMPILED_YES;
	if (c->program) {
		p->counts.nbytes -= c->nbytes;
		c->nbytes += c->program->memory_bytes;
		p->counts.nbytes += c->nbytes;
		c->used_ns = clock_ns();
	} else {
		drop(p, c);
	}
	wake_all(p, c);
	c->running--;
	if (c->state == COMPILED_GONE && !c->running)
		free_compiled(c);
	evict(p);
}

static void settle_done(struct programs *p)
{
	pthread_mutex_lock(&p->mu);
	struct compiled *c = p->done;
	p->done = NULL;
	pthread_mutex_unlock(&p->mu);
	while (c) {
		struct compiled *next = c->next_done;
		settle(p, c);
		c = next;
	}
}

static void on_async(uv_async_t *async)
{
	settle_done(async->data);
}

/* The owner goes without having compiled: the next in line does, or nobody wants it. */
static void hand_on(struct programs *p, struct compiled *c)
{
	struct ticket *heir = c->waiting;
	c->owner = heir;
	if (!heir) {
		drop(p, c);
		return;
	}
	c->waiting = heir->next;
	heir->next = NULL;
	p->wake(heir->request);
}

void programs_release(struct programs *p, struct ticket *t)
{
	struct compiled *c = t->compiled;
	if (!c)
		return;
	if (c->owner == t && c->state == COMPILED_NO)
		settle_done(p); /* it may lie there compiled */
	t->compiled = NULL;
	for (struct ticket **at = &c->waiting; *at; at = &(*at)->next)
		if (*at == t) {
			*at = t->next;
			break;
		}
	c->running--;
	if (c->owner == t)
		hand_on(p, c);
	else if (c->state == COMPILED_GONE && !c->running)
		free_compiled(c);
}

/* --- the whole --- */

struct programs *programs_new(uv_loop_t *loop, struct compiler *compiler, size_t max_bytes, size_t max_count, void (*wake)(struct request *r))
{
	struct programs *p = calloc(1, sizeof *p);
	if (!p || uv_async_init(loop, &p->async, on_async) != 0) {
		compiler_free(compiler);
		free(p);
		return NULL;
	}
	p->async.data = p;
	pthread_mutex_init(&p->mu, NULL);
	p->compiler = compiler;
	p->counts.limit = max_bytes;
	p->max_count = max_count;
	p->wake = wake;
	return p;
}

void programs_stop(struct programs *p)
{
	if (p)
		uv_close((uv_handle_t *)&p->async, NULL);
}

void programs_free(struct programs *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < NBUCKETS; i++)
		while (p->buckets[i])
			drop(p, p->buckets[i]);
	compiler_free(p->compiler);
	pthread_mutex_destroy(&p->mu);
	free(p);
}

struct compiler *programs_compiler(struct programs *p)
{
	return p->compiler;
}

size_t programs_forget(struct programs *p, const char *id_or_name)
{
	size_t n = 0;
	for (size_t i = 0; i < NBUCKETS; i++)
		for (struct compiled *c = p->buckets[i], *next; c; c = next) {
			next = c->next;
			if (c->state != COMPILED_YES || (strcmp(c->id, id_or_name) != 0 && strcmp(c->name, id_or_name) != 0))
				continue;
			drop(p, c);
			n++;
		}
	return n;
}

struct programs_counts programs_counts(const struct programs *p)
{
	return p->counts;
}

void programs_each(struct programs *p, void (*visit)(const struct compiled *c, void *arg), void *arg)
{
	for (size_t i = 0; i < NBUCKETS; i++)
		for (const struct compiled *c = p->buckets[i]; c; c = c->next)
			visit(c, arg);
}
