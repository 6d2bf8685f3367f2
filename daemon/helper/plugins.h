/* SPDX-License-Identifier: BSD-3-Clause
 *
 * HDF5 filter plugins: shared objects from the directories of recordings.plugin_path, and from nowhere else. They are loaded before the sandbox closes,
 * so their code runs in it as the file's bytes do.
 */
#ifndef DAEMON_HELPER_PLUGINS_H
#define DAEMON_HELPER_PLUGINS_H

#include "daemon/helper/h5.h"
#include "protocol/error.h"

#include <jansson.h>

/* Registers a plugin for each filter of `ids` that libhdf5 does not have; directories are separated by ':'. Those that are not found stay unknown. */
void plugins_load(const char *directories, const json_t *ids);

/* UNSUPPORTED, with its number and name, if a filter of the dataset is not known. From now on the filter that was applied to its chunks first must give
 * chunk_bytes: libhdf5 takes whatever size a plugin returns. */
enum status plugins_check(hid_t dataset, const char *path, size_t chunk_bytes, struct error *e);

#endif
