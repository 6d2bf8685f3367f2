function value = index(who, name, value)
% index  Integers from 1 on, as double; otherwise error spiked:invalid that names the option.

% SPDX-License-Identifier: BSD-3-Clause
if ~isnumeric(value) || ~isreal(value) || any(value(:) < 1) || any(value(:) ~= fix(value(:))) || any(~isfinite(double(value(:))))
    spiked.internal.fail('invalid', sprintf('%s: %s must be integers from 1 on', who, name), 'indices are 1-based here');
end
value = double(value);
end
