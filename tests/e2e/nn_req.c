/* SPDX-License-Identifier: BSD-3-Clause
 *
 * nn_req URL REPLY RESEND_MS BODY...: a libnanomsg REQ peer. Sends each BODY (a file) in turn and writes the reply's body to REPLY.0, REPLY.1, ...
 * RESEND_MS above 0 makes REQ repeat a request that is not answered within it. Exit code: 0, or 1 with a message.
 */
#include <nanomsg/nn.h>
#include <nanomsg/reqrep.h>
#include <stdio.h>
#include <stdlib.h>

static void fail(const char *what)
{
	fprintf(stderr, "nn_req: %s: %s\n", what, nn_strerror(nn_errno()));
	exit(1);
}

static void set(int s, int level, int option, int value)
{
	if (nn_setsockopt(s, level, option, &value, sizeof value) < 0)
		fail("nn_setsockopt");
}

static void *load(const char *path, size_t *n)
{
	FILE *f = fopen(path, "rb");
	if (!f || fseek(f, 0, SEEK_END) != 0)
		fail(path);
	*n = (size_t)ftell(f);
	rewind(f);
	void *data = malloc(*n + 1);
	if (!data || fread(data, 1, *n, f) != *n)
		fail(path);
	fclose(f);
	return data;
}

static void save(const char *path, int i, const void *data, int n)
{
	char name[4096];
	snprintf(name, sizeof name, "%s.%d", path, i);
	FILE *f = fopen(name, "wb");
	if (!f || fwrite(data, 1, (size_t)n, f) != (size_t)n || fclose(f) != 0)
		fail(name);
}

int main(int argc, char **argv)
{
	int s = nn_socket(AF_SP, NN_REQ);
	if (argc < 5 || s < 0)
		fail("usage: nn_req URL REPLY RESEND_MS BODY...");
	set(s, NN_SOL_SOCKET, NN_RCVMAXSIZE, -1);
	set(s, NN_SOL_SOCKET, NN_SNDTIMEO, 10000);
	set(s, NN_SOL_SOCKET, NN_RCVTIMEO, 20000);
	if (atoi(argv[3]) > 0)
		set(s, NN_REQ, NN_REQ_RESEND_IVL, atoi(argv[3]));
	if (nn_connect(s, argv[1]) < 0)
		fail(argv[1]);
	for (int i = 4; i < argc; i++) {
		size_t n;
		void *body = load(argv[i], &n), *reply;
		if (nn_send(s, body, n, 0) < 0)
			fail("nn_send");
		int got = nn_recv(s, &reply, NN_MSG, 0);
		if (got < 0)
			fail("nn_recv");
		save(argv[2], i - 4, reply, got);
		nn_freemsg(reply);
		free(body);
	}
	nn_close(s);
	return 0;
}
