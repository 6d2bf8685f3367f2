function [head, pads, nbody] = requestHead(id, header, sizes)
% requestHead  Prefix and JSON of a request, and where its arrays go (protocol/SPEC.md 2.1).
%
%   [head, pads, nbody] = requestHead(id, header, sizes)
%
%   id      16 bytes
%   header  struct
%   sizes   bytes of each inline array
%   head    uint8 row: the 32-byte prefix and the JSON
%   pads    zero bytes before each array: to the next multiple of 64, counted from the prefix
%   nbody   bytes of the whole message

% SPDX-License-Identifier: BSD-3-Clause
json = spiked.internal.textToBytes(spiked.internal.encodeJson(header));
version = typecast(uint16(1), 'uint8');
request = typecast(uint16(1), 'uint8');
head = [uint8('SPKD') version request reshape(id, 1, 16) typecast(uint32([numel(json) 0]), 'uint8') json];
pads = zeros(size(sizes));
nbody = numel(head);
for i = 1:numel(sizes)
    pads(i) = mod(-nbody, 64);
    nbody = nbody + pads(i) + sizes(i);
end
end
