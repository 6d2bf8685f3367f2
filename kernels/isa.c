/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/isa.h"

#include <stdatomic.h>

static atomic_int most = ISA_AVX512;
static atomic_int found = -1;

static enum isa detect(void)
{
#if defined(__x86_64__)
	/* libgcc's check includes XGETBV: a level counts only if the operating system saves its registers. */
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
	    __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("fma"))
		return ISA_AVX512;
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
		return ISA_AVX2;
#endif
	return ISA_C;
}

enum isa isa_level(void)
{
	int level = atomic_load_explicit(&found, memory_order_relaxed);
	if (level < 0) {
		level = detect();
		atomic_store_explicit(&found, level, memory_order_relaxed);
	}
	int top = atomic_load_explicit(&most, memory_order_relaxed);
	return (enum isa)(level < top ? level : top);
}

void isa_limit(enum isa isa)
{
	atomic_store_explicit(&most, isa, memory_order_relaxed);
}

const char *isa_name(enum isa isa)
{
	return isa == ISA_AVX512 ? "avx512" : isa == ISA_AVX2 ? "avx2" : "c";
}
