function value = asChar(value)
% asChar  MATLAB's strings as char, arrays of strings as cell of char; anything else as it is.

% SPDX-License-Identifier: BSD-3-Clause
if isa(value, 'string')
    if isscalar(value)
        value = char(value);
    else
        value = cellstr(value);
    end
end
end
