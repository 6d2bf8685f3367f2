function values = outputs(who, n, results, extra)
% outputs  The first n of the results, and `extra` behind them: for varargout. Error spiked:invalid if there are fewer.

% SPDX-License-Identifier: BSD-3-Clause
values = [results extra];
if n > numel(values)
    spiked.internal.fail('invalid', sprintf('%s: %d outputs are asked for, there are %d', who, n, numel(values)));
end
if n == 0
    values = results(1:min(1, end));    % ans
else
    values = values(1:n);
end
end
