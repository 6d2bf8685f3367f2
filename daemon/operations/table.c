/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/operations/operations.h"

const struct operation operations[] = {
	{ "hello", ROLE_READ, CLASS_INTERACTIVE, hello_begin, NULL, NULL },
	{ "ping", ROLE_READ, CLASS_INTERACTIVE, ping_begin, NULL, NULL },
	{ "info", ROLE_READ, CLASS_INTERACTIVE, info_begin, NULL, NULL },
	{ "stats", ROLE_READ, CLASS_INTERACTIVE, stats_begin, NULL, NULL },
	{ "cancel", ROLE_COMPUTE, CLASS_INTERACTIVE, cancel_begin, NULL, NULL },
	{ "shutdown", ROLE_ADMIN, CLASS_INTERACTIVE, shutdown_begin, NULL, NULL },
	{ "open", ROLE_COMPUTE, CLASS_INTERACTIVE, open_begin, open_step, open_end },
	{ "read", ROLE_COMPUTE, CLASS_INTERACTIVE, read_begin, read_step, read_end },
	{ "detect", ROLE_COMPUTE, CLASS_INTERACTIVE, detect_begin, detect_step, detect_end },
	{ "reduce", ROLE_COMPUTE, CLASS_INTERACTIVE, reduce_begin, reduce_step, reduce_end },
	{ "bad_channels", ROLE_COMPUTE, CLASS_INTERACTIVE, bad_channels_begin, bad_channels_step, bad_channels_end },
	{ "compile", ROLE_COMPUTE, CLASS_INTERACTIVE, compile_begin, compile_step, compile_end },
	{ "call", ROLE_COMPUTE, CLASS_INTERACTIVE, call_begin, call_step, call_end },
	{ "evaluate", ROLE_COMPUTE, CLASS_INTERACTIVE, evaluate_begin, call_step, call_end },
	{ "map", ROLE_COMPUTE, CLASS_INTERACTIVE, map_begin, map_step, map_end },
	{ "kernels", ROLE_COMPUTE, CLASS_INTERACTIVE, kernels_begin, NULL, NULL },
};

const size_t noperations = sizeof operations / sizeof *operations;
