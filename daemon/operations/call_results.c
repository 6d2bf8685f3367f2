/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a call gives back (SPEC.md 4.11): memory of the kernel is handed on where it is a whole array, anything else is copied.
 */
#include "daemon/operations/call.h"
#include "daemon/operations/program_json.h"
#include "daemon/strided.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One result array on its way into the reply. */
struct result {
	const struct kernel_array *from;
	enum dtype dtype;
	unsigned ndim;
	uint64_t shape[MESSAGE_MAX_DIMS];
	size_t nbytes;
	bool fortran;                /* as it lies */
};

/* --- layout --- */

static bool is_whole(const struct kernel_array *a, unsigned rank, size_t itemsize, bool fortran)
{
	int64_t stride = (int64_t)itemsize;
	for (unsigned i = 0; i < rank; i++) {
		unsigned axis = fortran ? i : rank - 1 - i;
		if (a->shape[axis] != 1 && a->stride[axis] != stride)
			return false;
		stride *= a->shape[axis];
	}
	return true;
}

/* Copies a view, the last axis of `axes` innermost, into whole memory. */
static void copy_view(uint8_t *to, const struct kernel_array *a, unsigned rank, size_t itemsize, bool fortran)
{
	int64_t at[KERNEL_MAX_RANK] = { 0 };
	const uint8_t *from = a->data;
	unsigned inner = fortran ? 0 : rank - 1;
	for (;;) {
		copy_items(to, from, a->shape[inner], a->stride[inner], itemsize);
		to += (size_t)a->shape[inner] * itemsize;
		unsigned k = 1;
		for (; k < rank; k++) {
			unsigned axis = fortran ? k : rank - 1 - k;
			from += a->stride[axis];
			if (++at[axis] < a->shape[axis])
				break;
			from -= a->stride[axis] * a->shape[axis];
			at[axis] = 0;
		}
		if (k >= rank)
			return;
	}
}

/* --- one result --- */

static bool same_view(const struct kernel_array *a, const struct kernel_array *b, unsigned rank)
{
	return a->data == b->data && memcmp(a->shape, b->shape, rank * sizeof *a->shape) == 0 &&
	       memcmp(a->stride, b->stride, rank * sizeof *a->stride) == 0;
}

/* The number of the argument that the array is, or -1. */
static int find_argument(const struct call *c, const struct kernel_array *array, enum dtype dtype, unsigned rank)
{
	const struct kernel_array *of = c->arrays;
	for (size_t k = 0; k < c->arguments.n; k++) {
		const struct argument *type = &c->arguments.types[k];
		if (!type->rank)
			continue;
		if (type->rank == rank && type->dtype == dtype && same_view(array, of, rank))
			return (int)k;
		of++;
	}
	return -1;
}

/* Flat arguments have one shape, which is the result's. */
static void unflatten(const struct call *c, struct result *r)
{
	const struct array *like = NULL;
	for (size_t k = 0; k < c->arguments.n && !like; k++)
		like = c->arguments.arrays[k]->ndim ? c->arguments.arrays[k] : NULL;
	r->fortran = c->arguments.fortran;
	r->ndim = like->ndim;
	memcpy(r->shape, like->shape, sizeof r->shape);
}

static void describe(const struct call *c, const struct kernel_array *array, enum dtype dtype, unsigned rank, struct result *r)
{
	*r = (struct result){ .from = array, .dtype = dtype, .ndim = rank, .nbytes = dtype_size(dtype) };
	for (unsigned k = 0; k < rank; k++) {
		r->shape[k] = (uint64_t)array->shape[k];
		r->nbytes *= r->shape[k]; /* cannot overflow: it lies in memory, or an axis is empty */
	}
	bool c_order = is_whole(array, rank, dtype_size(dtype), false);
	r->fortran = rank > 1 && !c_order && is_whole(array, rank, dtype_size(dtype), true);
	if (c->arguments.flat && rank == 1)
		unflatten(c, r);
}

/* The order it goes out in. Kernels: as it lies; expressions: as asked, K and A following the arguments. */
static bool wants_fortran(const struct call *c, const struct result *r)
{
	if (r->ndim < 2 || c->order == ORDER_C)
		return false;
	if (!c->ticket.compiled->expression)
		return r->fortran;
	if (c->order == ORDER_F)
		return true;
	bool any = false;
	for (size_t k = 0; k < c->arguments.n; k++) {
		const struct array *a = c->arguments.arrays[k];
		if (a->ndim > 1 && !a->fortran)
			return false;
		any |= a->ndim > 1;
	}
	return any;
}

/* The result as one array of the reply; `view` in its true shape. */
static void *result_memory(struct call *c, const struct result *r, const struct kernel_array *view, bool fortran)
{
	size_t itemsize = dtype_size(r->dtype);
	void *data = NULL;
	if (r->fortran == fortran && is_whole(view, r->ndim, itemsize, fortran))
		data = kernel_take(&c->context, view->data);
	if (data || !(data = malloc(r->nbytes + 1)) || !r->nbytes)
		return data;
	if (r->ndim)
		copy_view(data, view, r->ndim, itemsize, fortran);
	else
		memcpy(data, view->data, itemsize);
	return data;
}

/* Strides of a flat result in its shape. */
static struct kernel_array true_view(const struct call *c, const struct result *r)
{
	struct kernel_array view = *r->from;
	if (!c->arguments.flat || !r->ndim)
		return view;
	int64_t stride = (int64_t)dtype_size(r->dtype);
	for (unsigned i = 0; i < r->ndim; i++) {
		unsigned axis = r->fortran ? i : r->ndim - 1 - i;
		view.shape[axis] = (int64_t)r->shape[axis];
		view.stride[axis] = stride;
		stride *= r->nbytes ? view.shape[axis] : 1;
	}
	return view;
}

static enum status too_large(struct call *c)
{
	struct request *q = c->request;
	long long most = (long long)q->settings->config.limits_result_bytes;
	error_set(&q->error, STATUS_TOO_LARGE, NULL, "raise limits.result_bytes, or give the result an array of yours (out)",
		  "the results have more than %lld bytes", most);
	q->error.limit = most;
	return STATUS_TOO_LARGE;
}

static enum status add(struct call *c, const struct result *r, const char *name, size_t *total)
{
	struct request *q = c->request;
	*total += r->nbytes;
	if (*total > (size_t)q->settings->config.limits_result_bytes)
		return too_large(c);
	bool fortran = wants_fortran(c, r);
	struct kernel_array view = true_view(c, r);
	if (!request_add_array(q, name, r->dtype, r->ndim, r->shape, result_memory(c, r, &view, fortran)))
		return q->error.status;
	q->out[q->nout - 1].fortran = fortran;
	return STATUS_OK;
}

static enum status add_array(struct call *c, const struct kernel_array *array, const struct ir_array *type, unsigned k, json_t *list, size_t *total)
{
	int argument = find_argument(c, array, type->dtype, type->rank);
	if (argument >= 0) {
		json_array_append_new(list, json_pack("{s:i}", "argument", argument));
		return STATUS_OK;
	}
	struct result r;
	char name[16];
	snprintf(name, sizeof name, "r%u", k);
	describe(c, array, type->dtype, type->rank, &r);
	json_array_append_new(list, json_pack("{s:s}", "array", name));
	return add(c, &r, name, total);
}

static enum status add_scalar(struct call *c, union kernel_scalar *value, enum dtype dtype, unsigned k, json_t *list, size_t *total)
{
	struct kernel_array array = { .data = value }; /* little-endian: the low bytes are the narrower integer */
	struct result r = { .from = &array, .dtype = dtype, .nbytes = dtype_size(dtype) };
	char name[16];
	snprintf(name, sizeof name, "r%u", k);
	json_array_append_new(list, json_pack("{s:s}", "array", name));
	return add(c, &r, name, total);
}

/* --- all --- */

static enum status add_results(struct call *c, json_t *list, size_t *total)
{
	const struct ir_function *f = c->ticket.compiled->program->function;
	struct kernel_array *array = c->arrays + c->narrays;
	union kernel_scalar *scalar = c->scalars + c->nscalars;
	enum status status = STATUS_OK;
	for (uint32_t k = 0; k < f->nresults && !status; k++) {
		const struct ir_slot *slot = &f->results[k];
		if (slot->is_array)
			status = add_array(c, array++, &f->arrays[slot->id], k, list, total);
		else
			status = add_scalar(c, scalar++, f->locals[slot->id].dtype, k, list, total);
	}
	return status;
}

/* It was written to the client's memory with the arguments. */
static enum status add_output(struct call *c, json_t *list)
{
	struct request *q = c->request;
	q->out[q->nout] = *c->arguments.arrays[c->arguments.n - 1];
	q->nout++;
	json_array_append_new(list, json_pack("{s:s}", "array", "r0"));
	return STATUS_OK;
}

/* Arguments that came inline and may have been written go back. */
static enum status add_written(struct call *c, size_t *total)
{
	struct request *q = c->request;
	const bool *writes = c->ticket.compiled->program->writes;
	for (size_t k = 0; k < c->arguments.n; k++) {
		const struct array *a = c->arguments.arrays[k];
		if (!writes[k] || a->via != VIA_INLINE)
			continue;
		*total += a->nbytes;
		if (*total > (size_t)q->settings->config.limits_result_bytes)
			return too_large(c);
		void *copy = malloc(a->nbytes + 1);
		if (copy && a->nbytes)
			memcpy(copy, a->data, a->nbytes);
		if (!request_add_array(q, a->name, a->dtype, a->ndim, a->shape, copy))
			return q->error.status;
		q->out[q->nout - 1].fortran = a->fortran;
	}
	return STATUS_OK;
}

enum status call_results(struct call *c)
{
	struct request *q = c->request;
	json_t *list = json_array();
	size_t total = 0;
	enum status status = c->arguments.output ? add_output(c, list) : add_results(c, list, &total);
	if (!status)
		status = add_written(c, &total);
	q->result = json_pack("{s:s, s:s, s:s, s:o}", "id", c->ticket.compiled->id, "provenance",
			      program_provenance(c->ticket.compiled, c->ticket.hit), "form", program_form(c->ticket.compiled->program),
			      "results", list);
	return status;
}
