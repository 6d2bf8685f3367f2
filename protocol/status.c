/* SPDX-License-Identifier: BSD-3-Clause */
#include "protocol/status.h"

#include <stddef.h>
#include <string.h>

static const struct {
	enum status status;
	bool retryable;
	const char *name;
	const char *text;
} table[] = {
#define S(name, number, retry, text) { STATUS_##name, retry, #name, text },
	STATUS_MAP(S)
#undef S
};

enum { NSTATUS = sizeof table / sizeof *table };

static size_t row(enum status status)
{
	for (size_t i = 0; i < NSTATUS; i++)
		if (table[i].status == status)
			return i;
	return NSTATUS - 1;
}

const char *status_name(enum status status)
{
	return table[row(status)].name;
}

const char *status_text(enum status status)
{
	return table[row(status)].text;
}

bool status_retryable(enum status status)
{
	return table[row(status)].retryable;
}

enum status status_from_name(const char *name)
{
	for (size_t i = 0; i < NSTATUS; i++)
		if (strcmp(table[i].name, name) == 0)
			return table[i].status;
	return STATUS_INTERNAL;
}
