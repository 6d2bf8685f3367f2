/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/fiber.h"

#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

enum { STACK_BYTES = 512 << 10, MOST_KEPT = 16 };

/* One stack: what a sanitizer must be told of it. */
struct side {
	ucontext_t context;
	const void *bottom;
	size_t nbytes;
	void *fake;
};

/* Lies at the upper end of its own stack. */
struct fiber {
	struct side inside, outside;
	void (*body)(void *arg);
	void *arg;
	bool done;
	void *mapping;
	struct fiber *next;
};

static struct {
	pthread_mutex_t mu;
	struct fiber *first;
	size_t count;
} kept = { .mu = PTHREAD_MUTEX_INITIALIZER };

static size_t guard_bytes(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* From one side to the other; returns when someone switches back. */
static void cross(struct side *from, struct side *to)
{
#ifdef __SANITIZE_ADDRESS__
	__sanitizer_start_switch_fiber(&from->fake, to->bottom, to->nbytes);
#endif
	swapcontext(&from->context, &to->context);
#ifdef __SANITIZE_ADDRESS__
	__sanitizer_finish_switch_fiber(from->fake, &to->bottom, &to->nbytes);
#endif
}

/* A fiber whose body has returned waits here for the next body. makecontext passes ints. */
static void run_bodies(unsigned low, unsigned high)
{
	struct fiber *f = (struct fiber *)((uintptr_t)low | (uintptr_t)high << 32);
#ifdef __SANITIZE_ADDRESS__
	__sanitizer_finish_switch_fiber(NULL, &f->outside.bottom, &f->outside.nbytes);
#endif
	for (;;) {
		f->body(f->arg);
		f->done = true;
		cross(&f->inside, &f->outside);
	}
}

static struct fiber *make(void)
{
	size_t guard = guard_bytes();
	uint8_t *mapping = mmap(NULL, guard + STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
	if (mapping == MAP_FAILED)
		return NULL;
	size_t usable = STACK_BYTES - (sizeof(struct fiber) + 63) / 64 * 64;
	struct fiber *f = (struct fiber *)(mapping + guard + usable);
	f->mapping = mapping;
	if (mprotect(mapping, guard, PROT_NONE) != 0 || getcontext(&f->inside.context) != 0) {
		munmap(mapping, guard + STACK_BYTES);
		return NULL;
	}
	f->inside.bottom = mapping + guard;
	f->inside.nbytes = usable;
	f->inside.context.uc_stack.ss_sp = mapping + guard;
	f->inside.context.uc_stack.ss_size = usable;
	makecontext(&f->inside.context, (void (*)(void))run_bodies, 2, (unsigned)(uintptr_t)f, (unsigned)((uintptr_t)f >> 32));
	return f;
}

static struct fiber *take_kept(void)
{
	pthread_mutex_lock(&kept.mu);
	struct fiber *f = kept.first;
	if (f) {
		kept.first = f->next;
		kept.count--;
	}
	pthread_mutex_unlock(&kept.mu);
	return f;
}

struct fiber *fiber_new(void (*body)(void *arg), void *arg)
{
	struct fiber *f = take_kept();
	if (!f)
		f = make();
	if (!f)
		return NULL;
	f->body = body;
	f->arg = arg;
	f->done = false;
	return f;
}

bool fiber_resume(struct fiber *f)
{
	cross(&f->outside, &f->inside);
	return f->done;
}

void fiber_pause(struct fiber *f)
{
	cross(&f->inside, &f->outside);
}

static void unmap(struct fiber *f)
{
	munmap(f->mapping, guard_bytes() + STACK_BYTES);
}

void fiber_free(struct fiber *f)
{
	if (!f)
		return;
	pthread_mutex_lock(&kept.mu);
	bool keep = kept.count < MOST_KEPT;
	if (keep) {
		f->next = kept.first;
		kept.first = f;
		kept.count++;
	}
	pthread_mutex_unlock(&kept.mu);
	if (!keep)
		unmap(f);
}

void fiber_drain(void)
{
	for (struct fiber *f; (f = take_kept());)
		unmap(f);
}
