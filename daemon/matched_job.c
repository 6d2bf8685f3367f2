/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/matched_job.h"
#include "daemon/client_memory.h"
#include "daemon/detection.h"

#include <math.h>
#include <stdlib.h>

/* Pairs to weigh, some seconds; and weights to keep, each of them a multiplication a frame. */
enum { MAX_WEIGHTS = 1 << 27, MAX_KEPT = 1 << 21 };

static void parse_depths(struct matched_wanted *w, struct params *p)
{
	static const double depths[] = { 0, 30, 60, 90, 120 };
	const json_t *list = params_list(p, "z_list_um");
	w->nz = list ? json_array_size(list) : sizeof depths / sizeof *depths;
	if (w->nz < 1 || w->nz > MATCHED_MAX_DEPTHS) {
		params_fail(p, "z_list_um", NULL, "%zu depths; give 1 to %d", w->nz, MATCHED_MAX_DEPTHS);
		return;
	}
	for (size_t i = 0; i < w->nz; i++) {
		const json_t *item = list ? json_array_get(list, i) : NULL;
		w->z_um[i] = list ? json_number_value(item) : depths[i];
		if ((list && !json_is_number(item)) || !(w->z_um[i] >= 0 && w->z_um[i] <= 1e6))
			params_fail(p, "z_list_um", NULL, "depth %zu must be a number from 0 to 1e6", i);
	}
}

static void parse_weights(struct matched_wanted *w, struct params *p)
{
	static const char *const modes[] = { "exponential_3d", NULL };
	const json_t *object = params_object(p, "weight_method");
	struct params mine;
	if (p->status)
		return;
	params_init(&mine, object, "weight_method.", p->error);
	params_word(&mine, "mode", modes, 0);
	w->sigma_um = params_real(&mine, "sigma_3d", 2.5, 0, true, 1e6);
	parse_depths(w, &mine);
	p->status = params_end(&mine);
}

void matched_parse(struct matched_wanted *w, const struct request *r, struct params *p)
{
	const struct array *a = w->prototype = message_array(&r->msg, "prototype");
	w->before_ms = params_real(p, "ms_before", 0, 0, false, 1000);
	parse_weights(w, p);
	if (!a)
		params_fail(p, "prototype", "send the waveform of a spike as an array, <f4 or <f8", "matched_filtering needs a prototype");
	else if ((a->dtype != DTYPE_F32 && a->dtype != DTYPE_F64) || a->ndim != 1 || a->shape[0] < 1 || a->shape[0] > MATCHED_MAX_SAMPLES)
		params_fail(p, "prototype", "send the waveform of a spike as an array, <f4 or <f8", "must be 1-D, 1 to %d samples of float32 or float64",
			    MATCHED_MAX_SAMPLES);
	if (!params_has(p, "ms_before"))
		params_fail(p, "ms_before", "say where in the prototype its peak stands", "is missing");
}

/* The prototype's numbers, if they can be used. */
static enum status take_prototype(const struct matched_wanted *w, enum peak_sign sign, struct request *r, size_t before, double *out, struct error *e)
{
	const size_t n = (size_t)w->prototype->shape[0];
	double most = 0;
	void *copy = NULL;
	enum status status = client_memory_copy(r, w->prototype, &copy, e);
	for (size_t k = 0; k < n && !status; k++) {
		out[k] = w->prototype->dtype == DTYPE_F32 ? (double)((const float *)copy)[k] : ((const double *)copy)[k];
		most = fmax(most, fabs(out[k]));
		if (!isfinite(out[k]))
			status = error_set(e, STATUS_INVALID, "prototype", NULL, "sample %zu is not finite", k);
	}
	free(copy);
	if (status)
		return status;
	if (!(most > 0))
		return error_set(e, STATUS_INVALID, "prototype", NULL, "all its samples are 0");
	if ((sign == PEAK_NEG && !(out[before] < 0)) || (sign == PEAK_POS && !(out[before] > 0)))
		return error_set(e, STATUS_INVALID, "prototype", "check ms_before and peak_sign", "its sample %zu, where ms_before is, has not the sign of peak_sign: %g",
				 before, out[before]);
	/* Any scale will do, but its square must be a number. */
	for (size_t k = 0; k < n; k++)
		out[k] /= most;
	return STATUS_OK;
}

enum status matched_make(struct matched_filter **out, const struct matched_wanted *w, enum peak_sign sign, const struct source *s, const double *places,
			 size_t ndim, const struct executor *ex, struct error *e)
{
	const size_t n = (size_t)w->prototype->shape[0];
	const double before = rint(w->before_ms * s->fs_hz / 1000.0);
	double samples[MATCHED_MAX_SAMPLES];
	if (before >= (double)n)
		return error_set(e, STATUS_INVALID, "ms_before", NULL, "%g frames at this sampling rate, and the prototype has %zu", before, n);
	const size_t weights = s->nchannels * s->nchannels * w->nz, work = (size_t)s->request->settings->config.limits_work_bytes;
	if (weights > MAX_WEIGHTS || weights * sizeof(float) > work)
		return error_set(e, STATUS_TOO_LARGE, "method", "search fewer channels at once, or use locally_exclusive",
				 "matched_filtering weighs all pairs of channels at each depth: %zu channels and %zu depths are too many", s->nchannels, w->nz);
	enum status status = take_prototype(w, sign, s->request, (size_t)before, samples, e);
	if (status)
		return status;
	const struct matched_filter_spec spec = { .nchannels = s->nchannels, .ndim = ndim, .length = n, .before = (size_t)before, .nz = w->nz, .places = places,
						  .prototype = samples, .z_um = w->z_um, .sigma_um = w->sigma_um };
	status = matched_filter_new(out, &spec, ex, e);
	if (status || (*out)->start[w->nz * s->nchannels] <= MAX_KEPT)
		return status;
	return error_set(e, STATUS_TOO_LARGE, "weight_method", "use a smaller sigma_3d, fewer depths or fewer channels",
			 "the sources reach too many channels: %zu weights, and at most %d can be used", (*out)->start[w->nz * s->nchannels], MAX_KEPT);
}
