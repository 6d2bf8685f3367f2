function path = absolutePath(path)
% absolutePath  Path from the root, for the daemon, which has another working directory. ~/ is the home directory.
%
%   Error spiked:invalid if it is not a char row.

% SPDX-License-Identifier: BSD-3-Clause
if ~ischar(path) || isempty(path)
    spiked.internal.fail('invalid', 'the name of a file must be text', 'give the path of a file on the daemon''s machine');
end
if strncmp(path, '~/', 2)
    path = [getenv('HOME') path(2:end)];
elseif path(1) ~= '/'
    path = fullfile(pwd(), path);
end
end
