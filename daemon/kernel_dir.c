/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/kernel_dir.h"
#include "daemon/log.h"
#include "daemon/program_spec.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ARENA_BYTES = 64 << 20 };

struct file {
	const char *path;
	char *text;
	size_t nbytes;
	json_t *globals;             /* what its import lines name */
	struct registry *registry;
	struct programs *programs;
	size_t nkernels, nprograms;
};

static void complain(const char *path, const char *what, const char *why)
{
	char quoted_path[PATH_MAX], quoted[700];
	log_warn("kernel_dir", "file=%s %s=%s", log_quote(path, quoted_path, sizeof quoted_path), what, log_quote(why, quoted, sizeof quoted));
}

/* --- text --- */

static const char *end_of_line(const char *at)
{
	return at + strcspn(at, "\n");
}

static bool is_word(char c)
{
	return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static size_t word_length(const char *at)
{
	size_t n = 0;
	while (is_word(at[n]) || at[n] == '.')
		n++;
	return n;
}

static const char *skip_blanks(const char *at)
{
	return at + strspn(at, " \t");
}

/* --- imports: the functions and modules that the kernels use by name --- */

static void add_import(struct file *f, const char *module, size_t nmodule, const char *item, size_t nitem, const char *as, size_t nas)
{
	char target[128];
	bool numba = nmodule == 5 && memcmp(module, "numba", 5) == 0;
	int n = item ? snprintf(target, sizeof target, "%.*s.%.*s", numba ? 6 : (int)nmodule, numba ? "spiked" : module, (int)nitem, item)
		     : snprintf(target, sizeof target, "%.*s", (int)nmodule, module);
	/* Of others only decorators come, which mean nothing here. */
	bool known = strncmp(target, "numpy", 5) == 0 || strncmp(target, "math", 4) == 0 || strcmp(target, "spiked.prange") == 0 ||
		     strcmp(target, "spiked") == 0;
	if (n > 0 && (size_t)n < sizeof target && known && nas)
		json_array_append_new(f->globals, json_pack("{s:s%, s:s}", "name", as, nas, "library", target));
}

/* "numpy as np": fills the name it gets. Returns what follows. */
static const char *read_alias(const char *at, const char **name, size_t *n)
{
	at = skip_blanks(at);
	if (strncmp(at, "as ", 3) != 0)
		return at;
	at = skip_blanks(at + 3);
	*name = at;
	*n = word_length(at);
	return at + *n;
}

static void read_import(struct file *f, const char *line)
{
	bool from = strncmp(line, "from ", 5) == 0;
	const char *module = skip_blanks(line + (from ? 5 : 7)), *at = module;
	size_t nmodule = word_length(module);
	at = skip_blanks(module + nmodule);
	if (!from) {
		const char *as = module;
		size_t nas = nmodule;
		read_alias(at, &as, &nas);
		add_import(f, module, nmodule, NULL, 0, as, nas);
		return;
	}
	if (strncmp(at, "import", 6) != 0)
		return;
	for (at += 6; *at && *at != '\n';) {
		const char *item = at = at + strspn(at, " \t,()"), *as = item;
		size_t nitem = word_length(item), nas = nitem;
		if (!nitem)
			break;
		at = read_alias(item + nitem, &as, &nas);
		add_import(f, module, nmodule, item, nitem, as, nas);
	}
}

static void read_imports(struct file *f)
{
	for (const char *line = f->text; *line; line = end_of_line(line) + (*end_of_line(line) == '\n'))
		if (strncmp(line, "import ", 7) == 0 || strncmp(line, "from ", 5) == 0)
			read_import(f, line);
}

/* --- decorators --- */

/* The end of "@name(...)", brackets and quotes counted; one line if there are none. */
static const char *end_of_decorator(const char *at)
{
	int depth = 0;
	char quote = 0;
	for (; *at; at++) {
		if (quote) {
			quote = *at == quote ? 0 : quote;
			continue;
		}
		if (*at == '"' || *at == '\'')
			quote = *at;
		depth += (*at == '(' || *at == '[') - (*at == ')' || *at == ']');
		if (*at == '\n' && depth <= 0)
			break;
	}
	return at;
}

static bool says(const char *at, const char *end, const char *text)
{
	return memmem(at, (size_t)(end - at), text, strlen(text)) != NULL;
}

static void precompile(struct file *f, struct program_source *s, const char *signature, size_t n)
{
	struct argument args[ARGUMENTS_MAX];
	struct error e = { 0 };
	struct ticket ticket = { 0 };
	int nargs = signature_parse(signature, n, args, ARGUMENTS_MAX, &e);
	if (nargs >= 0) {
		s->args = args;
		s->nargs = (uint32_t)nargs;
		if (programs_ask(f->programs, s, &ticket, &e) == STEP_COMPUTE)
			programs_compile(f->programs, &ticket, s, &e);
		programs_release(f->programs, &ticket);
	}
	if (e.status)
		complain(f->path, "error", e.message);
	else
		f->nprograms++;
}

/* A text in quotes is a signature if it has brackets; "numpy" of error_model="numpy" has none. */
static void read_decorator(struct file *f, struct program_source *s, const char *at, const char *end)
{
	s->parallel = says(at, end, "parallel=True");
	s->fastmath = says(at, end, "fastmath=True");
	s->numpy_errors = says(at, end, "error_model=\"numpy\"") || says(at, end, "error_model='numpy'");
	while (at < end) {
		at += strcspn(at, "\"'");
		if (at >= end)
			return;
		const char *text = at + 1, *close = strchr(text, *at);
		if (!close || close > end)
			return;
		if (memchr(text, '(', (size_t)(close - text)))
			precompile(f, s, text, (size_t)(close - text));
		at = close + 1;
	}
}

/* --- a file --- */

static void register_kernel(struct file *f, struct name name)
{
	char text[128];
	struct error e;
	snprintf(text, sizeof text, "%.*s", (int)name.nbytes, name.text);
	if (registry_find(f->registry, text))
		complain(f->path, "registered_twice", text);
	if (registry_check(f->registry, text, f->nbytes, &e) != STATUS_OK) {
		complain(f->path, "error", e.message);
		return;
	}
	registry_put(f->registry, text, json_pack("{s:s%, s:s, s:s, s:O}", "source", f->text, f->nbytes, "kernel", text, "file", f->path,
						 "globals", f->globals));
	f->nkernels++;
}

/* Decorators stand directly above their function, whose `def` is in this line. */
static void compile_signatures(struct file *f, struct name name)
{
	char text[128];
	struct params p;
	struct error e = { 0 };
	struct program_spec spec;
	snprintf(text, sizeof text, "%.*s", (int)name.nbytes, name.text);
	json_t *params = json_pack("{s:s}", "kernel", text);
	params_init(&p, params, "", &e);
	program_spec_parse(&spec, &p, f->registry, false, SIZE_MAX);
	const char *decorator = NULL;
	for (const char *line = f->text; *line && !p.status;) {
		const char *end = *line == '@' ? end_of_decorator(line) : end_of_line(line);
		if (*line == '@' && !decorator)
			decorator = line;
		if (strncmp(line, "def ", 4) == 0) {
			const char *def = skip_blanks(line + 4);
			if (decorator && word_length(def) == name.nbytes && memcmp(def, name.text, name.nbytes) == 0)
				read_decorator(f, &spec.source, decorator, line);
			decorator = NULL;
		}
		line = end + (*end == '\n');
	}
	program_spec_fini(&spec);
	json_decref(params);
}

static void load_text(struct file *f)
{
	struct arena arena;
	struct source_text source = { .text = f->text, .nbytes = f->nbytes, .file = f->path, .first_line = 1 };
	struct module module;
	struct error e;
	arena_init(&arena, ARENA_BYTES);
	if (strlen(f->text) != f->nbytes) {
		complain(f->path, "error", "the file has zero bytes in it");
	} else if (parse_kernel(&arena, &source, &parse_limits_default, &module, &e) != STATUS_OK) {
		complain(f->path, "error", e.message);
	} else {
		read_imports(f);
		for (uint32_t i = 0; i < module.body.count; i++)
			if (module.body.items[i]->kind == AST_DEF)
				register_kernel(f, module.body.items[i]->name);
		for (uint32_t i = 0; i < module.body.count; i++)
			if (module.body.items[i]->kind == AST_DEF)
				compile_signatures(f, module.body.items[i]->name);
	}
	arena_free(&arena);
}

/* Code of this user only: a file that others own or may write is not run here. */
static char *read_file(const char *path, size_t max_source, size_t *n)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	const char *why = NULL;
	if (fd < 0 || fstat(fd, &st) != 0)
		why = strerror(errno);
	else if (!S_ISREG(st.st_mode))
		why = "it is not a file";
	else if ((st.st_uid != geteuid() && st.st_uid != 0) || st.st_mode & 022)
		why = "others own it or may write to it";
	else if ((uint64_t)st.st_size > max_source)
		why = "it is larger than compiler.source_bytes";
	char *text = why ? NULL : malloc((size_t)st.st_size + 1);
	ssize_t got = text ? read(fd, text, (size_t)st.st_size) : -1;
	if (fd >= 0)
		close(fd);
	if (got < 0) {
		complain(path, "error", why ? why : "it cannot be read");
		free(text);
		return NULL;
	}
	text[got] = '\0';
	*n = (size_t)got;
	return text;
}

static int is_python(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name);
	return n > 3 && entry->d_name[0] != '.' && strcmp(entry->d_name + n - 3, ".py") == 0;
}

void kernel_dir_load(const char *directory, size_t max_source, struct registry *registry, struct programs *programs)
{
	struct dirent **entries;
	size_t nkernels = 0, nprograms = 0;
	int n = scandir(directory, &entries, is_python, alphasort);
	if (n < 0) {
		complain(directory, "error", strerror(errno));
		return;
	}
	for (int i = 0; i < n; i++) {
		char path[PATH_MAX];
		struct file f = { .path = path, .registry = registry, .programs = programs };
		snprintf(path, sizeof path, "%s/%s", directory, entries[i]->d_name);
		free(entries[i]);
		f.text = read_file(path, max_source, &f.nbytes);
		f.globals = json_array();
		if (f.text)
			load_text(&f);
		nkernels += f.nkernels;
		nprograms += f.nprograms;
		json_decref(f.globals);
		free(f.text);
	}
	free(entries);
	log_info("kernels registered", "files=%d kernels=%zu compiled=%zu", n, nkernels, nprograms);
}
