/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Configuration parser. What it accepts it also dumps, and the dump gives the same configuration.
 */
#include "daemon/config.h"
#include "tests/fuzz/fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

/* The name of a file in memory with these bytes. */
static int file_of(const void *data, size_t n, char name[32])
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	HOLDS(fd >= 0 && write(fd, data, n) == (ssize_t)n);
	snprintf(name, 32, "/proc/self/fd/%d", fd);
	return fd;
}

static void check_dump(const struct config *c)
{
	char *text, name[32];
	size_t n;
	struct config again;
	struct config_error e;
	FILE *out = open_memstream(&text, &n);
	HOLDS(out);
	config_dump(c, out);
	fclose(out);
	int fd = file_of(text, n, name);
	HOLDS(config_load(&again, name, NULL, 0, &e));
	json_t *a = config_differences(c), *b = config_differences(&again);
	HOLDS(json_equal(a, b));
	json_decref(a);
	json_decref(b);
	config_fini(&again);
	close(fd);
	free(text);
}

static void check_set(const uint8_t *data, size_t n)
{
	char *text = malloc(n + 1);
	struct config c;
	struct config_error e;
	HOLDS(text);
	memcpy(text, data, n);
	text[n] = '\0';
	char *sets[] = { text };
	if (config_load(&c, NULL, sets, 1, &e))
		config_fini(&c);
	else
		HOLDS(e.text[0] && memchr(e.text, 0, sizeof e.text));
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char name[32];
	struct config c;
	struct config_error e;
	int fd = file_of(data, n, name);
	if (config_load(&c, name, NULL, 0, &e)) {
		check_dump(&c);
		config_fini(&c);
	} else {
		HOLDS(e.text[0] && memchr(e.text, 0, sizeof e.text));
	}
	close(fd);
	check_set(data, n);
	return 0;
}
