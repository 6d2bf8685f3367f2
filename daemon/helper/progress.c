/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/helper/progress.h"

#include <stdio.h>
#include <sys/mman.h>

static char *page;

void progress_init(int fd)
{
	void *p = mmap(NULL, PROGRESS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	page = p == MAP_FAILED ? NULL : p;
}

void progress_set(const char *object)
{
	if (page)
		snprintf(page, PROGRESS_NAME, "%s", object);
}
