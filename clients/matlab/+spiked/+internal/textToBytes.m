function bytes = textToBytes(text)
% textToBytes  UTF-8 bytes of a char row, as a uint8 row.

% SPDX-License-Identifier: BSD-3-Clause
if spiked.internal.isOctave()
    bytes = uint8(text);    % Octave's chars are UTF-8 bytes already
else
    bytes = unicode2native(text, 'UTF-8');
end
end
