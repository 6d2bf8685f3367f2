function n = fromBigEndian(bytes, class)
% fromBigEndian  Unsigned integer of class 'uint32' or 'uint64' from its bytes, most significant first.

% SPDX-License-Identifier: BSD-3-Clause
n = swapbytes(typecast(bytes, class));
end
