function sendRequest(put, tag, head, pads, nbody, arrays)
% sendRequest  Writes one SP message: size, tag, head, arrays.
%
%   sendRequest(put, tag, head, pads, nbody, arrays)
%
%   put                 function of a uint8 row that sends all of it
%   tag                 request tag, 0 to 2^31 - 1
%   head, pads, nbody   of requestHead
%   arrays              cell of the inline arrays

% SPDX-License-Identifier: BSD-3-Clause
waiting = [spiked.internal.bigEndian(uint64(4 + nbody)) spiked.internal.bigEndian(uint32(2^31 + tag)) head];
for i = 1:numel(arrays)
    waiting = [waiting zeros(1, pads(i), 'uint8')]; %#ok<AGROW>
    waiting = sendArray(put, waiting, arrays{i});
end
if ~isempty(waiting)
    put(waiting);
end
end

function waiting = sendArray(put, waiting, a)
% Column-major, a piece at a time. What is small waits for the next piece: a message of a few bytes is one write, which Nagle's delay spares.
if islogical(a)
    a = uint8(a);
end
if isempty(a)
    return
end
item = numel(typecast(a(1), 'uint8'));
step = floor(spiked.internal.pieceBytes() / item);
for i = 1:step:numel(a)
    piece = typecast(reshape(a(i:min(i + step - 1, numel(a))), 1, []), 'uint8');
    if numel(waiting) + numel(piece) < 65536
        waiting = [waiting piece]; %#ok<AGROW>
    elseif numel(waiting) < 65536
        put([waiting piece]);
        waiting = zeros(1, 0, 'uint8');
    else
        put(waiting);
        put(piece);
        waiting = zeros(1, 0, 'uint8');
    end
end
end
