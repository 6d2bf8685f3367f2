/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/operations/map_results.h"
#include "daemon/operations/program_json.h"
#include "daemon/strided.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum dtype result_dtype(const struct ir_function *f, uint32_t k)
{
	const struct ir_slot *s = &f->results[k];
	return s->is_array ? f->arrays[s->id].dtype : f->locals[s->id].dtype;
}

enum status map_results_init(struct map_results *r, const struct ir_function *f, size_t nchannels, struct error *e)
{
	r->function = f;
	r->nchannels = nchannels;
	r->scalars = calloc(f->nresults + 1, sizeof *r->scalars);
	r->pieces = calloc(f->nresults + 1, sizeof *r->pieces);
	bool good = r->scalars && r->pieces;
	size_t narrays = 0;
	for (uint32_t k = 0; k < f->nresults; k++)
		narrays += f->results[k].is_array ? 2 : 1;
	if (narrays > REPLY_MAX_ARRAYS)
		return error_set(e, STATUS_UNSUPPORTED, "kernel", "return fewer, or join them", "%u results of the kernel are too many", f->nresults);
	for (uint32_t k = 0; good && k < f->nresults; k++) {
		if (f->results[k].is_array && f->arrays[f->results[k].id].rank != 1)
			return error_set(e, STATUS_UNSUPPORTED, "kernel", "return numbers or one-dimensional arrays",
					 "result %u of the kernel has %u dimensions", k, f->arrays[f->results[k].id].rank);
		if (f->results[k].is_array)
			good = (r->pieces[k] = calloc(nchannels + 1, sizeof **r->pieces)) != NULL;
		else
			good = (r->scalars[k] = calloc(nchannels + 1, dtype_size(result_dtype(f, k)))) != NULL;
	}
	return good ? STATUS_OK : error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for results");
}

void map_results_free(struct map_results *r)
{
	for (uint32_t k = 0; r->function && k < r->function->nresults; k++) {
		for (size_t c = 0; r->pieces && r->pieces[k] && c < r->nchannels; c++)
			free(r->pieces[k][c].data);
		if (r->pieces)
			free(r->pieces[k]);
		if (r->scalars)
			free(r->scalars[k]);
	}
	free(r->pieces);
	free(r->scalars);
}

static enum status take_array(struct map_piece *piece, const struct kernel_array *a, size_t itemsize)
{
	piece->length = a->shape[0];
	piece->data = malloc((size_t)a->shape[0] * itemsize + 1);
	if (!piece->data)
		return STATUS_NO_MEMORY;
	copy_items(piece->data, a->data, a->shape[0], a->stride[0], itemsize);
	return STATUS_OK;
}

enum status map_results_take(struct map_results *r, size_t channel, const struct kernel_array *arrays, const union kernel_scalar *scalars)
{
	const struct ir_function *f = r->function;
	enum status status = STATUS_OK;
	for (uint32_t k = 0; k < f->nparams; k++) {
		arrays += f->params[k].is_array;
		scalars += !f->params[k].is_array;
	}
	for (uint32_t k = 0; k < f->nresults && !status; k++) {
		size_t size = dtype_size(result_dtype(f, k));
		if (f->results[k].is_array)
			status = take_array(&r->pieces[k][channel], arrays++, size);
		else
			memcpy(r->scalars[k] + channel * size, scalars++, size);
	}
	return status;
}

static bool add_pieces(struct map_results *r, struct request *q, uint32_t k, const char *name)
{
	size_t size = dtype_size(result_dtype(r->function, k)), total = 0;
	uint64_t n = r->nchannels, sum;
	int64_t *lengths = malloc(n * sizeof *lengths + 1);
	char lengths_name[32];
	for (size_t c = 0; c < n; c++)
		total += (size_t)r->pieces[k][c].length;
	sum = total;
	if (total * size > (size_t)q->settings->config.limits_result_bytes) {
		free(lengths);
		request_fail(q, STATUS_TOO_LARGE, NULL, "raise limits.result_bytes", "the results have %zu bytes", total * size);
		return false;
	}
	uint8_t *all = malloc(total * size + 1), *at = all;
	for (size_t c = 0; all && lengths && c < n; c++) {
		lengths[c] = r->pieces[k][c].length;
		memcpy(at, r->pieces[k][c].data, (size_t)lengths[c] * size);
		at += (size_t)lengths[c] * size;
	}
	snprintf(lengths_name, sizeof lengths_name, "%s_lengths", name);
	if (!request_add_array(q, name, result_dtype(r->function, k), 1, &sum, all)) {
		free(lengths);
		return false;
	}
	return request_add_array(q, lengths_name, DTYPE_I64, 1, &n, lengths);
}

void map_results_reply(struct map_results *r, struct request *q, const struct compiled *program)
{
	const struct ir_function *f = r->function;
	uint64_t n = r->nchannels;
	for (uint32_t k = 0; k < f->nresults; k++) {
		char name[16];
		snprintf(name, sizeof name, "r%u", k);
		if (f->results[k].is_array) {
			if (!add_pieces(r, q, k, name))
				return;
			continue;
		}
		void *data = r->scalars[k];
		r->scalars[k] = NULL;
		if (!request_add_array(q, name, result_dtype(f, k), 1, &n, data))
			return;
	}
	q->result = json_pack("{s:s, s:s, s:I, s:i}", "id", program->id, "form", program_form(program->program), "num_channels", (json_int_t)n, "num_results",
			      (int)f->nresults);
}
