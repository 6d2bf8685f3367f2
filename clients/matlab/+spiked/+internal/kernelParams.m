function params = kernelParams(who, kernel)
% kernelParams  How a request names a kernel: a spiked.Kernel, or the name of a registered one. Error spiked:invalid for anything else.

% SPDX-License-Identifier: BSD-3-Clause
kernel = spiked.internal.asChar(kernel);
if isa(kernel, 'spiked.Kernel')
    params = wire(kernel);
elseif ischar(kernel) && ~isempty(kernel)
    params = struct('kernel', kernel);
else
    spiked.internal.fail('invalid', sprintf('%s: a value of class %s is no kernel', who, class(kernel)), ...
        'give what sp.compile returned, or the name of a registered kernel');
end
end
