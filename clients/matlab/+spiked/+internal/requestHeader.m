function [header, sizes] = requestHeader(op, params, arrays, timeout, token)
% requestHeader  Header of a request (protocol/SPEC.md 2.5), and the bytes of each of its arrays.
%
%   [header, sizes] = requestHeader(op, params, arrays, timeout, token)   arrays, timeout: as in Client.request

% SPDX-License-Identifier: BSD-3-Clause
header = struct('op', op);
if ~isempty(fieldnames(params))
    header.params = params;
end
if ~isempty(timeout)
    header.deadline_ms = max(1, floor(spiked.internal.number(op, 'Timeout', timeout) * 1000));
end
if ~isempty(token)
    header.token = token;
end
sizes = zeros(1, size(arrays, 1));
descriptors = cell(1, size(arrays, 1));
for i = 1:size(arrays, 1)
    if isstruct(arrays{i, 3})
        descriptors{i} = arrays{i, 3};
        sizes(i) = descriptors{i}.nbytes;
    else
        [descriptors{i}, sizes(i)] = spiked.internal.describeArray(arrays{i, :});
    end
end
if ~isempty(descriptors)
    header.arrays = descriptors;
end
end
