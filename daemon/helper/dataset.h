/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Opening datasets of a file that is not trusted: no external link on the way, no external or virtual storage behind it.
 */
#ifndef DAEMON_HELPER_DATASET_H
#define DAEMON_HELPER_DATASET_H

#include "daemon/helper/h5.h"
#include "protocol/dtype.h"
#include "protocol/error.h"

#include <stdbool.h>
#include <stdint.h>

enum { DATASET_MAX_PATH = 1024, DATASET_MAX_LINKS = 8 };

/* A dataset of samples: numeric, 1-D or 2-D. */
struct dataset {
	hid_t id;
	char path[DATASET_MAX_PATH];
	unsigned rank;
	uint64_t dims[2];   /* dims[1] = 1 for a 1-D one, unless it is flat */
	uint64_t flat;      /* 1-D, frame after frame: samples in a frame, and dims is (frames, flat); otherwise 0 */
	enum dtype dtype;   /* as handed to the daemon */
	bool plain;         /* stored exactly as dtype: no conversion needed */
	hid_t memory_type;  /* to read into */
};

/* Opens the file on the descriptor; explains damage in words. */
enum status file_open(int fd, hid_t *file, struct error *e);

/* The deepest message of libhdf5's error stack, or "". */
void file_reason(char *out, size_t nout);

/* Refuses external links on every step of an absolute path; NOT_FOUND if a step is missing. */
enum status path_check(hid_t file, const char *path, struct error *e);

enum status dataset_open_any(hid_t file, const char *path, hid_t *id, struct error *e);
enum status dataset_open(hid_t file, const char *path, struct dataset *d, struct error *e);

/* False for a type of numbers that is damaged: libhdf5 believes one that has more bits than bytes to hold them, and converts past the end of its
 * buffers. Other types pass. */
bool type_sound(hid_t type);

/* Makes a 1-D dataset a flat one of n samples a frame. */
enum status dataset_flatten(struct dataset *d, uint64_t n, struct error *e);

#endif
