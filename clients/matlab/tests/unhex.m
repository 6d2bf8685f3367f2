function bytes = unhex(text)
% unhex  Bytes (uint8 row) of a text of hex digits.

% SPDX-License-Identifier: BSD-3-Clause
bytes = uint8(hex2dec(reshape(text, 2, []).')).';
end
