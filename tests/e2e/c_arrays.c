/* SPDX-License-Identifier: BSD-3-Clause
 *
 * c_arrays: calls with arrays through libspiked, checked here. Exit code: 0, or the line of the check that failed modulo 251.
 */
#include <spiked.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRAMES = 30000, CHANNELS = 4 };

static int16_t traces[FRAMES][CHANNELS];

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "c_arrays: line %d: %s\n", __LINE__, #condition); \
			exit(__LINE__ % 251); \
		} \
	} while (0)

/* Noise of standard deviation near 10 with one deep sample on each channel. */
static void make(void)
{
	uint32_t state = 1;
	for (int t = 0; t < FRAMES; t++)
		for (int c = 0; c < CHANNELS; c++) {
			state = state * 1664525u + 1013904223u;
			traces[t][c] = (int16_t)((int)(state >> 16) % 35 - 17);
		}
	for (int c = 0; c < CHANNELS; c++)
		traces[1000 * (c + 1)][c] = -1000;
}

static void reduce(struct spiked *sp)
{
	struct spiked_reply *reply;
	const struct spiked_array in = { "traces", "<i2", 2, { FRAMES, CHANNELS }, traces, sizeof traces };
	CHECK(spiked_call(sp, "reduce", "{\"operations\": [\"sum\", \"count_above\", \"min\"], \"threshold\": 10}", &in, 1, &reply) == SPIKED_OK);
	CHECK(spiked_reply_narrays(reply) == 3 && !spiked_reply_array(reply, "max") && !spiked_reply_array_at(reply, 3));
	const struct spiked_array *sum = spiked_reply_array(reply, "sum"), *count = spiked_reply_array(reply, "count_above");
	CHECK(sum && count && strcmp(sum->dtype, "<f8") == 0 && strcmp(count->dtype, "<i8") == 0 && sum->ndim == 1 && sum->shape[0] == CHANNELS);
	CHECK((uintptr_t)sum->data % 64 == 0 && (uintptr_t)count->data % 64 == 0);
	for (int c = 0; c < CHANNELS; c++) {
		double total = 0;
		int64_t above = 0;
		for (int t = 0; t < FRAMES; t++) {
			total += traces[t][c];
			above += traces[t][c] > 10;
		}
		CHECK(((const double *)sum->data)[c] == total && ((const int64_t *)count->data)[c] == above);
		CHECK(((const double *)spiked_reply_array(reply, "min")->data)[c] == -1000);
	}
	spiked_reply_free(reply);
}

static void detect(struct spiked *sp)
{
	struct spiked_reply *reply;
	const double levels[CHANNELS] = { 10, 10, 10, 10 };
	const struct spiked_array in[] = { { "traces", "<i2", 2, { FRAMES, CHANNELS }, traces, sizeof traces },
					   { "noise_levels", "<f8", 1, { CHANNELS }, levels, sizeof levels } };
	CHECK(spiked_call(sp, "detect", "{\"sampling_frequency\": 30000}", in, 2, &reply) == SPIKED_OK);
	const struct spiked_array *peaks = spiked_reply_array(reply, "peaks");
	CHECK(peaks && strcmp(peaks->dtype, "peak") == 0 && peaks->shape[0] == CHANNELS && peaks->nbytes == CHANNELS * sizeof(struct spiked_peak));
	for (int c = 0; c < CHANNELS; c++) {
		const struct spiked_peak *p = (const struct spiked_peak *)peaks->data + c;
		CHECK(p->sample_index == 1000 * (c + 1) && p->channel_index == c && p->amplitude == -1000 && p->segment_index == 0);
	}
	spiked_reply_free(reply);
}

static void large(struct spiked *sp)
{
	struct spiked_reply *reply;
	const uint64_t n = 1000000;
	double *x = malloc(n * sizeof *x);
	for (uint64_t i = 0; x && i < n; i++)
		x[i] = 1;
	const struct spiked_array in = { "traces", "<f8", 1, { n }, x, n * sizeof *x };
	CHECK(x && spiked_call(sp, "reduce", "{\"operations\": [\"cumsum\"]}", &in, 1, &reply) == SPIKED_OK);
	const struct spiked_array *y = spiked_reply_array(reply, "cumsum");
	CHECK(y && y->ndim == 1 && y->shape[0] == n && ((const double *)y->data)[n - 1] == (double)n);
	spiked_reply_free(reply);
	free(x);
}

static void mistakes(struct spiked *sp)
{
	struct spiked_reply *reply;
	const struct spiked_array odd = { "traces", "<i3", 1, { 4 }, traces, 12 };
	CHECK(spiked_call(sp, "reduce", "{}", &odd, 1, &reply) == SPIKED_INVALID && *spiked_reply_error(reply));
	spiked_reply_free(reply);
	CHECK(spiked_call(sp, "reduce", "[1]", NULL, 0, &reply) == SPIKED_INVALID && *spiked_reply_error(reply));
	spiked_reply_free(reply);
	CHECK(spiked_call(sp, "reduce", "{", NULL, 0, &reply) == SPIKED_INVALID);
	spiked_reply_free(reply);
	CHECK(spiked_call(sp, "nothing", NULL, NULL, 0, &reply) == SPIKED_NOT_FOUND && *spiked_reply_hint(reply));
	CHECK(strcmp(spiked_reply_status_name(reply), "NOT_FOUND") == 0 && spiked_reply_narrays(reply) == 0);
	spiked_reply_free(reply);
	spiked_reply_free(NULL);
	spiked_close(NULL);
}

int main(void)
{
	struct spiked *sp;
	make();
	CHECK(spiked_connect(&sp, "ipc:///nonexistent", NULL) == SPIKED_NO_DAEMON && *spiked_connect_error());
	CHECK(spiked_connect(&sp, NULL, NULL) == SPIKED_OK && *spiked_url(sp));
	spiked_set_timeout(sp, 20000);
	spiked_set_class(sp, "live");
	reduce(sp);
	detect(sp);
	large(sp);
	mistakes(sp);
	reduce(sp);
	spiked_close(sp);
	return 0;
}
