function fail(id, message, hint)
% fail  Raises the error spiked:ID with a text of what was wrong and, in parentheses, what to do about it.
%
%   fail(id, message)
%   fail(id, message, hint)

% SPDX-License-Identifier: BSD-3-Clause
if nargin > 2 && ~isempty(hint)
    message = [message ' (' hint ')'];
end
error(['spiked:' id], '%s', message);
end
