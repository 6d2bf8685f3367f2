/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/paths.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64], inside[128], outside[128], escape[128], fifo[128];

static int set_up(void)
{
	strcpy(root, "/tmp/spiked-paths-XXXXXX");
	if (!mkdtemp(root))
		return 1;
	char path[128];
	snprintf(path, sizeof path, "%s/data", root);
	mkdir(path, 0700);
	snprintf(inside, sizeof inside, "%s/data/a", root);
	snprintf(outside, sizeof outside, "%s/b", root);
	snprintf(escape, sizeof escape, "%s/data/link", root);
	snprintf(fifo, sizeof fifo, "%s/data/fifo", root);
	close(open(inside, O_CREAT | O_WRONLY, 0600));
	close(open(outside, O_CREAT | O_WRONLY, 0600));
	return symlink(outside, escape) != 0 || mkfifo(fifo, 0600) != 0;
}

static int tear_down(void)
{
	char path[128];
	snprintf(path, sizeof path, "%s/data", root);
	unlink(inside);
	unlink(outside);
	unlink(escape);
	unlink(fifo);
	rmdir(path);
	return rmdir(root);
}

static enum status try(const char *roots, const char *path)
{
	char resolved[PATH_MAX];
	struct error e;
	int fd = -1;
	enum status status = paths_open(roots, path, &fd, resolved, &e);
	if (status == STATUS_OK)
		close(fd);
	return status;
}

static void roots(void)
{
	char data[128], two[256], dotted[256], sibling[128];
	snprintf(data, sizeof data, "%s/data", root);
	snprintf(two, sizeof two, "/nonexistent:%s", data);
	snprintf(dotted, sizeof dotted, "%s/data/../b", root);
	snprintf(sibling, sizeof sibling, "%s/dat", root);
	CU_ASSERT_EQUAL(try("/", inside), STATUS_OK);
	CU_ASSERT_EQUAL(try(data, inside), STATUS_OK);
	CU_ASSERT_EQUAL(try(two, inside), STATUS_OK);
	CU_ASSERT_EQUAL(try(data, outside), STATUS_DENIED);
	CU_ASSERT_EQUAL(try(data, dotted), STATUS_DENIED);
	CU_ASSERT_EQUAL(try(data, escape), STATUS_DENIED);
	CU_ASSERT_EQUAL(try(sibling, inside), STATUS_DENIED); /* a prefix of the name is not a parent */
	CU_ASSERT_EQUAL(try("/", escape), STATUS_OK);
	CU_ASSERT_EQUAL(try("/", fifo), STATUS_INVALID);
	CU_ASSERT_EQUAL(try("/", data), STATUS_INVALID);
	CU_ASSERT_EQUAL(try("/", "data/a"), STATUS_INVALID);
	CU_ASSERT_EQUAL(try("/", "/nonexistent/x"), STATUS_NOT_FOUND);
}

static void directories(void)
{
	char data[128], resolved[PATH_MAX];
	const char *name;
	struct error e;
	int fd = -1;
	snprintf(data, sizeof data, "%s/data", root);
	CU_ASSERT_EQUAL(paths_open_directory(data, inside, &fd, &name, resolved, &e), STATUS_OK);
	CU_ASSERT_STRING_EQUAL(name, "a");
	close(fd);
	CU_ASSERT_EQUAL(paths_open_directory(data, outside, &fd, &name, resolved, &e), STATUS_DENIED);
	CU_ASSERT_EQUAL(paths_open_directory("/", "/nonexistent/x.nwb", &fd, &name, resolved, &e), STATUS_NOT_FOUND);
	CU_ASSERT_EQUAL(paths_open_directory("/", "/tmp/", &fd, &name, resolved, &e), STATUS_INVALID);
}

CU_ErrorCode test_paths_register(void)
{
	CU_pSuite s = CU_add_suite("paths", set_up, tear_down);
	if (!s || !CU_add_test(s, "roots", roots) || !CU_add_test(s, "directories", directories))
		return CU_get_error();
	return CUE_SUCCESS;
}
