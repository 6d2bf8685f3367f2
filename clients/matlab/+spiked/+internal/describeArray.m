function [d, nbytes] = describeArray(name, a, ndim)
% describeArray  Descriptor (protocol/SPEC.md 2.2) of a matrix as MATLAB holds it: its size, column-major.
%
%   [d, nbytes] = describeArray(name, a, ndim)
%
%   a      full, real, numeric or logical. Nothing is transposed or converted: int16 travels as int16.
%   ndim   1 for a vector that is to have one dimension on the wire, which MATLAB does not know; else 2
%
%   Error spiked:invalid for other values.

% SPDX-License-Identifier: BSD-3-Clause
switch class(a)
    case 'logical', dtype = '|b1'; item = 1;
    case 'int8', dtype = '|i1'; item = 1;
    case 'uint8', dtype = '|u1'; item = 1;
    case 'int16', dtype = '<i2'; item = 2;
    case 'uint16', dtype = '<u2'; item = 2;
    case 'int32', dtype = '<i4'; item = 4;
    case 'uint32', dtype = '<u4'; item = 4;
    case 'int64', dtype = '<i8'; item = 8;
    case 'uint64', dtype = '<u8'; item = 8;
    case 'single', dtype = '<f4'; item = 4;
    case 'double', dtype = '<f8'; item = 8;
    otherwise, dtype = '';
end
if isempty(dtype) || ~isreal(a) || issparse(a)
    spiked.internal.fail('invalid', sprintf('%s: a %s array cannot be sent', name, kind(a)), 'give a full, real, numeric matrix (frames x channels)');
end
nbytes = item * numel(a);
shape = num2cell(size(a));
if ndim == 1
    shape = {numel(a)};
end
d = struct('name', name, 'dtype', dtype, 'shape', {shape}, 'order', 'F', 'nbytes', nbytes);
end

function text = kind(a)
text = class(a);
if issparse(a)
    text = ['sparse ' text];
elseif isnumeric(a) && ~isreal(a)
    text = ['complex ' text];
end
end
