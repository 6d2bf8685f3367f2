/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Finds spikes in a recording and prints the first of them.
 *
 *	gcc -o detect detect.c -lspiked
 *	./detect FILE.nwb
 *
 * Needs a running daemon: start one with `spiked`.
 */
#include <inttypes.h>
#include <spiked.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN = 10 };

/* Says what went wrong and what to do about it. */
static void complain(const struct spiked_reply *reply)
{
	fprintf(stderr, "%s: %s\n", spiked_reply_status_name(reply), spiked_reply_error(reply));
	if (*spiked_reply_hint(reply))
		fprintf(stderr, "hint: %s\n", spiked_reply_hint(reply));
}

static void print_peaks(const struct spiked_array *peaks)
{
	const struct spiked_peak *p = peaks->data;
	uint64_t n = peaks->shape[0];
	printf("%" PRIu64 " peaks\n", n);
	for (uint64_t i = 0; i < n && i < SHOWN; i++)
		printf("frame %" PRId64 "  channel %" PRId64 "  %.1f\n", p[i].sample_index, p[i].channel_index, p[i].amplitude);
}

/* The parameters as JSON. A path with quotes or backslashes would have to be escaped: leave that to a JSON library. */
static int make_params(char *text, size_t n, const char *file)
{
	static const char stages[] = "[{\"stage\": \"bandpass\", \"freq_min\": 300, \"freq_max\": 6000}, {\"stage\": \"common_reference\"}]";
	if (strpbrk(file, "\"\\") || (size_t)snprintf(text, n, "{\"file\": \"%s\", \"detect_threshold\": 5, \"preprocess\": %s}", file, stages) >= n)
		return -1;
	return 0;
}

int main(int argc, char **argv)
{
	char params[8192], *file = argc == 2 ? realpath(argv[1], NULL) : NULL;
	struct spiked *sp;
	struct spiked_reply *reply;
	if (!file || make_params(params, sizeof params, file) != 0) {
		fprintf(stderr, "usage: detect FILE.nwb\n");
		free(file);
		return 2;
	}
	free(file);
	if (spiked_connect(&sp, NULL, NULL) != SPIKED_OK) {
		fprintf(stderr, "%s\n", spiked_connect_error());
		return 1;
	}
	int status = spiked_call(sp, "detect", params, NULL, 0, &reply);
	if (status == SPIKED_OK)
		print_peaks(spiked_reply_array(reply, "peaks"));
	else if (reply)
		complain(reply);
	spiked_reply_free(reply);
	spiked_close(sp);
	return status == SPIKED_OK ? 0 : 1;
}
