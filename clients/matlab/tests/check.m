function check(what, yes)
% check  One statement of a test: error spiked:test with the text `what` unless it is true.

% SPDX-License-Identifier: BSD-3-Clause
if ~isscalar(yes) || ~yes
    error('spiked:test', 'not so: %s', what);
end
end
