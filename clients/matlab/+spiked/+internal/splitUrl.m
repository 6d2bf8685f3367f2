function [host, port] = splitUrl(url)
% splitUrl  Host and port of tcp://HOST:PORT. Error spiked:invalid for anything else.

% SPDX-License-Identifier: BSD-3-Clause
parts = [];
if ischar(url)
    parts = regexp(url, '^tcp://(.+):(\d+)$', 'tokens', 'once');
else
    url = sprintf('a value of class %s', class(url));
end
if isempty(parts)
    spiked.internal.fail('invalid', sprintf('%s is not a TCP address', url), ...
        'give tcp://HOST:PORT; MATLAB and Octave have no unix sockets');
end
host = regexprep(parts{1}, '^\[(.*)\]$', '$1');
port = str2double(parts{2});
end
