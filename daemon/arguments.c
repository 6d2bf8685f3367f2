/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/arguments.h"
#include "daemon/daemon.h"
#include "daemon/block_pool.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const uint64_t longest_axis = UINT64_C(1) << 60; /* what the compiler takes for granted (analysis.h) */

/* --- types --- */

static bool same_shape(const struct array *a, const struct array *b)
{
	return a->ndim == b->ndim && memcmp(a->shape, b->shape, a->ndim * sizeof *a->shape) == 0;
}

static bool overlap(const struct array *a, const struct array *b)
{
	return a->via == VIA_MEMORY && b->via == VIA_MEMORY && a->nbytes && b->nbytes && a->address < b->address + b->nbytes &&
	       b->address < a->address + a->nbytes;
}

/* Classes are numbered in the order of their first member; what is alone has none (0), so that equal calls have equal types. */
static uint32_t mark_class(struct arguments *a, size_t k, uint32_t last)
{
	for (size_t j = k + 1; j < a->n; j++) {
		if (a->types[j].shape_class || !a->arrays[j]->ndim || !same_shape(a->arrays[k], a->arrays[j]))
			continue;
		if (!a->types[k].shape_class)
			a->types[k].shape_class = ++last;
		a->types[j].shape_class = a->types[k].shape_class;
	}
	return last;
}

static void mark_shapes(struct arguments *a)
{
	uint32_t last = 0;
	for (size_t k = 0; k < a->n; k++)
		a->types[k].shape_class = 0;
	for (size_t k = 0; k < a->n; k++)
		if (a->arrays[k]->ndim && !a->types[k].shape_class)
			last = mark_class(a, k, last);
}

/* Spreads the class of k to all that overlap a member of it. */
static void spread_alias(struct arguments *a, uint32_t class)
{
	for (bool grown = true; grown;) {
		grown = false;
		for (size_t i = 0; i < a->n; i++)
			for (size_t j = 0; j < a->n && a->types[i].alias_class == class; j++)
				if (!a->types[j].alias_class && overlap(a->arrays[i], a->arrays[j])) {
					a->types[j].alias_class = class;
					grown = true;
				}
	}
}

static void mark_aliases(struct arguments *a)
{
	uint32_t last = 0;
	for (size_t k = 0; k < a->n; k++)
		for (size_t j = k + 1; j < a->n && !a->types[k].alias_class; j++)
			if (overlap(a->arrays[k], a->arrays[j])) {
				a->types[k].alias_class = ++last;
				spread_alias(a, last);
			}
}

static void type_of(const struct array *array, struct argument *type)
{
	*type = (struct argument){ .dtype = array->dtype, .rank = (uint8_t)array->ndim, .contiguous = array->ndim < 2 || !array->fortran };
	if (!array->ndim && array->dtype == DTYPE_F16)
		type->dtype = DTYPE_F32; /* float16 exists in arrays only */
}

static bool usable(const struct array *array)
{
	for (unsigned k = 0; k < array->ndim; k++)
		if (array->shape[k] > longest_axis)
			return false;
	return array->dtype != DTYPE_PEAK && (array->via == VIA_INLINE || array->address + array->nbytes >= array->address);
}

/* For each number in the list: set(type) says whether it can be so. */
static void mark_listed(struct arguments *a, struct params *p, const char *key, bool (*set)(struct argument *type))
{
	const json_t *list = params_list(p, key);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *number = json_array_get(list, i);
		json_int_t k = json_is_integer(number) ? json_integer_value(number) : -1;
		if (k < 0 || (size_t)k >= a->n || !set(&a->types[k]))
			params_fail(p, key, "see SPEC.md 4.9", "item %zu is not the number of such an argument", i);
	}
}

static bool set_weak(struct argument *type)
{
	type->weak = true;
	return !type->rank && (type->dtype == DTYPE_I64 || type->dtype == DTYPE_F64 || type->dtype == DTYPE_C128);
}

static bool set_read_only(struct argument *type)
{
	type->read_only = type->rank > 0;
	return true;
}

void arguments_parse(struct arguments *a, const struct message *m, struct params *p)
{
	memset(a, 0, sizeof *a);
	if (m->narrays > ARGUMENTS_MAX) {
		params_fail(p, "arrays", NULL, "at most %d arguments", ARGUMENTS_MAX);
		return;
	}
	for (size_t k = 0; k < m->narrays; k++) {
		char name[16];
		snprintf(name, sizeof name, "a%zu", k);
		const struct array *array = message_array(m, name);
		if (!array) {
			params_fail(p, "arrays", "see SPEC.md 4.9", "argument %zu is missing: the arrays are named a0, a1, ...", k);
			return;
		}
		if (!usable(array))
			params_fail(p, name, NULL, "an array like this cannot be an argument");
		a->arrays[k] = array;
		type_of(array, &a->types[k]);
	}
	a->n = m->narrays;
	mark_listed(a, p, "weak", set_weak);
	mark_listed(a, p, "read_only", set_read_only);
	mark_aliases(a);
	mark_shapes(a);
}

enum status arguments_add_output(struct arguments *a, const struct array *out, struct error *e)
{
	if (!usable(out) || !out->ndim)
		return error_set(e, STATUS_INVALID, "outputs", "give an array of at least one axis", "output r0 cannot receive a result");
	a->arrays[a->n] = out;
	type_of(out, &a->types[a->n++]);
	a->output = true;
	mark_shapes(a);
	return STATUS_OK;
}

bool arguments_are_alike(const struct arguments *a, bool *fortran)
{
	const struct array *first = NULL;
	for (size_t k = 0; k < a->n; k++) {
		const struct array *array = a->arrays[k];
		if (!array->ndim)
			continue;
		if (first && (!same_shape(first, array) || first->fortran != array->fortran))
			return false;
		first = first ? first : array;
	}
	*fortran = first && first->fortran;
	return first && first->ndim > 1;
}

void arguments_flatten(struct arguments *a, bool fortran)
{
	a->flat = true;
	a->fortran = fortran;
	for (size_t k = 0; k < a->n; k++)
		if (a->types[k].rank) {
			a->types[k].rank = 1;
			a->types[k].contiguous = true;
		}
}

/* --- a program that is there already --- */

static bool fits(const struct argument *given, const struct argument *wanted, bool written)
{
	return given->dtype == wanted->dtype && given->rank == wanted->rank && (given->contiguous || !wanted->contiguous) &&
	       !(given->read_only && written);
}

enum status arguments_fit(const struct arguments *a, const struct argument *types, size_t n, const bool *writes, struct error *e)
{
	if (n != a->n)
		return error_set(e, STATUS_INVALID, "arrays", NULL, "the program takes %zu arguments, but %zu are given", n, a->n);
	for (size_t k = 0; k < n; k++)
		if (!fits(&a->types[k], &types[k], writes[k]))
			return error_set(e, STATUS_INVALID, "arrays", "compile it for these types",
					 "argument %zu is not of the type that the program was compiled for: %s, %u axes%s", k,
					 dtype_numpy_name(types[k].dtype), types[k].rank, types[k].contiguous ? ", C order" : "");
	for (size_t k = 0; k < n; k++)
		for (size_t j = 0; j < k; j++) {
			bool apart = !types[k].alias_class || types[k].alias_class != types[j].alias_class;
			bool both = !a->output || k + 1 < n;
			if (types[k].shape_class && types[k].shape_class == types[j].shape_class && !same_shape(a->arrays[k], a->arrays[j]))
				return error_set(e, STATUS_INVALID, "arrays", "compile it for these types",
						 "arguments %zu and %zu must have one shape", j, k);
			if (apart && both && overlap(a->arrays[k], a->arrays[j]))
				return error_set(e, STATUS_INVALID, "arrays", "compile it for these types",
						 "arguments %zu and %zu must not overlap", j, k);
		}
	return STATUS_OK;
}

/* --- bytes --- */

/* Complex numbers are aligned like their parts. */
static size_t alignment(enum dtype d)
{
	return dtype_is_complex(d) ? dtype_size(d) / 2 : dtype_size(d);
}

static enum status new_block(struct arguments *a, size_t nbytes, size_t max_bytes, uint8_t **data, struct error *e)
{
	if (nbytes > max_bytes || a->copied > max_bytes - nbytes) {
		error_set(e, STATUS_TOO_LARGE, "arrays", "raise compiler.call_bytes, or send less",
			  "copies of the arguments need more than %zu bytes", max_bytes);
		e->limit = (long long)max_bytes;
		return STATUS_TOO_LARGE;
	}
	*data = block_take(nbytes);
	if (!*data)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for the arguments");
	a->blocks[a->nblocks].memory = *data;
	a->blocks[a->nblocks++].nbytes = nbytes;
	a->copied += nbytes;
	return STATUS_OK;
}

/* A buffer for all arguments that share a class with k: what they cover together. Their distance to 64-byte lines stays. */
static enum status place_overlapping(struct arguments *a, size_t k, size_t max_bytes, struct transfer *fetch, struct error *e)
{
	uint64_t low = UINT64_MAX, high = 0;
	uint32_t class = a->types[k].alias_class;
	for (size_t j = k; j < a->n; j++) {
		const struct array *array = a->arrays[j];
		if (a->types[j].alias_class != class)
			continue;
		if (array->address % alignment(array->dtype))
			return error_set(e, STATUS_INVALID, array->name, "send a copy",
					 "%s overlaps another array and is not aligned for its dtype", array->name);
		low = array->address < low ? array->address : low;
		high = array->address + array->nbytes > high ? array->address + array->nbytes : high;
	}
	uint8_t *data;
	size_t shift = low % 64;
	enum status status = new_block(a, high - low + shift, max_bytes, &data, e);
	if (status)
		return status;
	transfer_add(fetch, low, data + shift, high - low);
	for (size_t j = k; j < a->n; j++)
		if (a->types[j].alias_class == class)
			a->data[j] = data + shift + (a->arrays[j]->address - low);
	return STATUS_OK;
}

static bool is_output(const struct arguments *a, size_t k)
{
	return a->output && k + 1 == a->n;
}

static enum status place_alone(struct arguments *a, size_t k, size_t max_bytes, struct transfer *fetch, struct error *e)
{
	const struct array *array = a->arrays[k];
	enum status status = new_block(a, array->nbytes, max_bytes, &a->data[k], e);
	if (!status && !is_output(a, k))
		transfer_add(fetch, array->address, a->data[k], array->nbytes);
	return status;
}

/* --- arrays that stay where they are --- */

enum { REMOTE_LEAST = 256 << 10 }; /* below, one copy of the whole costs less than many of parts */

/* What is written while others are still read must not be part of them; of an expression that treats each element alone it may be one of them. */
static bool output_is_apart(const struct arguments *a, bool pointwise)
{
	const struct array *out = a->arrays[a->n - 1];
	for (size_t k = 0; k + 1 < a->n; k++) {
		const struct array *in = a->arrays[k];
		bool same = in->address == out->address && in->nbytes == out->nbytes && in->dtype == out->dtype && same_shape(in, out) && in->fortran == out->fortran;
		if (overlap(in, out) && !(pointwise && same))
			return false;
	}
	return true;
}

/* Arrays that overlap must all be mapped, from one file, or none. */
static bool class_is_shared(const struct arguments *a, size_t k)
{
	const struct array *one = a->arrays[k];
	for (size_t j = 0; a->types[k].alias_class && j < a->n; j++)
		if (a->types[j].alias_class == a->types[k].alias_class && (!a->arrays[j]->shared || a->arrays[j]->inode != one->inode))
			return false;
	return one->shared;
}

static void map_shared(struct arguments *a, struct request *r)
{
	a->shared = r->daemon->shared;
	for (size_t k = 0; k < a->n; k++)
		if (a->arrays[k]->via == VIA_MEMORY && class_is_shared(a, k))
			a->data[k] = shared_memory_use(a->shared, r->peer, a->arrays[k], &a->holds[k]);
	/* One of a class that could not be mapped takes the others with it. */
	for (size_t k = 0; k < a->n; k++)
		for (size_t j = 0; j < a->n; j++)
			if (a->types[k].alias_class && a->types[j].alias_class == a->types[k].alias_class && !a->holds[j] && a->holds[k]) {
				shared_memory_done(a->shared, a->holds[k]);
				a->holds[k] = NULL;
				a->data[k] = NULL;
			}
}

/* An address range that nothing else has, and nobody can read. */
static void leave_remote(struct arguments *a, size_t k, const struct stream_use *use)
{
	const struct array *array = a->arrays[k];
	void *base = mmap(NULL, array->nbytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return;
	a->data[k] = base;
	a->remote_address[a->nremotes] = array->address;
	a->remotes[a->nremotes++] = (struct kernel_remote){ base, array->nbytes, use->fetch, use->store };
}

enum status arguments_place(struct arguments *a, struct request *r, const struct stream_use *uses, bool pointwise, struct transfer *fetch, struct error *e)
{
	size_t max_bytes = (size_t)r->settings->config.compiler_call_bytes;
	bool apart = !a->output || output_is_apart(a, pointwise);
	enum status status = STATUS_OK;
	if (apart)
		map_shared(a, r);
	for (size_t k = 0; k < a->n && !status; k++) {
		const struct array *array = a->arrays[k];
		if (!a->data[k] && array->via == VIA_MEMORY && uses && uses[k].streams && apart && !a->types[k].alias_class && array->nbytes >= REMOTE_LEAST)
			leave_remote(a, k, &uses[k]);
		if (a->data[k])
			continue;
		if (array->via == VIA_INLINE)
			a->data[k] = (uint8_t *)array->data; /* at a multiple of 64 in the body, and malloc aligns that to 16 */
		else if (a->types[k].alias_class)
			status = place_overlapping(a, k, max_bytes, fetch, e);
		else
			status = place_alone(a, k, max_bytes, fetch, e);
	}
	return status;
}

/* --- values --- */

static void bind_array(const struct arguments *a, size_t k, struct kernel_array *out)
{
	const struct array *array = a->arrays[k];
	int64_t stride = (int64_t)dtype_size(array->dtype);
	memset(out, 0, sizeof *out);
	out->data = a->data[k];
	if (a->flat) {
		out->shape[0] = (int64_t)(array->nbytes / (uint64_t)stride);
		out->stride[0] = stride;
		return;
	}
	for (unsigned i = 0; i < array->ndim; i++) {
		unsigned axis = array->fortran ? i : array->ndim - 1 - i;
		out->shape[axis] = (int64_t)array->shape[axis];
		out->stride[axis] = stride;
		stride *= array->nbytes ? out->shape[axis] : 1; /* the lengths of an empty array might overflow it */
	}
}

static float half_to_float(uint16_t h)
{
	_Float16 value;
	memcpy(&value, &h, sizeof value);
	return (float)value;
}

static void bind_scalar(enum dtype dtype, const uint8_t *data, union kernel_scalar *out)
{
	union {
		int8_t i8; uint8_t u8; int16_t i16; uint16_t u16; int32_t i32; uint32_t u32; int64_t i64; uint64_t u64;
	} v;
	memset(out, 0, sizeof *out);
	if (dtype_is_float(dtype) ? dtype != DTYPE_F16 : dtype_is_complex(dtype)) {
		memcpy(out, data, dtype_size(dtype));
		return;
	}
	memcpy(&v, data, dtype_size(dtype));
	switch (dtype) {
	case DTYPE_BOOL: out->i = v.u8 != 0; break;
	case DTYPE_I8: out->i = v.i8; break;
	case DTYPE_I16: out->i = v.i16; break;
	case DTYPE_I32: out->i = v.i32; break;
	case DTYPE_I64: out->i = v.i64; break;
	case DTYPE_U8: out->u = v.u8; break;
	case DTYPE_U16: out->u = v.u16; break;
	case DTYPE_U32: out->u = v.u32; break;
	case DTYPE_U64: out->u = v.u64; break;
	default: out->f32 = half_to_float(v.u16); break;
	}
}

void arguments_bind(const struct arguments *a, struct kernel_array *arrays, union kernel_scalar *scalars)
{
	for (size_t k = 0; k < a->n; k++)
		if (a->types[k].rank)
			bind_array(a, k, arrays++);
		else
			bind_scalar(a->arrays[k]->dtype, a->data[k], scalars++);
}

static bool is_remote(const struct arguments *a, size_t k)
{
	for (unsigned i = 0; i < a->nremotes; i++)
		if (a->remotes[i].base == a->data[k])
			return true;
	return false;
}

void arguments_written(const struct arguments *a, const bool *writes, struct transfer *back)
{
	for (size_t k = 0; k < a->n; k++)
		if (writes[k] && a->arrays[k]->via == VIA_MEMORY && !a->holds[k] && !is_remote(a, k))
			transfer_add(back, a->arrays[k]->address, a->data[k], a->arrays[k]->nbytes);
}

void arguments_free(struct arguments *a)
{
	for (size_t i = 0; i < a->nblocks; i++)
		block_give(a->blocks[i].memory, a->blocks[i].nbytes);
	a->nblocks = 0;
	for (size_t k = 0; k < a->n; k++)
		shared_memory_done(a->shared, a->holds[k]);
	for (unsigned i = 0; i < a->nremotes; i++)
		munmap(a->remotes[i].base, a->remotes[i].nbytes);
	a->nremotes = 0;
}
