/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/helper/sandbox.h"

#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#if __has_include(<seccomp.h>)
#include <seccomp.h>
#define HAVE_SECCOMP 1
#endif
#if __has_include(<linux/landlock.h>) && defined(SYS_landlock_create_ruleset)
#include <linux/landlock.h>
#define HAVE_LANDLOCK 1
#endif

bool sandbox_compiled(void)
{
#if defined(__SANITIZE_ADDRESS__)
	return false;
#else
	return true;
#endif
}

static bool limit(int resource, rlim_t value)
{
	struct rlimit old, new = { value, value };
	if (getrlimit(resource, &old) != 0)
		return false;
	if (old.rlim_max != RLIM_INFINITY && old.rlim_max < value)
		new.rlim_cur = new.rlim_max = old.rlim_max;
	return setrlimit(resource, &new) == 0;
}

static bool enter_limits(const struct sandbox *s)
{
	bool ok = limit(RLIMIT_CORE, 0);
	ok &= limit(RLIMIT_NOFILE, 0); /* open descriptors stay usable, no new one can be made */
	if (s->output_dir < 0)
		ok &= limit(RLIMIT_FSIZE, 0);
	if (s->memory)
		ok &= limit(RLIMIT_AS, s->memory);
	if (s->cpu_s)
		ok &= limit(RLIMIT_CPU, s->cpu_s);
	return ok;
}

#ifdef HAVE_LANDLOCK
static bool enter_landlock(const struct sandbox *s)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (version < 1)
		return false;
	/* The 13 rights of the first version: every later kernel knows them. */
	struct landlock_ruleset_attr attr = { .handled_access_fs = (1ull << 13) - 1 };
	long ruleset = syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
	if (ruleset < 0)
		return false;
	struct landlock_path_beneath_attr beneath = {
		.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |
				  LANDLOCK_ACCESS_FS_REMOVE_FILE,
		.parent_fd = s->output_dir,
	};
	bool ok = s->output_dir < 0 || syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) == 0;
	ok = ok && syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
	close((int)ruleset);
	return ok;
}
#else
static bool enter_landlock(const struct sandbox *s)
{
	(void)s;
	return false;
}
#endif

#ifdef HAVE_SECCOMP
static bool enter_seccomp(const struct sandbox *s)
{
	static const int reading[] = {
		SCMP_SYS(read), SCMP_SYS(pread64), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(lseek),
		SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(brk), SCMP_SYS(madvise), SCMP_SYS(futex), SCMP_SYS(getcwd), SCMP_SYS(getrandom),
		SCMP_SYS(clock_gettime), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(close),
		SCMP_SYS(exit), SCMP_SYS(exit_group),
	};
	static const int writing[] = { SCMP_SYS(pwrite64), SCMP_SYS(ftruncate), SCMP_SYS(fsync), SCMP_SYS(renameat), SCMP_SYS(renameat2),
				       SCMP_SYS(unlinkat) };
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (!ctx)
		return false;
	int failed = 0;
	for (size_t i = 0; i < sizeof reading / sizeof *reading; i++)
		failed |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, reading[i], 0);
	for (size_t i = 0; i < sizeof writing / sizeof *writing && s->output_dir >= 0; i++)
		failed |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, writing[i], 0);
	/* Memory, but none that can be executed; signals, but only to itself (abort). */
	failed |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	failed |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	failed |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	bool ok = !failed && seccomp_load(ctx) == 0;
	seccomp_release(ctx);
	return ok;
}
#else
static bool enter_seccomp(const struct sandbox *s)
{
	(void)s;
	return false;
}
#endif

unsigned sandbox_enter(const struct sandbox *s)
{
	unsigned active = 0;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
		active |= SANDBOX_NO_NEW_PRIVS;
	if (!sandbox_compiled())
		return active;
	if (enter_landlock(s))
		active |= SANDBOX_LANDLOCK;
	if (enter_limits(s))
		active |= SANDBOX_LIMITS;
	if (enter_seccomp(s))
		active |= SANDBOX_SECCOMP;
	return active;
}
