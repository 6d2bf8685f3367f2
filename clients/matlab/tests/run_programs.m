% run_programs  Tests of expressions and kernels, against the daemon of SPIKED_URL; tests/e2e/test_octave_programs.py fills SPIKED_TEST_DIR.

% SPDX-License-Identifier: BSD-3-Clause
addpath(fullfile(fileparts(mfilename('fullpath')), '..'));
addpath(fileparts(mfilename('fullpath')));
run_list([test_programs(); test_map()]);
