function [results, after] = programResults(result, arrays, args)
% programResults  What a call gave (protocol/SPEC.md 4.11).
%
%   [results, after] = programResults(result, arrays, args)
%
%   args      cell of the arguments
%   results   row cell: numbers as scalars, one dimension as a column, more as they are
%   after     row cell: the arguments as they are after the call, in their own size

% SPDX-License-Identifier: BSD-3-Clause
after = reshape(args, 1, []);
for k = 1:numel(after)
    if iscell(after{k})
        after{k} = after{k}{1};
    end
    name = sprintf('a%d', k - 1);
    if isfield(arrays, name)
        after{k} = reshape(arrays.(name), size(after{k}));
    end
end
list = spiked.internal.asList(result.results);
results = cell(1, numel(list));
for k = 1:numel(list)
    if isfield(list{k}, 'argument') && ~isempty(list{k}.argument)
        results{k} = after{list{k}.argument + 1};
    else
        results{k} = arrays.(list{k}.array);
    end
end
end
