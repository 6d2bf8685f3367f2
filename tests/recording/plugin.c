/* SPDX-License-Identifier: BSD-3-Clause
 *
 * HDF5 filter plugins of the tests: filter ID, which does MODE: 0 flips every bit; 1 crashes, 2 hangs, 3 gives twice as much, 4 half as much.
 */
#include <hdf5.h>
#include <stdlib.h>
#include <unistd.h>

int H5PLget_plugin_type(void);
const void *H5PLget_plugin_info(void);

static size_t filter(unsigned flags, size_t nvalues, const unsigned values[], size_t nbytes, size_t *room, void **buffer)
{
	(void)flags;
	(void)nvalues;
	(void)values;
	unsigned char *p = *buffer;
	for (size_t i = 0; i < nbytes; i++)
		p[i] ^= 0xff;
	if (MODE == 1)
		*(volatile int *)8 = 1;
	while (MODE == 2)
		;
	if (MODE == 3) {
		*buffer = realloc(p, 2 * nbytes);
		*room = 2 * nbytes;
		return 2 * nbytes;
	}
	return MODE == 4 ? nbytes / 2 : nbytes;
}

static const H5Z_class2_t class = { H5Z_CLASS_T_VERS, ID, 1, 1, "test filter", NULL, NULL, filter };

int H5PLget_plugin_type(void)
{
	return 0; /* a filter */
}

const void *H5PLget_plugin_info(void)
{
	return &class;
}
