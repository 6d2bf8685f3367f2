function device = makeDevice(host, port, seconds)
% makeDevice  A connected tcpclient, with transfer delay (Nagle) off where that can be said.
%
%   In Octave the package instrument-control is loaded if it is not yet. Error spiked:unsupported without a tcpclient.

% SPDX-License-Identifier: BSD-3-Clause
if spiked.internal.isOctave()
    loadPackage();
    device = tcpclient(host, port, 'Timeout', seconds);
    return
end
if isempty(which('tcpclient'))
    spiked.internal.fail('unsupported', 'this MATLAB has no tcpclient', 'use R2020b or later');
end
options = {'Timeout', seconds, 'ConnectTimeout', seconds};
try
    device = tcpclient(host, port, options{:}, 'EnableTransferDelay', false);
catch
    device = tcpclient(host, port, options{:});    % a release without that option
end
end

function loadPackage()
if exist('tcpclient') == 0 %#ok<EXIST>
    try
        pkg('load', 'instrument-control');
    catch
        spiked.internal.fail('unsupported', 'Octave''s package instrument-control, which has tcpclient, is not installed', ...
            'apt install octave-instrument-control, or pkg install -forge instrument-control');
    end
end
end
