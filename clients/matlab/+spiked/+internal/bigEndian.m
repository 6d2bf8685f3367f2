function bytes = bigEndian(n)
% bigEndian  Bytes of an unsigned integer, most significant first, as SP framing has them.
%
%   bytes = bigEndian(uint64(n))   8 bytes
%   bytes = bigEndian(uint32(n))   4 bytes

% SPDX-License-Identifier: BSD-3-Clause
bytes = typecast(swapbytes(n), 'uint8');
end
