function m = golden(name)
% golden  One message of tests/golden/messages.json, with its bytes on TCP as uint8 row `bytes`; golden('handshake') are both handshakes.

% SPDX-License-Identifier: BSD-3-Clause
here = fileparts(mfilename('fullpath'));
all = jsondecode(fileread(fullfile(here, '..', '..', '..', 'tests', 'golden', 'messages.json')));
if strcmp(name, 'handshake')
    m = struct('req', unhex(all.handshake.req), 'rep', unhex(all.handshake.rep));
    return
end
list = spiked.internal.asList(all.messages);
for i = 1:numel(list)
    if strcmp(list{i}.name, name)
        m = list{i};
        m.bytes = unhex(m.tcp);
        m.id = unhex(m.id);
        return
    end
end
error('golden: there is no message %s', name);
end
