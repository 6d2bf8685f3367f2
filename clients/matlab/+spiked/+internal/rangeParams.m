function params = rangeParams(who, params, segment, first, last)
% rangeParams  Segment and frames, 1-based and inclusive, as the wire's segment, start and stop; [] is left out.

% SPDX-License-Identifier: BSD-3-Clause
if ~isempty(segment)
    params.segment = one(who, 'Segment', segment) - 1;
end
if ~isempty(first)
    params.start = one(who, 'First', first) - 1;
end
if ~isempty(last)
    if isequal(double(last), 0)
        params.stop = 0;    % First 1, Last 0: no frame
    else
        params.stop = one(who, 'Last', last);
    end
end
end

function value = one(who, name, value)
value = spiked.internal.index(who, name, value);
if ~isscalar(value)
    spiked.internal.fail('invalid', sprintf('%s: %s must be one integer', who, name));
end
end
