% run_tests  Tests of the MATLAB client, in MATLAB or GNU Octave: octave-cli --quiet run_tests.m
%
% The tests of bytes run anywhere. Those against daemons run when the environment's SPIKED_TEST_DIR names a directory that
% tests/e2e/test_octave.py filled; without it they are left out, and that is said. An error at the end if one failed.

% SPDX-License-Identifier: BSD-3-Clause
addpath(fullfile(fileparts(mfilename('fullpath')), '..'));
addpath(fileparts(mfilename('fullpath')));
run_suites();
