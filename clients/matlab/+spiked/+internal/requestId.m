function id = requestId()
% requestId  16 random bytes that name a request, as a uint8 row.
%
%   Neither from nor into the state of rand: MATLAB starts with the same one each time, and the user's sequence must not move.

% SPDX-License-Identifier: BSD-3-Clause
persistent stream
fid = fopen('/dev/urandom', 'r');
if fid >= 0
    closing = onCleanup(@() fclose(fid));
    id = reshape(fread(fid, 16, '*uint8'), 1, []);
    return
end
if isempty(stream)
    stream = RandStream('mt19937ar', 'Seed', 'shuffle');    % MATLAB on Windows
end
clock = typecast(now(), 'uint8');
id = uint8(randi(stream, [0 255], 1, 16));
id(1:8) = bitxor(id(1:8), clock);
end
