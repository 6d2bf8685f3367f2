function run_suites()
% run_suites  Runs all tests, one line each; error spiked:test if one failed.

% SPDX-License-Identifier: BSD-3-Clause
tests = test_wire();
if isempty(getenv('SPIKED_TEST_DIR'))
    fprintf('SPIKED_TEST_DIR is not set: no test against a daemon. tests/e2e/test_octave.py sets it.\n');
else
    tests = [tests; test_daemon()];
end
run_list(tests);
end
