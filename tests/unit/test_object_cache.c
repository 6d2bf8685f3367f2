/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/compiler/object_cache.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char root[64], directory[96];

static int make_root(void)
{
	strcpy(root, "/tmp/spiked-cache-XXXXXX");
	if (!mkdtemp(root))
		return 1;
	snprintf(directory, sizeof directory, "%s/objects", root);
	return 0;
}

static int remove_root(void)
{
	char command[128];
	snprintf(command, sizeof command, "rm -rf %s", root);
	return system(command) != 0;
}

/* The n-th file by directory order; false if there are fewer. */
static bool file_at(size_t n, char *path, size_t size)
{
	DIR *d = opendir(directory);
	bool found = false;
	for (struct dirent *entry; d && !found && (entry = readdir(d));)
		if (entry->d_name[0] != '.' && n-- == 0) {
			snprintf(path, size, "%s/%s", directory, entry->d_name);
			found = true;
		}
	if (d)
		closedir(d);
	return found;
}

static size_t count_files(void)
{
	size_t n = 0;
	char path[512];
	while (file_at(n, path, sizeof path))
		n++;
	return n;
}

static void contents_of(int i, char *key, size_t nkey, uint8_t *bytes, size_t *nbytes)
{
	struct random r = random_seed((uint64_t)i + 1);
	snprintf(key, nkey, "kernel %d of a test", i);
	*nbytes = 1 + random_below(&r, 3000);
	for (size_t j = 0; j < *nbytes; j++)
		bytes[j] = (uint8_t)random_next(&r);
}

static void put(struct object_cache *cache, int i)
{
	char key[64];
	uint8_t bytes[3000];
	size_t n;
	contents_of(i, key, sizeof key, bytes, &n);
	object_cache_put(cache, key, bytes, n);
}

/* 1: the right bytes; 0: a miss; -1: wrong bytes. */
static int get(struct object_cache *cache, int i)
{
	char key[64];
	uint8_t bytes[3000], *got;
	size_t n, ngot;
	contents_of(i, key, sizeof key, bytes, &n);
	if (!object_cache_get(cache, key, &got, &ngot))
		return 0;
	bool right = ngot == n && memcmp(bytes, got, n) == 0;
	free(got);
	return right ? 1 : -1;
}

static void test_round_trip(void)
{
	struct error e;
	struct object_cache_counts counts;
	struct object_cache *cache = object_cache_open(directory, 1 << 20, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(cache);
	CU_ASSERT_EQUAL(get(cache, 1), 0);
	for (int i = 0; i < 20; i++)
		put(cache, i);
	put(cache, 3);
	object_cache_close(cache);
	cache = object_cache_open(directory, 1 << 20, &e);
	for (int i = 0; i < 20; i++)
		CU_ASSERT_EQUAL(get(cache, i), 1);
	CU_ASSERT_EQUAL(get(cache, 20), 0);
	object_cache_counts(cache, &counts);
	CU_ASSERT_EQUAL(counts.hits, 20);
	CU_ASSERT_EQUAL(counts.misses, 1);
	CU_ASSERT_EQUAL(counts.damaged, 0);
	CU_ASSERT_EQUAL(count_files(), 20);
	object_cache_close(cache);
	CU_ASSERT_EQUAL(get(NULL, 1), 0);
	put(NULL, 1);
}

static void flip_bits(struct random *r, const char *path)
{
	FILE *f = fopen(path, "r+b");
	fseek(f, 0, SEEK_END);
	long n = ftell(f);
	for (size_t flips = 1 + random_below(r, 3); n && flips; flips--) {
		long at = (long)random_below(r, (size_t)(random_below(r, 2) ? n : n < 64 ? n : 64));
		fseek(f, at, SEEK_SET);
		int c = fgetc(f);
		fseek(f, at, SEEK_SET);
		fputc(c ^ 1 << random_below(r, 8), f);
	}
	fclose(f);
}

static void swap_files(struct random *r, const char *path)
{
	char other[512], aside[512];
	if (!file_at(random_below(r, count_files()), other, sizeof other))
		return;
	snprintf(aside, sizeof aside, "%s/aside", root);
	rename(path, aside);
	rename(other, path);
	rename(aside, other);
}

static void damage(struct random *r, const char *path)
{
	struct stat st;
	stat(path, &st);
	switch (random_below(r, 4)) {
	case 0:
		flip_bits(r, path);
		break;
	case 1:
		CU_ASSERT_EQUAL(truncate(path, (off_t)random_below(r, (size_t)st.st_size)), 0);
		break;
	case 2:
		CU_ASSERT_EQUAL(truncate(path, st.st_size + 1 + (off_t)random_below(r, 100)), 0);
		break;
	default:
		swap_files(r, path);
	}
}

static void test_damage(void)
{
	enum { FILES = 4, ROUNDS = 2000 };
	struct error e;
	struct random r = random_seed(7);
	struct object_cache *cache = object_cache_open(directory, 1 << 20, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(cache);
	char path[512];
	int wrong = 0;
	for (int i = 0; i < ROUNDS; i++) {
		for (int k = 0; k < FILES; k++)
			if (get(cache, k) != 1)
				put(cache, k);
		if (file_at(random_below(&r, count_files()), path, sizeof path))
			damage(&r, path);
		for (int k = 0; k < FILES; k++)
			wrong += get(cache, k) < 0;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	struct object_cache_counts counts;
	object_cache_counts(cache, &counts);
	CU_ASSERT_TRUE(counts.damaged > ROUNDS / 4);
	object_cache_close(cache);
}

static void test_links_in_it(void)
{
	struct error e;
	struct object_cache *cache = object_cache_open(directory, 1 << 20, &e);
	char path[512], aside[512];
	put(cache, 1);
	CU_ASSERT_TRUE_FATAL(file_at(0, path, sizeof path));
	snprintf(aside, sizeof aside, "%s/aside", root);
	for (int i = 0; i < 30; i++)
		put(cache, i);
	CU_ASSERT_EQUAL(rename(path, aside), 0);
	CU_ASSERT_EQUAL(symlink(aside, path), 0);
	int hits = 0;
	for (int i = 0; i < 30; i++)
		hits += get(cache, i) == 1;
	CU_ASSERT_EQUAL(hits, 29);
	CU_ASSERT_EQUAL(access(aside, F_OK), 0);
	unlink(aside);
	object_cache_close(cache);
}

static void test_distrust(void)
{
	struct error e;
	char link[128], plain[128];
	snprintf(link, sizeof link, "%s/link", root);
	snprintf(plain, sizeof plain, "%s/plain", root);
	CU_ASSERT_EQUAL(mkdir(plain, 0700), 0);
	CU_ASSERT_EQUAL(symlink(plain, link), 0);
	CU_ASSERT_PTR_NULL(object_cache_open(link, 1 << 20, &e));
	chmod(plain, 0750);
	CU_ASSERT_PTR_NULL(object_cache_open(plain, 1 << 20, &e));
	CU_ASSERT_EQUAL(e.status, STATUS_DENIED);
	CU_ASSERT_PTR_NULL(object_cache_open("/nonexistent/at/all", 1 << 20, &e));
	/* Somebody else's: root's for a user, any user's for root. */
	chmod(plain, 0700);
	if (geteuid() == 0 && chown(plain, 12345, 12345) == 0) {
		CU_ASSERT_PTR_NULL(object_cache_open(plain, 1 << 20, &e));
		CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "another user"));
	} else if (geteuid() != 0) {
		CU_ASSERT_PTR_NULL(object_cache_open("/root", 1 << 20, &e));
	}
}

static void age(int seconds)
{
	char path[512];
	struct timespec t = { .tv_sec = time(NULL) - seconds }, times[] = { t, t };
	for (size_t i = 0; file_at(i, path, sizeof path); i++)
		utimensat(AT_FDCWD, path, times, 0);
}

static void test_eviction(void)
{
	struct error e;
	struct object_cache *cache = object_cache_open(directory, 60000, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(cache);
	for (int i = 0; i < 8; i++)
		put(cache, i);
	age(1000);
	CU_ASSERT_EQUAL(get(cache, 5), 1); /* used now: it stays */
	for (int i = 100; i < 125; i++)
		put(cache, i);
	struct object_cache_counts counts;
	object_cache_counts(cache, &counts);
	CU_ASSERT_TRUE(counts.evicted > 0);
	CU_ASSERT_TRUE(counts.nbytes <= 60000);
	CU_ASSERT_EQUAL(get(cache, 5), 1);
	CU_ASSERT_EQUAL(get(cache, 124), 1);
	object_cache_close(cache);
	cache = object_cache_open(directory, 1000, &e); /* a smaller limit holds from the start */
	object_cache_counts(cache, &counts);
	CU_ASSERT_TRUE(counts.nbytes <= 1000);
	object_cache_close(cache);
}

CU_ErrorCode test_object_cache_register(void)
{
	CU_TestInfo tests[] = {
		{ "round trip", test_round_trip },
		{ "2000 damages never give wrong bytes", test_damage },
		{ "a link among the files", test_links_in_it },
		{ "directories that cannot be trusted", test_distrust },
		{ "eviction", test_eviction },
		CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {
		{ .pName = "object_cache", .pInitFunc = make_root, .pCleanupFunc = remove_root, .pTests = tests },
		CU_SUITE_INFO_NULL,
	};
	return CU_register_suites(suites);
}
