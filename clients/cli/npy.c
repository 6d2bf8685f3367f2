/* SPDX-License-Identifier: BSD-3-Clause
 *
 * NumPy's .npy format 1.0: magic, version, u16 header length, a Python dict padded so that the data starts at a multiple of 64, data.
 * Source: numpy.lib.format.
 */
#include "clients/cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char peak_descr[] =
	"[('sample_index', '<i8'), ('channel_index', '<i8'), ('amplitude', '<f8'), ('segment_index', '<i8')]";

/* (3, 4), or (3,), or () */
static void put_shape(char *to, size_t size, const struct spiked_array *a)
{
	size_t at = (size_t)snprintf(to, size, "(");
	for (unsigned k = 0; k < a->ndim && at < size; k++)
		at += (size_t)snprintf(to + at, size - at, "%llu%s", (unsigned long long)a->shape[k], k + 1 < a->ndim ? ", " : a->ndim == 1 ? "," : "");
	if (at < size)
		snprintf(to + at, size - at, ")");
}

static int write_all(FILE *out, const struct spiked_array *a)
{
	char head[1024], descr[64], shape[256];
	snprintf(descr, sizeof descr, "'%s'", a->dtype);
	put_shape(shape, sizeof shape, a);
	size_t n = (size_t)snprintf(head + 10, sizeof head - 10, "{'descr': %s, 'fortran_order': False, 'shape': %s, }",
				    strcmp(a->dtype, "peak") == 0 ? peak_descr : descr, shape);
	size_t total = (10 + n + 1 + 63) / 64 * 64;
	memset(head + 10 + n, ' ', total - 10 - n);
	head[total - 1] = '\n';
	memcpy(head, "\x93NUMPY\x01\x00", 8);
	head[8] = (char)((total - 10) & 0xff);
	head[9] = (char)((total - 10) >> 8);
	if (fwrite(head, 1, total, out) != total || fwrite(a->data, 1, a->nbytes, out) != a->nbytes)
		return -1;
	return fflush(out) == 0 && fsync(fileno(out)) == 0 ? 0 : -1;
}

int cli_write_npy(const char *path, const struct spiked_array *a)
{
	char *part;
	if (asprintf(&part, "%s.part.%d", path, (int)getpid()) < 0)
		return -1;
	FILE *out = fopen(part, "wb");
	int failed = !out || write_all(out, a) != 0;
	if (out && fclose(out) != 0)
		failed = 1;
	if (!failed)
		failed = rename(part, path) != 0;
	int saved = errno;
	if (failed && out)
		unlink(part);
	free(part);
	errno = saved;
	return failed ? -1 : 0;
}

/* --- reading --- */

static int bad(const char *path, const char *why)
{
	fprintf(stderr, "spikectl: %s: %s\n", path, why);
	return -1;
}

static const char *const dtypes[] = { "|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8", "<c8", "<c16" };

/* The value behind 'key': in the header's dict. */
static const char *value_of(const char *head, const char *key)
{
	const char *at = strstr(head, key);
	at = at ? strchr(at + strlen(key), ':') : NULL;
	return at ? at + 1 + strspn(at + 1, " ") : NULL;
}

static int parse_head(const char *path, const char *head, struct spiked_array *a)
{
	const char *descr = value_of(head, "'descr'"), *order = value_of(head, "'fortran_order'"), *shape = value_of(head, "'shape'");
	if (!descr || !order || !shape || *shape != '(')
		return bad(path, "this is not a .npy file");
	for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes && *descr == '\''; i++)
		if (strncmp(descr + 1, dtypes[i], strlen(dtypes[i])) == 0 && descr[1 + strlen(dtypes[i])] == '\'')
			a->dtype = dtypes[i];
	if (!a->dtype)
		return bad(path, "its dtype is not a little-endian number");
	a->nbytes = strtoull(a->dtype + 2, NULL, 10);
	for (const char *p = shape + 1; *p != ')';) {
		char *end;
		unsigned long long n = strtoull(p, &end, 10);
		if (end == p || a->ndim == 8)
			return bad(path, "its shape cannot be read");
		if (__builtin_mul_overflow(a->nbytes, n, &a->nbytes))
			return bad(path, "it is too large");
		a->shape[a->ndim++] = n;
		p = end + strspn(end, ", ");
	}
	return strncmp(order, "True", 4) == 0 && a->ndim > 1 ? bad(path, "it is in Fortran order: save it with np.ascontiguousarray(...)") : 0;
}

static int read_all(const char *path, FILE *in, struct spiked_array *a, void **file)
{
	unsigned char start[12];
	size_t length;
	if (fread(start, 1, 10, in) != 10 || memcmp(start, "\x93NUMPY", 6) != 0)
		return bad(path, "this is neither a number nor a .npy file");
	length = start[8] | (size_t)start[9] << 8;
	if (start[6] > 1) {
		if (fread(start + 10, 1, 2, in) != 2)
			return bad(path, "it ends early");
		length |= (size_t)start[10] << 16 | (size_t)start[11] << 24;
	}
	if (length > 65536)
		return bad(path, "its header is too long");
	char *head = calloc(1, length + 1);
	int failed = !head || fread(head, 1, length, in) != length ? bad(path, "it ends early") : parse_head(path, head, a);
	free(head);
	if (failed)
		return -1;
	*file = malloc(a->nbytes ? a->nbytes : 1);
	if (!*file)
		return bad(path, "no memory");
	a->data = *file;
	return fread(*file, 1, a->nbytes, in) == a->nbytes ? 0 : bad(path, "it ends early");
}

int cli_read_npy(const char *path, struct spiked_array *a, void **file)
{
	*a = (struct spiked_array){ 0 };
	*file = NULL;
	FILE *in = fopen(path, "rb");
	if (!in)
		return bad(path, strerror(errno));
	int failed = read_all(path, in, a, file);
	fclose(in);
	return failed;
}
