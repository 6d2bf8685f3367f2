/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Every option of the daemon, once. The table makes struct config, the parser, --help, --dump-config and the test that holds
 * config/spiked.conf to it.
 *
 *   O(section, key, TYPE, default text, min, max, RELOAD or RESTART, help)
 *
 * TYPE  BOOL yes/no · INT · BYTES (512, 64KiB, 8MiB, 2GiB) · TIME (250ms, 10s, 5min, 1h) kept in ms · TEXT · PATH · PATHS (separated by :)
 * min and max apply to INT, BYTES and TIME. RELOAD: SIGHUP applies it; RESTART: it waits for a restart.
 */
#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H

#define OPTION_KIB 1024LL
#define OPTION_MIB (1024 * OPTION_KIB)
#define OPTION_GIB (1024 * OPTION_MIB)
#define OPTION_MS 1LL
#define OPTION_S 1000LL
#define OPTION_H (3600 * OPTION_S)

#define OPTION_MAP(O)                                                                                                                              \
	O(listen, runtime_dir, PATH, "auto", 0, 0, RESTART,                                                                                        \
	  "Directory (mode 0700) of the socket, the lock and endpoint.json, where clients look. auto: $XDG_RUNTIME_DIR/spiked, or "                \
	  "/tmp/spiked-UID")                                                                                                                       \
	O(listen, ipc, TEXT, "auto", 0, 0, RESTART, "Path of the unix socket; auto: spiked.sock in runtime_dir; off: none")                        \
	O(listen, tcp, TEXT, "127.0.0.1:0", 0, 0, RESTART,                                                                                         \
	  "ADDRESS:PORT for clients that have only TCP (MATLAB, Octave), always with the token of endpoint.json; port 0: the kernel "              \
	  "chooses; off: none")                                                                                                                    \
	O(listen, backlog, INT, "128", 1, 4096, RESTART, "Connections the kernel may keep waiting")                                                \
	O(access, others, TEXT, "none", 0, 0, RELOAD,                                                                                              \
	  "Role of unix-socket peers that run under another user: none, read or compute (the socket's directory must let them in)")                \
	O(access, tcp, TEXT, "compute", 0, 0, RELOAD, "Role of TCP peers that send the token: read, compute or admin")                             \
	O(limits, clients, INT, "256", 1, 65536, RELOAD, "Connections at one time; one more is closed at once")                                    \
	O(limits, message_bytes, BYTES, "64MiB", 64 * OPTION_KIB, 2 * OPTION_GIB, RELOAD, "Largest message; larger arrays go by memory or file")   \
	O(limits, header_bytes, BYTES, "256KiB", 4 * OPTION_KIB, 16 * OPTION_MIB, RELOAD, "Largest JSON header of a message")                      \
	O(limits, client_requests, INT, "64", 1, 65536, RELOAD, "Requests of one client in flight; more wait unread in its socket")                \
	O(limits, client_bytes, BYTES, "256MiB", 64 * OPTION_KIB, 1024 * OPTION_GIB, RELOAD,                                                       \
	  "Bytes of one client's requests and replies in flight; more wait unread in its socket")                                                  \
	O(limits, total_bytes, BYTES, "2GiB", 1 * OPTION_MIB, 1024 * OPTION_GIB, RELOAD, "Bytes of all requests and replies in flight")            \
	O(limits, queue, INT, "1024", 1, 1000000, RELOAD, "Requests waiting or running; one more is answered BUSY")                                \
	O(limits, work_bytes, BYTES, "1GiB", 16 * OPTION_MIB, 1024 * OPTION_GIB, RELOAD, "Memory one request may work in")                         \
	O(limits, result_bytes, BYTES, "1GiB", 1 * OPTION_MIB, 1024 * OPTION_GIB, RELOAD, "Largest result of one request")                         \
	O(limits, deadline, TIME, "1h", 1 * OPTION_S, 1000 * OPTION_H, RELOAD, "Longest time a request may take, queued and running")              \
	O(limits, handshake_timeout, TIME, "1s", 10 * OPTION_MS, 60 * OPTION_S, RELOAD, "A connection without an SP handshake is closed after it") \
	O(limits, stall_timeout, TIME, "30s", 100 * OPTION_MS, OPTION_H, RELOAD,                                                                   \
	  "A connection that stops inside a message, or does not read its reply, is closed after it")                                              \
	O(results, keep, TIME, "1min", 0, 24 * OPTION_H, RELOAD, "A reply is kept this long for a repeat of its request id")                        \
	O(results, max_bytes, BYTES, "1MiB", 0, OPTION_GIB, RELOAD, "Larger replies are not kept")                                                 \
	O(results, total_bytes, BYTES, "64MiB", 0, 64 * OPTION_GIB, RELOAD, "All kept replies together; the oldest go first")                      \
	O(compute, threads, INT, "0", 0, 1024, RESTART, "Threads that compute, in all; 0: as many as the process may use (affinity, cgroup, Slurm)") \
	O(compute, lanes, INT, "1", 1, 64, RESTART, "Requests computed at one time; each lane has threads / lanes threads")                        \
	O(compute, io_threads, INT, "8", 1, 128, RESTART, "Threads that wait for files and helper processes")                                      \
	O(compute, block_frames, INT, "4096", 256, 1048576, RELOAD, "Frames read and computed between two looks at cancel, deadline and queue")    \
	O(compiler, cache_dir, PATH, "auto", 0, 0, RESTART,                                                                                        \
	  "Directory (mode 0700) of compiled programs, kept from one run to the next. auto: $XDG_CACHE_HOME/spiked, or ~/.cache/spiked; off: none") \
	O(compiler, disk_bytes, BYTES, "256MiB", 1 * OPTION_MIB, 64 * OPTION_GIB, RESTART,                                                         \
	  "Compiled programs on disk; those not used for longest go first")                                                                        \
	O(compiler, cache_bytes, BYTES, "256MiB", 1 * OPTION_MIB, 64 * OPTION_GIB, RESTART,                                                        \
	  "Compiled programs in memory; and sources of registered kernels")                                                                        \
	O(compiler, programs, INT, "4096", 1, 65536, RESTART, "Compiled programs in memory, by number; and registered kernels")                    \
	O(compiler, memory_bytes, BYTES, "256MiB", 1 * OPTION_MIB, 64 * OPTION_GIB, RESTART, "Memory that compiling one program may take")         \
	O(compiler, source_bytes, BYTES, "1MiB", 1 * OPTION_KIB, 1 * OPTION_MIB, RELOAD, "Largest text of a program")                              \
	O(compiler, call_bytes, BYTES, "2GiB", 1 * OPTION_MIB, 1024 * OPTION_GIB, RELOAD,                                                          \
	  "Memory of one call: the arrays it makes and copies of its arguments from the client's memory")                                          \
	O(compiler, kernel_dir, PATH, "off", 0, 0, RESTART,                                                                                        \
	  "Directory of kernels (*.py) that are registered at start, and compiled for the signatures of their decorators; off: none")              \
	O(memory, enabled, BOOL, "yes", 0, 0, RELOAD, "Read arrays straight from the client's memory (same user, same machine)")                   \
	O(memory, shared_bytes, BYTES, "64GiB", 0, 1024 * OPTION_GIB, RESTART, "Memory files of clients kept mapped, in all; more go by copies")          \
	O(recordings, roots, PATHS, "/", 0, 0, RELOAD, "Files may be opened only below these directories")                                         \
	O(recordings, cache, INT, "64", 1, 4096, RELOAD, "Recordings kept open between requests")                                                  \
	O(recordings, plugin_path, PATHS, "off", 0, 0, RELOAD,                                                                                    \
	  "Directories of HDF5 filter plugins (shared objects), used in the helper for filters that spiked does not know; off: none")             \
	O(output, roots, PATHS, "/", 0, 0, RELOAD, "Result files may be written only below these directories")                                     \
	O(helper, path, PATH, "auto", 0, 0, RESTART, "The HDF5 helper program; auto: spiked-h5 beside spiked")                                     \
	O(helper, memory, BYTES, "1GiB", 64 * OPTION_MIB, 64 * OPTION_GIB, RELOAD, "Address space of one helper process")                          \
	O(helper, timeout, TIME, "30s", 100 * OPTION_MS, OPTION_H, RELOAD, "A helper that takes longer is killed and its request fails")           \
	O(service, shutdown_timeout, TIME, "10s", 0, OPTION_H, RELOAD, "After SIGTERM running requests may finish for this long")                  \
	O(service, stop_on_stdin_eof, BOOL, "no", 0, 0, RESTART, "Stop when standard input closes: for a daemon that belongs to one process")      \
	O(log, level, TEXT, "info", 0, 0, RELOAD, "error, warn, info or debug")

#endif
