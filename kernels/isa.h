/* SPDX-License-Identifier: BSD-3-Clause
 *
 * One body, several instruction sets. A file kernels/NAME_simd.c is compiled once with ISA=c, and on x86-64 also with ISA=avx2 and
 * ISA=avx512; inside it, VARIANT(f) is f_c, f_avx2 or f_avx512. It is written with GCC's vector extensions and without contraction, so all
 * variants give the same bits, which tests/check holds them to. The header NAME.h declares the variants with ISA_DECLARE and the
 * plain C file NAME.c picks one with ISA_PICK.
 */
#ifndef KERNELS_ISA_H
#define KERNELS_ISA_H

enum isa { ISA_C, ISA_AVX2, ISA_AVX512 };

/* The best this CPU and operating system run, lowered by isa_limit. */
enum isa isa_level(void);

/* Never use more than this from now on (for tests, and the environment variable SPIKED_ISA=c|avx2|avx512 read by the daemon). */
void isa_limit(enum isa most);

const char *isa_name(enum isa isa);

#define ISA_PASTE_(f, isa) f##_##isa
#define ISA_PASTE(f, isa) ISA_PASTE_(f, isa)
#define VARIANT(f) ISA_PASTE(f, ISA)

#if defined(__x86_64__)
#define ISA_PICK(f) (isa_level() == ISA_AVX512 ? f##_avx512 : isa_level() == ISA_AVX2 ? f##_avx2 : f##_c)
#define ISA_DECLARE(ret, f, ...) ret f##_c(__VA_ARGS__); ret f##_avx2(__VA_ARGS__); ret f##_avx512(__VA_ARGS__)
#else
#define ISA_PICK(f) f##_c
#define ISA_DECLARE(ret, f, ...) ret f##_c(__VA_ARGS__)
#endif

#endif
