function arrays = programArrays(who, args, vectorsAreFlat)
% programArrays  Arguments of a kernel or an expression as arrays a0, a1, ... for Client.request.
%
%   arrays = programArrays(who, args, vectorsAreFlat)   cell with a row {name, data, descriptor} each
%
%   args             cell: logical or numeric values of any class, real or complex; or {value, ndim}, which says how many dimensions it has
%   vectorsAreFlat   true: n x 1, 1 x n and [] have one dimension; false: what is not scalar keeps MATLAB's size
%
%   Scalars have no dimension. Error spiked:invalid for values that cannot be sent.

% SPDX-License-Identifier: BSD-3-Clause
arrays = cell(numel(args), 3);
for k = 1:numel(args)
    value = args{k};
    ndim = [];
    if iscell(value)
        [value, ndim] = taken(who, k, value);
    elseif isscalar(value)
        ndim = 0;
    elseif vectorsAreFlat && ndims(value) == 2 && (any(size(value) == 1) || all(size(value) == 0))
        ndim = 1;
    end
    name = sprintf('a%d', k - 1);
    [d, data] = described(who, name, k, value, ndim);
    arrays(k, :) = {name, data, d};
end
end

function [value, ndim] = taken(who, k, pair)
if numel(pair) ~= 2 || ~isnumeric(pair{2}) || ~isscalar(pair{2}) || ~any(pair{2} == [1 2])
    spiked.internal.fail('invalid', sprintf('%s: argument %d is a cell', who, k), 'cells are for {value, 1}, a vector, and {value, 2}, a matrix');
end
[value, ndim] = pair{:};
if (ndim == 1 && numel(value) ~= max([size(value) 0]) && ~isempty(value)) || (ndim == 2 && ndims(value) > 2)
    spiked.internal.fail('invalid', sprintf('%s: argument %d has the size %s, not %d dimensions', who, k, mat2str(size(value)), ndim));
end
end

function [d, data] = described(who, name, k, value, ndim)
if ~(isnumeric(value) || islogical(value)) || issparse(value) || (isinteger(value) && ~isreal(value))
    spiked.internal.fail('invalid', sprintf('%s: argument %d is of class %s and cannot be sent', who, k, class(value)), ...
        'give numbers, logical values, or full matrices of them');
end
data = value;
if ~isreal(value)
    data = [real(value(:)).'; imag(value(:)).'];
end
[d, nbytes] = spiked.internal.describeArray(name, data, 2);
d.nbytes = nbytes;
if ~isreal(value)
    kinds = struct('single', '<c8', 'double', '<c16');
    d.dtype = kinds.(class(value));
end
if isempty(ndim)
    d.shape = num2cell(size(value));
elseif ndim == 0
    d.shape = {};
elseif ndim == 1
    d.shape = {numel(value)};
else
    d.shape = num2cell(size(value));
end
end
