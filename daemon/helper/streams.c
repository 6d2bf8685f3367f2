/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/helper/streams.h"

#include <stdio.h>
#include <string.h>

void streams_add(struct description *d, const char *path, bool auxiliary, struct reply *reply)
{
	if (d->nstreams == DESCRIPTION_MAX_STREAMS) {
		if (!d->more_streams)
			reply_warning(reply, "the file holds more recordings than are listed (%d)", DESCRIPTION_MAX_STREAMS);
		d->more_streams = true;
		return;
	}
	d->auxiliary[d->nstreams] = auxiliary;
	snprintf(d->streams[d->nstreams++], DATASET_MAX_PATH, "%s", path);
}

static void list_all(const struct description *d, char *out, size_t nout)
{
	out[0] = '\0';
	for (size_t i = 0; i < d->nstreams; i++) {
		size_t n = strlen(out);
		if (n + strlen(d->streams[i]) + 8 >= nout) {
			strcat(out, ", ...");
			return;
		}
		snprintf(out + n, nout - n, "%s%s", i ? ", " : "", d->streams[i]);
	}
}

/* Does `name` stand in `path` from one slash (or an end) to another? */
static bool is_part(const char *path, const char *name)
{
	size_t n = strlen(name);
	for (const char *at = path; n && (at = strstr(at, name)) != NULL; at++)
		if ((at == path || at[-1] == '/' || at[0] == '/') && (at[n] == '\0' || at[n] == '/'))
			return true;
	return false;
}

static const char *match(const struct description *d, const char *name)
{
	const char *found = NULL;
	size_t nfound = 0;
	for (size_t i = 0; i < d->nstreams; i++) {
		const char *path = d->streams[i];
		if (strcmp(path, name) == 0 || strcmp(path + 1, name) == 0)
			return path;
		if (is_part(path, name)) {
			found = path;
			nfound++;
		}
	}
	return nfound == 1 ? found : NULL;
}

/* The only stream that is not auxiliary, or the only one at all. */
static const char *only(const struct description *d)
{
	const char *found = NULL;
	size_t nfound = 0;
	for (size_t i = 0; i < d->nstreams; i++)
		if (!d->auxiliary[i]) {
			found = d->streams[i];
			nfound++;
		}
	if (nfound == 0 && d->nstreams == 1)
		return d->streams[0];
	return nfound == 1 ? found : NULL;
}

enum status streams_choose(struct description *d, const struct wanted *wanted, struct error *e)
{
	char all[220];
	list_all(d, all, sizeof all);
	if (!d->nstreams)
		return error_set(e, STATUS_NOT_FOUND, "file", NULL, "the file has the layout %s, but holds no recording", d->layout);
	const char *found = wanted->stream ? match(d, wanted->stream) : only(d);
	if (!found && !wanted->stream)
		return error_set(e, STATUS_INVALID, "recording", "name one of them", "the file holds several recordings: %s", all);
	if (!found)
		return error_set(e, STATUS_NOT_FOUND, "recording", "name one of them", "no recording %.60s in the file; it holds: %s", wanted->stream, all);
	snprintf(d->stream, sizeof d->stream, "%s", found);
	return STATUS_OK;
}
