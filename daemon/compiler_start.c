/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/compiler_start.h"
#include "daemon/kernel_dir.h"
#include "daemon/log.h"
#include "daemon/programs.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The directory of objects, "" for none. The one it stands in is made too: a fresh account has no ~/.cache. */
static void choose_directory(const char *setting, char out[PATH_MAX])
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	char parent[PATH_MAX - 16];
	out[0] = '\0';
	if (strcmp(setting, "off") == 0)
		return;
	if (strcmp(setting, "auto") != 0) {
		snprintf(out, PATH_MAX, "%s", setting);
		return;
	}
	if (cache && cache[0] == '/')
		snprintf(parent, sizeof parent, "%s", cache);
	else if (home && home[0] == '/')
		snprintf(parent, sizeof parent, "%s/.cache", home);
	else
		return;
	mkdir(parent, 0700);
	snprintf(out, PATH_MAX, "%s/spiked", parent);
}

static struct compiler *new_compiler(const struct config *c)
{
	char directory[PATH_MAX], quoted[700];
	struct error warning = { 0 };
	choose_directory(c->compiler_cache_dir, directory);
	struct compiler_options options = { .cache_dir = directory[0] ? directory : NULL, .cache_bytes = (uint64_t)c->compiler_disk_bytes,
					    .memory_bytes = (size_t)c->compiler_memory_bytes };
	struct compiler *compiler = compiler_new(&options, &warning);
	if (warning.status)
		log_warn("compiler", "warning=%s", log_quote(warning.message, quoted, sizeof quoted));
	return compiler;
}

enum status compiler_start(struct daemon *d, struct error *e)
{
	const struct config *c = &d->settings->config;
	struct compiler *compiler = new_compiler(c);
	if (compiler)
		d->programs = programs_new(&d->loop, compiler, (size_t)c->compiler_cache_bytes, (size_t)c->compiler_programs, daemon_wake);
	d->registry = registry_new((size_t)c->compiler_programs, (size_t)c->compiler_cache_bytes);
	if (!d->programs || !d->registry)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for the compiler");
	if (strcmp(c->compiler_kernel_dir, "off") != 0)
		kernel_dir_load(c->compiler_kernel_dir, (size_t)c->compiler_source_bytes, d->registry, d->programs);
	return STATUS_OK;
}
