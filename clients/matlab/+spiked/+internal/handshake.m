function bytes = handshake(role)
% handshake  The 8 bytes that each side of an SP connection sends first; role is 'REQ' (a client) or 'REP' (the daemon).

% SPDX-License-Identifier: BSD-3-Clause
bytes = uint8([0 83 80 0 0 48 0 0]);    % 0 'S' 'P' 0, type, 0 0
if strcmp(role, 'REP')
    bytes(6) = 49;
end
end
