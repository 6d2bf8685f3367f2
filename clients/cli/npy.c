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

static int write_all(FILE *out, const struct spiked_array *a)
{
	char head[512], descr[64];
	snprintf(descr, sizeof descr, "'%s'", a->dtype);
	size_t n = (size_t)snprintf(head + 10, sizeof head - 10, "{'descr': %s, 'fortran_order': False, 'shape': (%llu,), }",
				    strcmp(a->dtype, "peak") == 0 ? peak_descr : descr, (unsigned long long)a->shape[0]);
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
