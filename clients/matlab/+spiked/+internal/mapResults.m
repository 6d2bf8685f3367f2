function results = mapResults(result, arrays)
% mapResults  What a kernel gave for each channel (protocol/SPEC.md 4.13): numbers as a row, vectors as a row cell of columns.

% SPDX-License-Identifier: BSD-3-Clause
results = cell(1, result.num_results);
for k = 1:numel(results)
    name = sprintf('r%d', k - 1);
    value = arrays.(name);
    if isfield(arrays, [name '_lengths'])
        lengths = double(arrays.([name '_lengths']));
        results{k} = reshape(mat2cell(value, lengths, 1), 1, []);
    else
        results{k} = reshape(value, 1, []);
    end
end
end
