function x = halfToSingle(bits)
% halfToSingle  Values of IEEE half-precision numbers, given as uint16, as single of the same shape.

% SPDX-License-Identifier: BSD-3-Clause
bits = double(bits);
sign = 1 - 2 * (bits >= 32768);
exponent = floor(mod(bits, 32768) / 1024);
fraction = mod(bits, 1024);
x = sign .* (1 + fraction / 1024) .* 2 .^ (exponent - 15);
small = exponent == 0;
x(small) = sign(small) .* fraction(small) * 2^-24;
x(exponent == 31 & fraction == 0) = Inf * sign(exponent == 31 & fraction == 0);
x(exponent == 31 & fraction ~= 0) = NaN;
x = single(x);
end
