/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/helper/dataset.h"
#include "daemon/helper/driver.h"
#include "daemon/helper/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char repair[] = "copy the file again from its source; a recording cut short by a crash must be repaired by the program that wrote it";

struct reason {
	char *out;
	size_t nout;
};

static herr_t keep_deepest(unsigned n, const H5E_error2_t *error, void *arg)
{
	struct reason *reason = arg;
	if (n == 0 && error->desc)
		snprintf(reason->out, reason->nout, "%s", error->desc);
	return 0;
}

void file_reason(char *out, size_t nout)
{
	struct reason reason = { out, nout };
	out[0] = '\0';
	H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_deepest, &reason);
}

/* HDF5's signature stands at 0, 512, 1024, 2048, ... */
static bool has_signature(int fd, uint64_t size)
{
	static const unsigned char signature[8] = "\x89HDF\r\n\x1a\n";
	unsigned char bytes[8];
	for (uint64_t at = 0; at < size; at = at ? 2 * at : 512)
		if (pread(fd, bytes, sizeof bytes, (off_t)at) == sizeof bytes && memcmp(bytes, signature, sizeof bytes) == 0)
			return true;
	return false;
}

static enum status not_hdf5(int fd, uint64_t size, struct error *e)
{
	static const char matlab5[] = "MATLAB 5.0 MAT-file";
	char start[sizeof matlab5 - 1];
	if (pread(fd, start, sizeof start, 0) == (ssize_t)sizeof start && memcmp(start, matlab5, sizeof start) == 0)
		return error_set(e, STATUS_UNSUPPORTED, "file", "save it in MATLAB with -v7.3", "this is a MATLAB 5.0 MAT-file, not HDF5");
	return error_set(e, STATUS_CORRUPT, "file", "check that it is the right file, whatever its name ends in",
			 "not an HDF5 file: %llu bytes without the HDF5 signature", (unsigned long long)size);
}

enum status file_open(int fd, hid_t *file, struct error *e)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return error_set(e, STATUS_IO, "file", NULL, "the file cannot be examined");
	if (!has_signature(fd, (uint64_t)st.st_size))
		return not_hdf5(fd, (uint64_t)st.st_size, e);
	progress_set("superblock");
	hid_t fapl = driver_fapl(fd, false);
	*file = H5Fopen("input", H5F_ACC_RDONLY, fapl);
	if (*file >= 0)
		return STATUS_OK;
	char reason[200];
	file_reason(reason, sizeof reason);
	if (strstr(reason, "already open for write"))
		return error_set(e, STATUS_CORRUPT, "file", "close it in the program that writes it; after a crash, clear the mark with h5clear -s",
				 "the file is marked as open for writing");
	return error_set(e, STATUS_CORRUPT, "file", repair, "%s: %s",
			 strstr(reason, "truncated") ? "the file is truncated" : "the file's structure is damaged", reason);
}
