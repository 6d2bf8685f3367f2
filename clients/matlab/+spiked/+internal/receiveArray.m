function a = receiveArray(get, d)
% receiveArray  Reads one array, in pieces, into the matrix that the user gets.
%
%   a = receiveArray(get, d)
%
%   get   function of nbytes that returns exactly so many bytes, as a uint8 row
%   d     its descriptor
%   a     of the descriptor's shape; 1-D is a column, peaks are int64 (4, peaks), float16 becomes single
%
%   Memory: the matrix and one piece, for shapes of up to two dimensions.

% SPDX-License-Identifier: BSD-3-Clause
info = spiked.internal.dtypeInfo(d.dtype);
shape = reshape(double(d.shape), 1, []);
if prod(shape) * info.nbytes ~= d.nbytes
    spiked.internal.fail('protocol', sprintf('array %s does not fit its bytes', d.name), 'use a client and a daemon of the same release');
end
isC = ~isfield(d, 'order') || strcmp(d.order, 'C');
if isC && numel(shape) == 2 && all(shape > 1) && info.words == 1
    a = finish(byRows(get, shape, info), d.dtype);
    return
end
if strcmp(d.dtype, 'peak')
    a = reshape(words(get, 4 * prod(shape), info), 4, []);
    return
end
a = finish(words(get, info.words * prod(shape), info), d.dtype);
if numel(shape) < 2
    a = reshape(a, [], 1);
elseif isC
    a = permute(reshape(a, fliplr(shape)), numel(shape):-1:1);
else
    a = reshape(a, shape);
end
end

function a = byRows(get, shape, info)
% Row-major bytes, transposed a piece at a time.
a = zeros(shape, info.class);
rowBytes = shape(2) * info.nbytes;
step = max(1, floor(spiked.internal.pieceBytes() / rowBytes));
for i = 1:step:shape(1)
    last = min(i + step - 1, shape(1));
    a(i:last, :) = reshape(typecast(get((last - i + 1) * rowBytes), info.class), shape(2), []).';
end
end

function a = words(get, n, info)
a = zeros(n, 1, info.class);
item = info.nbytes / info.words;
step = floor(spiked.internal.pieceBytes() / item);
for i = 1:step:n
    last = min(i + step - 1, n);
    a(i:last) = typecast(get((last - i + 1) * item), info.class);
end
end

function a = finish(a, kind)
switch kind
    case '|b1'
        a = logical(a);
    case {'<c8', '<c16'}
        a = complex(a(1:2:end), a(2:2:end));
    case '<f2'
        a = spiked.internal.halfToSingle(a);
end
end
