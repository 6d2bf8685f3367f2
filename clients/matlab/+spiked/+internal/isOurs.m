function yes = isOurs(path)
% isOurs  True if a file exists and, as far as can be told, belongs to this user.
%
%   Octave compares owners. MATLAB cannot: there the file must be closed to other users, as the daemon makes it.

% SPDX-License-Identifier: BSD-3-Clause
if exist(path, 'file') ~= 2
    yes = false;
elseif spiked.internal.isOctave()
    [st, failed] = stat(path);
    yes = ~failed && st.uid == geteuid();
elseif ispc()
    yes = true;
else
    [ok, attributes] = fileattrib(path);
    yes = ok && attributes.UserRead && ~isequal(attributes.GroupRead, true) && ~isequal(attributes.OtherRead, true);
end
end
