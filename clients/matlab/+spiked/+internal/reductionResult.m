function r = reductionResult(operations, arrays)
% reductionResult  Arrays of a reduction as the user gets them: double, one row of channels each; of a single name its value alone.

% SPDX-License-Identifier: BSD-3-Clause
r = struct();
for name = reshape(fieldnames(arrays), 1, [])
    value = double(arrays.(name{1}));
    if ~strcmp(name{1}, 'cumsum')
        value = reshape(value, 1, []);
    end
    r.(name{1}) = value;
end
operations = spiked.internal.asChar(operations);
if ischar(operations)
    r = r.(operations);
end
end
