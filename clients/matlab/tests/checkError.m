function e = checkError(id, f)
% checkError  Calls f, which must raise the error `id` with a text; returns the error.

% SPDX-License-Identifier: BSD-3-Clause
e = [];
try
    f();
catch e
end
if isempty(e)
    error('spiked:test', 'no error; %s was expected', id);
elseif ~strcmp(e.identifier, id)
    error('spiked:test', '%s was expected, not %s: %s', id, e.identifier, e.message);
end
check('an error says something', numel(e.message) > 10);
end
