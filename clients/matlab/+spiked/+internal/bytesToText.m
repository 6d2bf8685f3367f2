function text = bytesToText(bytes)
% bytesToText  Char row of UTF-8 bytes.

% SPDX-License-Identifier: BSD-3-Clause
if spiked.internal.isOctave()
    text = char(bytes);     % Octave's chars are UTF-8 bytes already
else
    text = native2unicode(bytes, 'UTF-8');
end
end
