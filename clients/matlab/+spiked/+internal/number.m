function value = number(who, name, value)
% number  A finite real scalar, as double; otherwise error spiked:invalid that names the option.

% SPDX-License-Identifier: BSD-3-Clause
if ~(isnumeric(value) || islogical(value)) || ~isscalar(value) || ~isreal(value) || ~isfinite(value)
    spiked.internal.fail('invalid', sprintf('%s: %s must be a finite number', who, name));
end
value = double(value);
end
