/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Unit tests (CUnit): build/unit [suite].
 */
#include "tests/unit/unit.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

static CU_ErrorCode (*const suites[])(void) = {
	test_sp_register,
	test_message_register,
	test_config_register,
	test_results_register,
	test_params_register,
	test_paths_register,
	test_scheduler_register,
	test_fiber_register,
	test_codecs_register,
	test_recording_register,
	test_neighbours_register,
	test_runtime_register,
	test_ir_register,
	test_interpret_register,
	test_functions_register,
	test_parse_register,
	test_analysis_register,
	test_codegen_register,
	test_programs_register,
	test_object_cache_register,
};

int main(int argc, char **argv)
{
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	for (size_t i = 0; i < sizeof suites / sizeof *suites; i++)
		if (suites[i]() != CUE_SUCCESS) {
			fprintf(stderr, "unit: suite %zu cannot be set up: %s\n", i, CU_get_error_msg());
			return 2;
		}
	CU_basic_set_mode(CU_BRM_VERBOSE);
	if (argc > 1) {
		CU_pSuite suite = CU_get_suite(argv[1]);
		if (!suite) {
			fprintf(stderr, "unit: there is no suite %s\n", argv[1]);
			return 2;
		}
		CU_basic_run_suite(suite);
	} else {
		CU_basic_run_tests();
	}
	unsigned failed = CU_get_number_of_failures() + CU_get_number_of_tests_failed();
	CU_cleanup_registry();
	return failed ? 1 : 0;
}
