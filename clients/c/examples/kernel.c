/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Compiles a kernel from its source, runs it on arrays, and prints what it returned and what it wrote.
 *
 *	gcc -o kernel kernel.c -lspiked
 *	./kernel [ALPHA]
 *
 * Needs a running daemon: start one with `spiked`.
 */
#include <inttypes.h>
#include <spiked.h>
#include <stdio.h>
#include <stdlib.h>

enum { N = 8 };

/* The kernel takes the arrays of a call in the order of their names: a0, a1, a2. In JSON a newline is \n, so in C it is \\n. */
static const char params[] = "{\"kernel\": \"smooth\", \"source\": \""
			     "def smooth(x, alpha, out):\\n"
			     "    out[0] = x[0]\\n"
			     "    above = 0\\n"
			     "    for i in range(1, len(x)):\\n"
			     "        out[i] = alpha * x[i] + (1 - alpha) * out[i - 1]\\n"
			     "        if out[i] > 5.0:\\n"
			     "            above += 1\\n"
			     "    return above, out[len(x) - 1]\\n\"}";

/* Says what went wrong and what to do about it. */
static void complain(const struct spiked_reply *reply)
{
	fprintf(stderr, "%s: %s\n", spiked_reply_status_name(reply), spiked_reply_error(reply));
	if (*spiked_reply_hint(reply))
		fprintf(stderr, "hint: %s\n", spiked_reply_hint(reply));
}

/* Results are r0, r1, ...: numbers are arrays without dimensions. An argument that the kernel wrote comes back by its name. */
static int print_results(const struct spiked_reply *reply)
{
	const struct spiked_array *above = spiked_reply_array(reply, "r0"), *last = spiked_reply_array(reply, "r1");
	const struct spiked_array *out = spiked_reply_array(reply, "a2");
	if (!above || !last || !out || out->ndim != 1 || out->shape[0] != N)
		return 1;
	printf("%" PRId64 " above 5, last %.4f\n", *(const int64_t *)above->data, *(const double *)last->data);
	for (int i = 0; i < N; i++)
		printf("%.4f%c", ((const double *)out->data)[i], i + 1 < N ? ' ' : '\n');
	return 0;
}

int main(int argc, char **argv)
{
	int16_t x[N] = { 1, 4, 9, 16, 9, 4, 1, 0 };
	double alpha = argc > 1 ? strtod(argv[1], NULL) : 0.5, out[N] = { 0 };
	struct spiked_array arrays[] = {
		{ .name = "a0", .dtype = "<i2", .ndim = 1, .shape = { N }, .data = x, .nbytes = sizeof x },
		{ .name = "a1", .dtype = "<f8", .ndim = 0, .data = &alpha, .nbytes = sizeof alpha },
		{ .name = "a2", .dtype = "<f8", .ndim = 1, .shape = { N }, .data = out, .nbytes = sizeof out },
	};
	struct spiked *sp;
	struct spiked_reply *reply;
	if (spiked_connect(&sp, NULL, NULL) != SPIKED_OK) {
		fprintf(stderr, "%s\n", spiked_connect_error());
		return 1;
	}
	int status = spiked_call(sp, "call", params, arrays, sizeof arrays / sizeof *arrays, &reply);
	int failed = status != SPIKED_OK;
	if (!failed)
		failed = print_results(reply);
	else if (reply)
		complain(reply);
	spiked_reply_free(reply);
	spiked_close(sp);
	return failed;
}
