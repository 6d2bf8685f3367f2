function id = errorId(status)
% errorId  Identifier, without "spiked:", of a status name of protocol/SPEC.md section 3: errorId('NOT_FOUND') is 'notFound'.
%
%   A status that is not known is 'internal'.

% SPDX-License-Identifier: BSD-3-Clause
switch status
    case 'INVALID', id = 'invalid';
    case 'NOT_FOUND', id = 'notFound';
    case 'DENIED', id = 'denied';
    case 'UNSUPPORTED', id = 'unsupported';
    case 'TOO_LARGE', id = 'tooLarge';
    case 'BUSY', id = 'busy';
    case 'DEADLINE', id = 'deadline';
    case 'CANCELLED', id = 'cancelled';
    case 'UNAVAILABLE', id = 'unavailable';
    case 'CORRUPT', id = 'corrupt';
    case 'IO', id = 'io';
    case 'NO_MEMORY', id = 'noMemory';
    case 'UNREACHABLE', id = 'unreachable';
    case 'PROTOCOL', id = 'protocol';
    otherwise, id = 'internal';
end
end
