/* SPDX-License-Identifier: BSD-3-Clause */
#include "protocol/bytes.h"
#include "protocol/message.h"
#include "protocol/sp.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_HEADER = 64 << 10 };
static const uint8_t id[MESSAGE_ID_BYTES] = "0123456789abcde";

/* A body with that header text and `tail` bytes behind it. */
static uint8_t *body_of(const char *text, size_t tail, size_t *n)
{
	struct message_prefix prefix = { .version = MESSAGE_VERSION, .kind = MESSAGE_REQUEST, .header_bytes = (uint32_t)strlen(text) };
	size_t end = MESSAGE_PREFIX_BYTES + strlen(text);
	*n = tail ? end + message_padding(end) + tail : end;
	uint8_t *body = calloc(1, *n);
	message_prefix_encode(&prefix, body);
	memcpy(body + MESSAGE_PREFIX_BYTES, text, strlen(text));
	return body;
}

static enum status decode_text(const char *text, size_t tail, struct error *e)
{
	size_t n;
	struct message m;
	uint8_t *body = body_of(text, tail, &n);
	enum status status = message_decode(&m, body, n, MAX_HEADER, e);
	if (!status)
		message_fini(&m);
	free(body);
	return status;
}

static void round_trip(void)
{
	double x[6] = { 1, 2, 3, 4, 5, 6 };
	int16_t y[3] = { 7, 8, 9 };
	struct array arrays[2] = { 0 };
	CU_ASSERT_EQUAL(array_init(&arrays[0], "x", DTYPE_F64, 2, (uint64_t[]){ 2, 3 }), STATUS_OK);
	CU_ASSERT_EQUAL(array_init(&arrays[1], "y", DTYPE_I16, 1, (uint64_t[]){ 3 }), STATUS_OK);
	arrays[0].data = x;
	arrays[1].data = y;
	uint8_t *head;
	size_t nhead;
	json_t *header = json_pack("{s:s}", "op", "ping");
	CU_ASSERT_EQUAL_FATAL(message_encode(header, MESSAGE_REQUEST, id, arrays, 2, NULL, 0, &head, &nhead), STATUS_OK);
	json_decref(header);
	size_t n = message_body_bytes(nhead, arrays, 2);
	uint8_t *body = calloc(1, n);
	memcpy(body, head, nhead);
	memcpy(body + nhead, x, sizeof x);
	memcpy(body + n - sizeof y, y, sizeof y);
	CU_ASSERT_EQUAL(nhead % MESSAGE_ALIGN, 0);
	struct message m;
	struct error e;
	CU_ASSERT_EQUAL_FATAL(message_decode(&m, body, n, MAX_HEADER, &e), STATUS_OK);
	CU_ASSERT(m.narrays == 2 && memcmp(m.prefix.id, id, sizeof id) == 0);
	const struct array *a = message_array(&m, "x");
	CU_ASSERT(a && a->ndim == 2 && a->shape[1] == 3 && memcmp(a->data, x, sizeof x) == 0);
	CU_ASSERT(memcmp(message_array(&m, "y")->data, y, sizeof y) == 0);
	CU_ASSERT_PTR_NULL(message_array(&m, "z"));
	message_fini(&m);
	/* Every shorter body is an error, never a read past its end (the sanitizers look). */
	for (size_t cut = 0; cut < n; cut++) {
		uint8_t *part = malloc(cut + 1);
		memcpy(part, body, cut);
		CU_ASSERT_NOT_EQUAL(message_decode(&m, part, cut, MAX_HEADER, &e), STATUS_OK);
		free(part);
	}
	free(body);
	free(head);
}

#define ARRAY(dtype, shape, nbytes) "{\"op\":\"x\",\"arrays\":[{\"name\":\"a\",\"dtype\":\"" dtype "\",\"shape\":" shape ",\"nbytes\":" nbytes "}]}"

static void impossible_arrays(void)
{
	static const struct { const char *text; size_t tail; enum status status; } cases[] = {
		{ ARRAY("<f8", "[2]", "16"), 16, STATUS_OK },
		{ ARRAY("<f8", "[0,5]", "0"), 0, STATUS_INVALID }, /* an empty array still stands at a multiple of 64 */
		{ ARRAY("<f8", "[2]", "15"), 16, STATUS_INVALID },
		{ ARRAY("<f8", "[2]", "16"), 15, STATUS_INVALID },
		{ ARRAY("<f8", "[2]", "16"), 17, STATUS_PROTOCOL },
		{ ARRAY("<f8", "[-2]", "16"), 16, STATUS_INVALID },
		{ ARRAY("<f8", "[4294967296,4294967296]", "0"), 0, STATUS_INVALID },
		{ ARRAY("<f8", "[\"9223372036854775807\",3]", "8"), 8, STATUS_INVALID },
		{ ARRAY("<f8", "[0,\"18446744073709551615\",3]", "0"), 0, STATUS_INVALID },
		{ ARRAY("<f8", "[1,1,1,1,1,1,1,1,1]", "8"), 8, STATUS_INVALID },
		{ ARRAY("<f8", "2", "16"), 16, STATUS_INVALID },
		{ ARRAY(">f8", "[2]", "16"), 16, STATUS_INVALID },
		{ ARRAY("object", "[2]", "16"), 16, STATUS_INVALID },
		{ "{\"arrays\":[{\"name\":\"a\",\"dtype\":\"<f8\",\"shape\":[1],\"nbytes\":8,\"strides\":[-8],\"order\":\"K\"}]}", 8, STATUS_INVALID },
		{ "{\"arrays\":[{\"name\":\"a\",\"dtype\":\"<f8\",\"shape\":[1],\"nbytes\":8,\"offset\":64}]}", 8, STATUS_INVALID },
		{ "{\"arrays\":[{\"name\":\"a\",\"dtype\":\"<f8\",\"shape\":[1],\"nbytes\":8,\"via\":\"memory\"}]}", 0, STATUS_INVALID },
		{ "{\"arrays\":[{\"name\":\"a\",\"dtype\":\"<f8\",\"shape\":[1],\"nbytes\":8,\"via\":\"memory\",\"address\":\"18446744073709551615\"}]}", 0,
		  STATUS_INVALID },
		{ "{\"arrays\":[{\"name\":\"a\",\"dtype\":\"<f8\",\"shape\":[1],\"nbytes\":8,\"via\":\"memory\",\"address\":\"4096\"}]}", 0, STATUS_OK },
		{ "{\"arrays\":[{\"name\":\"\",\"dtype\":\"<f8\",\"shape\":[],\"nbytes\":8}]}", 8, STATUS_INVALID },
		{ "{\"arrays\":[{\"name\":\"a\",\"dtype\":\"<f8\",\"shape\":[],\"nbytes\":8}]}", 8, STATUS_OK },
		{ "{\"arrays\":[7]}", 0, STATUS_INVALID },
		{ "{\"arrays\":{}}", 0, STATUS_INVALID },
		{ "[]", 0, STATUS_PROTOCOL },
		{ "{", 0, STATUS_PROTOCOL },
		{ "{} {}", 0, STATUS_PROTOCOL },
		{ "{\"a\":1,\"a\":2}", 0, STATUS_PROTOCOL },
		{ "{\"a\":NaN}", 0, STATUS_PROTOCOL },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct error e;
		enum status status = decode_text(cases[i].text, cases[i].tail, &e);
		if (status != cases[i].status)
			printf("\n  %s (+%zu): %s\n", cases[i].text, cases[i].tail, status ? e.message : "accepted");
		CU_ASSERT_EQUAL(status, cases[i].status);
	}
}

static void budgets(void)
{
	struct error e;
	char *deep = malloc(2 * MESSAGE_MAX_DEPTH + 64), *wide = malloc(4 * MESSAGE_MAX_VALUES);
	strcpy(deep, "{\"a\":");
	for (int i = 0; i < MESSAGE_MAX_DEPTH; i++)
		strcat(deep, "[");
	CU_ASSERT_EQUAL(decode_text(deep, 0, &e), STATUS_TOO_LARGE);
	size_t n = (size_t)sprintf(wide, "{\"a\":[1");
	for (int i = 0; i < 30000; i++)
		n += (size_t)sprintf(wide + n, ",1");
	sprintf(wide + n, "]}");
	CU_ASSERT_EQUAL(decode_text(wide, 0, &e), STATUS_OK);
	for (n = (size_t)sprintf(wide, "{\"a\":[1"); n < 3 * (size_t)MESSAGE_MAX_VALUES;)
		n += (size_t)sprintf(wide + n, ",1");
	sprintf(wide + n, "]}");
	CU_ASSERT_EQUAL(decode_text(wide, 0, &e), STATUS_TOO_LARGE); /* by bytes */
	CU_ASSERT_EQUAL(e.limit, MAX_HEADER);
	free(deep);
	free(wide);
}

/* Mutations of a good message, and noise: an error or a message, never a crash. */
static void random_bodies(void)
{
	size_t n;
	uint8_t *good = body_of("{\"op\":\"detect\",\"params\":{\"a\":[1,2.5,\"x\\u00e9\"]},\"arrays\":[{\"name\":\"t\",\"dtype\":\"<i2\",\"shape\":[4,2],"
				"\"nbytes\":16,\"order\":\"F\"}]}", 16, &n);
	for (unsigned seed = 1; seed <= 20000; seed++) {
		struct random r = random_seed(seed);
		struct error e;
		struct message m;
		size_t size = seed % 5 ? n : random_below(&r, n);
		uint8_t *body = malloc(size + 1);
		memcpy(body, good, size);
		for (size_t i = random_below(&r, 4); i-- && size;)
			body[random_below(&r, size)] = (uint8_t)random_next(&r);
		if (message_decode(&m, body, size, MAX_HEADER, &e) == STATUS_OK)
			message_fini(&m);
		free(body);
	}
	free(good);
}

static void tables(void)
{
	for (int i = 0; i < DTYPE_COUNT; i++)
		CU_ASSERT_EQUAL(dtype_from_name(dtype_name((enum dtype)i)), i);
	CU_ASSERT_EQUAL(dtype_from_name("f8"), DTYPE_NONE);
	CU_ASSERT_EQUAL(status_from_name("DEADLINE"), STATUS_DEADLINE);
	CU_ASSERT_STRING_EQUAL(status_name((enum status)99), "INTERNAL");
	CU_ASSERT(status_retryable(STATUS_BUSY) && !status_retryable(STATUS_INVALID));
	char text[2 * MESSAGE_ID_BYTES + 1];
	uint8_t back[MESSAGE_ID_BYTES];
	message_id_to_text(id, text);
	CU_ASSERT(message_id_from_text(text, back) && memcmp(id, back, sizeof id) == 0);
	CU_ASSERT(!message_id_from_text("12", back) && !message_id_from_text(NULL, back));
	text[5] = 'g';
	CU_ASSERT(!message_id_from_text(text, back));
}

CU_ErrorCode test_message_register(void)
{
	CU_pSuite s = CU_add_suite("message", NULL, NULL);
	if (!s || !CU_add_test(s, "round trip and truncation", round_trip) || !CU_add_test(s, "impossible arrays", impossible_arrays) ||
	    !CU_add_test(s, "budgets", budgets) || !CU_add_test(s, "random bodies", random_bodies) || !CU_add_test(s, "tables", tables))
		return CU_get_error();
	return CUE_SUCCESS;
}
