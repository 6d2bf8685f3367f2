/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/helper/driver.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct source {
	int fd;
	bool writable;
};

struct driver_file {
	H5FD_t pub; /* libhdf5's part, must be first */
	int fd;
	bool writable;
	haddr_t eoa, eof;
};

static bool opened, recording;
static struct driver_read record;

void driver_record_start(void)
{
	record = (struct driver_read){ 0 };
	recording = true;
}

struct driver_read driver_record_stop(void)
{
	recording = false;
	return record;
}

static H5FD_t *driver_open(const char *name, unsigned flags, hid_t fapl, haddr_t maxaddr)
{
	(void)name;
	(void)maxaddr;
	const struct source *source = H5Pget_driver_info(fapl);
	if (opened || !source || ((flags & H5F_ACC_RDWR) && !source->writable))
		return NULL;
	struct stat st;
	struct driver_file *f = calloc(1, sizeof *f);
	if (!f || fstat(source->fd, &st) != 0) {
		free(f);
		return NULL;
	}
	f->fd = source->fd;
	f->writable = source->writable;
	f->eof = (haddr_t)st.st_size;
	opened = true;
	return &f->pub;
}

static herr_t driver_close(H5FD_t *file)
{
	free(file);
	return 0;
}

static herr_t driver_query(const H5FD_t *file, unsigned long *flags)
{
	(void)file;
	*flags = H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE;
	return 0;
}

static haddr_t driver_get_eoa(const H5FD_t *file, H5FD_mem_t type)
{
	(void)type;
	return ((const struct driver_file *)file)->eoa;
}

static herr_t driver_set_eoa(H5FD_t *file, H5FD_mem_t type, haddr_t address)
{
	(void)type;
	((struct driver_file *)file)->eoa = address;
	return 0;
}

static haddr_t driver_get_eof(const H5FD_t *file, H5FD_mem_t type)
{
	(void)type;
	return ((const struct driver_file *)file)->eof;
}

static herr_t driver_read(H5FD_t *file, H5FD_mem_t type, hid_t dxpl, haddr_t address, size_t size, void *buffer)
{
	(void)dxpl;
	const struct driver_file *f = (const struct driver_file *)file;
	if (recording && type == H5FD_MEM_DRAW) {
		record.count++;
		record.address = address;
		record.nbytes = size;
		return 0;
	}
	if (address > INT64_MAX || size > INT64_MAX - address)
		return -1;
	for (size_t done = 0; done < size;) {
		ssize_t n = pread(f->fd, (char *)buffer + done, size - done, (off_t)(address + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1; /* a short file is a damaged file */
		done += (size_t)n;
	}
	return 0;
}

static herr_t driver_write(H5FD_t *file, H5FD_mem_t type, hid_t dxpl, haddr_t address, size_t size, const void *buffer)
{
	(void)type;
	(void)dxpl;
	struct driver_file *f = (struct driver_file *)file;
	if (!f->writable || address > INT64_MAX || size > INT64_MAX - address)
		return -1;
	for (size_t done = 0; done < size;) {
		ssize_t n = pwrite(f->fd, (const char *)buffer + done, size - done, (off_t)(address + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		done += (size_t)n;
	}
	if (address + size > f->eof)
		f->eof = address + size;
	return 0;
}

static herr_t driver_truncate(H5FD_t *file, hid_t dxpl, hbool_t closing)
{
	(void)dxpl;
	(void)closing;
	struct driver_file *f = (struct driver_file *)file;
	if (!f->writable || f->eoa == f->eof)
		return 0;
	if (ftruncate(f->fd, (off_t)f->eoa) != 0)
		return -1;
	f->eof = f->eoa;
	return 0;
}

static const H5FD_class_t driver_class = {
#if H5_VERSION_GE(1, 14, 0)
	.version = H5FD_CLASS_VERSION,
	.value = (H5FD_class_value_t)600,
#endif
	.name = "spiked",
	.maxaddr = INT64_MAX,
	.fc_degree = H5F_CLOSE_WEAK,
	.fapl_size = sizeof(struct source),
	.open = driver_open,
	.close = driver_close,
	.query = driver_query,
	.get_eoa = driver_get_eoa,
	.set_eoa = driver_set_eoa,
	.get_eof = driver_get_eof,
	.read = driver_read,
	.write = driver_write,
	.truncate = driver_truncate,
	.fl_map = H5FD_FLMAP_DICHOTOMY,
};

hid_t driver_fapl(int fd, bool writable)
{
	struct source source = { fd, writable };
	hid_t driver = H5FDregister(&driver_class), fapl = H5Pcreate(H5P_FILE_ACCESS);
	if (driver < 0 || fapl < 0 || H5Pset_driver(fapl, driver, &source) < 0)
		return -1;
	return fapl;
}
