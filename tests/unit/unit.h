/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The suites of tests/unit: one file each, named like what it tests.
 */
#ifndef TESTS_UNIT_UNIT_H
#define TESTS_UNIT_UNIT_H

#include <CUnit/CUnit.h>

CU_ErrorCode test_sp_register(void);
CU_ErrorCode test_message_register(void);
CU_ErrorCode test_config_register(void);
CU_ErrorCode test_results_register(void);
CU_ErrorCode test_params_register(void);
CU_ErrorCode test_paths_register(void);
CU_ErrorCode test_scheduler_register(void);
CU_ErrorCode test_fiber_register(void);
CU_ErrorCode test_codecs_register(void);
CU_ErrorCode test_recording_register(void);
CU_ErrorCode test_neighbours_register(void);
CU_ErrorCode test_runtime_register(void);
CU_ErrorCode test_ir_register(void);
CU_ErrorCode test_interpret_register(void);
CU_ErrorCode test_functions_register(void);
CU_ErrorCode test_parse_register(void);
CU_ErrorCode test_analysis_register(void);
CU_ErrorCode test_codegen_register(void);
CU_ErrorCode test_programs_register(void);
CU_ErrorCode test_object_cache_register(void);

#endif
