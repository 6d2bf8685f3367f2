/* SPDX-License-Identifier: BSD-3-Clause */
#include "protocol/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum status error_set(struct error *e, enum status status, const char *field, const char *hint, const char *format, ...)
{
	if (!e)
		return status;
	memset(e, 0, sizeof *e);
	e->status = status;
	snprintf(e->field, sizeof e->field, "%s", field ? field : "");
	snprintf(e->hint, sizeof e->hint, "%s", hint ? hint : "");
	va_list ap;
	va_start(ap, format);
	vsnprintf(e->message, sizeof e->message, format, ap);
	va_end(ap);
	return status;
}
