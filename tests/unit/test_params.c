/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/params.h"
#include "tests/unit/unit.h"

#include <math.h>
#include <string.h>

static struct error error;

static struct params open_params(json_t **object, const char *text)
{
	struct params p;
	*object = json_loads(text, 0, NULL);
	params_init(&p, *object, "", &error);
	return p;
}

static void getters(void)
{
	json_t *object;
	struct params p = open_params(&object, "{\"i\": 3.0, \"r\": 2, \"t\": \"x\", \"b\": true, \"w\": \"two\", \"n\": null, \"x_mine\": 1}");
	static const char *const words[] = { "one", "two", NULL };
	CU_ASSERT_EQUAL(params_int(&p, "i", 0, 0, 10), 3);
	CU_ASSERT_EQUAL(params_real(&p, "r", 0, 0, true, 10), 2.0);
	CU_ASSERT_STRING_EQUAL(params_text(&p, "t"), "x");
	CU_ASSERT(params_bool(&p, "b", false));
	CU_ASSERT_EQUAL(params_word(&p, "w", words, 0), 1);
	CU_ASSERT_EQUAL(params_int(&p, "n", 7, 0, 10), 7);
	CU_ASSERT_EQUAL(params_end(&p), STATUS_OK);
	json_decref(object);
}

static void refused(const char *text, const char *field)
{
	json_t *object;
	struct params p = open_params(&object, text);
	params_int(&p, "i", 0, 0, 10);
	params_real(&p, "r", 1, 0, true, 10);
	params_bool(&p, "b", false);
	params_list(&p, "l");
	CU_ASSERT_EQUAL(params_end(&p), STATUS_INVALID);
	CU_ASSERT_STRING_EQUAL(error.field, field);
	json_decref(object);
}

static void refusals(void)
{
	refused("{\"i\": 11}", "i");
	refused("{\"i\": 1.5}", "i");
	refused("{\"i\": 1e300}", "i");
	refused("{\"i\": \"1\"}", "i");
	refused("{\"r\": 0}", "r");
	refused("{\"r\": \"NaN\"}", "r");
	refused("{\"b\": 1}", "b");
	refused("{\"l\": {}}", "l");
	refused("{\"other\": 1}", "other");
	refused("{\"i\": -1, \"r\": -1}", "i"); /* the first failure stays */
}

CU_ErrorCode test_params_register(void)
{
	CU_pSuite s = CU_add_suite("params", NULL, NULL);
	if (!s || !CU_add_test(s, "getters", getters) || !CU_add_test(s, "refusals", refusals))
		return CU_get_error();
	return CUE_SUCCESS;
}
