/* SPDX-License-Identifier: BSD-3-Clause
 *
 * libhdf5 with the interface of 1.10, whatever newer library is installed.
 */
#ifndef DAEMON_HELPER_H5_H
#define DAEMON_HELPER_H5_H

#ifndef H5_USE_110_API
#define H5_USE_110_API
#endif
#include <hdf5.h>

#endif
