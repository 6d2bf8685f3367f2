/* SPDX-License-Identifier: BSD-3-Clause */
#include "protocol/dtype.h"

#include <string.h>

static const struct {
	const char *name;
	size_t nbytes;
} table[DTYPE_COUNT] = {
#define D(name, wire, bytes) [DTYPE_##name] = { wire, bytes },
	DTYPE_MAP(D)
#undef D
};

_Static_assert(sizeof(struct peak) == 32, "the peak record is packed on the wire");

size_t dtype_size(enum dtype dtype)
{
	return dtype >= 0 && dtype < DTYPE_COUNT ? table[dtype].nbytes : 0;
}

const char *dtype_name(enum dtype dtype)
{
	return dtype >= 0 && dtype < DTYPE_COUNT ? table[dtype].name : "none";
}

enum dtype dtype_from_name(const char *name)
{
	for (int i = 0; i < DTYPE_COUNT; i++)
		if (strcmp(table[i].name, name) == 0)
			return (enum dtype)i;
	return DTYPE_NONE;
}
