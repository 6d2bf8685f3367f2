/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/config.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool load_text(struct config *c, const char *text, struct config_error *e)
{
	char path[] = "/tmp/spiked-test-XXXXXX";
	int fd = mkstemp(path);
	CU_ASSERT_FATAL(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
	bool good = config_load(c, path, NULL, 0, e);
	unlink(path);
	return good;
}

static void refuses(const char *text, const char *expected)
{
	struct config c;
	struct config_error e = { "" };
	bool good = load_text(&c, text, &e);
	if (good || !strstr(e.text, expected))
		printf("\n  %s -> %s\n", text, good ? "accepted" : e.text);
	CU_ASSERT(!good && strstr(e.text, expected) != NULL);
	if (good)
		config_fini(&c);
}

static void values(void)
{
	struct config c;
	struct config_error e;
	CU_ASSERT_FATAL(load_text(&c, "[limits]\nclients = 7 ; seven\nmessage_bytes = 8MiB\nhandshake_timeout=250ms\n[log]\nlevel = debug\n[memory]\nenabled=off\n", &e));
	CU_ASSERT(c.limits_clients == 7 && c.limits_message_bytes == 8 << 20 && c.limits_handshake_timeout == 250);
	CU_ASSERT(strcmp(c.log_level, "debug") == 0 && !c.memory_enabled);
	CU_ASSERT_EQUAL(c.limits_queue, 1024); /* the default */
	config_fini(&c);
}

static void mistakes(void)
{
	refuses("[listen]\ntcpp = off\n", ":2: unknown option listen.tcpp, did you mean listen.tcp?");
	refuses("[limits]\nclients = many\n", ":2: limits.clients = many: expected an integer");
	refuses("[limits]\nclients = 0\n", "must be 1 to 65536");
	refuses("[limits]\nmessage_bytes = 8MB\n", "a size such as 64MiB");
	refuses("[limits]\nmessage_bytes = 99999999999GiB\n", "limits.message_bytes");
	refuses("[limits]\nqueue = 5\nqueue = 6\n", ":3: limits.queue is set twice");
	refuses("[log]\nlevel = loud\n", "expected one of error warn info debug");
	refuses("[memory]\nenabled = maybe\n", "expected yes or no");
	refuses("nonsense\n", ":1: neither [section] nor key = value");
	refuses("[listen]\nipc = off\ntcp = off\n", "nobody could connect");
	refuses("[limits]\nmessage_bytes = 1GiB\n", "larger than limits.client_bytes");
	refuses("[results]\nkeep = 10\n", "a time such as 10s");
	struct config c;
	struct config_error e;
	CU_ASSERT(!config_load(&c, "/nonexistent/x.conf", NULL, 0, &e) && strstr(e.text, "No such file"));
	char *sets[] = { "limits.clients" };
	CU_ASSERT(!config_load(&c, NULL, sets, 1, &e) && strstr(e.text, "section.key=value"));
}

static void order(void)
{
	struct config c;
	struct config_error e;
	char *sets[] = { "limits.clients=9" };
	setenv("SPIKED_LIMITS_CLIENTS", "8", 1);
	setenv("SPIKED_LIMITS_QUEUE", "77", 1);
	CU_ASSERT_FATAL(config_load(&c, NULL, sets, 1, &e));
	CU_ASSERT(c.limits_clients == 9 && c.limits_queue == 77);
	config_fini(&c);
	setenv("SPIKED_LIMITS_QUEUE", "x", 1);
	CU_ASSERT(!config_load(&c, NULL, NULL, 0, &e) && strstr(e.text, "SPIKED_LIMITS_QUEUE"));
	unsetenv("SPIKED_LIMITS_CLIENTS");
	unsetenv("SPIKED_LIMITS_QUEUE");
}

/* A dump read back gives the same configuration, and the shipped file is the dump of the defaults. */
static void dump(void)
{
	struct config c, back;
	struct config_error e;
	char *text = NULL, *again = NULL;
	size_t n;
	config_init(&c);
	FILE *out = open_memstream(&text, &n);
	config_dump(&c, out);
	fclose(out);
	CU_ASSERT_FATAL(load_text(&back, text, &e));
	out = open_memstream(&again, &n);
	config_dump(&back, out);
	fclose(out);
	CU_ASSERT_STRING_EQUAL(text, again);
	json_t *differences = config_differences(&back);
	CU_ASSERT_EQUAL(json_object_size(differences), 0);
	json_decref(differences);
	char *shipped = calloc(1, n + 8192);
	FILE *in = fopen("config/spiked.conf", "r");
	CU_ASSERT_FATAL(in != NULL && fread(shipped, 1, n + 8191, in) > 0);
	fclose(in);
	const char *options = strstr(shipped, "[listen]");
	CU_ASSERT(options && strcmp(options, text) == 0);
	free(shipped);
	free(text);
	free(again);
	config_fini(&c);
	config_fini(&back);
}

static void reload(void)
{
	struct config now, next;
	struct config_error e;
	char pending[256];
	config_init(&now);
	config_init(&next);
	CU_ASSERT(config_set(&next, "limits.clients", "5", "test", &e) && config_set(&next, "compute.threads", "3", "test", &e));
	config_keep_restart(&next, &now, pending, sizeof pending);
	CU_ASSERT_STRING_EQUAL(pending, "compute.threads");
	CU_ASSERT(next.limits_clients == 5 && next.compute_threads == now.compute_threads);
	config_fini(&now);
	config_fini(&next);
}

CU_ErrorCode test_config_register(void)
{
	CU_pSuite s = CU_add_suite("config", NULL, NULL);
	if (!s || !CU_add_test(s, "values and units", values) || !CU_add_test(s, "mistakes are named", mistakes) ||
	    !CU_add_test(s, "order of sources", order) || !CU_add_test(s, "dump, and the shipped file", dump) || !CU_add_test(s, "reload", reload))
		return CU_get_error();
	return CUE_SUCCESS;
}
