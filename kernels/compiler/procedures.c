/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Procedures on whole arrays. Every element becomes an unsigned key of the same order, NaN last, so that one radix sort and one selection
 * serve all dtypes. Keys and indices are temporaries in the call's memory.
 */
#include "kernels/compiler/runtime.h"

#include <math.h>
#include <string.h>

/* --- keys --- */

/* Negative floats turn round, positive ones go above them; -0 is 0. */
#define FLOAT_KEY(type, bits_type, name)                                           \
	static uint64_t name(type x)                                               \
	{                                                                          \
		const bits_type sign = (bits_type)1 << (8 * sizeof(bits_type) - 1); \
		bits_type bits;                                                    \
		if (isnan(x))                                                      \
			return (bits_type)-1;                                      \
		if (x == 0)                                                        \
			return sign;                                               \
		memcpy(&bits, &x, sizeof bits);                                    \
		return bits & sign ? (bits_type)~bits : (bits_type)(bits | sign);  \
	}                                                                          \
	static type name##_value(uint64_t key)                                     \
	{                                                                          \
		const bits_type sign = (bits_type)1 << (8 * sizeof(bits_type) - 1); \
		bits_type bits = (bits_type)key;                                   \
		type x;                                                            \
		if (bits == (bits_type)-1)                                         \
			return (type)NAN;                                          \
		bits = bits & sign ? (bits_type)(bits ^ sign) : (bits_type)~bits;  \
		memcpy(&x, &bits, sizeof x);                                       \
		return x;                                                          \
	}
FLOAT_KEY(float, uint32_t, key_f32)
FLOAT_KEY(double, uint64_t, key_f64)

static uint64_t key_signed(int64_t x)
{
	return (uint64_t)x ^ (uint64_t)1 << 63;
}

static int64_t key_signed_value(uint64_t key)
{
	return (int64_t)(key ^ (uint64_t)1 << 63);
}

static uint64_t key_unsigned(uint64_t x)
{
	return x;
}

/* K(dtype, type in memory, type of the value, key, value of a key, member of union kernel_scalar) */
#define KEY_MAP(K)                                                                \
	K(BOOL, uint8_t, uint64_t, key_unsigned, key_unsigned, u)                 \
	K(I8, int8_t, int64_t, key_signed, key_signed_value, i)                   \
	K(U8, uint8_t, uint64_t, key_unsigned, key_unsigned, u)                   \
	K(I16, int16_t, int64_t, key_signed, key_signed_value, i)                 \
	K(U16, uint16_t, uint64_t, key_unsigned, key_unsigned, u)                 \
	K(I32, int32_t, int64_t, key_signed, key_signed_value, i)                 \
	K(U32, uint32_t, uint64_t, key_unsigned, key_unsigned, u)                 \
	K(I64, int64_t, int64_t, key_signed, key_signed_value, i)                 \
	K(U64, uint64_t, uint64_t, key_unsigned, key_unsigned, u)                 \
	K(F16, _Float16, float, key_f32, key_f32_value, f32)                      \
	K(F32, float, float, key_f32, key_f32_value, f32)                         \
	K(F64, double, double, key_f64, key_f64_value, f64)

static bool has_keys(int32_t dtype)
{
	return dtype >= 0 && dtype <= DTYPE_F64;
}

static uint64_t key_at(int32_t dtype, const char *at)
{
	switch (dtype) {
#define K(name, type, wide, key, value, member) \
	case DTYPE_##name: {                    \
		type x;                         \
		memcpy(&x, at, sizeof x);       \
		return key((wide)x);            \
	}
	KEY_MAP(K)
#undef K
	default:
		return 0;
	}
}

static uint64_t key_of_scalar(int32_t dtype, const union kernel_scalar *s)
{
	switch (dtype) {
#define K(name, type, wide, key, value, member) \
	case DTYPE_##name:                      \
		return key(s->member);
	KEY_MAP(K)
#undef K
	default:
		return 0;
	}
}

static void store_key(int32_t dtype, char *at, uint64_t k)
{
	switch (dtype) {
#define K(name, type, wide, key, value, member) \
	case DTYPE_##name: {                    \
		type x = (type)value(k);        \
		memcpy(at, &x, sizeof x);       \
		break;                          \
	}
	KEY_MAP(K)
#undef K
	default:
		break;
	}
}

static double key_as_double(int32_t dtype, uint64_t k)
{
	switch (dtype) {
#define K(name, type, wide, key, value, member) \
	case DTYPE_##name:                      \
		return (double)value(k);
	KEY_MAP(K)
#undef K
	default:
		return 0;
	}
}

static const char *element(const struct kernel_array *a, int64_t i)
{
	return (const char *)a->data + i * a->stride[0];
}

static void read_keys(int32_t dtype, const struct kernel_array *a, uint64_t *keys)
{
	for (int64_t i = 0; i < a->shape[0]; i++)
		keys[i] = key_at(dtype, element(a, i));
}

/* --- sorting --- */

/* n keys, and the places they came from if index is not NULL, into order: least digit first, which is stable; digits all keys share, like the
 * upper ones of narrow types, cost nothing. The spare arrays are as long. Returns true if the result stands in the spare ones. */
static bool radix_sort(int64_t n, uint64_t *keys, uint64_t *spare, int64_t *index, int64_t *spare_index)
{
	int64_t counts[8][256];
	memset(counts, 0, sizeof counts);
	for (int64_t i = 0; i < n; i++)
		for (int d = 0; d < 8; d++)
			counts[d][keys[i] >> 8 * d & 255]++;
	bool swapped = false;
	for (int d = 0; d < 8; d++) {
		if (counts[d][keys[0] >> 8 * d & 255] == n)
			continue;
		int64_t sum = 0;
		for (int v = 0; v < 256; v++) {
			int64_t here = counts[d][v];
			counts[d][v] = sum;
			sum += here;
		}
		for (int64_t i = 0; i < n; i++) {
			int64_t to = counts[d][keys[i] >> 8 * d & 255]++;
			spare[to] = keys[i];
			if (index)
				spare_index[to] = index[i];
		}
		uint64_t *k = keys;
		keys = spare, spare = k;
		int64_t *x = index;
		index = spare_index, spare_index = x;
		swapped = !swapped;
	}
	return swapped;
}

static void insertion_sort(int64_t n, uint64_t *keys, int64_t *index)
{
	for (int64_t i = 1; i < n; i++) {
		uint64_t key = keys[i];
		int64_t at = index ? index[i] : 0, k = i;
		for (; k > 0 && keys[k - 1] > key; k--) {
			keys[k] = keys[k - 1];
			if (index)
				index[k] = index[k - 1];
		}
		keys[k] = key;
		if (index)
			index[k] = at;
	}
}

enum { FEW = 48 }; /* for these radix_sort's tables cost more than it saves */

static uint64_t middle_of_three(uint64_t a, uint64_t b, uint64_t c)
{
	return a < b ? (b < c ? b : a < c ? c : a) : a < c ? a : b < c ? c : b;
}

static uint64_t middle_of_range(const uint64_t *keys, int64_t n)
{
	uint64_t least = keys[0], greatest = keys[0];
	for (int64_t i = 1; i < n; i++) {
		least = keys[i] < least ? keys[i] : least;
		greatest = keys[i] > greatest ? keys[i] : greatest;
	}
	return least + (greatest - least) / 2;
}

/* Values of rank k and, if k + 1 < n, k + 1 among the n keys, which are rearranged. Quickselect; data made to defeat the median of three meets
 * bisection of the range of keys after ROUNDS, which ends in 64 more. */
static void select_ranks(int64_t n, uint64_t *keys, int64_t k, uint64_t *value, uint64_t *next)
{
	enum { ROUNDS = 50 };
	int64_t lo = 0, hi = n - 1;
	int rounds = 0;
	while (hi - lo >= FEW) {
		uint64_t pivot = rounds++ < ROUNDS ? middle_of_three(keys[lo], keys[lo + (hi - lo) / 2], keys[hi])
						   : middle_of_range(keys + lo, hi - lo + 1);
		int64_t i = lo, j = hi;
		while (i <= j) {
			while (keys[i] < pivot)
				i++;
			while (keys[j] > pivot)
				j--;
			if (i <= j) {
				uint64_t swap = keys[i];
				keys[i++] = keys[j];
				keys[j--] = swap;
			}
		}
		/* [lo, j] <= pivot <= [i, hi], and what lies between is the pivot */
		if (k <= j)
			hi = j;
		else if (k >= i)
			lo = i;
		else
			lo = hi = k;
	}
	insertion_sort(hi - lo + 1, keys + lo, NULL);
	*value = *next = keys[k];
	if (k + 1 < n) {
		*next = keys[k + 1];
		for (int64_t i = k + 2; i < n; i++)
			if (keys[i] < *next)
				*next = keys[i];
	}
}

/* --- procedures --- */

struct procedure {
	struct kernel_context *ctx;
	uint32_t line, narrays;
	struct kernel_array **arrays;
	const int32_t *dtypes;
	const union kernel_scalar *a, *b;
	union kernel_scalar *result;
};

static int fail(const struct procedure *p, enum kernel_error_code code, int64_t value)
{
	return kernel_fail(p->ctx, code, p->line, UINT32_MAX, value, 0);
}

/* n elements of 8 bytes, or NULL after a failure. */
static void *temporary(const struct procedure *p, int64_t n)
{
	struct kernel_array t = { .shape = { n } };
	return kernel_alloc(p->ctx, &t, 1, 8, 0, p->line, UINT32_MAX) ? NULL : t.data;
}

static int sort(const struct procedure *p)
{
	struct kernel_array *a = p->arrays[0];
	int64_t n = a->shape[0];
	uint64_t *keys = temporary(p, n), *spare = keys && n > FEW ? temporary(p, n) : keys;
	if (!spare)
		return 1;
	read_keys(p->dtypes[0], a, keys);
	if (n <= FEW)
		insertion_sort(n, keys, NULL);
	else if (radix_sort(n, keys, spare, NULL, NULL))
		keys = spare;
	for (int64_t i = 0; i < n; i++)
		store_key(p->dtypes[0], (char *)a->data + i * a->stride[0], keys[i]);
	return 0;
}

static int argsort(const struct procedure *p)
{
	struct kernel_array *order = p->arrays[0], *a = p->arrays[1];
	int64_t n = a->shape[0];
	if (order->shape[0] != n)
		return kernel_fail(p->ctx, KERNEL_SHAPE, p->line, UINT32_MAX, order->shape[0], n);
	uint64_t *keys = temporary(p, n), *spare = keys ? temporary(p, n) : NULL;
	int64_t *index = spare ? temporary(p, n) : NULL, *spare_index = index ? temporary(p, n) : NULL;
	if (!spare_index)
		return 1;
	read_keys(p->dtypes[1], a, keys);
	for (int64_t i = 0; i < n; i++)
		index[i] = i;
	if (n <= FEW)
		insertion_sort(n, keys, index);
	else if (radix_sort(n, keys, spare, index, spare_index))
		index = spare_index;
	for (int64_t i = 0; i < n; i++)
		memcpy((char *)order->data + i * order->stride[0], &index[i], sizeof index[i]);
	return 0;
}

/* The values of rank k and k + 1 (the last again if there is none), as doubles; NaN, which is what NumPy gives, if an element is. */
static int ranked(const struct procedure *p, int64_t k, double *value, double *next)
{
	const struct kernel_array *a = p->arrays[0];
	int32_t dtype = p->dtypes[0];
	uint64_t *keys = temporary(p, a->shape[0]), greatest = 0, first = 0, second = 0;
	if (!keys)
		return 1;
	read_keys(dtype, a, keys);
	for (int64_t i = 0; i < a->shape[0]; i++)
		if (keys[i] > greatest)
			greatest = keys[i];
	if (isnan(key_as_double(dtype, greatest))) {
		*value = *next = NAN;
		return 0;
	}
	select_ranks(a->shape[0], keys, k, &first, &second);
	*value = key_as_double(dtype, first);
	*next = key_as_double(dtype, second);
	return 0;
}

static int median(const struct procedure *p)
{
	int64_t n = p->arrays[0]->shape[0];
	double value, next;
	if (n == 0)
		return fail(p, KERNEL_EMPTY, 0);
	if (ranked(p, (n - 1) / 2, &value, &next))
		return 1;
	p->result->f64 = n % 2 ? value : (value + next) / 2;
	return 0;
}

/* NumPy's interpolation: from the nearer end, so that it is monotonic. */
static int percentile(const struct procedure *p)
{
	int64_t n = p->arrays[0]->shape[0];
	double percent = p->a->f64, value, next;
	if (!(percent >= 0 && percent <= 100))
		return fail(p, KERNEL_DOMAIN, percent > -1e18 && percent < 1e18 ? (int64_t)percent : 0);
	if (n == 0)
		return fail(p, KERNEL_EMPTY, 0);
	double at = (double)(n - 1) * (percent / 100), rank = floor(at), part = at - rank;
	if (ranked(p, (int64_t)rank < n ? (int64_t)rank : n - 1, &value, &next))
		return 1;
	double difference = next - value;
	p->result->f64 = part >= 0.5 ? next - difference * (1 - part) : value + difference * part;
	return 0;
}

static int searchsorted(const struct procedure *p)
{
	const struct kernel_array *a = p->arrays[0];
	uint64_t key = key_of_scalar(p->dtypes[0], p->a);
	bool after = p->b->i != 0;
	int64_t lo = 0, hi = a->shape[0];
	while (lo < hi) {
		int64_t middle = lo + (hi - lo) / 2;
		uint64_t here = key_at(p->dtypes[0], element(a, middle));
		if (here < key || (after && here == key))
			lo = middle + 1;
		else
			hi = middle;
	}
	p->result->i = lo;
	return 0;
}

int kernel_procedure(struct kernel_context *ctx, int proc, uint32_t line, uint32_t narrays, struct kernel_array **arrays, const int32_t *dtypes,
		     const union kernel_scalar *a, const union kernel_scalar *b, union kernel_scalar *result)
{
	static int (*const procedures[])(const struct procedure *) = {
		[KERNEL_PROC_SORT] = sort, [KERNEL_PROC_ARGSORT] = argsort, [KERNEL_PROC_MEDIAN] = median,
		[KERNEL_PROC_PERCENTILE] = percentile, [KERNEL_PROC_SEARCHSORTED] = searchsorted,
	};
	struct procedure p = { ctx, line, narrays, arrays, dtypes, a, b, result };
	for (uint32_t i = 0; i < narrays; i++)
		if (!has_keys(dtypes[i]))
			return fail(&p, KERNEL_DOMAIN, dtypes[i]);
	void *mark = kernel_mark(ctx);
	int failed = procedures[proc](&p);
	kernel_release(ctx, mark);
	return failed;
}
