/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/stage.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct stage_type *const types[STAGE_KINDS] = {
	[STAGE_BANDPASS] = &stage_bandpass,
	[STAGE_HIGHPASS] = &stage_highpass,
	[STAGE_LOWPASS] = &stage_lowpass,
	[STAGE_BANDSTOP] = &stage_bandstop,
	[STAGE_NOTCH] = &stage_notch,
	[STAGE_COMMON_REFERENCE] = &stage_common_reference,
	[STAGE_PHASE_SHIFT] = &stage_phase_shift,
	[STAGE_NEO] = &stage_neo,
	[STAGE_SCALE] = &stage_scale,
	[STAGE_CENTER] = &stage_center,
	[STAGE_BLANK] = &stage_blank,
	[STAGE_BLANK_SATURATION] = &stage_blank_saturation,
	[STAGE_SILENCE] = &stage_silence,
	[STAGE_INTERPOLATE] = &stage_interpolate,
	[STAGE_WHITEN] = &stage_whiten,
	[STAGE_ZSCORE] = &stage_zscore,
};

const struct stage_type *stage_type_of(enum stage_kind kind)
{
	return (unsigned)kind < STAGE_KINDS ? types[kind] : NULL;
}

size_t stage_margin(double frames)
{
	if (!(frames >= 0))
		return 0;
	return frames < (double)STAGE_MAX_MARGIN ? (size_t)frames : STAGE_MAX_MARGIN;
}

size_t stage_periods(double freq_hz, double fs_hz)
{
	double margin_ms = 5 * 1000.0 / freq_hz;
	return stage_margin(trunc(margin_ms * fs_hz / 1000.0));
}

enum status stage_wrong(struct error *e, size_t stage, const char *key, const char *hint, const char *format, ...)
{
	char field[64], message[256];
	va_list ap;
	va_start(ap, format);
	vsnprintf(message, sizeof message, format, ap);
	va_end(ap);
	snprintf(field, sizeof field, "preprocess[%zu].%s", stage, key);
	return error_set(e, STATUS_INVALID, field, hint, "%s: %s", field, message);
}

enum status stage_wrong_value(struct error *e, size_t stage, const char *key, const char *hint, const char *what, double value)
{
	return stage_wrong(e, stage, key, hint, "%s is %g, %s", key, value, what);
}

enum status stage_table(struct plan_stage *p, size_t stage, size_t count, size_t item, struct error *e)
{
	size_t bytes;
	if (__builtin_mul_overflow(count, item, &bytes) || bytes > STAGE_MAX_TABLE) {
		char field[32];
		snprintf(field, sizeof field, "preprocess[%zu]", stage);
		return error_set(e, STATUS_TOO_LARGE, field, "use fewer channels", "%s: this stage of %zu channels needs a table of more than %zu MiB", field,
				 p->nchannels, STAGE_MAX_TABLE >> 20);
	}
	p->table_bytes = (bytes + 63) / 64 * 64 + 64;
	p->table = aligned_alloc(64, p->table_bytes);
	if (!p->table)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for a stage of %zu channels", p->nchannels);
	memset(p->table, 0, p->table_bytes);
	return STATUS_OK;
}
