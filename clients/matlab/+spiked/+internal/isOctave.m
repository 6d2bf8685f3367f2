function yes = isOctave()
% isOctave  True in GNU Octave, false in MATLAB.

% SPDX-License-Identifier: BSD-3-Clause
persistent known
if isempty(known)
    known = exist('OCTAVE_VERSION', 'builtin') ~= 0;
end
yes = known;
end
