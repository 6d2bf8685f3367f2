/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/executor.h"

static void run_serial(void *ctx, size_t n, void (*body)(void *arg, size_t i), void *arg)
{
	(void)ctx;
	for (size_t i = 0; i < n; i++)
		body(arg, i);
}

const struct executor executor_serial = { run_serial, NULL, 1 };
