/* SPDX-License-Identifier: BSD-3-Clause
 *
 * libspiked: ask a spiked daemon from C. Link with -lspiked (it uses libnanomsg and jansson).
 *
 *	struct spiked *sp;
 *	if (spiked_connect(&sp, NULL, NULL) != SPIKED_OK) { fprintf(stderr, "%s\n", spiked_connect_error()); exit(1); }
 *	struct spiked_reply *reply;
 *	if (spiked_call(sp, "detect", "{\"file\": \"/data/a.nwb\"}", NULL, 0, &reply) != SPIKED_OK)
 *		fprintf(stderr, "%s (%s)\n", spiked_reply_error(reply), spiked_reply_hint(reply));
 *	const struct spiked_array *peaks = spiked_reply_array(reply, "peaks");
 *	...
 *	spiked_reply_free(reply);
 *	spiked_close(sp);
 *
 * A connection serves one thread at a time. libnanomsg does not survive fork(): connect after it.
 * Operations, parameters and results: protocol/SPEC.md, section 4.
 */
#ifndef SPIKED_H
#define SPIKED_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The numbers of SPEC.md, section 3; 0 is good. Two more are the client's own. */
enum {
	SPIKED_OK = 0, SPIKED_INVALID = 1, SPIKED_NOT_FOUND = 2, SPIKED_DENIED = 3, SPIKED_UNSUPPORTED = 4, SPIKED_TOO_LARGE = 5,
	SPIKED_BUSY = 6, SPIKED_DEADLINE = 7, SPIKED_CANCELLED = 8, SPIKED_UNAVAILABLE = 9, SPIKED_CORRUPT = 10, SPIKED_IO = 11,
	SPIKED_NO_MEMORY = 12, SPIKED_UNREACHABLE = 13, SPIKED_PROTOCOL = 14, SPIKED_INTERNAL = 15,
	SPIKED_NO_DAEMON = 100, /* nobody listens there */
	SPIKED_TIMEOUT = 101    /* no answer in time */
};

/* An array as NumPy describes it. Sending: dtype "<i2", C order, data borrowed for the call. Receiving: data belongs to the reply. */
struct spiked_array {
	const char *name;
	const char *dtype;
	unsigned ndim;
	uint64_t shape[8];
	const void *data;
	uint64_t nbytes;
};

/* One row of the array "peaks", dtype "peak". */
struct spiked_peak {
	int64_t sample_index, channel_index;
	double amplitude;
	int64_t segment_index;
};

struct spiked;
struct spiked_reply;

/* Connects. url: "ipc:///path/spiked.sock" or "tcp://host:port"; NULL: $SPIKED_URL, else endpoint.json of this user's daemon
 * ($SPIKED_RUNTIME_DIR, $XDG_RUNTIME_DIR/spiked, /tmp/spiked-UID). token: for TCP; NULL: $SPIKED_TOKEN or endpoint.json's.
 * Returns SPIKED_OK or a status; the text is in spiked_connect_error(), valid in this thread until the next call. */
int spiked_connect(struct spiked **sp, const char *url, const char *token);
const char *spiked_connect_error(void);
const char *spiked_url(const struct spiked *sp);
void spiked_close(struct spiked *sp);

/* Longest wait for one answer, in ms; default 1 h. The daemon gets it as deadline. */
void spiked_set_timeout(struct spiked *sp, int ms);

/* "live", "interactive" (default) or "batch". */
void spiked_set_class(struct spiked *sp, const char *name);

/* One request. params: a JSON object as text, or NULL. Returns the reply's status; *reply is set whenever it is not NULL, also on errors, and
 * is freed by the caller. */
int spiked_call(struct spiked *sp, const char *op, const char *params, const struct spiked_array *arrays, size_t narrays, struct spiked_reply **reply);

int spiked_reply_status(const struct spiked_reply *r);
const char *spiked_reply_status_name(const struct spiked_reply *r);
const char *spiked_reply_error(const struct spiked_reply *r);  /* "" if good */
const char *spiked_reply_hint(const struct spiked_reply *r);   /* "" if there is none */
const char *spiked_reply_json(const struct spiked_reply *r);   /* the whole header */
const struct spiked_array *spiked_reply_array(const struct spiked_reply *r, const char *name); /* NULL if there is none */
size_t spiked_reply_narrays(const struct spiked_reply *r);
const struct spiked_array *spiked_reply_array_at(const struct spiked_reply *r, size_t i);
void spiked_reply_free(struct spiked_reply *r);

#ifdef __cplusplus
}
#endif
#endif
