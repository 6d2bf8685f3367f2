function info = dtypeInfo(dtype)
% dtypeInfo  How an array of a wire dtype is read.
%
%   info = dtypeInfo('<i2')   struct with
%     class    class of the words in the bytes
%     words    words in one item: 4 for a peak, 2 for a complex number, else 1
%     nbytes   bytes of one item
%     name     class of the array as the user gets it
%
%   Error spiked:protocol for a dtype that the protocol does not have.

% SPDX-License-Identifier: BSD-3-Clause
table = {
    '|b1'  'uint8'  1 1 'logical'
    '|i1'  'int8'   1 1 'int8'
    '|u1'  'uint8'  1 1 'uint8'
    '<i2'  'int16'  1 2 'int16'
    '<u2'  'uint16' 1 2 'uint16'
    '<i4'  'int32'  1 4 'int32'
    '<u4'  'uint32' 1 4 'uint32'
    '<i8'  'int64'  1 8 'int64'
    '<u8'  'uint64' 1 8 'uint64'
    '<f2'  'uint16' 1 2 'single'
    '<f4'  'single' 1 4 'single'
    '<f8'  'double' 1 8 'double'
    '<c8'  'single' 2 8 'single'
    '<c16' 'double' 2 16 'double'
    'peak' 'int64'  4 32 'int64'};
k = find(strcmp(dtype, table(:, 1)));
if isempty(k)
    spiked.internal.fail('protocol', sprintf('the daemon sent an array of dtype %s', dtype), 'use a client and a daemon of the same release');
end
info = cell2struct(table(k, 2:5), {'class', 'words', 'nbytes', 'name'}, 2);
end
