function [id, header, arrays] = receiveReply(get, tag, seconds)
% receiveReply  Reads one SP message and takes it apart (protocol/SPEC.md 1 and 2).
%
%   [id, header, arrays] = receiveReply(get, tag, seconds)
%
%   get      function of (nbytes, seconds) that returns exactly so many bytes, as a uint8 row
%   tag      request tag that the reply must carry
%   seconds  to wait for the first byte; pieces after it may take a minute each
%   id       16 bytes
%   header   struct, as jsondecode makes it
%   arrays   struct: array name to array; a table of peaks is int64 (4, peaks), see peakStruct
%
%   Error spiked:protocol for bytes that are not a reply; the connection is then of no more use.

% SPDX-License-Identifier: BSD-3-Clause
idle = 60;
first = get(12, seconds);
size = double(spiked.internal.fromBigEndian(first(1:8), 'uint64'));
if size < 4 + 32 + 2 || size > 2^40
    bad(sprintf('the daemon sent a message of %.0f bytes', size));
elseif spiked.internal.fromBigEndian(first(9:12), 'uint32') ~= uint32(2^31 + tag)
    bad('the reply belongs to another request');
end
prefix = get(32, idle);
id = prefix(9:24);
fields = double(typecast(prefix(5:8), 'uint16'));
lengths = double(typecast(prefix(25:32), 'uint32'));
if ~isequal(prefix(1:4), uint8('SPKD')) || ~isequal(fields, [1 2]) || lengths(2) ~= 0 || 4 + 32 + lengths(1) > size
    bad('the reply is not a message of this protocol');
end
header = jsondecode(spiked.internal.bytesToText(get(lengths(1), idle)));
[arrays, consumed] = receiveArrays(get, header, 32 + lengths(1), size - 4, idle);
if consumed ~= size - 4
    bad('the reply holds more bytes than its arrays');
end
end

function [arrays, at] = receiveArrays(get, header, at, size, idle)
arrays = struct();
if ~isfield(header, 'arrays')
    return
end
for item = spiked.internal.asList(header.arrays)
    d = item{1};
    if isfield(d, 'via') && ~strcmp(d.via, 'inline')
        continue
    end
    pad = mod(-at, 64);
    if at + pad + d.nbytes > size
        bad(sprintf('array %s does not fit into the reply', d.name));
    end
    if pad > 0
        get(pad, idle);
    end
    arrays.(d.name) = spiked.internal.receiveArray(@(n) get(n, idle), d);
    at = at + pad + d.nbytes;
end
end

function bad(message)
spiked.internal.fail('protocol', message, 'use a client and a daemon of the same release');
end
