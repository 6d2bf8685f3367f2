function list = asList(value)
% asList  A list that jsondecode returned, always as a row cell.
%
%   jsondecode makes a struct array of equal objects, a cell of other lists, a column of numbers, and [] of an empty list.

% SPDX-License-Identifier: BSD-3-Clause
if iscell(value)
    list = reshape(value, 1, []);
elseif ischar(value)
    list = {value};
else
    list = reshape(num2cell(value), 1, []);
end
end
